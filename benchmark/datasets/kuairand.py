"""KuaiRand: a log of short videos shown to users of an app, and what they did."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import polars as pl

from benchmark.datasets import register
from benchmark.datasets._kuaishou import CODE, COUNT, USER_CODES, USER_NUMBERS, side_table
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets._repeats import without_repeats
from benchmark.datasets.history import check_history, with_history
from benchmark.datasets.prepare import SPLITS, TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, ID, Domain, Types, scan_text
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.lists import MultiValuedField
from benchmark.schema import OtherField, Task
from benchmark.settings.registry import Neutral

RECORD = "https://zenodo.org/records/10439422/files"
ARCHIVES = {  # with md5, and the rows of the standard log
    "pure": ("KuaiRand-Pure.tar.gz", "0820331067a3784d9691136f772b35a7", 1_436_609),
    "1k": ("KuaiRand-1K.tar.gz", "6b0b9c8222d67fcd4c676218edca3f1f", 11_713_045),
    "27k": ("KuaiRand-27K.tar.gz", "3e3c799a24e2d23a4d2c757fbf9adf59", 322_278_385),
}
LAST_DAY_OF_TRAIN, LAST_DAY_OF_VALIDATION = 20220504, 20220506
SPLIT = (
    pl.when(pl.col("date") <= LAST_DAY_OF_TRAIN)
    .then(TRAIN)
    .when(pl.col("date") <= LAST_DAY_OF_VALIDATION)
    .then(VALIDATION)
    .otherwise(TEST)
    .cast(pl.Int8)
)

_LENGTH = Domain(pl.Int64, least=0)  # in milliseconds
# narrow types: the log of 27k has 322 million rows
LOG: Types = {
    "user_id": ID, "video_id": ID, "date": Domain(pl.Int32, form="%Y%m%d"), "hourmin": Domain(pl.Int16, form="%H%M"),
    "time_ms": Domain(pl.Int64, least=0), "is_click": FLAG, "is_like": FLAG, "is_follow": FLAG, "is_comment": FLAG,
    "is_forward": FLAG, "is_hate": FLAG, "long_view": FLAG, "play_time_ms": _LENGTH, "duration_ms": _LENGTH,
    "profile_stay_time": _LENGTH, "comment_stay_time": _LENGTH, "is_profile_enter": FLAG, "is_rand": FLAG,
    "tab": Domain(pl.Int16, least=0, most=14),
}  # fmt: skip
VIDEO_CODES: Types = {
    "author_id": Domain(pl.Int64, least=-124), "video_type": pl.String,
    "upload_dt": Domain(pl.String, form="%Y-%m-%d"), "upload_type": pl.String, "visible_status": CODE,
    "music_id": Domain(pl.Int64, least=-124), "music_type": CODE, "tag": pl.String,
}  # fmt: skip
VIDEO_NUMBERS: Types = dict.fromkeys(("video_duration", "server_width", "server_height"), COUNT)
NOT_FEATURES = {
    "play_time_ms, profile_stay_time, comment_stay_time, is_profile_enter": "is_click and long_view are thresholds of play time",
    "is_click, is_like, is_follow, is_comment, is_forward, is_hate, long_view": "feedback, like the labels",
    "date, time_ms": "the split is by date; the hour is a feature",
    "duration_ms": "as video_duration",
    "is_rand": "0 in the standard log",
    "video_features_statistic": "its means cover a month that includes the test days",
    "log_random": "random exposure, another distribution",
}


@register("kuairand")
class KuaiRand(OwnersFiles):
    """KuaiRand: whether a user clicks a short video, watches it long, likes it, and for how many seconds they watch.

    The standard recommendation log of an app, 2022-04-08 to 2022-05-08. Source: Zenodo, record 10439422. Licence: CC BY-SA 4.0.

    Tasks: `click`, `long_view`, `like` (binary) and `play_time` (regression on log1p of seconds: play time is
    heavy-tailed, with a median of 5 s and a 99th percentile of 209 s).

    Features, 45 columns: the ids, all columns of the user table, the basic columns of the video table, the tab of the app
    and the hour. Counts, length and size enter as log1p. The tags of a video are one category together, or one multi-valued
    field. A user's history, if one is asked for, has the videos that they were shown in train.
    Play time, times of stay and any feedback are never features: clicks and long views are thresholds of play time. Nor
    is the table of video statistics, whose means cover a month that includes the test days.

    Exact duplicate rows of the log are dropped and counted. Split by date: train to 05-04, validation 05-05 and 05-06,
    test 05-07 and 05-08. The standard log from 04-22 on is required; the earlier standard log joins train if its file
    exists. The log of random exposure is not used.

    Paper: "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos", C. Gao et al.,
    CIKM 2022, arXiv 2208.08696.

    Args:
        variant: pure (1.4 million rows), 1k (11.7 million) or 27k (322 million; while it is prepared, its 32 million videos are
            in memory).
        tasks: Any of click, long_view, like, play_time.
        numeric: How numeric columns (log1p) enter: train quantile bins beside the standardised value, that value
            alone, or as they are.
        tags: The tags of a video as one category (joined), or as one multi-valued field (list).
        history: Add a sequence of the last videos that the user was shown in train before this row, at most this many; 0: no
            sequence.
        min_frequency: Categories, users and videos among them, with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets, except the
            users'; null: none is.
        split_seed: Has no effect, because the split is by date; every data set accepts it.
    """

    all_tasks = (
        Task("click", BINARY),
        Task("long_view", BINARY),
        Task("like", BINARY),
        Task("play_time", REGRESSION, unit="seconds", transform=Transform.LOG1P),
    )
    user, item = "user_id", "video_id"

    def __init__(
        self,
        *,
        variant: Literal["pure", "1k", "27k"] = "pure",
        tasks: tuple[str, ...] = ("click", "long_view", "like", "play_time"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        tags: Annotated[Literal["joined", "list"], Neutral("joined")] = "joined",
        history: Annotated[int, Neutral(0)] = 0,
        min_frequency: Annotated[int, Neutral(1)] = 1,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
    ) -> None:
        check_history(history)
        self._tasks = self.choose(tasks)
        self.variant, self.numeric, self.split_seed = variant, numeric, split_seed
        self.tags, self.history = tags, history
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets

    @property
    def source(self) -> Source:
        """The files of the variant."""
        return _source(self.variant)

    def _read(self, found: Found) -> Table:
        logs = {name: path for name, path in found.paths.items() if name.startswith("log_standard")}
        log, num_read, num_repeats = without_repeats(pl.concat([scan_text(path, LOG) for path in logs.values()]))
        files = (found.paths[f"{name}_{self.variant}.csv"] for name in ("user_features", "video_features_basic"))
        users = side_table(next(files), "user_id", USER_CODES, USER_NUMBERS)
        videos = side_table(next(files), "video_id", VIDEO_CODES, VIDEO_NUMBERS)
        shown = log.join(users.lazy(), on="user_id", how="left", maintain_order="left")
        shown = shown.join(videos.lazy(), on="video_id", how="left", maintain_order="left")
        others: dict[OtherField, Any] = {}
        video_codes = tuple(VIDEO_CODES)
        if self.tags == "list":
            others[MultiValuedField("tags")] = pl.col("tag").str.split(",")
            video_codes = tuple(name for name in VIDEO_CODES if name != "tag")
        codes = ("user_id", *USER_CODES, "video_id", *video_codes, "tab")
        table = Table(
            categorical={**{name: pl.col(name) for name in codes}, "hour": pl.col("hourmin") // 100},
            numeric={name: pl.col(name) for name in (*USER_NUMBERS, *VIDEO_NUMBERS)},
            labels={
                "click": pl.col("is_click").cast(pl.Float32),
                "long_view": pl.col("long_view").cast(pl.Float32),
                "like": pl.col("is_like").cast(pl.Float32),
                "play_time": (pl.col("play_time_ms") / 1000).log1p().cast(pl.Float32),
            },
            split=SPLIT,
            user_fields=("user_id", *USER_CODES, *USER_NUMBERS),
            item_fields=("video_id", *video_codes, *VIDEO_NUMBERS, *(other.name for other in others)),
            others=others,
            facts={
                "protocol": "by date",
                "log_files": sorted(logs),
                "log_rows": num_read,
                "duplicates_dropped": num_repeats,
                "dates": _dates(log),
                "left_out": NOT_FEATURES,
            },
            frame=shown,
        )
        return with_history(table, user="user_id", item="video_id", time=pl.col("time_ms"), length=self.history)


def _source(variant: str) -> Source:
    archive, md5, rows = ARCHIVES[variant]
    # the logs of 27k come in two parts each
    parts = [f"{variant}_part1", f"{variant}_part2"] if variant == "27k" else [variant]
    return Source(
        name=f"kuairand_{variant}",
        layouts={
            "official": Layout(
                required=(
                    *(f"log_standard_4_22_to_5_08_{part}.csv" for part in parts),
                    f"user_features_{variant}.csv",
                    f"video_features_basic_{variant}.csv",
                ),
                optional=tuple(f"log_standard_4_08_to_4_21_{part}.csv" for part in parts),
            )
        },
        url=f"{RECORD}/{archive}",
        md5=md5,
        terms="CC BY-SA 4.0",
        rows=rows,
    )


def _dates(log: pl.LazyFrame) -> dict[str, Any]:
    """Split name to its first and last day; an empty split is left out."""
    day = pl.col("date")
    ends = log.group_by(SPLIT.alias("split")).agg(day.min().alias("first"), day.max().alias("last"))
    found = {split: [first, last] for split, first, last in ends.collect(engine="streaming").iter_rows()}
    return {name: found[number] for name, number in SPLITS.items() if number in found}
