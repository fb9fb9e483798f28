"""Mistakes in the YAML of dataset=table: each an error that names its line and key, before any file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.datasets._yaml import read_yaml
from benchmark.datasets.own_table import OwnTable
from tests.benchmark.datasets.own import YAML, write


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
        (
            "[hour]",
            "[hour], time_zone: Europe/Berlni",
            "line 5, columns.ts.time_zone: expected a time zone such as Europe/Berlin, found 'Europe/Berlni'",
        ),
        (
            ", parts: [hour]",
            ", time_zone: Europe/Berlin",
            "line 5, columns.ts.time_zone: expected the key parts beside it, which are read on its clock, found none",
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
        (
            "{by: time, validation: 2024-02-31, test: 2024-04-01}",
            r"split\.validation: expected a date such as 2024-05-31 .*, found '2024-02-31'",
        ),
        ("{by: time, validation: 2023-11-17, test: soon}", r"split\.test: expected a date .*, found 'soon'"),
        (
            "{by: time, validation: 20231117, test: 20231118}",
            r"split\.validation: expected seconds since 1970, found 20231117, which looks like a day; write format: '%Y%m%d'",
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
