"""Imports point one way, those inside functions and for types included; reports and `import benchmark` need no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("architectures", "benchmark")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "conf" not in path.relative_to(ROOT).parts
}

# a unit imports only what stands before it
ORDER = (
    "statistics", "temporaries", "disk", "files", "plugins", "hooks", "text", "console", "stopping", "pieces", "kinds", "numbering",
    "schema", "rows",
    "embeddings", "pooling", "lists",
    "seeding", "metrics", "records", "settings", "architectures", "datasets", "cards", "weightings", "analysis", "reporting",
    "trackers", "training", "trained", "runs", "reference", "contracts", "scaffold", "options",
    "data_commands", "clean_command", "__main__", "cli", "_toplevel",
)  # fmt: skip
NO_TORCH = (
    "benchmark", "cli", "clean_command", "data_commands", "cards", "analysis", "kinds", "lists", "records", "reporting", "rows",
    "scaffold", "settings", "statistics", "temporaries", "disk", "files", "hooks", "numbering", "options", "pieces", "plugins",
    "stopping", "text", "console", "metrics",
)  # fmt: skip


def imported(module: str) -> Iterator[str]:
    """Full names of what a module imports, inside functions too."""
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit(name: str) -> str:
    """The wing, or the module beside the wings, that a module or a name in it belongs to."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] or package if package == "benchmark" else package


GRAPH = {
    module: {name if name in FILES else name.rpartition(".")[0] for name in imported(module)} & FILES.keys() - {module}
    for module in FILES
}


def test_imports_point_one_way() -> None:
    for module, names in GRAPH.items():
        if module != "benchmark":  # it exports from everywhere, lazily; of ours only the door asks it, for the version
            known = (*ORDER[: ORDER.index(unit(module)) + 1], *(["benchmark"] if module == "benchmark.cli" else []))
            assert not [name for name in names if unit(name) not in known], module


def test_there_are_no_circles() -> None:
    TopologicalSorter(GRAPH).prepare()


def test_architectures_know_a_few_modules_of_the_harness_and_not_each_other() -> None:
    blocks = {"architectures", "architectures.gates", "architectures.layers", "architectures.funnel"}
    blocks |= {"architectures.hard_concrete", "architectures.scaling"}
    blocks |= {"architectures._first_layer", "architectures._plan", "architectures._tables"}
    harness = {
        f"benchmark.{name}"
        for name in ("settings.registry", "hooks", "schema", "rows", "embeddings", "kinds", "seeding")
    }
    for module in (name for name in FILES if unit(name) == "architectures"):
        assert GRAPH[module] <= blocks | harness, module


def test_what_is_registered_is_found_by_discovery_only() -> None:
    registered = {name for name, path in FILES.items() if "\n@register(" in path.read_text()}
    assert len(registered) > 15
    for module, names in GRAPH.items():
        assert not names & registered, module


def test_these_import_no_torch() -> None:
    """In one process, which names the first unit that does."""
    units = {of: [name for name in FILES if unit(name) == of] for of in NO_TORCH}
    code = f"import importlib, sys\nfor of, names in {units}.items():\n    [*map(importlib.import_module, names)]\n"
    code += "    'torch' in sys.modules and sys.exit(of)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_unpickled() -> None:
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve"}
    for module in FILES:
        assert not forbidden & {name.split(".")[0] for name in imported(module)}, module


def test_one_word_names_one_class() -> None:
    classes = Counter(
        node.name
        for path in FILES.values()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert not [name for name, number in classes.items() if number > 1]
