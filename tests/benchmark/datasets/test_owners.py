"""The sets whose files a test cannot have keep to the contracts, on small files in their layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.contracts import Case, cases
from benchmark.runs.runner import run
from benchmark.settings.config import RunConfig, TrainerConfig
from tests.benchmark.datasets.owners import WRITERS

CASES = [pytest.param(name, case, id=f"{name}, {case}") for name in WRITERS for case in cases("dataset", name)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("name", "case"), CASES)
def test_contract(root: Path, name: str, case: Case) -> None:
    WRITERS[name](root)  # type: ignore[operator]
    case.check()


@pytest.mark.parametrize("name", WRITERS)
def test_a_model_learns_from_it(root: Path, tmp_path: Path, name: str) -> None:
    WRITERS[name](root)  # type: ignore[operator]
    trainer = TrainerConfig(max_epochs=3, batch_size=256, learning_rate=0.01)
    config = RunConfig(
        dataset=name,
        architecture="shared_bottom",
        trainer=trainer,
        results_dir=str(tmp_path / "runs"),  # type: ignore[arg-type]
    )
    record = run(config)
    first = next(iter(record.metrics["test"].values()))
    assert first.get("auc", 1.0) > 0.55  # type: ignore[operator]
