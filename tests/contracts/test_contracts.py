"""Every registered architecture, weighting and data set keeps to its contracts, those of installed plugins too."""

from __future__ import annotations

import pytest

from benchmark.contracts import GROUPS, Case, NotApplicable, cases
from benchmark.settings.registry import REGISTRIES

CASES = [
    pytest.param(case, id=f"{name}, {case}")
    for group in GROUPS
    for name in REGISTRIES[group].names()
    for case in cases(group, name)
]


@pytest.mark.parametrize("case", CASES)
def test_contract(case: Case) -> None:
    try:
        case.check()
    except NotApplicable as reason:
        pytest.skip(str(reason))
