"""Packed records: all that was there, found wherever a folder is read, and refused where the file is damaged."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import zstandard

from benchmark.cli import main
from benchmark.records import packed, packing
from benchmark.records.packed import NAME, line_of, lines, write
from benchmark.records.packing import pack, show, unpack
from benchmark.records.record import Record, find_record, load_record, load_records, records_by_path
from benchmark.records.reference import ReferenceRecord, find_reference, load_references
from benchmark.reporting import report
from tests.benchmark.reporting import fabricate

EXACT = 0.1 + 0.2  # 0.30000000000000004


def make(id: str = "a1b2c3d4e5f6", purpose: str = "default", **values: Any) -> Record:
    names = {"dataset": {"name": "shop"}, "architecture": {"name": "mmoe"}, "weighting": {"name": "equal"}}
    config = {**names, "trainer": {"max_epochs": 30}, "purpose": purpose}
    return Record(id=id, status="finished", method="mmoe/equal", purpose=purpose, seed=3, config=config, **values)


def line(seed: int = 0) -> ReferenceRecord:
    return ReferenceRecord(name="gbdt", purpose="tuned", seed=seed, config={"dataset": {"name": "shop"}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs, a trial, a reference line, and files that are no records."""
    made = [
        make(),
        make("a1ffffffffff", epochs=[{"epoch": 1, "criterion": EXACT}], best_epoch=1),
        make("b" * 12, "trial"),
        line(),
    ]
    for record in made:
        record.write(tmp_path / "runs")
    make().path(tmp_path / "runs").with_suffix(".predictions.safetensors").write_bytes(b"outputs")
    (tmp_path / "runs" / "report.md").write_text("# Report")
    return tmp_path / "runs"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_records_become_one_file_and_the_same_files_again(folder: Path) -> None:
    before = files(folder)
    assert pack(folder) == {folder / NAME: 4}
    kept = {"report.md", "shop/mmoe/equal/a1b2c3d4e5f6.predictions.safetensors"}
    assert files(folder).keys() == {NAME, *kept}
    assert not (folder / "trials").exists()
    assert unpack(folder) == {folder / NAME: 4}
    assert files(folder) == before


def test_a_packed_folder_is_read_as_it_was(folder: Path) -> None:
    before = records_by_path(folder), load_references(folder)
    assert len(before[0]) == 3 and before[1] == [line()]
    pack(folder)
    assert (records_by_path(folder), load_references(folder)) == before
    assert list(records_by_path(folder)) == list(before[0])
    assert load_records(folder / NAME) == list(before[0].values())
    assert load_references(folder / NAME) == before[1]
    assert load_records(folder.parent) == list(before[0].values())
    assert load_records(folder / "shop" / "mmoe") == [make(), before[0][make("a1ffffffffff").path(folder)]]
    assert load_references(folder / "reference") == before[1]
    with pytest.raises(FileNotFoundError, match="no folder of records at"):
        load_records(folder / "census_income")


def test_one_packed_record_is_found_at_its_path(folder: Path) -> None:
    pack(folder)
    assert load_record(make().path(folder)) == make()
    assert find_reference(line().path(folder)) == line()
    assert find_record(make("c" * 12).path(folder)) is None
    assert find_reference(line(1).path(folder)) is None
    assert find_record(folder / "other" / "mmoe" / "equal" / f"{make().id}.json") is None
    unpack(folder)
    assert load_record(make().path(folder)) == make()


def test_a_file_is_newer_than_what_is_packed(folder: Path) -> None:
    pack(folder)
    newer, added = make(shared_parameters=7), make("c" * 12)
    for record in (newer, added):
        record.write(folder)
    assert [r.shared_parameters for r in load_records(folder) if r.id == newer.id] == [7]
    assert len(load_records(folder)) == 4
    assert show(folder, newer.id)["shared_parameters"] == 7
    assert pack(folder) == {folder / NAME: 5}
    assert load_record(newer.path(folder)) == newer
    packed_once = (folder / NAME).read_bytes()
    assert pack(folder) == {folder / NAME: 5}
    assert (folder / NAME).read_bytes() == packed_once


def test_what_unpacking_finds_there_stays(folder: Path) -> None:
    pack(folder)
    make(shared_parameters=7).write(folder)
    unpack(folder)
    assert load_record(make().path(folder)).shared_parameters == 7


def test_keys_of_a_later_version_are_packed_too(folder: Path) -> None:
    path = make().path(folder)
    path.write_text(json.dumps({**asdict(make()), "mood": "gut", "name": "Jürgen \ud800"}, indent=1) + "\n")
    before = path.read_bytes()
    pack(folder)
    assert show(folder, make().id)["mood"] == "gut"
    unpack(folder)
    assert path.read_bytes() == before


def test_each_folder_that_runs_wrote_to_has_a_file_of_its_own(folder: Path) -> None:
    make().write(folder.parent / "others")
    assert pack(folder.parent) == {folder.parent / "others" / NAME: 1, folder / NAME: 4}
    assert len(load_records(folder.parent)) == 4


def test_what_would_not_be_found_again_is_not_packed(folder: Path) -> None:
    before = files(folder)
    with pytest.raises(
        ValueError, match=r"a1b2c3d4e5f6.json would not be found again: pack a folder that contains it as shop/"
    ):
        pack(folder / "shop")
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "x.json").write_text(json.dumps(asdict(make())))
    with pytest.raises(ValueError, match=r"elsewhere/x.json would not be found again"):
        pack(folder)
    (folder / "elsewhere" / "x.json").unlink()
    (folder / "elsewhere" / "0123456789ab.json").write_text("{}")
    with pytest.raises(ValueError, match=r"elsewhere/0123456789ab.json is not a record: it has no format"):
        pack(folder)
    assert {name: text for name, text in files(folder).items() if "elsewhere" not in name} == before
    (folder.parent / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no records under"):
        pack(folder.parent / "empty")


@pytest.mark.parametrize("moment", ["write_bytes", "replace", "unlink"])
def test_an_interruption_loses_nothing(folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = records_by_path(folder), load_references(folder)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, moment, interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(folder)
    assert (records_by_path(folder), load_references(folder)) == before
    assert pack(folder) == {folder / NAME: 4}
    assert (records_by_path(folder), load_references(folder)) == before


def test_a_file_that_changed_while_it_was_packed_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(path: Path, text: list[bytes]) -> None:
        write(path, text)
        make(shared_parameters=12345).write(folder)

    monkeypatch.setattr(packing, "write", meanwhile)
    pack(folder)
    assert load_record(make().path(folder)).shared_parameters == 12345


def test_what_is_read_back_otherwise_does_not_take_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(folder)
    monkeypatch.setattr(packed, "lines", lambda _: iter([("line 1", b"{}")]))
    with pytest.raises(ValueError, match=r"records.jsonl.zst could not be written"):
        pack(folder)
    assert files(folder) == before


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / NAME
    write(path, [line_of(asdict(make(f"{number:012x}"))) for number in range(500)])
    whole = path.read_bytes()
    assert len(load_records(tmp_path)) == 500
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"records.jsonl.zst is cut off after line \d+: the file ends before its data"):
        load_records(tmp_path)
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"records.jsonl.zst is cut off after line 500"):
        load_records(tmp_path)
    path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])  # of the checksum
    with pytest.raises(ValueError, match=r"records.jsonl.zst is damaged, after line \d+"):
        load_records(tmp_path)
    path.write_bytes(whole + whole)
    with pytest.raises(ValueError, match=r"records.jsonl.zst, line 500: expected the end of the file"):
        load_records(tmp_path)
    path.write_bytes(b"not zstd")
    with pytest.raises(ValueError, match=r"records.jsonl.zst is damaged, after line 0"):
        load_records(tmp_path)


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / NAME
    write(path, [line_of(asdict(make())), b"{"])
    with pytest.raises(ValueError, match=r"records.jsonl.zst, line 2 is not a record: it is not JSON \(Expecting"):
        load_records(tmp_path)
    write(path, [line_of(asdict(make())), b'{"format": 1}'])
    with pytest.raises(ValueError, match=r"records.jsonl.zst, line 2 is not a record: it has no id, status"):
        load_records(tmp_path)
    write(path, [line_of(asdict(make())), line_of(asdict(line()))])
    with pytest.raises(ValueError, match=r"records.jsonl.zst, line 2: expected references before all records"):
        load_records(tmp_path)
    path.write_bytes(zstandard.compress(line_of(asdict(make()))))
    with pytest.raises(ValueError, match=r"line 1: expected a line that ends"):
        load_records(tmp_path)


def test_a_small_file_of_a_huge_line_is_refused_before_it_is_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "LONGEST", 2**20)
    path = tmp_path / NAME
    path.write_bytes(zstandard.compress(b" " * 2**24))
    assert path.stat().st_size < 2**13
    with pytest.raises(ValueError, match=r"line 1: expected a record of at most 1,048,576 bytes, found more"):
        list(lines(path))


def test_show_finds_a_record_by_the_beginning_of_its_id(folder: Path) -> None:
    for _ in range(2):
        assert show(folder, "a1b2") == asdict(make())
        assert show(folder, line().id) == asdict(line())
        assert show(make().path(folder)) == asdict(make())
        with pytest.raises(ValueError, match=r"'a1' begins the ids of several records: a1b2c3d4e5f6, a1ffffffffff;"):
            show(folder, "a1")
        with pytest.raises(
            ValueError, match=r"has the id 'a1b2c3d4e5f7'; did you mean a1b2c3d4e5f6\? there are 4af058d40ae4, a1b2c3"
        ):
            show(folder, "a1b2c3d4e5f7")
        pack(folder)
    with pytest.raises(
        ValueError,
        match="has 4 records: expected an id after it, or its first characters; there are 4af058d40ae4, a1b2c3",
    ):
        show(folder)
    with pytest.raises(FileNotFoundError, match="no record at"):
        show(make("c" * 12).path(folder))
    with pytest.raises(FileNotFoundError, match="no folder of records at"):
        show(folder / "nowhere", "a1")


def test_the_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pack", str(folder)])
    assert capsys.readouterr().out == f"{folder / NAME}: 4 records\n"
    main(["show", str(folder), "a1b2"])
    assert capsys.readouterr().out.startswith(f"{make().method} on ")
    main(["show", str(folder), "a1b2", "--json"])
    assert json.loads(capsys.readouterr().out) == asdict(make())
    main(["pack", str(folder), "--unpack"])
    assert capsys.readouterr().out == f"unpacked: 4 records of {folder / NAME}\n"
    with pytest.raises(SystemExit):
        main(["pack", str(folder), "--unpack"])
    assert "no records.jsonl.zst under" in capsys.readouterr().err


def test_a_report_of_a_packed_folder_is_the_same(tmp_path: Path) -> None:
    for record in [*fabricate.records(("shop",), 3), *fabricate.trees("shop")]:
        record.write(tmp_path / "runs")
    made = report(tmp_path / "runs")
    pack(tmp_path / "runs")
    for place in (tmp_path / "runs", tmp_path / "runs" / NAME):
        again = report(place)
        assert again.markdown() == made.markdown()
        assert again.table.equals(made.table)
