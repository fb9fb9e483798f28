"""Splits one seed into named, independent random streams, so that a change of one (dropout) does not move another (shuffle)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def derive(seed: int, *names: str) -> int:
    """The seed of the stream with these names: 63 bits, the same in all versions and on all machines."""
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *names: str) -> Iterator[None]:
    """Inside, torch's global generators use the stream with these names. Afterwards they are restored."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, *names))
        yield


def initialise(model: nn.Module, seed: int) -> None:
    """Draws the initial values of every module that has `reset_parameters`, each from its own named stream.

    So a change of one module does not move the initial values of another. The name is the module's path, or its
    `seed_name`. Embeddings have a `seed_name`, so that every architecture, and every copy in one, starts with the same
    table.
    """
    # children first, so that a module that draws for its children, as FeatureEmbedding does, overwrites them
    for path, module in reversed(list(model.named_modules())):
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            with seeded(seed, "init", getattr(module, "seed_name", path)):
                reset()
