"""Small files in the layouts of the official ones, drawn at random but learnable, for tests without the data."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets._kuaishou import USER_CODES, USER_NUMBERS
from benchmark.datasets._movielens import GENRES
from benchmark.datasets.census_income import CATEGORICAL, COLUMNS, DEGREES, MOST, NUMERIC
from benchmark.datasets.kuairand import LOG, VIDEO_CODES, VIDEO_NUMBERS

OTHER_SCHOOLS = ("High school graduate", "Children", "Some college but no degree")
NOT_SINGLE = ("Married-civilian spouse present", "Divorced", "Widowed")


def _logistic(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    return (rng.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(int)


def write_census(folder: Path, *, num_train: int = 3000, num_test: int = 1500, seed: int = 0) -> None:
    """`census-income.data` and `.test`, gzipped as their owners offer them.

    Income and marriage follow age, weeks worked and some codes; the capital columns are mostly zero, as in the data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name, num_rows in (("census-income.data", num_train), ("census-income.test", num_test)):
        rows = pl.DataFrame(_census_columns(rng, num_rows))
        lines = [", ".join(map(str, row)) for row in rows.iter_rows()]
        (folder / f"{name}.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def _census_columns(rng: np.random.Generator, num_rows: int) -> dict[str, Any]:
    codes = {name: rng.integers(0, 5, num_rows) for name in CATEGORICAL}
    numbers: dict[str, np.ndarray] = {
        name: np.where(rng.random(num_rows) < 0.1, rng.integers(1, 9999, num_rows), 0) for name in NUMERIC
    }
    numbers["num_emp"] %= MOST["num_emp"] + 1
    numbers["age"] = rng.integers(0, 91, num_rows)
    numbers["weeks_worked"] = np.where(numbers["age"] < 16, 0, rng.integers(0, 53, num_rows))
    degree = _logistic(rng, numbers["age"] / 30 + codes["major_occ_code"] - 5)
    income = _logistic(rng, numbers["weeks_worked"] / 15 + 1.5 * degree + codes["sex"] / 2 - 5)
    single = _logistic(rng, 4 - numbers["age"] / 8 + codes["tax_filer_stat"] / 2)
    texts: dict[str, Any] = {name: [f"{name} {code}" for code in values] for name, values in codes.items()}
    texts["year"] = 94 + codes["year"] % 2
    texts["mig_chg_msa"] = np.where(codes["mig_chg_msa"] < 2, "?", "Nonmover")  # missing
    columns = {
        **texts,
        **numbers,
        "instance_weight": rng.uniform(50, 9000, num_rows).round(2),
        "education": np.where(degree, rng.choice(DEGREES, num_rows), rng.choice(OTHER_SCHOOLS, num_rows)),
        "marital_stat": np.where(single, "Never married", rng.choice(NOT_SINGLE, num_rows)),
        "income_50k": np.where(income, "50000+.", "- 50000."),
    }
    return {name: columns[name] for name in COLUMNS}


def write_kuairand(folder: Path, *, variant: str = "pure", num_rows: int = 4000, seed: int = 0) -> None:
    """The log of 04-25 to 05-08 (plain text) and the side tables (gzipped), in `data/`.

    Play time follows a taste of the user and an appeal of the video; click and long view are thresholds of it.
    Three rows are exact duplicates, one feature column has gaps, and one video has no length.
    """
    folder = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    users, videos = _kuairand_users(rng, 120), _kuairand_videos(rng, 60)
    log = _kuairand_log(rng, num_rows, len(users), len(videos))
    log = pl.concat([log, log.head(3)])
    log.select(list(LOG)).write_csv(folder / f"log_standard_4_22_to_5_08_{variant}.csv")
    for name, table in (("user_features", users), ("video_features_basic", videos)):
        (folder / f"{name}_{variant}.csv.gz").write_bytes(gzip.compress(table.write_csv().encode()))


def _kuairand_log(rng: np.random.Generator, num_rows: int, num_users: int, num_videos: int) -> pl.DataFrame:
    user, video = rng.integers(0, num_users, num_rows), rng.integers(0, num_videos, num_rows)
    taste, appeal = rng.normal(0, 0.8, num_users), rng.normal(0, 0.8, num_videos)
    seconds = np.exp(1.5 + taste[user] + appeal[video] + rng.normal(0, 0.7, num_rows))
    day = np.sort(rng.integers(0, 14, num_rows))
    columns = {
        **{name: np.zeros(num_rows, int) for name in LOG},
        "user_id": user,
        "video_id": video,
        "date": np.where(day < 6, 20220425 + day, 20220501 + day - 6),
        "hourmin": rng.integers(0, 24, num_rows) * 100,
        "time_ms": 1650812741436 + np.arange(num_rows) * 250_000,
        "is_click": (seconds > 5).astype(int),
        "is_like": _logistic(rng, 2 * taste[user] - 2),
        "long_view": (seconds > 8).astype(int),
        "play_time_ms": (seconds * 1000).astype(int),
        "duration_ms": 1000 * (video + 5),
        "tab": rng.integers(0, 3, num_rows),
    }
    return pl.DataFrame(columns)


def _kuairand_users(rng: np.random.Generator, num_users: int) -> pl.DataFrame:
    columns: dict[str, Any] = {"user_id": np.arange(num_users)}
    for name, kind in USER_CODES.items():
        codes = rng.integers(0, 4, num_users)
        columns[name] = [f"[{code},{code + 1})" for code in codes] if kind is pl.String else codes
    columns["is_live_streamer"] = np.where(rng.random(num_users) < 0.8, -124, 1)
    columns["onehot_feat4"] = pl.Series(rng.integers(0, 15, num_users) * 1.0).set(
        pl.Series(np.arange(num_users) % 9 == 0), None
    )
    columns |= {name: rng.integers(0, 3000, num_users) for name in USER_NUMBERS}
    return pl.DataFrame(columns)


def _kuairand_videos(rng: np.random.Generator, num_videos: int) -> pl.DataFrame:
    columns: dict[str, Any] = {"video_id": np.arange(num_videos)}
    for name, kind in VIDEO_CODES.items():
        codes = rng.integers(0, 6, num_videos)
        columns[name] = [f"{code},{code + 7}" for code in codes] if kind is pl.String else codes
    columns["upload_dt"] = [f"2022-04-1{code}" for code in columns["upload_dt"]]
    columns |= {name: rng.integers(5, 900, num_videos) * 1.0 for name in VIDEO_NUMBERS}
    columns["video_duration"] = pl.Series(columns["video_duration"]).set(pl.Series(np.arange(num_videos) == 7), None)
    return pl.DataFrame(columns)


FILMS_WITHOUT_YEAR = (7, 12)  # one without any date, one whose title does not end with it


def _movielens(num_rows: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    num_users, num_films = 80, 50
    pairs = rng.choice(num_users * num_films, num_rows, replace=False)
    user, film = pairs // num_films, pairs % num_films
    taste, appeal = rng.normal(0, 0.6, num_users), rng.normal(0, 0.6, num_films)
    stars = np.clip(np.rint(3.5 + taste[user] + appeal[film] + rng.normal(0, 0.5, num_rows)), 1, 5).astype(int)
    flags = rng.random((num_films, len(GENRES))) < 0.15
    flags[:, 0] = ~flags[:, 1:].any(axis=1)  # "unknown" stands alone
    return {
        "ratings": list(zip(user + 1, film + 1, stars, 880000000 + np.arange(num_rows), strict=True)),
        "ages": rng.integers(7, 74, num_users),
        "genders": rng.choice(["M", "F"], num_users),
        "jobs": rng.choice(["student", "writer", "none"], num_users),
        "titles": [f"Café {number}" for number in range(1, num_films + 1)],
        "years": rng.integers(1950, 1999, num_films),
        "flags": flags,
    }


def _lines(rows: list[Any], separator: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None).writerows(rows)
    return text.getvalue()


def write_movielens(folder: Path, *, num_rows: int = 2500, seed: int = 0) -> None:
    """`ml-100k/u.data`, `u.user` and `u.item`, the last in latin-1; stars follow users and films."""
    folder = folder / "ml-100k"
    folder.mkdir(parents=True, exist_ok=True)
    made = _movielens(num_rows, seed)
    users = zip(made["ages"], made["genders"], made["jobs"], strict=True)
    films = []
    for number, (title, year, flags) in enumerate(zip(made["titles"], made["years"], made["flags"], strict=True), 1):
        dated = f"{title} ({year})"
        if number in FILMS_WITHOUT_YEAR:
            dated = "unknown" if number == FILMS_WITHOUT_YEAR[0] else f"{dated} (V)"
        films.append([number, dated, f"01-Jan-{year}", "", "http://example.org", *flags.astype(int)])
    (folder / "u.data").write_text(_lines(made["ratings"], "\t"))
    (folder / "u.user").write_text(_lines([[n, *user, "02139"] for n, user in enumerate(users, 1)], "|"))
    (folder / "u.item").write_bytes(_lines(films, "|").encode("latin-1"))


def write_movielens_recbole(folder: Path, *, num_rows: int = 2500, seed: int = 0) -> None:
    """The same data as `write_movielens`, as RecBole's atomic files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _movielens(num_rows, seed)
    users = zip(made["ages"], made["genders"], made["jobs"], strict=True)
    films = []
    for number, (title, year, flags) in enumerate(zip(made["titles"], made["years"], made["flags"], strict=True), 1):
        genres = " ".join(np.array(GENRES)[flags])
        films.append([number, title, "unkonwn" if number in FILMS_WITHOUT_YEAR else year, genres])
    tables: dict[str, tuple[list[str], list[Any]]] = {
        "inter": (["user_id:token", "item_id:token", "rating:float", "timestamp:float"], made["ratings"]),
        "user": (
            ["user_id:token", "age:token", "gender:token", "occupation:token", "zip_code:token"],
            [[number, *user, "02139"] for number, user in enumerate(users, 1)],
        ),
        "item": (["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"], films),
    }
    for name, (header, rows) in tables.items():
        (folder / f"ml-100k.{name}").write_text(_lines([header, *rows], "\t"), encoding="utf8")
