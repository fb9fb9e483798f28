"""The command says in one line which folder hides a package of ours, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, str(Path(sys.executable).with_name("mtlbench")))
MODULE = (sys.executable, "-m", "mtlbench")


def run(command: tuple[str, ...], cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {} if path is None else {"PYTHONPATH": path}
    return subprocess.run(
        [*command, "--version"], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("file", "own"),
    [
        ("benchmark/__init__.py", ROOT / "benchmark"),
        ("benchmark/results.csv", ROOT / "benchmark"),  # a folder without Python in it hides as well
        ("benchmark.py", ROOT / "benchmark"),
        ("architectures/__init__.py", ROOT / "architectures"),
        ("hydra_plugins/__init__.py", ROOT / "benchmark" / "_toplevel" / "hydra_plugins"),
    ],
)
def test_a_folder_that_hides_ours_is_named(folder: Path, file: str, own: Path) -> None:
    hiding = folder / file
    hiding.parent.mkdir(exist_ok=True)
    hiding.write_text("raise RuntimeError('imported')\n")
    name, package = hiding.relative_to(folder).parts[0], own.name
    done = run(COMMAND, folder, ".")
    assert done.returncode == 1
    assert done.stderr == (
        f"mtlbench: {folder / name} hides the package {package} of mtlbench, which is in {own}; "
        f"take . out of PYTHONPATH, or rename {name}\n"
    )
    assert run(COMMAND, folder).stdout.startswith("mtlbench, version ")  # without PYTHONPATH


def test_where_the_working_folder_hides_another_one_is_the_remedy(folder: Path) -> None:
    (folder / "benchmark").mkdir()
    (folder / "benchmark" / "__init__.py").touch()
    done = run(MODULE, folder)
    assert done.returncode == 1
    assert done.stderr.endswith("; run mtlbench in another folder, or rename benchmark\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [COMMAND, MODULE], ids=["command", "module"])
def test_what_does_not_hide_is_no_trouble(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "mtlbench").mkdir()  # a clone
    (folder / "hydra_plugins" / "others").mkdir(parents=True)  # a part of the namespace package
    for path in (None, ".", str(ROOT), f"{folder}{os.pathsep}{ROOT}"):
        done = run(command, folder, path)
        assert done.stdout.startswith("mtlbench, version "), done.stderr
