"""`mtlbench list datasets`: size, tasks, licence, and whether the files are here; nothing is read or downloaded."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from benchmark.settings import inventory
from benchmark.settings.listing import listing
from benchmark.settings.registry import datasets

OWN = [name for name in datasets.names() if datasets.get(name).__module__.startswith("benchmark.")]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No files, no cache and no network."""
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("the network was asked"))
    for name in datasets.names():
        monkeypatch.setattr(datasets.get(name), "build", lambda self: pytest.fail("data was read"))
    return tmp_path / "data"


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("name", [name for name in OWN if name != "table"])  # a YAML says what that is
def test_every_data_set_has_size_tasks_and_licence(name: str) -> None:
    first, *_ = inventory.stock(name)
    dataset = datasets.build(datasets.config(name))
    assert first.rows
    assert first.tasks
    assert bool(first.licence) != dataset.drawn
    assert first.files == ("needs no files" if dataset.drawn else first.files)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shop", ["200,000 rows; click, purchase (given click), duration; needs no files"]),
        (
            "ali_ccp",
            [
                "about 84 million rows; click, purchase (given click); research only; no files yet: they need a Tianchi account"
            ],
        ),
        (
            "criteo_uplift",
            [
                "13,979,592 rows; visit, conversion (given visit); CC BY-NC-SA 4.0; no files yet: the first run downloads them"
            ],
        ),
    ],
)
def test_a_data_set_without_variants_has_one_line(name: str, expected: list[str]) -> None:
    assert inventory.lines(name) == expected


def test_each_variant_has_a_line_the_default_one_first(root: Path) -> None:
    put(root / "tenrec", "QB-video.csv")
    need = "no files yet: they need an approved request"
    assert inventory.lines("tenrec") == [
        "click, follow, like, share; CC BY-NC 4.0, research only",
        f"variant=ctr: 120,342,306 rows; {need}",
        f"variant=qk_video: 493,458,970 rows; {need}",
        "variant=qb_video: 2,442,299 rows; files found",
    ]


def test_files_are_found_below_mtlbench_data_and_in_the_cache(root: Path) -> None:
    name = "criteo-research-uplift-v2.1.csv"
    put(root / "criteo_uplift" / "anywhere", f"{name}.gz")
    assert inventory.stock("criteo_uplift")[0].files == "files found"
    put(root.parent / "cache" / "files" / "criteo_attribution", "criteo_attribution_dataset.tsv")
    assert inventory.stock("criteo_attribution")[0].files == "files found"


def test_half_of_the_files_are_not_all(root: Path) -> None:
    put(root / "census_income", "census-income.data")
    assert inventory.stock("census_income")[0].files == "no files yet: the first run downloads them"


def test_a_list_has_the_facts_below_the_first_line_and_names_stay_names() -> None:
    lines = [line.split() for line in listing("datasets").splitlines()]
    assert any(line[:2] == ["13,979,592", "rows;"] for line in lines)
    assert listing("datasets", names=True).split(",") == datasets.names()
    assert "about 84 million rows; click" in listing("datasets", "ali_ccp")


def test_a_table_has_no_files() -> None:
    assert inventory.facts("criteo_uplift") == {
        "rows": "13,979,592", "tasks": "visit, conversion (given visit)", "licence": "CC BY-NC-SA 4.0",
    }  # fmt: skip
    assert inventory.facts("tenrec")["rows"] == "120,342,306 (ctr), 493,458,970 (qk_video), 2,442,299 (qb_video)"


def test_round_numbers_of_millions_are_not_exact() -> None:
    assert inventory.facts("aliexpress")["rows"] == (
        "about 17.7 million (nl), about 31.7 million (es), about 27 million (fr), about 27.4 million (us)"
    )


def test_a_data_set_that_cannot_be_declared_is_listed_without_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.get("synthetic"), "tasks", property(lambda self: 1 / 0))
    assert inventory.lines("synthetic") == []
    assert "  synthetic " in listing("datasets")
