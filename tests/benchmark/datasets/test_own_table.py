"""dataset=table: what becomes of each kind of column, identity, and the same table as other files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmark import RunConfig, TrainerConfig, configure, recommend, report, run
from benchmark.analysis.study import Study
from benchmark.contracts import checking, loading
from benchmark.datasets import Data
from benchmark.datasets.own_table import OwnTable
from benchmark.lists import MultiValuedField, SequenceField
from benchmark.records.record import load_record
from benchmark.records.reference import ReferenceRecord
from benchmark.settings.composition import compose_run
from benchmark.settings.listing import listing
from benchmark.settings.registry import plain
from tests.benchmark.datasets.own import YAML, clicks, write


def sizes(data: Data) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def lists(data: Data, name: str) -> list[list[int]]:
    (arrays,) = [arrays for field, arrays in data.train.features.others.items() if field.name == name]
    return [part.tolist() for part in np.split(np.asarray(arrays["codes"]), np.asarray(arrays["bounds"])[1:-1])]


def test_every_kind_of_column(tmp_path: Path) -> None:
    data, frame = OwnTable(file=write(tmp_path)).build(), clicks()
    assert [field.name for field in data.schema.categorical] == [
        "user_id", "item_id", "country", "ts_hour", "price_bin"
    ]  # fmt: skip
    assert [field.name for field in data.schema.numeric] == ["price"]
    genres, past = data.schema.others
    assert genres == MultiValuedField("genres", cardinality=5)
    assert isinstance(past, SequenceField)
    assert (past.of, past.max_length) == ("item_id", 3)
    assert data.schema.user_fields == ("user_id", "country")
    assert sizes(data) == (480, 60, 60)
    every = np.concatenate([np.asarray(part.labels) for part in (data.train, data.validation, data.test)])
    watch = frame["watch"].log1p().drop_nulls().sort().to_numpy()
    np.testing.assert_allclose(np.sort(every[:, 2][~np.isnan(every[:, 2])]), watch)
    assert every[:, 1].sum() == frame["buy"].sum()
    assert data.facts["left_out"] == ["note"]
    assert data.catalogue is not None
    assert data.catalogue.items.titles is not None
    assert dict(zip(data.catalogue.items.ids, data.catalogue.items.titles, strict=True))["7"] == "Film 7"


def test_lists_keep_their_values_and_no_padding(tmp_path: Path) -> None:
    yaml = YAML + "split: {by: time, validation: 0.1, test: 0.1}\n"
    data, train = OwnTable(file=write(tmp_path, yaml)).build(), clicks().head(480)
    words = ["action", "comedy", "drama", "sci-fi"]
    expected = [[1 + words.index(word) for word in (text or "").split("|") if word] for text in train["genres"]]
    assert lists(data, "genres") == expected
    items = train["item_id"].unique().sort().to_list()
    seen = [[1 + items.index(int(word)) for word in (text or "").split()][-3:] for text in train["past"]]
    assert lists(data, "past") == seen


@pytest.mark.parametrize("form", ["gzip", "parquet", "parquet_lists", "semicolons", "latin", "two_files", "folder"])
def test_the_same_table_in_other_files_has_the_same_fingerprint_and_rows(tmp_path: Path, form: str) -> None:
    file, frame = write(tmp_path / "one"), clicks()
    expected = OwnTable(file=file).build()
    folder, yaml = tmp_path / "Ordner ü [1]", YAML
    write(folder)
    if form == "gzip":
        (folder / "clicks.csv.gz").write_bytes(gzip.compress((folder / "clicks.csv").read_bytes()))
        yaml = yaml.replace("clicks.csv", "clicks.csv.gz")
    elif form.startswith("parquet"):
        if form == "parquet_lists":
            to = pl.List(pl.Int64)
            frame = frame.with_columns(pl.col("genres").str.split("|"), pl.col("past").str.split(" ").cast(to))
        frame.write_parquet(folder / "clicks.parquet")
        yaml = yaml.replace("clicks.csv", "clicks.parquet")
    elif form == "semicolons":
        frame.write_csv(folder / "clicks.csv", separator=";", quote_style="always", null_value="")
        yaml = yaml.replace("columns:", 'separator: ";"\ncolumns:')
    elif form == "latin":
        (folder / "clicks.csv").write_bytes((folder / "clicks.csv").read_text().encode("utf-16"))
        yaml = yaml.replace("columns:", "encoding: utf-16\ncolumns:")
    else:
        for number in range(2):
            (folder / "logs" / f"part={number}").mkdir(parents=True)
            frame[300 * number : 300 * number + 300].write_csv(folder / "logs" / f"part={number}" / "a.csv")
        yaml = yaml.replace("clicks.csv", "logs" if form == "folder" else "[logs/part=0/a.csv, logs/*=1/*.csv]")
        yaml = yaml.replace("note: ignore", "note: ignore\n  part: ignore")
    (folder / "clicks.yaml").write_text(yaml, encoding="utf8")
    found = OwnTable(file=str(folder / "clicks.yaml")).build()
    assert found.fingerprint == expected.fingerprint
    for split in ("train", "validation", "test"):
        one, other = getattr(expected, split), getattr(found, split)
        for first, second in zip(one.features.arrays(), other.features.arrays(), strict=True):
            np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_folders_are_columns(tmp_path: Path) -> None:
    for day in ("mon", "tue"):
        folder = tmp_path / "logs" / f"day={day}"
        folder.mkdir(parents=True)
        clicks().write_parquet(folder / "part-0.parquet")
    write(
        tmp_path,
        YAML.replace("clicks.csv", "logs/*/*.parquet").replace("note: ignore", "note: ignore\n  day: categorical"),
    )
    data = OwnTable(file=str(tmp_path / "clicks.yaml")).build()
    assert [field.cardinality for field in data.schema.categorical if field.name == "day"] == [3]
    assert sum(sizes(data)) == 1200


def test_weights_of_rows_and_of_a_task(tmp_path: Path) -> None:
    frame = clicks().with_columns(w=pl.int_range(600) % 3, v=pl.lit(0.5))
    yaml = YAML.replace("  note: ignore\n", "  note: ignore\n  w: weight\n  v: {kind: weight, task: buy}\n")
    data = OwnTable(file=write(tmp_path, yaml + "split: time\n", frame)).build()
    assert data.train.weights is not None
    np.testing.assert_array_equal(data.train.weights[:4], [[0, 0.5, 0], [1, 0.5, 1], [2, 0.5, 2], [0, 0.5, 0]])
    for wrong, told in (
        ("task: buys", r"line 13, columns\.v\.task: expected one of click, buy, watch, found 'buys'; did"),
        ("", "a second one after w"),
    ):
        with pytest.raises(ValueError, match=told):
            OwnTable(file=write(tmp_path, yaml.replace(", task: buy", f", {wrong}" if wrong else ""), frame))
    with pytest.raises(ValueError, match=r"clicks\.csv: line 2, column w: expected a weight of at least 0, found -1"):
        OwnTable(file=write(tmp_path, yaml, frame.with_columns(w=pl.lit(-1)))).build()


def test_rare_and_hashed_categories(tmp_path: Path) -> None:
    rare = OwnTable(file=write(tmp_path), min_frequency=15).build()
    plain_data, hashed = OwnTable(file=write(tmp_path)).build(), OwnTable(file=write(tmp_path), hash_buckets=8).build()

    def items(data: Data) -> int:
        return next(field.cardinality for field in data.schema.categorical if field.name == "item_id")

    assert items(rare) < items(plain_data) == 31
    assert items(hashed) == 9


# identity -------------------------------------------------------------------------------------------------------------


def id_of(file: str) -> str:
    return RunConfig(dataset=configure("dataset", "table", file=file), architecture="mmoe").id  # type: ignore[arg-type]


def test_the_id_has_the_contents_of_the_yaml_and_no_path(tmp_path: Path) -> None:
    first, moved = write(tmp_path / "a"), write(tmp_path / "b c" / "ä")
    renamed = tmp_path / "b c" / "other.yaml"
    renamed.write_text("# a comment\n" + YAML + "name: shop7\n", encoding="utf8")
    assert id_of(first) == id_of(moved) == id_of(str(renamed))
    changes = (("price: numeric", "price: categorical"), ("given: click", "column: buy"), ("clicks.csv", "other.csv"))
    ids = {id_of(first), *(id_of(write(tmp_path / "c", YAML.replace(*change))) for change in changes)}
    ids |= {
        id_of(write(tmp_path / "c", YAML + "split: {by: user}\n")),
        id_of(write(tmp_path / "c", YAML + "missing: NA\n")),
    }
    assert len(ids) == 6
    assert OwnTable(file=first).description == "82a5658745ab0dad", "a new key that is not written changes nothing"
    config = RunConfig(dataset=str(renamed), architecture="mmoe", results_dir="r")  # type: ignore[arg-type]
    assert config.record_path == Path("r", "shop7", "mmoe", "equal", f"{config.id}.json")
    assert "file" not in config.identity["dataset"]
    assert plain(config)["dataset"]["file"] == str(renamed)
    assert RunConfig.restored(json.loads(json.dumps(plain(config)))).id == config.id
    assert compose_run(["dataset=table", f"dataset.file='{renamed}'", "architecture=mmoe"]).id == config.id


def test_the_id_has_no_folder_of_files(tmp_path: Path) -> None:
    names, ids = ("logs", "v1.2", "clicks.parquet"), set()
    for name in names:
        file = write(tmp_path, YAML.replace("clicks.csv", name))
        (tmp_path / name).mkdir()
        ids.add(id_of(file))
    assert len(ids) == 1
    (tmp_path / "logs").rmdir()
    assert id_of(write(tmp_path, YAML.replace("clicks.csv", "logs"))) in ids, "the same where the files are not at hand"
    assert id_of(write(tmp_path, YAML.replace("clicks.csv", "logs/*.csv"))) not in ids


def test_a_reference_has_no_path_in_its_id(tmp_path: Path) -> None:
    made = [
        ReferenceRecord(
            name="constant",
            purpose="default",
            seed=0,
            config={"dataset": plain(configure("dataset", "table", file=file))},
        )
        for file in (write(tmp_path / "a"), write(tmp_path / "b"))
    ]
    assert made[0].id == made[1].id
    assert made[0].config != made[1].config


def test_the_cache_knows_no_folder_and_sees_a_change_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    prints = [OwnTable(file=write(tmp_path / name)).build().fingerprint for name in "ab"]
    assert prints[0] == prints[1]
    assert len(list((tmp_path / "cache" / "prepared").iterdir())) == 1
    assert OwnTable(file=write(tmp_path / "a", frame=clicks(seed=1))).build().fingerprint != prints[0]


def test_a_yaml_that_has_changed_since_it_was_configured(tmp_path: Path) -> None:
    config = configure("dataset", "table", file=write(tmp_path))
    write(tmp_path, YAML.replace("price: numeric", "price: ignore"))
    with pytest.raises(
        ValueError, match=r"clicks\.yaml has changed since .*: expected the description \w{16}, found \w{16}"
    ):
        OwnTable(file=config.file, description=config.description)


def test_tasks_are_chosen_and_no_file_is_needed_to_list_and_to_help() -> None:
    assert "dataset.file" in listing("datasets", "table")
    assert RunConfig(dataset="table").dataset.shown == "table"  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"dataset\.file: expected the YAML .*`mtlbench data describe clicks.csv > clicks.yaml`"
    ):
        OwnTable()


def test_what_is_declared_reads_only_the_yaml(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "clicks.csv").unlink()
    made = OwnTable(file=file, tasks=("click", "watch"))
    assert [task.name for task in made.tasks] == ["click", "watch"]
    assert (made.declared().user, made.declared().item) == ("user_id", "item_id")
    assert "not for" in listing("architectures", suits=str(file)) or "esmm" in listing("architectures", suits=file)
    with pytest.raises(FileNotFoundError, match=r"clicks\.yaml, files: expected the file clicks\.csv, found none at "):
        made.build()


# commands -------------------------------------------------------------------------------------------------------------


def trained(file: str, folder: Path) -> RunConfig:
    return RunConfig(
        dataset=file,  # type: ignore[arg-type]
        architecture="shared_bottom",  # type: ignore[arg-type]
        trainer=TrainerConfig(max_epochs=1, batch_size=100),
        save_checkpoint=True,
        results_dir=str(folder),
    )


def test_it_is_trained_reported_and_recommended_from_and_two_tables_are_told_apart(tmp_path: Path) -> None:
    results = tmp_path / "results"
    first = run(trained(write(tmp_path / "a", YAML + "name: films\n"), results))
    second = run(trained(write(tmp_path / "b", YAML + "name: songs\n", clicks(seed=1)), results))
    assert first.id == second.id
    assert [record.dataset["name"] for record in (first, second)] == ["films", "songs"]
    records = [load_record(record.path(results)) for record in (first, second)]
    assert [group.dataset for group in Study.of(records).groups] == ["films", "songs"]
    report(results)
    rows = recommend(first.path(results), "7", k=3, score="click").rows
    assert [row["title"] for row in rows] == [f"Film {row['item']}" for row in rows]


def test_runs_from_two_folders_are_runs_of_one_data_set(tmp_path: Path) -> None:
    records = [run(trained(write(tmp_path / name), tmp_path / "r" / name)) for name in "ab"]
    assert records[0].id == records[1].id
    assert [(group.dataset, len(group.runs)) for group in Study.of(records).groups] == [("clicks", 1)]


def test_it_keeps_the_contracts_of_data_sets(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert loading.entries(file) == [("dataset", file)]
    outcomes = list(checking.check("dataset", file))
    assert {outcome.status for outcome in outcomes} == {"holds"}, [str(outcome) for outcome in outcomes]
