from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark import load_record, load_records
from benchmark.records.record import Record
from benchmark.records.reference import ReferenceRecord, load_reference, load_references

DATASET = {"name": "shop", "num_rows": 100}


def make(purpose: str = "tuned", seed: int = 0, **values: Any) -> ReferenceRecord:
    config = {"dataset": DATASET, "settings": {"trials": 8}}
    return ReferenceRecord(name="gbdt", purpose=purpose, seed=seed, config=config, **values)


def ordinary() -> Record:
    names = {"architecture": {"name": "mmoe"}, "weighting": {"name": "equal"}}
    config = {"dataset": DATASET, **names, "trainer": {"max_epochs": 30}, "purpose": "default"}
    return Record(id="abc" * 4, status="failed", method="mmoe/equal", purpose="default", seed=0, config=config)


def test_the_id_hangs_on_what_decides_the_result_and_on_nothing_else() -> None:
    one = make()
    assert one.id == make(environment={"cores": 3}, cost={"threads": 2}).id
    assert len({one.id, make(seed=1).id, make("trial").id}) == 3
    assert len(one.id) == 12


def test_trials_lie_in_a_folder_of_their_own() -> None:
    assert make().path("results") == Path("results/reference/gbdt") / f"{make().id}.json"
    trial = make("trial", 10_000)
    assert trial.path("results") == Path("results/reference/gbdt/trials") / f"{trial.id}.json"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    record = make(metrics={"test": {"click": {"auc": 0.75, "gauc": None}}}, undefined={"test.click.gauc": "no user"})
    assert load_reference(record.write(tmp_path)) == record


def test_the_label_is_what_a_report_says_and_no_part_of_the_id(tmp_path: Path) -> None:
    plain, named = make(), make(label="boosted trees")
    assert (plain.label, named.label, plain.id) == ("gbdt", "boosted trees", named.id)
    value = json.loads(named.write(tmp_path).read_text())
    del value["label"]
    plain.path(tmp_path).write_text(json.dumps(value))
    assert load_reference(plain.path(tmp_path)).label == "gbdt"


def test_what_is_not_a_number_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        make(metrics={"test": {"click": {"auc": float("nan")}}}).write(tmp_path)
    assert load_references(tmp_path) == []


def test_each_loader_finds_its_own_kind(tmp_path: Path) -> None:
    records = [make(), make(seed=1), make("trial", 10_000)]
    for record in records:
        record.write(tmp_path)
    ordinary().write(tmp_path)
    (tmp_path / "reference" / "gbdt" / ".half.json").write_text("{")
    for folder in (tmp_path, tmp_path / "reference"):
        assert {record.id for record in load_references(folder)} == {record.id for record in records}
    assert [record.method for record in load_records(tmp_path)] == ["mmoe/equal"]
    assert load_references(tmp_path / "shop") == []


def test_an_ordinary_loader_says_what_is_wrong_with_the_other_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a record: it has no status, method"):
        load_record(make().write(tmp_path))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", r"is not a record of a reference: it is not JSON \(Expecting"),
        ("[]", "its kind is not 'reference'"),
        (json.dumps({"format": 1, "name": "gbdt"}), "its kind is not 'reference'"),
        (json.dumps({"kind": "reference", "format": 1, "name": "gbdt"}), "it has no purpose, seed, config, id"),
    ],
)
def test_what_is_no_record_is_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "reference" / "gbdt" / f"{'a' * 12}.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ValueError, match=what):
        load_references(tmp_path)


def test_a_newer_format_is_refused_and_an_unknown_key_is_not(tmp_path: Path) -> None:
    path = make().write(tmp_path)
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"colour": "green"}))
    assert load_reference(path) == make()
    path.write_text(json.dumps(value | {"format": 99}))
    with pytest.raises(ValueError, match="has format 99, and this mtlbench reads up to 1"):
        load_reference(path)
