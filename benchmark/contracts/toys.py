"""Small schemas, batches and models for checking contracts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from architectures import Architecture, Batch, Schema
from benchmark.kinds import BINARY, KINDS, REGRESSION
from benchmark.lists import ListField, MultiValuedField, SequenceField
from benchmark.rows import Features
from benchmark.schema import Arrays, CategoricalField, NumericField, OtherField, Task
from benchmark.seeding import initialise
from benchmark.settings.registry import architectures

CLICK = Task("click", BINARY)
CART = Task("cart", BINARY, given="click")
BUY = Task("buy", BINARY, given="cart")
LIKE = Task("like", BINARY)
SHARE = Task("share", BINARY)
SECONDS = Task("seconds", REGRESSION, unit="seconds")


def make_schema(
    *tasks: Task,
    cardinalities: tuple[int, ...] = (3, 5, 70),
    num_numeric: int = 2,
    others: tuple[OtherField, ...] = (),
) -> Schema:
    """Fields c0, c1, ... and n0, n1, ...; the first two categorical ones are user and item."""
    return Schema(
        tuple(CategoricalField(f"c{number}", size) for number, size in enumerate(cardinalities)),
        tuple(NumericField(f"n{number}") for number in range(num_numeric)),
        tasks,
        user="c0" if len(cardinalities) > 1 else None,
        item="c1" if len(cardinalities) > 1 else None,
        others=others,
    )


LISTS = (
    MultiValuedField("m0", cardinality=6),
    MultiValuedField("m1", cardinality=4, pooling="sum"),
    SequenceField("s0", of="c1", max_length=4, cardinality=5),
    SequenceField("s1", of="c1", max_length=4, cardinality=5, pooling="attention"),
)
"""Lists of both kinds, with every pooling; the sequences share the item's table."""


SCHEMAS = {
    "two binary tasks": make_schema(LIKE, SHARE),
    "binary and regression": make_schema(LIKE, SECONDS, SHARE),
    "a funnel": make_schema(CLICK, CART, BUY),
    "a funnel and a regression": make_schema(CLICK, CART, SECONDS),
    "no categorical field": make_schema(LIKE, SHARE, cardinalities=(), num_numeric=4),
    "one task": make_schema(SECONDS, num_numeric=0),
    "lists": make_schema(CLICK, CART, others=LISTS, num_numeric=1),
}


def make_batch(schema: Schema, rows: int, seed: int = 0) -> Batch:
    """Uniform codes, normal numbers; labels that depend on the fields, with noise, and that respect the funnel."""
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(field.cardinality, (rows,), generator=generator) for field in schema.categorical]
    categorical = torch.stack(codes, dim=1).int() if codes else torch.zeros(rows, 0, dtype=torch.int32)
    numeric = torch.randn(rows, len(schema.numeric), generator=generator)
    # labels depend on the first two fields only: a model can learn them in one pass over the rows
    signal = numeric.sum(1) + sum((code % 3 - 1.0 for code in codes[:2]), torch.zeros(rows))
    labels: dict[str, Tensor] = {}
    for task in schema.tasks:
        value = signal + 0.5 * torch.randn(rows, generator=generator)
        label = value if KINDS[task.kind].is_standardised else (value > 0).float()
        labels[task.name] = label if task.given is None else label * labels[task.given]
    others = {other: _lists(other, rows, generator) for other in schema.others}
    features = Features(schema.fields, categorical, numeric, others)
    return Batch(features, torch.stack(list(labels.values()), dim=1), torch.ones(rows, len(labels)).bool())


def _lists(field: OtherField, rows: int, generator: torch.Generator) -> Arrays:
    """Lists of none to four uniform codes."""
    assert isinstance(field, ListField)
    lengths = torch.randint(5, (rows,), generator=generator)
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    codes = torch.randint(field.cardinality, (int(bounds[-1]),), generator=generator)
    return {"codes": codes.int(), "bounds": bounds}


def build(name: str, schema: Schema, seed: int = 0, **parameters: Any) -> Architecture:
    """A registered architecture with initial values from this seed."""
    model: Architecture = architectures.build(architectures.config(name, **parameters), schema)
    initialise(model, seed)
    return model


def task_losses(model: Architecture, batch: Batch, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mean loss of each task over all rows."""
    return {
        task.name: KINDS[task.kind].loss(
            outputs[task.name], batch.labels[:, number].to(outputs[task.name]), reduction="mean"
        )
        for number, task in enumerate(model.schema.tasks)
    }


def training_loss(model: Architecture, batch: Batch) -> Tensor:
    """The sum of all losses of a training step."""
    outputs, auxiliaries = model.training_step(batch)
    return torch.stack([*task_losses(model, batch, outputs).values(), *(a.value for a in auxiliaries.values())]).sum()
