"""The uncertainty from the test rows: the row error of every method's difference to a baseline, from saved predictions.

R rows, S runs of a method.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmark import metrics
from benchmark.analysis.gain import TASKS
from benchmark.analysis.study import Group, Run
from benchmark.kinds import BINARY, KINDS, REGRESSION
from benchmark.records.predictions import SUFFIX, LabelledRows, load_predictions, load_test_rows, path_of_test_rows
from benchmark.records.record import SelectionName
from benchmark.schema import Task
from benchmark.statistics.rows import Deviations, RowError, auc_deviations, mse_deviations, row_error

DEVIATIONS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray | None], Deviations]] = {
    KINDS[BINARY].headline: auc_deviations,
    KINDS[REGRESSION].headline: mse_deviations,
}
"""{headline metric: the function that computes the rows' deviations}."""

VARIED = "the test rows differ between runs, so the interval over seeds already includes their part"

Found: TypeAlias = dict[str, Deviations | str]
"""{task: the rows' deviations of its headline metric, or why they are unknown} for one method."""


def row_errors(
    group: Group,
    results: str | Path | Sequence[str | Path],
    baseline: str,
    selection: SelectionName = "joint",
    scales: Mapping[str, float] | None = None,
) -> dict[tuple[str, str], RowError | str]:
    """How precisely the test rows determine every method's difference to the baseline, on each task's headline metric.

    It uses the finished runs with predictions, which may be fewer than the seeds. Rows are clustered by user, if the
    data set has users. Users not in train cannot be told apart, so each of their rows is a cluster.

    Args:
        group: Runs of one data set.
        results: The folder of records, predictions beside them; or several folders.
        baseline: The method that the others are compared to, as the group names it.
        selection: The epoch that is compared: one for all tasks, or each task's best.
        scales: Per cent of gain over all tasks for one unit of a task's metric, from `gain.scores`; empty without a
            gain.

    Returns:
        {(task, method): its row error, or in words why there is none} for every other method with finished runs; for
        the gain over all tasks under `gain.TASKS`.
    """
    scales = scales or {}
    files: dict[str, list[Path]] = defaultdict(list)
    for folder in [results] if isinstance(results, (str, Path)) else results:
        for path in sorted(Path(folder).rglob(f"*{SUFFIX}")):
            files[path.name.removesuffix(SUFFIX)].append(path)
    methods = [method for method, runs in group.finished.items() if runs and method != baseline]
    known: dict[Path, LabelledRows] = {}
    terms = files, selection, known, scales
    other = _found(group, baseline, *terms)
    errors: dict[tuple[str, str], RowError | str] = {}
    for method in methods:
        mine = _found(group, method, *terms)
        varied = len({run.pair[2] for of in (method, baseline) for run in group.finished.get(of, [])}) > 1
        for task in mine:
            first, second = mine[task], other[task]
            if varied:
                errors[task, method] = VARIED
            elif isinstance(first, str) or isinstance(second, str):
                errors[task, method] = first if isinstance(first, str) else str(second)
            else:
                errors[task, method] = row_error(first, second)
    return errors


def _found(
    group: Group,
    method: str,
    files: dict[str, list[Path]],
    selection: SelectionName,
    known: dict[Path, LabelledRows],
    scales: Mapping[str, float],
) -> Found:
    """The rows' deviations of a method's metrics; `known` holds the test rows read so far."""
    try:
        outputs, rows = _loaded(group.finished.get(method, []), method, files, selection, known)
    except ValueError as error:
        return dict.fromkeys([*(task.name for task in group.tasks), *([TASKS] if scales else [])], str(error))
    clusters_R = _clusters(rows)
    found: Found = {
        task.name: _deviations(task, method, [of[task.name] for of in outputs], rows, clusters_R)
        for task in group.tasks
    }
    return found | ({TASKS: _overall(found, rows, clusters_R, scales)} if scales else {})


def _clusters(rows: LabelledRows) -> np.ndarray:
    """(R,) numbers of the clusters from 0: the users, or the rows themselves."""
    if rows.users is None:
        return np.arange(len(next(iter(rows.labels.values()))))
    numbers: np.ndarray = np.unique(rows.users, return_inverse=True)[1]
    return numbers


def _overall(found: Found, rows: LabelledRows, clusters_R: np.ndarray, scales: Mapping[str, float]) -> Deviations | str:
    """The rows' deviations of the gain: the sum over tasks, each with its scale."""
    parts = {task: of for task, of in found.items() if isinstance(of, Deviations)}
    if len(parts) < len(found):
        return next(of for of in found.values() if isinstance(of, str))
    runs = len(next(iter(parts.values())).parts_SG)
    total_SG = np.zeros((runs, int(clusters_R.max()) + 1))
    for task, of in parts.items():
        total_SG[:, np.unique(clusters_R[~np.isnan(rows.labels[task])])] += scales[task] * of.parts_SG
    return Deviations(total_SG, len(clusters_R), min(of.df for of in parts.values()))


def _loaded(
    runs: Sequence[Run],
    method: str,
    files: dict[str, list[Path]],
    selection: SelectionName,
    known: dict[Path, LabelledRows],
) -> tuple[list[dict[str, np.ndarray]], LabelledRows]:
    """The predictions of a method's runs and the test rows.

    Raises:
        ValueError: with the reason, if there are no predictions.
    """
    outputs, places, reasons = [], [], []
    for run in runs:
        for path in files.get(run.record.id, []):  # one run may be in several folders
            try:
                outputs.append(load_predictions(path, run.record, selection))
            except ValueError as error:
                reasons.append(str(error))
                continue
            places.append(path_of_test_rows(path, run.pair[2]))
            break
    if not outputs:
        raise ValueError(reasons[0] if reasons else f"{method} has no predictions: save_predictions=true keeps them")
    place = next((path for path in places if path.is_file()), None)
    if place is None:
        raise ValueError(
            f"there is no {places[0]}, which has labels and users of the test rows: the command of the runs with "
            "save_predictions=true writes it from the data set"
        )
    if place not in known:
        known[place] = load_test_rows(place)
    return outputs, known[place]


def _deviations(
    task: Task, method: str, outputs: Sequence[np.ndarray], rows: LabelledRows, clusters_R: np.ndarray
) -> Deviations | str:
    metric = metrics.headline_name(task)
    if metric not in DEVIATIONS:
        return f"the row error of {metric} is not known, only of {', '.join(DEVIATIONS)}"
    if task.name not in rows.labels or any(len(values) != len(clusters_R) for values in outputs):
        return f"the file of test rows is of other data than the predictions of {method} on {task.name}"
    labels_R = rows.labels[task.name]
    known_R = ~np.isnan(labels_R)
    try:
        return DEVIATIONS[metric](labels_R[known_R], np.stack(outputs)[:, known_R], clusters_R[known_R])
    except ValueError as error:
        return f"{method}: {error}"
