"""Single task: the baseline that every gain is measured against.

Axes: B batch, D input, H hidden, T tasks.
"""

from __future__ import annotations

from torch import Tensor, nn

from architectures import Architecture, Batch, Schema, register
from architectures.layers import FeatureEmbedding, MLPs, Towers, Units
from benchmark.schema import Task


@register("single_task")
class SingleTask(Architecture):
    r"""One separate network per task: nothing is shared, not even the embedding.

    Tang, Liu, Zhao, Gong: Progressive Layered Extraction, RecSys 2020, doi 10.1145/3383313.3412236, section 5.1, where it
    is the reference of the multi-task gain: the same network, trained for one task alone.

    $$
    y_k = h_k(f_k(x_k))
    $$

    - $x_k$ (D,): the input, embedded by tables that belong to task $k$; they start alike in all tasks;
    - $f_k$: an MLP with ReLU after its last layer too; $h_k$: the tower.

    No task reaches a parameter of another, so weightings that work on shared gradients have nothing to do.

    Args:
        schema: Fields and tasks.
        embedding_dim: Width of a field's embedding, in each task's tables.
        hidden_dims: Layer widths of the MLP; those of shared_bottom, so that the two differ by sharing alone.
        tower_dims: Hidden widths of the tower.
        dropout: On every hidden layer.

    Shape:
        batch of B rows -> {task: (B,)}.

    Differs from other implementations:
        Some models of such a name share the embedding (EasyRec's simple_multi_task). Here the networks train side by side
        and stop together; `metrics_per_task` in the record has each at its own best epoch.
    """

    shares = False
    capacity = ("hidden_dims", "tower_dims")

    def __init__(
        self,
        schema: Schema,
        *,
        embedding_dim: int = 16,
        hidden_dims: tuple[int, ...] = (512, 64),
        tower_dims: tuple[int, ...] = (32,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(schema)
        self.networks = Units(
            Network(schema, task, embedding_dim, hidden_dims, tower_dims, dropout) for task in schema.tasks
        )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        return {task: value for network in self.networks for task, value in network(batch).items()}


class Network(nn.Module):
    """One task's embedding, hidden layers and tower."""

    def __init__(
        self,
        schema: Schema,
        task: Task,
        embedding_dim: int,
        hidden_dims: tuple[int, ...],
        tower_dims: tuple[int, ...],
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.hidden = MLPs(1, self.embedding.output_dim, hidden_dims, dropout)
        self.tower = Towers((task,), self.hidden.output_dim, tower_dims, dropout)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """{task: output} of this one task."""
        (first_B1H,) = self.embedding(batch).linear(self.hidden.first)
        return self.tower(self.hidden.after_first(first_B1H))
