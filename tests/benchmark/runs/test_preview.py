"""`--dry-run` says what would be done, and does nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.record import load_records
from benchmark.runs import preview as module
from benchmark.runs.duration import Durations, Expected
from benchmark.runs.preview import MOST_LINES, preview
from benchmark.settings.config import RunConfig
from tests.benchmark.runs.test_tuning import METHODS, SHOP, SPACE, Launcher, _hydra, compose, search  # noqa: F401  the fixture is one of this module too

ONE_BY_ONE = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}
ENDS = "(the least if early stopping ends every run as soon as it can, the most if all reach trainer.max_epochs)"
TUNING: dict[str, Any] = {"trials": 4, "sampler": "halton", "space": SPACE, "replicate": "seed"}


@pytest.fixture(autouse=True)
def _a_minute_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run takes one to three minutes."""
    monkeypatch.setattr(Durations, "of", lambda self, config: Expected(60.0, 180.0))


def told(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    methods: tuple[str, ...] = METHODS,
    seeds: int = 2,
    launcher: dict[str, Any] = ONE_BY_ONE,
    **settings: Any,
) -> list[str]:
    jobs = [
        [*SHOP, f"architecture={method}", f"results_dir={folder}", *arguments, f"seed={seed}"]
        for method in methods
        for seed in range(seeds)
    ]
    capsys.readouterr()
    preview(jobs, compose=compose, launcher=launcher, **settings)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "mtlbench: dry run: nothing is trained, and no record is written"
    return [re.sub(" {2,}", "  ", line) for line in lines]


def test_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(tmp_path / "runs", capsys)
    assert lines == [
        "  shop  single_task/equal  2 runs: seeds 0, 1",
        "  shop  shared_bottom/equal  2 runs: seeds 0, 1",
        "  shop  mmoe/equal  2 runs: seeds 0, 1",
        "mtlbench: 6 runs; 0 done before and skipped, 6 to do",
        f"mtlbench: about 6 min to 18 min of training and validation {ENDS}; measured: 20 steps of each method",
    ]
    assert not (tmp_path / "runs").exists()


def test_what_is_done_before_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(), methods=("mmoe",), seeds=1)
    lines = told(tmp_path, capsys, methods=("mmoe", "ple"))
    assert lines[0] == "  shop  mmoe/equal  2 runs: seed 1 (done before: 0)"
    assert lines[2] == "mtlbench: 4 runs; 1 done before and skipped, 3 to do"


def test_copies_are_no_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [[*SHOP, "architecture=single_task", f"weighting={w}", "seed=0"] for w in ("equal", "pcgrad")]
    preview(jobs, compose=compose, launcher=ONE_BY_ONE)
    out, err = capsys.readouterr()
    assert "single_task/pcgrad is single_task/equal: not trained again (1 run)" in err
    assert "1 run; 0 done before and skipped, 1 to do" in out


def test_tuning_counts_trials_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(tmp_path, capsys, methods=("mmoe",), **TUNING)
    assert lines[0] == "  shop  mmoe/equal  4 trials; 2 tuned runs: seeds 0, 1; 2 runs: seeds 0, 1"
    assert lines[1] == "mtlbench: 4 trials, 2 tuned runs, 2 runs; 0 done before and skipped, 8 to do"
    assert lines[2].endswith("measured: 20 steps of each method with its default parameters")
    assert "8 min to 24 min" in lines[2]
    each = told(tmp_path, capsys, methods=("mmoe",), with_defaults=False, **{**TUNING, "replicate": "search"})
    assert each[0] == "  shop  mmoe/equal  8 trials; 2 tuned runs: seeds 0, 1"


@pytest.mark.parametrize("sampler", ["halton", "tpe"])
def test_a_search_that_was_interrupted_and_one_that_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sampler: str
) -> None:
    settings = {**TUNING, "trials": 6, "sampler": sampler}
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, Launcher(stop=5), methods=("mmoe",), **settings)
    before = len(load_records(tmp_path))
    assert told(tmp_path, capsys, methods=("mmoe",), **settings)[1] == (
        "mtlbench: 6 trials, 2 tuned runs, 2 runs; 5 done before and skipped, 5 to do"
    )
    assert len(load_records(tmp_path)) == before == 5
    search(tmp_path, Launcher(), methods=("mmoe",), **settings)
    assert told(tmp_path, capsys, methods=("mmoe",), **settings) == [
        "  shop  mmoe/equal  6 trials (6 done before); 2 tuned runs: done before: 0, 1; 2 runs: done before: 0, 1",
        "mtlbench: 6 trials, 2 tuned runs, 2 runs; 10 done before and skipped, 0 to do",
    ]


def test_debug_has_two_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path, capsys, "debug=true", methods=("mmoe",), **TUNING)[1].startswith("mtlbench: 2 trials,")


def test_looks_have_a_first_one_and_a_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(tmp_path, capsys, looks=(3, 5, 8), margin="0.5%")
    assert lines[0] == "  shop  single_task/equal  3 runs: seeds 0–2"
    assert lines[3] == "mtlbench: the first look, at 3 seeds: 9 runs; 0 done before and skipped, 9 to do"
    assert lines[5] == (
        "mtlbench: at most, if no method is decided before 8 seeds: 24 runs; 0 done before and skipped, 24 to do"
    )
    assert "24 min to 72 min" in lines[6] or "24 min to 1 h 12 min" in lines[6]
    tuned = told(tmp_path, capsys, looks=(3, 5), **{**TUNING, "replicate": "search"})
    assert "first look, at 3 seeds: 36 trials, 9 tuned runs; 0 done before" in tuned[3]


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ({**JOBLIB, "n_jobs": 3}, "about 2 min to 6 min of training and validation, 3 runs at a time"),
        ({**JOBLIB, "n_jobs": 100}, "about 60 s to 3 min of training and validation, 6 runs at a time"),
        ({"_target_": "x.SlurmLauncher"}, "6 min to 18 min of training and validation in all, divided among as many"),
    ],
    ids=["three", "more than runs", "a cluster"],
)
def test_runs_at_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], launcher: dict[str, Any], expected: str
) -> None:
    assert expected in told(tmp_path, capsys, launcher=launcher)[-1]


def test_records_are_named_as_the_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(self: Durations, config: RunConfig) -> Expected | str:
        known = {"single_task": Expected(600.0, 600.0, 5), "mmoe": Expected(60.0, 60.0)}
        return known.get(config.architecture.name, "RuntimeError: no forward today")

    monkeypatch.setattr(Durations, "of", of)
    *_, failure, time = told(tmp_path, capsys)
    assert failure == "mtlbench: shared_bottom/equal fails in its first steps: RuntimeError: no forward today"
    assert time == (
        "mtlbench: about 22 min of training and validation; from 5 records of a machine like this one; measured: 20 steps of "
        "each other method"
    )


def test_a_long_list_is_cut_and_methods_of_one_name_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [[*SHOP, f"architecture.num_experts={n}", "seed=0", f"results_dir={tmp_path}"] for n in range(1, 31)]
    preview(jobs, compose=compose, launcher=ONE_BY_ONE)
    lines = capsys.readouterr().out.splitlines()
    assert "mmoe/equal [architecture.num_experts=1]" in lines[1]
    assert lines[1 + MOST_LINES] == "  and 6 methods more"
    assert "30 runs; 0 done" in lines[2 + MOST_LINES]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dataset.num_rows=4000", "dataset.purchase_rate=0.005"), "trainer.monitor=mean cannot be judged"),
        (("weighting=fixed", "weighting.weights={clik: 1}"), "unknown task 'clik'"),
        (("results_dir=/dev/null/nowhere",), "cannot be written"),
    ],
)
def test_errors_are_those_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        told(tmp_path, capsys, *arguments)


def test_joblib_counts_from_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    assert [module._at_once({**JOBLIB, "n_jobs": jobs}) for jobs in (-1, -2, -20, 4)] == [8, 7, 1, 4]
