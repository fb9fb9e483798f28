"""Our parameters in the models of LibMTL, which knows no fields: embedding, experts and towers are given to it."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from architectures import Batch, Schema
from benchmark.kinds import KINDS
from tests.architectures.peers.case import (
    ALONE,
    DIM,
    EXPERTS,
    LAYERS,
    MIXED,
    TOWER,
    WIDTH,
    Case,
    Rule,
    import_apart,
    needs,
    tables,
)


class Network(nn.Module):
    """A table for each field, and the model on what they give."""

    def __init__(self, model: str, schema: Schema, **sizes: Any) -> None:
        super().__init__()
        needs("LibMTL", ALONE)
        library = import_apart("LibMTL.architecture")  # the package imports parts of torchvision that are gone
        self.schema = schema
        self.tables = nn.ModuleDict({f.name: nn.Embedding(f.cardinality, DIM) for f in schema.categorical})
        width = DIM * len(schema.categorical) + len(schema.numeric)
        towers = {
            task: nn.Sequential(nn.Linear(WIDTH, *TOWER), nn.ReLU(), nn.Linear(*TOWER, 1)) for task in schema.task_names
        }
        self.model = getattr(library, model)(
            list(schema.task_names),
            lambda: nn.Sequential(nn.Linear(width, LAYERS[0]), nn.ReLU(), nn.Linear(*LAYERS), nn.ReLU()),
            nn.ModuleDict(towers),
            rep_grad=False,
            multi_input=False,
            device=torch.device("cpu"),
            img_size=[width],
            **sizes,
        )

    def forward(self, batch: Batch) -> Tensor:
        """(B, T)."""
        embedded = [
            table(codes) for table, codes in zip(self.tables.values(), batch.categorical.unbind(1), strict=True)
        ]
        outputs = self.model(torch.cat([*embedded, batch.numeric], dim=1))
        return torch.cat(
            [
                outputs[task.name].sigmoid() if KINDS[task.kind].is_binary else outputs[task.name]
                for task in self.schema.tasks
            ],
            dim=1,
        )


def make_dselect_k(schema: Schema, gamma: float = 1.0) -> Network:
    """With the codes of the experts repaired: LibMTL makes bools of "0" and "1", and NumPy 2.4 makes both true."""
    network = Network("DSelect_k", schema, num_experts=[EXPERTS], num_nonzeros=SELECTORS, kgamma=gamma)
    network.model._binary_codes = torch.tensor([[[False, False], [False, True], [True, False], [True, True]]])
    return network


def call(model: nn.Module, batch: Batch) -> Tensor:
    """On the batch."""
    outputs: Tensor = model(batch)
    return outputs


def task(number: str) -> str:
    """The name of a task."""
    return MIXED.task_names[int(number)]


def linear(layer: str, rest: str) -> str:
    """A layer's Linear, with a ReLU after each."""
    return f"{2 * int(layer)}.{rest}"


def expert(number: str, rest: str) -> str:
    """Ours are numbered task by task, the shared ones last; here both tasks have two."""
    own, which = divmod(int(number), 2)
    place = f"experts_specific.{task(str(own))}.{which}" if int(number) < 4 else f"experts_shared.{int(number) - 4}"
    return f"model.{place}.{rest}"


def shared_first(rows: Tensor) -> Tensor:
    """The rows of a gate: its three shared experts come before its own."""
    return rows.roll(3, 0)


TOWERS = (
    *tables(MIXED, "tables"),
    Rule(r"towers\.hidden\.layers\.(\d)\.(\d)\.(.*)", lambda m: f"model.decoders.{task(m[2])}.{linear(m[1], m[3])}"),
    Rule(r"towers\.output\.(\d)\.(.*)", lambda m: f"model.decoders.{task(m[1])}.{linear('1', m[2])}"),
)
COMMON = Rule(r"experts\.layers\.(\d)\.(\d)\.(.*)", lambda m: f"model.experts_shared.{m[2]}.{linear(m[1], m[3])}")
GATE = "model.gate_specific.{}.0.weight"
GATE_BIASES = {r"model\.gate_specific\..*\.0\.bias": 0.0}
OURS = {"expert_dims": LAYERS, "tower_dims": TOWER}
SELECTORS, BITS = 2, 2

CASES = (
    Case(
        "shared_bottom",
        MIXED,
        {"bottom_dims": LAYERS, "tower_dims": TOWER},
        partial(Network, "HPS"),
        call,
        (*TOWERS, Rule(r"bottom\.layers\.(\d)\.0\.(.*)", lambda m: f"model.encoder.{linear(m[1], m[2])}")),
    ),
    Case(
        "mmoe",
        MIXED,
        OURS | {"num_experts": EXPERTS},
        partial(Network, "MMoE", num_experts=[EXPERTS]),
        call,
        (*TOWERS, COMMON, Rule(r"task_gates\.(\d)\.weight", lambda m: GATE.format(task(m[1])))),
        GATE_BIASES,
    ),
    Case(
        "mmoe",
        MIXED,
        OURS | {"num_experts": EXPERTS, "gate": "dselect_k", "gate_k": SELECTORS},
        make_dselect_k,
        call,
        (
            *TOWERS,
            COMMON,
            Rule(
                r"task_gates\.(\d)\.(.*)",
                lambda m: f"model._z_logits.{task(m[1])}.{m[2]}",
                lambda outputs: outputs[: SELECTORS * BITS],
            ),
            Rule(
                r"task_gates\.(\d)\.(.*)",
                lambda m: f"model._w_logits.{task(m[1])}.{m[2]}",
                lambda outputs: outputs[SELECTORS * BITS :],
            ),
        ),
    ),
    Case(
        "cgc",
        MIXED,
        OURS | {"num_task_experts": 2, "num_shared_experts": 3},
        partial(Network, "CGC", num_experts=[3, 2, 2]),
        call,
        (
            *TOWERS,
            Rule(r"experts\.layers\.(\d)\.(\d)\.(.*)", lambda m: expert(m[2], linear(m[1], m[3]))),
            Rule(r"task_gates\.(\d)\.weight", lambda m: GATE.format(task(m[1])), shared_first),
        ),
        GATE_BIASES,
    ),
)
