"""What the tests of whole runs share.

A run belongs to one test, so that workers may share the tests in any way and nothing is trained twice.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark import Record, RunConfig, configure, run


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Record]:
    """train(dataset, architecture, seed=0, **parameters of the data set): the record of a run with the defaults.

    On one thread: workers share the cores.
    """

    def train(dataset: str, architecture: str, seed: int = 0, **parameters: Any) -> Record:
        record = run(
            RunConfig(
                dataset=configure("dataset", dataset, **parameters),
                architecture=configure("architecture", architecture),
                seed=seed,
                threads=1,
                results_dir=str(tmp_path / "results"),
            )
        )
        assert record.status == "finished", record.error
        return record

    return train
