"""`mtlbench new`: what it writes keeps to the contracts and trains, and what it refuses is one line."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hydra.core.config_store import ConfigStore

from benchmark import RunConfig, TrainerConfig, configure, run
from benchmark.cli import main
from benchmark.kinds import BINARY
from benchmark.scaffold import TRIALS, make_package
from benchmark.schema import Task
from benchmark.settings.registry import REGISTRIES
from tests.benchmark.scaffold.sample import FILE, draw

ROOT = Path(__file__).parents[3]
NAME = "fresh_one"
SMALL_SHOP = {"num_users": 60, "num_items": 40, "num_rows": 3000}


def imported(file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module in a file, under the name that it has in its package."""
    name = f"{file.parent.name}.{file.stem}"
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def registered(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Writes the package of this group, imports its module and takes it away again."""
    group: str = request.param
    registry = REGISTRIES[group]
    registry.discover()
    make_package(group, NAME, tmp_path / "package")
    imported(tmp_path / "package" / f"mtl_{NAME}" / f"{NAME}.py", monkeypatch)
    yield group
    del registry._classes[NAME], ConfigStore.instance().repo[group][f"{NAME}.yaml"]


def trained(results: Path, **keys: Any) -> dict[str, Any]:
    """The metrics on test of one epoch."""
    trainer = TrainerConfig(max_epochs=1, batch_size=256)
    record = run(RunConfig(trainer=trainer, threads=1, results_dir=str(results), **keys))
    assert record.status == "finished"
    return record.metrics["test"]


# what it writes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registered", ["weighting", "dataset"], indirect=True)  # test_contributing checks the third
def test_its_own_tests_pass(registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = imported(tmp_path / "package" / "tests" / f"test_{NAME}.py", monkeypatch)
    (mark,) = tests.test_contract.pytestmark
    argument, cases = mark.args
    assert (argument, len(cases)) == ("case", {"weighting": 11, "dataset": 8}[registered])
    for case in cases:
        tests.test_contract(case)


@pytest.mark.parametrize("registered", ["architecture"], indirect=True)
def test_its_architecture_is_the_shared_bottom(registered: str, tmp_path: Path) -> None:
    shop = configure("dataset", "shop", **SMALL_SHOP)
    found = trained(tmp_path, dataset=shop, architecture=NAME)
    expected = configure("architecture", "shared_bottom", bottom_dims=(256, 64))
    assert found == trained(tmp_path, dataset=shop, architecture=expected)


@pytest.mark.parametrize("registered", ["weighting"], indirect=True)
def test_its_weighting_weighs_by_the_softmax_of_the_losses(registered: str, tmp_path: Path) -> None:
    tasks = tuple(Task(name, BINARY) for name in "abc")
    weighting = REGISTRIES[registered].get(NAME)(tasks, tilt=math.log(2))
    losses_T = torch.tensor([1.0, 0.0, 2.0], requires_grad=True)
    loss = weighting(losses_T, torch.tensor([True, False, True]))
    # 2^1 and 2^2, scaled so that the two active tasks' weights sum to 2
    torch.testing.assert_close(loss, torch.tensor(10 / 3))
    loss.backward()
    torch.testing.assert_close(losses_T.grad, torch.tensor([2 / 3, 0.0, 4 / 3]))
    with pytest.raises(ValueError, match=r"weighting.tilt must be at least 0, found -1"):
        REGISTRIES[registered].get(NAME)(tasks, tilt=-1)


@pytest.mark.parametrize("registered", ["dataset"], indirect=True)
def test_its_data_set_has_the_rows_of_the_sample(registered: str, tmp_path: Path) -> None:
    data = REGISTRIES[registered].build(REGISTRIES[registered].config(NAME)).build()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [480, 60, 60]
    clicked = sum(float(split.labels[:, 0].sum()) for split in (data.train, data.validation, data.test))
    assert clicked == draw().count(",1,") == 249
    metrics = trained(tmp_path, dataset=NAME, architecture="shared_bottom")
    assert set(metrics) >= {"click", "seconds"}


def test_the_sample_is_what_its_script_draws() -> None:
    assert FILE.read_text(encoding="utf8") == draw()


def test_what_it_writes_is_in_house_style(tmp_path: Path) -> None:
    for group in TRIALS:
        make_package(group, f"my_{group}", tmp_path / group)
    style = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), str(tmp_path)]
    ruff = [sys.executable, "-m", "ruff"]
    # elsewhere imports are sorted in another way, and tests have no exception from docstrings
    for arguments in (["format", "--check", "-q"], ["check", "--ignore", "I001,D103"]):
        done = subprocess.run([*ruff, *arguments, *style], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


# what it prints -------------------------------------------------------------------------------------------------------


def test_the_next_commands_are_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert make_package("dataset", NAME).commands == (
        f"cd {NAME}",
        "pip install -e .",
        f"mtlbench check dataset {NAME}",
        f"mtlbench run architecture=mmoe,shared_bottom dataset={NAME}",
        "mtlbench report --baseline shared_bottom/equal",
    )
    assert make_package("weighting", NAME, "it's mine").commands[0] == """cd 'it'"'"'s mine'"""
    assert make_package("weighting", NAME, "~/work").commands[0] == f"cd {tmp_path}/home/work"
    (tmp_path / "here" / ".git").mkdir(parents=True)  # hidden files do no harm
    monkeypatch.chdir(tmp_path / "here")
    package = make_package("architecture", NAME, ".")
    assert package.commands[0] == "pip install -e ."
    assert [str(path) for path in package.files] == [
        "README.md", "pyproject.toml", f"mtl_{NAME}/__init__.py", f"mtl_{NAME}/{NAME}.py", f"tests/test_{NAME}.py",
    ]  # fmt: skip
    assert str(package).endswith("\n\nNext:\n" + "\n".join(f"  {command}" for command in package.commands))


def test_the_verb_prints_files_and_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["new", "weighting", NAME, "--into", str(tmp_path / "mine")])
    out = capsys.readouterr().out
    assert out.startswith(f"written: {tmp_path / 'mine' / 'README.md'}\n")
    assert out.endswith("\n  mtlbench report --baseline mmoe/equal\n")
    with pytest.raises(SystemExit):
        main(["new", "weighting", NAME, "--into", str(tmp_path / "mine")])
    assert capsys.readouterr().err.startswith("mtlbench: the folder ")


# what it refuses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "name", "line"),
    [
        ("metric", NAME, "unknown group 'metric'; known: architecture, dataset, weighting"),
        ("architecture", "MyNet", "NAME: expected a Python name in snake_case, such as mynet, found 'MyNet'"),
        ("architecture", "my-net", "NAME: expected a Python name in snake_case, such as my_net, found 'my-net'"),
        ("dataset", "2x", "NAME: expected a Python name in snake_case, such as my_dataset, found '2x'"),
        ("weighting", "class", "NAME: expected a Python name in snake_case, such as my_weighting, found 'class'"),
        ("weighting", "_own", "NAME: expected a Python name in snake_case, such as own, found '_own'"),
        (
            "architecture",
            "mmoe",
            "NAME: architecture 'mmoe' is registered already, by architectures.mmoe; choose another name",
        ),
        ("architecture", "schema", "NAME: 'schema' makes a class Schema, as mtlbench has one; choose another name"),
    ],
)
def test_names_that_cannot_be_used(tmp_path: Path, group: str, name: str, line: str) -> None:
    with pytest.raises(ValueError) as caught:
        make_package(group, name, tmp_path / "package")
    assert str(caught.value) == line
    assert not (tmp_path / "package").exists()


def test_a_package_that_is_installed_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"mtl_{NAME}").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=f"NAME: a package mtl_{NAME} is installed already; choose another name than"):
        make_package("dataset", NAME, tmp_path / "package")


def test_folders_with_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for folder, told in (
        (tmp_path, f"the folder {tmp_path} is not empty (it has notes.txt); choose another one with --into FOLDER"),
        (tmp_path / "notes.txt", f"{tmp_path / 'notes.txt'} is a file; choose another folder with --into FOLDER"),
    ):
        with pytest.raises(ValueError) as caught:
            make_package("dataset", NAME, folder)
        assert str(caught.value) == told
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
