"""What the tests of whole runs share. Each module trains what it needs, with the defaults, and has a group for xdist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from benchmark import Record, RunConfig, configure, run


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Record]:
    """train(dataset, architecture, seed=0, **parameters of the data set): the record of a run with the defaults.

    To be called in a test, not in a fixture of the module: the cache of a test is its own until then. Asked for again in
    the same module, nothing is trained again. One thread, so that the last bit and xdist's workers have one each.
    """
    results = tmp_path_factory.mktemp("results")

    def train(dataset: str, architecture: str, seed: int = 0, **parameters: Any) -> Record:
        record = run(
            RunConfig(
                dataset=configure("dataset", dataset, **parameters),
                architecture=configure("architecture", architecture),
                seed=seed,
                threads=1,
                results_dir=str(results),
            )
        )
        assert record.status == "finished", record.error
        return record

    return train
