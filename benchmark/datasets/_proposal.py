"""`mtlbench data describe`: from how columns look to the YAML of a table, with comments that say why and what is unsure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets._description import (
    CATEGORICAL,
    IGNORE,
    ITEM,
    LENGTH,
    MULTI,
    NUMERIC,
    RANDOM,
    SEQUENCE,
    SHARE,
    TIME,
    TITLE,
    USER,
)
from benchmark.datasets._looks import Look, Sample, look
from benchmark.datasets._proposal_text import UNSURE, Proposal, written
from benchmark.kinds import BINARY, REGRESSION

_USERS = {
    "user",
    "userid",
    "uid",
    "member",
    "customer",
    "visitor",
    "visitorid",
    "client",
    "account",
    "viewer",
    "reader",
    "person",
}
_ITEMS = {
    "item", "itemid", "iid", "video", "movie", "film", "product", "article", "news", "ad", "song", "track", "book", "game",
    "sku", "asin", "goods", "content", "post", "show", "photo", "note", "recipe", "offer", "creative", "listing", "hotel",
    "course", "doc", "document", "page", "restaurant", "poi", "anime",
}  # fmt: skip
_IDS = {"id", "ids", "idx", "index", "key", "no", "code", "number", "hash"}
_TIMES = {"time", "timestamp", "ts", "date", "datetime", "day", "dt", "at", "when"}
_LABELS = {
    "click", "clicked", "clicks", "like", "liked", "likes", "buy", "bought", "purchase", "purchased", "order", "ordered",
    "conversion", "converted", "convert", "cvr", "ctr", "label", "target", "y", "share", "shared", "follow", "followed",
    "comment", "commented", "finish", "finished", "complete", "completed", "favorite", "favourite", "cart", "install",
    "installed", "subscribe", "subscribed", "upvote", "hate", "dislike", "skip", "skipped", "return", "returned", "churn",
    "play", "played", "save", "saved", "pay", "paid", "visit", "visited", "forward", "watched", "view", "viewed", "read",
    "interested", "accepted", "booked", "sale",
}  # fmt: skip
_AMOUNTS = {
    "watch", "dwell", "duration", "seconds", "secs", "sec", "minutes", "stay", "playtime", "play", "rating", "stars", "revenue",
    "spend", "spent", "gmv", "sales", "score", "ltv", "value", "label", "target", "y",
}  # fmt: skip
_VAGUE = {"score", "value", "duration"}
_FLAGS = {
    "mobile", "weekend", "holiday", "male", "female", "gender", "sex", "premium", "vip", "new", "promo", "discount", "has",
    "rand", "random", "active", "verified", "adult", "night", "app", "ios", "android",
}  # fmt: skip
_SEQUENCES = {"history", "hist", "past", "last", "recent", "previous", "prev", "sequence", "seq"}
_UNITS = {
    "seconds": "seconds", "secs": "seconds", "sec": "seconds", "s": "seconds", "ms": "milliseconds", "minutes": "minutes",
    "min": "minutes", "mins": "minutes", "stars": "stars", "rating": "stars", "hours": "hours", "eur": "euros", "usd": "dollars",
}  # fmt: skip
_FEW = 50  # a column of at most so many whole numbers is one of codes
_MANY = 0.5  # where more of the rows than this share have a value of their own, it says nothing about another row
_SKEWED = 3  # mean over median, from which a regression is easier as log1p
_LEAST_TIMES = 50


def describe(files: Sequence[str | Path], most: int | None = None) -> tuple[str, list[str]]:
    """The YAML that describes a table, and notes for the person who asked.

    Args:
        files: The files of the table: CSV, plain or gzipped, or Parquet. They go into the YAML as they are given here.
        most: The number of rows to look at; None: as many as is usual.

    Raises:
        FileNotFoundError: for a path without a file.
        ValueError: for a file that cannot be read.
    """
    paths = [Path(file) for file in files]
    sample = look(paths) if most is None else look(paths, most)
    proposal = propose(sample)
    notes = [f"{name}: {why.removeprefix(UNSURE)}" for name, why in proposal.why.items() if why.startswith(UNSURE)]
    if not proposal.tasks:
        notes.append("no column looks like a label: name at least one under tasks")
    roles = [role for role in (USER, ITEM) if role not in proposal.columns.values()]
    notes += [f"no column looks like the {role}'s id: without it there are no recommendations" for role in roles]
    return written(sample, proposal), notes


def propose(sample: Sample) -> Proposal:
    """A kind for every column, tasks, and a split."""
    found = Proposal()
    looks = dict(sample.columns)
    user, item = (_id_of(looks, words) for words in (_USERS, _ITEMS))
    if item == user:
        item = None
    time = _time_of(looks, {user, item})
    for name, kind in ((user, USER), (item, ITEM)):
        if name is not None:
            found.add(looks.pop(name), kind)
    if time is not None:
        _add_time(found, looks.pop(time))
    about = dict.fromkeys(sample.constant_within(user), USER)
    about |= dict.fromkeys(sample.constant_within(item), ITEM)
    for name in [name for name, one in looks.items() if _is_flag_of_rows(one, about)]:
        _add_binary(found, looks.pop(name))
    _find_parents(sample, found)
    for name, one in looks.items():
        _add(found, sample, one, about.get(name, ""), item)
    found.columns = {name: found.columns[name] for name in sample.columns if name in found.columns}
    found.split = _split(sample, found, time)
    return found


def _id_of(looks: dict[str, Look], words: set[str]) -> str | None:
    """The column whose name says that it is the id: `user_id` before `user`, before `user_key_2`."""

    def rank(one: Look) -> int:
        if not one.words or one.words[0] not in words or one.distinct < 2 or one.is_list:
            return 0
        rest = one.words[1:]
        return 3 if rest == ["id"] else 2 if not rest else 1 if rest[-1] in _IDS else 0

    best = max(looks.values(), key=rank, default=None)
    return best.name if best is not None and rank(best) else None


def _time_of(looks: dict[str, Look], taken: set[str | None]) -> str | None:
    """The column that orders the rows: a time by its values, and if it is a number by its name too."""
    fit = [
        one
        for one in looks.values()
        if one.name not in taken and one.time is not None and (one.time == "text" or _TIMES & {*one.words})
    ]
    return max(fit, key=lambda one: one.distinct).name if fit else None


def _add_time(found: Proposal, one: Look) -> None:
    if one.time == "%Y%m%d":
        found.add(one, TIME, "days as whole numbers", format=one.time)
    elif one.time == "text":
        found.add(one, TIME)
    else:
        found.add(one, TIME, "since 1970", unit=one.time)


def _is_flag_of_rows(one: Look, about: dict[str, str]) -> bool:
    """Is it 0 or 1 and differs from row to row, as what a user did?"""
    if not one.is_binary or one.name in about:
        return False
    return bool(_LABELS & {*one.words}) or not _FLAGS & {*one.words}


def _add_binary(found: Proposal, one: Look) -> None:
    sure = bool(_LABELS & {*one.words})
    rate = float(one.ones.sum() or 0) / max(len(one.known), 1)
    why = f"{rate:.1%} are 1"
    if not sure:
        why = f"{UNSURE}{why}; a label, or a feature that is known before? Then move it to columns as categorical"
    found.label(one, BINARY, why)


def _find_parents(sample: Sample, found: Proposal) -> None:
    """Orders binary labels by their rates, and names the parent of one that is never 1 without it."""
    looks = [sample.columns[name] for name in found.tasks]
    rates = {one.name: int(one.ones.sum() or 0) for one in looks}
    looks.sort(key=lambda one: -rates[one.name])
    found.tasks = {one.name: found.tasks[one.name] for one in looks}
    for place, child in enumerate(looks):
        for parent in reversed(looks[:place]):
            both, of_child = int((child.ones & parent.ones).sum() or 0), rates[child.name]
            chance = (rates[parent.name] / len(parent.values)) ** of_child
            if of_child == both and of_child < rates[parent.name] and chance < 1e-6:
                found.tasks[child.name] = {"kind": BINARY, "given": parent.name}
                found.why[child.name] += f"; never 1 where {parent.name} is not"
                break


def _add(found: Proposal, sample: Sample, one: Look, about: str, item: str | None) -> None:
    """A column that is neither an id, nor the time, nor a binary label."""
    words = {*one.words}
    if one.has_fractions:
        found.add(one, IGNORE, "vectors")
    elif one.is_list or one.list_separator is not None:
        _add_lists(found, sample, one, about, item)
    elif one.distinct <= 1:
        found.add(one, IGNORE, "one value only" if one.distinct else "no values")
    elif words & {"weight", "weights"} and one.numbers is not None and not about:
        found.add(one, IGNORE, f"{UNSURE}should a row count as much in the losses? Then weight")
    elif one.time is not None and words & _TIMES:
        found.add(one, IGNORE, "another time")
    elif one.numbers is None:
        _add_text(found, sample, one, about)
    elif one.is_whole and one.distinct > _MANY * sample.rows and words & _IDS:
        found.add(one, IGNORE, "nearly every row has a value of its own")
    elif one.is_whole and one.distinct == sample.rows and one.numbers.is_sorted():
        found.add(one, IGNORE, "it numbers the rows")
    elif not about and _is_amount(one, found, sample):
        _add_regression(found, sample, one)
    elif one.is_whole and (words & _IDS or one.distinct <= _FEW):
        found.add(one, CATEGORICAL, about=about)
    else:
        risk = "" if about else "it differs from row to row: is it known before the labels?"
        found.add(one, NUMERIC, risk, about=about)
    if _LABELS & words and _kind_of(found.columns.get(one.name)) in (CATEGORICAL, NUMERIC):
        found.why[one.name] = (
            f"{UNSURE}it is called like a label; what is known only after the exposure goes to tasks, or is ignored"
        )


def _kind_of(entry: Any) -> Any:
    return entry["kind"] if isinstance(entry, dict) else entry


def _add_lists(found: Proposal, sample: Sample, one: Look, about: str, item: str | None) -> None:
    separator: dict[str, Any] = {} if one.is_list else {"separator": one.list_separator}
    parts = one.parts(one.list_separator)
    of_items = (item is not None and parts.is_in(sample.columns[item].known.unique().to_list()).mean()) or 0.0
    if of_items > 0.5 or _SEQUENCES & {*one.words}:  # type: ignore[operator]
        shared = {"of": item} if of_items > 0.5 else {}  # type: ignore[operator]
        found.add(
            one, SEQUENCE, "the last value is the most recent", about=about, **separator, **shared, max_length=LENGTH
        )
    else:
        found.add(one, MULTI, f"{parts.n_unique()} single values", about=about, **separator)


def _mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).fill_null(0).to_numpy().mean()) if len(values) else 0.0


def _add_text(found: Proposal, sample: Sample, one: Look, about: str) -> None:
    long = _mean(one.known.str.len_chars()) > 12 and _mean(one.known.str.contains(" ")) > 0.5
    if about == ITEM and {"title", "name"} & {*one.words} and TITLE not in found.columns.values():
        found.add(one, TITLE, "what recommendations call an item")
    elif one.distinct > _MANY * sample.rows:
        found.add(one, IGNORE, "nearly every row has a value of its own")
    elif long and one.distinct > _FEW:
        found.add(one, IGNORE, "free text")
    else:
        found.add(one, CATEGORICAL, about=about)


def _is_amount(one: Look, found: Proposal, sample: Sample) -> bool:
    """Is it a quantity that came of the exposure: by its name, or by its gaps?"""
    if one.distinct <= 2:
        return False
    return (
        bool(_AMOUNTS & {*one.words})
        or _follows(one, found, sample) is not None
        or (one.missing > 0 and not one.is_whole)
    )


def _follows(one: Look, found: Proposal, sample: Sample) -> str | None:
    """The binary label on whose ones it is known, and nowhere else."""
    if not one.missing:
        return None
    known = one.values.is_not_null()
    for name in found.tasks:
        ones = sample.columns[name].ones
        if not (known & ~ones).any() and int((known & ones).sum() or 0) > 0.5 * int(ones.sum() or 0):
            return name
    return None


def _add_regression(found: Proposal, sample: Sample, one: Look) -> None:
    assert one.numbers is not None
    numbers, parent = one.numbers.drop_nulls().to_numpy(), _follows(one, found, sample)
    why = f"from {numbers.min():g} to {numbers.max():g}"
    if parent is not None:
        why += f"; only known where {parent} is 1"
    if not (_AMOUNTS - _VAGUE) & {*one.words} and parent is None:
        why = f"{UNSURE}{why}; a label, or a feature that is known before? Then move it to columns as numeric"
    options: dict[str, Any] = {}
    unit = next((_UNITS[word] for word in reversed(one.words) if word in _UNITS), None)
    if unit is not None:
        options["unit"] = unit
    mean = numbers.mean()
    if numbers.min() >= 0 and mean > max(_SKEWED * np.median(numbers), 1):
        options["transform"] = "log1p"
        why += "; heavy-tailed"
    found.label(one, REGRESSION, why, **options)


def _split(sample: Sample, found: Proposal, time: str | None) -> tuple[Any, str]:
    for one in sample.columns.values():
        values = set(one.known.str.to_lowercase().unique()) if not one.is_list and one.distinct in (2, 3) else set()
        names = {"train": {"train", "training"}, "validation": {"validation", "valid", "val", "dev"}, "test": {"test"}}
        if len(values) == 3 and all(len(values & known) == 1 for known in names.values()):
            meaning = {part: next(v for v in one.known.unique() if v.lower() in known) for part, known in names.items()}
            found.columns.pop(one.name, None)
            return {"by": "column", "column": one.name, **meaning}, "the files say it"
    if time is None:
        return RANDOM, "a tenth of the rows is validation, a tenth test; no column orders the rows in time"
    if sample.columns[time].distinct < _LEAST_TIMES or not _can_judge(sample, found, time):
        return RANDOM, "split by time where the model is to predict the future; here the last tenths could not judge"
    return {
        "by": TIME,
        "validation": SHARE,
        "test": SHARE,
    }, "the latest rows are test; `random` is the other usual choice"


def _can_judge(sample: Sample, found: Proposal, time: str) -> bool:
    """Do the last tenths of the sample have both classes of every binary label?"""
    one = sample.columns[time]
    order = (one.numbers if one.numbers is not None else one.values).arg_sort(nulls_last=True)
    tenth = sample.rows // 10
    parts = [order[-tenth:], order[-2 * tenth : -tenth], order[: -2 * tenth]]
    labels = [sample.columns[name] for name in found.tasks if sample.columns[name].is_binary]
    return tenth > 0 and all(
        label.values.gather(part).drop_nulls().n_unique() == 2 for label in labels for part in parts
    )
