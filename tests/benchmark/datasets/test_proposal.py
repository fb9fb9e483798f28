"""`mtlbench data describe`: what it takes columns for, what it is unsure of, and that its YAML works as it is."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from benchmark.cli import main
from benchmark.datasets._proposal import describe
from benchmark.datasets._proposal_text import UNSURE
from benchmark.datasets.own_table import OwnTable
from tests.benchmark.datasets.own import clicks


def proposed(path: Path, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(describe([path], **options)[0])
    return found


def plain_case(num_rows: int = 2000) -> pl.DataFrame:
    """User, item, time, genres, two binary labels, and seconds with gaps where nothing was clicked."""
    columns = ("user_id", "item_id", "ts", "genres", "click", "buy", "watch")
    return clicks(num_rows).select(columns).rename({"ts": "timestamp", "watch": "watch_seconds"})


def test_the_plain_case_runs_unchanged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain_case().write_csv("my clicks.csv")
    main(["data", "describe", "my clicks.csv"])
    out, err = capsys.readouterr()
    assert err == ""
    assert yaml.safe_load(out) == {
        "files": "my clicks.csv",
        "columns": {
            "user_id": "user",
            "item_id": "item",
            "timestamp": {"kind": "time", "unit": "s"},
            "genres": {"kind": "multi", "separator": "|", "about": "item"},
        },
        "tasks": {
            "click": "binary",
            "buy": {"kind": "binary", "given": "click"},
            "watch_seconds": {"kind": "regression", "unit": "seconds"},
        },
        "split": {"by": "time", "validation": 0.1, "test": 0.1},
    }
    assert "only known where click is 1" in out
    assert "never 1 where click is not" in out
    Path("my.yaml").write_text(out, encoding="utf8")
    data = OwnTable(file="my.yaml").build()
    assert (len(data.train), len(data.test)) == (1600, 200)
    assert data.catalogue is not None


@pytest.mark.parametrize("form", ["semicolons", "tabs", "bars", "gzip", "parquet", "latin"])
def test_every_form_of_file_is_found_and_read(tmp_path: Path, form: str) -> None:
    frame, path = (
        plain_case().with_columns(city=pl.col("user_id").replace_strict({1: "Köln"}, default="Wien")),
        tmp_path / "c.csv",
    )
    separator = {"semicolons": ";", "tabs": "\t", "bars": "|"}.get(form, ",")
    frame.write_csv(path, separator=separator)
    if form == "gzip":
        path = tmp_path / "c.csv.gz"
        path.write_bytes(gzip.compress((tmp_path / "c.csv").read_bytes()))
    elif form == "parquet":
        path = tmp_path / "c.parquet"
        frame.with_columns(pl.col("genres").str.split("|")).write_parquet(path)
    elif form == "latin":
        path.write_bytes(path.read_text(encoding="utf8").encode("latin-1"))
    found = proposed(path)
    assert found.get("separator", ",") == separator
    assert found.get("encoding") == ("latin-1" if form == "latin" else None)
    genres = (
        {"kind": "multi", "about": "item"}
        if form == "parquet"
        else {"kind": "multi", "separator": "|", "about": "item"}
    )
    assert found["columns"]["genres"] == (genres if form != "parquet" else "multi")
    assert found["columns"]["city"] == {"kind": "categorical", "about": "user"}
    assert list(found["tasks"]) == ["click", "buy", "watch_seconds"]
    (tmp_path / "c.yaml").write_text(describe([path])[0].replace(str(path), path.name), encoding="utf8")
    data = OwnTable(file=str(tmp_path / "c.yaml")).build()
    (city,) = [field.cardinality for field in data.schema.categorical if field.name == "city"]
    assert city == 3


def table(**columns: Any) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, 50, 1000), rng.integers(0, 40, 1000)
    base = {"userId": user, "movieId": item, "liked": rng.integers(0, 2, 1000)}
    made = {name: make(rng, user, item) if callable(make) else make for name, make in columns.items()}
    return pl.DataFrame({**base, **made})


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("is_premium", lambda rng, user, item: user % 2, {"kind": "categorical", "about": "user"}),
        ("is_mobile", lambda rng, user, item: rng.integers(0, 2, 1000), "categorical"),
        ("price", lambda rng, user, item: item * 1.5 + 3.25, {"kind": "numeric", "about": "item"}),
        ("age", lambda rng, user, item: 20 + user, {"kind": "categorical", "about": "user"}),
        ("balance", lambda rng, user, item: rng.integers(0, 10**6, 1000), "numeric"),
        ("shop_code", lambda rng, user, item: rng.integers(0, 300, 1000), "categorical"),
        ("row", lambda rng, user, item: np.arange(1000), "ignore"),
        ("session_id", lambda rng, user, item: [f"s{n}" for n in range(1000)], "ignore"),
        ("version", lambda rng, user, item: np.ones(1000, int), "ignore"),
        ("nothing", lambda rng, user, item: pl.Series([None] * 1000, dtype=pl.String), "ignore"),
        ("title", lambda rng, user, item: [f"Film {n}" for n in item], "title"),
        ("created_at", lambda rng, user, item: [f"2024-01-{1 + n // 40:02d} 10:00" for n in range(1000)], "time"),
        ("day", lambda rng, user, item: 20240101 + np.arange(1000) // 40, {"kind": "time", "format": "%Y%m%d"}),
        ("time_ms", lambda rng, user, item: 1_700_000_000_000 + np.arange(1000), {"kind": "time", "unit": "ms"}),
        (
            "watch_history",
            lambda rng, user, item: [" ".join(map(str, rng.integers(0, 40, 4))) for _ in range(1000)],
            {"kind": "sequence", "separator": " ", "of": "movieId", "max_length": 50},
        ),
    ],
)  # fmt: skip
def test_what_a_column_is_taken_for(tmp_path: Path, name: str, make: Any, expected: Any) -> None:
    path = tmp_path / "t.csv"
    table(**{name: make}).write_csv(path)
    found = proposed(path)
    assert found["columns"] == {"userId": "user", "movieId": "item", name: expected}
    assert list(found["tasks"]) == ["liked"]


def test_what_it_is_unsure_of_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    gaps = pl.Series(rng.normal(size=1000)).set(pl.Series(rng.random(1000) < 0.2), None)
    table(flag=rng.integers(0, 2, 1000), strange=gaps, sample_weight=rng.random(1000)).write_csv(tmp_path / "t.csv")
    main(["data", "describe", str(tmp_path / "t.csv")])
    out, err = capsys.readouterr()
    found = yaml.safe_load(out)
    assert found["columns"]["sample_weight"] == "ignore"
    assert found["tasks"] == {"flag": "binary", "liked": "binary", "strange": "regression"}
    assert out.count(UNSURE) == 3
    assert [line.split(":")[1].strip() for line in err.splitlines()] == ["flag", "strange", "sample_weight"] or len(
        err.splitlines()
    ) == 3


def test_missing_texts_and_a_column_that_is_the_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    dwell = ["NA" if rng.random() < 0.3 else str(value) for value in rng.integers(1, 900, 1000)]
    parts = np.array(["train", "valid", "test"])[rng.choice(3, 1000, p=[0.8, 0.1, 0.1])]
    path = tmp_path / "t.csv"
    table(dwell_time=dwell, fold=parts).write_csv(path)
    found = proposed(path)
    assert found["missing"] == ["NA"]
    assert found["tasks"]["dwell_time"] == "regression"
    assert found["split"] == {"by": "column", "column": "fold", "train": "train", "validation": "valid", "test": "test"}
    (tmp_path / "t.yaml").write_text(describe([path])[0], encoding="utf8")
    data = OwnTable(file=str(tmp_path / "t.yaml")).build()
    assert len(data.test) == (parts == "test").sum()


@pytest.mark.parametrize("text", ["nan", "NaN", "NAN"])
def test_gaps_that_are_written_nan(tmp_path: Path, text: str) -> None:
    frame = plain_case().with_columns(
        buy=pl.when(pl.int_range(2000) % 9 == 0).then(None).otherwise("buy").cast(pl.Int64)
    )
    frame.write_csv(tmp_path / "t.csv", null_value=text)
    found, out = proposed(tmp_path / "t.csv"), describe([tmp_path / "t.csv"])[0]
    assert found["missing"] == [text]
    assert found["tasks"]["buy"] == {"kind": "binary", "given": "click"}
    assert found["tasks"]["watch_seconds"] == {"kind": "regression", "unit": "seconds"}
    assert "nan to nan" not in out
    frame.with_columns(pl.col("watch_seconds").fill_null(float("nan"))).write_parquet(tmp_path / "t.parquet")
    found = proposed(tmp_path / "t.parquet")
    assert "missing" not in found, "what is no number in Parquet is missing anyway"
    assert list(found["tasks"]) == ["click", "buy", "watch_seconds"]


@pytest.mark.parametrize("values", [[0, 1, 2], ["yes", "no"], [0.5, 1.25, 3.75]])
def test_a_feature_with_the_name_of_a_label_is_unsure(tmp_path: Path, values: list[Any]) -> None:
    table(purchased=lambda rng, user, item: rng.choice(values, 1000)).write_csv(tmp_path / "t.csv")
    text, notes = describe([tmp_path / "t.csv"])
    assert "purchased" in yaml.safe_load(text)["columns"]
    assert [note for note in notes if note.startswith("purchased: ")] == [
        "purchased: it is called like a label; what is known only after the exposure goes to tasks, or is ignored"
    ]


def test_a_damaged_parquet_file_cannot_be_described(tmp_path: Path) -> None:
    plain_case().write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    for damaged in (whole[:-9], whole[:4] + bytes(byte ^ 0xFF for byte in whole[4:3000]) + whole[3000:]):
        (tmp_path / "t.parquet").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"t\.parquet: unreadable as Parquet, truncated or damaged: "):
            describe([tmp_path / "t.parquet"])


def test_few_times_or_one_class_at_the_end_are_split_at_random(tmp_path: Path) -> None:
    frame = plain_case()
    late = frame.with_columns(click=pl.when(pl.int_range(2000) < 1700).then("click").otherwise(0), buy=0)
    few = frame.with_columns(timestamp=1_700_000_000 + pl.int_range(2000) // 500)
    for number, one in enumerate((late.drop("buy"), few)):
        one.write_csv(tmp_path / f"{number}.csv")
        assert proposed(tmp_path / f"{number}.csv")["split"] == "random"


def test_a_heavy_tail_is_log1p(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table(watch_ms=lambda rng, user, item: np.exp(rng.normal(6, 2, 1000)).astype(int)).write_csv(path)
    assert proposed(path)["tasks"]["watch_ms"] == {"kind": "regression", "unit": "milliseconds", "transform": "log1p"}


def test_types_of_parquet(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    columns = {
        "when": (1_700_000_000 + np.arange(1000) * 1000) * 1000,
        "vector": [[0.5, 1.5]] * 1000,
        "shop": rng.choice(["a", "b"], 1000),
        "bought": rng.random(1000) < 0.4,
    }
    berlin = pl.col("when").cast(pl.Datetime("ms", "Europe/Berlin"))
    frame = table(**columns).with_columns(berlin, pl.col("shop").cast(pl.Categorical))
    frame.write_parquet(tmp_path / "t.parquet")
    text, _ = describe([tmp_path / "t.parquet"])
    found = yaml.safe_load(text)
    assert found["columns"] == {
        "userId": "user",
        "movieId": "item",
        "when": "time",
        "vector": "ignore",
        "shop": "categorical",
    }
    assert sorted(found["tasks"]) == ["bought", "liked"]
    (tmp_path / "t.yaml").write_text(text)
    data = OwnTable(file=str(tmp_path / "t.yaml")).build()
    assert data.facts["dates"]["train"][0] == "2023-11-14 22:13:20"
    (tmp_path / "t.yaml").write_text(text.replace("vector: ignore", "vector: multi"))
    with pytest.raises(
        ValueError, match=r"t\.parquet: column vector: expected lists of text or whole numbers, found lists of Float64"
    ):
        OwnTable(file=str(tmp_path / "t.yaml")).build()


def test_only_the_first_rows_are_read_and_said(tmp_path: Path) -> None:
    plain_case().write_csv(tmp_path / "t.csv")
    text, _ = describe([tmp_path / "t.csv"], most=500)
    assert text.startswith("# Proposed from the first 500 rows.")
    many, _ = describe([tmp_path / "t.csv", tmp_path / "t.csv"])
    assert yaml.safe_load(many)["files"] == [str(tmp_path / "t.csv")] * 2


def test_no_label_and_no_ids_are_said(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["x", "y"] * 50, "b": list(range(10)) * 10}).write_csv(tmp_path / "t.csv")
    text, notes = describe([tmp_path / "t.csv"])
    assert "no column looks like a label; for example" in text
    assert [note.split(":")[0] for note in notes] == [
        "no column looks like a label", "no column looks like the user's id", "no column looks like the item's id"
    ]  # fmt: skip
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"t\.yaml: expected the key 'tasks', found files, columns, tasks"):
        OwnTable(file=str(tmp_path / "t.yaml"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"1,2,3.5\n2,3,4.5\n",
            "line 1: expected the names of the columns, each once, found 1, 2, 3.5; put a line of names",
        ),
        (b"a,a\n1,2\n", "line 1: expected the names of the columns, each once, found a, a"),
        (b"a,b\n", "expected rows, found only a line of names"),
        (b"", "line 1: expected the names of the columns, found an empty line"),
        (b"a,b\n1,2\n3\n4,5,6\n", "line [34] has "),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 99, mtime=0)[:-9], "unreadable|truncated"),
    ],
)
def test_a_file_that_cannot_be_described(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"t\.csv: .*({told})|t\.csv: ({told})"):
        describe([tmp_path / "t.csv"])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing\.csv"):
        describe([tmp_path / "nothing.csv"])
