"""When the gradient engine looks at what tasks reach, what it finds, and that it keeps it."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from benchmark.schema import Task
from benchmark.training.gradients import GradientEngine, is_look_due
from benchmark.weightings import GramWeighting

TASKS = (Task("a", "binary"), Task("b", "regression"))
ALL_ACTIVE = torch.tensor([True, True])


class Constant(GramWeighting):
    """Given weights."""

    def __init__(self, given: tuple[float, float]) -> None:
        super().__init__(TASKS)
        self.given = torch.tensor(given, dtype=torch.float64)

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return self.given[active_T]


class DeadAtFirst(nn.Module):
    """Both tasks reach both units; of the second task's labels the first batches have only rows where a unit is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(2))
        with torch.no_grad():
            self.units[0].weight.fill_(1.0), self.units[1].weight.fill_(-1.0)

    def forward(self, x_B1: Tensor) -> dict[str, Tensor]:
        hidden_B = sum(unit(x_B1).relu() for unit in self.units).squeeze(1)
        return {"a": hidden_B, "b": 2 * hidden_B}


def test_what_labelled_rows_do_not_reach_at_first_is_shared_all_the_same() -> None:
    """A task reaches what its output depends on: few labels in the first batches hide nothing for good."""
    model = DeadAtFirst()
    engine = GradientEngine(model, Constant((1.0, 1.0)))
    x_B1 = torch.tensor([[1.0], [2.0], [-1.0], [-2.0]])
    for number in range(6):
        outputs = model(x_B1)
        labelled = torch.tensor([True, True, False, False]) if number < 3 else torch.ones(4, dtype=torch.bool)
        losses_T = torch.stack([outputs["a"].square().mean(), (outputs["b"].square() * labelled).mean()])
        expected = torch.autograd.grad(losses_T.sum(), list(model.parameters()), retain_graph=True)
        engine.backward(losses_T, ALL_ACTIVE, None, outputs)
        for parameter, gradient in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)


class Opening(nn.Module):
    """Two units; a gate for each task and unit decides whether the task reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.units = nn.ModuleList(nn.Linear(3, 1) for _ in range(2))
        self.register_buffer("gates_TE", torch.tensor([[1.0, 1.0], [1.0, 1.0]]))

    gates_TE: Tensor

    def forward(self, x_BD: Tensor) -> dict[str, Tensor]:
        units_BE = torch.cat([unit(x_BD) for unit in self.units], dim=1)
        return dict(zip("ab", (units_BE @ self.gates_TE.T).T, strict=True))


def open_at(gates: list[list[float]], opens: int, steps: int, weights: tuple[float, float] = (2.0, 0.5)) -> list[bool]:
    """Trains with these gates, and with all of them open from step `opens` on: in which steps was the update right?"""
    model, weighting = Opening(), Constant(weights)
    engine, optimizer = GradientEngine(model, weighting), torch.optim.SGD(model.parameters(), lr=0.01)
    right = []
    for number in range(1, steps + 1):
        model.gates_TE.copy_(torch.ones(2, 2) if number >= opens else torch.tensor(gates))
        x_BD = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        outputs = model(x_BD)
        losses_T = torch.stack(
            [(output_B - target).square().mean() for target, output_B in enumerate(outputs.values())]
        )
        per_task = [torch.autograd.grad(loss, list(model.parameters()), retain_graph=True) for loss in losses_T]
        engine.backward(losses_T, ALL_ACTIVE, None, outputs)
        expected = []
        for unit, gate_T in enumerate(model.gates_TE.T):
            is_shared = bool(gate_T.all())
            factors = weights if is_shared else (1.0, 1.0)
            for first, second in list(zip(*per_task, strict=True))[2 * unit : 2 * unit + 2]:
                expected.append(factors[0] * first + factors[1] * second)
        right.append(
            all(
                torch.allclose(torch.zeros_like(p) if p.grad is None else p.grad, gradient)
                for p, gradient in zip(model.parameters(), expected, strict=True)
            )
        )
        optimizer.step()
    return right


@pytest.mark.parametrize(
    "gates",
    [[[1.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]],
    ids=["a unit that none reaches", "a unit that one task reaches", "where every parameter has an owner"],
)
@pytest.mark.parametrize(("opens", "found"), [(2, 2), (6, 8), (7, 8), (40, 64), (66, 100), (101, 128), (130, 200)])
def test_what_opens_later_is_found_at_the_next_look_and_updated_right_from_then_on(
    gates: list[list[float]], opens: int, found: int
) -> None:
    right = open_at(gates, opens, steps=found + 3)
    assert right == [number < opens or number >= found for number in range(1, found + 4)]


def test_no_step_waits_longer_for_a_look_than_it_has_trained_or_than_a_hundred_steps() -> None:
    looks = [step for step in range(1, 10_000) if is_look_due(step)]
    assert looks[:3] == [1, 2, 3]
    assert all(later <= min(2 * earlier, earlier + 100) for earlier, later in pairwise(looks))


def test_what_was_found_goes_into_a_state_and_comes_back() -> None:
    def make() -> tuple[nn.Module, GradientEngine]:
        torch.manual_seed(0)
        model = DeadAtFirst()
        return model, GradientEngine(model, Constant((2.0, 3.0)))

    model, engine = make()
    x_B1 = torch.tensor([[1.0], [2.0], [-1.0], [-2.0]])
    for _ in range(4):
        engine.backward(torch.stack([o.square().mean() for o in model(x_B1).values()]), ALL_ACTIVE, None, model(x_B1))
    other, resumed = make()
    resumed.load_state_dict(json.loads(json.dumps(engine.state_dict())))
    assert resumed.state_dict() == engine.state_dict()
    # step 5 looks at nothing: what is shared comes from the state
    outputs = other(x_B1)
    losses_T = torch.stack([output.square().mean() for output in outputs.values()])
    per_task = [torch.autograd.grad(loss, list(other.parameters()), retain_graph=True) for loss in losses_T]
    resumed.backward(losses_T, ALL_ACTIVE, None, outputs)
    for parameter, first, second in zip(other.parameters(), *per_task, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * first + 3 * second)
