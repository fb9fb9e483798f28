"""MMoE on Census-Income with the defaults, beside the published AUCs and beside numbers that are only standardised.

Papers report .9410 (income) and .9926 (never married) on test; boosted trees get .953 for income. Six epochs suffice:
with all thirty, income rises by .001 with bins and by .002 to .003 without.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from architectures.layers import FeatureEmbedding
from benchmark import Record


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mmoe_is_above_the_papers_and_bins_are_worth_their_while(
    real_data: Path, train: Callable[..., Record], seed: int
) -> None:
    bins = train("census_income", "mmoe", seed, epochs=6)
    validation = bins.metrics["validation"]
    assert validation["income"]["auc"] >= 0.949
    assert validation["never_married"]["auc"] >= 0.993

    standardised = train("census_income", "mmoe", seed, epochs=6, numeric="standardise")
    for same in ("fingerprint", "splits"):  # and the split seed: the rows are the same
        assert standardised.dataset[same] == bins.dataset[same]
    assert validation["income"]["auc"] - standardised.metrics["validation"]["income"]["auc"] >= 0.004


@pytest.mark.parametrize("architecture", ["mmoe", "ple"])
def test_the_fast_first_layer_changes_no_result(
    real_data: Path, train: Callable[..., Record], architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for factored in (True, False):
        monkeypatch.setattr(FeatureEmbedding, "factored", factored)
        record = train("census_income", architecture, epochs=1)
        found.append([record.metrics["validation"][task]["auc"] for task in ("income", "never_married")])
    # rounding alone, grown over 175 steps; another seed moves it by .0005
    assert found[0] == pytest.approx(found[1], abs=1e-4)
