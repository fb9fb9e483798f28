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
from benchmark.contracts.toys import CART, CLICK, LIKE, LISTS, SECONDS, build, make_batch, make_schema
from benchmark.schema import Schema
from benchmark.training.gradients import GradientEngine
from benchmark.training.targets import TaskLosses
from benchmark.weightings import GramWeighting, JacobianWeighting
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
# sequences read the item's table beside its lookups, by their mean and by attention of the row's item
WITH_LISTS = make_schema(LIKE, SECONDS, cardinalities=(2, 5, 40), num_numeric=1, others=LISTS)
FUNNEL_WITH_LISTS = make_schema(CLICK, CART, SECONDS, cardinalities=(2, 5, 40), num_numeric=0, others=LISTS)


class TwoEmbeddings(Architecture):
    """A shared bottom on one embedding, and a shared linear term on another, whose tables are tied by a small penalty."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.deep, self.wide = FeatureEmbedding(schema, 4), FeatureEmbedding(schema, 3)
        self.bottom = MLPs(1, self.deep.output_dim, (8,))
        self.term = nn.Linear(self.wide.output_dim, 1)
        self.towers = Towers(schema.tasks, 8, (4,))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """See `Architecture.forward`."""
        (first_B1H,) = self.deep(batch).linear(self.bottom.first)
        (term_B1,) = self.wide(batch).linear(self.term)
        outputs = self.towers(self.bottom.after_first(first_B1H).expand(-1, len(self.schema.tasks), -1))
        penalty = 1e-6 * self.wide.small.weight.square().sum()
        return {task: output + term_B1[:, 0] + penalty for task, output in outputs.items()}


MODELS: dict[str, tuple[Schema, Callable[[Schema], Any]]] = {
    "mmoe": (SHARED, lambda schema: build("mmoe", schema)),
    "ple": (SHARED, lambda schema: build("ple", schema)),
    "aitm": (FUNNEL, lambda schema: build("aitm", schema)),
    "stem": (SHARED, lambda schema: build("stem", schema)),
    "tied": (SHARED, Tied),
    "two embeddings": (SHARED, TwoEmbeddings),
    "mmoe with lists": (WITH_LISTS, lambda schema: build("mmoe", schema)),
    "stem with lists": (WITH_LISTS, lambda schema: build("stem", schema)),
    "embedding_sum with lists": (WITH_LISTS, lambda schema: build("embedding_sum", schema)),
    "aitm with lists": (FUNNEL_WITH_LISTS, lambda schema: build("aitm", schema)),
}


def losses_of(
    model: nn.Module, batch: Batch, schema: Schema
) -> tuple[Tensor, Tensor, Tensor | None, dict[str, Tensor]]:
    outputs, auxiliaries = model.training_step(batch)  # type: ignore[operator]
    return *TaskLosses(schema.tasks, (False,) * len(schema.tasks))(outputs, auxiliaries, batch), outputs


def double_batch(schema: Schema, size: int) -> Batch:
    batch = make_batch(schema, size)
    return replace(with_columns(batch, numeric=batch.numeric.double()), labels=batch.labels.double())


def update(engine: GradientEngine, model: nn.Module, batch: Batch, schema: Schema) -> dict[str, Tensor | None]:
    """One step of the engine: {parameter: gradient}."""
    engine.begin()
    engine.backward(*losses_of(model, batch, schema))
    return {key: parameter.grad for key, parameter in model.named_parameters()}


def explicit(model: nn.Module, batch: Batch, schema: Schema, heads: str) -> dict[str, Tensor]:
    """The same by autograd on every task's loss alone."""
    losses_T, active_T, extra, outputs = losses_of(model, batch, schema)
    active = active_T.nonzero().flatten().tolist()
    parameters = dict(model.named_parameters())

    def gradients(total: Tensor | None) -> tuple[Tensor, ...]:
        if total is None:
            return tuple(torch.zeros_like(p) for p in parameters.values())
        return torch.autograd.grad(total, list(parameters.values()), retain_graph=True, materialize_grads=True)

    per_task = [gradients(losses_T[t]) for t in active]
    reaching = [gradients(output.square().sum()) for output in outputs.values()]
    found = {}
    for number, (key, added) in enumerate(zip(parameters, gradients(extra), strict=True)):
        is_shared = sum(bool(of_task[number].any()) for of_task in reaching) > 1
        factors = WEIGHTS if is_shared or heads == "weighted" else (1.0,) * len(WEIGHTS)
        found[key] = added + sum(factors[t] * of_task[number] for t, of_task in zip(active, per_task, strict=True))
    return found


def assert_same(found: dict[str, Tensor | None], expected: dict[str, Tensor]) -> None:
    for key, value in expected.items():
        torch.testing.assert_close(
            found[key], value, rtol=1e-10, atol=1e-12, msg=lambda text, key=key: f"{key}: {text}"
        )


@pytest.mark.parametrize("missing", ["none", "some", "a task"])
@pytest.mark.parametrize("heads", ["own", "weighted"])
@pytest.mark.parametrize("scope", ["trunk", "all", "representation", "output"])
@pytest.mark.parametrize("name", MODELS)
def test_the_update_is_that_of_the_explicit_weighted_sum(name: str, scope: str, heads: str, missing: str) -> None:
    torch.manual_seed(0)
    schema, make = MODELS[name]
    model = make(schema).double().train()
    batch = double_batch(schema, 64)
    if missing != "none":
        observed = batch.observed.clone()
        observed[:, -1] &= torch.rand(64) < (0.5 if missing == "some" else 0.0)
        batch = replace(batch, observed=observed)
    engine = GradientEngine(model, Given(schema.tasks, scope=scope, head_gradients=heads))  # type: ignore[arg-type]
    update(engine, model, batch, schema)
    assert_same(update(engine, model, batch, schema), explicit(model, batch, schema, heads))


@pytest.mark.parametrize("weights", [(0.0, 2.5, 0.0), (1e-9, 0.0, -1.0)])
@pytest.mark.parametrize("scope", ["representation", "output"])
@pytest.mark.parametrize("name", ["mmoe", "aitm"])
def test_tasks_without_weight_keep_the_gradients_of_their_own_parameters(
    name: str, scope: str, weights: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "WEIGHTS", weights)
    torch.manual_seed(0)
    model, batch = MODELS[name][1](FUNNEL).double().train(), double_batch(FUNNEL, 64)
    engine = GradientEngine(model, Given(FUNNEL.tasks, scope=scope))  # type: ignore[arg-type]
    assert_same(update(engine, model, batch, FUNNEL), explicit(model, batch, FUNNEL, "own"))


@pytest.mark.parametrize(
    "sizes", [(1024, 1024, 1024, 1024, 100), (64, 64, 64, 64, 5), (64, 64, 64, 64, 1, 64, 64, 5, 64)]
)
@pytest.mark.parametrize("scope", ["trunk", "representation", "output"])
@pytest.mark.parametrize("name", ["mmoe", "stem", "two embeddings"])
def test_it_is_so_for_batches_of_any_size_in_turn(name: str, scope: str, sizes: tuple[int, ...]) -> None:
    """The first layer is another one at each size, and the last batch of an epoch is smaller."""
    torch.manual_seed(0)
    schema = make_schema(LIKE, SECONDS, cardinalities=(2, 9, 40, 300), num_numeric=2)
    model = MODELS[name][1](schema).double().train()
    engine = GradientEngine(model, Given(schema.tasks, scope=scope))  # type: ignore[arg-type]
    for size in sizes:
        batch = double_batch(schema, size)
        assert_same(update(engine, model, batch, schema), explicit(model, batch, schema, "own"))


class Sum(JacobianWeighting):
    """The plain sum, as a method that combines the gradients themselves."""

    def combine(self, gradients_AP: Tensor, losses_A: Tensor, active_T: Tensor, sizes: tuple[int, ...]) -> Tensor:
        return gradients_AP.sum(dim=0)


@pytest.mark.parametrize("scope", ["trunk", "all", "representation"])
@pytest.mark.parametrize("name", MODELS)
def test_a_jacobian_method_that_sums_is_training_on_the_sum(name: str, scope: str) -> None:
    torch.manual_seed(0)
    schema, make = MODELS[name]
    model, batch = make(schema).double().train(), double_batch(schema, 64)
    engine = GradientEngine(model, Sum(schema.tasks, scope=scope))  # type: ignore[arg-type]
    update(engine, model, batch, schema)
    found = update(engine, model, batch, schema)
    losses_T, _, extra, _ = losses_of(model, batch, schema)
    total = losses_T.sum() if extra is None else losses_T.sum() + extra
    parameters = dict(model.named_parameters())
    expected = torch.autograd.grad(total, list(parameters.values()), materialize_grads=True)
    assert_same(found, dict(zip(parameters, expected, strict=True)))
    torch.testing.assert_close(engine.weighting.last_weights_T, torch.ones(len(schema.tasks)))


def test_an_earlier_forward_leaves_no_links() -> None:
    torch.manual_seed(0)
    model, batch = build("mmoe", SHARED).double().train(), double_batch(SHARED, 64)
    engine = GradientEngine(model, Given(SHARED.tasks))
    model.training_step(batch)
    assert_same(update(engine, model, batch, SHARED), explicit(model, batch, SHARED, "own"))


@pytest.mark.parametrize("scope", ["trunk", "representation"])
@pytest.mark.parametrize("name", ["mmoe", "ple", "embedding_sum", "shared_bottom"])
def test_the_gram_matrix_of_the_fast_first_layer_is_that_of_the_plain_one(name: str, scope: str) -> None:
    grams = []
    for is_fast in (True, False):
        torch.manual_seed(0)
        model = build(name, SHARED).double().train()
        for module in model.modules():
            if isinstance(module, FeatureEmbedding):
                module.factored = is_fast
        engine = GradientEngine(model, Given(SHARED.tasks, scope=scope))  # type: ignore[arg-type]
        update(engine, model, double_batch(SHARED, 64), SHARED)
        grams.append(engine.gram_TT)
    assert grams[0] is not None
    assert not grams[0].requires_grad
    torch.testing.assert_close(grams[0], grams[1], rtol=1e-10, atol=0)
