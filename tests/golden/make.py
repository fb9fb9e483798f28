"""Freezes the golden losses anew: `python -m tests.golden.make`. Say in the commit why they moved."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from benchmark.contracts.toys import SCHEMAS, build, make_batch, training_loss
from benchmark.seeding import seeded
from benchmark.settings.registry import architectures

FILE = Path(__file__).with_name("losses.json")
STEPS = 5


def built_in() -> list[str]:
    """The architectures of this repository, without those of installed plugins."""
    return [name for name in architectures.names() if architectures.get(name).__module__.startswith("architectures.")]


def losses(name: str) -> list[float]:
    """The loss before each of five AdamW steps, each on a batch of its own."""
    wide, narrow = SCHEMAS["a funnel and a regression"], SCHEMAS["a funnel"]
    schema = wide if architectures.get(name).requires(wide) is None else narrow
    model = build(name, schema)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    values = []
    for step in range(STEPS):
        with seeded(step, "noise"):  # for models that draw some in training
            loss = training_loss(model, make_batch(schema, 64, seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(round(loss.item(), 6))
    return values


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: losses(name) for name in built_in()}, indent=1) + "\n")
