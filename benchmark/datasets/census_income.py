"""UCI Census-Income (KDD): the data of the MMoE and PLE papers' public experiments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets.prepare import LEFT_OUT, TEST, TRAIN, VALIDATION, Table
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import Domain, Types, read_text
from benchmark.kinds import BINARY
from benchmark.schema import Task
from benchmark.seeding import derive

# the files have no header; names as in the public code of MMoE on this data
COLUMNS = (
    "age", "class_worker", "det_ind_code", "det_occ_code", "education", "wage_per_hour", "hs_college",
    "marital_stat", "major_ind_code", "major_occ_code", "race", "hisp_origin", "sex", "union_member",
    "unemp_reason", "full_or_part_emp", "capital_gains", "capital_losses", "stock_dividends",
    "tax_filer_stat", "region_prev_res", "state_prev_res", "det_hh_fam_stat", "det_hh_summ",
    "instance_weight", "mig_chg_msa", "mig_chg_reg", "mig_move_reg", "mig_same", "mig_prev_sunbelt",
    "num_emp", "fam_under_18", "country_father", "country_mother", "country_self", "citizenship",
    "own_or_self", "vet_question", "vet_benefits", "weeks_worked", "year", "income_50k",
)  # fmt: skip
MOST = {  # of years, cents, dollars, a code and weeks; the survey cuts off what is larger
    "age": 90, "wage_per_hour": 9999, "capital_gains": 99_999, "capital_losses": 99_999, "stock_dividends": 99_999,
    "num_emp": 6, "weeks_worked": 52,
}  # fmt: skip
NUMERIC = tuple(MOST)
INCOMES = ("- 50000.", "50000+.")
LABELS = ("income_50k", "marital_stat", "education")  # never features, whichever tasks are chosen
UNUSED = ("instance_weight",)  # no property of the person
NOT_FEATURES = {
    ", ".join(LABELS): "labels of one task or another, whichever are chosen",
    "instance_weight": "a sampling weight of the survey",
}
CATEGORICAL = tuple(name for name in COLUMNS if name not in (*NUMERIC, *LABELS, *UNUSED))
DEGREES = (
    "Associates degree-occup /vocational",
    "Associates degree-academic program",
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
)

SOURCE = Source(
    name="census_income",
    layouts={"official": Layout(("census-income.data", "census-income.test"))},
    url="https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip",
    members={
        "census-income.data": "887f4dc410a99bc332bddbb0a4195b88",
        "census-income.test": "b82952d217858365c8e597827e3e5468",
    },
    terms="CC BY 4.0",
    rows=299_285,
)


@register("census_income")
class CensusIncome(OwnersFiles):
    """Census-Income (KDD): whether a person earns more than 50,000 dollars, has never married, has a degree.

    299,285 answers to the US Current Population Surveys of 1994 and 1995, in the official files of 199,523 (train) and
    99,762 (test). Source: UCI Machine Learning Repository, data set 117, doi 10.24432/C5N30T. Licence: CC BY 4.0.

    Tasks, all binary: `income` (more than 50,000 dollars), `never_married`, `education` (at least an associate degree).

    As in the MMoE paper, columns that are the label of any task (income, marital status, education) are never
    features, whichever tasks are chosen. 38 columns remain, 31 categorical (codes of occupation and industry among
    them) and 7 numeric. The survey's sampling weight is neither a feature nor used as a weight. `?` is a category.

    Paper: "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", J. Ma et al.,
    KDD 2018, doi 10.1145/3219819.3220007, section 6.3.

    Args:
        tasks: Any of income, never_married, education.
        numeric: How numeric columns enter: their train quantile bins beside the standardised value, that value alone,
            or as they are. On income it moves AUC by .007, more than any architecture does.
        split_seed: Draws the rows of validation.
        protocol: `official`: validation is 10 % of the train file at random, test is the test file. `halved`, as in the
            papers: train is the whole train file, and the test file is halved at random into validation and test.
        train_rows: Train on this many rows, drawn at random by `split_seed`; null: all. Validation and test do not
            depend on it.
    """

    all_tasks = (
        Task("income", BINARY),
        Task("never_married", BINARY),
        Task("education", BINARY),
    )

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("income", "never_married"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        split_seed: int = 0,
        protocol: Literal["official", "halved"] = "official",
        train_rows: int | None = None,
    ) -> None:
        self._tasks = self.choose(tasks)
        if train_rows is not None and train_rows < 1:
            raise ValueError(f"dataset.train_rows must be at least 1 or null, found {train_rows}")
        self.numeric, self.split_seed, self.protocol, self.train_rows = numeric, split_seed, protocol, train_rows

    @property
    def source(self) -> Source:
        """The two files of the repository."""
        return SOURCE

    def _read(self, found: Found) -> Table:
        paths = found.paths
        with ThreadPoolExecutor() as pool:  # unpacking takes one core
            parts = list(pool.map(_parse, (paths["census-income.data"], paths["census-income.test"])))
        sizes = [len(part) for part in parts]
        whole = pl.concat(parts)
        labels = {
            "income": (whole["income_50k"] == INCOMES[1]).to_numpy(),
            "never_married": (whole["marital_stat"] == "Never married").to_numpy(),
            "education": whole["education"].is_in(DEGREES).to_numpy(),
        }
        return Table(
            categorical={name: whole[name] for name in CATEGORICAL},
            numeric={name: whole[name].to_numpy() for name in NUMERIC},
            labels={name: label.astype(np.float32) for name, label in labels.items()},
            split=self._split(*sizes),
            facts={
                "protocol": self.protocol,
                "train_file_rows": sizes[0],
                "test_file_rows": sizes[1],
                "left_out": NOT_FEATURES,
            },
        )

    def _split(self, num_train: int, num_test: int) -> np.ndarray:
        """(R,) int8: the rows of the train file, then those of the test file."""
        split = np.repeat(np.array([TRAIN, TEST], dtype=np.int8), [num_train, num_test])
        rng = np.random.default_rng(derive(self.split_seed, "split"))
        if self.protocol == "official":
            split[rng.permutation(num_train)[: num_train // 10]] = VALIDATION
        else:
            split[num_train + rng.permutation(num_test)[: num_test // 2]] = VALIDATION
        if self.train_rows is not None:
            rows = np.flatnonzero(split == TRAIN)
            if self.train_rows > len(rows):
                raise ValueError(f"dataset.train_rows must be at most {len(rows)}, found {self.train_rows}")
            split[rng.permutation(rows)[self.train_rows :]] = LEFT_OUT
        return split


def _parse(path: Path) -> pl.DataFrame:
    types: Types = {
        **dict.fromkeys(COLUMNS, pl.String),
        **{name: Domain(pl.Float64, least=0, most=most) for name, most in MOST.items()},
        "year": Domain(pl.String, allowed=("94", "95")),
        "income_50k": Domain(pl.String, allowed=INCOMES),
    }
    return read_text(path, types, header=False, quote=None, strip=True)
