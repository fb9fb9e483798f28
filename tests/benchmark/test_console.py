"""A console that is not UTF-8 shows all there is to read, with other signs for those that it lacks."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import benchmark
from benchmark.analysis.compare import compare
from benchmark.cli import main, mtlbench
from benchmark.console import STAND_INS, allow_any_console, terminal
from benchmark.records.record import Record
from benchmark.reporting import report
from benchmark.reporting.one_record import in_words
from benchmark.runs.progress import say
from benchmark.settings.listing import listing
from benchmark.trained.recommender import Recommendations
from tests.benchmark.reporting.fabricate import records


def console_of(encoding: str, monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    """Stdout and stderr of another encoding; not a fixture, as pytest's own come in between."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def shown(console: io.TextIOWrapper) -> str:
    console.flush()
    return console.buffer.getvalue().decode(console.encoding)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("ascii", "-0.1 +/- 0.2, a <= b, R^2, d AUC, fur ss ?"),
        ("cp1252", "-0.1 ± 0.2, a <= b, R², d AUC, für ß ?"),
        ("gbk", "-0.1 ± 0.2, a ≤ b, R^2, Δ AUC, für ss 日"),
        ("utf-8", "−0.1 ± 0.2, a ≤ b, R², Δ AUC, für ß 日"),
    ],
)
def test_what_an_encoding_lacks_has_a_stand_in(monkeypatch: pytest.MonkeyPatch, encoding: str, text: str) -> None:
    console = console_of(encoding, monkeypatch)
    allow_any_console()
    console.write("−0.1 ± 0.2, a ≤ b, R², Δ AUC, für ß 日")
    assert shown(console) == text


def test_a_mistake_is_told_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_of("ascii", monkeypatch)
    with pytest.raises(SystemExit):
        main(["report", "für"])
    assert shown(console).startswith("mtlbench: no folder of records at fur; ")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
@pytest.mark.parametrize("verb", ["report", "compare", "power"])
def test_verbs_print_on_any_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, verb: str) -> None:
    console = console_of(encoding, monkeypatch)
    for record in records(("shop",), seeds=3):
        record.write(tmp_path)
    main([verb, *(["mmoe/equal", "single_task/equal"] if verb == "compare" else []), str(tmp_path)])
    text = shown(console)
    assert "mmoe" in text and "single_task/equal" in text
    assert not re.search(r"\d\?|\?\d|\? ", text)  # no sign was lost


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["list"], "Multi-gate mixture of experts"),
        (["list", "architectures", "mmoe"], "softmax(W_k x)"),
        (["list", "datasets", "shop"], "z_u"),
        (["show", "{record}"], "mmoe/equal on shop"),
        (["show", "{record}", "--json"], '"method": "mmoe/equal"'),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_click_would_print_in_utf8_is_in_the_consoles_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, arguments: list[str], expected: str
) -> None:
    console = console_of(encoding, monkeypatch)
    made = next(record for record in records(("shop",), seeds=3) if record.method == "mmoe/equal")
    main([word.format(record=made.write(tmp_path)) for word in arguments])
    assert expected in shown(console)  # or it would not decode


def test_an_equation_can_be_read_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_of("ascii", monkeypatch)
    allow_any_console()
    console.write("y_k = ∑_e g_e f_e, σ_t² ≠ 0, Γ ∼ λ, a_k^⊤ (z ⊙ v), G̅ r^(α), ‖∇L‖, ϵ ∈ ℝ^T")
    assert shown(console) == (
        "y_k = sum_e g_e f_e, sigma_t^2 != 0, Gamma ~ lambda, a_k^T (z .* v), G_bar r^(alpha), ||grad L||, epsilon in R^T"
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("group", ["architectures", "weightings", "datasets"])
def test_no_sign_of_an_entry_is_lost(monkeypatch: pytest.MonkeyPatch, encoding: str, group: str) -> None:
    console = console_of(encoding, monkeypatch)
    texts = [listing(group, name) for name in listing(group, names=True).split(",")]
    allow_any_console()
    console.write("".join(texts))
    assert shown(console).count("?") == "".join(texts).count("?")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gbk"])
def test_recommendations_print_on_any_console(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    console = console_of(encoding, monkeypatch)
    allow_any_console()
    Recommendations([{"user": "1", "rank": 1, "item": "7", "title": "Amélie – 日"}], (), "click").print()
    text = shown(console)
    assert "ranked by click" in text and re.search(r"Am.lie", text)


@pytest.mark.parametrize("verb", mtlbench.commands)
def test_the_help_of_click_is_ascii(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    if verb != "run":  # Hydra prints it
        main([verb, "--help"])
    main(["--help"])
    assert capsys.readouterr().out.isascii()


def test_a_mistake_is_told_on_any_console(monkeypatch: pytest.MonkeyPatch) -> None:
    console = console_of("cp1252", monkeypatch)
    with pytest.raises(SystemExit):
        main(["report", "für 日本"])
    assert shown(console).startswith("mtlbench: no folder of records at für ??; ")


def test_every_sign_of_ours_has_a_stand_in() -> None:
    package = Path(benchmark.__file__).parent
    used = set(re.findall(r"[^\x00-\x7f]", "".join(path.read_text("utf-8") for path in package.rglob("*.py"))))
    unknown = {sign for sign in used - set(STAND_INS) if not sign.isalnum()}
    assert unknown == set()
    assert all(stand_in.isascii() for stand_in in STAND_INS.values())


HOSTILE = "\x1b[2J\x1b]0;title\x07net\u202e\u2066\r\nsecond\x9b31m"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def hostile_records(name: str = HOSTILE, methods: int = 5) -> list[Record]:
    """Records of which all names and texts that come from outside are this."""
    made = []
    for record in records(("shop",), seeds=3, num_epochs=2)[: 3 * methods]:
        text = json.dumps(asdict(record)).replace('"duration"', json.dumps(name))
        made.append(Record(**json.loads(text)))
        if record.method != "single_task/equal":
            made[-1].method = f"{name} {record.method}"
            made[-1].config["architecture"]["name"] = made[-1].method.rpartition("/")[0]
        made[-1].dataset["name"] = made[-1].config["dataset"]["name"] = f"shop {name}"
        made[-1].environment["command"] = made[-1].dataset["facts"]["protocol"] = name
    failed = made[-1]
    failed.status, failed.error = "failed", {"type": name, "message": name, "traceback": f"{name}\n  {name}"}
    failed.undefined = {f"test.{name}.mse": name}
    return made


def test_nothing_from_outside_controls_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = hostile_records()
    for record in made:
        record.write(tmp_path)
    path = made[-1].path(tmp_path)
    method = made[-2].method
    for command in (
        ["report", str(tmp_path)], ["power", str(tmp_path)], ["show", str(path)], ["show", str(tmp_path), "--json", made[0].id],
        ["compare", method, "single_task/equal", str(tmp_path)],
    ):  # fmt: skip
        main(command)
        shown = capsys.readouterr()
        assert "net" in shown.out and not CONTROLS.search(shown.out + shown.err), command
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path), "--baseline", HOSTILE])
    path.write_text(path.read_text().replace('"failed"', json.dumps(HOSTILE)))
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path)])
    told = capsys.readouterr().err
    assert r"\x1b[2J" in told and not CONTROLS.search(told)


def test_nothing_from_outside_controls_a_terminal_with_colours() -> None:
    for made in (
        report(hostile_records()),
        compare(hostile_records()[-2].method, "single_task/equal", hostile_records()),
    ):
        file = io.StringIO()
        made.print(terminal(file=file, force_terminal=True, width=120, color_system="standard", _environ={}))
        shown = re.sub(r"\x1b\[[\d;]*m", "", file.getvalue())  # rich's own colours
        assert "\x1b[1m" in file.getvalue()
        assert "\x1b[2J" not in file.getvalue()
        assert not CONTROLS.search(shown)


def test_lines_of_progress_have_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"mtlbench: {HOSTILE}")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and not CONTROLS.search(shown)


def test_a_name_of_a_million_characters_is_shortened_on_a_terminal_and_whole_in_files() -> None:
    name = "x-" * 500_000
    few = hostile_records(name, methods=2)
    made = report(few)
    assert len(str(made)) < 200_000
    assert name in made.csv()
    assert len(in_words(asdict(few[-1]))) < 12 * len(name)
