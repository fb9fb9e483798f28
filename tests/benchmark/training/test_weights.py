"""Weights of rows: a weight of 3 is three equal rows, a weight of 0 is none, and without weights nothing changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from architectures import Batch
from benchmark import RunConfig, TrainerConfig, configure
from benchmark.contracts.toys import CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema
from benchmark.rows import Features, Split
from benchmark.runs.runner import build_data, build_trainer
from benchmark.schema import CategoricalField, Schema
from benchmark.settings.registry import architectures
from benchmark.training.batches import TrainingRows, near_their_mean
from benchmark.training.targets import TargetScale, TaskLosses

MIXED = make_schema(LIKE, SECONDS, cardinalities=(3, 9), num_numeric=1)
FUNNEL = make_schema(CLICK, CART, cardinalities=(3, 9), num_numeric=1)
COUNTS = torch.tensor([3, 0, 1, 2, 1, 0, 4, 1])


def losses_of(schema: Schema, name: str, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """All losses of a training step, and the gradients of their sum, in float64."""
    model = build(name, schema).double()
    losses = TaskLosses(schema.tasks, (False,) * len(schema.tasks))
    losses_T, _, extra = losses(*model.training_step(batch), batch)
    total = losses_T.sum() + (0 if extra is None else extra)
    gradients = torch.autograd.grad(total, list(model.parameters()), allow_unused=True)
    return torch.cat([losses_T, total[None]]), [gradient for gradient in gradients if gradient is not None]


def in_float64(batch: Batch) -> Batch:
    features = batch.features
    wide = Features(features.fields, features.categorical, features.numeric.double())
    return dataclasses.replace(batch, features=wide, labels=batch.labels.double())


@pytest.mark.parametrize(
    ("schema", "name"),
    [(MIXED, "mmoe"), *((FUNNEL, name) for name in ("aitm", "escm2", "dcmt", "chorus_cvr", "funnel_softmax", "esmm"))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whole_weights_are_repeated_rows(schema: Schema, name: str) -> None:
    """For every architecture with losses of its own, too."""
    batch = in_float64(make_batch(schema, 8))
    repeated = batch.take(torch.repeat_interleave(COUNTS))
    weights = COUNTS.double()[:, None].expand(-1, 2)
    weighted = dataclasses.replace(batch, observed=batch.observed & (weights > 0), weights=weights)
    expected, gradients = losses_of(schema, name, repeated)
    found, own = losses_of(schema, name, weighted)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert len(own) == len(gradients)
    for one, other in zip(own, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_every_architecture_with_losses_of_its_own_is_among_them() -> None:
    with_own = set()
    for name in architectures.names():
        if architectures.get(name).requires(FUNNEL) is None:  # type: ignore[attr-defined]
            model = build(name, FUNNEL)
            if any(
                of.task is not None or name == "aitm" for of in model.training_step(make_batch(FUNNEL, 8))[1].values()
            ):
                with_own.add(name)
    assert with_own == {"aitm", "escm2", "dcmt", "chorus_cvr", "funnel_softmax"}


def test_a_task_has_weights_of_its_own() -> None:
    batch = in_float64(make_batch(MIXED, 8))
    weights = torch.stack([COUNTS.double(), torch.ones(8).double()], dim=1)
    (like, seconds, _), _ = losses_of(MIXED, "shared_bottom", dataclasses.replace(batch, weights=weights))
    (_, plain, _), _ = losses_of(MIXED, "shared_bottom", batch)
    (repeated, _, _), _ = losses_of(MIXED, "shared_bottom", batch.take(torch.repeat_interleave(COUNTS)))
    torch.testing.assert_close(torch.stack([like, seconds]), torch.stack([repeated, plain]), rtol=1e-12, atol=0)


def test_equal_weights_are_no_weights_and_the_scale_does_not_matter() -> None:
    batch = in_float64(make_batch(MIXED, 8))
    plain, _ = losses_of(MIXED, "mmoe", batch)
    for scale in (1.0, 1e-30, 1700.0):
        weights = torch.full((8, 2), scale, dtype=torch.float64)
        found, _ = losses_of(MIXED, "mmoe", dataclasses.replace(batch, weights=weights))
        torch.testing.assert_close(found, plain, rtol=1e-12, atol=0)


def test_a_batch_of_weight_zero_is_inactive_and_its_loss_zero() -> None:
    batch = in_float64(make_batch(MIXED, 4))
    nothing = dataclasses.replace(
        batch, observed=torch.zeros(4, 2, dtype=torch.bool), weights=torch.zeros(4, 2, dtype=torch.float64)
    )
    model = build("mmoe", MIXED).double()
    losses_T, active_T, _ = TaskLosses(MIXED.tasks, (False, False))(*model.training_step(nothing), nothing)
    assert losses_T.tolist() == [0, 0] and active_T.tolist() == [False, False]
    losses_T.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


# from a split ---------------------------------------------------------------------------------------------------------

FIELD = CategoricalField("row", 10)


def split_of(labels: list[list[float]], weights: list[list[float]] | None) -> Split:
    rows = len(labels)
    features = Features((FIELD,), np.arange(rows, dtype=np.int32)[:, None], np.zeros((rows, 0), np.float32))
    return Split(features, np.array(labels), None if weights is None else np.array(weights))


def test_targets_are_scaled_as_if_rows_were_repeated() -> None:
    labels = [[0, 10.0], [1, np.nan], [1, 30.0], [0, 20.0]]
    weighted = TargetScale.of(split_of(labels, [[3.0], [1.0], [0.0], [2.0]]), MIXED.tasks)
    repeated = TargetScale.of(split_of([labels[row] for row in (0, 0, 0, 1, 3, 3)], None), MIXED.tasks)
    torch.testing.assert_close(weighted.mean_T, repeated.mean_T, rtol=1e-14, atol=0)
    torch.testing.assert_close(weighted.std_T, repeated.std_T, rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match="expected a regression target that varies in train, found the constant 10"):
        TargetScale.of(split_of(labels, [[3.0], [1.0], [0.0], [0.0]]), MIXED.tasks)


def test_weights_reach_the_batches_and_zero_is_not_observed() -> None:
    split = split_of([[0, 1.0], [1, 2.0], [1, 3.0]], [[2.0, 0.0], [0.0, 1.0], [4.0, 5.0]])
    rows = TrainingRows(split, TargetScale.of(split, MIXED.tasks), torch.device("cpu"))
    assert rows.fully_observed == (False, False)
    (batch,) = rows.slices()
    assert batch.observed.tolist() == [[True, False], [False, True], [True, True]]
    assert batch.weights is not None
    assert batch.weights.tolist() == [[1.0, 0.0], [0.0, 0.5], [2.0, 2.5]]  # by a power of two
    (drawn,) = rows.batches(3, torch.Generator().manual_seed(0))
    order = drawn.categorical.flatten().tolist()
    assert drawn.weights is not None
    assert drawn.weights.tolist() == [batch.weights.tolist()[row] for row in order]
    in_blocks = TrainingRows(split, TargetScale.of(split, MIXED.tasks), torch.device("cpu"), whole=0)
    for one in in_blocks.batches(2, torch.Generator().manual_seed(0)):
        assert one.weights is not None
        assert one.weights.tolist() == [batch.weights.tolist()[row] for row in one.categorical.flatten().tolist()]


def test_one_column_is_for_all_tasks_and_none_stays_none() -> None:
    assert near_their_mean(np.array([[1.0, 0, 1700], [3.0, 0, 1720]])).tolist() == [2, 1, 2048]
    one = split_of([[0, 1.0], [1, 2.0]], [[1.0], [3.0]])
    (batch,) = TrainingRows(one, TargetScale.of(one, MIXED.tasks), torch.device("cpu")).slices()
    assert batch.weights is not None and batch.weights.tolist() == [[0.5, 0.5], [1.5, 1.5]]
    split = split_of([[0, 1.0], [1, 2.0]], None)
    (batch,) = TrainingRows(split, TargetScale.of(split, MIXED.tasks), torch.device("cpu")).slices()
    assert batch.weights is None and batch.take(torch.tensor([0])).weights is None and batch.cut(0, 1).weights is None


def test_splits_and_batches_are_taken_and_cut_with_their_weights() -> None:
    split = split_of([[0, 1.0], [1, 2.0], [1, 3.0]], [[2.0], [1.0], [4.0]])
    for part in (split.take(np.array([2, 0])), split.cut(1, 3)):
        assert part.weights is not None
        assert len(part) == len(part.features) == len(part.weights) == 2
    assert split.take(np.array([2, 0])).weights.tolist() == [[4.0], [2.0]]  # type: ignore[union-attr]
    batch = Batch(split.features.to("cpu"), torch.zeros(3, 2), torch.ones(3, 2).bool(), torch.arange(6.0).view(3, 2))
    assert batch.take(torch.tensor([2])).weights.tolist() == [[4, 5]]  # type: ignore[union-attr]
    assert batch.cut(0, 1).weights.tolist() == [[0, 1]]  # type: ignore[union-attr]


# training -------------------------------------------------------------------------------------------------------------


def trained(weights: np.ndarray | None, weighting: str, rows: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Outputs for validation after four updates from all rows of train at once."""
    shop = configure("dataset", "shop", num_users=40, num_items=30, num_rows=500)
    net = configure("architecture", "mmoe", num_experts=2, expert_dims=(8,))
    config = RunConfig(
        dataset=shop, architecture=net, weighting=weighting, trainer=TrainerConfig(batch_size=10_000, max_epochs=4)
    )  # type: ignore[arg-type]
    data = build_data(config)
    train = data.train if rows is None else data.train.take(rows)
    data = dataclasses.replace(data, train=dataclasses.replace(train, weights=weights))
    trainer = build_trainer(config, data, torch.device("cpu"))
    for _ in range(4):
        for batch in trainer.rows.batches(10_000, torch.Generator().manual_seed(0)):
            trainer.step(batch)
    return trainer.evaluate(data.validation)[2]


@pytest.mark.parametrize("weighting", ["equal", "uncertainty", "pcgrad", "gradnorm"])
def test_training_on_weighted_rows_is_training_on_repeated_ones(weighting: str) -> None:
    """Under weightings of losses and of gradients alike, targets scaled included."""
    counts = np.random.default_rng(0).integers(0, 4, 400)
    weighted, repeated = (
        trained(counts[:, None].astype(float), weighting),
        trained(None, weighting, np.repeat(np.arange(400), counts)),
    )
    plain = trained(None, weighting)
    for task, values in weighted.items():
        np.testing.assert_allclose(values, repeated[task], rtol=2e-3, atol=2e-3 * values.std())
        assert np.abs(values - plain[task]).max() > 0.05 * values.std()
