"""Multiply-adds a row: those of the matrix products, whichever way the code takes to them."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from architectures import Architecture, Batch
from architectures.layers import FeatureEmbedding
from benchmark.contracts.architectures import suited
from benchmark.contracts.toys import LIKE, SECONDS, SHARE, build, make_batch, make_schema
from benchmark.runs.machine import multiply_adds
from benchmark.settings.registry import architectures

SCHEMA = make_schema(LIKE, SECONDS, SHARE, cardinalities=(3, 5, 70), num_numeric=2)
D, T = 3 * 16 + 2, 3
TOWERS = T * (64 * 32 + 32 * 1)
# PLE: 16 experts; a task's gate sees 8 of them, the shared gate all; each mixture is one product over all 16
LEVELS = 16 * D * 64 + T * D * 8 + D * 16 + (T + 1) * 16 * 64
LEVELS += 16 * 64 * 64 + T * 64 * 8 + T * 16 * 64
BY_HAND = {
    "shared_bottom": D * 512 + 512 * 64 + TOWERS,
    "single_task": T * (D * 512 + 512 * 64) + TOWERS,
    # 8 experts, T gates over them, T mixtures
    "mmoe": 8 * D * 64 + T * D * 8 + T * 8 * 64 + TOWERS,
    "ple": LEVELS + TOWERS,
    # one product of the numeric columns, and the outputs
    "embedding_sum": 2 * 16 + T * 16,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_they_are_those_counted_by_hand(name: str) -> None:
    assert multiply_adds(build(name, SCHEMA), make_batch(SCHEMA, 1).features) == BY_HAND[name]


@pytest.mark.parametrize("name", architectures.names())
def test_they_hang_on_neither_rows_nor_vocabularies_nor_the_first_layer_s_path(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = next(iter(suited(name).values())).tasks
    found = set()
    for factored in (True, False):
        monkeypatch.setattr(FeatureEmbedding, "factored", factored)
        for cardinalities in ((3, 5, 70), (3, 60_000, 70)):  # the second has a large table
            schema = make_schema(*tasks, cardinalities=cardinalities)
            model = build(name, schema)
            found |= {multiply_adds(model, make_batch(schema, rows).features) for rows in (1, 8, 300)}
    (count,) = found
    assert isinstance(count, int) and count > 0


class Normed(Architecture):
    """Draws random numbers and moves statistics in training."""

    def __init__(self) -> None:
        super().__init__(SCHEMA)
        self.embedding = FeatureEmbedding(SCHEMA, 16)
        self.layers = nn.Sequential(nn.Linear(D, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, T))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        outputs_BT = self.layers(self.embedding(batch).dense())
        return dict(zip(SCHEMA.task_names, outputs_BT.unbind(1), strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_model_and_random_numbers_as_they_were(training: bool) -> None:
    model, batch = Normed().train(training), make_batch(SCHEMA, 8)
    state, random = deepcopy(model.state_dict()), torch.get_rng_state()
    assert multiply_adds(model, batch.features) == D * 4 + 4 * T
    torch.testing.assert_close(model.state_dict(), state, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training is training for module in model.modules())
    assert model.embedding.factored and not model.embedding.is_plain
    assert not any(parameter.grad is not None for parameter in model.parameters())
