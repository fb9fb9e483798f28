"""The embedding tables of a model, and the large ones among them."""

from __future__ import annotations

from torch import nn


def embeddings(model: nn.Module) -> list[nn.Embedding]:
    """All embedding tables: weight decay and the scope of gradient weightings treat their parameters apart."""
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]


def large_tables(model: nn.Module) -> list[nn.Embedding]:
    """Tables with a true attribute `is_large`, as in `architectures.layers.EmbeddingTable`: they may have their own optimizer."""
    return [table for table in embeddings(model) if getattr(table, "is_large", False)]
