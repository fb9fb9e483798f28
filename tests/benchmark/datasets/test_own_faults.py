"""Bad files of dataset=table: each an error that names the file, the line and the column."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from benchmark.datasets import _own_files
from benchmark.datasets._description import read_description
from benchmark.datasets.own_table import OwnTable
from tests.benchmark.datasets.own import YAML, clicks, write


def message_of(folder: Path, change: Callable[[Path], None] | None = None, yaml: str = YAML) -> str:
    """What building says, with the folder taken away."""
    file = write(folder, yaml)
    if change is not None:
        change(folder / "clicks.csv")
    with pytest.raises(ValueError) as caught:
        OwnTable(file=file).build()
    return str(caught.value).replace(f"{folder}/", "")


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf8").splitlines()


def replaced(line: int, column: str, value: str) -> Callable[[Path], None]:
    """Another value on a line, from 1; the header is the first."""

    def change(path: Path) -> None:
        every = lines(path)
        values = every[line - 1].split(",")
        values[every[0].split(",").index(column)] = value
        every[line - 1] = ",".join(values)
        path.write_text("\n".join(every) + "\n", encoding="utf8")

    return change


def header(old: str, new: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        every = lines(path)
        path.write_text("\n".join([every[0].replace(old, new), *every[1:]]), encoding="utf8")

    return change


# values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "column", "value", "told"),
    [
        (7, "click", "2", "expected 0 or 1, or nothing where it was not observed, found '2'"),
        (601, "buy", "yes", "expected 0 or 1, or nothing where it was not observed, found 'yes'"),
        (3, "price", "inf", "expected a finite number, found inf"),
        (4, "price", "1e999", "expected a finite number, found inf"),
        (5, "price", "cheap", "expected a number, found 'cheap'"),
        (8, "watch", "-inf", "expected a finite number, found -inf"),
        (8, "watch", "-3", "expected a number above -1, of which log1p is finite, found -3.0"),
        (9, "ts", "yesterday", "expected a date such as 2024-05-31 or 2024-05-31 18:30:00"),
    ],
)
def test_a_value_that_is_none(tmp_path: Path, line: int, column: str, value: str, told: str) -> None:
    found = message_of(tmp_path, replaced(line, column, value))
    assert found.startswith(f"clicks.csv: line {line}, column {column}: {told}")


def test_whole_dates_are_no_seconds(tmp_path: Path) -> None:
    days = pl.Series("ts", [20240531 if row % 2 else 20240601 for row in range(600)])
    told = "column ts: expected seconds since 1970, found {}, which looks like a day; write format: '%Y%m%d'"
    frame, yaml = clicks().with_columns(days), YAML.replace("parts: [hour]", "unit: s ")
    with pytest.raises(ValueError, match=r"clicks\.csv: line 2, " + told.format("'20240601'")):
        OwnTable(file=write(tmp_path, yaml, frame)).build()
    gaps = frame.with_columns(days.cast(pl.Float64).set(pl.int_range(600, eager=True) == 0, None))
    gaps.write_parquet(tmp_path / "clicks.parquet")
    file = write(tmp_path, yaml.replace("clicks.csv", "clicks.parquet"))
    with pytest.raises(ValueError, match=r"clicks\.parquet: row 2, " + told.format("20240531.0")):
        OwnTable(file=file).build()
    for path in ("clicks.csv", "clicks.parquet"):
        formed = yaml.replace("clicks.csv", path).replace("unit: s ", "format: '%Y%m%d'")
        data = OwnTable(file=write(tmp_path, formed, frame)).build()
        assert data.facts["dates"]["train"] == ["2024-05-31 00:00:00", "2024-06-01 00:00:00"]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        replaced(5, "note", '"two')(path)
        every = lines(path)
        every.insert(5, 'lines",0,0,')  # what line 5 begins
        every[4] = every[4][: every[4].index('"two') + 4]
        every.insert(2, "")
        path.write_text("\n".join(every) + "\n", encoding="utf8")
        replaced(9, "click", "7")(path)

    assert message_of(tmp_path, change).startswith("clicks.csv: line 9, column click: expected 0 or 1")


def test_of_parquet_rows_are_counted(tmp_path: Path) -> None:
    frame = clicks().with_columns(click=pl.when(pl.int_range(600) == 6).then(2).otherwise("click"))
    frame.write_parquet(tmp_path / "clicks.parquet")
    yaml = YAML.replace("clicks.csv", "clicks.parquet")
    assert message_of(tmp_path, yaml=yaml).startswith("clicks.parquet: row 7, column click: expected 0 or 1")
    frame.with_columns(price=pl.lit("cheap")).write_parquet(tmp_path / "clicks.parquet")
    assert message_of(tmp_path, yaml=yaml) == "clicks.parquet: row 1, column price: expected a number, found 'cheap'"
    (tmp_path / "clicks.parquet").write_bytes(b"PAR1" * 10)
    assert message_of(tmp_path, yaml=yaml).startswith("clicks.parquet: expected a Parquet file, found none: ")


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        clicks().write_parquet(path.with_suffix(".parquet"))
        whole = path.with_suffix(".parquet").read_bytes()
        path.with_suffix(".parquet").write_bytes(
            whole[:4] + bytes(byte ^ 0xFF for byte in whole[4:3000]) + whole[3000:]
        )

    found = message_of(tmp_path, change, YAML.replace("clicks.csv", "clicks.parquet"))
    assert found.startswith("clicks.parquet: unreadable as Parquet, truncated or damaged: ")


def test_texts_that_mean_missing_are_said_in_the_yaml(tmp_path: Path) -> None:
    change = replaced(5, "price", "NA")
    assert "line 5, column price: expected a number, found 'NA'" in message_of(tmp_path, change)
    file = write(tmp_path, YAML + "missing: NA\n")
    change(tmp_path / "clicks.csv")
    data = OwnTable(file=file).build()
    (country,) = [field for field in data.schema.categorical if field.name == "country"]
    assert country.cardinality == 4, "de, fr, missing, and what train does not have"


@pytest.mark.parametrize("piece", [7, 100])
def test_a_file_is_read_in_pieces(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = OwnTable(file=write(tmp_path / "whole")).build()
    monkeypatch.setattr(_own_files, "PIECE", piece)
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    file = write(tmp_path)
    pieces = list(_own_files.read_file(_own_files.File(tmp_path / "clicks.csv", "", {}), read_description(file)))
    assert len(pieces) > 2
    assert OwnTable(file=file).build().fingerprint == expected.fingerprint
    assert message_of(tmp_path, replaced(432, "click", "3")).startswith("clicks.csv: line 432, column click: ")
    assert message_of(tmp_path, replaced(555, "price", "?")).startswith("clicks.csv: line 555, column price: ")


def test_a_file_of_names_alone(tmp_path: Path) -> None:
    found = message_of(tmp_path, lambda path: path.write_text(lines(path)[0]))  # type: ignore[arg-type, return-value]
    assert found == "clicks.csv: expected rows, found none"


# columns and lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            header("price", "prise"),
            "expected the column 'price' (numeric in clicks.yaml), found none; did you mean prise?",
        ),
        (header("click,", "clicked_on,"), "expected the column 'click' (label in clicks.yaml), found none"),
        (header("note", "price"), "the column 'price' is there 2 times; rename one"),
        (header(",note", ","), "expected a name for each column, found none for column 9"),
        (lambda path: path.write_text(""), "expected the names of the columns, found an empty line"),
    ],
)
def test_columns_of_the_first_line(tmp_path: Path, change: Callable[[Path], None], told: str) -> None:
    assert message_of(tmp_path, change).startswith(f"clicks.csv: line 1: {told}")


def test_a_column_that_is_not_described(tmp_path: Path) -> None:
    assert message_of(tmp_path, yaml=YAML.replace("  note: ignore\n", "")) == (
        "clicks.csv: line 1: the column 'note' is not in clicks.yaml; add `note: ignore` to columns there, or the kind that it has"
    )


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ("[clicks.csv, '*.csv']", "files: expected each file once, found {} by '*.csv' and by 'clicks.csv'"),
        (
            "{train: clicks.csv, test: ../here/clicks.csv}",
            "files: expected each file once, found {} by '../here/clicks.csv' (test) and by 'clicks.csv' (train)",
        ),
    ],
)
def test_a_file_that_is_listed_twice(tmp_path: Path, files: str, told: str) -> None:
    folder = tmp_path / "here"
    found = message_of(folder, yaml=YAML.replace("clicks.csv", files))
    assert found == "clicks.yaml, " + told.format("../here/clicks.csv" if "here" in files else "clicks.csv")


def test_another_separator(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        path.write_text(path.read_text().replace(",", ";"))

    assert message_of(tmp_path, change) == (
        "clicks.csv: line 1: expected values separated by ',', found ';'; write `separator: \";\"` in clicks.yaml"
    )


@pytest.mark.parametrize("surplus", ["", ",1,2"])
def test_a_line_of_another_length(tmp_path: Path, surplus: str) -> None:
    def change(path: Path) -> None:
        every = lines(path)
        every[41] = every[41].rsplit(",", 2)[0] if not surplus else every[41] + surplus
        path.write_text("\n".join(every) + "\n")

    number = 14 if surplus else 10
    assert (
        message_of(tmp_path, change) == f"clicks.csv: line 42 has {number} values, expected 12; is the file truncated?"
    )


def test_a_last_line_that_was_cut(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        path.write_text(path.read_text().rstrip()[:-12].rsplit(",", 1)[0])

    assert "clicks.csv: line 601 has " in message_of(tmp_path, change)


def test_empty_lines_are_passed_over(tmp_path: Path) -> None:
    file = write(tmp_path)
    every = lines(tmp_path / "clicks.csv")
    (tmp_path / "clicks.csv").write_text("\n".join([*every[:50], "", *every[50:], "", ""]))
    expected = OwnTable(file=write(tmp_path / "as it was")).build()
    assert OwnTable(file=file).build().fingerprint == expected.fingerprint


def test_not_in_utf8(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        replaced(3, "title", "Amélie")(path)
        path.write_bytes(path.read_text(encoding="utf8").encode("latin-1"))

    assert message_of(tmp_path, change) == (
        "clicks.csv: line 3, column title: expected text in UTF-8, found the byte 0xe9; give the right encoding, such as latin-1, or "
        "save the file in UTF-8"
    )


def test_a_truncated_gzip(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        packed = gzip.compress(path.read_bytes())
        path.with_name("clicks.csv.gz").write_bytes(packed[: len(packed) // 2])

    found = message_of(tmp_path, change, YAML.replace("clicks.csv", "clicks.csv.gz"))
    assert found.startswith("clicks.csv.gz: unreadable after line ")
    assert "truncated or damaged" in found


def test_a_zip(tmp_path: Path) -> None:
    assert message_of(tmp_path, lambda path: path.write_bytes(b"PK\x03\x04...")) == (  # type: ignore[arg-type, return-value]
        "clicks.csv: expected text, plain or gzipped (.gz), found a zip archive; unpack it first"
    )


def test_an_empty_split(tmp_path: Path) -> None:
    assert message_of(tmp_path, yaml=YAML + "split: {by: time, validation: 2023-11-17, test: 2030-01-01}\n") == (
        "clicks.yaml: split: expected rows in train, validation and test, found none for test (train 299, validation 301, test 0; "
        "validation begins at 2023-11-17 00:00:00; test begins at 2030-01-01 00:00:00)"
    )


def test_what_prepare_refuses_names_the_yaml(tmp_path: Path) -> None:
    def change(path: Path) -> None:
        replaced(9, "click", "0")(path)
        replaced(9, "buy", "1")(path)

    assert message_of(tmp_path, change).startswith(
        "clicks.yaml: task 'buy' is given 'click' and cannot be greater, but is on 1 rows"
    )
    yaml = YAML.replace("note: ignore", "note: numeric").replace("price: numeric", "price: ignore")
    assert message_of(tmp_path, yaml=yaml).startswith("clicks.csv: line 2, column note: expected a number, found 'x'")
