"""Ali-CCP: products shown to users of Taobao, which of them they clicked, and which they bought."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, Domain, Types, scan_text
from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.seeding import derive
from benchmark.settings.registry import Neutral

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
    "sample_id": pl.String, "click": FLAG, "purchase": FLAG, "common_id": pl.String,
    "num_features": Domain(pl.Int32, least=0), "features": pl.String,
}  # fmt: skip
COMMON: Types = {
    "common_id": Domain(pl.String, unique=True), "num_features": Domain(pl.Int32, least=0), "features": pl.String,
}  # fmt: skip
NOT_FEATURES = {
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
class AliCCP(OwnersFiles):
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
        min_frequency: Categories, users and products among them, with fewer rows of train are numbered 0, as unseen ones are.
            The code of AITM demands 12.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets, except the
            users'; null: none is.
        split_seed: Draws the rows of validation.
    """

    all_tasks = (Task("click", BINARY), Task("purchase", BINARY, given="click"))
    user, item = "user_id", "item_id"

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("click", "purchase"),
        min_frequency: int = 10,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
    ) -> None:
        self._tasks = self.choose(tasks)
        self.min_frequency, self.hash_buckets, self.split_seed = min_frequency, hash_buckets, split_seed

    @property
    def source(self) -> Source:
        """The four files of Tianchi."""
        return SOURCE

    def _read(self, found: Found) -> Table:
        parts, num_read, num_wrong = [], 0, 0
        for part in PARTS:
            skeleton, common = (found.paths[f"{file}_{part}.csv"] for file in ("sample_skeleton", "common_features"))
            users = _users(common)
            split = self._split(len(users)) if part == "train" else np.full(len(users), TEST, dtype=np.int8)
            rows, read, wrong = _rows(skeleton, common, users.with_columns(pl.Series("split", split)))
            parts.append(rows)
            num_read, num_wrong = num_read + read, num_wrong + wrong
        return Table(
            categorical={name: pl.col(name) for name in (*USER, *ITEM, *CONTEXT)},
            numeric={},
            labels={name: pl.col(name).cast(pl.Float32) for name in ("click", "purchase")},
            split=pl.col("split"),
            user_fields=tuple(USER),
            item_fields=tuple(ITEM),
            facts={
                "protocol": "official, validation by common features",
                "file_rows": num_read,
                "purchases_without_click_dropped": num_wrong,
                "left_out": NOT_FEATURES,
            },
            frame=pl.concat(parts),
        )

    def _split(self, num_common: int) -> np.ndarray:
        """(C,) int8: the split of the rows of each line of common features of train."""
        split = np.full(num_common, TRAIN, dtype=np.int8)
        order = np.random.default_rng(derive(self.split_seed, "split")).permutation(num_common)
        split[order[: num_common // 10]] = VALIDATION
        return split


def _users(path: Path) -> pl.DataFrame:
    """The common features: a line for each user and moment."""
    lines = scan_text(path, COMMON, header=False, quote=None)
    return lines.select("common_id", *_values(USER)).collect(engine="streaming")


def _rows(path: Path, common: Path, users: pl.DataFrame) -> tuple[pl.LazyFrame, int, int]:
    """The rows of a skeleton with the common features; how many lines there were, and how many are dropped."""
    lines = scan_text(path, SKELETON, header=False, quote=None)
    is_wrong = (pl.col("click") == 0) & (pl.col("purchase") == 1)
    known = lines.join(users.lazy().select("common_id", "split"), on="common_id", how="left")
    unknown = pl.col("common_id").filter(pl.col("split").is_null()).first()
    counts = known.select(pl.len(), wrong=is_wrong.sum(), unknown=unknown).collect(engine="streaming")
    num_read, num_wrong, nobody = counts.row(0)
    if nobody is not None:
        raise ValueError(f"{path}: the common features {nobody} (column 4) are not in {common}")
    rows = lines.filter(~is_wrong).select("click", "purchase", "common_id", *_values({**ITEM, **CONTEXT}))
    return rows.join(users.lazy(), on="common_id", how="left", maintain_order="left"), num_read, num_wrong


def _values(fields: Mapping[str, str]) -> list[pl.Expr]:
    r"""The value of each field in a list of `field \x02 value \x03 weight`, with `\x01` between them; null if it is not there."""
    features = pl.col("features")
    return [
        features.str.extract(rf"(?:^|\x01){number}\x02([^\x03]*)\x03").alias(name) for name, number in fields.items()
    ]
