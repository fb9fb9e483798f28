"""Criteo uplift: a randomised trial of advertising; who visited the shop, and who bought."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets.prepare import Table, random_split
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, Types, scan_text
from benchmark.kinds import BINARY
from benchmark.schema import Task

PAGE = "https://huggingface.co/datasets/criteo/criteo-uplift"
FILE = "criteo-research-uplift-v2.1.csv"
FEATURES = tuple(f"f{number}" for number in range(12))
NOT_FEATURES = {"exposure": "happened after the draw of the arm, to treated people only"}
ARMS = {"treated": 1, "control": 0}

SOURCE = Source(
    name="criteo_uplift",
    layouts={"official": Layout((FILE,))},
    url=PAGE,
    files={f"{PAGE}/resolve/main/{FILE}.gz": "sha256:2716e1bf0fd157a93b5bf86924d9088419dfbac2022c6cd90030220634f616dc"},
    terms="CC BY-NC-SA 4.0",
    rows=13_979_592,
)


@register("criteo_uplift")
class CriteoUplift(OwnersFiles):
    """Criteo uplift v2.1: whether a person visits a shop, and whether a visitor buys, in a trial of advertising.

    13,979,592 people of several trials. A random 85 % of them were treated: the company bid to show them advertisements.
    Source: Criteo AI Lab, on Hugging Face as criteo/criteo-uplift. Licence: CC BY-NC-SA 4.0.

    Tasks, both binary: `visit` (4.7 % of the rows) and `conversion`, given a visit (.29 %). A row with a conversion and no visit
    contradicts the funnel: it is dropped and counted.

    Features: 12 numbers, `f0` to `f11`, that the owners projected at random, and the arm of the trial, `treatment`, which was
    drawn before anything happened. `exposure` says whether an advertisement was shown: that came after the draw, only to
    treated people, and is never a feature. The owners sampled the rows unevenly, so rates and the effect of the treatment
    are not those of the trials.

    The file is sorted by arm and has no time. The split is random: 80 % train, 10 % validation, 10 % test. Over a tenth of the
    people have the features of another one; the record counts the test rows that train has too.

    Paper: "A Large Scale Benchmark for Uplift Modeling", E. Diemert, A. Betlei, C. Renaudin, M.-R. Amini, AdKDD 2018.

    Args:
        tasks: Any of visit, conversion.
        numeric: How the 12 numbers enter: train quantile bins beside the standardised value, that value alone, or as they are.
        split_seed: Draws the split.
        treatment: `feature`: all rows, with the arm as a feature. `treated` and `control`: the rows of one arm, without it.
    """

    all_tasks = (Task("visit", BINARY), Task("conversion", BINARY, given="visit"))

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("visit", "conversion"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        split_seed: int = 0,
        treatment: Literal["feature", "treated", "control"] = "feature",
    ) -> None:
        self._tasks = self.choose(tasks)
        self.numeric, self.split_seed, self.treatment = numeric, split_seed, treatment

    @property
    def source(self) -> Source:
        """The file of Criteo."""
        return SOURCE

    def _read(self, found: Found) -> Table:
        people = _scan(found.paths[FILE])
        in_arm = pl.col("treatment") == ARMS[self.treatment] if self.treatment in ARMS else pl.lit(value=True)
        is_wrong = pl.col("conversion") > pl.col("visit")
        count = {"read": pl.len(), "arm": in_arm.sum(), "wrong": (in_arm & is_wrong).sum()}
        rows = people.select("treatment", "conversion", "visit").select(**count).collect(engine="streaming")
        num_read, num_arm, num_wrong = rows.row(0)
        num_arm = num_read if self.treatment == "feature" else num_arm
        return Table(
            categorical={"treatment": pl.col("treatment")} if self.treatment == "feature" else {},
            numeric={name: pl.col(name) for name in FEATURES},
            labels={name: pl.col(name).cast(pl.Float32) for name in ("visit", "conversion")},
            split=random_split(num_arm - num_wrong, self.split_seed),
            facts={
                "protocol": "random",
                "file_rows": num_read,
                "rows_of_the_arm": num_arm,
                "conversions_without_visit_dropped": num_wrong,
                "left_out": NOT_FEATURES,
            },
            frame=people.filter(in_arm, ~is_wrong),
        )


def _scan(path: Path) -> pl.LazyFrame:
    flags = dict.fromkeys(("treatment", "conversion", "visit"), FLAG)
    types: Types = {**dict.fromkeys(FEATURES, pl.Float64), **flags}  # the owners drew their range too
    return scan_text(path, types)
