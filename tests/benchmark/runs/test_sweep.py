"""Whole sweeps through the command line: records, skipping, the last bit, failures, checkpoints, report and recommendations."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmark import RunConfig, configure, load_record, load_records, run
from benchmark.records.packed import NAME
from benchmark.records.packing import pack
from benchmark.records.predictions import load_test_rows
from benchmark.records.record import record_files
from tests.command import mtlbench
from tests.outside import install

SHOP = ["dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=4000"]
SHORT = ["trainer.max_epochs=2", "trainer.batch_size=256", "threads=1"]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `mtlbench run` in this process."""
    return mtlbench("run", *arguments)


def fresh_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m benchmark` as a user does, in a process of its own."""
    command = [sys.executable, "-m", "benchmark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False, timeout=600)


def test_a_sweep_leaves_records_and_is_skipped_the_second_time(tmp_path: Path) -> None:
    methods = ["architecture=shared_bottom,mmoe", "weighting=equal,pcgrad"]
    sweep = ["dataset=shop", *SHOP, *SHORT, *methods, "seed=0,1", f"results_dir={tmp_path}"]
    first = fresh_bench(*sweep)
    assert first.returncode == 0, first.stderr
    assert "8 finished, 0 skipped, 0 diverged, 0 failed" in first.stderr
    assert "[8/8]" in first.stderr
    assert f"mtlbench report {tmp_path}" in first.stderr
    files = {path: path.read_bytes() for path in record_files(tmp_path)}
    assert len(files) == 8
    second = bench("-m", *sweep)
    assert second.returncode == 0, second.stderr
    assert "0 finished, 8 skipped" in second.stderr
    assert {path: path.read_bytes() for path in record_files(tmp_path)} == files
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["shop"], "Hydra left something behind"


def test_what_is_packed_is_skipped_and_what_is_new_lies_beside_it(tmp_path: Path) -> None:
    sweep = ["dataset=shop", *SHOP, *SHORT, "architecture=shared_bottom", f"results_dir={tmp_path}"]
    assert bench(*sweep, "seed=0,1").returncode == 0
    assert pack(tmp_path) == {tmp_path / NAME: 2}
    again = bench(*sweep, "seed=0,1,2")
    assert again.returncode == 0, again.stderr
    assert "3 runs, 2 done before and skipped, 1 to do" in again.stderr
    assert "1 finished, 2 skipped" in again.stderr
    assert len([*record_files(tmp_path)]) == 1
    assert [record.seed for record in sorted(load_records(tmp_path), key=lambda r: r.seed)] == [0, 1, 2]


def test_broken_records_of_its_runs_run_again_and_those_of_others_are_not_in_the_way(tmp_path: Path) -> None:
    sweep = ["dataset=shop", *SHOP, *SHORT, "architecture=shared_bottom", f"results_dir={tmp_path}", "seed=0,1,2"]
    assert bench(*sweep).returncode == 0
    whole = {path: load_record(path) for path in record_files(tmp_path)}
    cut, odd, other = sorted(whole)
    cut.write_bytes(cut.read_bytes()[:500])
    value = json.loads(odd.read_text())
    value["metrics"]["test"]["click"]["auc"] = 7.0
    odd.write_text(json.dumps(value))
    (odd.parent / f"{'0' * 12}.json").write_text("")  # of another sweep
    again = bench(*sweep)
    assert again.returncode == 0, again.stderr
    assert f"mtlbench: {cut} is not a record: it is not JSON" in again.stderr
    assert (
        f"mtlbench: {odd} is a broken record: metrics.test.click.auc: expected a number from 0 to 1, found 7.0; "
        "the run counts as not done and runs again"
    ) in again.stderr
    assert "3 runs, 1 done before and skipped, 2 to do" in again.stderr
    assert "2 finished, 1 skipped, 0 diverged, 0 failed" in again.stderr
    assert all(load_record(path).metrics == record.metrics for path, record in whole.items())
    assert load_record(other) == whole[other]
    other.unlink()
    other.mkdir()
    assert f"{other} is a folder, and the record of the run would have this name" in bench(*sweep).stderr


def test_a_sweep_gives_every_architecture_the_size_that_it_asks_for(tmp_path: Path) -> None:
    sweep = ["dataset=shop", *SHOP, *SHORT, "architecture=shared_bottom,resflow", "seed=0,1"]
    sweep += ["match_parameters=mmoe", f"results_dir={tmp_path}"]
    planned = bench(*sweep, "--dry-run")
    lines = [line for line in planned.stdout.splitlines() if "match_parameters=" in line]
    assert len(lines) == 2, planned.stderr
    done = bench(*sweep)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "match_parameters=" in line] == lines
    records = load_records(tmp_path)
    assert len(records) == 4
    for record in records:
        own, target = (
            record.cost["parameters"] - record.cost["embedding_parameters"],
            record.config["matched"]["target"],
        )
        assert own == pytest.approx(target, rel=0.03)
    assert "4 runs, 4 done before and skipped" in bench(*sweep).stderr
    shown = mtlbench("show", str(records[0].path(tmp_path)))
    assert "match_parameters=mmoe: " in shown.stdout


def test_a_sweep_whose_size_is_out_of_reach_starts_nothing(tmp_path: Path) -> None:
    done = bench(
        "dataset=shop", *SHOP, "architecture=shared_bottom,mmoe", "match_parameters=2000", f"results_dir={tmp_path}"
    )
    assert done.returncode == 1
    assert "match_parameters=2000: on shop, mmoe can have from" in done.stderr
    assert [*record_files(tmp_path)] == []


def test_a_tracked_sweep_ends_with_its_report(tmp_path: Path) -> None:
    done = bench(
        "dataset=shop", *SHOP, *SHORT, "architecture=shared_bottom", "seed=0,1", f"results_dir={tmp_path / 'runs'}",
        "tracker=wandb", f"tracker.folder={tmp_path / 'tracked'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    runs = [*(tmp_path / "tracked" / "wandb").glob("offline-run-*")]
    assert len(runs) == 3
    assert len([*(tmp_path / "tracked").rglob("report_*.html")]) == 1


def test_the_same_run_gives_the_same_numbers_to_the_last_bit_from_python_and_the_command_line(tmp_path: Path) -> None:
    done = fresh_bench(
        "dataset=shop", *SHOP, *SHORT, "architecture=ple", "weighting=pcgrad", "seed=3", f"results_dir={tmp_path / 'a'}"
    )
    assert done.returncode == 0, done.stderr
    (by_command,) = load_records(tmp_path / "a")
    config = RunConfig(
        dataset=configure("dataset", "shop", num_users=60, num_items=40, num_rows=4000),
        architecture="ple",  # type: ignore[arg-type]
        weighting="pcgrad",  # type: ignore[arg-type]
        seed=3,
        threads=1,
        results_dir=str(tmp_path / "b"),
    )
    config.trainer.max_epochs, config.trainer.batch_size = 2, 256
    by_python = run(config)
    assert by_python.id == by_command.id
    assert by_python.metrics == by_command.metrics
    assert [e["train_losses"] for e in by_python.epochs] == [e["train_losses"] for e in by_command.epochs]


def test_the_split_may_follow_the_seed(tmp_path: Path) -> None:
    sweep = ["dataset=shop", *SHOP, *SHORT, "seed=0,1", "dataset.split_seed=${seed}", f"results_dir={tmp_path}"]
    first = bench(*sweep)
    assert first.returncode == 0, first.stderr
    assert "2 finished, 0 skipped" in first.stderr
    assert {(r.seed, r.config["dataset"]["split_seed"]) for r in load_records(tmp_path)} == {(0, 0), (1, 1)}
    second = bench(*sweep)
    assert second.returncode == 0, second.stderr
    assert "0 finished, 2 skipped" in second.stderr


def test_a_sweep_of_nothing_but_what_an_experiment_leaves_out_says_so(tmp_path: Path) -> None:
    done = bench(
        "experiment=census", "architecture=single_task", "weighting=uncertainty", "seed=0", f"results_dir={tmp_path}"
    )
    assert done.returncode == 1
    assert "nothing to run" in done.stderr


def test_debug_tries_a_sweep_apart_from_its_records(tmp_path: Path) -> None:
    sweep = [
        "dataset=shop",
        *SHOP,
        "threads=1",
        "architecture=single_task,mmoe",
        "weighting=equal,pcgrad",
        "debug=true",
    ]
    for _ in range(2):
        done = bench(*sweep, "seed=0", f"results_dir={tmp_path}")
        assert done.returncode == 0, done.stderr
        assert "single_task/pcgrad is single_task/equal: not trained again (1 run)" in done.stderr
        assert "3 finished, 0 skipped" in done.stderr
        assert f"mtlbench report {tmp_path / '.debug'}" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == [".debug"]
    assert len(load_records(tmp_path / ".debug")) == 3


def test_a_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    methods = ["architecture=single_task,mmoe", "weighting=equal,pcgrad", "seed=0,1"]
    done = bench("--dry-run", "dataset=shop", *SHOP, *SHORT, *methods, f"results_dir={tmp_path / 'runs'}")
    assert done.returncode == 0, done.stderr
    *_, count, time = done.stdout.splitlines()
    assert count == "mtlbench: 6 runs; 0 done before and skipped, 6 to do"
    assert time.startswith("mtlbench: about ") and time.endswith("measured: 20 steps of each method")
    assert done.stderr == "mtlbench: single_task/pcgrad is single_task/equal: not trained again (2 runs)\n"
    assert not list(tmp_path.iterdir())


def test_a_learning_rate_that_explodes_ends_as_diverged_with_task_and_step(tmp_path: Path) -> None:
    done = bench("dataset=shop", *SHOP, *SHORT, "trainer.learning_rate=1e30", f"results_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    (record,) = load_records(tmp_path)
    assert record.status == "diverged"
    assert record.error is not None
    assert record.error["task"] in ("click", "purchase", "duration")
    assert record.error["step"] >= 1


def test_a_run_that_fails_is_recorded_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "plugin", "broken_net", "raise RuntimeError('no forward today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugin"))
    results = tmp_path / "results"
    done = fresh_bench("dataset=shop", *SHOP, *SHORT, "architecture=broken_net,shared_bottom", f"results_dir={results}")
    assert done.returncode == 1
    assert "1 finished, 0 skipped, 0 diverged, 1 failed" in done.stderr
    statuses = {record.method: record.status for record in load_records(results)}
    assert statuses == {"broken_net/equal": "failed", "shared_bottom/equal": "finished"}
    assert "no forward today" in json.dumps([record.error for record in load_records(results)])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["architecture=mmoee"], "did you mean mmoe"),
        (["trainer.batch_size=0"], "trainer.batch_size must be at least 1"),
        (["trainer.learning_rate=-1"], "trainer.learning_rate must be greater than 0"),
        (["dataset=shop", "weighting=fixed", "weighting.weights={clik: 1}"], "click"),
        (["dataset=census_income", "architecture=esmm"], "does not suit dataset census_income"),
        (["trainer.monitor=clik.auc"], "click"),
        (["results_dir=/dev/null/nowhere"], "cannot be written"),
        (
            ["hydra.launcher.n_jobs=1,2"],
            "n_jobs=1,2: commas make a sweep, and hydra.* takes one value per command: hydra.",
        ),
        (
            ["architecture=mmoe,ple", "--cfg", "job"],
            "--cfg and --info show one run; choose one value: architecture=mmoe",
        ),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], expected: str) -> None:
    done = bench(*arguments)
    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_what_validation_cannot_judge_is_told_once_and_before_any_run(tmp_path: Path) -> None:
    unjudged = ["dataset=shop", *SHOP, *SHORT, "dataset.purchase_rate=0.005", "dataset.split_seed=0"]
    done = bench(*unjudged, "architecture=shared_bottom,mmoe", "seed=0,1", f"results_dir={tmp_path / 'runs'}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "mtlbench: trainer.monitor=mean cannot be judged on the 400 rows of validation: purchase.auc"
    )
    assert not (tmp_path / "runs").exists()


def test_a_sweep_that_is_done_writes_test_rows_that_are_gone_and_trains_nothing(tmp_path: Path) -> None:
    sweep = ["dataset=shop", *SHOP, *SHORT, "save_predictions=true", f"results_dir={tmp_path}"]
    assert bench(*sweep).returncode == 0
    (rows,) = tmp_path.glob("shop/test_rows/*.safetensors")
    before = load_test_rows(rows)
    rows.unlink()
    again = bench(*sweep)
    assert "0 finished, 1 skipped" in again.stderr
    np.testing.assert_equal(asdict(load_test_rows(rows)), asdict(before))
    assert len(load_records(tmp_path)) == 1


def test_fixed_weights_checkpoint_report_and_recommendations(tmp_path: Path) -> None:
    weights = "weighting.weights={click: 1, purchase: 5, duration: 0.1}"
    done = bench(
        "dataset=shop", *SHOP, *SHORT, "weighting=fixed", weights, "save_checkpoint=true", f"results_dir={tmp_path}"
    )
    assert done.returncode == 0, done.stderr
    (path,) = record_files(tmp_path)
    record = load_record(path)
    assert record.epochs[-1]["effective_weights"] == pytest.approx({"click": 1, "purchase": 5, "duration": 0.1})
    assert record.dataset["best_reachable"]
    html = tmp_path / "report.html"
    report = mtlbench("report", str(tmp_path), "--html", str(html))
    assert report.returncode == 0, report.stderr
    assert "too few seeds" in report.stdout
    assert "mmoe/fixed" in html.read_text()
    user = "1" if "u" not in record.dataset["fields"] else "u1"
    asked = mtlbench("recommend", str(path), "--user", user, "-k", "3", "--score", "purchase", "--format", "json")
    assert asked.returncode == 0, asked.stderr
    assert len(json.loads(asked.stdout)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment=census,kuairand"], "one experiment per command, because each brings its own sweep"),
        (["dataset=shop", "seed=range(3,0)"], "nothing to run: one of the swept values is an empty range"),
        (
            ["dataset=shop", "seed=0,1", "hydra.sweeper.leave_out=[{architectur: mmoe}]"],
            "unknown key of hydra.sweeper.leave_out 'architectur'; did you mean architecture",
        ),
        (
            ["dataset=shop", "seed=0,1", "hydra.sweeper.either=[{weightin: equal}]"],
            "unknown key of hydra.sweeper.either 'weightin'; did you mean weighting",
        ),
        (
            ["dataset=shop", "seed=0,1", "hydra.sweeper.space.trainer.learning_rate=interval(1e-4,1e-2)"],
            "the sweeper expects a text here, in quotes inside the shell's; write hydra.sweeper.space.trainer.learning_rate=",
        ),
    ],
)
def test_a_sweep_that_is_not_what_was_meant_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = bench("-m", *arguments, f"results_dir={tmp_path / 'runs'}")
    assert done.returncode == 1 and message in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert not (tmp_path / "runs").exists()


def test_spaces_in_what_is_left_out_are_no_names(tmp_path: Path) -> None:
    done = bench(
        "dataset=shop", *SHOP, *SHORT, "architecture=shared_bottom,mmoe", "seed=0", f"results_dir={tmp_path}",
        "hydra.sweeper.leave_out=[{architecture: 'ple, mmoe'}]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [record.method for record in load_records(tmp_path)] == ["shared_bottom/equal"]


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        ({}, [["weighting=fixed", "weighting.weights={ctr:1},{ctr:2}"], ["weighting=equal,dwa"]]),
        (
            {"seed": "seed=3"},
            [["weighting=fixed", "weighting.weights={ctr:1},{ctr:2}", "seed=3"], ["weighting=equal,dwa", "seed=3"]],
        ),
        # a choice of the command line leaves out the part whose parameter it does not have
        ({"weighting": "weighting=famo"}, [["weighting=equal,dwa", "weighting=famo"]]),
        # a parameter goes where it is known
        (
            {"weighting.weights": "weighting.weights={cvr:5}"},
            [
                ["weighting=fixed", "weighting.weights={ctr:1},{ctr:2}", "weighting.weights={cvr:5}"],
                ["weighting=equal,dwa"],
            ],
        ),
        (
            {"weighting": "weighting=fixed", "weighting.weights": "weighting.weights={cvr:5}"},
            [["weighting=equal,dwa", "weighting=fixed", "weighting.weights={cvr:5}"]],
        ),
    ],
)
def test_what_the_parts_of_a_sweep_take_of_the_command_line(given: dict[str, str], parts: list[list[str]]) -> None:
    """Of two overrides of one key Hydra takes the last."""
    # Hydra executes its plugins anew when a command looks for them, after which a class from before has another base
    sweeper = importlib.reload(importlib.import_module("hydra_plugins.mtlbench.sweeper"))
    either = [{"weighting": "fixed", "weighting.weights": "{ctr:1},{ctr:2}"}, {"weighting": "equal,dwa"}]
    assert sweeper.Sweeper(either=either)._parts(given) == parts
    assert sweeper.Sweeper(either=either[:1])._parts({"weighting": "weighting=dwa"}) == [["weighting=dwa"]]
    assert sweeper.Sweeper()._parts(given) == [list(given.values())]


def test_a_part_of_a_sweep_has_parameters_that_the_others_lack(tmp_path: Path) -> None:
    done = bench(
        "experiment=scalarization", *SHOP, *SHORT, "seed=0", "weighting.weights={duration: 0.1},{duration: 3}",
        "hydra.sweeper.leave_out=[{weighting: 'uncertainty,random,gradnorm,famo,pcgrad,mgda,cagrad,nash_mtl'}]", f"results_dir={tmp_path}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [(record.method, record.config["weighting"].get("weights")) for record in load_records(tmp_path)]
    assert sorted(found, key=str) == [
        ("shared_bottom/dwa", None), ("shared_bottom/equal", None),
        ("shared_bottom/fixed", {"duration": 0.1}), ("shared_bottom/fixed", {"duration": 3.0}),
    ]  # fmt: skip
