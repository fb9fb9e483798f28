from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from tests.architectures.loops import assert_is_by_input, linear, tower
from tests.toys import C0, assert_equal_outputs, assert_reach, count_parameters, swap_two

SMALL: dict[str, Any] = {"embedding_dim": 8, "num_subnetworks": 4, "level_dims": (16, 12), "tower_dims": (8,)}
THREE = make_schema(LIKE, SECONDS, SHARE)
BOTH = pytest.mark.parametrize("name", ["snr_trans", "snr_aver"])


def of_row(model: Any, x: Tensor, gates: list[Tensor]) -> list[Tensor]:
    """The equations, with a loop over connections; the gates of each level are given."""
    inputs = [x] * len(model.subnetworks.first)
    for level, connections, z in zip(model.subnetworks.layers, model.connections, gates, strict=True):
        outputs = [linear(layer, value).relu() for layer, value in zip(level, inputs, strict=True)]
        width = len(outputs[0])
        inputs = []
        for r in range(len(z)):
            total = torch.zeros(width).to(x)
            for s, output in enumerate(outputs):
                passed = output
                if connections.transforms:
                    matrix = connections.transforms[r].weight[:, s * width : (s + 1) * width]
                    passed = torch.stack([(row * output).sum() for row in matrix])
                total = total + z[r, s] * passed
            inputs.append(total)
    return [tower(model.towers, k, value) for k, value in enumerate(inputs)]


def set_gates(model: Any, *log_alphas: Tensor) -> None:
    for connections, values in zip(model.connections, log_alphas, strict=True):
        for log_alpha, row in zip(connections.gates.log_alpha, values, strict=True):
            log_alpha.data = row.clone()


def pin(model: Any, value: float) -> None:
    """All gates open (10) or closed (-10), in evaluation and, beyond doubt, in training."""
    for connections in model.connections:
        for log_alpha in connections.gates.log_alpha:
            torch.nn.init.constant_(log_alpha, 10 * value)


def identities(model: Any) -> None:
    for connections in model.connections:
        for transform in connections.transforms:
            width = transform.out_features
            transform.weight.data = torch.eye(width).repeat(1, transform.in_features // width)


@BOTH
@pytest.mark.parametrize("level_dims", [(16,), (16, 12, 10)])
def test_in_evaluation_it_is_its_equations(name: str, level_dims: tuple[int, ...]) -> None:
    model = build(name, THREE, **SMALL | {"level_dims": level_dims}).eval()
    set_gates(model, *(torch.randn(4 if level < len(level_dims) else 3, 4) for level in range(1, len(level_dims) + 1)))

    def slow(model: Any, x: Tensor) -> list[Tensor]:
        alphas = [torch.stack(list(connections.gates.log_alpha)) for connections in model.connections]
        return of_row(model, x, [(alpha.sigmoid() * 1.2 - 0.1).clamp(0, 1) for alpha in alphas])

    assert_is_by_input(model, make_batch(THREE, 5), slow)


@BOTH
def test_in_training_every_connection_draws_once_for_all_rows(name: str) -> None:
    model, batch = build(name, THREE, **SMALL).double(), make_batch(THREE, 5)
    set_gates(model, torch.randn(4, 4).double(), torch.randn(3, 4).double())
    torch.manual_seed(7)
    fast = torch.stack(list(model(batch).values()), dim=1)
    torch.manual_seed(7)
    gates = []
    for connections in model.connections:
        alpha = torch.stack(list(connections.gates.log_alpha))
        u = torch.rand(alpha.shape, dtype=torch.float64)
        stretched = ((u.log() - (1 - u).log() + alpha) * 1.5).sigmoid() * 1.2 - 0.1
        gates.append(stretched.clamp(0, 1))
    row = partial(of_row, model, gates=gates)
    slow = torch.stack([torch.stack(row(x)) for x in model.embedding(batch).dense()])
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    parameters = list(model.parameters())
    gradients = [torch.autograd.grad(output.square().sum(), parameters) for output in (fast, slow)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("name", "count"), [("snr_trans", 8426), ("snr_aver", 3178)])
def test_parameter_count(name: str, count: int) -> None:
    assert count_parameters(build(name, C0, **SMALL)) == count


@BOTH
def test_reach(name: str) -> None:
    own = r"(connections\.1\.(gates\.log_alpha|transforms)|towers\.(hidden\.layers\.\d|output))\.{}.*"
    expected = {
        r"embedding\..*|subnetworks\..*|connections\.0\..*": "like share",
        own.format(0): "like",
        own.format(1): "share",
    }
    assert_reach(build(name, C0, **SMALL).eval(), make_batch(C0, 64), expected)


def test_with_identities_as_transformations_trans_is_aver() -> None:
    trans, aver = build("snr_trans", C0, **SMALL), build("snr_aver", C0, **SMALL)
    identities(trans)
    aver.load_state_dict({key: value for key, value in trans.state_dict().items() if "transforms" not in key})
    batch = make_batch(C0, 32)
    assert_equal_outputs(trans.eval()(batch), aver.eval()(batch))


@BOTH
def test_a_subnetwork_for_each_task_and_identity_gates_are_single_task(name: str) -> None:
    single = build("single_task", C0, embedding_dim=8, hidden_dims=(16, 12), tower_dims=(8,))
    model, batch = build(name, C0, **SMALL | {"num_subnetworks": 2}).eval(), make_batch(C0, 32)
    identities(model)
    set_gates(model, *[20 * torch.eye(2) - 10] * 2)
    for task, network in enumerate(single.networks):
        for layer, own in zip(model.subnetworks.layers, network.hidden.layers, strict=True):
            layer[task].load_state_dict(own[0].state_dict())
        model.towers.hidden.layers[0][task].load_state_dict(network.tower.hidden.layers[0][0].state_dict())
        model.towers.output[task].load_state_dict(network.tower.output[0].state_dict())
    assert_equal_outputs(model(batch), single(batch))


@BOTH
def test_with_all_gates_closed_all_rows_have_one_output(name: str) -> None:
    model = build(name, C0, **SMALL)
    pin(model, -1)
    for output in model.eval()(make_batch(C0, 32)).values():
        assert output.unique().numel() == 1


@BOTH
def test_draws_differ_in_training_alone_and_not_where_gates_are_open(name: str) -> None:
    model, batch = build(name, C0, **SMALL), make_batch(C0, 8)
    assert not torch.equal(model(batch)["like"], model(batch)["like"])
    assert_equal_outputs(model.eval()(batch), model(batch))
    pin(model, 3)
    assert_equal_outputs(model.train()(batch), model.eval()(batch))


@BOTH
def test_swapping_tasks_swaps_outputs(name: str) -> None:
    model, swapped = build(name, C0, **SMALL).eval(), build(name, C0, seed=1, **SMALL).eval()
    set_gates(model, torch.randn(4, 4), torch.randn(2, 4))
    patterns = (
        r"connections\.1\.(?:gates\.log_alpha|transforms)\.(\d)",
        r"towers\.hidden\.layers\.\d\.(\d)",
        r"towers\.output\.(\d)",
    )
    swapped.load_state_dict(swap_two(model.state_dict(), *patterns))
    batch = make_batch(C0, 32)
    outputs = model(batch)
    assert_equal_outputs(swapped(batch), {"like": outputs["share"], "share": outputs["like"]})


@BOTH
def test_the_extra_loss_is_the_probability_of_an_open_gate_for_each_connection(name: str) -> None:
    model = build(name, C0, l0_weight=0.5, gate_start=0.0, **SMALL)
    _, auxiliaries = model.training_step(make_batch(C0, 8))
    assert list(auxiliaries) == ["l0"]
    assert auxiliaries["l0"].task is None
    # 4 x 4 and 2 x 4 connections, and sigmoid(2/3 log 11) = 0.83182 at the start
    assert auxiliaries["l0"].value.item() == pytest.approx(0.5 * 24 * 0.83182, rel=1e-4)


@BOTH
def test_without_weight_there_is_no_extra_loss(name: str) -> None:
    assert build(name, C0, l0_weight=0.0, **SMALL).training_step(make_batch(C0, 8))[1] == {}


@BOTH
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_subnetworks": 1}, "num_subnetworks must be at least 2, found 1"),
        ({"level_dims": ()}, "layer widths must be at least one number"),
        ({"l0_weight": -1.0}, "l0_weight must be at least 0, found -1.0"),
    ],
)
def test_what_is_out_of_range_is_refused(name: str, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, C0, **wrong)
