"""CONTRIBUTING.md, copied: its package is installed as it stands there, and works everywhere with no other edit."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmark import load_records
from benchmark.scaffold import make_package
from benchmark.settings.config import TrainerConfig

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
NAMES = {"architectures": "film_bottom", "weightings": "group_dro", "datasets": "store_log"}
SMALL = ("trainer.max_epochs=1", "trainer.batch_size=256", "threads=1")
SMALL_SHOP = ("dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=3000")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)


def commands(verb: str) -> list[list[str]]:
    """The arguments of every `mtlbench <verb>` about the package of the page."""
    lines = [line for block in blocks("bash")[1:] for line in block.splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith(f"mtlbench {verb} ")]


def write_log(file: Path) -> None:
    """A log in the format that the data set of the page reads."""
    rng = np.random.default_rng(0)
    lines = ["user,item,device,price,clicked,seconds"]
    for _ in range(1000):
        item, clicked = int(rng.integers(20)), int(rng.random() < 0.4)
        seconds = f"{rng.gamma(4, 10):.1f}" if clicked else ""
        device = rng.choice(["phone", "desktop"])
        lines.append(f"u{rng.integers(30)},i{item},{device},{5 + item / 2},{clicked},{seconds}")
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")


class Installed:
    """The package of the page in a folder of its own, as pip puts it there."""

    def __init__(self, folder: Path) -> None:
        source, target = folder / "source", folder / "site"
        for block in (*blocks("toml"), *blocks("python")):
            path, code = block.split("\n", 1)
            file = source / path.removeprefix("# ")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(code)
        new, *self.following = blocks("bash")[0].splitlines()
        _, _, group, name = new.split()
        self.fresh = make_package(group, name, folder / name)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
        command = [*pip, "--target", str(target), str(source), str(self.fresh.folder)]
        subprocess.run(command, check=True, capture_output=True)
        write_log(folder / "data" / "store_log" / "log.csv")
        self.folder = folder
        self.environment = os.environ | {
            "PYTHONPATH": f"{target}{os.pathsep}{ROOT}",
            "PYTHONWARNINGS": "error",
            "MTLBENCH_DATA": str(folder / "data"),
            "MTLBENCH_CACHE": str(folder / "cache"),
        }

    def python(self, *arguments: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def mtlbench(self, *calls: list[str], fresh: tuple[list[str], ...]) -> list[str]:
        """The outputs of calls of the console script, the last ones in the folder of the fresh package; in one process."""
        folders = [self.folder] * len(calls) + [self.fresh.folder] * len(fresh)
        told = self.python("-c", CALLS, json.dumps([*zip(map(str, folders), [*calls, *fresh], strict=True)]))
        return told.split("\f")[:-1]


CALLS = """
import json, os, sys
from benchmark.cli import main
for folder, arguments in json.loads(sys.argv[1]):
    os.chdir(folder)
    main(arguments)
    print(end="\\f")
"""


def test_the_examples_are_short() -> None:
    files = {block.split("\n", 1)[0]: block for block in blocks("python")}
    assert set(files) == {f"# mtl_extras/{name}.py" for name in NAMES.values()}
    for name, block in files.items():
        # blank lines and docstrings apart
        code = re.sub(r'r?""".*?"""', "", block, flags=re.DOTALL)
        assert len([line for line in code.splitlines() if line.strip()]) <= 55, name
        assert max(map(len, block.splitlines())) <= 120, name


def test_the_page_works_as_it_stands(tmp_path: Path) -> None:
    """One test, as the package is installed once, and all of its commands are given in one process."""
    installed = Installed(tmp_path)
    (described,), runs, (asked,), (check,) = (commands(verb) for verb in ("list", "run", "report", "check"))
    there, *following = installed.fresh.commands
    assert there == f"cd {installed.fresh.folder}"
    assert installed.following == ["cd my_net", *following]
    of_fresh = [shlex.split(line)[1:] for line in following[1:]]
    assert len(runs) == 2
    every, one, suiting, *_, report, checked, fresh_checked, _, fresh_report = installed.mtlbench(
        ["list"],
        ["list", *described],
        ["list", "architectures", "--names", "--for", "store_log"],
        *(["run", *run, *SMALL, *(SMALL_SHOP if "dataset=shop" in run else ())] for run in runs),
        ["report", *asked],
        ["check", *check],
        fresh=tuple([*call, *SMALL, *SMALL_SHOP] if call[0] == "run" else call for call in of_fresh),
    )
    assert all(f"\n  {name} " in every for name in NAMES.values())
    assert "\n  architecture.bottom_dims=[256,64] " in one
    assert "film_bottom" in suiting.strip().split(",")
    check_records(installed.folder / "results" / "runs")
    assert "film_bottom/group_dro" in report and "store_log" in report
    assert checked.splitlines()[-1] == "weighting group_dro: 11 hold"
    assert "architecture my_net: 19 hold, 1 skipped\n" in fresh_checked
    assert "2 runs (2 finished) of 2 methods on 1 data set" in fresh_report
    assert "my_net/equal is not distinguishable from shared_bottom/equal over all tasks" in fresh_report  # of one seed
    check_contract_tests(installed)


def check_records(folder: Path) -> None:
    records = load_records(folder)
    assert sorted(record.path("").parent.as_posix() for record in records) == [
        "shop/film_bottom/equal",
        "shop/film_bottom/group_dro",
        "shop/shared_bottom/equal",
        "shop/shared_bottom/group_dro",
        "store_log/film_bottom/group_dro",
    ]
    assert {record.status for record in records} == {"finished"}
    (own,) = [record for record in records if record.dataset["name"] == "store_log"]
    assert own.config["weighting"] == {"name": "group_dro", "step_size": 0.1}
    assert own.config["trainer"]["learning_rate"] == TrainerConfig().learning_rate
    assert set(own.metrics["test"]["seconds"]) >= {"mse", "mae[seconds]"}


def check_contract_tests(installed: Installed) -> None:
    (line,) = [line for block in blocks("bash") for line in block.splitlines() if "pytest" in line]
    _, *arguments = shlex.split(line)
    options = ("-q", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist")
    told = installed.python(*arguments, *options, cwd=ROOT)
    for name in NAMES.values():
        passed = re.findall(rf"^PASSED tests/contracts/test_\w+\.py::\w+\[{name}\b.*\]", told, re.MULTILINE)
        assert len(passed) >= 8, f"{name}: {told}"
    assert not re.search(r"^(FAILED|ERROR|SKIPPED.*store_log)", told, re.MULTILINE)
