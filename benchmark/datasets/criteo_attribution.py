"""Criteo attribution: a log of shown advertisements, their clicks, later conversions and prices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, Domain, Types, scan_text
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.schema import Task
from benchmark.settings.registry import Neutral

PAGE = "https://huggingface.co/datasets/criteo/criteo-attribution-dataset"
FILE = "criteo_attribution_dataset.tsv"
DAY, HOUR = 86_400, 3_600  # seconds; time 0 is the first row's
FIRST_DAY_OF_VALIDATION, FIRST_DAY_OF_TEST = 24, 27
CATEGORIES = tuple(f"cat{number}" for number in range(1, 10))
NEVER = -1  # in time_since_last_click: no click before
PER_MILLE = 1000
NOT_FEATURES = {
    "conversion_timestamp, conversion_id, attribution, cpo": "known once there is a conversion",
    "click_pos, click_nb": "they count the clicks before a conversion, that of the row among them",
}

SOURCE = Source(
    name="criteo_attribution",
    layouts={"official": Layout((FILE,))},
    url=PAGE,
    files={f"{PAGE}/resolve/main/{FILE}.gz": "sha256:94ac7a465564349bc7ba008602211d5990a3c53cc133abc0aadef61ea2391a98"},
    terms="CC BY-NC-SA 4.0",
    rows=16_468_027,
)


@register("criteo_attribution")
class CriteoAttribution(OwnersFiles):
    """Criteo attribution: whether a shown advertisement is clicked, whether its viewer later buys, and its price.

    16,468,027 advertisements of 675 campaigns, shown within 30 days. Source: Criteo AI Lab, on Hugging Face as
    criteo/criteo-attribution-dataset. Licence: CC BY-NC-SA 4.0.

    Tasks: `click` and `conversion` (binary), and `cost` (regression on log1p of the price of a thousand such
    advertisements; the owners rescaled prices). A conversion within 30 days counts whether or not the advertisement was
    clicked, so it is not given a click.

    Features, 12 columns: the person, the campaign, nine categories of the context, and the hour, on a clock that begins with
    the first row. `time_since_last_click` is one more by option: its description does not say whether a click on the row
    itself counts. What happens later is never a feature: the conversion's time and id, `attribution`, `cpo`, and the place
    of the click among those before a conversion (`click_pos`, `click_nb`).

    Split by time: train is the first 24 days, validation the next 3, test the rest. The conversions of train reach up to 30
    days ahead, so a model in use would know fewer of them.

    Paper: "Attribution Modeling Increases Efficiency of Bidding in Display Advertising", E. Diemert, J. Meynet, P. Galland,
    D. Lefortier, AdKDD 2017, arXiv 1707.06409.

    Args:
        tasks: Any of click, conversion, cost.
        numeric: How the time since the last click (log1p) enters: train quantile bins beside the standardised value, that
            value alone, or as it is.
        min_frequency: Categories, users and campaigns among them, with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets, except the
            users'; null: none is.
        split_seed: Has no effect, because the split is by time; every data set accepts it.
        time_since_last_click: Is it a feature? People without an earlier click have it missing.
    """

    all_tasks = (
        Task("click", BINARY),
        Task("conversion", BINARY),
        Task("cost", REGRESSION, unit="price of a thousand", transform=Transform.LOG1P),
    )
    user, item = "uid", "campaign"

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("click", "conversion", "cost"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        min_frequency: Annotated[int, Neutral(1)] = 1,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
        time_since_last_click: bool = False,
    ) -> None:
        self._tasks = self.choose(tasks)
        self.numeric, self.split_seed = numeric, split_seed
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets
        self.time_since_last_click = time_since_last_click

    @property
    def source(self) -> Source:
        """The file of Criteo."""
        return SOURCE

    def _read(self, found: Found) -> Table:
        log = _scan(found.paths[FILE])
        day = pl.col("timestamp") // DAY
        num_rows, last_day = log.select(pl.len(), last=day.max()).collect(engine="streaming").row(0)
        recency = pl.col("time_since_last_click").replace(NEVER, None).cast(pl.Float64).log1p()
        return Table(
            categorical={
                **{name: pl.col(name) for name in ("uid", "campaign", *CATEGORIES)},
                "hour": pl.col("timestamp") // HOUR % 24,
            },
            numeric={"time_since_last_click": recency} if self.time_since_last_click else {},
            labels={
                "click": pl.col("click").cast(pl.Float32),
                "conversion": pl.col("conversion").cast(pl.Float32),
                "cost": (PER_MILLE * pl.col("cost")).log1p().cast(pl.Float32),
            },
            split=pl.when(day < FIRST_DAY_OF_VALIDATION)
            .then(pl.lit(TRAIN, pl.Int8))
            .when(day < FIRST_DAY_OF_TEST)
            .then(pl.lit(VALIDATION, pl.Int8))
            .otherwise(pl.lit(TEST, pl.Int8)),
            user_fields=("uid",),
            item_fields=("campaign",),
            facts={"protocol": "by time", "log_rows": num_rows, "days": last_day + 1, "left_out": NOT_FEATURES},
            frame=log,
        )


def _scan(path: Path) -> pl.LazyFrame:
    """The columns that are features or labels; the rest of the file is not read."""
    types: Types = {
        "timestamp": Domain(pl.Int32, least=0, most=31 * DAY - 1), "uid": Domain(pl.Int64, least=0),
        "campaign": Domain(pl.Int64, least=0), "conversion": FLAG, "click": FLAG, "cost": Domain(pl.Float64, least=0),
        "time_since_last_click": Domain(pl.Int32, least=NEVER), **dict.fromkeys(CATEGORIES, pl.Int64),
    }  # fmt: skip
    return scan_text(path, types, separator="\t")
