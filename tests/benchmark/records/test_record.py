"""Records: written whole, read back as they were, and refused where they are none."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmark.records.record import (
    BASELINE,
    FORMAT,
    MAKES_SOME,
    PLAIN_WEIGHTING,
    Record,
    find_record,
    identity_of_data,
    load_record,
    load_records,
    name_of_data,
    no_records,
)
from benchmark.settings.registry import architectures, weightings

NAMES = {
    "dataset": {"name": "shop"}, "architecture": {"name": "mmoe"}, "weighting": {"name": "equal"},
    "trainer": {"max_epochs": 30}, "purpose": "default",
}  # fmt: skip


def make_record() -> Record:
    return Record(id="0" * 12, status="finished", method="mmoe/equal", purpose="default", seed=3, config=NAMES)


def test_the_plain_weighting_is_the_one_that_a_run_has_by_default_and_the_baseline_has_it() -> None:
    assert weightings.default == PLAIN_WEIGHTING
    architecture, weighting = BASELINE.split("/")
    assert architecture in architectures.names() and weighting == PLAIN_WEIGHTING


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = make_record().write(tmp_path)
    assert path == tmp_path / "shop" / "mmoe" / "equal" / "000000000000.json"
    assert load_record(path) == make_record()
    assert load_records(tmp_path) == [make_record()]


def test_one_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = make_record().write(tmp_path)
    before = path.read_bytes()
    bad = make_record()
    bad.cost["train_seconds"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        bad.write(tmp_path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_keys_of_a_later_minor_version_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({**asdict(make_record()), "mood": "good"}))
    assert load_record(path) == make_record()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a record"),
        ("[1]", "is not a record: it has no format"),
        (json.dumps({"format": 1, "status": "finished"}), "it has no id, method, purpose, seed, config"),
        (json.dumps({**asdict(make_record()), "format": "2"}), "its format must be a number, found '2'"),
        (json.dumps({**asdict(make_record()), "format": FORMAT + 1}), "install a newer mtlbench"),
    ],
)
def test_what_is_no_record_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "one.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_record(path)


def test_bytes_that_are_no_text_are_no_record(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not a record"):
        load_record(tmp_path / "one.json")


def test_a_folder_without_records_is_told_from_one_with_runs_of_debug_alone(tmp_path: Path) -> None:
    assert no_records(tmp_path) == f"no records under {tmp_path}; {MAKES_SOME}"
    debug = make_record()
    debug.config = {**NAMES, "debug": True}
    debug.write(tmp_path)
    assert load_records(tmp_path) == []
    assert no_records(tmp_path) == (
        f"no records under {tmp_path}, only runs of debug=true, whose records are in {tmp_path / '.debug'}; "
        "the same command without debug=true makes some"
    )


def test_no_record_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no record at"):
        load_record(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="no folder of records at"):
        load_records(tmp_path / "none")


def test_the_hash_of_a_description_stands_for_its_path_and_label() -> None:
    described = {"name": "table", "file": "a/x.yaml", "label": "clicks", "description": "5f", "split_seed": 0}
    assert identity_of_data(described) == {"name": "table", "description": "5f", "split_seed": 0}
    assert name_of_data(described) == "clicks"
    assert name_of_data({**described, "label": ""}) == "table"


def test_a_data_set_without_a_description_is_all_of_its_parameters() -> None:
    outside = {"name": "toy", "file": "b.csv", "label": "sales"}
    assert identity_of_data(outside) == outside
    assert name_of_data(outside) == "toy"


def test_files_that_cannot_be_read_are_a_valueerror_with_their_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record()
    record.files = {".safetensors": "0" * 64}
    path = record.write(tmp_path)
    with pytest.raises(FileNotFoundError):
        record.check_file(path.with_suffix(".safetensors"), ".safetensors")
    path.with_suffix(".safetensors").mkdir()
    with pytest.raises(ValueError, match=r"000\.safetensors cannot be read: Is a directory$"):
        record.check_file(path.with_suffix(".safetensors"), ".safetensors")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("benchmark.records.record.read_json", refuse)
    with pytest.raises(ValueError, match=r"000\.json cannot be read: Permission denied$"):
        find_record(path)
    assert find_record(path.with_stem("1" * 12)) is None
