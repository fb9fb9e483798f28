"""What every registered architecture keeps to, whoever wrote it, on every schema that it says it suits."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

from architectures import Architecture, Schema
from architectures.layers import FeatureEmbedding
from benchmark.schema import Batch
from benchmark.seeding import initialise
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import architectures
from tests.toys import SCHEMAS, assert_equal_outputs, build, make_batch, make_schema, task_losses, training_loss

CASES = [
    pytest.param(name, schema, id=f"{name}, {title}")
    for name in architectures.names()
    for title, schema in SCHEMAS.items()
    if architectures.get(name).requires(schema) is None
]
on_every_schema = pytest.mark.parametrize(("name", "schema"), CASES)
on_every_architecture = pytest.mark.parametrize("name", architectures.names())


def rows_of(batch: Batch, rows: slice) -> Batch:
    return Batch(batch.categorical[rows], batch.numeric[rows], batch.labels[rows], batch.observed[rows])


@on_every_architecture
def test_it_suits_a_schema_here(name: str) -> None:
    reasons = {title: architectures.get(name).requires(schema) for title, schema in SCHEMAS.items()}
    assert None in reasons.values(), reasons


@on_every_architecture
def test_its_docstring_has_a_paper_shapes_and_every_parameter(name: str) -> None:
    text = architectures.get(name).__doc__ or ""
    assert re.search(r"\b(19|20)\d\d\b", text), "the paper's year"
    assert re.search(r"doi 10\.|arXiv \d{4}\.\d+", text), "the paper's doi or arXiv number"
    assert "Shape:" in text
    described = text.partition("Args:")[2]
    for field in dataclasses.fields(architectures.config(name)):
        assert field.name == "name" or f" {field.name}: " in described, field.name


@on_every_architecture
def test_its_config_composes_into_the_one_that_python_makes(name: str) -> None:
    composed = compose_run(["dataset=shop", f"architecture={name}"])
    assert composed.architecture == architectures.config(name)
    assert composed.id == RunConfig(dataset="shop", architecture=name).id  # type: ignore[arg-type]


@on_every_schema
@pytest.mark.parametrize("rows", [1, 8])
def test_outputs_are_one_finite_value_a_row_for_each_task(name: str, schema: Schema, rows: int) -> None:
    model, batch = build(name, schema), make_batch(schema, rows)
    every = [model.eval()(batch)]
    if rows > 1:  # batch norm cannot train on one row
        every.append(model.train().training_step(batch)[0])
    for outputs in every:
        assert tuple(outputs) == schema.task_names
        for value_B in outputs.values():
            assert value_B.shape == (rows,)
            assert value_B.dtype == torch.float32
            assert value_B.isfinite().all()


@on_every_schema
def test_every_parameter_gets_a_gradient(name: str, schema: Schema) -> None:
    model = build(name, schema)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    silent = {parameter for parameter, value in model.named_parameters() if value.numel()}
    for step in range(3):  # a layer that starts at zero hides what lies below it, at first
        optimizer.zero_grad()
        training_loss(model, make_batch(schema, 64, seed=step)).backward()
        optimizer.step()
        silent -= {p for p, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    assert not silent


@on_every_schema
def test_rows_do_not_see_each_other_in_evaluation(name: str, schema: Schema) -> None:
    model, batch = build(name, schema).eval(), make_batch(schema, 40)
    together = model(batch)
    for row in (0, 17, 39):
        alone = model(rows_of(batch, slice(row, row + 1)))
        assert_equal_outputs(alone, {task: value_B[row : row + 1] for task, value_B in together.items()}, 1e-5)


@on_every_schema
def test_outputs_do_not_read_labels(name: str, schema: Schema) -> None:
    model, batch = build(name, schema).eval(), make_batch(schema, 8)
    without = dataclasses.replace(batch, labels=torch.full_like(batch.labels, torch.nan), observed=~batch.observed)
    assert_equal_outputs(model(batch), model(without), 0)


@on_every_schema
def test_a_batch_without_labels_leaves_no_nan(name: str, schema: Schema) -> None:
    model, batch = build(name, schema), make_batch(schema, 8)
    without = dataclasses.replace(batch, labels=torch.zeros_like(batch.labels), observed=~batch.observed)
    _, auxiliaries = model.training_step(without)
    assert all(auxiliary.value.shape == () and auxiliary.value.isfinite() for auxiliary in auxiliaries.values())
    assert all(auxiliary.task in (None, *schema.task_names) for auxiliary in auxiliaries.values())


@on_every_schema
def test_a_seed_decides_the_initial_values(name: str, schema: Schema) -> None:
    first, same, other = (build(name, schema, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@on_every_schema
def test_embeddings_start_alike_in_every_architecture(name: str, schema: Schema) -> None:
    for embedding in (
        module for module in build(name, schema, seed=5).modules() if isinstance(module, FeatureEmbedding)
    ):
        reference = FeatureEmbedding(schema, embedding.embedding_dim)
        initialise(reference, 5)
        for table, expected in zip(embedding.tables, reference.tables, strict=True):
            assert torch.equal(table.weight, expected.weight)


@on_every_schema
def test_its_state_is_whole(name: str, schema: Schema) -> None:
    model, other, batch = build(name, schema, 0).eval(), build(name, schema, 1).eval(), make_batch(schema, 8)
    other.load_state_dict(model.state_dict())
    assert_equal_outputs(model(batch), other(batch), 0)


@on_every_schema
def test_every_loss_falls_on_a_learnable_toy(name: str, schema: Schema) -> None:
    model, batch = build(name, schema), make_batch(schema, 512)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = task_losses(model, batch, model(batch))
    for _ in range(40):
        optimizer.zero_grad()
        training_loss(model, batch).backward()
        optimizer.step()
    last = task_losses(model.eval(), batch, model(batch))
    for task in schema.task_names:
        assert last[task] < 0.8 * first[task], task


@on_every_schema
def test_the_fast_first_layer_is_exact(name: str, schema: Schema) -> None:
    batch, outputs, gradients = make_batch(schema, 64), [], []
    for factored in (True, False):
        model = build(name, schema).double()
        for module in model.modules():
            if isinstance(module, FeatureEmbedding):
                module.factored = factored
        training_loss(model, batch).backward()
        outputs.append(model(batch))
        gradients.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)


@on_every_schema
def test_gates_are_shares_that_sum_to_one(name: str, schema: Schema) -> None:
    model: Architecture = build(name, schema).eval()
    for gate, weights in model.gates(make_batch(schema, 8)).items():
        assert set(gate.split("+")) <= set(schema.task_names)
        weights_EB = torch.stack(list(weights.values()))
        assert weights_EB.shape == (len(weights), 8)
        assert (weights_EB >= 0).all()
        torch.testing.assert_close(weights_EB.sum(0), torch.ones(8))


@on_every_architecture
def test_dropout_is_off_in_evaluation_and_on_in_training(name: str) -> None:
    if "dropout" not in {field.name for field in dataclasses.fields(architectures.config(name))}:
        pytest.skip("has no dropout")
    schema = next(s for s in SCHEMAS.values() if architectures.get(name).requires(s) is None)
    model, batch = build(name, schema, dropout=0.5), make_batch(schema, 32)
    task = schema.task_names[0]
    assert not torch.equal(model(batch)[task], model(batch)[task])
    model.eval()
    assert torch.equal(model(batch)[task], model(batch)[task])


@on_every_architecture
@pytest.mark.parametrize("rows", [2, 200])
def test_it_takes_a_long_list_of_values(name: str, rows: int) -> None:
    tasks = next(s.tasks for s in SCHEMAS.values() if architectures.get(name).requires(s) is None)
    schema = make_schema(*tasks, cardinalities=(70_000, 2, 300), num_numeric=0)
    training_loss(build(name, schema), make_batch(schema, rows)).backward()
