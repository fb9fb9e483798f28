"""Ali-CCP: products shown to users of Taobao, which of them they clicked, and which they bought."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from benchmark.datasets import Data, Dataset, register
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table, prepare
from benchmark.datasets.sources import Found, Layout, Source, find
from benchmark.datasets.text import fault
from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.seeding import derive

Types = dict[str, type[pl.DataType]]

PARTS = ("train", "test")
# our names, and the owners' numbers of the fields
USER = {
    "user_id": "101", "user_121": "121", "user_122": "122", "user_124": "124", "user_125": "125", "user_126": "126",
    "user_127": "127", "user_128": "128", "user_129": "129",
}  # fmt: skip
ITEM = {"item_id": "205", "item_206": "206", "item_207": "207", "item_216": "216"}
CONTEXT = {"cross_508": "508", "cross_509": "509", "cross_702": "702", "cross_853": "853", "context_301": "301"}
# the columns of the two files, which have no header
SKELETON: Types = {
    "sample_id": pl.String, "click": pl.Int8, "purchase": pl.Int8, "common_id": pl.String, "num_features": pl.Int32,
    "features": pl.String,
}  # fmt: skip
COMMON: Types = {"common_id": pl.String, "num_features": pl.Int32, "features": pl.String}
LEFT_OUT = {
    "109_14, 110_14, 127_14, 150_14": "the history of the user: hundreds of values in a row",
    "210": "the intentions that a product serves: several values in a row",
    "weights": "of most fields they are 1",
}

SOURCE = Source(
    name="ali_ccp",
    layouts={
        "official": Layout(
            tuple(f"{file}_{part}.csv" for part in PARTS for file in ("sample_skeleton", "common_features"))
        )
    },
    url="https://tianchi.aliyun.com/dataset/408",
    terms="research only",
    login="a Tianchi account",
    rows=84_000_000,
)


@register("ali_ccp")
class AliCCP(Dataset):
    """Ali-CCP: whether a product shown on Taobao is clicked, and whether it is bought then.

    84 million exposures of 4.3 million products to 400,000 users, with 3.4 million clicks and 18,000 purchases: 38 GB of
    text, half of it for train. Source: Tianchi, data set 408; it needs a login. Terms: research only.

    Tasks, both binary: `click`, and `purchase`, given a click. A row with a purchase and no click contradicts the funnel.
    It is dropped and counted, as in the code of AITM.

    Features: the 18 categorical fields of that code, 9 of the user, 4 of the product, 4 crosses of both and 1 of the
    context. Their names end in the owners' number, except for the ids (101 and 205). The files list a field with a value and
    a weight. The weights are left out, and if a field is listed twice, its first value counts. So are the fields of several
    values: the history of the user (109_14, 110_14, 127_14, 150_14), and the intentions that a product serves (210).

    Train and test are the owners' files. A line of common features stands for a user at a time, and many rows share it.
    Validation is a tenth of these lines of train at random, with all their rows: the other rows would tell too much.

    Paper: "Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion Rate", X. Ma et al.,
    SIGIR 2018, doi 10.1145/3209978.3210104.

    Args:
        tasks: Any of click, purchase.
        split_seed: Draws the rows of validation.
    """

    all_tasks = (Task("click", BINARY), Task("purchase", BINARY, given="click"))
    user, item = "user_id", "item_id"

    def __init__(self, *, tasks: tuple[str, ...] = ("click", "purchase"), split_seed: int = 0) -> None:
        self._tasks = self.choose(tasks)
        self.split_seed = split_seed

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks."""
        return self._tasks

    @property
    def source(self) -> Source:
        """The four files of Tianchi."""
        return SOURCE

    def build(self) -> Data:
        """Finds and joins the files, or takes the arrays from the cache."""
        found = find(self.source)
        return prepare(self, read=lambda: self._read(found), source={"files": found.identity})

    def _read(self, found: Found) -> Table:
        parts, dropped = [], 0
        for part in PARTS:
            skeleton, common = (found.paths[f"{file}_{part}.csv"] for file in ("sample_skeleton", "common_features"))
            users = _users(common)
            split = self._split(len(users)) if part == "train" else np.full(len(users), TEST, dtype=np.int8)
            rows, contradictory = _rows(skeleton, common, users.with_columns(pl.Series("split", split)))
            parts.append(rows)
            dropped += contradictory
        whole = pl.concat(parts)
        return Table(
            categorical={name: whole[name] for name in (*USER, *ITEM, *CONTEXT)},
            numeric={},
            labels={name: whole[name].to_numpy().astype(np.float32) for name in ("click", "purchase")},
            split=whole["split"].to_numpy(),
            user_fields=tuple(USER),
            item_fields=tuple(ITEM),
            facts={
                "protocol": "official, validation by common features",
                "file_rows": len(whole) + dropped,
                "purchases_without_click_dropped": dropped,
                "left_out": LEFT_OUT,
            },
        )

    def _split(self, num_common: int) -> np.ndarray:
        """(C,) int8: the split of the rows of each line of common features of train."""
        split = np.full(num_common, TRAIN, dtype=np.int8)
        order = np.random.default_rng(derive(self.split_seed, "split")).permutation(num_common)
        split[order[: num_common // 10]] = VALIDATION
        return split


def _users(path: Path) -> pl.DataFrame:
    """The common features: a line for each user and moment."""
    users = _collected(_scan(path, COMMON).select("common_id", *_values(USER)), path, COMMON)
    repeated = users.filter(users["common_id"].is_duplicated())
    if len(repeated):
        raise ValueError(f"{path}: expected each id (column 1) once, found {repeated['common_id'][0]} more often")
    return users


def _rows(path: Path, common: Path, users: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The rows of a skeleton with the common features, and how many were dropped as they have a purchase and no click."""
    lines = _scan(path, SKELETON)
    is_wrong = ((pl.col("click") == 0) & (pl.col("purchase") == 1)).fill_null(value=False)
    dropped: int = _collected(lines.select(is_wrong.sum()), path, SKELETON).item()
    rows = lines.filter(~is_wrong).select("click", "purchase", "common_id", *_values({**ITEM, **CONTEXT}))
    joined = _collected(rows.join(users.lazy(), on="common_id", how="left", maintain_order="left"), path, SKELETON)
    if joined["click"].null_count() or joined["purchase"].null_count():
        raise ValueError(f"{path}: {fault(path, SKELETON)}")
    unknown = joined.filter(joined["split"].is_null())
    if len(unknown):
        raise ValueError(f"{path}: the common features {unknown['common_id'][0]} (column 4) are not in {common}")
    return joined.drop("common_id"), dropped


def _scan(path: Path, columns: Types) -> pl.LazyFrame:
    """The lines of a file, to be read in blocks; the text of all of them is never in memory."""
    return pl.scan_csv(path, has_header=False, schema=columns, quote_char=None)


def _values(fields: Mapping[str, str]) -> list[pl.Expr]:
    r"""The value of each field in a list of `field \x02 value \x03 weight`, with `\x01` between them; null if it is not there."""
    features = pl.col("features")
    return [
        features.str.extract(rf"(?:^|\x01){number}\x02([^\x03]*)\x03").cast(pl.Int32).alias(name)
        for name, number in fields.items()
    ]


def _collected(frame: pl.LazyFrame, path: Path, columns: Types) -> pl.DataFrame:
    """The frame, with an error that names line and column where the file is not what was expected."""
    try:
        return frame.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path}: {fault(path, columns) or str(error).splitlines()[0]}") from error
