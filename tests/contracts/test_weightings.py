"""What every registered weighting keeps to, whoever wrote it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict

import pytest
import torch
from hydra import compose, initialize
from omegaconf import OmegaConf
from torch import Tensor, nn

from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import weightings
from benchmark.training.gradients import GradientEngine
from benchmark.weightings import GramWeighting, JacobianWeighting, Weighting

TASKS = tuple(
    Task(name, kind)
    for name, kind in (
        ("a", BINARY),
        ("b", REGRESSION),
        ("c", BINARY),
        ("d", REGRESSION),
    )
)
STEPS_PER_EPOCH = 4

pytestmark = pytest.mark.parametrize("name", weightings.names())


class Toy(nn.Module):
    """Embedding, trunk and a head per task, which starts the same wherever it stands."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.embedding = nn.Embedding(9, 4)
            self.trunk = nn.Linear(4, 6)
            heads = [nn.Linear(6, 1) for _ in TASKS]
        self.heads = nn.ModuleList(heads[task] for task in order)

    def forward(self, x_B: Tensor) -> Tensor:
        hidden_BH = torch.tanh(self.trunk(self.embedding(x_B)))
        return torch.cat([head(hidden_BH) for head in self.heads], dim=1)


class Training:
    """A miniature of the trainer: one weighting, the tasks of these numbers in this order, batches by number."""

    def __init__(self, name: str, order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        torch.manual_seed(5)
        self.order = order
        self.weighting: Weighting = weightings.build(weightings.config(name), tuple(TASKS[task] for task in order))
        self.model = Toy(order)
        groups = [{"params": list(self.model.parameters())}, *self.weighting.param_groups()]
        self.optimizer = torch.optim.Adam(groups, lr=0.01)
        self.backward = self._backward()

    def _backward(self) -> Callable[[Tensor, Tensor, Tensor | None], None]:
        if isinstance(self.weighting, (GramWeighting, JacobianWeighting)):
            engine = GradientEngine(self.model, self.weighting)
            names = [task.name for task in self.weighting.tasks]
            return lambda losses_T, active_T, extra: engine.backward(
                losses_T, active_T, extra, dict(zip(names, losses_T, strict=True))
            )
        return lambda losses_T, active_T, extra: torch.autograd.backward(self.weighting(losses_T, active_T))

    def losses(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(number)
        x_B = torch.randint(9, (16,), generator=generator)
        target_BT = torch.randn(16, len(TASKS), generator=generator)[:, self.order]
        return (self.model(x_B) - target_BT).square().mean(0)  # type: ignore[no-any-return]

    def step(self, number: int, active: tuple[bool, ...] | None = None) -> None:
        active_T = torch.tensor(active or (True,) * len(self.order))
        losses_T = self.losses(number) * active_T
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(losses_T, active_T, None)
        self.optimizer.step()
        with torch.no_grad():
            self.weighting.after_step(losses_T.detach(), lambda: self.losses(number) * active_T)
        if (number + 1) % STEPS_PER_EPOCH == 0:
            self.weighting.on_epoch_end(losses_T.detach())

    def weights(self) -> Tensor:
        return self.weighting.effective_weights().detach().clone()


def assert_equal_states(first: nn.Module, second: nn.Module) -> None:
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0, equal_nan=True)


def test_its_config_composes_into_the_one_that_python_makes(name: str) -> None:
    with initialize(version_base=None, config_path=None):
        composed = compose(overrides=[f"+weighting={name}"])
    expected = asdict(weightings.config(name))
    assert OmegaConf.to_container(composed.weighting) == OmegaConf.to_container(OmegaConf.create(expected))
    assert asdict(RunConfig(weighting=name))["weighting"] == expected  # type: ignore[arg-type]


def test_its_docstring_has_a_paper_and_shapes(name: str) -> None:
    text = weightings.get(name).__doc__ or ""
    assert "Paper:" in text
    assert "arXiv" in text or "doi" in text
    assert "Shape:" in text


def test_a_resumed_run_goes_on_exactly(name: str) -> None:
    training = Training(name)
    for number in range(6):
        training.step(number)
    resumed = Training(name)
    resumed.model.load_state_dict(training.model.state_dict())
    resumed.weighting.load_state_dict(copy.deepcopy(training.weighting.state_dict()))
    resumed.optimizer.load_state_dict(copy.deepcopy(training.optimizer.state_dict()))
    for number in range(6, 16):
        training.step(number)
        resumed.step(number)
        assert torch.equal(training.weights(), resumed.weights())
    assert_equal_states(training.model, resumed.model)
    assert_equal_states(training.weighting, resumed.weighting)


def test_its_state_is_tensors_only(name: str) -> None:
    training = Training(name)
    training.step(0)
    assert all(isinstance(value, Tensor) for value in training.weighting.state_dict().values())


def test_permuting_tasks_permutes_the_weights(name: str) -> None:
    # two tasks, since a random order of three is no function of their names
    straight, swapped = Training(name, (1, 2)), Training(name, (2, 1))
    for number in range(10):
        straight.step(number)
        swapped.step(number)
    torch.testing.assert_close(swapped.weights(), straight.weights().flip(0), rtol=1e-4, atol=1e-6)


def test_with_one_task_it_is_that_loss_up_to_scale(name: str) -> None:
    training = Training(name, (1,))
    for number in range(6):
        training.model.zero_grad()
        torch.autograd.backward(training.losses(number).sum())
        plain = torch.cat([p.grad.flatten() for p in training.model.parameters() if p.grad is not None])
        training.step(number)
        found = torch.cat([p.grad.flatten() for p in training.model.parameters() if p.grad is not None])
        factor = found.norm() / plain.norm()
        assert factor > 0
        torch.testing.assert_close(found, factor * plain, rtol=1e-4, atol=1e-6)


def test_a_task_without_labels_changes_nothing_for_the_others(name: str) -> None:
    with_empty, without = Training(name, (0, 1, 3)), Training(name, (0, 1))
    for number in range(10):
        with_empty.step(number, (True, True, False))
        without.step(number)
    # a method may give the empty task a share of its weights: a common scale, of which Adam takes little notice
    shares = [weights_T / weights_T.sum() for weights_T in (with_empty.weights()[:2], without.weights())]
    torch.testing.assert_close(*shares, rtol=1e-3, atol=0)
    torch.testing.assert_close(with_empty.model.trunk.weight, without.model.trunk.weight, rtol=0, atol=5e-3)


def test_its_weights_are_finite_and_one_a_task(name: str) -> None:
    training = Training(name)
    assert training.weights().shape == (len(TASKS),)
    for number, active in enumerate([(True,) * 4, (True, False, True, True), (False,) * 4, (True,) * 4]):
        training.step(number, active)
        assert training.weights().isfinite().all()
        assert not training.weighting.effective_weights().requires_grad
    assert all(p.isfinite().all() for p in training.model.parameters())
