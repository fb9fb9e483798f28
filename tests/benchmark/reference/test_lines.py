from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark import configure
from benchmark.cli import main
from benchmark.records.reference import ReferenceRecord, load_references
from benchmark.reference import trees
from benchmark.reference.lines import make_references
from benchmark.settings.registry import datasets

SHOP = {"num_rows": 2000, "num_users": 80, "num_items": 40}


def make(folder: Path, **values: Any) -> list[ReferenceRecord]:
    arguments = {"trials": 2, "seeds": 2, "threads": 1, **values}
    return make_references(configure("dataset", "shop", **SHOP), results_dir=str(folder), **arguments)


def of(folder: Path, name: str) -> list[ReferenceRecord]:
    return [record for record in load_references(folder) if record.name == name]


def contents(folder: Path) -> dict[str, Any]:
    """Of all records, what does not hang on the clock."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        value = json.loads(path.read_text())
        models = {task: {k: v for k, v in model.items() if k != "seconds"} for task, model in value["models"].items()}
        found[path.name] = (value["metrics"], models)
    return found


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """Made once; tests that change something take a copy."""
    pytest.importorskip("lightgbm")
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLBENCH_CACHE", str(shared_cache))
        make(folder)
    return folder


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    for path in folder.rglob("*.json"):
        copy = tmp_path / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    return tmp_path


def test_constant_trials_and_seeds_are_there(folder: Path) -> None:
    records = load_references(folder)
    assert sorted((r.name, r.purpose, r.seed) for r in records) == [
        ("constant", "default", 0),
        ("gbdt", "trial", 10_000),
        ("gbdt", "trial", 10_001),
        ("gbdt", "tuned", 0),
        ("gbdt", "tuned", 1),
    ]
    assert len({r.dataset["test_rows"] for r in records}) == 1
    assert all(r.dataset["best_reachable"]["click"]["auc"] > 0.7 for r in records if r.purpose != "trial")


def test_a_trial_holds_no_test_metric(folder: Path) -> None:
    for record in load_references(folder):
        splits = {"validation"} if record.purpose == "trial" else {"validation", "test"}
        assert set(record.metrics) == splits
        assert ("constant" in record.dataset) == ("best_reachable" in record.dataset) == (record.purpose != "trial")


def test_the_constant_is_the_one_of_every_record(folder: Path) -> None:
    (record,) = of(folder, "constant")
    assert record.metrics["test"] == record.dataset["constant"]
    assert record.metrics["validation"]["click"]["auc"] == 0.5
    assert record.models == record.tuning == record.cost == {}


def test_each_task_gets_the_best_of_its_own_trials(folder: Path) -> None:
    records = of(folder, "gbdt")
    trials = sorted((r for r in records if r.purpose == "trial"), key=lambda r: r.seed)
    for record in (r for r in records if r.purpose == "tuned"):
        for task, metric, sign in (("click", "auc", 1), ("purchase", "auc", 1), ("duration", "mse", -1)):
            scores = [sign * trial.metrics["validation"][task][metric] for trial in trials]  # type: ignore[operator]
            best = max(range(2), key=scores.__getitem__)
            assert record.models[task]["trial"] == best
            assert record.models[task]["parameters"] == trees.draw_parameters(task, best)
        assert record.tuning["criterion"] == {"click": "auc", "purchase": "auc", "duration": "mse"}
        assert record.tuning["ids"] == [trial.id for trial in trials]


def test_seeds_have_a_spread_and_trees_beat_the_constant(folder: Path) -> None:
    first, second = (r for r in of(folder, "gbdt") if r.purpose == "tuned")
    assert first.metrics["test"]["click"]["auc"] != second.metrics["test"]["click"]["auc"]
    for record in (first, second):
        assert record.metrics["test"]["click"]["auc"] > 0.6  # type: ignore[operator]
        assert record.metrics["test"]["click"]["auc"] < record.dataset["best_reachable"]["click"]["auc"]
        assert record.environment["lightgbm"] == trees.lightgbm().__version__


def test_a_funnel_child_is_trained_and_judged_on_all_exposures(folder: Path) -> None:
    record = next(r for r in of(folder, "gbdt") if r.purpose == "tuned")
    assert record.models["purchase"]["rows"] == record.dataset["splits"]["train"]
    rates = [record.metrics["test"][task]["positive_rate"] for task in ("click", "purchase")]
    assert rates[0] > rates[1]  # type: ignore[operator]
    assert record.metrics["test"]["purchase"]["calibration"] == pytest.approx(1, abs=0.5)
    assert "auc[purchase|click]" in record.metrics["test"]["purchase"]


def test_what_is_there_is_kept(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = times(own)
    records = make(own)
    assert times(own) == before
    assert [(r.name, r.seed) for r in records] == [("constant", 0), ("gbdt", 0), ("gbdt", 1)]
    assert "0 made, 5 there before and kept" in capsys.readouterr().err


def test_what_is_missing_is_made_again_as_it_was(own: Path, folder: Path) -> None:
    for record in load_references(own):
        if record.seed in (1, 10_000):
            record.path(own).unlink()
    make(own)
    assert contents(own) == contents(folder)


def test_more_seeds_cost_no_trial(own: Path) -> None:
    before = times(own)
    assert len(make(own, seeds=3)) == 4
    assert len(times(own)) == 6
    assert before.items() <= times(own).items()


def test_a_record_of_other_data_is_made_anew(own: Path, folder: Path) -> None:
    (record,) = of(own, "constant")
    record.dataset["fingerprint"] = "of another day"
    record.metrics = {}
    record.write(own)
    make(own)
    assert contents(own) == contents(folder)


def test_rerun_repeats_all(own: Path, folder: Path) -> None:
    before = times(own)
    make(own, rerun=True)
    assert all(before[path] != time for path, time in times(own).items())
    assert contents(own) == contents(folder)


def test_an_interrupted_call_goes_on(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, calls = trees.Trees.fit, []

    def interrupted(*arguments: Any) -> trees.Model:
        calls.append(arguments)
        if len(calls) == 5:  # within the second trial
            raise KeyboardInterrupt
        return fit(*arguments)

    monkeypatch.setattr(trees.Trees, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path)
    assert [(r.name, r.purpose) for r in load_references(tmp_path)] == [("constant", "default"), ("gbdt", "trial")]
    make(tmp_path)
    assert len(calls) == 5 + 9
    assert contents(tmp_path) == contents(folder)


def test_the_command_is_the_function(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["dataset=shop", *(f"dataset.{key}={value}" for key, value in SHOP.items()), "threads=1"]
    main(["reference", *words, "trials=2", "seeds=2", f"results_dir={tmp_path}"])
    assert contents(tmp_path) == contents(folder)
    err = capsys.readouterr().err
    assert "[2/5] shop gbdt trial 0: click AUC 0." in err
    assert "on validation | " in err
    assert "[5/5] shop gbdt seed 1: click AUC 0." in err


def test_the_constant_needs_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    (record,) = make(tmp_path, only=["constant"])
    assert record.name == "constant"
    assert len(load_references(tmp_path)) == 1


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"trials": 0}, "trials must be at least 1, found 0"),
        ({"seeds": 0}, "seeds must be at least 1, found 0"),
        ({"only": ["gbtd"]}, "unknown reference line 'gbtd'; did you mean gbdt"),
        ({}, "needs LightGBM"),
    ],
)
def test_what_is_wrong_is_said_before_data_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], line: str
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    monkeypatch.setattr(datasets.get("shop"), "build", lambda self: pytest.fail("data was read"))
    with pytest.raises(ValueError, match=line):
        make(tmp_path, **values)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trails=3"], "mtlbench: unknown key 'trails'; did you mean trials? known: dataset, experiment, only, "),
        (["architecture=mmoe"], "mtlbench: unknown key 'architecture';"),
        (["trials=few"], "mtlbench: trials: expected a whole number, found 'few'"),
        (["dataset=shopp"], "mtlbench: unknown dataset 'shopp'; did you mean shop?"),
        (["only=trees"], "mtlbench: unknown reference line 'trees'; known: constant, gbdt"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["reference", *words])
    err = capsys.readouterr().err
    assert stopped.value.code == 1
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_what_validation_cannot_judge_is_told_before_the_first_trial(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    unjudged = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000, purchase_rate=0.01, split_seed=1)
    with pytest.raises(
        ValueError, match="trials of 'purchase' cannot be compared: no auc on validation, one class only"
    ):
        make_references(unjudged, results_dir=str(tmp_path), trials=2, seeds=1, threads=1)
    assert [record.name for record in load_references(tmp_path)] == ["constant"]
