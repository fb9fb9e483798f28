"""Five steps of every built-in architecture are what they were."""

from __future__ import annotations

import json

import pytest

from architectures.layers import FeatureEmbedding
from tests.golden.make import FILE, built_in, losses

GOLDEN: dict[str, list[float]] = json.loads(FILE.read_text())


def test_every_architecture_has_golden_losses() -> None:
    assert sorted(GOLDEN) == sorted(built_in()), "run `python -m tests.golden.make`"


@pytest.mark.parametrize("factored", [True, False], ids=["fast first layer", "plain first layer"])
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_losses_have_not_moved(name: str, factored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FeatureEmbedding, "factored", factored)
    # other processors round otherwise: 1e-4 lets that pass, and no change of a model
    assert losses(name) == pytest.approx(GOLDEN[name], rel=1e-4), (
        f"{name} computes something else than before. If that is meant, run `python -m tests.golden.make` and say why "
        "in the commit and in CHANGELOG.md: records made before are no longer comparable."
    )
