"""Tenrec: a log of videos shown to users of two apps of Tencent, and what they did."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets._stored import count_rows
from benchmark.datasets.prepare import Table, random_split
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import ID, Domain, Types, scan_text
from benchmark.kinds import BINARY
from benchmark.lists import SequenceField
from benchmark.schema import OtherField, Task
from benchmark.settings.registry import Neutral

PAGE = "https://static.qblv.qq.com/qblv/h5/algo-frontend/tenrec_dataset.html"
FILES = {"ctr": "ctr_data_1M.csv", "qk_video": "QK-video.csv", "qb_video": "QB-video.csv"}
ROWS = {"ctr": 120_342_306, "qk_video": 493_458_970, "qb_video": 2_442_299}
LABELS = ("click", "follow", "like", "share")
USER_CODES, ITEM_CODES = ("gender", "age"), ("video_category",)
MISSING = r"\N"  # as databases write it
PAST = tuple(f"hist_{place}" for place in range(1, 11))
NOTHING = 0  # in the columns of the past: fewer clicks than columns
NOT_FEATURES = {"watching_times": "counts how often the user watched the video"}


@register("tenrec")
class Tenrec(OwnersFiles):
    r"""Tenrec: whether a user clicks, follows, likes and shares a video that they are shown.

    Exposures in two apps of Tencent. The owners hand the files out after a registration, for research only; their
    repository names CC BY-NC 4.0. `ctr_data_1M.csv`, made by them from the log of QK, has 120,342,306 rows of 999,447 users.

    Tasks, all binary: `click`, `follow`, `like`, `share`; the last three are rare.

    Features, 5 columns: the user, their gender and age group, the video and its category. `\N` is a missing value. With
    `ctr`, a sequence is the sixth: the first ten videos that the user clicked in the owners' log, the most recent last. The
    owners took these rows out of the file. All rows of a user have the same ten, so those shown early know clicks that came
    later. `watching_times` counts how often the user watched the video: it is feedback, neither time nor a feature.

    The files have no time, so the split is random, as in the owners' code: 80 % train, 10 % validation, 10 % test. That code
    also draws two rows without a click for each one with a click; here all rows are kept. Some pairs of user and video come
    several times, with equal or other labels. Nobody can tell a second exposure from a copy, so all are kept, and the record
    counts the test rows that train has too.

    Paper: "Tenrec: A Large-scale Multipurpose Benchmark Dataset for Recommender Systems", G. Yuan et al., NeurIPS 2022
    (Datasets and Benchmarks), arXiv 2210.10629.

    Args:
        variant: ctr (ctr_data_1M.csv), qk_video (QK-video.csv, 493 million rows) or qb_video (QB-video.csv, 2.4 million).
        tasks: Any of click, follow, like, share.
        min_frequency: Categories, users and videos among them, with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets, except the
            users'; null: none is.
        split_seed: Draws the split.
    """

    all_tasks = tuple(Task(name, BINARY) for name in LABELS)
    user, item = "user_id", "item_id"

    def __init__(
        self,
        *,
        variant: Literal["ctr", "qk_video", "qb_video"] = "ctr",
        tasks: tuple[str, ...] = ("click", "follow", "like", "share"),
        min_frequency: Annotated[int, Neutral(1)] = 1,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
    ) -> None:
        self._tasks = self.choose(tasks)
        self.variant, self.split_seed = variant, split_seed
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets

    @property
    def source(self) -> Source:
        """The file of the variant."""
        return Source(
            name="tenrec",
            layouts={"official": Layout((FILES[self.variant],))},
            url=PAGE,
            terms="CC BY-NC 4.0, research only",
            login="an approved request",
            rows=ROWS[self.variant],
        )

    def _read(self, found: Found) -> Table:
        (path,) = found.paths.values()
        has_past = self.variant == "ctr"
        log = _scan(path, past=has_past)
        num_rows = count_rows(log)
        clicked = pl.concat_list(PAST).list.eval(pl.element().filter(pl.element() != NOTHING))
        others: dict[OtherField, Any] = {SequenceField("history", of="item_id"): clicked} if has_past else {}
        return Table(
            categorical={name: pl.col(name) for name in ("user_id", *USER_CODES, "item_id", *ITEM_CODES)},
            numeric={},
            labels={name: pl.col(name) for name in LABELS},
            split=random_split(num_rows, self.split_seed),
            user_fields=("user_id", *USER_CODES, *(field.name for field in others)),
            item_fields=("item_id", *ITEM_CODES),
            facts={"protocol": "random", "log_rows": num_rows, "left_out": NOT_FEATURES},
            others=others,
            frame=log,
        )


def _scan(path: Path, *, past: bool) -> pl.LazyFrame:
    """The columns of features and labels; with the past, those of the history too."""
    codes = (*USER_CODES, *ITEM_CODES)
    types: Types = {
        "user_id": ID, "item_id": ID, **dict.fromkeys(codes, pl.String),
        **dict.fromkeys(LABELS, Domain(pl.Float32, allowed=(0, 1))), **dict.fromkeys(PAST if past else (), ID),
    }  # fmt: skip
    log = scan_text(path, types, nullable=codes)
    return log.with_columns(pl.col(codes).replace(MISSING, None))
