"""The drawn shop: its probabilities, its labels, and the best reachable metrics against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss, mean_squared_error, r2_score, roc_auc_score

from benchmark.datasets.prepare import TEST, TRAIN, Table
from benchmark.datasets.shop import Shop, Truth, draw_directions
from benchmark.metrics import evaluate

SMALL = {"num_users": 40, "num_items": 30, "num_rows": 4000}


@pytest.fixture(scope="module")
def drawn() -> tuple[Table, Truth]:
    return Shop(**SMALL).draw()


def test_the_joint_is_the_product_and_never_above_its_parent(drawn: tuple[Table, Truth]) -> None:
    table, truth = drawn
    outputs = truth.outputs()
    click_R, purchase_R = expit(outputs["click"]), expit(outputs["purchase"])
    assert ((click_R > 0) & (click_R < 1)).all()
    assert (purchase_R > 0).all()
    assert (outputs["purchase"] < outputs["click"]).all()
    np.testing.assert_allclose(purchase_R, click_R * expit(truth.conditional_logit), rtol=1e-9)
    assert (table.labels["purchase"] <= table.labels["click"]).all()
    assert (outputs["duration"] > 0).all()


def test_rates_are_those_that_were_asked_for() -> None:
    table, truth = Shop(**SMALL, click_rate=0.2, purchase_rate=0.6).draw()
    click_R = expit(truth.click_logit)
    assert click_R.mean() == pytest.approx(0.2, abs=1e-6)
    assert np.average(expit(truth.conditional_logit), weights=click_R) == pytest.approx(0.6, abs=1e-6)
    clicked_R = table.labels["click"] == 1
    assert clicked_R.mean() == pytest.approx(0.2, abs=0.03)
    assert table.labels["purchase"][clicked_R].mean() == pytest.approx(0.6, abs=0.08)


def test_duration_is_observed_on_clicked_rows_and_only_there(drawn: tuple[Table, Truth]) -> None:
    table, truth = drawn
    clicked_R = table.labels["click"] == 1
    np.testing.assert_array_equal(np.isnan(table.labels["duration"]), ~clicked_R)
    ratio_R = table.labels["duration"][clicked_R] / truth.seconds[clicked_R]
    assert ratio_R.min() > 0
    assert ratio_R.mean() == pytest.approx(1, abs=0.05)
    assert ratio_R.std() == pytest.approx(0.5, abs=0.05)
    exact, behind = Shop(**SMALL, duration_noise=0.0).draw()
    known_R = ~np.isnan(exact.labels["duration"])
    np.testing.assert_allclose(exact.labels["duration"][known_R], behind.seconds[known_R], rtol=1e-6)


def test_best_reachable_is_what_scikit_learn_says_of_the_truth_on_the_test_rows(drawn: tuple[Table, Truth]) -> None:
    table, truth = drawn
    test_R = table.split == TEST
    label = {name: label_R[test_R] for name, label_R in table.labels.items()}
    click_R, conditional_R = expit(truth.click_logit[test_R]), expit(truth.conditional_logit[test_R])
    best = table.best_reachable
    assert best is not None
    for name, probability_R in (("click", click_R), ("purchase", click_R * conditional_R)):
        assert best[name]["auc"] == pytest.approx(roc_auc_score(label[name], probability_R), abs=1e-12)
        assert best[name]["log_loss"] == pytest.approx(log_loss(label[name], probability_R), rel=1e-9)
    clicked_R = label["click"] == 1
    conditional_auc = roc_auc_score(label["purchase"][clicked_R], conditional_R[clicked_R])
    assert best["purchase"]["auc[purchase|click]"] == pytest.approx(conditional_auc, abs=1e-12)
    seconds_R, mean_R = label["duration"][clicked_R].astype(float), truth.seconds[test_R][clicked_R]
    assert best["duration"]["mse"] == pytest.approx(mean_squared_error(seconds_R, mean_R), rel=1e-9)
    assert best["duration"]["r2"] == pytest.approx(r2_score(seconds_R, mean_R), rel=1e-9)
    assert "mae" not in best["duration"]


def test_the_truth_is_judged_as_a_model_is_with_unseen_users_apart() -> None:
    shop = Shop(num_users=300, num_items=40, num_rows=900, tasks=("click",))
    data, best = shop.build(), shop.draw()[0].best_reachable
    users = data.users(data.test)
    assert users is not None and (users < 0).any(), "some users are in test alone"
    table, truth = shop.draw()
    logits = truth.outputs()["click"][table.split == TEST]
    assert best is not None
    assert (
        best["click"]["gauc"]
        == evaluate(data.schema.tasks, {"click": logits}, data.test.labels, users)[0]["click"]["gauc"]
    )


def test_the_truth_is_worth_knowing_and_noise_is_left() -> None:
    best = Shop(num_rows=50_000).draw()[0].best_reachable
    assert best is not None
    assert 0.75 < best["click"]["auc"] < 0.95
    assert 0.75 < best["purchase"]["auc[purchase|click]"] < 0.95
    assert 0.2 < best["duration"]["r2"] < 0.6
    assert best["click"]["gauc"] < best["click"]["auc"]  # a part of it is the users' own habit


def test_the_same_parameters_draw_the_same_log_bit_for_bit_and_another_seed_another(drawn: tuple[Table, Truth]) -> None:
    first, again, other = drawn[0], Shop(**SMALL).draw()[0], Shop(**SMALL, data_seed=1).draw()[0]
    for kind in ("categorical", "numeric", "labels"):
        for name, column in getattr(first, kind).items():
            np.testing.assert_array_equal(column, getattr(again, kind)[name])
    assert first.titles == again.titles
    assert not np.array_equal(first.categorical["user"], other.categorical["user"])
    assert not np.array_equal(first.labels["click"], other.labels["click"])


def test_the_split_hangs_on_its_own_seed(drawn: tuple[Table, Truth]) -> None:
    other = Shop(**SMALL, split_seed=1).draw()[0]
    np.testing.assert_array_equal(drawn[0].labels["click"], other.labels["click"])
    assert not np.array_equal(drawn[0].split, other.split)
    assert np.bincount(other.split).tolist() == [3200, 400, 400]


def test_attributes_belong_to_one_user_or_item_each(drawn: tuple[Table, Truth]) -> None:
    table, _ = drawn
    columns = {name: np.asarray(values) for name, values in {**table.categorical, **table.numeric}.items()}
    for fields in (table.user_fields, table.item_fields):
        owner = fields[0]
        for name in fields[1:]:
            pairs = set(zip(columns[owner].tolist(), columns[name].tolist(), strict=True))
            assert len(pairs) == len(np.unique(columns[owner])), name
    assert len(set(table.titles.values())) == SMALL["num_items"]


def test_attributes_say_all_nothing_or_a_share_of_a_taste() -> None:
    def explained(share: float) -> float:
        """R² of the true click logit on one-hot user attributes, where nothing else moves it but the user's id."""
        table, truth = Shop(num_users=400, num_items=2, num_rows=8000, affinity=0.0, attribute_share=share).draw()
        names = ("age_group", "region", "membership", "item", "device", "hour")
        columns = [np.asarray(table.categorical[name]) for name in names]
        x_RD = np.concatenate([(column[:, None] == np.unique(column)).astype(float) for column in columns], axis=1)
        fitted_R = x_RD @ np.linalg.lstsq(x_RD, truth.click_logit, rcond=None)[0]
        return float(r2_score(truth.click_logit, fitted_R))

    none, half, everything = (explained(share) for share in (0.0, 0.5, 1.0))
    assert everything == pytest.approx(1, abs=1e-6)
    assert none < half - 0.1 < everything - 0.2


def test_tasks_that_correlate_fully_look_at_one_direction() -> None:
    same_TK = draw_directions(np.random.default_rng(0), 5, 1.0)
    np.testing.assert_allclose(same_TK @ same_TK.T, np.ones((3, 3)))
    own_TK = draw_directions(np.random.default_rng(0), 5, 0.0)
    np.testing.assert_allclose((own_TK**2).sum(axis=1), 1)
    assert np.abs(own_TK @ own_TK.T - np.eye(3)).max() < 0.95


def test_building_declares_tasks_roles_titles_and_context() -> None:
    data = Shop(**SMALL).build()
    assert [(task.name, task.given, task.unit) for task in data.schema.tasks] == [
        ("click", None, None), ("purchase", "click", None), ("duration", None, "seconds"),
    ]  # fmt: skip
    assert (data.schema.user, data.schema.item) == ("user", "item")
    assert data.best_reachable == Shop(**SMALL).draw()[0].best_reachable
    assert data.catalogue is not None
    assert data.catalogue.items.titles is not None
    assert len(data.catalogue.items.titles) == len(data.catalogue.items.ids) == SMALL["num_items"]
    names = [{field.name for field in part.fields} for part in (data.catalogue.context, data.catalogue.items.features)]
    assert names == [{"device", "hour"}, {"item", "category", "brand", "price_bin", "price"}]


@pytest.mark.parametrize(
    ("tasks", "given"),
    [
        (("click",), [None]),
        (("purchase",), [None]),
        (("purchase", "duration"), [None, None]),
        (("click", "purchase"), [None, "click"]),
    ],
)
def test_any_subset_of_tasks_builds(tasks: tuple[str, ...], given: list[str | None]) -> None:
    data = Shop(**SMALL, tasks=tasks).build()
    assert [task.given for task in data.schema.tasks] == given
    assert data.best_reachable is not None
    assert set(data.best_reachable) == set(tasks)
    assert data.fingerprint == Shop(**SMALL).build().fingerprint


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tasks": ("click", "buy")}, "dataset.tasks: unknown task 'buy'; known: click, purchase, duration"),
        ({"tasks": ()}, "dataset.tasks: expected at least one"),
        (
            {"tasks": ("purchase", "click")},
            r"expected the data set's order, \[click,purchase\], found \[purchase,click\]",
        ),
        ({"num_users": 1}, r"dataset\.num_users must be at least 2, found 1"),
        ({"num_items": 0}, "num_items"),
        ({"num_rows": 9}, "num_rows"),
        ({"rank": 0}, "rank"),
        ({"data_seed": -1}, "data_seed"),
        ({"split_seed": -1}, "split_seed"),
        ({"attribute_share": 1.5}, r"dataset\.attribute_share must be between 0 and 1, found 1\.5"),
        ({"affinity": -0.1}, "affinity"),
        ({"task_correlation": float("nan")}, "task_correlation"),
        ({"signal": -1.0}, "signal"),
        ({"click_rate": 0.0}, "click_rate"),
        ({"purchase_rate": 1.0}, "purchase_rate"),
        ({"duration_noise": -0.5}, "duration_noise"),
        ({"skew": 6.0}, "skew"),
    ],
)
def test_a_parameter_outside_its_range_is_an_error_that_names_it(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shop(**parameters)


def test_every_user_of_a_default_shop_has_rows_to_learn_from() -> None:
    table = Shop().draw()[0]
    rows_of_user = np.bincount(table.categorical["user"][table.split == TRAIN])[1:]
    assert len(rows_of_user) == 300
    assert rows_of_user.min() > 30
