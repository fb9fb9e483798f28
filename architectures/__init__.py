"""Architectures: one file each, an ordinary `nn.Module` from a batch to one output per task.

Adding one is one file in this folder, or in an outside package with an entry point (see CONTRIBUTING.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

from torch import Tensor, nn

from benchmark.hooks import refuse_hiding
from benchmark.rows import Batch
from benchmark.schema import Auxiliary, Schema
from benchmark.settings.registry import architectures

__all__ = ["Architecture", "Auxiliary", "Batch", "Schema", "register"]

register = architectures.register


class Architecture(nn.Module):
    """Base of all architectures.

    Args:
        schema: Fields and tasks: all that an architecture may know about the data. Keyword-only parameters are the config.

    Attributes:
        shares: Can two tasks ever reach the same parameter? If not, sweeps train the plain weighting instead of weightings
            that combine gradients.
        capacity: The parameters that are layer widths, each a number or several: `match_parameters` scales them all alike.
            None: those whose names end in `_dims`, and in `_dim` but for embeddings. Empty: the size is fixed.

    Raises:
        ValueError: if an attribute is given the name of a method, `self.gates = ...`.
    """

    shares: ClassVar[bool] = True
    capacity: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.schema = schema

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_hiding(self, name, value)
        super().__setattr__(name, value)

    @classmethod
    def requires(cls, schema: Schema) -> str | None:
        """Why this architecture does not suit the schema ("needs a funnel: ..."), or None if it does."""
        return None

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{task: (B,)}: the logit of p(label = 1 | exposure), for a funnel child too (the joint); a regression's value.

        Regression values are in units of the standardised target. A task of K > 1 outputs has (B, K). Must not read
        `batch.labels`.
        """
        raise NotImplementedError

    def training_step(self, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Auxiliary]]:
        """Outputs and extra losses by name; overridden only where there are some."""
        return self(batch), {}

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within, no parameter changes and no gradient is asked for: what layers make of parameters alone is made once."""
        with ExitStack() as stack:
            for module in self.modules():
                if module is not self and callable(frozen := getattr(module, "frozen", None)):
                    stack.enter_context(frozen())
            yield

    def gates(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """{gate: {expert: (B,) weight}} of the gates that feed the towers, for reports; empty without gates.

        A gate is named by its task (or tasks, joined by "+").
        """
        return {}
