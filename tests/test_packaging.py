"""What the wheel holds, and that it works where no checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "architectures", "benchmark", "conf")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built of a copy: setuptools would leave its folders in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "out", ".")
    subprocess.run([sys.executable, "-m", "pip", *build], cwd=folder, check=True)
    (file,) = (folder / "out").glob("mtlbench-*.whl")
    return file


def test_the_wheel_has_every_source_file_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    outside = {
        str(path.relative_to(ROOT))
        for package in ("architectures", "benchmark")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    outside |= {f"benchmark/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.*") if path.suffix != ".pyc"}
    assert inside == outside


def test_the_wheel_runs_beside_a_conf_of_the_users_own(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "conf").mkdir()
    for name, text in (("__init__.py", ""), ("config.yaml", "seed: 999\n")):
        (tmp_path / "conf" / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "benchmark", "--cfg", "job", "experiment=demo"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "seed: 0" in done.stdout
    assert "name: movielens_100k" in done.stdout
