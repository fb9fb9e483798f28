"""Our parameters in the models of deepctr-torch, which have no dropout here, and gates that are linear in the input."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from architectures import Batch, Schema
from benchmark.kinds import KINDS
from tests.architectures.peers.case import DIM, EXPERTS, FUNNEL, LAYERS, MIXED, TOWER, WIDTH, Case, Rule, needs, tables
from tests.bench.peers_contestants import import_deepctr_torch


def make(model: str, schema: Schema, **sizes: Any) -> nn.Module:
    """A multi-task model."""
    needs("deepctr_torch")
    import_deepctr_torch()
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import multitask

    features = [
        *(SparseFeat(f.name, vocabulary_size=f.cardinality, embedding_dim=DIM) for f in schema.categorical),
        *(DenseFeat(f.name) for f in schema.numeric),
    ]
    types = ["binary" if KINDS[task.kind].is_binary else "regression" for task in schema.tasks]
    made: nn.Module = getattr(multitask, model)(features, task_types=types, task_names=list(schema.task_names), **sizes)
    return made


def call(model: nn.Module, batch: Batch) -> Tensor:
    """On one matrix of codes and numbers."""
    outputs: Tensor = model(torch.cat([batch.categorical, batch.numeric], dim=1).double())
    return outputs


def mlps(ours: str, theirs: str) -> Rule:
    """Parallel MLPs."""
    return Rule(rf"{ours}\.layers\.(\d)\.(\d)\.(.*)", rf"{theirs}.\2.linears.\1.\3")


def expert(level: str, number: str, rest: str) -> str:
    """Ours are numbered task by task, the shared ones last; here both tasks have two, and two are shared."""
    unit, which = divmod(int(number), 2)
    return f"{f'specific_experts.{level}.{unit}' if unit < 2 else f'shared_experts.{level}.0'}.{which}.linears.{rest}"


def tie_gates(ours: Any, peer: Any) -> None:
    """MMoE with one gate."""
    peer.gate_dnn_final_layer[1] = peer.gate_dnn_final_layer[0]


def tie_output_biases(ours: Any, peer: Any) -> None:
    """Its networks of click and conversion have one bias together."""
    ours.towers.output[1].bias = ours.towers.output[0].bias


OURS = {"expert_dims": LAYERS, "tower_dims": TOWER}
SIZES = {"expert_dnn_hidden_units": LAYERS, "tower_dnn_hidden_units": TOWER, "gate_dnn_hidden_units": ()}
TWO_AND_TWO = {"specific_expert_num": 2, "shared_expert_num": 2}

TOWERS = (
    *tables(MIXED, "embedding_dict"),
    mlps(r"towers\.hidden", "tower_dnn"),
    Rule(r"towers\.output\.(\d)\.weight", r"tower_dnn_final_layer.\1.weight"),
    Rule(r"towers\.output\.(\d)\.bias", r"out.\1.bias"),
)
CASES = (
    Case(
        "shared_bottom",
        MIXED,
        {"bottom_dims": LAYERS, "tower_dims": TOWER},
        partial(make, "SharedBottom", bottom_dnn_hidden_units=LAYERS, tower_dnn_hidden_units=TOWER),
        call,
        (*TOWERS, Rule(r"bottom\.layers\.(\d)\.0\.(.*)", r"bottom_dnn.linears.\1.\2")),
    ),
    Case(
        "mmoe",
        MIXED,
        OURS | {"num_experts": EXPERTS},
        partial(make, "MMOE", num_experts=EXPERTS, **SIZES),
        call,
        (
            *TOWERS,
            mlps("experts", "expert_dnn"),
            Rule(r"task_gates\.(\d)\.weight", r"gate_dnn_final_layer.\1.weight"),
        ),
    ),
    Case(
        "omoe",
        MIXED,
        OURS | {"num_experts": EXPERTS},
        partial(make, "MMOE", num_experts=EXPERTS, **SIZES),
        call,
        (*TOWERS, mlps("experts", "expert_dnn"), Rule(r"gate\.weight", "gate_dnn_final_layer.0.weight")),
        tie=tie_gates,
    ),
    Case(
        "cgc",
        MIXED,
        OURS | {"num_task_experts": 2, "num_shared_experts": 2},
        partial(make, "PLE", num_levels=1, **SIZES, **TWO_AND_TWO),
        call,
        (
            *TOWERS,
            Rule(r"experts\.layers\.(\d)\.(\d)\.(.*)", lambda m: expert("0", m[2], f"{m[1]}.{m[3]}")),
            Rule(r"task_gates\.(\d)\.weight", r"specific_gate_dnn_final_layer.0.\1.weight"),
        ),
        unread=r"shared_gate_dnn_final_layer\.0\.weight",
    ),
    Case(
        "ple",
        MIXED,
        {"level_dims": (WIDTH, WIDTH), "tower_dims": TOWER, "num_task_experts": 2, "num_shared_experts": 2},
        partial(make, "PLE", num_levels=2, **SIZES | {"expert_dnn_hidden_units": (WIDTH,)}, **TWO_AND_TWO),
        call,
        (
            *TOWERS,
            Rule(r"levels\.(\d)\.experts\.(\d)\.(.*)", lambda m: expert(m[1], m[2], f"0.{m[3]}")),
            Rule(r"levels\.(\d)\.task_gates\.(\d)\.weight", r"specific_gate_dnn_final_layer.\1.\2.weight"),
            Rule(r"levels\.(\d)\.shared_gate\.0\.weight", r"shared_gate_dnn_final_layer.\1.weight"),
        ),
        unread=r"shared_gate_dnn_final_layer\.1\.weight",
    ),
    Case(
        "esmm",
        FUNNEL,
        {"tower_dims": LAYERS},
        partial(make, "ESMM", tower_dnn_hidden_units=LAYERS),
        call,
        (
            *tables(FUNNEL, "embedding_dict"),
            Rule(r"hidden\.layers\.(\d)\.0\.(.*)", r"ctr_dnn.linears.\1.\2"),
            Rule(r"hidden\.layers\.(\d)\.1\.(.*)", r"cvr_dnn.linears.\1.\2"),
            Rule(r"towers\.output\.0\.weight", "ctr_dnn_final_layer.weight"),
            Rule(r"towers\.output\.1\.weight", "cvr_dnn_final_layer.weight"),
            Rule(r"towers\.output\.0\.bias", "out.bias"),
        ),
        tie=tie_output_biases,
    ),
)
