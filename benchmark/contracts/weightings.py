"""Rules for every weighting, checked in a miniature trainer."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.contracts.expectation import Contracts, expect, expect_close
from benchmark.contracts.interrupted import goes_on_from_its_file
from benchmark.contracts.toys import build, make_schema
from benchmark.kinds import BINARY, REGRESSION
from benchmark.records.record import combines_gradients, has_fixed_weights
from benchmark.schema import Task
from benchmark.seeding import seeded
from benchmark.settings import registry
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.training.step import make_backward
from benchmark.weightings import GramWeighting, JacobianWeighting, LossWeighting, Weighting

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
SHARING = "shared_bottom"


contracts = Contracts()


class ToyModel(nn.Module):
    """Embedding, trunk and one head per task, which starts the same in any position."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.embedding = nn.Embedding(9, 4)
            self.trunk = nn.Linear(4, 6)
            heads = [nn.Linear(6, 1) for _ in TASKS]
        self.heads = nn.ModuleList(heads[task] for task in order)

    def forward(self, x_B: Tensor) -> Tensor:
        """(B,) categories -> (B, T)."""
        hidden_BH = torch.tanh(self.trunk(self.embedding(x_B)))
        return torch.cat([head(hidden_BH) for head in self.heads], dim=1)


class BackwardOfTrainer:
    """Sets the gradients of a step from its losses, its active tasks and an extra loss, as the trainer does."""

    def __init__(self, model: nn.Module, weighting: Weighting) -> None:
        self.made, self.names = make_backward(model, weighting), [task.name for task in weighting.tasks]

    def __call__(self, losses_T: Tensor, active_T: Tensor, extra: Tensor | None = None) -> None:
        """Sets `.grad` of all parameters."""
        self.made.backward(losses_T, active_T, extra, dict(zip(self.names, losses_T, strict=True)))


class Training:
    """A miniature trainer: one weighting, the tasks with these numbers in this order, batches by number."""

    def __init__(self, name: str, order: tuple[int, ...] = (0, 1, 2, 3)) -> None:
        self.order = order
        with torch.random.fork_rng():
            torch.manual_seed(5)
            tasks = tuple(TASKS[task] for task in order)
            config = registry.weightings.config(name)
            if hasattr(config, "target"):  # a method with a target task has the same one in any order
                config.target = TASKS[min(order)].name
            self.weighting: Weighting = registry.weightings.build(config, tasks)
        self.model = ToyModel(order)
        groups = [{"params": list(self.model.parameters())}, *self.weighting.param_groups()]
        self.optimizer = torch.optim.Adam(groups, lr=0.01)
        self.backward = BackwardOfTrainer(self.model, self.weighting)

    def losses(self, number: int) -> Tensor:
        """(T,) losses of the batch with this number."""
        generator = torch.Generator().manual_seed(number)
        x_B = torch.randint(9, (16,), generator=generator)
        target_BT = torch.randn(16, len(TASKS), generator=generator)[:, self.order]
        return (self.model(x_B) - target_BT).square().mean(0)  # type: ignore[no-any-return]

    def step(self, number: int, active: tuple[bool, ...] | None = None) -> None:
        """One update. Tasks that are not active have no label in this batch."""
        active_T = torch.tensor(active or (True,) * len(self.order))
        losses_T = self.losses(number) * active_T
        self.optimizer.zero_grad(set_to_none=True)
        self.backward(losses_T, active_T)
        self.optimizer.step()
        with torch.no_grad():
            self.weighting.after_step(losses_T.detach(), lambda: self.losses(number) * active_T)
        if (number + 1) % STEPS_PER_EPOCH == 0:
            self.weighting.on_epoch_end(losses_T.detach())

    def weights(self) -> Tensor:
        """(T,) effective weights of the last step."""
        return self.weighting.last_weights_T.clone()

    def gradient(self) -> Tensor:
        """All gradients of the model, concatenated."""
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])


@contracts.once("__init__")
def its_configuration_composes_into_the_one_that_python_makes(name: str) -> None:
    """The command line and Python give the same configuration."""
    composed = compose_run(["dataset=shop", f"weighting={name}"]).weighting
    expected = asdict(registry.weightings.config(name))
    remedy = "Give every keyword-only parameter an annotation and a default of that type"
    expect(asdict(composed) == expected, str(expected), asdict(composed), remedy)
    made = asdict(RunConfig(weighting=name))["weighting"]  # type: ignore[arg-type]
    expect(made == expected, str(expected), made, remedy)


@contracts.once("__init__")
def its_configuration_says_whether_it_combines_gradients(name: str) -> None:
    """By the parameter `scope`: from a record, reports know which weightings do nothing where tasks share nothing."""
    config = registry.weightings.config(name)
    of_gradients = issubclass(registry.weightings.get(name), GramWeighting | JacobianWeighting)
    found = combines_gradients(asdict(config))
    wanted = "a parameter `scope`" if of_gradients else "no parameter `scope`"
    remedy = "Give a weighting of gradients the parameters scope and head_gradients, and no other one a parameter scope"
    expect(found == of_gradients, wanted, f"the parameters {', '.join(asdict(config))}", remedy)


@contracts.once("forward", "weights", "combine", decides=True)
def its_weights_are_finite_and_one_a_task(name: str) -> None:
    """For any set of tasks with labels, including none."""
    training = Training(name)
    shape = tuple(training.weights().shape)
    expect(shape == (len(TASKS),), f"shape ({len(TASKS)},)", shape, "Return a scalar that depends on every loss")
    for number, active in enumerate([(True,) * 4, (True, False, True, True), (False,) * 4, (True,) * 4]):
        training.step(number, active)
        weights_T = training.weights()
        labelled = ", ".join(task.name for task, has_label in zip(TASKS, active, strict=True) if has_label)
        expected = (
            f"finite weights of {', '.join(task.name for task in TASKS)}, of which {labelled or 'none'} have labels"
        )
        remedy = "Divide by nothing that is zero for a task without labels, whose loss is 0"
        expect(weights_T.isfinite().all(), expected, weights_T, remedy)
    finite = all(p.isfinite().all() for p in training.model.parameters())
    expect(finite, "finite parameters of the model", "NaN", "Return 0 where no task is active")


@contracts.once("forward", "weights", "combine")
def its_parameter_weights_fixes_its_weights(name: str) -> None:
    """From a record, reports know whose weights were chosen before training: those of the front that others must beat."""
    if not has_fixed_weights(asdict(registry.weightings.config(name))):
        return
    training = Training(name)
    before = training.weights()
    for number in range(2 * STEPS_PER_EPOCH):
        training.step(number)
    remedy = "Call a parameter weights only if it is what the tasks' losses are multiplied by"
    expect_close(training.weights(), before, "the weights of the start after two epochs", remedy, rtol=0, atol=0)


@contracts.once("forward", "weights", "combine")
def a_resumed_run_goes_on_exactly(name: str) -> None:
    """`state_dict` holds everything about the past: what follows is the same to the last bit."""
    training = Training(name)
    for number in range(6):
        training.step(number)
    resumed = Training(name)
    resumed.model.load_state_dict(training.model.state_dict())
    resumed.weighting.load_state_dict(copy.deepcopy(training.weighting.state_dict()))
    resumed.optimizer.load_state_dict(copy.deepcopy(training.optimizer.state_dict()))
    resumed.backward.made.load_state_dict(copy.deepcopy(training.backward.made.state_dict()))
    remedy = "Keep all state in registered buffers and parameters"
    for number in range(6, 16):
        training.step(number)
        resumed.step(number)
        expect_close(resumed.weights(), training.weights(), f"the same weights at step {number + 1}", remedy)
    expect_close(resumed.model.state_dict(), training.model.state_dict(), "the same model", remedy)
    expect_close(resumed.weighting.state_dict(), training.weighting.state_dict(), "the same state", remedy)
    _goes_on_in_the_trainer(name)


def _goes_on_in_the_trainer(name: str) -> None:
    """With an architecture that shares parameters, from the file of its state."""
    schema = make_schema(*TASKS)

    def weighting() -> Weighting:
        with seeded(0, "weighting"):
            return registry.weightings.build(registry.weightings.config(name), schema.tasks)  # type: ignore[no-any-return]

    goes_on_from_its_file(schema, lambda: build(SHARING, schema), weighting)


@contracts.once("get_extra_state", "__init__")
def its_state_is_tensors_only(name: str) -> None:
    """So that it can be saved without pickle."""
    training = Training(name)
    training.step(0)
    others = {
        key: type(value).__name__
        for key, value in training.weighting.state_dict().items()
        if not isinstance(value, Tensor)
    }
    expect(not others, "tensors in state_dict", others, "Register buffers; do not override get_extra_state")


@contracts.once("forward", "weights", "combine")
def its_state_changes_in_place(name: str) -> None:
    """A captured step sees no new tensor."""
    training = Training(name)

    def places() -> dict[str, tuple[int, int]]:
        held = [*training.weighting.named_parameters(), *training.weighting.named_buffers()]
        return {key: (id(tensor), tensor.data_ptr()) for key, tensor in held}

    before, everyone = places(), (True,) * 4
    for number, active in enumerate([everyone, (True, False, True, True), (False,) * 4, *[everyone] * 10]):
        training.step(number, active)
        moved = sorted({key for key, _ in before.items() ^ places().items()})
        remedy = "Change a buffer in place: self.scores_T.copy_(...), .add_(...)"
        expect(not moved, "the same tensors after every step and epoch", f"new ones for {moved}", remedy)


@contracts.once("forward", "weights", "combine")
def permuting_tasks_permutes_the_weights(name: str) -> None:
    """No task is favoured by its position."""
    # two tasks, because a random order of three does not depend on their names
    straight, swapped = Training(name, (1, 2)), Training(name, (2, 1))
    for number in range(10):
        straight.step(number)
        swapped.step(number)
    remedy = "Treat the tasks alike; a random order must not depend on their positions"
    expected = "the weights in the other order for tasks in the other order"
    expect_close(swapped.weights(), straight.weights().flip(0), expected, remedy, rtol=1e-4, atol=1e-6)


@contracts.once("forward", "weights", "combine")
def with_one_task_it_is_that_loss_up_to_scale(name: str) -> None:
    """With one task, every method is plain training of that task."""
    training = Training(name, (1,))
    for number in range(6):
        training.model.zero_grad()
        torch.autograd.backward(training.losses(number).sum())
        plain = training.gradient()
        training.step(number)
        found = training.gradient()
        factor = found.norm() / plain.norm()
        remedy = "Let the update of one task be a positive multiple of its gradient"
        expect(factor > 0, "a gradient that is not zero", factor, remedy)
        expect_close(found, factor * plain, "the direction of the task's own gradient", remedy, rtol=1e-4, atol=1e-6)


@contracts.once("forward", "weights", "combine")
def a_task_without_labels_changes_nothing_for_the_others(name: str) -> None:
    """A task without labels is left out."""
    with_empty, without = Training(name, (0, 1, 3)), Training(name, (0, 1))
    for number in range(10):
        with_empty.step(number, (True, True, False))
        without.step(number)
    remedy = "Leave out tasks whose active_T is False before any sum, mean or solver"
    # a method may give the empty task a share of its weights: a common scale, of which Adam takes little notice
    with_T, without_T = with_empty.weights()[:2], without.weights()
    expected = "the shares of the other tasks as without it"
    expect_close(with_T / with_T.sum(), without_T / without_T.sum(), expected, remedy, rtol=1e-3)
    found, wanted = with_empty.model.trunk.weight, without.model.trunk.weight
    expect_close(found, wanted, "the same trunk as without it", remedy, atol=5e-3)


class Straight(nn.Module):
    """Losses with given values and gradients: linear in shared parameters, and in one parameter of each task.

    Args:
        losses_T: (T,) their values at the start.
        gradients_TP: (T, P) their gradients.
    """

    def __init__(self, losses_T: Tensor, gradients_TP: Tensor) -> None:
        super().__init__()
        self.start_T, self.gradients_TP = losses_T, gradients_TP
        self.shared_P = nn.Parameter(torch.zeros(gradients_TP.shape[1]))
        self.own = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in losses_T)

    def forward(self) -> Tensor:
        """(T,) losses, of which the first step sees the given values."""
        return self.start_T + self.gradients_TP @ self.shared_P + torch.stack(list(self.own))


NEGATIVE = "a negative loss"
CANCELLING = "opposite gradients of unequal length"
HARD_CASES = {
    # the losses, the gradients
    "parallel gradients": ([0.7, 0.2], [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]]),
    "equal gradients": ([0.7, 0.7], [[1.0, 2.0, 0.0], [1.0, 2.0, 0.0]]),
    CANCELLING: ([0.7, 0.2], [[1.0, 2.0, 0.0], [-3.0, -6.0, 0.0]]),
    "conflicting gradients 1e6 apart": ([0.7, 0.2], [[1.0, 0.5, 0.0], [-1e6, 1e5, 0.0]]),
    "orthogonal gradients 1e6 apart": ([0.7, 0.2], [[1.0, 0.0, 0.0], [0.0, 1e6, 0.0]]),
    "tiny gradients": ([0.7, 0.2], [[1e-12, 2e-12, 0.0], [-1e-12, 1e-12, 0.0]]),
    "conflicting gradients of norms 1e6, 1 and 1e-6": (
        [0.7, 0.2, 0.1],
        [[1e6, 0.0, 1.0], [-1.0, 1.0, 0.0], [1e-6, -1e-6, 1e-6]],
    ),
    "a zero gradient": ([0.7, 0.2], [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]),
    "a loss of 0": ([0.7, 0.0], [[1.0, 2.0, 0.0], [1.0, -1.0, 0.0]]),
    "a loss of 1e-30": ([0.7, 1e-30], [[1.0, 2.0, 0.0], [1.0, -1.0, 0.0]]),
    NEGATIVE: ([0.7, -0.3], [[1.0, 2.0, 0.0], [1.0, -1.0, 0.0]]),
    "a loss of 1e8": ([0.7, 1e8], [[1.0, 2.0, 0.0], [1.0, -1.0, 0.0]]),
    "one task": ([0.7], [[1.0, 2.0, 0.0]]),
    "ten tasks": ([0.1 * t for t in range(1, 11)], [[1.0, t - 4.0, (-1.0) ** t] for t in range(10)]),
}


# An update below this share of the shortest gradient is a silent stop.
STOPPED = 1e-6


@contracts.once("forward", "weights", "combine")
def hard_cases_give_an_update_and_never_a_nan(name: str) -> None:
    """Whatever values and gradients the losses have: finite weights, a finite update, and one that is not negligible.

    With the default options and all tasks active; and beside one more task, without a label, with weights scaled to a mean
    of 1 where the method has `normalize`.
    """
    plain = registry.weightings.config(name)
    normalized = {"normalize": True} if hasattr(plain, "normalize") else {}
    scaled = registry.weightings.config(name, **normalized)
    setting = f"{', normalised' if normalized else ''}, beside a task without a label"
    for case, (losses, gradients) in HARD_CASES.items():
        active = [True] * len(losses)
        _check_updates(name, plain, case, "", Straight(torch.tensor(losses), torch.tensor(gradients)), active)
        more = Straight(torch.tensor([*losses, 0.5]), torch.tensor([*gradients, [3.0, 0.0, 1.0]]))
        _check_updates(name, scaled, case, setting, more, [*active, False])


def _check_updates(name: str, config: Any, case: str, setting: str, model: Straight, active: list[bool]) -> None:
    """Checks three steps of a hard case, of which the first has the given losses. Errors name the case, then the setting."""
    tasks, active_T = tuple(Task(f"t{number}", BINARY) for number in range(len(active))), torch.tensor(active)
    weighting: Weighting = registry.weightings.build(config, tasks)
    backward = BackwardOfTrainer(model, weighting)
    learned = [p for group in weighting.param_groups() for p in group["params"]]
    optimizer = torch.optim.Adam(learned or [torch.zeros(1)], 0.01)
    lengths_A = model.gradients_TP[active_T].norm(dim=1)
    shortest = float(lengths_A[lengths_A > 0].min())
    for step in range(3):
        optimizer.zero_grad()
        model.zero_grad()
        losses_T = model() * active_T
        backward(losses_T, active_T)
        optimizer.step()
        with torch.no_grad():
            weighting.after_step(losses_T.detach(), lambda: model() * active_T)
        update_P, where = model.shared_P.grad, f"with {case}{setting}, at step {step + 1}"
        assert update_P is not None
        remedy = "Leave out tasks without a gradient, compare with relative thresholds, and add a floor to what is divided by"
        weights_T = weighting.last_weights_T
        expect(weights_T.isfinite().all(), f"finite weights {where}", weights_T, remedy)
        expect(update_P.isfinite().all(), f"a finite update {where}", update_P, remedy)
        if case == NEGATIVE and isinstance(weighting, LossWeighting):
            expect((weights_T[active_T] > 0).all(), f"a weight above 0 for every task {where}", weights_T, remedy)
        # where gradients cancel out, no update lowers every loss, and zero is an answer
        moves = case == CANCELLING or update_P.norm() > STOPPED * shortest
        expect(moves, f"an update longer than {STOPPED:g} of the shortest gradient {where}", update_P, remedy)
