"""README.md and CONTRIBUTING.md, taken at their word: every command composes or parses, those that can run here do."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark.cli import main
from benchmark.runs.runner import check, run
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.settings.help import experiments
from benchmark.settings.registry import REGISTRIES
from tests.pages import RUN, blocks, commands, is_run, jobs_of, parse_verb, words_of

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf8")
SHORT = ("trainer.max_epochs=1", "threads=1")
OWN = ("benchmark.", "architectures.")  # modules: what plugins registered is not meant
SMALL_SHOP = ("dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=3000")


RUNS = [command for command in commands(TEXT) if is_run(command)]
VERBS = [command for command in commands(TEXT) if command.startswith("mtlbench") and command not in RUNS]
INSTALL = [command for command in commands(TEXT) if command.startswith(("python3 -m venv", ". .venv", "pip install"))]
MAKES = [command for command in commands(TEXT) if command.startswith("make")]


def test_no_command_is_of_a_kind_that_is_not_tested() -> None:
    assert len(RUNS) >= 6
    assert len(VERBS) >= 6
    assert sorted([*RUNS, *VERBS, *MAKES, *INSTALL]) == sorted(commands(TEXT))


@pytest.mark.parametrize("command", RUNS)
def test_every_run_of_every_sweep_composes(command: str) -> None:
    jobs = jobs_of(command)
    composed: list[RunConfig] = [compose_run(job) for job in jobs]
    assert len({config.id for config in composed}) == len(jobs), "two runs of the sweep are the same"


@pytest.mark.parametrize("command", VERBS)
def test_every_other_verb_parses(command: str) -> None:
    parse_verb(command)


@pytest.mark.parametrize("command", INSTALL)
def test_what_is_installed_is_an_extra_of_ours(command: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", command)) <= set(extras)
    if command.startswith("pip"):
        assert shlex.split(command)[2:4] == ["-c", "constraints.txt"]
        assert (ROOT / "constraints.txt").is_file()


@pytest.mark.parametrize("command", MAKES)
def test_every_make_target_is_there(command: str) -> None:
    target = shlex.split(command)[1]
    makefile = (ROOT / "Makefile").read_text(encoding="utf8")
    assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)
    if shutil.which("make"):
        planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
        assert planned.stdout


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command in a shell that finds mtlbench and python first where these tests run."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


SHOP_RUNS = [command for command in RUNS if "dataset=shop" in command]
REAL_RUNS = [command for command in RUNS if command not in SHOP_RUNS]


def test_what_runs_on_shop_runs_and_its_results_can_be_reported_and_recommended_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = (*SHORT, *SMALL_SHOP)
    first, *others = SHOP_RUNS  # one as it stands, in a shell; a process each would take minutes
    done = shell(f"{first} {shlex.join(small)}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(jobs_of(first))} finished, 0 skipped, 0 diverged, 0 failed" in done.stderr
    monkeypatch.chdir(tmp_path)
    for command in others:
        for job in jobs_of(command):
            assert run(compose_run([*job, *small])).status == "finished"
    for command in VERBS:
        verb, *arguments = shlex.split(command)[1:]
        if "--help" in arguments:
            continue
        found = [sorted(map(str, Path().glob(word))) if "/*" in word else [word] for word in arguments]
        if verb == "reference":
            if importlib.util.find_spec("lightgbm") is None:
                continue
            found += [list(SMALL_SHOP), ["trials=1", "seeds=1"]]
        main([verb, *(word for words in found for word in words)])
        out = "".join(capsys.readouterr())
        is_short = verb == "reference" or {"--names", "--figure"} & {*arguments}
        assert len(out.splitlines()) >= (1 if is_short else 5), command
    for file in ("report.html", "report.md", "report.csv"):
        assert "mmoe/equal" in Path(file).read_text(encoding="utf8")


@pytest.mark.parametrize("command", REAL_RUNS)
def test_what_runs_on_real_data_runs(
    command: str, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run of each sweep, one epoch of it."""
    assert real_data.is_dir()
    monkeypatch.chdir(tmp_path)
    record = run(compose_run([*jobs_of(command)[0], *SHORT, "trainer.batch_size=4096"]))
    assert record.status == "finished"
    assert len(record.epochs) == 1


@pytest.mark.parametrize("block", blocks(TEXT, "console"))
def test_what_a_mistake_is_said_to_cost_it_costs(block: str) -> None:
    """Every `$ command`, and under it the line that it prints; `...` at the end stands for the rest."""
    for command, expected in re.findall(r"^\$ (.*)\n(.*)\n", block, re.MULTILINE):
        assert command.startswith(RUN)
        with pytest.raises(ValueError) as refused:
            check(compose_run(words_of(command)))
        line = f"mtlbench: {refused.value}"
        assert line.count("\n") == 0
        assert line == expected or (expected.endswith("...") and line.startswith(expected.removesuffix("...")))


@pytest.mark.parametrize("code", blocks(TEXT, "python"), ids=lambda code: code.splitlines()[0])
def test_python_examples_run(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    if "report(" in code:
        out = capsys.readouterr().out
        assert "mmoe/equal" in out
        assert "ranked by purchase" in out
        assert (tmp_path / "report.html").is_file()


def test_what_is_said_to_be_there_is_there() -> None:
    said = re.search(r"^\| data sets \|.*?(?=\n\n)", TEXT, re.DOTALL | re.MULTILINE)
    assert said is not None
    lines = [re.findall(r"`(\w+)`", line) for line in said[0].splitlines()]
    for names, group in zip(lines, ("dataset", "architecture", "weighting", "tracker"), strict=True):
        own = [n for n in REGISTRIES[group].names() if REGISTRIES[group].get(n).__module__.startswith(OWN)]
        if group == "tracker":
            assert sorted(names) == own
    counts = re.findall(r"^\| (data set|architecture|weighting)s \| (\d+), (.*)", said[0], re.MULTILINE)
    assert [group for group, *_ in counts] == ["data set", "architecture", "weighting"]
    for group, number, some in ((group.replace("data set", "dataset"), number, some) for group, number, some in counts):
        own = [n for n in REGISTRIES[group].names() if REGISTRIES[group].get(n).__module__.startswith(OWN)]
        assert int(number) == len(own)
        assert set(re.findall(r"`(\w+)`", some)) <= set(own)
    assert {f"`experiment={name}`" for name, _ in experiments()} <= set(re.findall(r"`experiment=\w+`", TEXT))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_and_named_files_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf8")
    linked = re.findall(r"(?<!!)\[[^]]+\]\((?!http)([^)#]+)\)", text)
    named = re.findall(r"`((?:architectures|benchmark|tests|conf)/[\w/.]+)`", text)
    assert not [path for path in (*linked, *named) if not (ROOT / path).exists()]
