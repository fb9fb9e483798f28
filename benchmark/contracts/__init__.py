"""Contracts: rules for every architecture, weighting and data set, ours or from another package.

    from benchmark.contracts import cases
    for case in cases("architecture", "film_bottom"):
        case.check()

Each has a sentence, a check, and an error that says what was expected, what was found and what to do. They do not need
pytest.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.contracts import architectures, datasets, weightings
from benchmark.contracts.expectation import Broken, Case, NotApplicable
from benchmark.text import unknown

__all__ = ["GROUPS", "Broken", "Case", "NotApplicable", "cases"]

GROUPS = {
    "architecture": architectures.contracts,
    "weighting": weightings.contracts,
    "dataset": datasets.contracts,
}


def cases(group: str, name: str) -> Iterator[Case]:
    """The contracts of one entry of a registry.

    Args:
        group: architecture, weighting or dataset.
        name: Its registered name.

    Raises:
        ValueError: for an unknown group or name.
    """
    if group not in GROUPS:
        raise ValueError(unknown("group of contracts", group, GROUPS))
    yield from GROUPS[group].cases(name)
