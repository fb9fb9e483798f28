"""A small table of clicks as files of its own, and the YAML that describes it, for tests of `dataset=table`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

GENRES = ("action", "comedy", "drama", "sci-fi")
YAML = """\
files: clicks.csv
columns:
  user_id: user
  item_id: item
  ts: {kind: time, parts: [hour]}
  country: {kind: categorical, about: user}
  genres: {kind: multi, separator: "|", about: item}
  past: {kind: sequence, separator: " ", max_length: 3}
  price: numeric
  title: title
  note: ignore
tasks:
  click: binary
  buy: {kind: binary, given: click}
  watch: {kind: regression, unit: seconds, transform: log1p}
"""


def clicks(num_rows: int = 600, seed: int = 0) -> pl.DataFrame:
    """Rows in the order of time; what is watched has gaps, and item 7 has no genre."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(1, 41, num_rows), rng.integers(1, 31, num_rows)
    genres = ["|".join(GENRES[k] for k in range(4) if (number >> k) % 2) for number in range(31)]
    genres[7] = ""
    click = (rng.random(num_rows) < 0.3 + 0.4 * (item % 2)).astype(int)
    watch = np.where(click == 1, rng.exponential(20, num_rows).round(2), np.nan)
    past = [" ".join(map(str, rng.integers(1, 31, count))) for count in rng.integers(0, 6, num_rows)]
    columns: dict[str, Any] = {
        "user_id": user,
        "item_id": item,
        "ts": 1_700_000_000 + np.arange(num_rows) * 600,
        "country": [("de", "fr", "NA")[number % 3] for number in user],
        "genres": [genres[number] for number in item],
        "past": past,
        "price": rng.normal(10, 2, num_rows).round(3),
        "title": [f"Film {number}" for number in item],
        "note": ["x"] * num_rows,
        "click": click,
        "buy": click * (rng.random(num_rows) < 0.4),
        "watch": pl.Series(watch).fill_nan(None),
    }
    return pl.DataFrame(columns).with_columns(pl.col("genres", "past").replace("", None))


def write(folder: Path, yaml: str = YAML, frame: pl.DataFrame | None = None) -> str:
    """Writes `clicks.csv` and `clicks.yaml`; returns the path of the second."""
    folder.mkdir(parents=True, exist_ok=True)
    (clicks() if frame is None else frame).write_csv(folder / "clicks.csv")
    path = folder / "clicks.yaml"
    path.write_text(yaml, encoding="utf8")
    return str(path)
