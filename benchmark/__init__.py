"""mtlbench: a head-to-head benchmark of multi-task recommenders.

    from benchmark import RunConfig, run, report, recommend
    record = run(RunConfig(dataset="shop", architecture="mmoe"))

Importing this package imports no torch; the first use of `run` or `recommend` does.
"""

from __future__ import annotations

import importlib
from typing import Any

from benchmark.records.record import Record, load_record, load_records
from benchmark.settings.config import EmbeddingConfig, RunConfig, TrainerConfig
from benchmark.settings.registry import configure

__version__ = "0.1.0"
__all__ = [
    "EmbeddingConfig", "Record", "RunConfig", "TrainerConfig", "compare", "compare_checkpoints", "configure", "load",
    "load_record", "load_records", "power", "recommend", "report", "reproduce", "run",
]  # fmt: skip

# the modules have other names than the functions: importing a submodule `benchmark.run` would hide the function `run`
_LAZY = {
    "compare": "benchmark.analysis.compare",
    "compare_checkpoints": "benchmark.trained.comparison",
    "load": "benchmark.trained.checkpoint",
    "power": "benchmark.analysis.power",
    "recommend": "benchmark.trained.recommender",
    "report": "benchmark.reporting",
    "reproduce": "benchmark.runs.reproduce",
    "run": "benchmark.runs.runner",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
