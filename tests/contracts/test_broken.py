"""Contracts can be broken: what is wrong with an entry is found, and said with what was expected, found and is to be done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hydra.core.config_store import ConfigStore
from torch import Tensor, nn

from architectures import Architecture, Auxiliary, Batch, Schema
from benchmark.contracts import GROUPS, Broken, NotApplicable, cases
from benchmark.datasets import Dataset
from benchmark.settings.registry import REGISTRIES
from benchmark.weightings import GramWeighting, LossWeighting


class Linear(Architecture):
    """A sound one: a Linear a task over the numeric columns and the codes."""

    def __init__(self, schema: Schema, *, scale: float = 1.0) -> None:
        super().__init__(schema)
        self.layer = nn.Linear(len(schema.categorical) * 8 + len(schema.numeric), len(schema.tasks))
        self.scale = scale

    def inputs(self, batch: Batch) -> Tensor:
        codes = nn.functional.one_hot(batch.categorical.long() % 8, 8).flatten(1)
        return torch.cat([codes, batch.numeric], dim=1).to(self.layer.weight.dtype)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        values_BT = self.layer(self.inputs(batch))
        return {task: values_BT[:, number] for number, task in enumerate(self.schema.task_names)}


class TwoColumns(Linear):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {task: output.unsqueeze(1) for task, output in super().forward(batch).items()}


class NoDict(Linear):
    def forward(self, batch: Batch) -> Tensor:  # type: ignore[override]
        return self.layer(self.inputs(batch))  # type: ignore[no-any-return]


class NoTensors(Linear):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {task: output.tolist() for task, output in super().forward(batch).items()}


class NoPair(Linear):
    def training_step(self, batch: Batch) -> dict[str, Tensor]:  # type: ignore[override]
        return self(batch)  # type: ignore[no-any-return]


class Infinite(Linear):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {task: output / 0 for task, output in super().forward(batch).items()}


class OtherTasks(Linear):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return dict(reversed(super().forward(batch).items())) | {"more": batch.labels[:, 0]}


class Unused(Linear):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.unused = nn.Linear(2, 2)


class BatchMean(Linear):
    def inputs(self, batch: Batch) -> Tensor:
        return super().inputs(batch) - super().inputs(batch).mean(0)


class ReadsLabels(Linear):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {task: output + batch.labels.nansum() for task, output in super().forward(batch).items()}


class Unlabelled(Linear):
    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        return self(batch), {"mean": Auxiliary((batch.labels * batch.observed).sum() / batch.observed.sum())}


class Unseeded(Linear):
    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.layer.weight.normal_(generator=torch.Generator().manual_seed(0))
            self.layer.bias.zero_()


class Stateless(Linear):
    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.shift = torch.randn(())

    def inputs(self, batch: Batch) -> Tensor:
        return super().inputs(batch) + self.shift


class Ascending(Linear):
    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {task: -output.detach() - output + output.detach() for task, output in super().forward(batch).items()}

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        return {task: 100 + output for task, output in self(batch).items()}, {}


class Unsuited(Linear):
    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        return "needs what nobody has"


class WrongGates(Linear):
    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        return {self.schema.task_names[0]: {"one": torch.ones(len(batch.labels)), "two": torch.ones(len(batch.labels))}}


class AlwaysDrops(Linear):
    def __init__(self, schema: Schema, *, dropout: float = 0.0) -> None:
        super().__init__(schema)
        self.dropout = dropout

    def inputs(self, batch: Batch) -> Tensor:
        return nn.functional.dropout(super().inputs(batch), self.dropout, training=True)


class NeverDrops(Linear):
    def __init__(self, schema: Schema, *, dropout: float = 0.0) -> None:
        super().__init__(schema)


class Sum(LossWeighting):
    """A sound one: the sum."""

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return losses_T.sum()


class First(Sum):
    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return losses_T.sum() + losses_T[0]


class Forgetful(Sum):
    def __init__(self, tasks: Any) -> None:
        super().__init__(tasks)
        self.steps = 0

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        self.steps += 1
        return losses_T.sum() * self.steps


class Backwards(Sum):
    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return -losses_T.sum()


class MeanOfActive(Sum):
    def __init__(self, tasks: Any) -> None:
        super().__init__(tasks)
        self.register_buffer("last_T", torch.ones(len(tasks)))

    last_T: Tensor

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        self.last_T.copy_(active_T / active_T.sum())
        return (self.last_T * losses_T).sum()


class Moving(MeanOfActive):
    """Its parameter `weights` says that they are chosen, and the steps change them."""

    def __init__(self, tasks: Any, *, weights: float = 1.0) -> None:
        super().__init__(tasks)
        self.last_T.mul_(weights)


class Replaces(MeanOfActive):
    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        self.last_T = torch.ones(len(self.tasks))
        return losses_T.sum()


class Extra(Sum):
    def get_extra_state(self) -> Any:
        return {"steps": 3}

    def set_extra_state(self, state: Any) -> None: ...


class Logarithms(Sum):
    """A loss of 0 has an infinite weight."""

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return torch.where(active_T, losses_T, 1.0).log().sum()


class NeedsEveryLabel(Sum):
    def __init__(self, tasks: Any) -> None:  # without **options, and so without `normalize`
        super().__init__(tasks)

    def forward(self, losses_T: Tensor, active_T: Tensor) -> Tensor:
        return losses_T.sum() / active_T.all()


class StopsSilently(GramWeighting):
    """Its threshold is absolute: small gradients have no weight."""

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return torch.full((len(gram_AA),), float(gram_AA.trace() > 1e-4), dtype=torch.float64)


class WithRunSeed(Dataset):
    """A data set whose split moves with the seed."""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed


SOUND = (("architecture", Linear), ("weighting", Sum))
WRONG = (
    ("architecture", TwoColumns, "outputs are finite and one row each"),
    ("architecture", OtherTasks, "outputs are finite and one row each"),
    ("architecture", NoDict, "outputs are finite and one row each"),
    ("architecture", NoTensors, "outputs are finite and one row each"),
    ("architecture", NoPair, "outputs are finite and one row each"),
    ("architecture", Infinite, "outputs are finite and one row each"),
    ("architecture", Unused, "every parameter gets a gradient"),
    ("architecture", BatchMean, "rows do not see each other in evaluation"),
    ("architecture", ReadsLabels, "outputs do not read labels"),
    ("architecture", Unlabelled, "a batch without labels leaves no nan"),
    ("architecture", Unseeded, "a seed decides the initial values"),
    ("architecture", Stateless, "its state is whole"),
    ("architecture", Ascending, "every loss falls on a learnable toy"),
    ("architecture", Unsuited, "it suits a schema"),
    ("architecture", WrongGates, "gates are shares that sum to one"),
    ("architecture", AlwaysDrops, "two passes in evaluation give the same outputs"),
    ("architecture", NeverDrops, "dropout is on in training"),
    ("weighting", First, "permuting tasks permutes the weights"),
    ("weighting", Forgetful, "a resumed run goes on exactly"),
    ("weighting", Backwards, "with one task it is that loss up to scale"),
    ("weighting", MeanOfActive, "its weights are finite and one a task"),
    ("weighting", Moving, "its parameter weights fixes its weights"),
    ("weighting", Replaces, "its state changes in place"),
    ("weighting", Extra, "its state is tensors only"),
    ("weighting", Logarithms, "hard cases give an update and never a nan"),
    ("weighting", StopsSilently, "hard cases give an update and never a nan"),
    ("dataset", WithRunSeed, "it has a seed of its split or none"),
)


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """Registers the class of the test under this name, and takes it away again."""
    group, cls, *_ = request.node.callspec.params["entry"]
    registry = REGISTRIES[group]
    registry.discover()
    groups = ConfigStore.instance().repo[group]
    registry.register("toy_of_a_test")(cls)
    yield "toy_of_a_test"
    del registry._classes["toy_of_a_test"], groups["toy_of_a_test.yaml"]


def breaks(group: str, name: str, only: str | None = None) -> dict[str, str]:
    """{contract: message} of those that do not hold."""
    found: dict[str, str] = {}
    for case in cases(group, name):
        if only in (None, case.title) and case.title not in found:
            try:
                case.check()
            except Broken as error:
                found[case.title] = str(error)
            except NotApplicable:
                pass
    return found


@pytest.mark.parametrize("entry", SOUND, ids=lambda entry: entry[1].__name__)
def test_a_sound_entry_breaks_none(name: str, entry: tuple[str, type]) -> None:
    assert breaks(entry[0], name) == {}


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry[1].__name__)
def test_what_is_wrong_is_found_and_said(name: str, entry: tuple[str, type, str]) -> None:
    group, _, title = entry
    message = breaks(group, name, title).get(title)
    assert message is not None, f"{title}: not broken"
    assert re.fullmatch(r"expected .+; found .+\. [A-Z].+\.", message), message


@pytest.mark.parametrize("entry", [("architecture", Infinite)], ids=["Infinite"])
def test_the_contract_on_logits_does_not_apply_to_what_is_never_finite(name: str, entry: tuple[str, type]) -> None:
    case, *_ = (case for case in cases(entry[0], name) if case.title == "outputs of binary tasks are logits")
    with pytest.raises(NotApplicable, match="no draw of the parameters gives finite outputs of like, share"):
        case.check()


@pytest.mark.parametrize("entry", [("weighting", NeedsEveryLabel)], ids=["NeedsEveryLabel"])
def test_a_hard_case_is_called_normalised_only_where_it_is(name: str, entry: tuple[str, type]) -> None:
    title = "hard cases give an update and never a nan"
    expected = "expected finite weights with parallel gradients, beside a task without a label, at step 1; found "
    assert breaks(entry[0], name, title)[title].startswith(expected)


def test_an_unknown_group_is_told() -> None:
    with pytest.raises(ValueError, match="unknown group of contracts 'architectur'; did you mean architecture"):
        next(cases("architectur", "mmoe"))
    assert list(GROUPS) == ["architecture", "weighting", "dataset"]
