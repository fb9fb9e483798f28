"""Fixtures of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("untimed", deadline=None)  # on a busy machine an example may take any time
hypothesis.settings.load_profile("untimed")

collect_ignore = ["benchmark/classes.py"]  # looking for doctests would import it, and so register what is in it


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of prepared data that all tests share, whatever their worker: nothing is prepared twice."""
    own = tmp_path_factory.getbasetemp()  # of a worker: a folder in that of the session
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("MTLBENCH_CACHE", str(shared_cache))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets; without MTLBENCH_DATA the test is skipped."""
    folder = os.environ.get("MTLBENCH_DATA")
    if not folder:
        pytest.skip("needs real data: set MTLBENCH_DATA to a folder of data sets")
    return Path(folder)
