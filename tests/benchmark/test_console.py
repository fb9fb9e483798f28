"""A console that is not UTF-8 shows all there is to read, with other signs for those that it lacks."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

import benchmark
from benchmark.cli import main
from benchmark.console import STAND_INS, allow_any_console
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
        ("ascii", "-0.1 +/- 0.2, a <= b, R2, d AUC, fur ss ?"),
        ("cp1252", "-0.1 ± 0.2, a <= b, R², d AUC, für ß ?"),
        ("gbk", "-0.1 ± 0.2, a ≤ b, R2, Δ AUC, für ss 日"),
        ("utf-8", "−0.1 ± 0.2, a ≤ b, R², Δ AUC, für ß 日"),
    ],
)
def test_what_an_encoding_lacks_has_a_stand_in(monkeypatch: pytest.MonkeyPatch, encoding: str, text: str) -> None:
    console = console_of(encoding, monkeypatch)
    allow_any_console()
    console.write("−0.1 ± 0.2, a ≤ b, R², Δ AUC, für ß 日")
    assert shown(console) == text


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
