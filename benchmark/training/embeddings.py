"""Which modules of a model are embedding tables, and which of these are large."""

from __future__ import annotations

from torch import nn


def embeddings(model: nn.Module) -> list[nn.Embedding]:
    """All embedding tables: weight decay and the scope of gradient weightings treat their parameters apart."""
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]


def large_tables(model: nn.Module) -> list[nn.Embedding]:
    """Those that say so by an attribute `is_large`, as `architectures.layers.EmbeddingTable` does: they may have an own optimizer."""
    return [table for table in embeddings(model) if getattr(table, "is_large", False)]
