"""Standardised targets, and one loss per task over the rows whose label is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmark.kinds import BINARY, REGRESSION
from benchmark.rows import Batch, Features, Split
from benchmark.schema import Auxiliary, CategoricalField, Task
from benchmark.training.batches import TrainingRows
from benchmark.training.targets import TargetScale, TaskLosses

LIKED, RATING = Task("liked", BINARY), Task("rating", REGRESSION)
TASKS = (LIKED, RATING)
FIELD = CategoricalField("row", 10)
NAN = np.nan
LABELS = [[0, 10.0], [1, NAN], [1, 30.0], [NAN, 20.0]]


def make_split(labels: list[list[float]]) -> Split:
    rows = len(labels)
    return Split(
        Features((FIELD,), np.arange(rows, dtype=np.int32)[:, None], np.zeros((rows, 0), np.float32)),
        np.array(labels),
    )


def make_batch(labels: list[list[float]], observed: list[list[bool]]) -> Batch:
    label_BT = torch.tensor(labels, dtype=torch.float32)
    nothing = torch.zeros(len(labels), 0)
    return Batch(Features((), nothing.int(), nothing), label_BT, torch.tensor(observed))


def test_regression_targets_are_standardised_by_their_observed_values() -> None:
    scale = TargetScale.of(make_split(LABELS), TASKS)
    assert scale.mean_T.tolist() == [0, 20]
    assert scale.std_T.tolist() == pytest.approx([1, np.std([10, 30, 20])])
    (batch,) = TrainingRows(make_split(LABELS), scale, torch.device("cpu")).slices()
    assert batch.observed.tolist() == [[True, True], [True, False], [True, True], [False, True]]
    assert batch.labels[:, 0].tolist() == [0, 1, 1, 0]
    known = batch.labels[batch.observed[:, 1], 1]
    assert float(known.mean()) == pytest.approx(0, abs=1e-6)
    assert float(known.std(unbiased=False)) == pytest.approx(1)
    assert batch.labels.isfinite().all()


@pytest.mark.parametrize(("target", "found"), [(5.0, r"the constant 5\.0"), (NAN, "no observed value")])
def test_a_target_that_does_not_vary_is_refused(target: float, found: str) -> None:
    with pytest.raises(ValueError, match=f"task 'rating': expected a regression target that varies.*{found}"):
        TargetScale.of(make_split([[0, target], [1, target]]), TASKS)


def test_a_constant_whose_mean_is_rounded_does_not_vary() -> None:
    with pytest.raises(ValueError, match=r"found the constant 0\.1"):
        TargetScale.of(make_split([[0.1]] * 7), (RATING,))


def test_features_are_shared_and_not_copied() -> None:
    split = make_split([[row % 2, row] for row in range(10)])
    (batch,) = TrainingRows(split, TargetScale.of(split, TASKS), torch.device("cpu")).slices()
    codes = split.features.categorical
    assert np.shares_memory(batch.categorical.numpy(), codes)
    codes.flags.writeable = False
    assert not np.shares_memory(split.features.to("cpu").categorical.numpy(), codes)


def test_every_row_comes_once_an_epoch_in_an_order_of_its_own() -> None:
    split = make_split([[row % 2, row] for row in range(10)])
    rows = TrainingRows(split, TargetScale.of(split, TASKS), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    epochs = []
    for _ in range(2):
        batches = [batch.categorical.flatten().tolist() for batch in rows.batches(4, generator)]
        assert [len(batch) for batch in batches] == [4, 4, 2]
        epochs.append([row for batch in batches for row in batch])
        assert sorted(epochs[-1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_a_loss_is_the_mean_over_the_rows_whose_label_is_known() -> None:
    outputs = {"liked": torch.tensor([0.5, -1.0, 2.0]), "rating": torch.tensor([0.0, 1.0, 5.0])}
    batch = make_batch([[1, 0.5], [0, 0.0], [0, 2.0]], [[True, True], [True, False], [False, True]])
    losses_T, active_T, extra = TaskLosses(TASKS, (False, False))(outputs, {}, batch)
    logits, labels = torch.tensor([0.5, -1.0]), torch.tensor([1.0, 0.0])
    assert float(losses_T[0]) == pytest.approx(float(F.binary_cross_entropy_with_logits(logits, labels)))
    assert float(losses_T[1]) == pytest.approx((0.5**2 + 3.0**2) / 2)
    assert active_T.tolist() == [True, True]
    assert extra is None


def test_rows_without_a_label_send_no_gradient() -> None:
    output = torch.zeros(3, requires_grad=True)
    batch = make_batch([[1], [0], [1]], [[True], [False], [True]])
    losses_T, _, _ = TaskLosses((LIKED,), (False,))({"liked": output}, {}, batch)
    losses_T.sum().backward()
    assert output.grad is not None
    assert output.grad.tolist() == [-0.25, 0, -0.25]


def test_a_task_without_any_label_in_the_batch_is_inactive_and_its_loss_zero() -> None:
    outputs = {"liked": torch.ones(2, requires_grad=True), "rating": torch.ones(2, requires_grad=True)}
    batch = make_batch([[1, 0], [0, 0]], [[True, False], [True, False]])
    losses_T, active_T, _ = TaskLosses(TASKS, (True, False))(outputs, {}, batch)
    assert active_T.tolist() == [True, False]
    assert losses_T.tolist()[1] == 0
    losses_T.sum().backward()
    assert outputs["rating"].grad is not None
    assert outputs["rating"].grad.tolist() == [0, 0]


def test_the_mask_changes_nothing_where_every_label_is_known() -> None:
    torch.manual_seed(0)
    outputs = {"liked": torch.randn(50), "rating": torch.randn(50)}
    labels = torch.stack([(torch.rand(50) > 0.5).float(), torch.randn(50)], dim=1)
    batch = make_batch(labels.tolist(), [[True, True]] * 50)
    plain, masked = (TaskLosses(TASKS, (full, full))(outputs, {}, batch)[0] for full in (True, False))
    torch.testing.assert_close(plain, masked)


def test_an_auxiliary_goes_to_its_task_or_beside_all() -> None:
    outputs = {"liked": torch.zeros(1), "rating": torch.zeros(1)}
    batch = make_batch([[1, 0]], [[True, True]])
    auxiliaries = {
        "order": Auxiliary(torch.tensor(2.0), task="rating"),
        "sparsity": Auxiliary(torch.tensor(0.25)),
        "entropy": Auxiliary(torch.tensor(0.5)),
    }
    losses_T, _, extra = TaskLosses(TASKS, (True, True))(outputs, auxiliaries, batch)
    assert losses_T.tolist() == pytest.approx([np.log(2), 2.0])
    assert extra is not None
    assert float(extra) == 0.75


def test_an_auxiliary_of_a_task_without_a_label_takes_no_part() -> None:
    outputs = {"liked": torch.zeros(1), "rating": torch.zeros(1)}
    value = torch.tensor(2.0, requires_grad=True)
    losses_T, active_T, _ = TaskLosses(TASKS, (True, False))(
        outputs, {"order": Auxiliary(value, task="rating")}, make_batch([[1, 0]], [[True, False]])
    )
    losses_T.sum().backward()
    assert active_T.tolist() == [True, False] and losses_T.tolist()[1] == 0
    assert value.grad is not None and float(value.grad) == 0
