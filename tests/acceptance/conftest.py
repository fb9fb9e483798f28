"""What the tests of whole runs share.

A run belongs to one test, so that workers may share the tests in any way and nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import Record, RunConfig, configure, run
from benchmark.settings.config import TrainerConfig


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Record]:
    """train(dataset, architecture, seed=0, epochs=30, **parameters of the data set): the record of a run with the defaults.

    On one thread: workers share the cores.
    """

    def train(dataset: str, architecture: str, seed: int = 0, epochs: int = 30, **parameters: Any) -> Record:
        record = run(
            RunConfig(
                dataset=configure("dataset", dataset, **parameters),
                architecture=configure("architecture", architecture),
                trainer=TrainerConfig(max_epochs=epochs),
                seed=seed,
                threads=1,
                results_dir=str(tmp_path / "results"),
                rerun=True,
            )
        )
        assert record.status == "finished", record.error
        return record

    return train
