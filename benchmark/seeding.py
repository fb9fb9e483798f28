"""One seed to named, independent streams of randomness, so that a change of one (dropout) does not move another (shuffle)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def derive(seed: int, *names: str) -> int:
    """The seed of the stream with these names: 63 bits, stable over versions and machines."""
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def seeded(seed: int, *names: str) -> Iterator[None]:
    """Inside, torch's global generators stand at the stream of these names; afterwards they are as they were before."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, *names))
        yield


def initialise(model: nn.Module, seed: int) -> None:
    """Draws the initial values of every module that has `reset_parameters`, each from the stream of its own name.

    A module may carry `seed_name` in place of its path: embeddings do, so that every architecture, and every copy in
    one, starts with the same table. So a change of one module does not move the initial values of another.
    """
    # children first: a module that draws for its children, as FeatureEmbedding does, has the last word
    for path, module in reversed(list(model.named_modules())):
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            with seeded(seed, "init", getattr(module, "seed_name", path)):
                reset()
