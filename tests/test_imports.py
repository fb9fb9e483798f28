"""Imports point one way; reports and `import benchmark` need no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURES = sorted((ROOT / "architectures").rglob("*.py"))
BENCHMARK = sorted((ROOT / "benchmark").rglob("*.py"))


def imported(file: Path) -> Iterator[str]:
    """Full names of what a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", ARCHITECTURES, ids=lambda file: file.stem)
def test_architectures_know_registry_and_schema_and_not_each_other(file: Path) -> None:
    for name in imported(file):
        if name.startswith("benchmark"):
            assert name.startswith(("benchmark.registry.", "benchmark.schema.", "benchmark.seeding."))
        if name.startswith("architectures."):  # the base, or a shared module with an underscore
            own = name.split(".")[1]
            assert own.startswith("_") or not (ROOT / "architectures" / f"{own}.py").exists()


@pytest.mark.parametrize("file", BENCHMARK, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_harness_finds_architectures_by_discovery_only(file: Path) -> None:
    base = "architectures.Architecture"  # for annotations
    assert not [name for name in imported(file) if name.split(".")[0] == "architectures" and name != base]


@pytest.mark.parametrize(
    "module",
    [
        "benchmark", "benchmark.cli", "benchmark.reporting", "benchmark.record", "benchmark.config",
        "benchmark.statistics", "benchmark.comparison", "benchmark.sample_size",
    ],
)  # fmt: skip
def test_these_import_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_is_unpickled() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
    for file in (*ARCHITECTURES, *BENCHMARK):
        assert not forbidden & {name.split(".")[0] for name in imported(file)}, file
