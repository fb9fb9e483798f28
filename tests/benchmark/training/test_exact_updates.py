"""The gradient engine against `torch.autograd` on the explicit weighted sum, in float64, on real architectures and a tied toy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from architectures import Architecture, Batch
from architectures.layers import FeatureEmbedding, MLPs, Towers
from benchmark.contracts.toys import CART, CLICK, LIKE, SECONDS, build, make_batch, make_schema
from benchmark.schema import Schema
from benchmark.training.gradients import GradientEngine
from benchmark.training.targets import TaskLosses
from benchmark.weightings import GramWeighting
from tests.toys import with_columns

WEIGHTS = (0.3, 2.5, 0.0)


class Given(GramWeighting):
    """Given weights for tasks with a label; keeps the Gram matrix."""

    def weights(self, gram_AA: Tensor, losses_A: Tensor, active_T: Tensor) -> Tensor:
        return torch.tensor(WEIGHTS[: len(self.tasks)], dtype=torch.float64)[active_T]


class Tied(Architecture):
    """A shared bottom whose logits also read the embedding table itself, beside its lookups."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, 4)
        self.bottom = MLPs(1, self.embedding.output_dim, (8,))
        self.towers = Towers(schema.tasks, 8, (4,))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_B1H,) = self.embedding(batch).linear(self.bottom.first)
        outputs = self.towers(self.bottom.after_first(first_B1H).expand(-1, len(self.schema.tasks), -1))
        tied = self.embedding.small.weight.square().sum()
        return {task: output + tied for task, output in outputs.items()}


SHARED = make_schema(LIKE, SECONDS, cardinalities=(2, 9, 40), num_numeric=2)
FUNNEL = make_schema(CLICK, CART, SECONDS, cardinalities=(2, 9, 40), num_numeric=2)
MODELS: dict[str, tuple[Schema, Callable[[Schema], Any]]] = {
    "mmoe": (SHARED, lambda schema: build("mmoe", schema)),
    "ple": (SHARED, lambda schema: build("ple", schema)),
    "aitm": (FUNNEL, lambda schema: build("aitm", schema)),
    "stem": (SHARED, lambda schema: build("stem", schema)),
    "tied": (SHARED, Tied),
}


def losses_of(
    model: nn.Module, batch: Batch, schema: Schema
) -> tuple[Tensor, Tensor, Tensor | None, dict[str, Tensor]]:
    outputs, auxiliaries = model.training_step(batch)  # type: ignore[operator]
    return *TaskLosses(schema.tasks, (False,) * len(schema.tasks))(outputs, auxiliaries, batch), outputs


@pytest.mark.parametrize("missing", ["none", "some", "a task"])
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("scope", ["trunk", "all", "representation"])
@pytest.mark.parametrize("name", MODELS)
def test_the_update_is_that_of_the_explicit_weighted_sum(name: str, scope: str, heads: str, missing: str) -> None:
    torch.manual_seed(0)
    schema, make = MODELS[name]
    model = make(schema).double().train()
    batch = make_batch(schema, 64)
    batch = replace(with_columns(batch, numeric=batch.numeric.double()), labels=batch.labels.double())
    if missing != "none":
        observed = batch.observed.clone()
        observed[:, -1] &= torch.rand(64) < (0.5 if missing == "some" else 0.0)
        batch = replace(batch, observed=observed)
    weighting = Given(schema.tasks, scope=scope, head_gradients=heads)  # type: ignore[arg-type]
    engine = GradientEngine(model, weighting)
    for _ in range(2):  # the second step is one that has been looked for
        losses_T, active_T, extra, outputs = losses_of(model, batch, schema)
        engine.backward(losses_T, active_T, extra, outputs)
    found = {key: parameter.grad for key, parameter in model.named_parameters()}

    losses_T, active_T, extra, outputs = losses_of(model, batch, schema)
    active = active_T.nonzero().flatten().tolist()
    parameters = dict(model.named_parameters())
    per_task = [
        torch.autograd.grad(losses_T[t], list(parameters.values()), retain_graph=True, materialize_grads=True)
        for t in active
    ]
    reaching = [
        torch.autograd.grad(output.square().sum(), list(parameters.values()), retain_graph=True, materialize_grads=True)
        for output in outputs.values()
    ]
    added = (
        [torch.zeros_like(p) for p in parameters.values()]
        if extra is None
        else torch.autograd.grad(extra, list(parameters.values()), materialize_grads=True)
    )
    for number, key in enumerate(parameters):
        is_shared = sum(bool(gradients[number].any()) for gradients in reaching) > 1
        factors = WEIGHTS if is_shared or heads == "weighted" else (1.0,) * len(WEIGHTS)
        expected = added[number] + sum(
            factors[t] * gradients[number] for t, gradients in zip(active, per_task, strict=True)
        )
        torch.testing.assert_close(found[key], expected, rtol=1e-10, atol=1e-12, msg=key)


@pytest.mark.parametrize("scope", ["trunk", "representation"])
@pytest.mark.parametrize("name", ["mmoe", "ple", "embedding_sum"])
def test_the_gram_matrix_of_the_fast_first_layer_is_that_of_the_plain_one(name: str, scope: str) -> None:
    grams = []
    for is_fast in (True, False):
        torch.manual_seed(0)
        model = build(name, SHARED).double().train()
        for module in model.modules():
            if isinstance(module, FeatureEmbedding):
                module.factored = is_fast
        batch = make_batch(SHARED, 64)
        batch = replace(with_columns(batch, numeric=batch.numeric.double()), labels=batch.labels.double())
        engine = GradientEngine(model, Given(SHARED.tasks, scope=scope))  # type: ignore[arg-type]
        losses_T, active_T, extra, outputs = losses_of(model, batch, SHARED)
        engine.backward(losses_T, active_T, extra, outputs)
        grams.append(engine.gram_TT)
    assert grams[0] is not None
    torch.testing.assert_close(grams[0], grams[1], rtol=1e-10, atol=0)
