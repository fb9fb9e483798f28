"""AliExpress: results of searches in an online shop, which of them people clicked, and which they bought."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets._stored import count_rows
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, Domain, Types, scan_text
from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.seeding import derive
from benchmark.settings.registry import Neutral

PAGE = "https://tianchi.aliyun.com/dataset/74690"
ROWS = {
    "nl": 17_700_000,
    "es": 31_700_000,
    "fr": 27_000_000,
    "us": 27_400_000,
}  # not the owners' numbers: secondary sources name them
PARTS = ("train", "test")
CLICK, CLICK_AND_PURCHASE = 1, 2  # in the label of the official files
# the official files have no header; their columns are numbered from 1, and column 1 of both is the search
CODES = (
    *(f"user_{number}" for number in (*range(2, 9), 32, 33)),
    *(f"item_{number}" for number in (19, 34, 35, 36, 40, 41, 42)),
)
NUMBERS = (
    *(f"user_{number}" for number in range(9, 32)),
    *(f"item_{number}" for number in range(2, 49) if f"item_{number}" not in CODES),
)
USER_FILE = ("search_id", *(f"user_{number}" for number in range(2, 34)))
ITEM_FILE = ("search_id", *(f"item_{number}" for number in range(2, 49)), "label")
# the names in the preprocessed files, which are the fields of both layouts
CATEGORICAL = tuple(f"categorical_{number}" for number in range(1, len(CODES) + 1))
NUMERICAL = tuple(f"numerical_{number}" for number in range(1, len(NUMBERS) + 1))
RENAMED = {**dict(zip(CODES, CATEGORICAL, strict=True)), **dict(zip(NUMBERS, NUMERICAL, strict=True))}


@register("aliexpress")
class AliExpress(OwnersFiles):
    """AliExpress: whether a product among the results of a search is clicked, and whether it is bought then.

    The log of the shop's search in one country: nl, es, fr or us, of about 17.7, 31.7, 27.0 and 27.4 million results, as secondary
    sources say. Source: Tianchi, data set 74690; it needs a login. Terms: research only.

    Tasks, both binary: `click`, and `purchase`, given a click. The label of the official files is 0 (nothing), 1 (click) or
    2 (click and purchase).

    Features, 79 columns: 16 categorical and 63 numeric ones, whose meaning the owners do not tell. User and query are in one
    file, the products in another. Both have the id of the search, which joins them and never is a feature. The fields have
    the names of MTReclib's preprocessed files, `categorical_1` to `numerical_63`. These are a second layout of the same data.
    They have the same fingerprint if the owners list results in the order of their searches. Numbers are read as float32, in
    which the two layouts agree.

    Train and test are the owners' files, split by time. Validation is a tenth of the searches of train at random. The
    results of a search stay together, since they share all features of user and query. Results of a search that the user file
    lacks are dropped and counted.

    Paper: "Improving Multi-Scenario Learning to Rank in E-commerce by Exploiting Task Relationships in the Label Space",
    P. Li et al., CIKM 2020, doi 10.1145/3340531.3412713.

    Args:
        variant: The country: nl, es, fr or us.
        tasks: Any of click, purchase.
        numeric: How the 63 numbers enter: train quantile bins beside the standardised value, that value alone, or as they
            are.
        min_frequency: Categories with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets; null: none is.
        split_seed: Draws the searches of validation.
    """

    all_tasks = (Task("click", BINARY), Task("purchase", BINARY, given="click"))

    def __init__(
        self,
        *,
        variant: Literal["nl", "es", "fr", "us"] = "nl",
        tasks: tuple[str, ...] = ("click", "purchase"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        min_frequency: Annotated[int, Neutral(1)] = 1,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
    ) -> None:
        self._tasks = self.choose(tasks)
        self.variant, self.numeric, self.split_seed = variant, numeric, split_seed
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets

    @property
    def source(self) -> Source:
        """The files of the country, in either layout."""
        return Source(
            name=f"aliexpress_{self.variant}",
            layouts={
                "official": Layout(
                    tuple(f"{self.variant}_{file}_{part}.csv" for part in PARTS for file in ("user", "item"))
                ),
                "preprocessed": Layout(tuple(f"{part}.csv" for part in PARTS)),
            },
            url=PAGE,
            terms="research only",
            login="a Tianchi account",
            rows=ROWS[self.variant],
        )

    def _read(self, found: Found) -> Table:
        parts, num_read = [], 0
        for part in PARTS:
            if found.layout == "official":
                files = (found.paths[f"{self.variant}_{file}_{part}.csv"] for file in ("user", "item"))
                results, rows = _official(*files)
            else:
                results = _preprocessed(found.paths[f"{part}.csv"])
                rows = count_rows(results)
            parts.append(results)
            num_read += rows
        searches = parts[0].select("search_id").collect(engine="streaming")["search_id"]
        split = self._split(searches, count_rows(parts[1]))
        return Table(
            categorical={name: pl.col(name) for name in CATEGORICAL},
            numeric={name: pl.col(name) for name in NUMERICAL},
            labels={name: pl.col(name).cast(pl.Float32) for name in ("click", "purchase")},
            split=split,
            facts={
                "protocol": "official, validation by search",
                "format": found.layout,
                "file_rows": num_read,
                "results_without_search_dropped": num_read - len(split),
                "left_out": {"search_id": "it joins the files"},
            },
            frame=pl.concat(parts),
        )

    def _split(self, searches: pl.Series, num_test: int) -> np.ndarray:
        """(R,) int8: the rows of train, a tenth of whose searches are validation, then those of test."""
        numbers = searches.rank("dense").to_numpy() - 1
        order = np.random.default_rng(derive(self.split_seed, "split")).permutation(int(numbers.max(initial=0)) + 1)
        is_validation = order[numbers] < len(order) // 10
        train = np.where(is_validation, np.int8(VALIDATION), np.int8(TRAIN))
        return np.concatenate([train, np.full(num_test, TEST, dtype=np.int8)])


def _types(names: Iterable[str], codes: Iterable[str], **others: Domain) -> Types:
    """Numbers are any: the owners do not tell what they are."""
    return {name: others.get(name, pl.Int64 if name in codes else pl.Float32) for name in names}


def _official(user_file: Path, item_file: Path) -> tuple[pl.LazyFrame, int]:
    """The results of one part with what the owners have in two files, and how many there were."""
    label = Domain(pl.Int64, allowed=(0, CLICK, CLICK_AND_PURCHASE))
    of_users = _types(USER_FILE, CODES, search_id=Domain(pl.Int64, unique=True))
    of_items = _types(ITEM_FILE, CODES, search_id=Domain(pl.Int64), label=label)
    searches = scan_text(user_file, of_users, header=False, nullable=NUMBERS)
    results = scan_text(item_file, of_items, header=False, nullable=NUMBERS)
    joined = results.join(searches, on="search_id", how="inner", maintain_order="left")  # the searches are in memory
    labels = {"click": pl.col("label") >= CLICK, "purchase": pl.col("label") == CLICK_AND_PURCHASE}
    return joined.select("search_id", *RENAMED, **labels).rename(RENAMED), count_rows(results)


def _preprocessed(path: Path) -> pl.LazyFrame:
    names = ("search_id", *CATEGORICAL, *NUMERICAL, "click", "conversion")
    types = _types(names, CATEGORICAL, search_id=Domain(pl.Int64), click=FLAG, conversion=FLAG)
    results = scan_text(path, types, nullable=NUMERICAL)
    return results.rename({"conversion": "purchase"})
