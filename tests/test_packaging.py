"""What the wheel holds, that it works where no checkout is, and that Hydra finds our sweeper however it was installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins

from benchmark.settings.composition import prepare

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "architectures", "benchmark", "conf")


def copy(folder: Path) -> None:
    """Copies the checkout: setuptools would leave its folders in it."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)


def pip(*arguments: str, cwd: Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", *arguments], cwd=cwd, check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    copy(folder)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "out", ".", cwd=folder)
    (file,) = (folder / "out").glob("mtlbench-*.whl")
    return file


def test_the_wheel_has_every_source_file_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    beside = ROOT / "benchmark" / "_toplevel"
    roots = {"architectures": ROOT, "benchmark": ROOT, "hydra_plugins": beside, "mtlbench": beside}
    outside = {
        str(path.relative_to(root))
        for package, root in roots.items()
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "_toplevel" not in path.relative_to(root).parts
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


OURS = """
import benchmark
from benchmark.weightings import LossWeighting, register

assert benchmark.__file__.startswith({site!r}), benchmark.__file__


@register("ours")
class Ours(LossWeighting):
    def forward(self, losses_T, active_T):
        return (losses_T / losses_T.detach()).sum()
"""


def test_the_wheel_checks_a_file_of_the_users_own(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    (tmp_path / "ours.py").write_text(OURS.lstrip().format(site=str(site)))
    command, environment = (
        [sys.executable, "-m", "mtlbench", "check", "ours.py"],
        os.environ | {"PYTHONPATH": str(site)},
    )
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "\nbroken   its weights are finite and one a task: in ours.py, line 9 (forward), expected " in done.stdout


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The Python of a virtual environment that has all that this one has, but for mtlbench if that is editable here."""
    venv.create(tmp_path / "bare")
    (site,) = (tmp_path / "bare" / "lib").glob("python*/site-packages")
    folders = [folder for folder in sys.path if folder.endswith("site-packages")]
    (site / "all_else.pth").write_text("\n".join(folders))  # of these folders no .pth is read
    return tmp_path / "bare" / "bin" / "python"


FOUND = """
from hydra.core.plugins import Plugins
from benchmark.settings.composition import prepare
prepare()
import hydra_plugins.mtlbench.sweeper as sweeper
print(sweeper.__file__, *sorted(Plugins.instance().class_name_to_class), sep="\\n")
"""


@pytest.mark.parametrize("editable", [False, True])
def test_hydra_finds_the_sweeper_and_the_plugins_of_others_and_the_command_its_packages(
    bare: Path, wheel: Path, tmp_path: Path, editable: bool
) -> None:
    (tmp_path / "copy").mkdir()
    copy(tmp_path / "copy")
    install = ("--python", str(bare), "install", "--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed")
    pip(*install, *(("--editable", ".") if editable else (str(wheel),)), cwd=tmp_path / "copy")
    done = subprocess.run([bare, "-c", FOUND], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file, *plugins = done.stdout.splitlines()
    assert Path(file).is_relative_to(tmp_path / ("copy" if editable else "bare"))
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "__init__.py").touch()
    for path, says in (("", "mtlbench, version "), (".", f"mtlbench: {tmp_path}/architectures hides the package ")):
        command, environment = [bare.with_name("mtlbench"), "--version"], os.environ | {"PYTHONPATH": path}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (done.stdout + done.stderr).startswith(says)
    prepare()
    assert plugins == sorted(Plugins.instance().class_name_to_class)


def test_a_checkout_that_is_not_installed_says_so_in_one_line(bare: Path) -> None:
    command = [bare, "-m", "benchmark", "dataset=shop"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = "mtlbench: this checkout is not installed, and Hydra does not find its sweeper: pip install -e .\n"
    assert done.stderr == told
