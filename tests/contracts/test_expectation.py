"""What a broken contract says of two values that differ."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from benchmark.contracts.expectation import Broken, expect_close


def difference(found: Any, wanted: Any) -> str:
    """What is said of the difference; empty if there is none."""
    try:
        expect_close(found, wanted, "the same", "Keep it")
    except Broken as error:
        return str(error).removeprefix("expected the same; found ").removesuffix(". Keep it.")
    return ""


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]), "2 and not 4 (2 apart)"),
        ({"like": torch.tensor([1.0])}, {"like": torch.tensor([1.5])}, "1 and not 1.5 for like (0.5 apart)"),
        ({"like": torch.ones(1)}, {"share": torch.ones(1)}, "like and not share"),
        ({"method": "adam", "steps": [3]}, {"method": "sgd", "steps": [3]}, "'adam' and not 'sgd' for method"),
        ({"method": "sgd"}, {"method": "sgd"}, ""),
        ([torch.ones(1)], [torch.ones(1), torch.ones(1)], "1 values and not 2"),
        ({"steps": (1, 2)}, {"steps": ()}, "2 values and not 0 for steps"),
    ],
)
def test_the_difference_is_named(found: Any, wanted: Any, told: str) -> None:
    assert difference(found, wanted) == told


@pytest.mark.parametrize("equal", [math.nan, math.inf, -math.inf])
def test_equal_values_without_a_size_are_no_difference(equal: float) -> None:
    assert difference(torch.tensor([equal, 1.0]), torch.tensor([equal, 1.0])) == ""
    assert difference(torch.tensor([equal, 1.0]), torch.tensor([equal, 3.0])) == "1 and not 3 (2 apart)"
    assert difference(torch.tensor([equal, 1.0]), torch.tensor([0.0, 3.0])) == f"{equal:g} and not 0"
