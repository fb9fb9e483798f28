"""Small files as their owners ship them, of the sets that a test cannot have: drawn at random, but learnable.

Each `write_...` writes below the folder of MTLBENCH_DATA that it is given.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets.aliexpress import CATEGORICAL, CODES, ITEM_FILE, NUMBERS, NUMERICAL, USER_FILE
from benchmark.datasets.vk_lsvd import FEEDBACK


def _flags(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    return (rng.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(int)


def _write_lines(path: Path, rows: Iterable[Iterable[Any]], separator: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))


def features(*triples: tuple[str, int, float]) -> str:
    """Ali-CCP's way to write (field, value, weight)."""
    return "\x01".join(f"{field}\x02{value}\x03{weight}" for field, value, weight in triples)


def write_ali_ccp(root: Path, *, num_rows: int = 2000, seed: int = 0) -> Path:
    """`sample_skeleton` and `common_features` of train and test, in a subfolder each.

    Common features stand for a user at a time, some users have two. One row in 200 has a purchase without a click, every
    third row lacks a cross, and products have two intentions (field 210).
    """
    rng = np.random.default_rng(seed)
    taste, appeal = rng.normal(0, 1, 60), rng.normal(0, 1, 40)
    for part in ("train", "test"):
        folder = root / "ali_ccp" / f"sample_{part}"
        common = [
            (f"{part}{number:012x}", 3 + len(history), features(*_ali_ccp_user(number % 60), *history))
            for number, history in enumerate([[("109_14", int(n), 0.69)] * 2 for n in rng.integers(0, 99, 100)])
        ]
        _write_lines(folder / f"common_features_{part}.csv", common)
        moment, product = rng.integers(0, 100, num_rows), rng.integers(0, 40, num_rows)
        click = _flags(rng, taste[moment % 60] + appeal[product] - 1)
        purchase = click * _flags(rng, appeal[product])
        purchase[::200], click[::200] = 1, 0
        rows = []
        for number in range(num_rows):
            listed = [
                ("205", 1000 + product[number], 1.0),
                ("206", product[number] % 7, 1.0),
                ("207", product[number] % 11, 1.0),
                ("210", 5, 1.0),
                ("210", 6, 1.0),
                ("216", product[number] % 5, 1.0),
                ("301", 1 + number % 3, 1.0),
            ]
            if number % 3:
                listed.append(("508", product[number] % 13, 2.39))
            rows.append((
                number, click[number], purchase[number], common[moment[number]][0], len(listed), features(*listed),
            ))  # fmt: skip
        _write_lines(folder / f"sample_skeleton_{part}.csv", rows)
    return root / "ali_ccp"


def _ali_ccp_user(user: int) -> list[tuple[str, int, float]]:
    return [("101", 500 + user, 1.0), ("121", user % 9, 1.0), ("124", user % 2, 1.0)]


def write_aliexpress(root: Path, *, variant: str = "nl", num_searches: int = 300, seed: int = 0) -> Path:
    """The four files without headers, each in a folder of its own as their zips have them.

    A search has one to six results. Clicks follow two numbers of the product, purchases one of the user. The last
    result of test is of a search that the user file lacks.
    """
    rng = np.random.default_rng(seed)
    folder = root / f"aliexpress_{variant}"
    for part, first_search in (("train", 0), ("test", num_searches)):
        searches = np.arange(first_search, first_search + num_searches)
        users = {
            name: searches if name == "search_id" else _aliexpress_column(rng, name, num_searches) for name in USER_FILE
        }
        sizes = rng.integers(1, 7, num_searches)
        of_search = np.repeat(searches, sizes)
        items = {name: _aliexpress_column(rng, name, len(of_search)) for name in ITEM_FILE}
        items["search_id"] = of_search
        click = _flags(rng, 6 * items["item_2"] + 3 * items["item_3"] - 5)
        items["label"] = click * (1 + _flags(rng, 8 * users["user_9"][of_search - first_search] - 5))
        if part == "test":
            items["search_id"][-1] = 10**6
        for name, columns in (("user", users), ("item", items)):
            _write_lines(folder / f"{variant}_{name}_{part}.csv", zip(*columns.values(), strict=True))
    return folder


def _aliexpress_column(rng: np.random.Generator, name: str, num_rows: int) -> np.ndarray:
    return rng.integers(0, 9, num_rows) if name in CODES else rng.random(num_rows).round(6)


def preprocess_aliexpress(root: Path, *, variant: str = "nl") -> Path:
    """MTReclib's two files from the official four, whose place they take; some numbers are an ulp off, as there."""
    folder = root / f"aliexpress_{variant}"
    for part in ("train", "test"):
        user_file, item_file = (folder / f"{variant}_{name}_{part}.csv" for name in ("user", "item"))
        users = pl.read_csv(user_file, has_header=False, new_columns=list(USER_FILE))
        items = pl.read_csv(item_file, has_header=False, new_columns=list(ITEM_FILE))
        joined = users.join(items, on="search_id", how="inner", maintain_order="left_right")
        numbers = [pl.col(name) * (1 + 2**-52) for name in NUMBERS]
        labels = {"click": (pl.col("label") > 0).cast(pl.Int8), "conversion": (pl.col("label") > 1).cast(pl.Int8)}
        made = joined.select("search_id", *CODES, *numbers, **labels)
        made.columns = ["search_id", *CATEGORICAL, *NUMERICAL, "click", "conversion"]
        made.write_csv(folder / f"{part}.csv")
        user_file.unlink()
        item_file.unlink()
    return folder


def write_vk_lsvd(root: Path, *, variant: str = "ur0.01_ir0.01", rows_a_week: int = 60, seed: int = 0) -> Path:
    """All weeks of a subsample and the side tables; one user has no line in theirs."""
    rng = np.random.default_rng(seed)
    folder = root / f"vk_lsvd_{variant}"
    for name in ("train", "validation", "test", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    taste, appeal = rng.normal(0, 1, 50), rng.normal(0, 1, 30)
    for week in range(27):
        user, item = rng.integers(0, 50, rows_a_week), rng.integers(0, 30, rows_a_week)
        seconds = np.minimum(np.exp(2.5 + taste[user] + appeal[item] + rng.normal(0, 0.5, rows_a_week)), 255)
        log = pl.DataFrame(
            {
                "user_id": user + 100,
                "item_id": item + 7000,
                **{name: rng.integers(0, 3, rows_a_week) for name in ("place", "platform", "agent")},
                "timespent": seconds.astype(np.uint8),
                **{name: _flags(rng, 2 * taste[user] - 1).astype(bool) for name in FEEDBACK},
            }
        )
        part = {25: "validation", 26: "test"}.get(week, "train")
        log.cast({"user_id": pl.UInt32, "item_id": pl.UInt32}).write_parquet(folder / part / f"week_{week:02}.parquet")
    users, items = np.arange(49), np.arange(30)
    pl.DataFrame({
        "user_id": users + 100, "age": 18 + users, "gender": users % 2, "geo": users % 5,
        "train_interactions_rank": users + 1,
    }).cast({"user_id": pl.UInt32, "age": pl.UInt8}).write_parquet(folder / "metadata" / "users_metadata.parquet")  # fmt: skip
    pl.DataFrame({
        "item_id": items + 7000, "author_id": items % 6, "duration": 10 + 8 * items, "train_interactions_rank": items + 1,
    }).cast({"item_id": pl.UInt32, "duration": pl.UInt8}).write_parquet(
        folder / "metadata" / "items_metadata.parquet"
    )  # fmt: skip
    return folder


def write_criteo_attribution(root: Path, *, num_rows: int = 3000, seed: int = 0) -> Path:
    """The log of 31 days with all its columns, gzipped; conversions happen with and without a click."""
    rng = np.random.default_rng(seed)
    user, campaign = rng.integers(0, 200, num_rows), rng.integers(0, 12, num_rows)
    taste, appeal = rng.normal(0, 1, 200), rng.normal(0, 1, 12)
    click, conversion = _flags(rng, taste[user] + appeal[campaign] - 1), _flags(rng, taste[user] - 1.5)
    log = pl.DataFrame({
        "timestamp": np.sort(rng.integers(0, 31 * 86_400, num_rows)),
        "uid": user + 20_000_000,
        "campaign": campaign + 3_000_000,
        "conversion": conversion,
        "conversion_timestamp": np.where(conversion, 99, -1),
        "conversion_id": np.where(conversion, user, -1),
        "attribution": conversion * click,
        "click": click,
        "click_pos": np.where(conversion, 0, -1),
        "click_nb": np.where(conversion, 1, -1),
        "cost": np.exp(appeal[campaign] - 9).round(10),
        "cpo": np.where(conversion, 0.3, 0.1),
        "time_since_last_click": np.where(rng.random(num_rows) < 0.5, -1, rng.integers(1, 10**6, num_rows)),
        **{f"cat{number}": rng.integers(0, 5, num_rows) + 10**7 for number in range(1, 10)},
    })  # fmt: skip
    folder = root / "criteo_attribution"
    folder.mkdir(parents=True, exist_ok=True)
    content = log.write_csv(separator="\t").encode()
    (folder / "criteo_attribution_dataset.tsv.gz").write_bytes(gzip.compress(content))
    return folder


def write_criteo_uplift(root: Path, *, num_rows: int = 3000, seed: int = 0) -> Path:
    """The trial, sorted by arm, gzipped. Two rows have a conversion and no visit."""
    rng = np.random.default_rng(seed)
    numbers = {f"f{number}": rng.normal(0, 1, num_rows).round(4) for number in range(12)}
    treatment = (np.arange(num_rows) >= 0.15 * num_rows).astype(int)
    visit = _flags(rng, 2 * numbers["f0"] + treatment - 1)
    conversion = visit * _flags(rng, numbers["f1"])
    visit[[5, 900]], conversion[[5, 900]] = 0, 1
    exposure = treatment * _flags(rng, 3 * visit - 2.0)
    people = pl.DataFrame({
        **numbers, "treatment": treatment, "conversion": conversion, "visit": visit, "exposure": exposure,
    })  # fmt: skip
    folder = root / "criteo_uplift"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "criteo-research-uplift-v2.1.csv.gz").write_bytes(gzip.compress(people.write_csv().encode()))
    return folder


def write_tenrec(root: Path, *, num_rows: int = 3000, seed: int = 0) -> Path:
    r"""`ctr_data_1M.csv` and the log `QB-video.csv` without histories: a missing category is `\N`.

    The history is that of the user, whatever the row; zeros fill it up at its end.
    """
    rng = np.random.default_rng(seed)
    user, item = np.sort(rng.integers(0, 90, num_rows)), rng.integers(0, 40, num_rows)
    taste, appeal = rng.normal(0, 1, 90), rng.normal(0, 1, 40)
    log = pl.DataFrame({
        "user_id": user + 1,
        "item_id": item + 300,
        "click": _flags(rng, taste[user] + appeal[item]),
        **{name: _flags(rng, taste[user] - 1) for name in ("follow", "like", "share")},
        "video_category": [str(n % 4) if n % 7 else r"\N" for n in item],
        "watching_times": rng.integers(0, 4, num_rows),
        "gender": user % 3,
        "age": user % 8,
    })  # fmt: skip
    past = rng.integers(300, 340, (90, 10))
    past[np.arange(10) >= rng.integers(0, 11, 90)[:, None]] = 0
    folder = root / "tenrec"
    folder.mkdir(parents=True, exist_ok=True)
    log.write_csv(folder / "QB-video.csv")
    histories = [pl.Series(f"hist_{place + 1}", past[user, place]) for place in range(10)]
    log.with_columns(histories).write_csv(folder / "ctr_data_1M.csv")
    return folder


WRITERS = {
    "ali_ccp": write_ali_ccp,
    "aliexpress": write_aliexpress,
    "criteo_attribution": write_criteo_attribution,
    "criteo_uplift": write_criteo_uplift,
    "tenrec": write_tenrec,
    "vk_lsvd": write_vk_lsvd,
}
