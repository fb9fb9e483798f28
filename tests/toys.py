"""What tests of architectures ask of a model, beside the contracts."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from architectures import Architecture, Batch
from architectures.layers import FeatureEmbedding
from benchmark.contracts.toys import LIKE, SHARE, make_schema
from benchmark.training.gradients import reach

C0 = make_schema(LIKE, SHARE, cardinalities=(5, 5, 5, 5), num_numeric=0)  # with embedding_dim 8: D = 32


def count_parameters(model: Architecture) -> int:
    """Without embedding tables."""
    embeddings = [module for module in model.modules() if isinstance(module, FeatureEmbedding)]
    return sum(p.numel() for p in model.parameters()) - sum(p.numel() for e in embeddings for p in e.parameters())


def reached_by(model: Architecture, batch: Batch) -> dict[str, str]:
    """{parameter: "like share", the tasks whose output sends it a gradient}, as the gradient engine sees it."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    reached_PT = reach(model(batch), parameters)
    tasks = model.schema.task_names
    return {
        name: " ".join(task for task, is_reached in zip(tasks, row, strict=True) if is_reached)
        for name, row in zip(names, reached_PT.tolist(), strict=True)
    }


def assert_reach(model: Architecture, batch: Batch, expected: dict[str, str]) -> None:
    """Every parameter's tasks are those of the first pattern that its name matches as a whole."""
    for parameter, tasks in reached_by(model, batch).items():
        (pattern,) = [pattern for pattern in expected if re.fullmatch(pattern, parameter)]
        assert tasks == expected[pattern], parameter


def swap_two(state: dict[str, Tensor], *patterns: str) -> dict[str, Tensor]:
    """The state with units 0 and 1 swapped, where a pattern's one group finds the unit's number in a name."""
    swapped = {}
    for name, value in state.items():
        found = [match for pattern in patterns if (match := re.match(pattern, name))]
        if found and found[0][1] in ("0", "1"):
            start, end = found[0].span(1)
            name = f"{name[:start]}{1 - int(found[0][1])}{name[end:]}"
        swapped[name] = value
    return swapped


def assert_equal_outputs(first: dict[str, Tensor], second: dict[str, Tensor], tolerance: float = 1e-6) -> None:
    """Equal tasks, and equal values up to rounding."""
    torch.testing.assert_close(first, second, rtol=tolerance, atol=tolerance)
