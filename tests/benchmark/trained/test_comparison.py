"""`mtlbench compare --delong`: checkpoints of real runs, and why some cannot be compared."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from benchmark import RunConfig, TrainerConfig, compare_checkpoints, configure, load_records, run
from benchmark.cli import main
from tests.benchmark.reporting.fabricate import records

A, B = "mmoe/equal", "shared_bottom/equal"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods, two seeds, and a third seed of which one has no checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=3000)
    for seed in range(3):
        for name in ("mmoe", "shared_bottom"):
            run(
                RunConfig(
                    dataset=shop, architecture=name, trainer=TrainerConfig(max_epochs=1), seed=seed, threads=1,
                    results_dir=str(folder), save_checkpoint=(name, seed) != ("mmoe", 2),
                )
            )  # fmt: skip
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy in another place than the records say."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def test_every_seed_with_both_checkpoints_has_a_line_for_each_binary_task(runs: Path) -> None:
    found = compare_checkpoints(A, B, runs)
    assert [(row.seed, row.task) for row in found.rows] == [
        (seed, task) for seed in ("0", "1") for task in ("click", "purchase")
    ]
    aucs = {
        (r.method, str(r.seed), task): r.metrics["test"][task]["auc"]
        for r in load_records(runs)
        for task in ("click", "purchase")
    }
    for row in found.rows:
        assert row.found.first == pytest.approx(aucs[A, row.seed, row.task], abs=1e-9)
        assert row.found.second == pytest.approx(aucs[B, row.seed, row.task], abs=1e-9)
        assert row.found.low < row.found.difference < row.found.high and 0 < row.found.p <= 1
    assert found.notes == (f"{found.rows[0].dataset}: 1 seed left out, without the checkpoint of one or both.",)


def test_the_other_way_round_is_the_other_sign(runs: Path) -> None:
    one, other = compare_checkpoints(A, B, runs), compare_checkpoints(B, A, runs)
    for row, turned in zip(one.rows, other.rows, strict=True):
        assert row.found.difference == pytest.approx(-turned.found.difference)
        assert row.found.p == pytest.approx(turned.found.p)


def test_a_method_and_itself_do_not_differ(runs: Path) -> None:
    assert {(row.found.difference, row.found.p) for row in compare_checkpoints(A, A, runs).rows} == {(0.0, 1.0)}


def test_the_verb_adds_it_where_asked_and_says_what_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", A, B, str(runs)])
    plain = capsys.readouterr().out
    main(["compare", A, B, str(runs), "--delong"])
    out = capsys.readouterr().out
    assert out.startswith(plain) and "DeLong" not in plain
    assert "each line is about these two trained checkpoints on this test set, not about the methods" in " ".join(
        out.split()
    )
    first = compare_checkpoints(A, B, runs).rows[0].found
    line = next(line for line in out[len(plain) :].splitlines() if line.split()[:2] == ["click", "0"])
    assert line.split()[2:4] == [f"{first.first:.4f}", f"{first.second:.4f}"]


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_weights_are_found_in_whichever_copy_of_a_run_has_them(runs: Path, tmp_path: Path, order: str) -> None:
    for name, folder in zip(order, ("with", "without"), strict=True):
        shutil.copytree(runs, tmp_path / "both" / name / folder)
    for path in (tmp_path / "both").glob("*/without/**/*.safetensors"):
        path.unlink()
    assert len(compare_checkpoints(A, B, tmp_path / "both").rows) == 4


def test_a_data_set_without_checkpoints_is_named(runs: Path, tmp_path: Path) -> None:
    other = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000)
    for name in ("mmoe", "shared_bottom"):
        config = RunConfig(dataset=other, architecture=name, trainer=TrainerConfig(max_epochs=1), threads=1)
        run(replace(config, results_dir=str(runs)))
    found = compare_checkpoints(A, B, runs)
    assert len(found.rows) == 4
    assert len(found.notes) == 2 and any("num_rows=2000" in note and "1 seed left out" in note for note in found.notes)


def without_weights(folder: Path) -> None:
    for path in folder.rglob("mmoe/**/*.safetensors"):
        path.unlink()


def other_weights(folder: Path) -> None:
    path = next(folder.rglob("mmoe/**/*.safetensors"))
    tensors = load_file(path)
    save_file({name: value.flip(0).contiguous() if value.ndim > 1 else value for name, value in tensors.items()}, path)


def other_weights_of_an_old_record(folder: Path) -> None:
    other_weights(folder)
    for path in folder.rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {}}))


def other_data(folder: Path) -> None:
    for path in folder.rglob("*.json"):
        value = json.loads(path.read_text())
        value["dataset"]["fingerprint"] = "0123456789abcdef"
        path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("spoil", "options", "line"),
    [
        (without_weights, [], (r"no seed has the checkpoints of both mmoe/equal and shared_bottom/equal under \S+copy: "
         r"expected <id>\.safetensors beside the records, found 0 of mmoe/equal and 3 of shared_bottom/equal, .*"
         r"save_checkpoint=true trains the runs without checkpoints again, and keeps them")),
        (other_weights, [], (r"\S+safetensors is not what run \w+ saved: expected sha256 \w+…, found \w+…; it is damaged or "
         "from another run; rerun=true makes it and its record again")),
        (other_weights_of_an_old_record, [], (r"the checkpoint of mmoe/equal, seed \d, is not what run \w+ was judged by: expected its "
         r"click AUC on test, 0\.\d+, to \S+, found 0\.\d+; .*")),
        (other_data, [], r"data set shop has changed since run \w+: expected fingerprint 0123456789abcdef, found \w+"),
        (None, ["--selection", "per_task"], "--delong: checkpoints hold the joint selection, found --selection per_task"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None] | None, options: list[str], line: str
) -> None:
    if spoil is not None:
        spoil(runs)
    with pytest.raises(SystemExit) as stopped:
        main(["compare", A, B, str(runs), "--delong", *options])
    out, err = capsys.readouterr()
    assert stopped.value.code == 1 and out == ""
    assert err.count("\n") == 1
    assert re.fullmatch(f"mtlbench: {line}\n", err)


def test_two_folders_are_not_two_methods(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", str(runs), str(runs), "--delong"])
    assert "expected two methods of one folder of records, found the folders" in capsys.readouterr().err


def test_an_unknown_method_and_a_missing_folder_are_named(runs: Path) -> None:
    with pytest.raises(ValueError, match="unknown method 'mmoe/eqal'; did you mean mmoe/equal"):
        compare_checkpoints("mmoe/eqal", B, runs)
    with pytest.raises(FileNotFoundError, match="no folder of records at nowhere"):
        compare_checkpoints(A, B, "nowhere")


def test_without_a_binary_task_there_is_nothing_to_compare(tmp_path: Path) -> None:
    for each in records(("videos",), seeds=1):
        each.dataset["schema"]["tasks"] = [t for t in each.dataset["schema"]["tasks"] if t["name"] == "play_time"]
        each.write(tmp_path)
    with pytest.raises(ValueError, match=r"no data set has both mmoe/equal and .*, and a binary task"):
        compare_checkpoints(A, B, tmp_path)
