"""The loop of training: streams, optimizer, schedule, clipping, stopping and divergence, on a small shop."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from architectures import Batch, layers
from benchmark import RunConfig, TrainerConfig, configure
from benchmark.datasets import Data
from benchmark.rows import Split
from benchmark.runs.runner import build_model, run
from benchmark.schema import Metrics
from benchmark.settings.registry import datasets
from benchmark.training import trainer as trainer_module
from benchmark.training.step import StepOutcome
from benchmark.training.targets import TargetScale
from benchmark.training.trainer import Fit, Trainer, validation_stops

SHOP: dict[str, Any] = {"num_users": 40, "num_items": 30, "num_rows": 2000}
ROWS, BATCH = 1600, 400  # of train: 4 steps an epoch


class Silent:
    def __init__(self) -> None:
        self.steps = 0

    def step(self, count: int) -> None:
        self.steps += count

    def epoch(self, entry: dict[str, Any]) -> None:
        pass


class Training:
    """A trainer whose batches and updates are noted."""

    def __init__(
        self, *, seed: int = 0, weighting: Any = "equal", dropout: float = 0.0, make_large: Any = None, **trainer: Any
    ) -> None:
        config = RunConfig(
            dataset=configure("dataset", "shop", **SHOP),
            architecture=configure("architecture", "shared_bottom", bottom_dims=(16,), dropout=dropout),
            weighting=weighting,
            trainer=TrainerConfig(**{"batch_size": BATCH, "max_epochs": 2, **trainer}),
            seed=seed,
        )
        data = self.data(config)
        self.model, weighting_ = build_model(config, data)
        self.start = {name: value.clone() for name, value in self.model.state_dict().items()}
        scale = TargetScale.of(data.train, data.schema.tasks)
        self.trainer = Trainer(
            self.model, weighting_, data, config.trainer,
            scale=scale, seed=seed, device=torch.device("cpu"), make_large=make_large,
        )  # fmt: skip
        self.batches: list[Tensor] = []
        self.learning_rates: list[float] = []
        self.progress = Silent()
        self._watch_steps()

    def data(self, config: RunConfig) -> Data:
        built: Data = datasets.build(config.dataset).build()
        return built

    def _watch_steps(self) -> None:
        step = self.trainer.step

        def noted(batch: Batch) -> StepOutcome:
            self.batches.append(torch.cat([batch.categorical.float(), batch.labels], dim=1))
            self.learning_rates.append(self.trainer.optimizer.learning_rate)
            return step(batch)

        self.trainer.step = noted  # type: ignore[assignment]

    def fit(self) -> Fit:
        return self.trainer.fit(self.progress, lambda entry: None)


def same_batches(first: Training, second: Training) -> bool:
    first.fit(), second.fit()
    assert len(first.batches) == len(second.batches) == 2 * ROWS // BATCH
    return all(torch.equal(a, b) for a, b in zip(first.batches, second.batches, strict=True))


# streams --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"dropout": 0.5}, {"weighting": "pcgrad"}, {"weighting": "dwa"}])
def test_the_order_of_batches_hangs_on_the_seed_alone(change: dict[str, Any]) -> None:
    assert same_batches(Training(), Training(**change))


def test_another_seed_gives_another_order_and_another_start() -> None:
    first, second = Training(seed=0), Training(seed=1)
    assert not torch.equal(first.start["embedding.small.weight"], second.start["embedding.small.weight"])
    assert not same_batches(first, second)


def test_dropout_and_weighting_do_not_move_the_initial_values() -> None:
    plain = Training().start
    for other in (Training(dropout=0.5), Training(weighting="pcgrad"), Training(weighting="uncertainty")):
        assert all(torch.equal(value, other.start[name]) for name, value in plain.items())


def test_a_weighting_that_draws_does_not_move_dropout() -> None:
    kept: list[list[Tensor]] = [[], []]
    for weighting, masks in zip(("equal", "pcgrad"), kept, strict=True):
        training = Training(dropout=0.5, weighting=weighting, max_epochs=1)

        def note(module: torch.nn.Module, args: Any, output: Tensor, masks: list[Tensor] = masks) -> None:
            if module.training:  # what is zero before cannot tell whether it was dropped
                masks.append(torch.where(args[0] == 0, torch.nan, (output != 0).float()))

        for module in training.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.register_forward_hook(note)
        training.fit()
    assert len(kept[0]) == len(kept[1]) >= ROWS // BATCH
    for first, second in zip(*kept, strict=True):
        known = ~(first.isnan() | second.isnan())
        assert known.float().mean() > 0.1
        assert torch.equal(first[known], second[known])


def test_training_leaves_the_global_generator_alone() -> None:
    training = Training(dropout=0.5)
    before = torch.get_rng_state()
    training.fit()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_training_twice_is_the_same_to_the_last_bit() -> None:
    first, second = Training(dropout=0.3, weighting="pcgrad"), Training(dropout=0.3, weighting="pcgrad")
    fits = first.fit(), second.fit()
    assert all(torch.equal(v, second.model.state_dict()[name]) for name, v in first.model.state_dict().items())
    without_time = [[{**entry, "seconds": 0} for entry in fit.epochs] for fit in fits]
    assert without_time[0] == without_time[1]


# the optimizer --------------------------------------------------------------------------------------------------------


def test_a_weight_that_no_loss_reaches_shrinks_by_its_decay() -> None:
    """Row 0 of an embedding, 'unseen', is never looked up in training: AdamW multiplies it by 1 - rate * decay."""
    training = Training(max_epochs=1, learning_rate=0.1, embedding_weight_decay=0.5)
    training.fit()
    start = training.start["embedding.small.weight"][0]
    torch.testing.assert_close(training.model.embedding.small.weight[0], start * (1 - 0.1 * 0.5) ** 4)


def test_the_cosine_schedule_goes_from_the_learning_rate_to_zero_by_steps() -> None:
    training = Training(scheduler="cosine", learning_rate=0.01, max_epochs=3, patience=3)
    fit = training.fit()
    rates = training.learning_rates
    assert len(rates) == 12
    assert rates[0] == 0.01
    assert rates[6] == pytest.approx(0.005)
    assert all(later < earlier for earlier, later in pairwise(rates))
    assert 0 < rates[-1] < 0.02 * 0.01
    assert fit.epochs[-1]["learning_rate"] == pytest.approx(0, abs=1e-12)


def test_without_a_schedule_the_learning_rate_stays() -> None:
    training = Training(learning_rate=0.01)
    training.fit()
    assert set(training.learning_rates) == {0.01}


@pytest.mark.parametrize("clip_norm", [None, 1e-3, 1e6])
def test_clipping_bounds_the_norm_of_the_whole_gradient(
    clip_norm: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(clip_norm=clip_norm, max_epochs=1)
    norms: list[float] = []
    optimizer = training.trainer.optimizer
    step = optimizer.adam.step

    def noting() -> None:
        gradients = [p.grad.flatten() for p in training.model.parameters() if p.grad is not None]
        norms.append(float(torch.cat(gradients).norm()))
        step()

    monkeypatch.setattr(optimizer.adam, "step", noting)
    training.fit()
    if clip_norm == 1e-3:
        assert norms == pytest.approx([1e-3] * len(norms), rel=1e-2)
    else:
        assert min(norms) > 2e-3


# two embedding tables --------------------------------------------------------------------------------------------------


@pytest.fixture
def two_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users and items are in the large table, everything else in the small one."""
    monkeypatch.setattr(layers, "LARGE_FIELD", 20)


def parameters_of(training: Training) -> dict[str, Tensor]:
    """After training, with the tables as one."""
    training.fit()
    state = training.model.state_dict()
    tables = [state.pop(name) for name in list(state) if name.startswith("embedding.")]
    return {"embedding": torch.cat(tables), **state}


SCOPES = [configure("weighting", "pcgrad", scope=scope) for scope in ("trunk", "all", "representation")]


@pytest.mark.parametrize("weighting", ["equal", *SCOPES], ids=["equal", "trunk", "all", "representation"])
def test_two_tables_learn_what_one_does(weighting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"weighting": weighting, "embedding_weight_decay": 0.3, "learning_rate": 0.01, "clip_norm": 0.05}
    one = Training(**settings)
    monkeypatch.setattr(layers, "LARGE_FIELD", 20)
    two = Training(**settings)
    assert (one.model.embedding.large is None, two.model.embedding.large is None) == (True, False)
    torch.testing.assert_close(parameters_of(two), parameters_of(one), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("two_tables")
def test_the_large_table_may_have_an_optimizer_of_its_own() -> None:
    training = Training(make_large=lambda tables, _: torch.optim.SGD(tables, lr=0.0))
    training.fit()
    embedding = training.model.embedding
    assert torch.equal(embedding.large.weight, training.start["embedding.large.weight"])
    assert not torch.equal(embedding.small.weight, training.start["embedding.small.weight"])
    adam = {"optimizer": "adam", "embedding_weight_decay": 0.0}
    expected, found = Training(**adam), Training(**adam, make_large=torch.optim.Adam)
    torch.testing.assert_close(parameters_of(found), parameters_of(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("two_tables")
def test_the_schedule_is_that_of_both_optimizers() -> None:
    training = Training(scheduler="cosine", learning_rate=0.01, make_large=torch.optim.SGD)
    training.fit()
    rates = [part.param_groups[0]["lr"] for part in training.trainer.optimizer.parts]
    assert rates == pytest.approx([0.0, 0.0], abs=1e-12)


# the door -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("code", [-1, 41])
def test_codes_outside_a_field_s_range_are_refused_before_a_step(split: str, code: int) -> None:
    class Wrong(Training):
        def data(self, config: RunConfig) -> Data:
            data = super().data(config)
            rows: Split = getattr(data, split)
            codes = np.array(rows.features.categorical)
            self.field = next(n for n, f in enumerate(data.schema.categorical) if f.name == data.schema.user)
            assert data.schema.categorical[self.field].cardinality == 41
            codes[7, self.field] = code
            wrong = Split(dataclasses.replace(rows.features, categorical=codes), rows.labels)
            return dataclasses.replace(data, **{split: wrong})

    with pytest.raises(ValueError, match=f"{split}: field 'user' has codes 0 to 40, found {code} "):
        Wrong()


# how it ends ----------------------------------------------------------------------------------------------------------


def test_an_epoch_s_entry_has_what_the_record_says() -> None:
    training = Training()
    fit = training.fit()
    assert [entry["epoch"] for entry in fit.epochs] == [1, 2]
    assert set(fit.epochs[0]) == {
        "epoch", "seconds", "learning_rate", "train_losses", "auxiliary", "effective_weights", "validation", "criterion",
    }  # fmt: skip
    assert fit.steps == training.progress.steps == 8
    assert fit.train_seconds == pytest.approx(sum(entry["seconds"] for entry in fit.epochs))
    assert fit.epochs[1]["train_losses"]["click"] < fit.epochs[0]["train_losses"]["click"]


def test_training_stops_when_patience_is_spent() -> None:
    training = Training(max_epochs=30, learning_rate=0.05, patience=2)
    fit = training.fit()
    selection = fit.selection
    last_gain = max(selection.best, *selection.best_per_task.values())
    assert len(fit.epochs) == last_gain + 2 < 30


# validation within the epoch --------------------------------------------------------------------------------------------


@pytest.fixture
def as_often_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validations may lie one step apart."""
    monkeypatch.setattr(trainer_module, "STEPS_BETWEEN_VALIDATIONS", 1)


@pytest.mark.parametrize(
    ("steps", "validations", "expected"),
    [
        (100, 4, (25, 50, 75, 100)),
        (103, 4, (26, 52, 78, 103)),
        (99, 4, (33, 66, 99)),  # of 4, two would lie 24 steps apart
        (74, 4, (37, 74)),
        (50, 2, (25, 50)),
        (49, 2, (49,)),
        (1, 4, (1,)),
        (1000, 1, (1000,)),
        (1000, 3, (334, 667, 1000)),
    ],
)
def test_validations_lie_evenly_and_25_steps_apart_at_least(
    steps: int, validations: int, expected: tuple[int, ...]
) -> None:
    assert validation_stops(steps, validations) == expected


def scripted(training: Training, *qualities: float) -> Training:
    """Validations have these values, one after another, in place of what the model is worth."""
    told = iter(qualities)

    def validate() -> Metrics:
        quality = next(told)
        auc: Metrics = {name: {"auc": quality} for name in ("click", "purchase")}
        return {**auc, "duration": {"mse": 1 - quality, "r2": quality}}

    training.trainer._validate = validate  # type: ignore[method-assign]
    return training


@pytest.mark.usefixtures("as_often_as_asked")
@pytest.mark.parametrize(
    ("validations", "qualities", "epochs"),
    [
        (4, (0.5, 0.4, 0.4, 0.4, 0.4), 1.25),  # 4 validations without gain are the epoch of patience
        (4, (0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7), 1.75),
        (4, (0.5, 0.4, 0.4, 0.6, 0.4, 0.4, 0.4, 0.4), 2),
        (2, (0.5, 0.6, 0.4, 0.4), 2),
        (1, (0.5, 0.4), 2),
    ],
)
def test_patience_is_in_epochs_and_ends_within_one(
    validations: int, qualities: tuple[float, ...], epochs: float
) -> None:
    training = scripted(Training(max_epochs=30, patience=1, validations_per_epoch=validations), *qualities)
    fit = training.fit()
    assert len(fit.epochs) == len(qualities)
    assert fit.epochs[-1]["epoch"] == epochs
    assert fit.steps == training.progress.steps == epochs * ROWS / BATCH
    assert fit.rows == epochs * ROWS
    assert fit.selection.best == 1 + int(np.argmax(qualities))


@pytest.mark.usefixtures("as_often_as_asked")
def test_epochs_are_fractions_in_entries_and_records(tmp_path: Any) -> None:
    assert [entry["epoch"] for entry in Training(validations_per_epoch=3).fit().epochs] == [
        0.3333, 0.6667, 1, 1.3333, 1.6667, 2,
    ]  # fmt: skip
    config = RunConfig(
        dataset=configure("dataset", "shop", **SHOP),
        architecture="shared_bottom",  # type: ignore[arg-type]
        trainer=TrainerConfig(max_epochs=8, batch_size=BATCH, learning_rate=0.1, validations_per_epoch=4),
        results_dir=str(tmp_path),
    )
    record = run(config)
    epochs = [entry["epoch"] for entry in record.epochs]
    assert epochs == [number / 4 for number in range(1, len(epochs) + 1)]
    best = max(record.epochs, key=lambda entry: entry["criterion"])
    assert record.best_epoch == best["epoch"] and record.selected == best and record.criterion == best["criterion"]
    assert record.metrics["validation"]["click"]["auc"] == pytest.approx(best["validation"]["click"]["auc"], abs=1e-9)
    assert record.best_epoch_per_task == {
        task: max(record.epochs, key=lambda entry: sign * entry["validation"][task][metric])["epoch"]
        for task, metric, sign in (("click", "auc", 1), ("purchase", "auc", 1), ("duration", "mse", -1))
    }
    assert any(epoch % 1 for epoch in record.best_epoch_per_task.values()), "none was within an epoch"


@pytest.mark.parametrize("batch_size", [400, 4096])
def test_a_divergence_ends_training_with_task_and_step(batch_size: int) -> None:
    """In the second case the only step of the epoch does the damage, and its own loss was still fine."""
    fit = Training(learning_rate=1e30, batch_size=batch_size, max_epochs=3).fit()
    assert fit.diverged is not None
    assert fit.diverged.task in ("click", "purchase", "duration")
    assert fit.diverged.step == (2 if batch_size == 400 else 1)
    assert fit.epochs == []
    assert fit.train_seconds > 0


def test_the_test_split_is_not_read() -> None:
    training = Training(max_epochs=1)
    training.trainer.data = dataclasses.replace(training.trainer.data, test=None)  # type: ignore[arg-type]
    training.fit()


def test_threads_are_set_for_the_run_and_given_back(tmp_path: Any) -> None:
    before = torch.get_num_threads()
    other = 2 if before == 1 else 1
    config = RunConfig(
        dataset=configure("dataset", "shop", **SHOP),
        architecture="embedding_sum",  # type: ignore[arg-type]
        trainer=TrainerConfig(max_epochs=1),
        threads=other,
        results_dir=str(tmp_path),
    )
    assert run(config).cost["threads"] == other
    assert torch.get_num_threads() == before
