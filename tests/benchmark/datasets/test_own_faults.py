"""Bad input to dataset=table: each an error that names the file, the line and the column or key."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from benchmark.datasets import _own_files
from benchmark.datasets._description import read_description
from benchmark.datasets._yaml import read_yaml
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


# the YAML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("files:", "filse:", "line 1, filse: unknown key 'filse'; did you mean files\\? known: name, files, separator"),
        (
            "price: numeric",
            "price: numric",
            "line 9, columns.price: expected one of user, item, .*, found 'numric'; did you mean numeric",
        ),
        (
            "max_length",
            "max_lenght",
            "line 8, columns.past.max_lenght: unknown key 'max_lenght' of a column of kind sequence; did you mean",
        ),
        ("max_length: 3", "max_length: 0", "line 8, columns.past.max_length: expected a number of at least 1, found 0"),
        ("max_length: 3", "max_length: few", "line 8, columns.past.max_length: expected a whole number, found 'few'"),
        (
            "max_length: 3",
            "of: video",
            "line 8, columns.past.of: unknown column of ids 'video'; known: country, item_id, user_id",
        ),
        (
            "about: item",
            "about: itme",
            "line 7, columns.genres.about: expected one of user, item, found 'itme'; did you mean item",
        ),
        ("note: ignore", "note:", "line 11, columns.note: expected a kind of column .*, found nothing"),
        (
            "note: ignore",
            "note: user",
            "line 11, columns.note: expected one column of kind user, found a second one after user_id",
        ),
        (
            "note: ignore",
            "note: ignore\n  note: ignore",
            "line 12, columns.note: this key is there twice, first on line 11",
        ),
        (
            "[hour]",
            "[hours]",
            "line 5, columns.ts.parts.0.: expected one of year, .*, found 'hours'; did you mean hour",
        ),
        ("click: binary", "click: binry", "line 13, tasks.click: .*unknown kind 'binry'; did you mean binary"),
        (
            "click: binary",
            "price: binary",
            "line 13, tasks.price: expected a label or a feature: leave 'price' out of columns",
        ),
        (
            "given: click",
            "given: watch",
            r"line 14, tasks.buy.given: expected an earlier task \(click\), found 'watch'",
        ),
        ("log1p", "log", "line 15, tasks.watch.transform: expected one of identity, log1p, found 'log'"),
        ("clicks.csv", "{train: a.csv}", "line 1, files: expected files for train and test, .*, found train"),
        ("clicks.csv", "[]", "line 1, files: expected the path of a file, or a pattern"),
        ("tasks:", "task:", "line 12, task: unknown key 'task'; did you mean tasks"),
        ("columns:", "separator: ',;'\ncolumns:", "line 2, separator: expected one character in quotes"),
        ("columns:", "encoding: utf-7000\ncolumns:", "line 2, encoding: expected the name of an encoding"),
        ("columns:", "name: a/b\ncolumns:", "line 2, name: expected letters, digits, dots, dashes and underscores"),
        ("columns:", "split: [1\ncolumns:", "line 3: this is not YAML: "),
    ],
)
def test_a_mistake_in_the_yaml(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert YAML.count(old) == 1 or old in ("clicks.csv", "max_length: 3")
    file = write(tmp_path, YAML.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"clicks\.yaml, {told}"):
        OwnTable(file=file)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("tiem", "split: expected one of random, time, user, column, files, found 'tiem'; did you mean time"),
        ("{by: time, tset: 0.1}", "split.tset: unknown key 'tset' of split; did you mean test"),
        ("{by: random, train: 0.8}", "split.train: unknown key 'train' of a split by random"),
        ("{by: random, test: 10}", "split.test: expected a share of the rows between 0 and 1, such as 0.1, found 10"),
        (
            "{by: random, validation: 0.5, test: 0.5}",
            "split: expected shares that leave rows for train, found 0.5 and 0.5",
        ),
        ("{by: time, test: 2024-01-01}", "split: expected two shares, or two times .*, found one of each"),
        ("{by: column}", "split: expected the key column: the column that names the split of each row"),
        ("{by: files}", "split.by: expected `by: files` where `files` has train and test"),
        (
            "{by: column, column: note, validation: test}",
            "split: expected each value in one split, found train, test, test",
        ),
    ],
)
def test_a_mistake_in_the_split(tmp_path: Path, split: str, told: str) -> None:
    file = write(tmp_path, f"{YAML}split: {split}\n")
    with pytest.raises(ValueError, match=rf"clicks\.yaml, line 16, {told}"):
        OwnTable(file=file)


@pytest.mark.parametrize("name", ["trials", "reference"])
def test_a_yaml_with_the_name_of_a_folder_of_results(tmp_path: Path, name: str) -> None:
    path = Path(write(tmp_path)).rename(tmp_path / f"{name}.yaml")
    with pytest.raises(ValueError, match=rf"{name}\.yaml: expected another file name, or the key name, as .* {name}"):
        OwnTable(file=str(path))
    path.write_text(f"{YAML}name: films\n", encoding="utf8")
    assert OwnTable(file=str(path)).label == "films"


@pytest.mark.parametrize("key", ["files", "columns", "tasks"])
def test_a_key_that_is_missing(tmp_path: Path, key: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("".join(f"{name}: {{a: user}}\n" for name in ("files", "columns", "tasks") if name != key))
    with pytest.raises(ValueError, match=rf"my\.yaml: expected the key '{key}', found "):
        OwnTable(file=str(path))


@pytest.mark.parametrize("rule", ["time", "user"])
def test_a_split_by_what_is_not_there(tmp_path: Path, rule: str) -> None:
    yaml = YAML.replace("ts: {kind: time, parts: [hour]}", "ts: ignore").replace(
        "user_id: user", "user_id: categorical"
    )
    file = write(tmp_path, yaml.replace(", about: user", "") + f"split: {rule}\n")
    with pytest.raises(ValueError, match=f"line 16, split: expected a column of kind {rule} to split by, found none"):
        OwnTable(file=file)


def test_no_yaml_at_all(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError,
        match=r"no file .*nothing\.yaml; a relative path begins at the folder of the command, which is ",
    ):
        OwnTable(file=str(tmp_path / "nothing.yaml"))
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9\n")
    with pytest.raises(ValueError, match=r"latin\.yaml: expected a YAML file in UTF-8"):
        read_yaml(tmp_path / "latin.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ValueError, match=r"list\.yaml, line 1: expected keys with values, .*, found a list"):
        read_yaml(tmp_path / "list.yaml")


def test_keys_are_text_as_written(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("on: 1\n1: 2024-05-31\nnull: {no: [yes, é]}\n", encoding="utf8")
    assert read_yaml(tmp_path / "odd.yaml").plain() == {"on": 1, "1": "2024-05-31", "null": {"no": [True, "é"]}}
