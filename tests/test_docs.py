"""The pages of the documentation site, taken at their word, and what its hooks make of docstrings."""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest
from hydra import compose, initialize_config_module

from benchmark import load_records
from benchmark.cli import mtlbench
from benchmark.runs.runner import check
from benchmark.scaffold import make_package
from benchmark.settings.composition import CONFIG_MODULE, compose_run, prepare
from benchmark.settings.help import experiments
from tests.benchmark.reporting import fabricate
from tests.command import mtlbench as mtlbench_command
from tests.pages import RUN, blocks, commands, is_run, jobs_of, parse_verb, words_of

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf8") for path in ROOT.glob("docs/pages/**/*.md")}
NEW = [block for text in PAGES.values() for block in blocks(text, "bash") if block.startswith("mtlbench new")]
"""What begins with a new package; the other blocks need none."""
COMMANDS = [
    (page, command)
    for page, text in PAGES.items()
    for command in commands(text)
    if command not in {known for block in NEW for known in commands(f"```bash\n{block}```")}
]
RUNS = [command for _, command in COMMANDS if is_run(command)]
VERBS = [command for _, command in COMMANDS if command.startswith("mtlbench") and command not in RUNS]
SETTING_UP = ("python -m venv", "pip install")


def option_names() -> set[str]:
    """The long options of all verbs, and those of `mtlbench run` that the pages use."""
    commands = [mtlbench, *mtlbench.commands.values()]
    commands += [verb for group in commands[1:] if isinstance(group, click.Group) for verb in group.commands.values()]
    own = {name for command in commands for p in command.params for name in (*p.opts, *p.secondary_opts)}
    return own | {"--cfg", "--config-dir", "--dry-run", "--help"}


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    assert len(RUNS) >= 10 and len(VERBS) >= 10
    assert [c for _, c in COMMANDS if c not in RUNS and c not in VERBS and not c.startswith(SETTING_UP)] == []


@pytest.mark.parametrize("command", sorted(set(RUNS)))
def test_every_value_of_every_sweep_composes(command: str) -> None:
    composed: set[str] = set()  # a run for each word; all combinations would take minutes
    for job in jobs_of(command):
        if not composed.issuperset(job) or not job:
            compose_run(job)
            composed.update(job)


TOLD = {tuple(word for word in shlex.split(command) if word.startswith("hydra")) for command in RUNS} - {()}


@pytest.mark.parametrize("words", sorted(TOLD), ids=" ".join)
def test_what_launchers_and_sweepers_are_told_is_known(words: tuple[str, ...]) -> None:
    prepare()
    with initialize_config_module(version_base="1.3", config_module=CONFIG_MODULE):
        assert compose("config", overrides=list(words), return_hydra_config=True)


@pytest.mark.parametrize("command", sorted(set(VERBS)))
def test_every_other_verb_parses(command: str) -> None:
    parse_verb(command)


@pytest.mark.parametrize("block", NEW, ids=lambda block: block.splitlines()[0])
def test_what_follows_a_new_package_is_what_new_prints(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the commands themselves are run by test_contributing.py and the tests of the scaffold
    made, *following = block.splitlines()
    group, name = shlex.split(made)[2:]
    assert following == list(make_package(group, name).commands)


def test_a_new_package_is_where_a_reader_with_data_or_a_method_looks() -> None:
    assert [block.splitlines()[0] for block in NEW] == [
        "mtlbench new dataset my_log",
        "mtlbench new architecture my_net",
    ]
    for page in ("data", "architecture"):
        assert blocks(PAGES[f"docs/pages/howto/{page}.md"], "bash")[0] in NEW


@pytest.mark.parametrize("page", PAGES)
def test_named_options_keys_and_experiments_are_there(page: str) -> None:
    named = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE))
    options = {word for code in named for word in re.findall(r"(?<![\w-])--[a-z][\w-]*", code)}
    assert options <= option_names()
    known = {"dataset", "architecture", "weighting", "tracker", "trainer"}
    for code in named:
        for key, value in re.findall(r"(?<![\w.])([a-z_]+(?:\.\w+)*)=([\w./-]+)", code):
            if key == "experiment":
                assert value in dict(experiments())
            elif key.partition(".")[0] in known and "." in key:
                group = key.partition(".")[0]
                choice = [] if group == "trainer" else [f"{group}={'wandb' if group == 'tracker' else 'mmoe'}"]
                compose_run([*choice, f"{key}={value}"])


@pytest.mark.parametrize(
    ("page", "block"), [(page, block) for page, text in PAGES.items() for block in blocks(text, "console")]
)
def test_what_a_mistake_is_said_to_cost_it_costs(page: str, block: str) -> None:
    for command, expected in re.findall(r"^\$ (.*)\n(.*)\n", block, re.MULTILINE):
        assert command.startswith(RUN)
        with pytest.raises(ValueError) as refused:
            check(compose_run(words_of(command)))
        assert f"mtlbench: {refused.value}".startswith(expected.removesuffix("..."))


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page, text in PAGES.items() for code in blocks(text, "python")]
)
def test_python_examples_compile(page: str, code: str) -> None:
    compile(code, page, "exec")


@pytest.mark.parametrize("page", [page for page in PAGES if "/howto/" in page and blocks(PAGES[page], "python")])
def test_python_examples_of_how_tos_run(page: str, tmp_path: Path) -> None:
    code = "\n".join(blocks(PAGES[page], "python"))  # in a process of its own: one registers an architecture
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    (tmp_path / "example.py").write_text(code)  # a file, as the contracts look for the source
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_how_to_of_a_papers_table_writes_what_it_says(tmp_path: Path) -> None:
    """Its reports of a tuned sweep, with the names that it prints."""
    page = PAGES["docs/pages/howto/paper_table.md"]
    for method in ("single_task/equal", "shared_bottom/equal", "mmoe/equal", "ple/equal"):
        defaults = [fabricate.record("shop", method, seed) for seed in range(3)]
        for made in (*defaults, *fabricate.searches("shop", method)):
            made.write(tmp_path / "results" / "paper")
    (names,) = blocks(page, "yaml")
    (tmp_path / "names.yaml").write_text(names)
    verbs = [
        command
        for command in commands(page)
        if command.startswith(("mtlbench power", "mtlbench report", "mtlbench pack"))
    ]
    assert len(verbs) == 5
    for command in verbs:
        done = mtlbench_command(*shlex.split(command)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert all(f"`\\input{{tables/{table}}}`" in page for table in ("paper", "overview"))
    assert {"paper.tex", "overview.tex"} <= {path.name for path in (tmp_path / "tables").iterdir()}
    assert "MMoE" in (tmp_path / "tables" / "paper.tex").read_text()
    assert (tmp_path / "forest.pdf").read_bytes().startswith(b"%PDF")


def hook(name: str) -> ModuleType:
    """A hook of the site; the test is skipped without the extra `docs`."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    path = ROOT / "docs" / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"hook_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["equations", "papers", "repository"])
def test_examples_of_hooks(name: str) -> None:
    found = doctest.testmod(hook(name))
    assert found.attempted > 0 and found.failed == 0


def test_an_equation_is_drawn_and_an_unknown_command_refused() -> None:
    equations = hook("equations")
    marked = r'<p>so <span class="arithmatex">\(a &lt; b\)</span>, and <code>\(a\)</code></p>'
    drawn = equations.on_page_content(marked, page=None)
    assert "<mo>&#x0003C;</mo>" in drawn and drawn.endswith("</math>,</span> and <code>\\(a\\)</code></p>")
    with pytest.raises(ValueError, match="unknown command"):
        equations.mathml(r"\nosuch{x}", display=True)


def test_papers_are_linked_outside_of_code_alone() -> None:
    papers = hook("papers")
    found = papers.on_page_content(
        "<p>arXiv 1803.10704, <code>arXiv 1803.10704</code>, doi:10.1145/3219819.3220007.</p>"
    )
    assert found.count("<a href=") == 2
    assert '<a href="https://doi.org/10.1145/3219819.3220007">' in found and "<code>arXiv 1803.10704</code>" in found


def test_every_registered_method_has_a_page_with_its_parameters() -> None:
    methods = hook("methods")
    pages = dict(methods.pages())
    for folder, registry in methods.REGISTRIES.items():
        for name in methods.names_of(registry):
            assert f"[`{name}`]({name}.md)" in pages[f"{folder}/index.md"]
            page = pages[f"{folder}/{name}.md"]
            assert all(f"`{parameter.key}`" in page for parameter in methods.parameters(registry, name))
    assert "`architecture.num_experts` | int | `8`" in pages["architectures/mmoe.md"]
    assert {f"statistics/{module}.md" for module in ("arms", "looks", "rows")} <= set(pages)


def test_the_table_of_weightings_has_paper_sentence_cost_and_defaults_of_each() -> None:
    methods = hook("methods")
    page = methods.registry_page("weightings")
    head = "| name | paper | backward passes per step, of T tasks | what it does | parameters and defaults |"
    assert head in page
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in page.splitlines() if line.startswith("| [`")}
    names = methods.names_of(methods.weightings)
    assert list(rows) == [f"[`{name}`]({name}.md)" for name in names]
    assert all(paper.strip() and passes.strip() and told.strip() for paper, passes, told, _ in rows.values())
    of = {name: cells[-1].strip() for name, cells in zip(names, rows.values(), strict=True)}
    assert (of["cagrad"], of["mgda"], of["equal"]) == ("`c=0.5`", "", "")
    assert of["uncertainty"] == "`learning_rate=0.025`"
    assert "Some also have `head_gradients`, `normalize`, `scope`: see their pages." in page


def test_the_table_of_architectures_has_the_sizes_of_the_published_runs() -> None:
    methods = hook("methods")
    costs = {record.config["architecture"]["name"]: record.cost for record in load_records(methods.RECORDS)}
    for name, cost in costs.items():
        assert methods.sizes()[name]["parameters"] == f"{cost['parameters'] - cost['embedding_parameters']:,}"
    page = methods.registry_page("architectures")
    assert "parameters | multiply-adds | parameters and defaults |" in page
    (mmoe,) = (line for line in page.splitlines() if "(mmoe.md)" in line)
    assert "| 329,458 | 329,904 |" in mmoe
    (esmm,) = (line for line in page.splitlines() if "(esmm.md)" in line)
    assert "|  |  |" in esmm  # it needs a funnel
    assert "multiply-adds" not in methods.registry_page("weightings")
