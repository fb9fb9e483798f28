"""VK-LSVD: half a year of short videos shown to users of VK, and what they did."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, Domain, Types, check_frame
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.schema import Task
from benchmark.settings.registry import Neutral

PAGE = "https://huggingface.co/datasets/deepvk/VK-LSVD"
USERS, ITEMS = "users_metadata.parquet", "items_metadata.parquet"
TRAIN_WEEKS = 25  # week_00 to week_24; then one of validation and one of test
VALIDATION_WEEK, TEST_WEEK = 25, 26
NAMES = re.compile(r"u[rp]-?0\.\d+(_i[rp]-?0\.\d+)?|i[rp]-?0\.\d+")
ROWS = {"ur0.01_ir0.01": 4_000_000}
SATURATED = 255  # seconds: timespent is one byte

CONTEXT = ("place", "platform", "agent")
FEEDBACK = ("like", "dislike", "share", "bookmark", "click_on_author", "open_comments")
_CODE = Domain(pl.Int64, least=0)
LOG: Types = {
    **dict.fromkeys(("user_id", "item_id", *CONTEXT), _CODE), "timespent": Domain(pl.Int64, least=0, most=SATURATED),
    **dict.fromkeys(FEEDBACK, FLAG),
}  # fmt: skip
USER_COLUMNS: Types = {"age": Domain(pl.Int64, least=0, most=120), "gender": _CODE, "geo": _CODE}
ITEM_COLUMNS: Types = {"author_id": _CODE, "duration": Domain(pl.Int64, least=0)}
NOT_FEATURES = {
    "train_interactions_rank": "counts rows of train, the row itself among them",
    "item_embeddings.npz": "64 numbers a video",
}


@register("vk_lsvd")
class VKLSVD(OwnersFiles):
    """VK-LSVD: how long a user watches a short video, and whether they like it, share it or open its comments.

    A feed of short videos that play by themselves, January to June 2025: 40.8 billion exposures of 19.6 million videos to 10
    million users. This reads the owners' ready subsamples. Source: Hugging Face, deepvk/VK-LSVD. Licence: Apache-2.0.

    Tasks: `watch_time` (regression on log1p of seconds) and `like`, `dislike`, `share`, `bookmark`, `click_on_author`,
    `open_comments` (binary). There are no clicks, since videos play by themselves. Watching a video again adds to its time.
    The files keep the time in one byte, so longer ones read 255 seconds; the record counts them.

    Features, 10 columns: the user with age, gender and region; the video with author and length (log1p of seconds); place,
    platform and client. The owners' ranks of users and videos (`train_interactions_rank`) count rows of train, the row itself
    among them, and are never features. The videos' embeddings are left out. Nobody is shown a video twice.

    Split by weeks, as the owners do: train is weeks 0 to 24, validation week 25, test week 26. The rows of a week are in the
    order of time, but the time itself is not in the files.

    Paper: "VK-LSVD: A Large-Scale Industrial Dataset for Short-Video Recommendation", A. Poslavsky et al., WWW 2026,
    arXiv 2602.04567.

    Args:
        variant: The name of a subsample, such as ur0.01_ir0.01 (about 4 million rows), up0.001_ip0.001 or ur0.01 (about 400
            million). It begins with u for users or i for items. Then r means at random, p the most popular ones; their share
            follows.
        tasks: Any of watch_time, like, dislike, share, bookmark, click_on_author, open_comments.
        numeric: How age and length enter: train quantile bins beside the standardised value, that value alone, or as
            they are.
        min_frequency: Categories, users and videos among them, with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets, except the
            users'; null: none is.
        split_seed: Has no effect, because the split is by weeks; every data set accepts it.
        train_weeks: Train on the last weeks only; from 1 to 25.
    """

    all_tasks = (
        Task("watch_time", REGRESSION, unit="seconds", transform=Transform.LOG1P),
        *(Task(name, BINARY) for name in FEEDBACK),
    )
    user, item = "user_id", "item_id"

    def __init__(
        self,
        *,
        variant: str = "ur0.01_ir0.01",
        tasks: tuple[str, ...] = ("watch_time", "like", "share", "open_comments"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        min_frequency: Annotated[int, Neutral(1)] = 1,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
        train_weeks: int = TRAIN_WEEKS,
    ) -> None:
        self._tasks = self.choose(tasks)
        if not NAMES.fullmatch(variant):
            raise ValueError(
                f"dataset.variant must name a subsample of VK-LSVD, such as ur0.01_ir0.01, up0.001_ip0.001 or ur0.01, "
                f"found {variant!r}"
            )
        if not 1 <= train_weeks <= TRAIN_WEEKS:
            raise ValueError(f"dataset.train_weeks must be from 1 to {TRAIN_WEEKS}, found {train_weeks}")
        self.variant, self.numeric, self.split_seed, self.train_weeks = variant, numeric, split_seed, train_weeks
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets

    @property
    def source(self) -> Source:
        """The weeks of the subsample and the two side tables."""
        folders = dict.fromkeys(range(TRAIN_WEEKS - self.train_weeks, TRAIN_WEEKS), "train")
        folders |= {VALIDATION_WEEK: "validation", TEST_WEEK: "test"}
        weeks = {_week(number): f"{folder}/{_week(number)}" for number, folder in folders.items()}
        return Source(
            name=f"vk_lsvd_{self.variant}",
            layouts={"official": Layout((*weeks, USERS, ITEMS))},
            url=PAGE,
            files=dict.fromkeys(
                [
                    *(f"{PAGE}/resolve/main/subsamples/{self.variant}/{path}" for path in weeks.values()),
                    *(f"{PAGE}/resolve/main/metadata/{name}" for name in (USERS, ITEMS)),
                ]
            ),
            terms="Apache-2.0",
            rows=ROWS.get(self.variant),
        )

    def _read(self, found: Found) -> Table:
        weeks = sorted(name for name in found.paths if name.startswith("week_"))
        parts = {_week(VALIDATION_WEEK): VALIDATION, _week(TEST_WEEK): TEST}
        log = pl.concat(
            [
                _scan(found.paths[name], LOG).with_columns(split=pl.lit(parts.get(name, TRAIN), pl.Int8))
                for name in weeks
            ]
        )
        is_saturated = pl.col("timespent") == SATURATED
        num_rows, num_saturated = log.select(pl.len(), full=is_saturated.sum()).collect(engine="streaming").row(0)
        frame = _joined(log, found.paths[USERS], "user_id", USER_COLUMNS)
        frame = _joined(frame, found.paths[ITEMS], "item_id", ITEM_COLUMNS)
        codes = ("user_id", "gender", "geo", "item_id", "author_id", *CONTEXT)
        return Table(
            categorical={name: pl.col(name) for name in codes},
            numeric={"age": pl.col("age"), "duration": pl.col("duration").cast(pl.Float32).log1p()},
            labels={
                "watch_time": pl.col("timespent").cast(pl.Float32).log1p(),
                **{name: pl.col(name).cast(pl.Float32) for name in FEEDBACK},
            },
            split=pl.col("split"),
            user_fields=("user_id", *USER_COLUMNS),
            item_fields=("item_id", *ITEM_COLUMNS),
            facts={
                "protocol": "by weeks",
                "log_rows": num_rows,
                "weeks": [int(name[5:7]) for name in (weeks[0], weeks[-1])],
                "watch_times_of_255_seconds_or_more": num_saturated,
                "left_out": NOT_FEATURES,
            },
            frame=frame,
        )


def _week(number: int) -> str:
    return f"week_{number:02}.parquet"


def _joined(log: pl.LazyFrame, path: Path, key: str, columns: Types) -> pl.LazyFrame:
    """The log with the columns of a side table; null where that has no such user or item."""
    side = _scan(path, {key: Domain(pl.Int64, least=0, unique=True), **columns})
    return log.join(side, on=key, how="left", maintain_order="left")


def _scan(path: Path, columns: Types) -> pl.LazyFrame:
    try:
        scanned = pl.scan_parquet(path, glob=False)
        known = scanned.collect_schema().names()
        missing = [name for name in columns if name not in known]
        if missing:
            raise ValueError(f"{path}: no column {', '.join(missing)}; columns: {', '.join(known)}")
        check_frame(path, scanned, columns)
        return scanned.select(*columns)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path}: unreadable as Parquet: {str(error).splitlines()[0]}") from error
