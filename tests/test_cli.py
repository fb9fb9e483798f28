"""The console script: its verbs, and what it says when a command is wrong."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click
import pytest

from benchmark import load_records
from benchmark.analysis.compare import compare
from benchmark.analysis.power import power
from benchmark.cli import main, mtlbench
from benchmark.records.record import Purpose, SelectionName, no_records
from benchmark.reference.lines import make_references
from benchmark.reporting import report
from benchmark.settings.help import EXAMPLES, help_text
from benchmark.settings.registry import architectures, datasets
from tests.command import mtlbench as command

SHORT = ("dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=4000", "trainer.max_epochs=1", "threads=1")


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and the one line on stderr."""
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mtlbench: ")
    assert err.count("\n") == 1
    return stopped.value.code, err.removeprefix("mtlbench: ").rstrip("\n")  # type: ignore[return-value]


# what is wrong is one line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (
            ["reprot"],
            2,
            "unknown verb 'reprot'; did you mean report? known: check, clean, compare, data, list, new, pack, power, recommend, re",
        ),
        (["list", "--nmaes"], 2, "unknown option '--nmaes'; did you mean --names? known: --for, --help, --names, -h"),
        (
            ["list", "achitectures"],
            1,
            "unknown group 'achitectures'; did you mean architectures? known: architectures,",
        ),
        (["list", "pcgrad"], 1, "unknown group 'pcgrad'; its group goes before it: mtlbench list weightings pcgrad"),
        (["list", "architectures", "mmoee"], 1, "unknown architecture 'mmoee'; did you mean mmoe? known: "),
        (["list", "--for", "shopp"], 1, "unknown dataset 'shopp'; did you mean shop? known: "),
        (["recommend"], 2, "Missing argument 'RECORD'; see mtlbench recommend --help"),
        (["data", "crad"], 2, "unknown verb 'crad'; did you mean card? known: card"),
        (["data", "card"], 2, "Missing argument 'NAME'; see mtlbench data card --help"),
        (["data", "card", "shopp"], 1, "unknown dataset 'shopp'; did you mean shop? known: "),
        (["data", "card", "shop", "seed=1"], 1, "unknown option 'seed'; known: dataset.affinity, "),
        (
            ["data", "card", "shop", "dataset.num_row=9"],
            1,
            "unknown parameter of dataset shop 'num_row'; did you mean num_rows?",
        ),
        (["recommend", "x.json", "--user", "1", "-k", "0"], 2, "Invalid value for '-k': 0 is not in the range x>=1"),
        (["recommend", "nowhere.json", "--user", "1"], 1, "no record at nowhere.json"),
        (["report", "nowhere"], 1, "no folder of records at nowhere"),
        (["report", "--columns", "gain"], 1, "--columns: expected --latex beside it, found none"),
        (["report", "--no-notes"], 1, "--notes: expected --latex beside it, found none"),
        (["report", "--names", "n.yaml"], 1, "--names: expected --latex or --figure beside it, found none"),
        (["report", "--out", "f.pdf"], 1, "--out: expected --figure beside it, found none"),
        (["report", "--figure", "forest"], 1, "--figure: expected --out, the file to write it to"),
        (["report", "--latex", "t", "--names", "n.yaml"], 1, "no file of names at n.yaml"),
        (["report", "--selection", "best"], 2, "Invalid value for '--selection': 'best' is not one of 'joint', 'per_t"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, line: str
) -> None:
    found_status, found = fails(capsys, *arguments)
    assert found_status == status
    assert found.startswith(line)


VERBS_OF_RECORDS = {
    "show": ["show", "{place}"],
    "show an id": ["show", "{place}", "a1b2"],
    "report": ["report", "{place}"],
    "compare": ["compare", "mmoe/equal", "single_task/equal", "{place}"],
    "power": ["power", "{place}"],
    "recommend": ["recommend", "{place}", "--user", "1"],
    "pack": ["pack", "{place}"],
}


@pytest.mark.parametrize("verb", VERBS_OF_RECORDS)
def test_a_place_without_records_is_called_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    def line(place: Path) -> str:
        status, found = fails(capsys, *(word.format(place=place) for word in VERBS_OF_RECORDS[verb]))
        assert status == 1
        return found

    empty, missing = tmp_path / "empty", tmp_path / "missing"
    empty.mkdir()
    assert line(empty) == no_records(empty)
    assert line(missing).startswith(
        f"no record at {missing}"
        if verb in ("show", "recommend")
        else f"no folder of records at {missing}; `mtlbench run"
    )
    if verb == "pack":
        return
    (tmp_path / "empty.json").touch()
    (tmp_path / "other.json").write_text("{}")
    if verb != "show an id":
        assert line(tmp_path / "empty.json") == f"{tmp_path / 'empty.json'} is not a record: it is empty"
        assert line(tmp_path / "other.json").startswith(
            f"{tmp_path / 'other.json'} is not a record: it has no format, id"
        )


def test_the_traceback_is_there_for_who_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown architecture"):
        main(["list", "architectures", "mmoee"])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["architecture=mmoee"], "mtlbench: unknown architecture 'mmoee'; did you mean mmoe? known: "),
        (["architecture=mmoe,shared_bottm"], "mtlbench: unknown architecture 'shared_bottm'; did you mean shared_bott"),
        (["trainer.lerning_rate=1,2"], "mtlbench: unknown parameter of trainer 'lerning_rate'; did you mean learning_"),
        (["--muptirun"], "mtlbench: unknown option '--muptirun'; did you mean --multirun? known: "),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_of_run_is_one_line_and_leaves_nothing(tmp_path: Path, arguments: list[str], line: str) -> None:
    done = command("run", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["report", "compare", "power"])
def test_the_help_of_a_margin_has_the_defaults(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    main([verb, "--help"])
    assert "[default: auc=" in " ".join(capsys.readouterr().out.split())


# list and help --------------------------------------------------------------------------------------------------------


def test_list_has_every_entry_with_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list"])
    text = capsys.readouterr().out
    for name in (*architectures.names(), *datasets.names()):
        assert f"  {name} " in text
    assert "Multi-gate mixture of experts" in text


def test_list_of_one_has_parameters_and_paper(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "architectures", "mmoe"])
    text = capsys.readouterr().out
    assert "architecture.num_experts=8 " in text
    assert "architecture.expert_dims=[64] " in text
    assert "KDD 2018" in text
    assert "Shape:" in text


def test_inherited_parameters_have_their_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "weightings", "pcgrad"])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "weighting.scope=" in line]
    assert "one of trunk, all, representation" in line
    assert "What the compared gradients are taken" in line


def test_names_are_what_a_sweep_takes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "architectures", "--names"])
    assert capsys.readouterr().out == ",".join(architectures.names()) + "\n"


def test_for_leaves_out_what_does_not_suit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.get("synthetic"), "build", lambda self: pytest.fail("data was read"))
    main(["list", "architectures", "--for", "synthetic", "--names"])
    assert "esmm" not in capsys.readouterr().out.strip().split(",")
    main(["list", "--for", "synthetic"])
    suited, _, refused = capsys.readouterr().out.partition("not for synthetic:")
    assert "  mmoe " in suited
    assert re.search(r"^  esmm +needs a funnel.*; suits ali_ccp, .*, shop$", refused, re.MULTILINE)


def test_help_says_every_group_and_key() -> None:
    text = help_text()
    for part in ("architecture=", "weighting=", "dataset=", "tracker=", "experiment=", "trainer.learning_rate=0.001"):
        assert part in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_run_help_is_ours(tmp_path: Path) -> None:
    done = command("run", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Hydra Flags" not in done.stdout
    assert all(example in done.stdout for example, _ in EXAMPLES)


@pytest.mark.parametrize(
    ("verb", "function", "name", "known"),
    [
        ("report", report, "selection", SelectionName),
        ("report", report, "purpose", Purpose),
        ("compare", compare, "selection", SelectionName),
        ("power", power, "selection", SelectionName),
    ],
)
def test_an_option_has_the_names_and_the_default_of_its_function(
    verb: str, function: Callable[..., object], name: str, known: object
) -> None:
    (option,) = (option for option in mtlbench.commands[verb].params if option.name == name)
    assert isinstance(option.type, click.Choice) and [*option.type.choices] == [*get_args(known)]
    assert option.default == inspect.signature(function).parameters[name].default


@pytest.mark.parametrize("name", ["trials", "seeds"])
def test_the_help_of_reference_has_the_defaults_of_its_function(name: str) -> None:
    told, default = mtlbench.commands["reference"].help, inspect.signature(make_references).parameters[name].default
    assert told is not None and re.search(rf"^ *{name}={default} ", told, re.MULTILINE)


def test_help_of_mtlbench_is_quick_because_it_imports_little() -> None:
    code = "import sys; from benchmark.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(bool({'torch', 'polars', 'matplotlib', 'wandb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


# run and report -------------------------------------------------------------------------------------------------------


def test_a_sweep_then_the_same_again_then_a_report(tmp_path: Path) -> None:
    sweep = ("run", "architecture=mmoe,shared_bottom", "seed=0,1", *SHORT)
    first = command(*sweep, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    records = load_records(tmp_path / "results" / "runs")
    assert {(r.method, r.seed) for r in records} == {
        (m, s) for m in ("mmoe/equal", "shared_bottom/equal") for s in (0, 1)
    }
    again = command(*sweep, cwd=tmp_path)
    assert again.returncode == 0
    assert "0 finished, 4 skipped" in again.stderr + again.stdout
    report = command("report", "--baseline", "shared_bottom/equal", "--csv", "table.csv", cwd=tmp_path)
    assert report.returncode == 0, report.stderr
    assert "mmoe" in report.stdout
    assert (tmp_path / "table.csv").read_text().count("mmoe")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "table.csv"]  # no folder of Hydra's


def test_a_checkpoint_recommends(tmp_path: Path) -> None:
    done = command("run", "save_checkpoint=true", *SHORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "results" / "runs").rglob("*.json")
    user = command("recommend", str(record), "--user", "nobody", cwd=tmp_path)
    assert user.returncode == 1
    assert user.stderr.startswith("mtlbench: ")
    known = "1"
    done = command("recommend", str(record), "--user", known, "-k", "3", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
