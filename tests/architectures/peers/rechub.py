"""Our parameters in the models of torch-rechub, whose batch norms do nothing here: in evaluation, with mean 0 and variance 1."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from architectures import Batch, Schema
from benchmark.contracts.toys import CART, CLICK, make_schema
from tests.architectures.peers.case import (
    CHAIN,
    DIM,
    EXPERTS,
    FUNNEL,
    LAYERS,
    MIXED,
    TOWER,
    WIDTH,
    Case,
    Rule,
    needs,
    tables,
)

CODES_ALONE = make_schema(CLICK, CART, num_numeric=0)  # its ESMM leaves numbers out


def make(model: str, schema: Schema, **sizes: Any) -> nn.Module:
    """A multi-task model."""
    needs("torch_rechub")
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models import multi_task

    codes = [SparseFeature(f.name, vocab_size=f.cardinality, embed_dim=DIM) for f in schema.categorical]
    numbers = [DenseFeature(f.name) for f in schema.numeric]
    halves = {"user_features": codes[:1], "item_features": codes[1:]}
    inputs = halves if model == "ESMM" else {"features": [*codes, *numbers]}
    made: nn.Module = getattr(multi_task, model)(**inputs, **sizes).double()  # in float32, 1 - eps + eps is not 1
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_var.fill_(1 - module.eps)
    return made


def call(model: nn.Module, batch: Batch) -> Tensor:
    """On a dictionary of columns."""
    columns = [*batch.categorical.unbind(1), *batch.numeric.unbind(1)]
    outputs: Tensor = model({f.name: column for f, column in zip(batch.features.fields, columns, strict=True)})
    return outputs


def call_esmm(model: nn.Module, batch: Batch) -> Tensor:
    """Without its first column, the conversion given a click."""
    return call(model, batch)[:, 1:]


def linear(layer: str, rest: str) -> str:
    """A layer's Linear in an MLP of Linear, batch norm, activation and dropout."""
    return f"mlp.{4 * int(layer)}.{rest}"


def mlps(ours: str, theirs: str) -> Rule:
    """Parallel MLPs."""
    return Rule(rf"{ours}\.layers\.(\d)\.(\d)\.(.*)", lambda m: f"{theirs}.{m[2]}.{linear(m[1], m[3])}")


def expert(level: str, number: str, rest: str) -> str:
    """Ours are numbered task by task, the shared ones last; here both tasks have two."""
    kind = f"experts_specific.{number}" if int(number) < 4 else f"experts_shared.{int(number) - 4}"
    return f"cgc_layers.{level}.{kind}.{rest}"


def tie_transfers(ours: Any, peer: Any) -> None:
    """One attention for all steps."""
    peer.aits[1] = peer.aits[0]


def transposed(matrix: Tensor) -> Tensor:
    """A Linear's weight has its outputs first."""
    return matrix.t()


NORMS = {r".*\.mlp\.[15]\.weight": 1.0, r".*\.mlp\.[15]\.bias": 0.0}
GATE_BIASES = {r"(.*\.)?gates?(_specific|_shared)?(\.\d)?\.mlp\.0\.bias": 0.0}
OURS = {"expert_dims": LAYERS, "tower_dims": TOWER}
TYPES = ["classification", "regression"]
SIZES = {"task_types": TYPES, "expert_params": {"dims": LAYERS}, "tower_params_list": [{"dims": TOWER}] * 2}
TWO_AND_THREE = {"n_expert_specific": 2, "n_expert_shared": 3}

TOWERS = (
    *tables(MIXED, "embedding.embed_dict"),
    mlps(r"towers\.hidden", "towers"),
    Rule(r"towers\.output\.(\d)\.(.*)", lambda m: f"towers.{m[1]}.{linear('1', m[2])}"),
)
AITM = (
    *tables(FUNNEL, "embedding.embed_dict"),
    mlps("hidden", "bottoms"),
    Rule(r"passes\.(\d)\.layers\.0\.0\.(.*)", r"info_gates.\1.mlp.0.\2"),
    Rule(r"transfer\.(query|key|value)_KK", lambda m: f"aits.0.{m[1][0]}_layer.weight", transposed),
    Rule(r"towers\.output\.(\d)\.(.*)", r"towers.\1.mlp.0.\2"),
)


def make_aitm(schema: Schema) -> nn.Module:
    """Its outputs read what the chain gives them, without a hidden layer."""
    num_tasks = len(schema.tasks)
    return make(
        "AITM", schema, n_task=num_tasks, bottom_params={"dims": LAYERS}, tower_params_list=[{"dims": []}] * num_tasks
    )


CASES = (
    Case(
        "shared_bottom",
        MIXED,
        {"bottom_dims": LAYERS, "tower_dims": TOWER},
        partial(
            make,
            "SharedBottom",
            task_types=TYPES,
            bottom_params={"dims": LAYERS},
            tower_params_list=[{"dims": TOWER}] * 2,
        ),
        call,
        (*TOWERS, Rule(r"bottom\.layers\.(\d)\.0\.(.*)", lambda m: f"bottom_mlp.{linear(m[1], m[2])}")),
        NORMS,
    ),
    Case(
        "mmoe",
        MIXED,
        OURS | {"num_experts": EXPERTS},
        partial(make, "MMOE", n_expert=EXPERTS, **SIZES),
        call,
        (*TOWERS, mlps("experts", "experts"), Rule(r"task_gates\.(\d)\.weight", r"gates.\1.mlp.0.weight")),
        NORMS | GATE_BIASES,
    ),
    Case(
        "cgc",
        MIXED,
        OURS | {"num_task_experts": 2, "num_shared_experts": 3},
        partial(make, "PLE", n_level=1, **SIZES, **TWO_AND_THREE),
        call,
        (
            *TOWERS,
            Rule(r"experts\.layers\.(\d)\.(\d)\.(.*)", lambda m: expert("0", m[2], linear(m[1], m[3]))),
            Rule(r"task_gates\.(\d)\.weight", r"cgc_layers.0.gates_specific.\1.mlp.0.weight"),
        ),
        NORMS | GATE_BIASES,
    ),
    Case(
        "ple",
        MIXED,
        {"level_dims": (WIDTH, WIDTH), "tower_dims": TOWER, "num_task_experts": 2, "num_shared_experts": 3},
        partial(make, "PLE", n_level=2, **SIZES | {"expert_params": {"dims": (WIDTH,)}}, **TWO_AND_THREE),
        call,
        (
            *TOWERS,
            Rule(r"levels\.(\d)\.experts\.(\d)\.(.*)", lambda m: expert(m[1], m[2], linear("0", m[3]))),
            Rule(r"levels\.(\d)\.task_gates\.(\d)\.weight", r"cgc_layers.\1.gates_specific.\2.mlp.0.weight"),
            Rule(r"levels\.(\d)\.shared_gate\.0\.weight", r"cgc_layers.\1.gate_shared.mlp.0.weight"),
        ),
        NORMS | GATE_BIASES,
    ),
    Case(
        "esmm",
        CODES_ALONE,
        {"tower_dims": LAYERS},
        partial(make, "ESMM", ctr_params={"dims": LAYERS}, cvr_params={"dims": LAYERS}),
        call_esmm,
        (
            *tables(CODES_ALONE, "embedding.embed_dict"),
            Rule(r"hidden\.layers\.(\d)\.0\.(.*)", lambda m: f"tower_ctr.{linear(m[1], m[2])}"),
            Rule(r"hidden\.layers\.(\d)\.1\.(.*)", lambda m: f"tower_cvr.{linear(m[1], m[2])}"),
            Rule(r"towers\.output\.0\.(.*)", lambda m: f"tower_ctr.{linear('2', m[1])}"),
            Rule(r"towers\.output\.1\.(.*)", lambda m: f"tower_cvr.{linear('2', m[1])}"),
        ),
        NORMS,
    ),
    Case("aitm", FUNNEL, {"tower_dims": LAYERS}, make_aitm, call, AITM, NORMS),
    Case("aitm", CHAIN, {"tower_dims": LAYERS}, make_aitm, call, AITM, NORMS, tie=tie_transfers),
)
