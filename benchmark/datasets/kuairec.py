"""KuaiRec: a log of short videos to train on, and a matrix in which nearly every user saw every video to test on."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl

from benchmark.datasets import register
from benchmark.datasets._kuaishou import CODE, COUNT, USER_CODES, USER_NUMBERS, side_table
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets._repeats import without_repeats
from benchmark.datasets.history import check_history, with_history
from benchmark.datasets.prepare import TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import ID, Domain, Types, scan_text
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.lists import MultiValuedField
from benchmark.schema import OtherField, Task
from benchmark.seeding import derive

MATRIX: Types = {
    "user_id": ID, "video_id": ID, "play_duration": Domain(pl.Int64, least=0),
    "video_duration": Domain(pl.Int64, least=0), "timestamp": Domain(pl.Float64, least=0, most=2**32 - 1),
    "watch_ratio": Domain(pl.Float64, least=0),
}  # fmt: skip
# the other 48 columns of this table are counts of one day
VIDEO_CODES: Types = {
    "author_id": Domain(pl.Int64, least=-124), "video_type": pl.String,
    "upload_dt": Domain(pl.String, form="%Y-%m-%d"), "upload_type": pl.String, "visible_status": pl.String,
    "music_id": Domain(pl.Int64, least=-124), "video_tag_id": CODE,
}  # fmt: skip
VIDEO_NUMBERS: Types = dict.fromkeys(("video_width", "video_height"), COUNT)
CATEGORIES: Types = dict.fromkeys(
    ("first_level_category_id", "second_level_category_id", "third_level_category_id"), CODE
)
PAIR = ("user_id", "video_id")
CLOCK = 8 * 3600  # the app's clock is 8 hours ahead of UTC, in which `timestamp` is

NOT_FEATURES = {
    "play_duration, watch_ratio": "the labels are made of them",
    "counts in item_daily_features": "they count the plays and likes of the very day",
    "time, date, timestamp": "only the hour is a feature",
    "caption, topic_tag, manual_cover_text": "texts",
    "social_network": "it has friends of 472 users only",
}

SOURCE = Source(
    name="kuairec",
    layouts={
        "official": Layout(
            (
                "big_matrix.csv",
                "small_matrix.csv",
                "user_features.csv",
                "item_categories.csv",
                "item_daily_features.csv",
                "kuairec_caption_category.csv",
            )
        )
    },
    url="https://zenodo.org/records/18164998/files/KuaiRec.zip",
    md5="261550d472c48eff4990fb13c0e5bcf7",
    rows=12_530_806 + 4_676_570,
    terms="CC BY-SA 4.0",
)


@register("kuairec")
class KuaiRec(OwnersFiles):
    """KuaiRec: whether a user watches a short video to its end, watches it twice, and what part of its length they watch.

    `big_matrix` is a log of an app: 12,530,806 plays of 10,728 videos by 7,176 users, 2020-07-05 to 2020-09-05.
    `small_matrix` has the 4,676,570 plays of 1,411 of these users and 3,327 of these videos, 99.6 % of all their pairs.
    Source: Zenodo, record 18164998. Licence: CC BY-SA 4.0.

    Tasks, all made of the watch ratio (play time by length). `finish` (binary) is a ratio of at least 1. `like`
    (binary) is a ratio above 2, as the owners suggest, since the data have no such button. `watch_ratio` and `play_time`
    are regressions on log1p of the ratio and of seconds. The 99th percentile of the ratio is 5, its maximum 573.

    Features, 47 columns: the ids, all columns of the user table, what is known about a video, and the hour. About a video
    are known its author, type, status, date and way of upload, music, size, length, its tags (one category together, or
    one multi-valued field), and three levels of category. Play time and watch ratio are never features. Nor are the daily
    counts of a video, which count the plays and likes of the very day. Captions are texts, and friends are known for 472
    users only.

    The big matrix is train, the small one is test, and no pair of user and video is in both. Validation is 10 % of the pairs
    of the big matrix, at random, with all their plays, so that its pairs too are new to the model. The weeks of all three
    are the same. Exact duplicates in the big matrix are dropped and counted: it files some plays under two dates. 181,992
    rows of test have no time: their hour counts as unseen, and their history is empty.

    Paper: "KuaiRec: A Fully-observed Dataset and Insights for Evaluating Recommender Systems", C. Gao et al., CIKM 2022,
    arXiv 2202.10842.

    Args:
        tasks: Any of finish, like, watch_ratio, play_time.
        numeric: How numeric columns (log1p) enter: train quantile bins beside the standardised value, that value
            alone, or as they are.
        tags: The tags of a video as one category (joined), or as one multi-valued field (list).
        history: Add a sequence of the last videos that the user played in train before this play, at most this many; 0: no
            sequence.
        min_frequency: Categories, users and videos among them, with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into that number of buckets, except the
            users'; null: none is.
        split_seed: Draws the pairs of validation.
    """

    all_tasks = (
        Task("finish", BINARY),
        Task("like", BINARY),
        Task("watch_ratio", REGRESSION, unit="video lengths", transform=Transform.LOG1P),
        Task("play_time", REGRESSION, unit="seconds", transform=Transform.LOG1P),
    )
    user, item = "user_id", "video_id"

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("finish", "like", "watch_ratio"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        tags: Literal["joined", "list"] = "joined",
        history: int = 0,
        min_frequency: int = 1,
        hash_buckets: int | None = None,
        split_seed: int = 0,
    ) -> None:
        check_history(history)
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets
        self._tasks = self.choose(tasks)
        self.numeric, self.tags, self.history, self.split_seed = numeric, tags, history, split_seed

    @property
    def source(self) -> Source:
        """The matrices and side tables."""
        return SOURCE

    def _read(self, found: Found) -> Table:
        # a date differs where the same play was filed twice, so it is not read
        big, num_read, num_repeats = without_repeats(scan_text(found.paths["big_matrix.csv"], MATRIX))
        small = scan_text(found.paths["small_matrix.csv"], MATRIX, nullable=("timestamp",))
        of_train, of_test = (plays.select(*PAIR).collect(engine="streaming") for plays in (big, small))
        split = np.concatenate([self._split(of_train), np.full(len(of_test), TEST, np.int8)])
        plays = pl.concat([big, small])
        plays = plays.join(_users(found).lazy(), on="user_id", how="left", maintain_order="left")
        plays = plays.join(_videos(found).lazy(), on="video_id", how="left", maintain_order="left")
        plays = plays.with_columns(pl.col("video_duration").log1p())
        of_video = ("video_id", *VIDEO_CODES, *CATEGORIES)
        others: dict[OtherField, Any] = {}
        if self.tags == "list":
            others[MultiValuedField("tags")] = pl.col("tags").str.extract_all(r"\d+")
        else:
            of_video += ("tags",)
        codes = ("user_id", *USER_CODES, *of_video)
        numbers = (*USER_NUMBERS, "video_duration", *VIDEO_NUMBERS)
        ratio = pl.col("watch_ratio")
        table = Table(
            categorical={**{name: pl.col(name) for name in codes}, "hour": _hour(pl.col("timestamp"))},
            numeric={name: pl.col(name) for name in numbers},
            labels={
                "finish": (ratio >= 1).cast(pl.Float32),
                "like": (ratio > 2).cast(pl.Float32),
                "watch_ratio": ratio.log1p().cast(pl.Float32),
                "play_time": (pl.col("play_duration") / 1000).log1p().cast(pl.Float32),
            },
            split=split,
            user_fields=("user_id", *USER_CODES, *USER_NUMBERS),
            item_fields=(*of_video, "video_duration", *VIDEO_NUMBERS, *(other.name for other in others)),
            others=others,
            facts={
                "protocol": "big matrix: train and validation, by pair; small matrix: test",
                "big_matrix_rows": num_read,
                "small_matrix_rows": len(of_test),
                "duplicates_dropped": num_repeats,
                "test_pairs_in_train": of_test.join(of_train, on=PAIR, how="semi").n_unique(),
                "test_rows_without_time": small.select(pl.col("timestamp").null_count()).collect().item(),
                "left_out": NOT_FEATURES,
            },
            frame=plays,
        )
        times = pl.col("timestamp").fill_null(0)  # before all others: nothing is known to have come before it
        return with_history(table, user="user_id", item="video_id", time=times, length=self.history)

    def _split(self, of_train: pl.DataFrame) -> np.ndarray:
        """(R,) int8: TRAIN and VALIDATION; all plays of a pair of user and video are in the same."""
        pairs = of_train["user_id"].to_numpy().astype(np.int64) << 32 | of_train["video_id"].to_numpy()
        known, place = np.unique(pairs, return_inverse=True)
        held_out = np.zeros(len(known), dtype=bool)
        rng = np.random.default_rng(derive(self.split_seed, "split"))
        held_out[rng.permutation(len(known))[: len(known) // 10]] = True
        return np.where(held_out[place], VALIDATION, TRAIN).astype(np.int8)


def _users(found: Found) -> pl.DataFrame:
    return side_table(found.paths["user_features.csv"], "user_id", USER_CODES, USER_NUMBERS)


def _videos(found: Found) -> pl.DataFrame:
    """One row for each video: its first day's values of what does not change, its tags and its categories.

    The table of days has a line for each day of a video.
    """
    videos = side_table(found.paths["item_daily_features.csv"], "video_id", VIDEO_CODES, VIDEO_NUMBERS, unique=False)
    tags = side_table(found.paths["item_categories.csv"], "video_id", {"feat": pl.String}).rename({"feat": "tags"})
    captions = side_table(found.paths["kuairec_caption_category.csv"], "video_id", CATEGORIES)
    videos = tags.join(videos, on="video_id", how="left", maintain_order="left")
    return videos.join(captions, on="video_id", how="left", maintain_order="left")


def _hour(timestamp: pl.Expr) -> pl.Expr:
    """The hour of the day on the app's clock; null where there is no time."""
    return ((timestamp + CLOCK).floor().cast(pl.Int64) % 86400 // 3600).cast(pl.Int8)
