"""Broken records are named, all at once, and nothing else in a folder is in the way."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from benchmark.analysis.compare import compare
from benchmark.analysis.power import power
from benchmark.cli import main
from benchmark.records.card import load_cards
from benchmark.records.folder import BrokenRecords
from benchmark.records.packed import NAME
from benchmark.records.packing import pack, show, unpack
from benchmark.records.record import Record, load_record, load_records, read_records
from benchmark.records.reference import ReferenceRecord, load_references, read_references
from benchmark.records.schema import RecordOf, ReferenceOf
from benchmark.reporting import report
from tests.benchmark.reporting import fabricate
from tests.chaos.bad_records import bad_records, make_strangers

RESULTS = Path(__file__).parents[3] / "results" / "records"


def plain(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return found


def good(seed: int = 0) -> Record:
    return fabricate.record("videos", "mmoe/equal", seed, num_epochs=2)


NAMES = [name for name, _ in bad_records(plain(good()))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five methods with three seeds each, strangers, and every kind of bad record. A test may pack it."""
    place = tmp_path_factory.mktemp("runs")
    for record in fabricate.records(("videos",), seeds=3, num_epochs=2):
        record.write(place)
    make_strangers(place)
    bad = good(100)
    for number, (_, text) in enumerate(bad_records(plain(bad))):
        path = bad.path(place / f"bad_{number:03}")
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
    return place


def test_the_list_is_long_and_names_each_kind_once() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 70


def test_the_forms_have_the_keys_of_the_classes() -> None:
    for of, form in ((Record, RecordOf), (ReferenceRecord, ReferenceOf)):
        assert {field.name for field in fields(of)} == set(form.__struct_fields__)


def test_every_published_record_is_whole() -> None:
    assert (len((found := read_records(RESULTS)).values), found.broken) == (769, [])
    assert (len((lines := read_references(RESULTS)).values), lines.broken) == (26, [])
    assert found.strangers == lines.strangers == []


def test_every_kind_is_named_and_none_is_read(tmp_path: Path) -> None:
    path = good().write(tmp_path)
    for name, text in bad_records(plain(good())):
        path.write_bytes(text)
        found = read_records(tmp_path)
        assert (len(found.values), len(found.broken), name) == (0, 1, name)
        assert found.broken[0].startswith(f"{path} ") and "\n" not in found.broken[0]
        with pytest.raises(ValueError, match=path.name):
            load_record(path)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("AUC 7", "metrics.test.click.auc: expected a number from 0 to 1, found 7.0"),
        ("log loss negative", "metrics.test.like.log_loss: expected a number of at least 0, found -2.0"),
        ("seed -3", "seed: expected a whole number >= 0, found -3"),
        ("status finnished", "status: expected finished or diverged or failed, found 'finnished'"),
        ("AUC NaN", "it is not JSON (NaN is not a number of JSON)"),
        ("config without trainer", "config: it lacks the field `trainer`"),
        ("best epoch elsewhere", "best_epoch: expected one of its epochs, found 999"),
        ("metrics without a task", "metrics.test: expected every task of a finished run, it lacks 'click'"),
    ],
)
def test_what_is_said(tmp_path: Path, name: str, what: str) -> None:
    path = good().write(tmp_path)
    value = plain(good())
    value["metrics"]["test"]["like"]["log_loss"] = 0.3
    path.write_bytes(dict(bad_records(value))[name] if name != "log loss negative" else _negative(value))
    assert read_records(tmp_path).broken[0].endswith(what)


def _negative(value: dict[str, Any]) -> bytes:
    value["metrics"]["test"]["like"]["log_loss"] = -2.0
    return json.dumps(value).encode()


def test_strangers_are_passed_over_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for record in fabricate.records(("videos",), seeds=3, num_epochs=2):
        record.write(tmp_path)
    number = make_strangers(tmp_path)
    assert len(load_records(tmp_path)) == 15
    made = report(tmp_path)
    said = f"{number} files are no records and were passed over: "
    assert said in made.markdown() and said in made.html() and said in " ".join(str(made).split())
    for result in (compare("mmoe/equal", "single_task/equal", tmp_path), power(tmp_path)):
        assert any(note.startswith(said) for note in result.notes)
    main(["show", str(tmp_path), good().id])
    assert said in capsys.readouterr().err


def test_commands_name_all_of_them_and_stop(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["report", str(folder)], ["compare", "mmoe/equal", "single_task/equal", str(folder)], ["power", str(folder)],
        ["pack", str(folder)], ["show", str(folder), good().id], ["recommend", str(folder), "--user", "1"],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(command)
        told = capsys.readouterr().err.splitlines()
        assert ended.value.code == 1
        assert told[0] == f"mtlbench: {len(NAMES)} broken records:"
        assert len(told) == len(NAMES) + 2
        assert told[-1].startswith(
            "Run the command that made them again, which replaces them, or delete them; --skip-broken"
        )


def test_skip_broken_goes_on_and_says_what_was_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = report(folder, skip_broken=True)
    said = f"{len(NAMES)} broken records were left out: {folder}"
    for text in (made.markdown().replace("\\", ""), made.html(), str(made).replace("\n", " ")):
        assert said in text
    assert len(made.study.runs) == 15
    expected = report(load_records(folder, skip_broken=True))
    assert made.summary.equals(expected.summary)
    notes = compare("mmoe/equal", "single_task/equal", folder, skip_broken=True).notes
    assert any(note.startswith(said) for note in notes)
    assert any(note.startswith(said) for note in power(folder, skip_broken=True).notes)
    assert show(folder, good().id, skip_broken=True)["id"] == good().id
    capsys.readouterr()
    main(["pack", str(folder), "--skip-broken"])
    told = capsys.readouterr()
    assert said in told.err and told.out == f"{folder / NAME}: 15 records\n"
    assert len(read_records(folder).broken) == len(NAMES)  # their files are as they were


def test_broken_lines_of_a_packed_file_are_named_and_never_lost(tmp_path: Path) -> None:
    for seed in range(3):
        good(seed).write(tmp_path)
    pack(tmp_path)
    packed = tmp_path / NAME
    before = packed.read_bytes()
    packed.write_bytes(before[:-40])
    with pytest.raises(BrokenRecords, match=r"records.jsonl.zst is cut off"):
        load_records(tmp_path)
    good(7).write(tmp_path)
    for make in (pack, unpack):
        with pytest.raises(BrokenRecords, match="is cut off"):
            make(tmp_path)
    with pytest.raises(BrokenRecords):
        pack(tmp_path, skip_broken=True)  # it would be replaced
    unpack(tmp_path, skip_broken=True)
    assert packed.is_file()


def test_references_and_cards_are_checked_too(tmp_path: Path) -> None:
    line = ReferenceRecord(name="gbdt", purpose="tuned", seed=0, config={"dataset": {"name": "shop"}})
    path = line.write(tmp_path)
    value = json.loads(path.read_text())
    for key, bad in (("seed", -1), ("name", "../x"), ("metrics", {"test": {"click": {"auc": 2.0}}}), ("id", "0" * 12)):
        path.write_text(json.dumps({**value, key: bad}))
        with pytest.raises(BrokenRecords, match=path.name):
            load_references(tmp_path)
        assert load_references(tmp_path, skip_broken=True) == []
    path.write_text(json.dumps(value))
    card = {
        "format": 1, "name": "shop", "key": "a" * 12, "splits": {"train": 8, "validation": 1, "test": 1},
        "tasks": [{"name": "click", "kind": "binary"}], "fields": [{"name": "user", "kind": "categorical"}],
    }  # fmt: skip
    place = tmp_path / "shop" / f"{'a' * 12}.card"
    place.parent.mkdir()
    place.write_text(json.dumps(card))
    assert list(load_cards(tmp_path)) == ["a" * 12]
    for key, wrong in (
        ("splits", {"train": 8}),
        ("tasks", [3]),
        ("key", "b" * 12),
        ("facts", {"weights": {"click": 3}}),
    ):
        place.write_text(json.dumps({**card, key: wrong}))
        with pytest.raises(BrokenRecords, match=place.name):
            load_cards(tmp_path)
