"""Histories against a slow loop, and attempts to find a leak in them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.datasets import history as history_module
from benchmark.datasets.history import Histories, check_history, history
from benchmark.datasets.table import LEFT_OUT, TEST, TRAIN, VALIDATION

Log = tuple[list[Any], list[Any], list[Any], list[int]]


def draw(seed: int, rows: int = 300) -> Log:
    """A log in no order, with ties in time, users and items that are unknown, and rows of every split."""
    rng = np.random.default_rng(seed)
    user = [None if u == 7 else int(u) for u in rng.integers(0, 8, rows)]
    item = [None if i == 0 else f"item {i}" for i in rng.integers(0, 12, rows)]
    time = rng.integers(0, 60, rows).tolist()
    split = rng.choice([TRAIN, TRAIN, TRAIN, VALIDATION, TEST, LEFT_OUT], rows).tolist()
    return user, item, time, split


def slow(log: Log, length: int, *, is_latest: bool = False) -> list[list[Any]]:
    found = []
    for its_user, _, its_time, _ in zip(*log, strict=True):
        earlier = [
            (time, place, item)
            for place, (user, item, time, split) in enumerate(zip(*log, strict=True))
            if user is not None
            and user == its_user
            and item is not None
            and split == TRAIN
            and (is_latest or time < its_time)
        ]
        found.append([item for _, _, item in sorted(earlier, key=lambda known: known[:2])][-length:])
    return found


def as_lists(found: Histories) -> list[list[Any]]:
    return [row or [] for row in found[:].to_list()]


@pytest.mark.parametrize("at_once", [7, 1 << 16])
@pytest.mark.parametrize("is_latest", [False, True])
@pytest.mark.parametrize("length", [1, 3, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_a_slow_loop_finds(
    seed: int, length: int, is_latest: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "AT_ONCE", at_once)
    log = draw(seed)
    found, expected = replace(history(*log, length), is_latest=is_latest), slow(log, length, is_latest=is_latest)
    assert as_lists(found) == expected
    assert len(found) == len(expected)
    rows = np.random.default_rng(seed).integers(0, 300, 40)
    assert [row or [] for row in found[rows].to_list()] == [expected[row] for row in rows]
    assert [row or [] for row in found[13:50].to_list()] == expected[13:50]
    assert len(found[:0]) == 0


@pytest.mark.parametrize("seed", range(4))
def test_nothing_of_its_own_time_or_later_nor_of_validation_or_test_is_in_it(seed: int) -> None:
    """Every row's item says its user, its time and its split, so a leak would show in what a history holds."""
    user, _, time, split = draw(seed, 600)
    item = [f"{user[row]} {time[row]} {split[row]} {row}" for row in range(len(user))]
    longest = 0
    for row, found in enumerate(as_lists(history(user, item, time, split, 20))):
        for entry in found:
            its_user, its_time, its_split, its_row = entry.split(" ")
            assert its_user == str(user[row])
            assert int(its_time) < time[row]
            assert int(its_split) == TRAIN
            assert int(its_row) != row
        assert [int(entry.split(" ")[1]) for entry in found] == sorted(int(entry.split(" ")[1]) for entry in found)
        longest = max(longest, len(found))
    assert longest == 20


@pytest.mark.parametrize("seed", range(3))
def test_what_happens_at_a_rows_time_or_later_changes_no_history_before_it(seed: int) -> None:
    user, item, time, split = draw(seed)
    before = as_lists(history(user, item, time, split, 5))
    rng = np.random.default_rng(seed)
    for now in (10, 30, 50):
        later = [t >= now for t in time]
        changed = [f"other {rng.integers(99)}" if is_later else i for i, is_later in zip(item, later, strict=True)]
        after = as_lists(history(user, changed, time, split, 5))
        assert [row for row, t in zip(before, time, strict=True) if t <= now] == [
            row for row, t in zip(after, time, strict=True) if t <= now
        ]


def test_held_out_rows_change_no_history() -> None:
    user, item, time, split = draw(0)
    changed = [i if s == TRAIN else "other" for i, s in zip(item, split, strict=True)]
    assert as_lists(history(user, changed, time, split, 9)) == as_lists(history(user, item, time, split, 9))


@pytest.mark.parametrize("kind", [float, np.datetime64])
def test_times_may_be_of_any_sort(kind: Any) -> None:
    user, item, time, split = draw(0)
    times = [t / 7 for t in time] if kind is float else np.array(time).astype("datetime64[ms]")
    assert as_lists(history(user, item, times, split, 4)) == slow((user, item, time, split), 4)


def test_a_log_without_train_rows_has_no_history() -> None:
    assert as_lists(history([1, 1], [2, 3], [0, 1], [TEST, TEST], 4)) == [[], []]


def test_without_times_an_error_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"dataset.history=20 needs the time of every row, and these files have none; leave"
    ):
        history([1], [1], None, [TRAIN], 20)
    for times in ([1, None], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="needs the time of every row, found 1 rows without one"):
            history([1, 1], [1, 1], times, [TRAIN, TRAIN], 20)


def test_a_negative_length_is_refused() -> None:
    check_history(0)
    with pytest.raises(ValueError, match=r"dataset.history must be at least 0, found -1"):
        check_history(-1)
    with pytest.raises(ValueError, match=r"dataset.history must be at least 1, found 0"):
        history([1], [1], [1], [TRAIN], 0)
