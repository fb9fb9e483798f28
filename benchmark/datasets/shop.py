"""An e-commerce log drawn from a stated model: what is clicked, what is bought, and how long its page is looked at.

R rows, U users, I items, M of either, K latent dimensions, T = 3 tasks (click, purchase given click, duration).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from scipy.special import expit, log_expit

from benchmark.datasets import Data, Dataset, register
from benchmark.datasets._drawn import best_reachable
from benchmark.datasets.prepare import Table, prepare, random_split
from benchmark.kinds import BINARY, REGRESSION
from benchmark.schema import Task
from benchmark.seeding import derive

AGE_GROUPS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
REGIONS = ("north", "east", "south", "west", "abroad")
MEMBERSHIPS = ("none", "basic", "gold")
CATEGORIES = {
    "kitchen": ("kettle", "toaster", "skillet", "teapot"),
    "lighting": ("desk lamp", "lantern", "floor lamp", "night light"),
    "garden": ("planter", "hose reel", "trowel", "bird feeder"),
    "sports": ("yoga mat", "water bottle", "jump rope", "running belt"),
    "travel": ("backpack", "suitcase", "wash bag", "neck pillow"),
    "office": ("notebook", "desk tray", "pen set", "monitor stand"),
    "audio": ("headphones", "speaker", "turntable", "radio"),
    "toys": ("puzzle", "kite", "building set", "board game"),
}
BRANDS = (
    "Alvora", "Brekko", "Cindral", "Dovane", "Elmstrom", "Farroway", "Gildern", "Hollis & Vane", "Istria", "Juniper",
)  # fmt: skip
STYLES = ("amber", "compact", "classic", "folding", "matte", "oak", "polar", "slim", "striped", "travel-size")
DEVICES = ("phone", "desktop", "tablet")
HOURS = 24
NUM_TASKS = 3
CONTEXT_SHARE = 0.1  # of the variance of every score: device and hour
MEDIAN_SECONDS = 30.0  # of the expected durations
SECONDS_SIGNAL = 0.4  # standard deviation of the log of the expected durations

COUNTS = {"num_users": 2, "num_items": 2, "num_rows": 10, "rank": 1, "data_seed": 0, "split_seed": 0}  # at least
RANGES = {
    "attribute_share": (0, 1),
    "affinity": (0, 1),
    "task_correlation": (0, 1),
    "signal": (0, 10),
    "click_rate": (0.001, 0.999),
    "purchase_rate": (0.001, 0.999),
    "duration_noise": (0, 10),
    "skew": (0, 5),
}


@dataclass(frozen=True, slots=True)
class Population:
    """All users, or all items.

    Shape:
        attributes: name to (M,) values; latent_MK: (M, K), each dimension of mean 0 and variance 1 over the population;
        exposure_M: (M,), how often each one is in the log, summing to 1.
    """

    attributes: dict[str, np.ndarray]
    latent_MK: np.ndarray
    exposure_M: np.ndarray


@dataclass(frozen=True, slots=True)
class Exposures:
    """Who was shown what, when and where: (R,) each, of numbers from 0."""

    user: np.ndarray
    item: np.ndarray
    device: np.ndarray
    hour: np.ndarray


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of each row, and no log of real behaviour could tell.

    Shape:
        click_logit, conditional_logit: (R,) of p(click | exposure) and of p(purchase | click);
        seconds: (R,) the expected duration of the visit, once clicked.
    """

    click_logit: np.ndarray
    conditional_logit: np.ndarray
    seconds: np.ndarray

    def outputs(self) -> dict[str, np.ndarray]:
        """{task: (R,)} what a perfect model returns; of purchase, the logit of the joint, "clicked and bought"."""
        log_joint_R = log_expit(self.click_logit) + log_expit(self.conditional_logit)
        joint_logit_R = log_joint_R - np.log(-np.expm1(log_joint_R))
        return {"click": self.click_logit, "purchase": joint_logit_R, "duration": self.seconds}


def draw_users(rng: np.random.Generator, num_users: int) -> dict[str, np.ndarray]:
    """Attributes of users, (U,) each."""
    return {
        "age_group": rng.choice(AGE_GROUPS, num_users),
        "region": rng.choice(REGIONS, num_users),
        "membership": rng.choice(MEMBERSHIPS, num_users, p=(0.6, 0.3, 0.1)),
    }


def draw_items(rng: np.random.Generator, num_items: int) -> tuple[dict[str, np.ndarray], list[str]]:
    """Attributes of items, (I,) each, price in euros; and their invented names."""
    categories = np.array(list(CATEGORIES))
    category_I = rng.integers(len(categories), size=num_items)
    brand_I = rng.choice(BRANDS, num_items)
    log_price_I = 3.2 + 0.5 * rng.standard_normal(len(categories))[category_I] + 0.4 * rng.standard_normal(num_items)
    style_I, kind_I = rng.choice(STYLES, num_items), rng.integers(4, size=num_items)
    names = [
        f"{brand} {style} {CATEGORIES[category][kind]} No. {number}"
        for number, (brand, style, category, kind) in enumerate(
            zip(brand_I, style_I, categories[category_I], kind_I, strict=True), 1
        )
    ]
    return {"category": categories[category_I], "brand": brand_I, "price": np.exp(log_price_I).round(2)}, names


def draw_population(
    rng: np.random.Generator, attributes: dict[str, np.ndarray], rank: int, attribute_share: float, skew: float
) -> Population:
    """Draws latent vectors, `attribute_share` of whose variance follows from the attributes; the rest is their own."""
    size = len(next(iter(attributes.values())))
    explained_MK = np.zeros((size, rank))
    for value_M in attributes.values():
        if value_M.dtype.kind == "f":
            explained_MK += np.outer(_standardised(np.log(value_M)), rng.standard_normal(rank))
        else:
            level_M = np.unique(value_M, return_inverse=True)[1]
            explained_MK += rng.standard_normal((level_M.max() + 1, rank))[level_M]
    own_MK = rng.standard_normal((size, rank))
    latent_MK = np.sqrt(attribute_share) * _standardised(explained_MK)
    latent_MK += np.sqrt(1 - attribute_share) * _standardised(own_MK)
    weight_M = np.exp(skew * rng.standard_normal(size))
    return Population(attributes, _standardised(latent_MK), weight_M / weight_M.sum())


def draw_exposures(rng: np.random.Generator, num_rows: int, users: Population, items: Population) -> Exposures:
    """Rows at random, not by anybody's taste: what is shown says nothing about what would be clicked."""
    return Exposures(
        user=rng.choice(len(users.exposure_M), num_rows, p=users.exposure_M),
        item=rng.choice(len(items.exposure_M), num_rows, p=items.exposure_M),
        device=rng.choice(len(DEVICES), num_rows, p=(0.6, 0.3, 0.1)),
        hour=rng.integers(HOURS, size=num_rows),
    )


def draw_directions(rng: np.random.Generator, rank: int, task_correlation: float) -> np.ndarray:
    """(T, K): one unit vector per task; the expected cosine of two is about `task_correlation`."""
    unit_TK = rng.standard_normal((1 + NUM_TASKS, rank))
    unit_TK /= np.linalg.norm(unit_TK, axis=1, keepdims=True)
    direction_TK: np.ndarray = np.sqrt(task_correlation) * unit_TK[0] + np.sqrt(1 - task_correlation) * unit_TK[1:]
    direction_TK /= np.linalg.norm(direction_TK, axis=1, keepdims=True)
    return direction_TK


def _standardised(value: np.ndarray) -> np.ndarray:
    deviation = value.std(axis=0)
    standardised: np.ndarray = (value - value.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return standardised


def _intercept(score_R: np.ndarray, weight_R: np.ndarray, rate: float) -> float:
    """Find what to add to the logits so that the weighted mean of their probabilities is `rate`."""
    from scipy.optimize import brentq  # half a second to import, and needed only where the log is drawn anew

    bound = float(np.abs(score_R).max()) + 30.0
    return float(brentq(lambda shift: np.average(expit(score_R + shift), weights=weight_R) - rate, -bound, bound))


@register("shop")
class Shop(Dataset):
    r"""A shop's log of exposures whose every probability is known: click, purchase given click, duration of the visit.

    On a real log nobody knows how good a model could be. Here the probabilities and means behind the labels are known,
    and the record has their metrics on the test rows: `best_reachable`.

    User $u$ has a vector $z_u$ of length K, item $i$ a vector $v_i$. A share of their variance, `attribute_share`,
    follows from the attributes (a random vector for each value, and one times the log of the price), the rest from the id
    alone. Users and items come up at random, independently, some more often than others; so do device and hour, the
    context $c$. The score $s_k$ of task $k$ has mean 0 and variance about 1:

    $$
    s_k = w_1\, a_k^\top z_u + w_1\, b_k^\top v_i + w_2\, g_k^\top (z_u \odot v_i) + w_3\, h_k(c)
    $$

    $$
    w_1^2 = 0.9\, \frac{1 - \alpha}{2}, \qquad w_2^2 = 0.9\, \alpha, \qquad w_3^2 = 0.1
    $$

    $\alpha$ is `affinity`. The unit vectors $a_k$, $b_k$, $g_k$ have cosines of about `task_correlation` between tasks,
    and every term is standardised over the rows. The labels follow from the scores:

    $$
    p(\text{click}) = \sigma(\beta s_1 + c_1), \qquad p(\text{purchase} \mid \text{click}) = \sigma(\beta s_2 + c_2)
    $$

    $$
    \text{seconds} = 30\, e^{0.4 s_3}\, \Gamma
    $$

    $\beta$ is `signal`; the intercepts $c_1$ and $c_2$ give the two rates; $\Gamma$ is drawn from a Gamma distribution
    of mean 1 and standard deviation `duration_noise`. Duration is observed on clicked rows only. It is a regression on
    the seconds themselves, without a transform: its mean is known in seconds, and the tail of this Gamma is light enough
    for a squared error.

    This project made the model; it is not fitted to a real shop. At its default size there are on average 530 train rows
    for a user and 1070 for an item. In about ten epochs a good architecture comes within .01 AUC and 5 % MSE of the best
    reachable. More users or items for the same rows, a higher `rank`, `affinity` or `skew`, or a lower `signal` or
    `attribute_share` makes it harder.

    Args:
        tasks: Any of click, purchase, duration. Without click, purchase has no parent.
        num_users: Number of users U; their ids are 1 ... U.
        num_items: Number of items I; their ids are 1 ... I.
        num_rows: Exposures, of all splits together: 80 % train, 10 % validation, 10 % test, at random.
        rank: Length K of the latent vectors.
        attribute_share: Share of the variance of a latent vector that follows from the attributes, in [0, 1].
        affinity: Share of taste (this user for this item) in what is not context, in [0, 1].
        task_correlation: How far the tasks depend on the same directions, in [0, 1].
        signal: Standard deviation of the logits of click and of purchase given click.
        click_rate: Expected share of clicked rows.
        purchase_rate: Expected share of purchases in clicked rows.
        duration_noise: Standard deviation of a duration as a share of its mean.
        skew: Standard deviation of the log of how often a user or an item comes up.
        numeric: Treatment of the price: bins, standardise or raw.
        data_seed: Draws users, items, exposures and labels, each from a stream of its own.
        split_seed: Draws which rows are train, validation and test.

    Shape:
        categorical: (R, 10) user, age_group, region, membership, item, category, brand, device, hour, and the bins of
        the price; numeric: (R, 1) price; labels: (R, T).

    Raises:
        ValueError: if a parameter is outside its range, or a task is unknown.
    """

    all_tasks = (
        Task("click", BINARY),
        Task("purchase", BINARY, given="click"),
        Task("duration", REGRESSION, unit="seconds"),
    )
    user, item = "user", "item"
    drawn = True

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("click", "purchase", "duration"),
        num_users: int = 300,
        num_items: int = 150,
        num_rows: int = 200_000,
        rank: int = 3,
        attribute_share: float = 0.75,
        affinity: float = 0.25,
        task_correlation: float = 0.5,
        signal: float = 2.0,
        click_rate: float = 0.4,
        purchase_rate: float = 0.3,
        duration_noise: float = 0.5,
        skew: float = 0.5,
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        data_seed: int = 0,
        split_seed: int = 0,
    ) -> None:
        chosen = self.choose(tasks)
        self._tasks = chosen if chosen[0].name == "click" else tuple(replace(task, given=None) for task in chosen)
        self.num_users, self.num_items, self.num_rows, self.rank = num_users, num_items, num_rows, rank
        self.attribute_share, self.affinity, self.task_correlation = attribute_share, affinity, task_correlation
        self.signal, self.click_rate, self.purchase_rate = signal, click_rate, purchase_rate
        self.duration_noise, self.skew, self.numeric = duration_noise, skew, numeric
        self.data_seed, self.split_seed = data_seed, split_seed
        for name, least in COUNTS.items():
            if getattr(self, name) < least:
                raise ValueError(f"dataset.{name} must be at least {least}, found {getattr(self, name)}")
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"dataset.{name} must be between {low} and {high}, found {getattr(self, name)}")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks."""
        return self._tasks

    @property
    def rows(self) -> int:
        """As many as are asked for."""
        return self.num_rows

    def build(self) -> Data:
        """Draws the log, or takes it from the cache."""
        return prepare(self, read=lambda: self.draw()[0], numeric=self.numeric)

    def draw(self) -> tuple[Table, Truth]:
        """The log, and what is behind it row by row, in memory."""
        rng = {
            name: np.random.default_rng(derive(self.data_seed, "shop", name))
            for name in ("users", "items", "tasks", "exposures", "labels")
        }
        population = partial(draw_population, rank=self.rank, attribute_share=self.attribute_share, skew=self.skew)
        users = population(rng["users"], draw_users(rng["users"], self.num_users))
        item_attributes, names = draw_items(rng["items"], self.num_items)
        items = population(rng["items"], item_attributes)
        rows = draw_exposures(rng["exposures"], self.num_rows, users, items)
        score_RT = self._scores(rng["tasks"], users.latent_MK[rows.user], items.latent_MK[rows.item], rows)
        truth = self._truth(score_RT)
        labels = self._labels(rng["labels"], truth)
        split_R = random_split(self.num_rows, self.split_seed)
        table = Table(
            categorical={
                "user": rows.user + 1,
                **{name: value[rows.user] for name, value in users.attributes.items()},
                "item": rows.item + 1,
                **{name: items.attributes[name][rows.item] for name in ("category", "brand")},
                "device": np.array(DEVICES)[rows.device],
                "hour": rows.hour,
            },
            numeric={"price": items.attributes["price"][rows.item]},
            labels=labels,
            split=split_R,
            user_fields=("user", *users.attributes),
            item_fields=("item", *items.attributes),
            titles={str(number): name for number, name in enumerate(names, 1)},
            best_reachable=best_reachable(self.tasks, truth.outputs(), labels, split_R, rows.user),
        )
        return table, truth

    def _scores(
        self, rng: np.random.Generator, user_RK: np.ndarray, item_RK: np.ndarray, rows: Exposures
    ) -> np.ndarray:
        """(R, T): for each task, the interest of the row's user in the row's item, in this context."""
        direction = partial(draw_directions, rng, self.rank, self.task_correlation)
        device_RT = rng.standard_normal((len(DEVICES), NUM_TASKS))[rows.device]
        peak_T = rng.uniform(0, HOURS, NUM_TASKS)
        hour_RT = np.sqrt(2) * np.cos(2 * np.pi * (rows.hour[:, None] - peak_T) / HOURS)
        rest = 1 - CONTEXT_SHARE
        shares = (rest * (1 - self.affinity) / 2, rest * (1 - self.affinity) / 2, rest * self.affinity, CONTEXT_SHARE)
        terms = (
            user_RK @ direction().T,
            item_RK @ direction().T,
            (user_RK * item_RK) @ direction().T,
            device_RT + hour_RT,
        )
        score_RT = np.zeros((len(rows.user), NUM_TASKS))
        for share, term_RT in zip(shares, terms, strict=True):
            score_RT += np.sqrt(share) * _standardised(term_RT)
        return score_RT

    def _truth(self, score_RT: np.ndarray) -> Truth:
        click_R, conditional_R = self.signal * score_RT[:, 0], self.signal * score_RT[:, 1]
        click_R = click_R + _intercept(click_R, np.ones(len(click_R)), self.click_rate)
        conditional_R = conditional_R + _intercept(conditional_R, expit(click_R), self.purchase_rate)
        return Truth(click_R, conditional_R, MEDIAN_SECONDS * np.exp(SECONDS_SIGNAL * score_RT[:, 2]))

    def _labels(self, rng: np.random.Generator, truth: Truth) -> dict[str, np.ndarray]:
        """Task name to (R,) float32. All rows draw for all tasks, so that a label does not move those after it."""
        click_R = rng.random(self.num_rows) < expit(truth.click_logit)
        purchase_R = rng.random(self.num_rows) < expit(truth.conditional_logit)
        seconds_R = truth.seconds
        if self.duration_noise > 0:
            shape = self.duration_noise**-2
            seconds_R = seconds_R * rng.gamma(shape, 1 / shape, self.num_rows)
        return {
            "click": click_R.astype(np.float32),
            "purchase": (click_R & purchase_R).astype(np.float32),
            "duration": np.where(click_R, seconds_R, np.nan).astype(np.float32),
        }
