"""Fields that share a categorical field's table, inside FeatureEmbedding: against one row after another, in float64."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

import architectures.layers
from architectures import Batch
from architectures.layers import FeatureEmbedding
from benchmark.contracts.toys import LIKE, LISTS, SHARE, build, make_batch, make_schema, training_loss
from benchmark.schema import Schema
from benchmark.seeding import initialise

SCHEMA = make_schema(LIKE, SHARE, cardinalities=(3, 5, 40), num_numeric=2, others=LISTS)
MULTI, SUMMED, MEAN, ATTENTION = LISTS


def embedding_of(schema: Schema, *, dim: int = 4) -> FeatureEmbedding:
    embedding = FeatureEmbedding(schema, dim)
    initialise(embedding, 0)
    return embedding.double()


def row_of(embedding: FeatureEmbedding, batch: Batch, row: int) -> Tensor:
    """(D,): one row's input, from the weights of the tables and the definitions."""
    tables = {}
    for table in embedding.tables:
        first = 0
        for field in table.fields:
            tables[field.name] = table.weight[first : first + field.cardinality]
            first += field.cardinality
    own = {field.name: tables[field.name][batch.features.column(field.name)[row]] for field in embedding.fields}
    parts = [*own.values(), batch.numeric[row].double()]
    for field, module in zip(embedding.other_fields, embedding.others, strict=True):
        arrays = batch.features.others[field]
        codes = arrays["codes"][arrays["bounds"][row] : arrays["bounds"][row + 1]]
        entries = (tables["c1"] if field in (MEAN, ATTENTION) else module.table.weight)[codes]
        if field is SUMMED:
            parts.append(entries.sum(0))
        elif field is ATTENTION:
            pairs = [torch.cat([own["c1"], entry, own["c1"] - entry, own["c1"] * entry]) for entry in entries]
            weights = [module.output(module.activation(module.hidden(pair[None])))[0, 0] for pair in pairs]
            parts.append(sum((w * e for w, e in zip(weights, entries, strict=True)), entries.sum(0) * 0))
        else:
            parts.append(entries.mean(0) if len(codes) else entries.sum(0))
    return torch.cat(parts)


@pytest.mark.parametrize("rows", [1, 7, 200])
@pytest.mark.parametrize("largest", [50_000, 4, 1])
@pytest.mark.parametrize("is_fast", [True, False])
def test_it_equals_one_row_after_another(
    rows: int, largest: int, is_fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(architectures.layers, "LARGE_FIELD", largest)  # the item's table is small, or large
    embedding, batch = embedding_of(SCHEMA), make_batch(SCHEMA, rows)
    torch.manual_seed(0)
    layer = nn.Linear(embedding.output_dim, 3).double()
    embedding.factored = is_fast
    (found,) = embedding(batch).linear(layer)
    expected = layer(torch.stack([row_of(embedding, batch, row) for row in range(rows)]))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    parameters = [*embedding.parameters(), *layer.parameters()]
    factors = torch.linspace(1, 2, found.numel(), dtype=found.dtype).view_as(found)
    gradients, wanted = (
        torch.autograd.grad((outputs * factors).sum(), parameters, materialize_grads=True)
        for outputs in (found, expected)
    )
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    with torch.inference_mode(), embedding.frozen():
        torch.testing.assert_close(embedding(batch).linear(layer)[0], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["mmoe", "embedding_sum", "mssm", "stem"])
def test_a_batch_may_have_empty_lists_alone(name: str) -> None:
    batch = make_batch(SCHEMA, 8)
    nothing = {"codes": torch.zeros(0, dtype=torch.int32), "bounds": torch.zeros(9, dtype=torch.int64)}
    features = dataclasses.replace(batch.features, others=dict.fromkeys(SCHEMA.others, nothing))
    model = build(name, SCHEMA)
    training_loss(model, dataclasses.replace(batch, features=features)).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_the_lists_are_pooled_once_for_all_readers() -> None:
    embedding, batch = embedding_of(SCHEMA), make_batch(SCHEMA, 5)
    calls = []
    embedding.others[3].register_forward_hook(lambda *_: calls.append(1))
    embedded = embedding(batch)
    embedded.dense(), embedded.numbers(), embedded.linear(nn.Linear(embedding.output_dim, 2).double())
    assert calls == [1]


def test_every_copy_starts_with_the_same_attention() -> None:
    first, second = embedding_of(SCHEMA), FeatureEmbedding(SCHEMA, 4)
    whole = nn.Sequential(nn.Linear(2, 2), second)
    initialise(whole, 0)
    for one, other in zip(first.parameters(), second.double().parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
