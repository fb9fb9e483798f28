"""More small files in the layouts of official ones: MovieLens 1M and 32M, KuaiRec, Online Shoppers."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets._kuaishou import USER_CODES, USER_NUMBERS
from benchmark.datasets._movielens import GENRES

FILMS_1M = (  # a colon, a letter of latin-1, a film without a year
    "1::Toy Story (1995)::Animation|Children's|Comedy",
    "2::Star Wars: Episode IV - A New Hope (1977)::Action|Sci-Fi",
    "3::Misérables, Les (1995)::Drama|Musical",
    "3952::Contender, The::Thriller",
)


def write_movielens_1m(folder: Path, *, num_rows: int = 400, times: bool = True, seed: int = 0) -> None:
    """`ml-1m/ratings.dat`, `users.dat` and `movies.dat`; the copies without times have three values in a line."""
    folder = folder / "ml-1m"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    films = rng.choice([1, 2, 3, 3952], num_rows)
    users, stars = rng.integers(1, 31, num_rows), np.clip(films % 4 + rng.integers(1, 4, num_rows), 1, 5)
    rows = [
        [user, film, star, 978300760 + i] for i, (user, film, star) in enumerate(zip(users, films, stars, strict=True))
    ]
    write_dat(folder / "ratings.dat", ["::".join(map(str, row if times else row[:3])) for row in rows])
    ages = (1, 18, 25, 35, 45, 50, 56)
    write_dat(folder / "users.dat", [f"{n}::{'MF'[n % 2]}::{ages[n % 7]}::{n % 21}::0{n}067-1" for n in range(1, 31)])
    write_dat(folder / "movies.dat", FILMS_1M)


def write_dat(path: Path, lines: Any) -> None:
    """Lines in latin-1."""
    path.write_bytes(("\n".join(lines) + "\n").encode("latin-1"))


FILMS_32M = (
    ("1", "Toy Story (1995)", "Adventure|Animation|Children|Comedy|Fantasy"),
    ("2", 'American "Movie", The (1999) ', "Documentary|IMAX"),
    ("3", "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "Comedy|Romance"),
    ("292757", "Bosch", "(no genres listed)"),
)


def write_movielens_32m(folder: Path, *, num_rows: int = 400, seed: int = 0) -> None:
    """`ml-32m/ratings.csv` and `movies.csv`, with `tags.csv` and `links.csv` beside them; half stars, and no users."""
    folder = folder / "ml-32m"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    film = rng.choice([1, 2, 3, 292757], num_rows)
    ratings = {
        "userId": rng.integers(1, 31, num_rows),
        "movieId": film,
        "rating": np.clip(film % 3 + rng.integers(1, 8, num_rows) / 2, 0.5, 5.0),
        "timestamp": 944249077 + np.arange(num_rows),
    }
    pl.DataFrame(ratings).write_csv(folder / "ratings.csv")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("movieId", "title", "genres"), *FILMS_32M])
    (folder / "movies.csv").write_text(text.getvalue(), encoding="utf8")
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,1,fun,944249077\n")
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n1,0114709,862\n")


def genres_1m() -> list[str]:
    """The genres of 1M: those of 100K without 'unknown'."""
    return list(GENRES[1:])


KUAIREC_USERS, KUAIREC_VIDEOS = 40, 30
SMALL_USERS, SMALL_VIDEOS = range(8), range(12)  # of the full matrix
DAILY = (
    "show_cnt", "play_cnt", "like_cnt", "collect_cnt",
)  # fmt: skip


def write_kuairec(folder: Path, *, num_rows: int = 3000, seed: int = 0) -> None:
    """The archive's folder, `KuaiRec 2.0/data`, with the seven files that it has.

    The big matrix has no pair of the small one, repeated plays of a pair, and three plays that are filed under two dates.
    Times have one to three digits after the point. In the small matrix dates are floats, and 5 rows have no time. A caption
    has a comma, quotes, a line break and a carriage return. The daily table has two days of every video.
    """
    folder = folder / "KuaiRec 2.0" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    taste, appeal = rng.normal(0, 0.5, KUAIREC_USERS), rng.normal(0, 0.5, KUAIREC_VIDEOS)
    user, video = rng.integers(0, KUAIREC_USERS, num_rows), rng.integers(0, KUAIREC_VIDEOS, num_rows)
    keep = ~(np.isin(user, SMALL_USERS) & np.isin(video, SMALL_VIDEOS))
    big = _plays(rng, user[keep], video[keep], taste, appeal)
    again = big.head(3).with_columns(pl.col("date") + 1)
    pl.concat([big, again]).write_csv(folder / "big_matrix.csv")
    pairs = [(user, video) for user in SMALL_USERS for video in SMALL_VIDEOS][:-2]  # two videos were blocked
    small = _plays(rng, *map(np.array, zip(*pairs, strict=True)), taste, appeal)  # type: ignore[arg-type]
    timed = pl.int_range(pl.len()) < pl.len() - 5
    small = small.with_columns(
        pl.when(timed).then("time"),
        pl.when(timed).then(pl.col("date").cast(pl.Float64)),
        pl.when(timed).then("timestamp"),
    )
    small.write_csv(folder / "small_matrix.csv")
    _kuairec_users(rng).write_csv(folder / "user_features.csv")
    _write_kuairec_videos(folder, rng)
    (folder / "social_network.csv").write_text('user_id,friend_list\n3,"[5, 7]"\n')


def _plays(
    rng: np.random.Generator, user: np.ndarray, video: np.ndarray, taste: np.ndarray, appeal: np.ndarray
) -> pl.DataFrame:
    length = 4000 + 900 * video
    play = (length * np.exp(taste[user] + appeal[video] + rng.normal(0, 0.6, len(user)))).astype(int)
    seconds = 1593878903.438 + np.sort(rng.integers(0, 5_000_000, len(user)))
    local = pl.from_epoch(pl.Series(np.round(seconds * 1000).astype(np.int64) + 8 * 3_600_000), time_unit="ms")
    return pl.DataFrame({
        "user_id": user, "video_id": video, "play_duration": play, "video_duration": length,
        "time": local.dt.strftime("%Y-%m-%d %H:%M:%S%.3f").str.strip_chars_end("0"),
        "date": local.dt.strftime("%Y%m%d").cast(pl.Int64), "timestamp": seconds, "watch_ratio": play / length,
    })  # fmt: skip


def _kuairec_users(rng: np.random.Generator) -> pl.DataFrame:
    columns: dict[str, Any] = {"user_id": np.arange(KUAIREC_USERS)}
    for name, kind in USER_CODES.items():
        codes = rng.integers(0, 4, KUAIREC_USERS)
        columns[name] = [f"({code},{code + 1}]" for code in codes] if kind is pl.String else codes
    known = pl.Series(np.arange(KUAIREC_USERS) % 7 != 0)
    columns["onehot_feat12"] = pl.select(pl.when(known).then(pl.lit(1.0))).to_series()  # written as 1.0, or not at all
    return pl.DataFrame(columns | {name: rng.integers(0, 900, KUAIREC_USERS) for name in USER_NUMBERS})


def _write_kuairec_videos(folder: Path, rng: np.random.Generator) -> None:
    video = np.arange(KUAIREC_VIDEOS)
    tags = [f"[{number % 5}]" if number % 3 else f"[{number % 5}, 27]" for number in video]
    pl.DataFrame({"video_id": video, "feat": tags}).write_csv(folder / "item_categories.csv")
    days = pl.DataFrame({
        "video_id": np.repeat(video, 2), "date": [20200705, 20200706] * KUAIREC_VIDEOS,
        "author_id": np.repeat(video % 9, 2), "video_type": ["AD" if n == 4 else "NORMAL" for n in np.repeat(video, 2)],
        "upload_dt": ["2020-03-30"] * 60, "upload_type": ["ShortImport"] * 60, "visible_status": ["public", "private"] * 30,
        "video_duration": [None if n == 6 else 5966.0 for n in np.repeat(video, 2)], "video_width": [720] * 60,
        "video_height": [1280] * 60, "music_id": np.repeat(video + 3350323409, 2), "video_tag_id": np.repeat(video % 4, 2),
        "video_tag_name": ["生活"] * 60, **{name: rng.integers(0, 99, 60) for name in DAILY},
    })  # fmt: skip
    days.with_columns(pl.when(pl.col("date") > 20200705).then("collect_cnt")).write_csv(
        folder / "item_daily_features.csv"
    )
    head = ("video_id", "manual_cover_text", "caption", "topic_tag")
    levels = [f"{level}_level_category_{part}" for level in ("first", "second", "third") for part in ("id", "name")]
    rows = [[n, "UNKNOWN", f"短视频 {n}", "[]", n % 6, "颜值", n % 8, "日常", -124, "UNKNOWN"] for n in video]
    rows[1][2] = 'one, "two"\nthree'
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([(*head, *levels), *rows])
    whole = text.getvalue().replace("短视频 2,", "短视频\r2,")  # a bare carriage return, which no quotes enclose
    (folder / "kuairec_caption_category.csv").write_bytes(whole.encode())


def write_online_shoppers(folder: Path, *, num_rows: int = 1500, seed: int = 0) -> None:
    """`online_shoppers_intention.csv`, with lines that end in a carriage return and a line feed, as the official file has them.

    Sessions of one product page have 0 seconds and rates of 0.2. June is spelt out, other months have three letters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pages = rng.poisson(rng.gamma(1.0, 8.0, num_rows)) + 1
    seconds = np.where(pages == 1, 0.0, rng.gamma(pages - 0.5, 40.0))
    month = rng.choice(["Feb", "Mar", "May", "June", "Nov", "Dec"], num_rows)
    bought = rng.random(num_rows) < 1 / (1 + np.exp(-(np.log1p(seconds) - 7 + 2 * (month == "Nov"))))
    columns = {
        "Administrative": rng.integers(0, 9, num_rows), "Administrative_Duration": rng.gamma(1, 80, num_rows),
        "Informational": rng.integers(0, 3, num_rows), "Informational_Duration": rng.gamma(1, 30, num_rows),
        "ProductRelated": pages, "ProductRelated_Duration": seconds,
        "BounceRates": np.where(pages == 1, 0.2, 0.01), "ExitRates": np.where(pages == 1, 0.2, 0.03),
        "PageValues": np.where(bought, rng.gamma(2, 15, num_rows), 0.0), "SpecialDay": rng.integers(0, 6, num_rows) / 5,
        "Month": month, "OperatingSystems": rng.integers(1, 9, num_rows), "Browser": rng.integers(1, 14, num_rows),
        "Region": rng.integers(1, 10, num_rows), "TrafficType": rng.integers(1, 21, num_rows),
        "VisitorType": rng.choice(["Returning_Visitor", "New_Visitor", "Other"], num_rows),
        "Weekend": np.where(rng.random(num_rows) < 0.2, "TRUE", "FALSE"), "Revenue": np.where(bought, "TRUE", "FALSE"),
    }  # fmt: skip
    text = pl.DataFrame(columns).write_csv(line_terminator="\r\n")
    (folder / "online_shoppers_intention.csv").write_bytes(text.encode())
