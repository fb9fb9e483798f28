"""Kinds of tasks: what a label is. An entry of `KINDS` holds all that the harness needs to know about a kind.

A kind decides the loss, the number of outputs, the headline metric with its margin, the check of labels, and how a
prediction is shown. No other code compares names of kinds. To add a kind, write one file, here or in your own package:
a subclass of `Kind`, `register`, and its metrics with `benchmark.metrics.register`. Name the file in the package's
entry points, so that reports of its records find the kind too:

    [project.entry-points."mtlbench.kinds"]
    classes = "mine.classes"

Imports neither torch nor numpy before a method needs them: configuration, records and reports import this module.

R rows, B rows of a batch, K outputs of a task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from benchmark.pieces import pieces
from benchmark.plugins import load_plugins, missing_hint
from benchmark.text import near, unknown

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

BINARY, REGRESSION = "binary", "regression"
Reduction = Literal["none", "mean"]


class Transform(StrEnum):
    """How a regression target was made from a value in its `Task.unit`."""

    IDENTITY = "identity"
    LOG1P = "log1p"

    def undo(self, targets_R: np.ndarray) -> np.ndarray:
        """(R,) targets as values in the unit; infinite on overflow."""
        if self is Transform.IDENTITY:
            return targets_R
        import numpy as np

        with np.errstate(over="ignore"):
            return np.asarray(np.expm1(targets_R))


class TaskLike(Protocol):
    """What a kind may know about a task; see `benchmark.schema.Task`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def num_outputs(self) -> int: ...  # noqa: D102
    @property
    def given(self) -> str | None: ...  # noqa: D102
    @property
    def transform(self) -> Transform: ...  # noqa: D102
    @property
    def target_unit(self) -> str | None: ...  # noqa: D102


class Kind(ABC):
    """One kind of task. Outputs are (B,) or (R,) for a task with one output, (B, K) or (R, K) for a task with K outputs.

    Attributes:
        name: What `Task.kind` and records say.
        plural: The plural in sentences: "binary tasks".
        headline: The metric by which methods are compared and epochs chosen. `metrics.METRICS` has its direction.
        criterion: The metric that enters the monitor `mean`, as a share of the way from its `chance` to its `best`.
        margin: The default margin of the headline metric, as `--margin` takes it: "0.001", or "1%" of the baseline's mean.
        fewest_outputs, most_outputs: The smallest and the largest number of outputs; None: any number.
        is_binary: Is the label 0 or 1, and the output the logit of p(label = 1 | exposure)? Such a task can be a step of
            a funnel, and DeLong's test compares its scores.
        is_standardised: Is the target standardised on train? Then the output is a value, and is put back into the
            target's unit before anything but the loss sees it.
        likelihood_factor: The factor that turns the loss into a negative log likelihood: 1 for a cross entropy, 1/2 for a
            squared error.
    """

    name: ClassVar[str]
    plural: ClassVar[str]
    headline: ClassVar[str]
    criterion: ClassVar[str]
    margin: ClassVar[str]
    fewest_outputs: ClassVar[int] = 1
    most_outputs: ClassVar[int | None] = None
    is_binary: ClassVar[bool] = False
    is_standardised: ClassVar[bool] = False
    likelihood_factor: ClassVar[float] = 1.0

    @abstractmethod
    def loss(self, output: Tensor, label_B: Tensor, *, reduction: Reduction) -> Tensor:
        """The loss of a task on a batch: (B,), or its mean over the rows.

        Args:
            output: (B,) or (B, K), as the model gives it.
            label_B: (B,) float, standardised if the kind is; 0 where not observed.
            reduction: none or mean, as in `torch.nn.functional`.
        """

    @abstractmethod
    def constant(self, task: TaskLike, label_R: np.ndarray) -> float | np.ndarray:
        """The output of the constant predictor, a reference: a number, or (K,).

        Args:
            task: The task.
            label_R: (R,) float64 labels observed in train; if empty, the output is NaN.
        """

    @abstractmethod
    def shown(self, task: TaskLike, output: np.ndarray) -> np.ndarray:
        """(R,) predictions as people read them, and as a recommendation's score takes them: one number per row.

        Args:
            task: The task.
            output: (R,) or (R, K) float64, values in the target's unit if the kind is standardised.
        """

    @abstractmethod
    def check(self, task: TaskLike, label_R: np.ndarray, train_R: np.ndarray) -> None:
        """Refuses labels that are not of this kind.

        Args:
            task: The task.
            label_R: (R,) labels of all splits, finite, or NaN where not observed.
            train_R: The labels observed in train, at least one.

        Raises:
            ValueError: with the task, what was expected and what was found.
        """

    def describe(self, task: TaskLike) -> str:
        """The task in a few words, for the head of its table."""
        return self.name

    def rarity(self, constant: Mapping[str, Any], rows: int | None) -> str | None:
        """How rare the positives of the task are, for the head of its table; None if they are not rare.

        Args:
            constant: Metrics of the constant predictor on test.
            rows: Number of test rows, if known.
        """
        return None

    def trees(self, task: TaskLike) -> dict[str, Any] | None:
        """LightGBM's `objective` and `metric` for the task; None if boosted trees cannot be trained for it."""
        return None


RARE = 0.05
"""The share of positive labels below which a binary task is called rare."""


class Binary(Kind):
    """0 or 1. The output is the logit of p(label = 1 | exposure); for a funnel child, of the joint."""

    name, plural = BINARY, "binary tasks"
    headline, criterion, margin = "auc", "auc", "0.001"
    most_outputs = 1
    is_binary = True

    def loss(self, output: Tensor, label_B: Tensor, *, reduction: Reduction) -> Tensor:
        """Cross entropy."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(output, label_B, reduction=reduction)

    def constant(self, task: TaskLike, label_R: np.ndarray) -> float:
        """The logit of the share of positives. A share of 0 or 1 is moved by half a row, so that the logit is finite."""
        import numpy as np

        if not len(label_R):
            return np.nan
        share = np.clip(label_R.mean(), 0.5 / len(label_R), 1 - 0.5 / len(label_R))
        return float(np.log(share) - np.log1p(-share))

    def shown(self, task: TaskLike, output: np.ndarray) -> np.ndarray:
        """Probabilities; for a funnel child, of the joint."""
        from scipy.special import expit

        return expit(output)

    def check(self, task: TaskLike, label_R: np.ndarray, train_R: np.ndarray) -> None:
        """0 or 1 everywhere, and both in train."""
        import numpy as np

        labels = [label_R[part] for part in pieces(len(label_R))]  # views
        unobserved = sum(int((label == -1).sum()) for label in labels)
        if unobserved:
            raise ValueError(
                f"task {task.name!r}: a label is 0 or 1, found -1 on {unobserved} rows; give NaN where it was not observed, 0 "
                "where the answer is no"
            )
        wrong = [label[~(np.isnan(label) | (label == 0) | (label == 1))] for label in labels]
        if count := sum(map(len, wrong)):
            found = f"{count} others, first {np.concatenate(wrong)[0]:g}"
            raise ValueError(f"task {task.name!r}: a binary label is 0 or 1, found {found}")
        if train_R.min() == train_R.max():
            raise ValueError(
                f"task {task.name!r}: all {len(train_R)} labels in train are of one class, {train_R[0]:.0f}; leave the task out of "
                "dataset.tasks, or choose another split"
            )

    def describe(self, task: TaskLike) -> str:
        """See `Kind.describe`."""
        return f"binary, given {task.given}: outputs are the joint probability with it" if task.given else "binary"

    def rarity(self, constant: Mapping[str, Any], rows: int | None) -> str | None:
        """The share of positive labels where it is below `RARE`: `1.8 % positive, about 508 of 28,905 rows`."""
        rate = constant.get("positive_rate")
        if rate is None or not 0 < rate < RARE:
            return None
        return f"{100 * rate:.2g} % positive" + (f", about {round(rate * rows):,} of {rows:,} rows" if rows else "")

    def trees(self, task: TaskLike) -> dict[str, Any]:
        """See `Kind.trees`."""
        return {"objective": "binary", "metric": "auc"}


class Regression(Kind):
    """A quantity. The output is its value, standardised on train."""

    name, plural = REGRESSION, "regressions"
    headline, criterion, margin = "mse", "r2", "1%"
    most_outputs = 1
    is_standardised = True
    likelihood_factor = 0.5

    def loss(self, output: Tensor, label_B: Tensor, *, reduction: Reduction) -> Tensor:
        """Squared error of the standardised target."""
        from torch.nn.functional import mse_loss

        return mse_loss(output, label_B, reduction=reduction)

    def constant(self, task: TaskLike, label_R: np.ndarray) -> float:
        """The mean."""
        return float(label_R.mean()) if len(label_R) else float("nan")

    def shown(self, task: TaskLike, output: np.ndarray) -> np.ndarray:
        """Values in the task's unit: its transform undone."""
        return task.transform.undo(output)

    def check(self, task: TaskLike, label_R: np.ndarray, train_R: np.ndarray) -> None:
        """Accepts any number. Standardisation checks that the labels vary in train."""

    def describe(self, task: TaskLike) -> str:
        """See `Kind.describe`."""
        return f"regression; target in {task.target_unit or 'its own unit'}"

    def trees(self, task: TaskLike) -> dict[str, Any]:
        """See `Kind.trees`."""
        return {"objective": "regression", "metric": "l2"}


KINDS: dict[str, Kind] = {kind.name: kind for kind in (Binary(), Regression())}
"""{name: kind}, in the order in which reports name them. `get` also looks among installed packages."""


def register(kind: Kind) -> None:
    """Adds a kind. Its metrics may be registered before or after it: they are looked up when needed.

    Raises:
        ValueError: if another kind has the name, or gives the same headline metric another margin; or if the margin is
            invalid.
    """
    from benchmark.statistics import Margin  # brings numpy

    try:
        Margin.parse(kind.margin)
    except ValueError as error:
        raise ValueError(f"kind {kind.name!r}: {error}") from None
    for other in KINDS.values():
        if type(other).__qualname__ == type(kind).__qualname__ and type(other).__module__ == type(kind).__module__:
            continue  # a module may be imported twice
        if other.name == kind.name:
            raise ValueError(f"kind {kind.name!r} is registered twice: {type(other).__name__}, {type(kind).__name__}")
        if other.headline == kind.headline and other.margin != kind.margin:
            raise ValueError(
                f"kind {kind.name!r}: the margin of {kind.headline} is {other.margin} (kind {other.name}), found {kind.margin}"
            )
    KINDS[kind.name] = kind


def get(name: str) -> Kind:
    """The kind of this name.

    Raises:
        ValueError: if there is no such kind, with the nearest and all known names.
    """
    if name not in KINDS:
        load_plugins("kinds")
    if name not in KINDS:
        hint = missing_hint("kinds", has_near=bool(near(name, KINDS)))
        raise ValueError(f"{unknown('kind', name, KINDS)}{hint}")
    return KINDS[name]


def default_margins() -> dict[str, str]:
    """{headline metric: its default margin}, of all kinds."""
    return {kind.headline: kind.margin for kind in KINDS.values()}


def check_headlines(metrics: Iterable[str], also: Iterable[str] = ()) -> None:
    """Refuses a metric that is not the headline metric of a kind. `also` names further metrics that are allowed.

    Raises:
        ValueError: with the nearest and all known names.
    """
    missing = set(metrics) - set(default_margins())
    if missing:
        load_plugins("kinds")
    for metric in sorted(missing - set(default_margins())):
        raise ValueError(unknown("headline metric", metric, [*default_margins(), *also]))


def kind_of_metrics(metrics: Iterable[str]) -> Kind | None:
    """The kind whose headline metric is among these, for tasks whose record does not say their kind. None if there is none."""
    found = set(metrics)
    return next((kind for kind in KINDS.values() if kind.headline in found), None)
