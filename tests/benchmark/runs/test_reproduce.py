"""A record's run once more: the same bits, the original untouched, and clear words where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark import Record, RunConfig, TrainerConfig, configure, load_records, reproduce, run
from benchmark.cli import main
from benchmark.files import write_json
from benchmark.records.packing import pack
from benchmark.runs.reproduce import repeated
from tests.benchmark.datasets import own
from tests.command import mtlbench
from tests.published import shortest, verify


def small(folder: Path, **changes: object) -> RunConfig:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    trainer = TrainerConfig(max_epochs=1, batch_size=512)
    whole = {"dataset": shop, "architecture": "shared_bottom", "trainer": trainer, "threads": 1, **changes}
    return RunConfig(results_dir=str(folder), **whole)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_comes_out_again_from_its_path_its_id_and_a_packed_file(tmp_path: Path) -> None:
    record = run(small(tmp_path, save_predictions=True))
    path = record.path(tmp_path)
    before = files(tmp_path)
    found = reproduce(path)
    assert found.outcome == "same" and found.differing == 0
    assert sum(group.compared for group in found.numbers) > 60
    assert files(tmp_path) == before
    pack(tmp_path)
    packed = files(tmp_path)
    answer = mtlbench("reproduce", str(tmp_path), record.id[:4])
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "The same to the last bit" in answer.stdout
    assert files(tmp_path) == packed


@pytest.mark.parametrize("purpose", ["trial", "tuned"])
def test_a_trial_a_tuned_and_a_matched_run_come_out_again(tmp_path: Path, purpose: str) -> None:
    tuning = {"study": "s", "trial": 0, "sampler": "halton", "space": {"trainer.learning_rate": "x"}, "parameters": {}}
    size = None if purpose == "trial" else 3000
    record = run(small(tmp_path, purpose=purpose, tuning=tuning, search_seed=3, seed=2, match_parameters=size))
    found = reproduce(record)
    assert found.outcome == "same"
    assert found.again.config["tuning"] == tuning
    assert found.again.config.get("matched") == record.config.get("matched")
    assert (found.again.config.get("matched") is not None) is (purpose == "tuned")
    assert {one.split for one in found.headlines} == ({"validation"} if purpose == "trial" else {"validation", "test"})


def test_a_broken_neighbour_is_an_error_or_skipped_and_a_run_that_raises_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run(small(tmp_path)).path(tmp_path)
    path.with_stem("a" * 12).write_text("{")
    with pytest.raises(ValueError, match="--skip-broken"):
        reproduce(path)

    def fail(_: RunConfig) -> Record:
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.\nstack"
        )

    monkeypatch.setattr("benchmark.runs.reproduce.run", fail)
    with pytest.raises(SystemExit) as ended:
        main(["reproduce", str(path), "--skip-broken"])
    assert ended.value.code == 1
    told, error = capsys.readouterr().err.splitlines()
    assert "aaaaaaaaaaaa.json" in told
    assert "failed this time: RuntimeError: out of memory: not enough memory: you tried to allocate 9 bytes" in error


def test_another_number_in_the_record_is_told_with_status_1(tmp_path: Path) -> None:
    path = run(small(tmp_path)).path(tmp_path)
    value = json.loads(path.read_text())
    value["metrics"]["test"]["click"]["auc"] += 0.25
    write_json(path, value)
    answer = mtlbench("reproduce", str(path))
    assert answer.returncode == 1
    assert "Different" in answer.stdout or "cannot be judged" in answer.stdout
    assert "-0.25" in answer.stdout


def test_the_threads_are_those_of_the_record_and_a_missing_gpu_is_the_cpu(tmp_path: Path) -> None:
    record = run(small(tmp_path))
    record.cost |= {"threads": 3, "device": "NVIDIA H100"}
    record.config |= {"save_checkpoint": True, "checkpoint_every": "epoch", "tracker": {"name": "gone"}}
    config = repeated(record, "elsewhere")
    assert (config.threads, config.results_dir, config.tracker.name) == (3, "elsewhere", "none")
    assert config.device in ("cpu", "cuda")
    assert not (config.save_checkpoint or config.save_predictions or config.checkpoint_every or config.rerun)


def test_a_failed_run_a_reference_and_a_changed_configuration_are_refused(tmp_path: Path) -> None:
    record = run(small(tmp_path))
    path = record.path(tmp_path)
    record.status, record.error = "failed", {"message": "no memory"}
    with pytest.raises(ValueError, match=r"failed \(no memory\), so it has no numbers to compare"):
        reproduce(record)
    value = json.loads(path.read_text())
    value["config"]["trainer"]["batch_size"] = 400
    write_json(path, value)
    with pytest.raises(ValueError, match=rf"run {record.id} of .* would be another run"):
        reproduce(path)
    write_json(tmp_path / "reference" / "gbdt" / "1.json", {"kind": "reference", "id": "1"})
    answer = mtlbench("reproduce", str(tmp_path / "reference" / "gbdt" / "1.json"))
    assert answer.returncode == 1 and answer.stderr.count("\n") == 1


def test_a_table_s_run_comes_out_again_and_missing_and_changed_files_are_named(tmp_path: Path) -> None:
    yaml = own.write(tmp_path / "own")
    results = tmp_path / "results"
    record = run(small(results, dataset=configure("dataset", "table", file=yaml)))
    assert reproduce(record).outcome == "same"
    own.write(tmp_path / "own", frame=own.clicks(seed=1))
    with pytest.raises(ValueError, match=rf"has changed since run {record.id}: expected fingerprint \w+, found \w+"):
        reproduce(record)
    own.write(tmp_path / "own", yaml=own.YAML.replace("hour", "weekday"))
    with pytest.raises(ValueError, match="has changed since this run was configured: expected the description"):
        reproduce(record)
    Path(yaml).unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=r"clicks\.yaml"):
        reproduce(record)


def test_published_folders_give_the_shortest_runs_of_two_methods() -> None:
    records = load_records("results/records/census")
    chosen = shortest(records)
    assert len({record.method for record in chosen}) == len(chosen) == 2
    seconds = [record.cost["train_seconds"] for record in chosen]
    assert seconds == sorted(seconds) and seconds[0] == min(record.cost["train_seconds"] for record in records)
    assert shortest(list(reversed(records))) == chosen


def test_only_finished_runs_are_published_runs(tmp_path: Path) -> None:
    failed = Record(id="a", status="failed", method="m/equal", purpose="default", seed=0, config={})
    assert shortest([failed]) == []


def test_a_published_run_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    record = Record(id="a", status="finished", method="m/equal", purpose="default", seed=0, config={})
    record.cost["train_seconds"] = 1.0
    monkeypatch.setattr("tests.published.records_by_path", lambda place: {place: record})

    def fail(place: Path, _: str) -> None:
        raise ValueError(f"no memory for {place.name}")

    monkeypatch.setattr("tests.published.reproduce", fail)
    assert not verify(tmp_path)
    shown = capsys.readouterr().out
    assert "cannot be run: no memory for one" in shown and "cannot be run: no memory for two" in shown
