"""Row errors of a group from saved predictions: of real runs, of fabricated files, and why there is none."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata

from benchmark import RunConfig, TrainerConfig, configure, load_records, run
from benchmark.analysis.gain import TASKS as GAIN
from benchmark.analysis.rows import VARIED, row_errors
from benchmark.analysis.study import Group, Study
from benchmark.records.predictions import (
    load_predictions,
    load_test_rows,
    path_of_predictions,
    path_of_test_rows,
    save_predictions,
    save_test_rows,
)
from benchmark.records.record import SelectionName
from benchmark.runs.runner import build_dataset
from benchmark.statistics import delong
from benchmark.statistics.rows import RowError
from tests.benchmark.reporting.fabricate import record, records

A, B = "mmoe/equal", "single_task/equal"
TASKS = ("click", "like", "play_time")
ROWS = 300


def group_of(folder: Path) -> Group:
    (group,) = Study.of(load_records(folder)).groups
    return group


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two methods with a run each on 300 rows without users; the label of a video's time is not known everywhere."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.random(ROWS) < 0.4, rng.random(ROWS) < 0.1, rng.normal(5, 2, ROWS)], axis=1).astype(float)
    labels[::3, 2] = np.nan
    for method in (A, B):
        of = record("videos", method)
        path = of.write(tmp_path)
        outputs = {task: labels[:, column] + rng.normal(size=ROWS) for column, task in enumerate(TASKS)}
        outputs["play_time"] = np.where(np.isnan(labels[:, 2]), 0.0, outputs["play_time"])
        own = {"like": outputs["like"] + rng.normal(size=ROWS)}
        save_predictions(path_of_predictions(path), of, {"joint": outputs, "per_task": own})
        save_test_rows(path_of_test_rows(path, of.dataset["test_rows"]), TASKS, labels, None)
    return tmp_path


@pytest.mark.parametrize("selection", ["joint", "per_task"])
def test_one_run_without_users_is_delong_s_error_and_that_of_squared_errors(
    folder: Path, selection: SelectionName
) -> None:
    group = group_of(folder)
    found = row_errors(group, folder, B, selection)
    assert list(found) == [(task, A) for task in TASKS]
    runs = [group.finished[method][0].record for method in (A, B)]
    mine, other = (load_predictions(path_of_predictions(of.path(folder)), of, selection) for of in runs)
    labels = load_test_rows(next(folder.glob("videos/test_rows/*"))).labels
    for task in ("click", "like"):
        (a, c), (_, b) = delong(labels[task], mine[task], other[task]).covariance
        error = found[task, A]
        assert isinstance(error, RowError)
        assert error.variance == pytest.approx(a + b - 2 * c) and error.clusters == error.rows == ROWS
    observed = ~np.isnan(labels["play_time"])
    squares = [(of["play_time"] - labels["play_time"])[observed] ** 2 for of in (mine, other)]
    error = found["play_time", A]
    assert isinstance(error, RowError)
    assert error.rows == observed.sum() == 200
    assert error.variance == pytest.approx(np.var(squares[0] - squares[1], ddof=1) / 200)


def auc(labels_R: np.ndarray, scores_R: np.ndarray) -> float:
    ranks, positive = rankdata(scores_R), labels_R == 1
    count = positive.sum()
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(labels_R) - count)))


def test_the_rows_part_in_the_gain_is_that_of_leaving_each_row_out(folder: Path) -> None:
    """The jackknife of the whole gain, whose tasks have other rows."""
    scales = {"click": 130.0, "like": 90.0, "play_time": -15.0}
    group = group_of(folder)
    found = row_errors(group, folder, B, "joint", scales)[GAIN, A]
    assert isinstance(found, RowError) and found.rows == ROWS
    runs = [group.finished[method][0].record for method in (A, B)]
    mine, other = (load_predictions(path_of_predictions(of.path(folder)), of, "joint") for of in runs)
    labels = load_test_rows(next(folder.glob("videos/test_rows/*"))).labels

    def gain(kept_R: np.ndarray) -> float:
        observed_R = kept_R & ~np.isnan(labels["play_time"])
        error = [np.mean((of["play_time"] - labels["play_time"])[observed_R] ** 2) for of in (mine, other)]
        total = scales["play_time"] * (error[0] - error[1])
        for task in ("click", "like"):
            total += scales[task] * (
                auc(labels[task][kept_R], mine[task][kept_R]) - auc(labels[task][kept_R], other[task][kept_R])
            )
        return float(total)

    left_out = [gain(np.arange(ROWS) != row) for row in range(ROWS)]
    assert found.variance == pytest.approx((ROWS - 1) ** 2 / ROWS * np.var(left_out, ddof=1), rel=0.03)


def test_without_predictions_of_the_baseline_the_gain_has_none_either(folder: Path) -> None:
    without_the_baseline_s(folder)
    found = row_errors(group_of(folder), folder, B, "joint", dict.fromkeys(TASKS, 1.0))
    assert list(found) == [(task, A) for task in (*TASKS, GAIN)]
    assert set(found.values()) == {f"{B} has no predictions: save_predictions=true keeps them"}


def without_predictions(folder: Path) -> None:
    for path in folder.glob("videos/mmoe/**/*.predictions.safetensors"):
        path.unlink()


def without_the_baseline_s(folder: Path) -> None:
    for path in folder.glob("videos/single_task/**/*.predictions.safetensors"):
        path.unlink()


def without_test_rows(folder: Path) -> None:
    shutil.rmtree(folder / "videos" / "test_rows")


def of_another_day(folder: Path) -> None:
    of = record("videos", A, gain=0.1)
    of.write(folder)


def broken(folder: Path) -> None:
    next(folder.glob("videos/single_task/**/*.predictions.safetensors")).write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without_predictions, "mmoe/equal has no predictions: save_predictions=true keeps them"),
        (without_the_baseline_s, "single_task/equal has no predictions: save_predictions=true keeps them"),
        (
            without_test_rows,
            "test_rows/.*safetensors, which has labels and users of the test rows: the command of the runs",
        ),
        (of_another_day, "does not match the record of run"),
        (broken, "is not a file of predictions"),
    ],
)
def test_what_is_missing_is_the_reason(folder: Path, spoil: Callable[[Path], None], reason: str) -> None:
    spoil(folder)
    found = row_errors(group_of(folder), folder, B)
    assert list(found) == [(task, A) for task in TASKS]
    for why in found.values():
        assert isinstance(why, str) and re.search(reason, why)


def test_a_task_of_one_class_has_none_and_the_others_have(folder: Path) -> None:
    path = next(folder.glob("videos/test_rows/*"))
    labels = load_test_rows(path).labels
    columns = np.stack([labels["click"], np.zeros(ROWS), labels["play_time"]], axis=1)
    save_test_rows(path, TASKS, columns, None)
    found = row_errors(group_of(folder), folder, B)
    assert found["like", A] == f"{A}: a class needs at least two clusters, found 0 positive and {ROWS} negative"
    assert isinstance(found["click", A], RowError)


def test_runs_on_other_test_rows_have_none(tmp_path: Path) -> None:
    made = [of for of in records(("videos",), 2) if of.method in (A, B)]
    for of in made:
        of.dataset["test_rows"] = f"rows of {of.seed}"
    (group,) = Study.of(made).groups
    assert set(row_errors(group, tmp_path, B).values()) == {VARIED}


def test_predictions_are_found_in_whichever_copy_has_them(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    both = tmp_path_factory.mktemp("both")
    shutil.copytree(folder, both / "a")
    shutil.copytree(folder, both / "b")
    without_test_rows(both / "b")
    without_predictions(both / "a")
    expected = row_errors(group_of(folder), folder, B)
    assert row_errors(group_of(both), both, B) != expected  # nobody has the test rows beside the predictions of mmoe
    shutil.copytree(folder / "videos" / "test_rows", both / "b" / "videos" / "test_rows")
    assert row_errors(group_of(both), both, B) == expected
    assert row_errors(group_of(both), [both / "a", both / "b"], B) == expected


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunConfig]:
    """Two methods, two seeds, through training."""
    results = tmp_path_factory.mktemp("shop")
    options = configure("dataset", "shop", num_users=60, num_items=40, num_rows=3000)
    for name in ("mmoe", "single_task"):
        for seed in (0, 1):
            config = RunConfig(
                dataset=options, architecture=name, trainer=TrainerConfig(max_epochs=1), seed=seed, threads=1,
                results_dir=str(results), save_predictions=True,
            )  # fmt: skip
            run(config)
    return results, config


def test_runs_of_shop_have_the_error_of_their_predictions(shop: tuple[Path, RunConfig]) -> None:
    """All pairs written out, users as clusters, labels from the data set itself."""
    results, config = shop
    data = build_dataset(config).build()
    group = group_of(results)
    found = row_errors(group, results, B)
    users = data.users(data.test)
    assert users is not None
    for column, task in enumerate(("click", "purchase", "duration")):
        labels = data.test.labels[:, column]
        known = ~np.isnan(labels)
        labels, own = labels[known], users[known]
        names = np.unique(own)
        parts = {}
        for method in (A, B):
            of_runs = []
            for each in group.finished[method]:
                path = path_of_predictions(each.record.path(results))
                output = load_predictions(path, each.record)[task][known]
                if task == "duration":
                    groups = [((output - labels) ** 2, own)]
                else:
                    positive, negative = labels == 1, labels == 0
                    above = np.sign(output[positive][:, None] - output[negative]) / 2 + 0.5
                    groups = [(above.mean(axis=1), own[positive]), (above.mean(axis=0), own[negative])]
                sums = np.zeros(len(names))
                for values, who in groups:
                    having = len(np.unique(who))
                    deviation = np.sqrt(having / (having - 1)) * (values - values.mean()) / len(values)
                    sums += [deviation[who == name].sum() for name in names]
                of_runs.append(sums)
            parts[method] = np.array(of_runs)
        error = found[task, A]
        assert isinstance(error, RowError)
        difference = parts[A].mean(axis=0) - parts[B].mean(axis=0)
        assert error.variance == pytest.approx((difference**2).sum(), rel=1e-9)
        shared = sum(of.var(axis=0, ddof=1).sum() / 2 for of in parts.values())
        assert error.shared == pytest.approx(shared, rel=1e-9)
        assert (error.clusters, error.rows) == (len(names), known.sum())
        assert error.clusters < error.rows


def test_nothing_but_the_predictions_and_one_file_of_test_rows_is_left(shop: tuple[Path, RunConfig]) -> None:
    results, _ = shop
    left = sorted(path.relative_to(results).parts[1] for path in results.rglob("*.safetensors"))
    assert left == ["mmoe", "mmoe", "single_task", "single_task", "test_rows"]
