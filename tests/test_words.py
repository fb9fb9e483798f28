"""README, docs, help, reports and docstrings keep to the rules of plain words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import words


def test_every_checked_file_keeps_the_rules() -> None:
    found = [line for path in words.checked() for line in words.broken(path)]
    assert not found, "\n".join([f"{len(found)} places; python -m tests.words prints them", *found[:40]])


@pytest.mark.parametrize(
    "text",
    [
        "The drawn values hang on the method alone.",
        "Two lines that are no architectures.",
        "The largest difference that is none.",
        "LightGBM, one model a task.",
        "Of several, untuned methods are preferred.",
        "With so many seeds it is decided.",
        "Two seeds at least.",
        "A record says nothing of its seed.",
        "The behavior of the optimizer.",
        "It works. Modeling is hard.",
        "It is normalized.",
        "Those that finished no run come last.",
        "word " * 36 + ".",
    ],
)
def test_what_is_not_plain_is_found(text: str) -> None:
    assert list(words.rules(text))


@pytest.mark.parametrize(
    "text",
    [
        "Differences of AUC up to this size count as equivalent.",
        "There is no record, or there is none of this name.",
        "If it is no longer needed, and no worse than before.",
        "The values depend on the method and the trial number: one value per trial.",
        "Of course, `this is no X` is code; the optimizer normalises.",
        "J. Ma et al.: Modeling Task Relationships, KDD 2018.",
        "word " * 20 + "end. " + "Word " * 20 + "end.",
    ],
)
def test_plain_words_pass(text: str) -> None:
    assert not list(words.rules(text))


def test_a_finding_names_file_line_and_rule(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n```bash\nit hangs on code\n```\n\n| it hangs on | a table |\n\nPlain.\n\n- plain\n- it hangs on\n"
    )
    (found,) = words.broken(page)
    assert found.startswith(f"{page}:12: say: depends on (found: ")


def test_docstrings_and_messages_of_python_are_read(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'def f(x):\n    """Plain.\n\n        it hangs on code\n\n    Args:\n        x: It hangs on y.\n    """\n'
        '    raise ValueError(f"{x} hangs on this")\n'
    )
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in words.broken(module)] == ["7", "9"]


def test_comments_of_yaml_are_read(tmp_path: Path) -> None:
    options = tmp_path / "options.yaml"
    options.write_text("# It hangs on\n# the next line.\nkey: 1 # it hangs on\n")
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in words.broken(options)] == ["1", "3"]
