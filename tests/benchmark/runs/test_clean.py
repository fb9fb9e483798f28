"""`mtlbench clean`, and what a sweep cleans: what killed processes left, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.cli import main
from benchmark.runs.clean import clean, leftovers
from benchmark.temporaries import temporary_name
from tests.benchmark.test_temporaries import named

GONE = 2**22 + 1  # no process has this number


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Path], list[Path]]:
    """What is to go, and what is to stay, in results, cache and the folder of temporary files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("benchmark.runs.clean.gettempdir", lambda: str(tmp_path / "tmp"))
    runs, prepared = tmp_path / "results" / "runs", tmp_path / "cache" / "prepared"
    method = runs / "shop" / "mmoe" / "equal"
    gone = [
        method / named(GONE),
        runs / ".hydra",
        prepared / named(GONE),
        prepared / "shop-0" / named(GONE),
        tmp_path / "cache" / "digests" / named(GONE),
        tmp_path / "cache" / named(GONE),
        tmp_path / "tmp" / named(GONE),
    ]
    stay = [
        method / "0123456789abcdef.json",
        method / ".0123456789abcdef.state.safetensors",
        method / temporary_name("0123", ".json"),
        prepared / temporary_name("shop-1"),
        prepared / ".shop-0.lock",
        prepared / "shop-0" / "data.json",
        tmp_path / "tmp" / ".another-programs",
        tmp_path / "elsewhere" / named(GONE),
    ]
    folders = {runs / ".hydra", prepared / named(GONE), prepared / temporary_name("shop-1")}
    for path in (*gone, *stay):
        (path if path in folders else path.parent).mkdir(parents=True, exist_ok=True)
        if path not in folders:
            path.write_text("half")
    (prepared / named(GONE) / "train_labels.npy").write_text("half an array")
    return sorted(gone), sorted(stay)


def test_what_killed_processes_left_is_found_and_removed(
    places: tuple[list[Path], list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    gone, stay = places
    main(["clean", "--dry-run"])
    lines = capsys.readouterr().out.splitlines()
    shown = [Path.cwd() / line.removeprefix("would be removed: ").rpartition(" (")[0] for line in lines]
    assert sorted(shown) == gone
    assert all(path.exists() for path in gone)
    assert any(line.endswith("(13 bytes)") for line in lines)
    main(["clean"])
    assert len(capsys.readouterr().out.splitlines()) == len(gone)
    assert not any(os.path.lexists(path) for path in gone)
    assert all(path.exists() for path in stay)
    main(["clean", "results/runs"])
    assert capsys.readouterr().out == "nothing to remove\n"


def test_folders_without_an_owner_are_removed_where_older_versions_made_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("benchmark.runs.clean.gettempdir", lambda: str(tmp_path / "tmp"))
    made = [tmp_path / "files" / ".shop-a1_b2c3d", tmp_path / "prepared" / ".shop-0-a1_b2c3d"]
    of_others = [tmp_path / inner / ".backup-20240101" for inner in ("", "projects", "prepared/shop-0", "files/shop")]
    for path in (*made, *of_others):
        path.mkdir(parents=True)
        os.utime(path, (0, 0))
    assert leftovers([]) == made


def test_a_sweep_cleans_the_folders_of_its_own_records(places: tuple[list[Path], list[Path]]) -> None:
    gone, stay = places
    runs = Path("results", "runs")
    other = runs / "shop" / "ple" / "equal" / named(GONE)
    other.parent.mkdir(parents=True)
    other.touch()
    clean([runs / "shop" / "mmoe" / "equal", runs / "not" / "there"], deep=False)
    assert [path for path in gone if path.exists()] == [runs.absolute() / ".hydra"]
    assert all(path.exists() for path in (*stay, other))
    assert leftovers([runs]) == [runs / ".hydra", other]


def test_a_folder_that_is_none_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["clean", str(tmp_path / "nowhere")])
    assert capsys.readouterr().err == f"mtlbench: {tmp_path / 'nowhere'} is no folder; expected folders of results\n"
