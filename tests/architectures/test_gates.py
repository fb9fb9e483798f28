from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from architectures import Architecture
from architectures.gates import DSelectK, Gate, Gated, GateOptions, Gates, smooth_step
from architectures.layers import FeatureEmbedding
from benchmark.contracts.toys import build, make_batch, training_loss
from benchmark.embeddings import EMBEDDING_STD
from benchmark.rows import Batch
from benchmark.schema import Schema
from benchmark.settings.registry import architectures, plain
from tests.architectures import test_adatt, test_cgc, test_escm2, test_metaheac, test_ml_mmoe, test_stem
from tests.architectures.loops import (
    assert_is_by_batch,
    assert_is_by_input,
    assert_is_by_row,
    dselect_k,
    mix,
    mlp,
    tower,
    unit,
)
from tests.toys import C0, assert_reach, count_parameters

SMALL: dict[str, dict[str, Any]] = {
    "mmoe": {"embedding_dim": 8, "num_experts": 4, "expert_dims": (16,), "tower_dims": (8,)},
    "omoe": {"embedding_dim": 8, "num_experts": 5, "expert_dims": (16,), "tower_dims": (8,)},
    "ple": {"embedding_dim": 8, "num_shared_experts": 2, "num_task_experts": 2, "level_dims": (16, 12)},
    "cgc": test_cgc.SMALL,
    "ml_mmoe": test_ml_mmoe.SMALL | {"num_experts": 3},
    "adatt": test_adatt.SMALL | {"num_shared_experts": 1},
    "stem": test_stem.SMALL | {"num_shared_experts": 1},
    "escm2": test_escm2.SMALL | {"form": "dr"},
    "metaheac": test_metaheac.SMALL,
}


def mmoe(model: Architecture, x: Tensor) -> list[Tensor]:
    experts = [mlp(unit(model.experts, e), x) for e in range(4)]
    return [tower(model.towers, t, mix(gate, x, experts)) for t, gate in enumerate(model.task_gates)]


def omoe(model: Architecture, x: Tensor) -> list[Tensor]:
    mixed = mix(model.gate, x, [mlp(unit(model.experts, e), x) for e in range(5)])
    return [tower(model.towers, t, mixed) for t in range(2)]


def ple(model: Architecture, x: Tensor) -> list[Tensor]:
    streams = [x, x, x]
    for level in model.levels:
        experts = [[mlp([level.experts[2 * u + e]], streams[u]) for e in range(2)] for u in range(3)]
        mixed = [mix(gate, streams[t], experts[t] + experts[2]) for t, gate in enumerate(level.task_gates)]
        everything = [expert for own in experts for expert in own]
        streams = mixed + [mix(gate, streams[2], everything) for gate in level.shared_gate]
    return [tower(model.towers, t, streams[t]) for t in range(2)]


def stem(model: Architecture, batch: Batch, row: int) -> list[Tensor]:
    return test_stem.of_row(model, batch, row, 2, 1, stops=True)


ASSERT_IS_LOOP: dict[str, Callable[[Architecture, Batch], None]] = {
    "mmoe": partial(assert_is_by_input, of_input=mmoe),
    "omoe": partial(assert_is_by_input, of_input=omoe),
    "ple": partial(assert_is_by_input, of_input=ple),
    "cgc": partial(assert_is_by_input, of_input=test_cgc.by_loop),
    "ml_mmoe": partial(assert_is_by_input, of_input=test_ml_mmoe.by_loop),
    "adatt": partial(assert_is_by_input, of_input=partial(test_adatt.by_loop, num_own=2, num_shared=1, residual=True)),
    "stem": partial(assert_is_by_row, of_row=stem),
    "escm2": partial(assert_is_by_batch, of_batch=test_escm2.by_hand),
    "metaheac": partial(assert_is_by_row, of_row=test_metaheac.of_row),
}
NAMES = pytest.mark.parametrize("name", ASSERT_IS_LOOP)


def schema_of(name: str) -> Schema:
    return test_escm2.CHAIN if name == "escm2" else C0


def test_all_architectures_with_these_options_are_here() -> None:
    gated = [name for name in architectures.names() if issubclass(architectures.get(name), Gated)]
    assert sorted(gated) == sorted(ASSERT_IS_LOOP)


@pytest.mark.parametrize("gate_k", [1, 2, 3])
@NAMES
def test_with_dselect_k_an_architecture_is_its_equations(name: str, gate_k: int) -> None:
    schema = schema_of(name)
    model = build(name, schema, gate="dselect_k", gate_k=gate_k, gate_gamma=0.7, **SMALL[name])
    spread(model)
    ASSERT_IS_LOOP[name](model, make_batch(schema, 6))


def spread(model: Architecture) -> None:
    """Gates whose bits are hard on some rows and soft on others, and tables that differ, where there are several."""
    gates = [module for module in model.modules() if isinstance(module, DSelectK)]
    assert gates
    for gate in gates:
        torch.nn.init.normal_(gate.weight, std=1.5)
    for module in model.modules():
        if isinstance(module, FeatureEmbedding):
            torch.nn.init.normal_(module.small.weight, std=EMBEDDING_STD)


def make(num_experts: int, k: int = 2, gamma: float = 1.0, seed: int = 0) -> DSelectK:
    torch.manual_seed(seed)
    return DSelectK(32, num_experts, 0.0, k, gamma).double()


def test_parameter_count() -> None:
    assert sum(parameter.numel() for parameter in make(4).parameters()) == 198
    assert count_parameters(build("mmoe", C0, gate="dselect_k", **SMALL["mmoe"])) == 2798


@pytest.mark.parametrize("num_experts", [2, 3, 4, 5, 7, 8, 12])
@pytest.mark.parametrize("k", [1, 2])
def test_weights_are_shares_wherever_the_selectors_settle(num_experts: int, k: int) -> None:
    gate = make(num_experts, k)
    weights_BE = gate.weights(torch.randn(200, gate.out_features, dtype=torch.float64))
    assert weights_BE.min() >= 0
    torch.testing.assert_close(weights_BE.sum(1), torch.ones(200, dtype=torch.float64))
    x = torch.randn(32, dtype=torch.float64)
    loop = dselect_k(gate, x, num_experts)
    torch.testing.assert_close(gate.weights(gate(x)), loop, rtol=1e-10, atol=1e-12)


def test_it_starts_near_the_mean_of_the_experts() -> None:
    gate = make(4)
    weights_BE = gate.weights(gate(0.05 * torch.randn(100, 32, dtype=torch.float64)))
    assert (weights_BE - 0.25).abs().max() < 0.013
    assert gate.weight[:4].abs().max() <= 0.01
    assert 0.04 < gate.weight[4:].abs().max() <= 0.05


@pytest.mark.parametrize("k", [1, 2, 3])
def test_settled_selectors_choose_at_most_k_experts(k: int) -> None:
    gate = make(8, k)
    outputs_BO = torch.randn(300, gate.out_features, dtype=torch.float64)
    outputs_BO[:, : 3 * k] = outputs_BO[:, : 3 * k].sign() / 2
    chosen_B = (gate.weights(outputs_BO) > 0).sum(1)
    assert chosen_B.max() == k
    assert chosen_B.min() >= 1


def test_the_first_bit_is_the_most_significant() -> None:
    gate = make(8, k=1)
    z = torch.tensor([[0.5, -0.5, -0.5, 0.0], [0.5, 0.5, -0.5, 0.0], [-0.5, -0.5, 0.5, 0.0]], dtype=torch.float64)
    assert gate.weights(z).argmax(1).tolist() == [4, 6, 1]


def test_negating_a_bit_exchanges_experts_by_their_codes() -> None:
    gate, x = make(8), torch.randn(50, 32, dtype=torch.float64)
    with torch.no_grad():
        gate.weight.mul_(20)
    before = gate.weights(gate(x))
    with torch.no_grad():
        for parameter in (gate.weight, gate.bias):
            parameter[[1, 4]] *= -1  # the second of three bits, of both selectors
    torch.testing.assert_close(gate.weights(gate(x)), before[:, [e ^ 2 for e in range(8)]])


def test_the_step_is_smooth_and_exact_at_its_ends() -> None:
    for gamma in (0.3, 1.0, 4.0):
        t = torch.linspace(-gamma, gamma, 201, dtype=torch.float64, requires_grad=True)
        step = smooth_step(t, gamma)
        assert all(a <= b for a, b in pairwise(step.tolist()))
        assert step[t <= -gamma / 2].eq(0).all()
        assert step[t >= gamma / 2].eq(1).all()
        assert step[100].item() == pytest.approx(0.5, rel=1e-12)
        (slope,) = torch.autograd.grad(step.sum(), t)
        assert slope[t.abs() >= gamma / 2].abs().max() < 1e-12
        assert slope[100].item() == pytest.approx(1.5 / gamma)


@NAMES
def test_every_parameter_learns_with_dselect_k_and_dropout(name: str) -> None:
    batch = make_batch(schema_of(name), 64)
    model = build(name, schema_of(name), gate="dselect_k", gate_dropout=0.2, **SMALL[name])
    training_loss(model, batch).backward()
    assert all(p.grad is not None and p.grad.any() and p.grad.isfinite().all() for p in model.parameters())
    for weights in model.eval().gates(batch).values():
        torch.testing.assert_close(torch.stack(list(weights.values())).sum(0), torch.ones(64))


def test_reach_is_that_of_a_softmax_gate() -> None:
    expected = {
        r"embedding\..*|experts\..*": "like share",
        r"(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.0\..*": "like",
        r"(task_gates|towers\.hidden\.layers\.\d|towers\.output)\.1\..*": "share",
    }
    assert_reach(build("mmoe", C0, gate="dselect_k", **SMALL["mmoe"]), make_batch(C0, 64), expected)


@pytest.mark.parametrize("kind", ["softmax", "dselect_k"])
def test_dropout_scales_the_kept_weights(kind: str) -> None:
    torch.manual_seed(0)
    gates = Gates(2, 32, 4, GateOptions(kind, 2, 1.0, 0.3))
    outputs_BGO = torch.randn(5000, 2, gates[0].out_features)
    before_BGE, after_BGE = gates.eval().weights(outputs_BGO), gates.train().weights(outputs_BGO)
    torch.testing.assert_close(after_BGE.sum(2), torch.ones(5000, 2))
    is_used_BGE = before_BGE > 0
    dropped = ((after_BGE == 0) & is_used_BGE).sum() / is_used_BGE.sum()
    assert (0.2 if kind == "dselect_k" else 0.28) < dropped < 0.31
    scale_BGE = after_BGE / before_BGE
    for row in range(50):
        found = scale_BGE[row, 0][after_BGE[row, 0] > 0]
        torch.testing.assert_close(found, found[:1].expand_as(found))


@NAMES
def test_dropout_is_drawn_anew_in_training_and_is_off_in_evaluation(name: str) -> None:
    schema = schema_of(name)
    model, without = (build(name, schema, gate_dropout=rate, **SMALL[name]) for rate in (0.3, 0.0))
    batch = make_batch(schema, 64)
    first, second = (model.train()(batch) for _ in range(2))
    assert not any(torch.equal(first[task], second[task]) for task in schema.task_names)
    torch.testing.assert_close(model.eval()(batch), without.eval()(batch), rtol=0, atol=0)


def test_a_row_that_would_lose_all_experts_keeps_its_weights() -> None:
    torch.manual_seed(0)
    gate = Gate(32, 2, dropout=0.9)
    outputs = torch.randn(1000, 2, requires_grad=True)
    weights = gate.weights(outputs)
    assert (weights == outputs.softmax(1)).all(1).float().mean() > 0.7
    weights[:, 0].sum().backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    # what is kept may be too small to divide by
    certain = torch.tensor([[0.0, -100.0]]).expand(1000, 2).requires_grad_()
    gate.weights(certain)[:, 1].sum().backward()
    assert certain.grad is not None
    assert certain.grad.isfinite().all()


@NAMES
def test_options_at_their_defaults_are_not_in_a_runs_identity(name: str) -> None:
    config = architectures.config(name)
    assert {"gate", "gate_k", "gate_gamma", "gate_dropout"}.isdisjoint(plain(config))
    changed = architectures.config(name, gate="dselect_k", gate_k=3, gate_gamma=1, gate_dropout=0.1)
    assert {"gate": "dselect_k", "gate_k": 3, "gate_dropout": 0.1}.items() <= plain(changed).items()
    assert architectures.restored(plain(changed)) == changed
    assert architectures.restored(plain(config)) == config


def test_wrong_options_are_refused() -> None:
    for option, message in {
        "gate_k": "gate_k must be at least 1, found 0",
        "gate_gamma": "gate_gamma must be above 0, found 0",
    }.items():
        with pytest.raises(ValueError, match=message):
            build("mmoe", C0, **{option: 0})
    with pytest.raises(ValueError, match="gate_dropout must be at least 0 and below 1, found 1"):
        build("mmoe", C0, gate_dropout=1.0)
    with pytest.raises(ValueError, match="known: softmax, dselect_k"):
        build("mmoe", C0, gate="topk")
    for option, found in (({"gate_k": 3}, "gate_k=3, gate_gamma=1"), ({"gate_gamma": 0.5}, "gate_k=2, gate_gamma=0.5")):
        with pytest.raises(ValueError, match=f"need gate=dselect_k; found {found} with gate=softmax"):
            build("mmoe", C0, **option)
    with pytest.raises(ValueError, match="gate_k must be at most the number of a gate's experts, 3, found 4"):
        build("mmoe", C0, gate="dselect_k", num_experts=3, gate_k=4)
