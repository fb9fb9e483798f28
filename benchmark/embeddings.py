"""The embedding tables of a model, and the large ones among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

from torch import Tensor, nn

EMBEDDING_STD = 0.05  # N(0, 1), torch's default, costs .05 MSE on MovieLens


class Link(NamedTuple):
    """A tensor of a forward at which the gradients of tasks are compared, or passed on to the embedding tables.

    Args:
        owner: Links of one owner read the same embedded inputs, so their gradients add up.
        tensor: The tensor, of a forward with graph.
        to_inputs: Makes its gradient its part of the gradient that is compared, (B, D): that of the embedded inputs. None: it
            adds nothing.
        feeds_tables: Does a backward from the gradients of all such links give the tables' gradients?
        rows_of: The table, if the tensor stands for the rows of it that the batch reads, each once.
    """

    owner: object
    tensor: Tensor
    to_inputs: Callable[[Tensor], Tensor] | None
    feeds_tables: bool = True
    rows_of: nn.Embedding | None = None


class LinkedEmbedding(Protocol):
    """A module that keeps the links of its forward in a list, if it is given one: `architectures.layers.FeatureEmbedding`."""

    links: list[Link] | None

    @property
    def tables(self) -> tuple[nn.Embedding, ...]:
        """The tables behind the links."""


def linked_embeddings(model: nn.Module) -> list[LinkedEmbedding]:
    """Modules that can keep the links of a forward: those with an attribute `links`."""
    return [cast(LinkedEmbedding, module) for module in model.modules() if "links" in vars(module)]


def embeddings(model: nn.Module) -> list[nn.Embedding]:
    """All embedding tables: weight decay and the scope of gradient weightings treat their parameters apart."""
    return [module for module in model.modules() if isinstance(module, nn.Embedding)]


def embedding_parameters(model: nn.Module) -> int:
    """How many of the parameters are in embedding tables. A table that several modules share counts once."""
    return sum({id(table.weight): table.weight.numel() for table in embeddings(model)}.values())


def large_tables(model: nn.Module) -> list[nn.Embedding]:
    """Tables with a true attribute `is_large`, as in `architectures.layers.EmbeddingTable`: they may have their own optimizer."""
    return [table for table in embeddings(model) if getattr(table, "is_large", False)]
