"""What `debug=true` makes of a run: two steps on few rows, so that a configuration is tried in seconds. T tasks."""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmark.datasets import Data
from benchmark.rows import Split

STEPS = 2
"""The most updates of a run."""
MOST_ROWS = 1_000
"""The most rows of a split."""
TRIALS = 2
"""The most trials of a search."""
_EACH = 20  # rows with the lowest and with the highest label of each task


def reduced(data: Data, batch_size: int) -> Data:
    """The data with at most a thousand rows a split, of train as many as two steps take.

    What is known of all rows alone is left out: the facts, and what a perfect model reaches on test.

    Args:
        data: As prepared. Its arrays stay what they are; fingerprint and schema are theirs.
        batch_size: Rows of a step.
    """
    return dataclasses.replace(
        data,
        train=_fewer(data, data.train, min(MOST_ROWS, STEPS * batch_size)),
        validation=_fewer(data, data.validation, MOST_ROWS),
        test=_fewer(data, data.test, MOST_ROWS),
        facts={},
        best_reachable=None,
    )


def _fewer(data: Data, split: Split, most: int) -> Split:
    """At most this many rows: first both ends of every task's labels, so that each can be judged, then others."""
    if len(split) <= most:
        return split
    ends = []
    for label in split.labels.T:
        observed = np.flatnonzero(~np.isnan(label))
        if len(observed):
            values = label[observed]
            ends += [observed[values == end][:_EACH] for end in (values.min(), values.max())]
    rows = np.concatenate([*ends, _preferred(data, split)])
    _, first = np.unique(rows, return_index=True)
    chosen = np.sort(rows[np.sort(first)[:most]])
    return split.take(chosen)


def _preferred(data: Data, split: Split) -> np.ndarray:
    """All rows, in the order in which they are taken: those of the users with the most of them, else at random."""
    users = data.users(split)
    if users is None:
        return np.random.default_rng(0).permutation(len(split))
    _, number, counts = np.unique(users, return_inverse=True, return_counts=True)
    return np.argsort(-counts[number], kind="stable")
