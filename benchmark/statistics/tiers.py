"""Tiers: groups of methods that cannot be told apart, the best group first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from benchmark.statistics.arms import Arms
from benchmark.statistics.comparison import Comparison, Endpoint
from benchmark.statistics.verdicts import Family, judge, unranked


def all_pairs(
    rows: Mapping[str, Mapping[Any, float]],
    endpoint: Endpoint,
    *,
    expected: Collection[Any] | None = None,
    excluded: Mapping[str, str] | None = None,
    paired: bool = False,
    test_train_ratio: float = 0.0,
    alpha: float = 0.05,
    looks: int = 1,
) -> Family:
    """Every method against every other on one endpoint, as one family.

    Args: as `against_baseline`; `rows` are the values of the endpoint, {method: {pair: value}}.
    """
    assert paired or not test_train_ratio, "runs with test rows of their own are paired"
    out = unranked(endpoint.metric, rows, excluded or {}, expected)
    ranked = sorted(method for method, row in rows.items() if row and method not in out)
    arms = None if paired else Arms({method: row.values() for method, row in rows.items() if row}, out)
    asked = [
        Comparison.of(
            endpoint, one, rows[one], other, rows[other],
            contrast=arms.contrast({one: 1, other: -1}) if arms is not None else None,
            test_train_ratio=test_train_ratio,
        )
        for one, other in combinations(ranked, 2)
    ]  # fmt: skip
    return judge(asked, alpha=alpha, looks=looks)


def tiers(ordered: Sequence[str], apart: Collection[frozenset[str]]) -> tuple[tuple[str, ...], ...]:
    """The methods in tiers. The best remaining method leads each tier, and no two members of a tier differ.

    Remaining methods join in order, the best first. A method that differs from a member waits for the next tier, even
    if it differs from no other member.

    >>> tiers(["a", "b", "c"], {frozenset("ac")})
    (('a', 'b'), ('c',))

    Args:
        ordered: Methods, the best first.
        apart: The pairs with a difference.
    """
    found, left = [], list(ordered)
    while left:
        members: list[str] = []
        for method in left:
            if all(frozenset((member, method)) not in apart for member in members):
                members.append(method)
        found.append(tuple(members))
        left = [method for method in left if method not in members]
    return tuple(found)
