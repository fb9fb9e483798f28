"""Our parameters in those models of NextRec that the other libraries lack."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from architectures import Batch, Schema
from benchmark.contracts.toys import LIKE, SHARE, make_schema
from tests.architectures.peers.case import ALONE, DIM, EXPERTS, LAYERS, TOWER, Case, Rule, import_apart, needs, tables

TWO = make_schema(LIKE, SHARE)
ONE = make_schema(LIKE)  # its POSO has a network for each task, ours a bottom for all: with one task they are the same
ABSENT = ("pyarrow", "pyarrow.dataset", "pyarrow.parquet", "transformers")  # which its models do not use


def make(module: str, model: str, schema: Schema, **sizes: Any) -> nn.Module:
    """A multi-task model."""
    needs("nextrec", ALONE)
    for user_of_pyarrow in ("pandas", "polars"):
        needs(user_of_pyarrow)
        importlib.import_module(user_of_pyarrow)  # now, before there is a dummy
    features = import_apart("nextrec.basic.features", ABSENT)
    library = import_apart(f"nextrec.models.multitask.{module}", ABSENT)
    codes = {f.name: f.cardinality for f in schema.categorical}
    if model == "POSO":
        codes["personal"] = codes["c0"]
    made: nn.Module = getattr(library, model)(
        dense_features=[features.DenseFeature(f.name) for f in schema.numeric],
        sparse_features=[
            features.SparseFeature(name, vocab_size=size, embedding_dim=DIM, padding_idx=None)
            for name, size in codes.items()
        ],
        sequence_features=[],
        target=list(schema.task_names),
        task=["binary"] * len(schema.tasks),
        **sizes,
    )
    return made


def call(model: nn.Module, batch: Batch) -> Tensor:
    """On a dictionary of columns; its outputs are logits."""
    columns = [*batch.categorical.unbind(1), *batch.numeric.unbind(1)]
    named = {f.name: column for f, column in zip(batch.features.fields, columns, strict=True)}
    outputs: Tensor = model(named | {"personal": named["c0"]})
    return outputs.sigmoid()


class Joined(nn.Module):
    """A parameter of theirs that is made of several of ours, which are then `original0`, `original1` and so on.

    Args:
        join: Ours -> theirs.
        split: The opposite.
    """

    def __init__(self, join: Callable[[Tensor], Tensor], split: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.join, self.split = join, split

    def forward(self, *ours: Tensor) -> Tensor:
        """Stacks and joins."""
        return self.join(torch.stack(ours))

    def right_inverse(self, theirs: Tensor) -> tuple[Tensor, ...]:
        """Splits."""
        return self.split(theirs).unbind(0)


def make_cross_stitch(schema: Schema) -> nn.Module:
    """Its stitch has a number for every channel of a pair of tasks; ours has one for all channels."""
    model: Any = make(
        "cross_stitch",
        "CrossStitch",
        schema,
        task_mlp_params={"hidden_dims": [*LAYERS]},
        tower_mlp_params={"hidden_dims": [*TOWER]},
    )
    for layer, width in zip(model.cross_stitch_layers, LAYERS, strict=True):
        joined = Joined(lambda rows_TU, width=width: rows_TU.unsqueeze(2).expand(-1, -1, width), lambda of: of[..., 0])
        parametrize.register_parametrization(layer, "cross_stitch_weight", joined)
    return model


def make_snr_trans(schema: Schema) -> nn.Module:
    """Its gates have a parameter u in the place of noise; with alpha = 1 they are ours in evaluation if u is sigmoid(ours)."""
    towers = [{"hidden_dims": [*TOWER]} for _ in schema.tasks]
    model: Any = make(
        "snr_trans",
        "SNRTrans",
        schema,
        num_experts=EXPERTS,
        expert_mlp_params={"hidden_dims": [*LAYERS]},
        tower_mlp_params_list=towers,
    )
    for gate in model.gates:
        parametrize.register_parametrization(gate, "u", Joined(torch.sigmoid, torch.logit))
        matrices = Joined(
            lambda ours_ROX: ours_ROX.unflatten(2, (EXPERTS, -1)).permute(0, 2, 3, 1),
            lambda theirs_RSHO: theirs_RSHO.permute(0, 3, 1, 2).flatten(2),
        )
        parametrize.register_parametrization(gate, "trans_matrix", matrices)
    return model


def make_poso(schema: Schema) -> nn.Module:
    """Its gates read a field of its own, which has the codes of the user's."""
    return make(
        "poso",
        "POSO",
        schema,
        main_dense_features=[f.name for f in schema.numeric],
        main_sparse_features=[f.name for f in schema.categorical],
        main_sequence_features=[],
        pc_dense_features=[],
        pc_sparse_features=["personal"],
        pc_sequence_features=[],
        tower_mlp_params_list=[{"hidden_dims": [*LAYERS]}],
        gate_hidden_dim=8,
    )


def mlps(ours: str, theirs: str) -> Rule:
    """Parallel MLPs, of one layer each: theirs have a stitch or a gate after every layer."""
    return Rule(rf"{ours}\.layers\.(\d)\.(\d)\.(.*)", rf"{theirs}.\1.\2.mlp.0.\3")


TABLES = tables(TWO, "embedding.embed_dict")
TOWERS = (
    *TABLES,
    Rule(r"towers\.hidden\.layers\.0\.(\d)\.(.*)", r"towers.\1.mlp.0.\2"),
    Rule(r"towers\.output\.(\d)\.(.*)", r"towers.\1.mlp.3.\2"),
)
HEAD = r"head\.prediction\.bias"  # its losses read it

CASES = (
    Case(
        "cross_stitch",
        TWO,
        {"hidden_dims": LAYERS, "tower_dims": TOWER},
        make_cross_stitch,
        call,
        (
            *TOWERS,
            mlps("hidden", "task_layers"),
            Rule(
                r"stitches\.(\d)\.rows\.(\d)",
                r"cross_stitch_layers.\1.parametrizations.cross_stitch_weight.original\2",
            ),
        ),
        unread=HEAD,
    ),
    Case(
        "snr_trans",
        TWO,
        {"num_subnetworks": EXPERTS, "level_dims": LAYERS, "tower_dims": TOWER},
        make_snr_trans,
        call,
        (
            *TOWERS,
            mlps("subnetworks", "expert_layers"),
            Rule(r"connections\.(\d)\.gates\.log_alpha\.(\d)", r"gates.\1.parametrizations.u.original\2"),
            Rule(r"connections\.(\d)\.transforms\.(\d)\.weight", r"gates.\1.parametrizations.trans_matrix.original\2"),
        ),
        fixed={r"gates\.\d\.alpha": 1.0},
        unread=HEAD,
    ),
    Case(
        "poso",
        ONE,
        {"bottom_dims": LAYERS, "tower_dims": (), "gate_dim": 8},
        make_poso,
        call,
        (
            *TABLES,
            Rule(r"personal\.tables\.0\.weight", "embedding.embed_dict.personal.weight"),
            Rule(r"bottom\.layers\.(\d)\.0\.(.*)", r"towers.0.layers.\1.linear.\2"),
            Rule(r"bottom_gates\.hidden\.(\d)\.0\.(.*)", r"towers.0.layers.\1.gate.fc1.\2"),
            Rule(r"bottom_gates\.output\.(\d)\.0\.(.*)", r"towers.0.layers.\1.gate.fc2.\2"),
            Rule(r"towers\.output\.0\.(.*)", r"tower_heads.0.\1"),
        ),
        unread=HEAD,
    ),
)
