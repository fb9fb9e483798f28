"""MMoE on Census-Income with the defaults, beside the published AUCs and beside numbers that are only standardised.

Papers report .9410 (income) and .9926 (never married) on test; boosted trees get .953 for income.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from architectures._layers import FeatureEmbedding
from benchmark import Record


def test_mmoe_is_above_the_papers_and_bins_are_worth_their_while(real_data: Path, train: Callable[..., Record]) -> None:
    gains = []
    for seed in range(3):
        bins = train("census_income", "mmoe", seed)
        validation = bins.metrics["validation"]
        assert validation["income"]["auc"] >= 0.946
        assert validation["never_married"]["auc"] >= 0.993

        standardised = train("census_income", "mmoe", seed, numeric="standardise")
        for same in ("fingerprint", "splits"):  # and the split seed: the rows are the same
            assert standardised.dataset[same] == bins.dataset[same]
        gains.append(validation["income"]["auc"] - standardised.metrics["validation"]["income"]["auc"])
    # over five seeds the mean is .0039 and the deviation from seed to seed .0006; rounding in another order moves a seed by .0003
    assert mean(gains) >= 0.003 and min(gains) >= 0.002, gains


@pytest.mark.parametrize("architecture", ["mmoe", "ple"])
def test_the_fast_first_layer_changes_no_result(
    real_data: Path, train: Callable[..., Record], architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for factored in (True, False):
        monkeypatch.setattr(FeatureEmbedding, "factored", factored)
        record = train("census_income", architecture, epochs=2)
        found.append([record.metrics["validation"][task]["auc"] for task in ("income", "never_married")])
    # rounding alone, grown over 350 steps; another seed moves it by .0005
    assert found[0] == pytest.approx(found[1], abs=1e-4)
