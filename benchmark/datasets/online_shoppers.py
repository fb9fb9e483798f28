"""UCI Online Shoppers Purchasing Intention: sessions of a shop, whether they end with a purchase, and how long they browse."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from benchmark.datasets import register
from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets.prepare import Table, random_split
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import Domain, Types, read_text
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.schema import Task

CATEGORICAL = (
    "Month", "OperatingSystems", "Browser", "Region", "TrafficType", "VisitorType", "Weekend",
)  # fmt: skip
NUMERIC = ("Administrative", "Administrative_Duration", "Informational", "Informational_Duration", "SpecialDay")
LABELS = ("ProductRelated_Duration", "Revenue")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "June", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NO_OR_YES = Domain(pl.String, allowed=("FALSE", "TRUE"))
TYPES: Types = {
    **dict.fromkeys(CATEGORICAL, pl.String), "Month": Domain(pl.String, allowed=_MONTHS), "Weekend": _NO_OR_YES,
    **dict.fromkeys((*NUMERIC, "ProductRelated_Duration"), Domain(pl.Float64, least=0)),
    "SpecialDay": Domain(pl.Float64, least=0, most=1), "Revenue": _NO_OR_YES,
}  # fmt: skip
NOT_FEATURES = {
    "PageValues": "computed from the transactions that followed a page",
    "ProductRelated": "counts the pages whose seconds are a label",
    "BounceRates, ExitRates": "both are 0.2 where no second passed on product pages, and nearly nowhere else",
}
FILE = "online_shoppers_intention.csv"
SOURCE = Source(
    name="online_shoppers",
    layouts={"official": Layout((FILE,))},
    url="https://archive.ics.uci.edu/static/public/468/online+shoppers+purchasing+intention+dataset.zip",
    members={FILE: "53852f2975541d38801350c437b0f0a8"},
    rows=12_330,
    terms="CC BY 4.0",
)


@register("online_shoppers")
class OnlineShoppers(OwnersFiles):
    """Online Shoppers: whether a visit to a shop ends with a purchase, and for how many seconds products are looked at.

    12,330 sessions of one year, each of another user. Source: UCI Machine Learning Repository, data set 468,
    doi 10.24432/C5F88Q. Licence: CC BY 4.0.

    Tasks: `purchase` (binary, 15.5 %) and `product_time` (regression on log1p of seconds on product pages).

    Features, 7 categorical columns (month, operating system, browser, region, traffic type, kind of visitor, weekend) and 5
    numeric ones (number of and seconds on account pages and information pages, closeness of a special day).
    What gives a label away is left out. `PageValues` is computed from the transactions that followed a page: alone it has
    an AUC of .86 on purchases. `ProductRelated` counts the very pages whose seconds are a label (rank correlation .88).
    All sessions with a bounce rate or an exit rate of 0.2 have 0 seconds, and of the others 0.5 %.

    The data have neither ids nor dates: the split is random, 80 % train, 10 % validation, 10 % test. Equal rows are
    different sessions, and stay.

    Paper: "Real-time prediction of online shoppers' purchasing intention using multilayer perceptron and LSTM recurrent
    neural networks", C. O. Sakar et al., Neural Computing and Applications 31, 2019, doi 10.1007/s00521-018-3523-0.

    Args:
        tasks: Any of purchase, product_time.
        numeric: How numeric columns enter: train quantile bins beside the standardised value, that value alone, or as
            they are.
        split_seed: Draws the split.
    """

    all_tasks = (
        Task("purchase", BINARY),
        Task("product_time", REGRESSION, unit="seconds", transform=Transform.LOG1P),
    )

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("purchase", "product_time"),
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        split_seed: int = 0,
    ) -> None:
        self._tasks = self.choose(tasks)
        self.numeric, self.split_seed = numeric, split_seed

    @property
    def source(self) -> Source:
        """The file of the repository."""
        return SOURCE

    def _read(self, found: Found) -> Table:
        path = found.paths[FILE]
        rows = read_text(path, TYPES)
        return Table(
            categorical={name: rows[name] for name in CATEGORICAL},
            numeric={name: rows[name].to_numpy() for name in NUMERIC},
            labels={
                "purchase": (rows["Revenue"] == "TRUE").to_numpy().astype(np.float32),
                "product_time": np.log1p(rows["ProductRelated_Duration"].to_numpy()).astype(np.float32),
            },
            split=random_split(len(rows), self.split_seed),
            facts={"protocol": "random", "left_out": NOT_FEATURES},
        )
