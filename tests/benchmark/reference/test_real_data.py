"""Trees on real data, with one trial: enough to see that they are what they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark import configure
from benchmark.reference.lines import make_references


def test_trees_on_census_income(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    census = configure("dataset", "census_income", tasks=("income",))
    (record,) = make_references(census, only=["gbdt"], trials=1, seeds=1, threads=1, results_dir=str(tmp_path))
    auc = record.metrics["test"]["income"]["auc"]
    assert auc is not None
    assert 0.950 < auc < 0.957
