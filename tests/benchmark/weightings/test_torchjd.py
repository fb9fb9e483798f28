"""Weightings of torchjd: exact where its defaults are not, with state and randomness of ours; skipped where it is missing."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.settings.registry import Registry, WeightingConfig, weightings
from tests.benchmark.weightings.gradients import JACOBIANS

# exact weights; of torchjd's defaults those of E are wrong
UPGRAD = {
    "A": [1.1111111111111112, 0.7894736842105263],
    "B": [0.5277777777777777, 0.3333333333333333, 0.4152046783625731],
    "C": [0.5, 0.5],
    "E": [32.5, 0.503448275862069],
}
CAGRAD = {
    "A": [0.7041241452319316, 0.5],
    "B": [0.6415403618728617, 0.39154035342940074, 0.3333333333333333],
    "E": [24.41782807865296, 0.5],
}
IMTL_G = {
    "A": [0.5923303169377978, 0.40766968306220214],
    "D": [0.07052017144395643, 0.14104034288791295, 0.7884394856681306],
}
FAIRGRAD_OF_1 = {
    "A": [0.5914611522293678, 0.4070714828838854],
    "B": [0.5117215578639245, 0.3825375155327114, 0.318897599077265],
}
ALIGNED = {"A": [0.5590719156565607, 0.40826106809915186], "E": [0.5033979680471456, 0.007324290741552565]}
MGDA = {"A": [0.6, 0.4], "B": [0.47058823529411753, 0.2941176470588239, 0.23529411764705885]}
NAMES = [
    "aligned_mtl",
    "cagrad",
    "dualproj",
    "fairgrad",
    "gradvac",
    "imtl_g",
    "krum",
    "mgda",
    "pcd",
    "pcgrad",
    "upgrad",
]

needs_torchjd = pytest.mark.skipif("torchjd" not in weightings.names(), reason="the extra torchjd is not installed")


def build(number: int, aggregator: str, seed: int = 0, **parameters: float) -> torch.nn.Module:
    for library in {
        "upgrad": ["quadprog", "qpsolvers"],
        "dualproj": ["quadprog", "qpsolvers"],
        "cagrad": ["cvxpy"],
    }.get(aggregator, []):
        pytest.importorskip(library)
    torch.manual_seed(seed)
    tasks = tuple(Task(f"t{task}", BINARY) for task in range(number))
    config = weightings.config("torchjd", aggregator=aggregator, parameters=parameters)
    weighting: torch.nn.Module = weightings.build(config, tasks)
    return weighting


def ask(weighting: torch.nn.Module, jacobian: Tensor, active: list[bool] | None = None) -> Tensor:
    active_T = torch.tensor(active or [True] * len(jacobian))
    weights: Tensor = weighting.weights(jacobian @ jacobian.T, torch.ones(len(jacobian)), active_T)  # type: ignore[operator]
    return weights


def rows(entries: list[list[float]]) -> Tensor:
    return torch.tensor(entries, dtype=torch.float64)


@needs_torchjd
@pytest.mark.parametrize(
    ("aggregator", "parameters", "expected", "tolerance"),
    [
        ("upgrad", {}, UPGRAD, 1e-6),
        ("cagrad", {"c": 0.5}, CAGRAD, 1e-4),  # its solver's tolerance
        ("imtl_g", {}, IMTL_G, 1e-8),
        ("fairgrad", {"alpha": 1.0}, FAIRGRAD_OF_1, 1e-5),
        ("aligned_mtl", {}, ALIGNED, 1e-8),
        ("mgda", {}, MGDA, 1e-3),
    ],
)
def test_weights_are_exact(
    aggregator: str, parameters: dict[str, float], expected: dict[str, list[float]], tolerance: float
) -> None:
    for case, weights in expected.items():
        jacobian = rows(JACOBIANS[case])
        found = ask(build(len(jacobian), aggregator, **parameters), jacobian)
        assert found.tolist() == pytest.approx(weights, rel=tolerance)


@needs_torchjd
@pytest.mark.parametrize("ratio", [30.0, 300.0])
def test_upgrad_opposes_no_task_on_badly_scaled_losses(ratio: float) -> None:
    jacobian = rows([[1.0, 0.5], [-ratio, 0.4 * ratio]])
    update = ask(build(2, "upgrad"), jacobian) @ jacobian
    assert (jacobian @ update / jacobian.norm(dim=1) > -1e-6 * update.norm()).all()


@needs_torchjd
@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("aggregator", [name for name in NAMES if name != "fairgrad"])
def test_a_common_scale_leaves_the_weights_alone(aggregator: str, factor: float) -> None:
    jacobian = rows(JACOBIANS["B"])
    found = ask(build(3, aggregator), factor * jacobian)
    torch.testing.assert_close(found, ask(build(3, aggregator), jacobian), rtol=1e-5, atol=1e-7)


@needs_torchjd
def test_the_weights_of_fairgrad_have_its_own_scale() -> None:
    jacobian = rows(JACOBIANS["B"])
    found = ask(build(3, "fairgrad", alpha=2.0), 1e-3 * jacobian)
    torch.testing.assert_close(found, 1e4 * ask(build(3, "fairgrad", alpha=2.0), jacobian), rtol=1e-5, atol=0)


@needs_torchjd
@pytest.mark.parametrize("aggregator", [name for name in NAMES if name != "pcd"])
def test_a_zero_gradient_changes_nothing_for_the_others(aggregator: str) -> None:
    jacobian = rows([*JACOBIANS["B"], [0.0] * 4])
    found = ask(build(4, aggregator), jacobian)
    assert found.isfinite().all()
    torch.testing.assert_close(found[:3], ask(build(3, aggregator), jacobian[:3]), rtol=1e-6, atol=1e-9)
    assert ask(build(4, aggregator), 0 * jacobian).tolist() == [1] * 4


@needs_torchjd
@pytest.mark.parametrize("aggregator", NAMES)
@pytest.mark.parametrize("jacobian", [[[1, 0], [-1, 0], [1, 0]], [[1e-3, 1e-3], [-1e3, 1e2], [1, 1]]])
def test_opposite_parallel_and_uneven_gradients_have_finite_weights(
    jacobian: list[list[float]], aggregator: str
) -> None:
    assert ask(build(3, aggregator), rows(jacobian)).isfinite().all()


@needs_torchjd
@pytest.mark.parametrize("aggregator", ["upgrad", "dualproj", "cagrad"])
def test_a_matrix_that_rounding_made_indefinite_is_solved(aggregator: str) -> None:
    weighting = build(3, aggregator)
    gram = rows([[1, -0.5, -0.5], [-0.5, 1, -0.5], [-0.5, -0.5, 1]]) - 1e-7
    weights = weighting.weights(gram, torch.ones(3), torch.ones(3, dtype=torch.bool))  # type: ignore[operator]
    assert weights.isfinite().all()


@needs_torchjd
@pytest.mark.parametrize("aggregator", ["gradvac", "pcd", "pcgrad"])
def test_a_restored_one_goes_on_exactly(aggregator: str) -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 6, generator=generator, dtype=torch.float64) for _ in range(8)]
    weighting = build(4, aggregator)
    for jacobian in batches[:4]:
        ask(weighting, jacobian)
    state = copy.deepcopy(weighting.state_dict())
    resumed = build(4, aggregator, seed=1)
    resumed.load_state_dict(state)
    for jacobian in batches[4:]:
        assert torch.equal(ask(resumed, jacobian), ask(weighting, jacobian))


@needs_torchjd
def test_a_batch_without_one_task_s_labels_keeps_what_is_remembered() -> None:
    weighting = build(3, "gradvac")
    ask(weighting, rows(JACOBIANS["B"]))
    before = weighting.state_phi_t.clone()
    assert before.count_nonzero() > 0
    ask(weighting, rows(JACOBIANS["B"])[[0, 2]], [True, False, True])
    after = weighting.state_phi_t
    assert torch.equal(after[1], before[1])
    assert torch.equal(after[:, 1], before[:, 1])
    assert after[0, 2] != before[0, 2]


@needs_torchjd
@pytest.mark.parametrize("aggregator", ["gradvac", "pcgrad"])
def test_it_draws_nothing_from_the_global_stream(aggregator: str) -> None:
    weighting = build(3, aggregator)
    before = torch.random.get_rng_state()
    ask(weighting, rows(JACOBIANS["D"]))
    assert torch.equal(torch.random.get_rng_state(), before)


@needs_torchjd
def test_an_unknown_parameter_or_a_wrong_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weighting\.parameters: unknown parameter of mgda 'steps'.*max_iters"):
        build(2, "mgda", steps=3.0)
    with pytest.raises(ValueError, match=r"weighting\.parameters: epsilon must be positive"):
        build(2, "mgda", epsilon=-1.0)
    with pytest.raises(ValueError, match="upgrad"):
        weightings.config("torchjd", aggregator="upgrade")


def test_without_the_library_the_error_names_the_extra() -> None:
    code = """
import importlib.util, json
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torchjd" else found(name, *rest)
from benchmark.settings.registry import weightings
try:
    weightings.config("torchjd")
except ValueError as error:
    print(json.dumps([str(error), "torchjd" in weightings.names()]))
"""
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    told, is_listed = json.loads(output)
    assert told == "weighting torchjd needs an extra that is not installed: pip install 'mtlbench[torchjd]'"
    assert not is_listed


def test_an_absent_entry_is_told_as_such() -> None:
    registry = Registry("weighting", "benchmark.weightings", WeightingConfig)
    registry._discovered = True
    registry.absent("theirs", extra="more")
    with pytest.raises(ValueError, match=r"weighting theirs needs an extra .*pip install 'mtlbench\[more\]'"):
        registry.config("theirs")
    assert registry.names() == []
