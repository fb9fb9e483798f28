from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from benchmark.datasets import Data
from benchmark.kinds import BINARY, REGRESSION
from benchmark.metrics import evaluate
from benchmark.reference import trees
from benchmark.rows import Features, Split
from benchmark.schema import CategoricalField, NumericField, Schema, Task

LIKE, PRICE = Task("like", BINARY), Task("price", REGRESSION)
SCHEMA = Schema((CategoricalField("shop", 60),), (NumericField("size"),), (LIKE, PRICE))
PARAMETERS = {"learning_rate": 0.1, "num_leaves": 15, "min_child_samples": 20, "cat_smooth": 10}
GOLDEN = {
    "learning_rate": 0.07656,
    "num_leaves": 136,
    "min_child_samples": 19,
    "lambda_l2": 0.01233,
    "cat_smooth": 86.43,
    "feature_fraction": 0.3249,
    "bagging_fraction": 0.7708,
}
SAMPLED = {**PARAMETERS, "feature_fraction": 0.5, "bagging_fraction": 0.5}


def draw(rows: int, seed: int, first_code: int = 1) -> Split:
    """like: by the category alone, in no order of its codes; price: about 1000, by the number."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(first_code, 60, rows)
    numbers = rng.standard_normal(rows)
    like = rng.random(rows) < np.where((codes * 7919) % 31 < 10, 0.9, 0.1)
    price = 1000 + 50 * numbers + rng.standard_normal(rows)
    features = Features(SCHEMA.fields, codes[:, None].astype(np.int32), numbers[:, None].astype(np.float32))
    return Split(features, np.stack([like, price], 1).astype("f4"))


@pytest.fixture(scope="module")
def data() -> Data:
    pytest.importorskip("lightgbm")
    return Data(SCHEMA, train=draw(3000, 0), validation=draw(600, 1), test=draw(2000, 2), fingerprint="x")


def test_a_trial_is_drawn_from_task_and_number_alone() -> None:
    first = trees.draw_parameters("like", 3)
    assert first == trees.draw_parameters("like", 3)
    assert all(first[name] != trees.draw_parameters("like", 4)[name] for name in first)
    assert all(first[name] != trees.draw_parameters("price", 3)[name] for name in first)


def test_what_a_trial_draws_stays_what_published_records_say() -> None:
    assert trees.draw_parameters("income", 0) == GOLDEN


def test_trials_fill_the_space_and_stay_in_it() -> None:
    drawn = [trees.draw_parameters("like", number) for number in range(400)]
    for name, where in trees.SPACE.items():
        values = np.array([parameters[name] for parameters in drawn], dtype=float)
        assert where.low <= values.min()
        assert values.max() <= where.high
        low, high, scaled = (np.log(v) if where.log else np.asarray(v) for v in (where.low, where.high, values))
        places = (scaled - low) / (high - low)
        assert abs(places.mean() - 0.5) < 0.06  # four standard errors
        assert places.min() < 0.05
        assert places.max() > 0.95
    assert all(isinstance(parameters["num_leaves"], int) for parameters in drawn)


def test_trees_sample_rows_and_columns() -> None:
    assert trees.SPACE["bagging_fraction"].high < 1
    assert trees.SPACE["feature_fraction"].high < 1
    assert trees.FIXED["bagging_freq"] == 1


def test_outputs_are_logits_and_values_in_the_targets_unit(data: Data) -> None:
    boosted = trees.Trees(data, threads=1)
    outputs = {task.name: boosted.fit(task, PARAMETERS, 0).predict(data.test) for task in SCHEMA.tasks}
    assert outputs["like"].min() < 0 < outputs["like"].max()
    assert expit(outputs["like"]).mean() == pytest.approx(data.test.labels[:, 0].mean(), abs=0.03)
    found, _ = evaluate(SCHEMA.tasks, outputs, data.test.labels)
    truth = np.where((data.test.features.categorical[:, 0] * 7919) % 31 < 10, 1.0, -1.0)
    best, _ = evaluate((LIKE,), {"like": truth}, data.test.labels[:, :1])
    assert found["like"]["auc"] > best["like"]["auc"] - 0.02  # type: ignore[operator]
    assert found["price"]["r2"] > 0.97  # type: ignore[operator]


def test_a_field_of_categories_is_split_by_sets_of_them(data: Data) -> None:
    model = trees.Trees(data, threads=1).fit(LIKE, {**PARAMETERS, "num_leaves": 3}, 0)
    root = model.booster.dump_model()["tree_info"][0]["tree_structure"]
    assert root["split_feature"] == 0
    assert root["decision_type"] == "=="
    assert len(root["threshold"].split("||")) > 5


def test_large_targets_are_centred_before_float32_rounds_them(data: Data) -> None:
    def later(split: Split) -> Split:
        return dataclasses.replace(split, labels=np.add(split.labels, (0, 1.7e9), dtype=np.float64))

    whole = dataclasses.replace(data, **{name: later(getattr(data, name)) for name in ("train", "validation", "test")})
    outputs_R = trees.Trees(whole, threads=1).fit(PRICE, PARAMETERS, 0).predict(whole.test)
    found, _ = evaluate((PRICE,), {"price": outputs_R}, whole.test.labels[:, 1:])
    assert found["price"]["r2"] > 0.97  # type: ignore[operator]


def test_a_category_unseen_in_train_has_an_output(data: Data) -> None:
    nothing = Features(SCHEMA.fields, np.zeros((5, 1), np.int32), np.zeros((5, 1), np.float32))
    unseen = Split(nothing, np.zeros((5, 2), np.float32))
    outputs = trees.Trees(data, threads=1).fit(LIKE, PARAMETERS, 0).predict(unseen)
    assert np.isfinite(outputs).all()


def test_rows_without_a_label_are_left_out(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = data.train.labels.copy()
    labels[::3, 0] = np.nan
    validation = data.validation.labels.copy()
    validation[::2, 0] = np.nan
    masked = Data(
        SCHEMA,
        train=Split(data.train.features, labels),
        validation=Split(data.validation.features, validation),
        test=data.test,
        fingerprint="y",
    )
    seen = []
    train = trees.lightgbm().train

    def spy(parameters: object, rows: Any, *arguments: Any, valid_sets: list[Any], **options: Any) -> Any:
        seen.extend(dataset.get_label() for dataset in (rows, *valid_sets))
        return train(parameters, rows, *arguments, valid_sets=valid_sets, **options)

    monkeypatch.setattr(trees.lightgbm(), "train", spy)
    boosted = trees.Trees(masked, threads=1)
    assert boosted.fit(LIKE, PARAMETERS, 0).rows == 2000
    assert boosted.fit(PRICE, PARAMETERS, 0).rows == 3000
    expected = [labels[:, 0], validation[:, 0], labels[:, 1], validation[:, 1]]
    for found, column in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(found, column[~np.isnan(column)])


def test_a_seed_decides_and_another_decides_otherwise(data: Data) -> None:
    boosted = trees.Trees(data, threads=1)
    first, same, other = (boosted.fit(LIKE, SAMPLED, seed).predict(data.test) for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.allclose(first, other)


def test_the_number_of_threads_does_not_move_a_result(data: Data) -> None:
    one, two = (trees.Trees(data, threads=threads).fit(LIKE, SAMPLED, 0).predict(data.test) for threads in (1, 2))
    assert np.array_equal(one, two)


def test_it_stops_where_validation_is_best(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    boosted = trees.Trees(data, threads=1)

    def on_validation(model: trees.Model) -> float:
        found, _ = evaluate((LIKE,), {"like": model.predict(data.validation)}, data.validation.labels[:, :1])
        value = found["like"]["auc"]
        assert value is not None
        return value

    stopped = boosted.fit(LIKE, PARAMETERS, 0)
    assert 1 < stopped.rounds < 200
    for rounds in (stopped.rounds // 2, stopped.rounds - 1, stopped.rounds):
        monkeypatch.setattr(trees, "MAX_ROUNDS", rounds)
        shorter = boosted.fit(LIKE, PARAMETERS, 0)
        assert shorter.rounds <= rounds
        assert on_validation(shorter) <= on_validation(stopped)
    assert on_validation(shorter) == on_validation(stopped)


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ValueError, match=r"needs LightGBM, which is not installed: pip install 'mtlbench\[gbdt\]'"):
        trees.lightgbm()


def test_a_row_of_weight_zero_is_left_out_and_other_weights_count(data: Data) -> None:
    def fitted(train: Split) -> np.ndarray:
        return trees.Trees(dataclasses.replace(data, train=train), 1).fit(LIKE, PARAMETERS, 0).predict(data.test)

    some = np.arange(3000) % 3 > 0
    plain, labels = fitted(data.train), data.train.labels.copy()
    labels[~some, 0] = np.nan
    unknown = fitted(dataclasses.replace(data.train, labels=labels))
    np.testing.assert_array_equal(fitted(dataclasses.replace(data.train, weights=some[:, None] * 1.0)), unknown)
    more = 1 + 9.0 * data.train.labels[:, :1]
    assert fitted(dataclasses.replace(data.train, weights=more)).mean() > plain.mean() + 1
