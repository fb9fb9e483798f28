"""Any text in names comes back from HTML, Markdown, LaTeX, CSV and shell hints, read by their own parsers."""

from __future__ import annotations

import csv
import io
import re
import shlex
import unicodedata
from dataclasses import asdict
from html.parser import HTMLParser
from unittest.mock import patch

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from omegaconf import OmegaConf
from pylatexenc.latex2text import LatexNodes2Text

from benchmark import Record
from benchmark.records.record import checked_record
from benchmark.reporting import Report, report
from benchmark.reporting.outputs import html, latex, markdown
from benchmark.settings.config import RunConfig
from benchmark.settings.hydra_text import command_text
from benchmark.settings.registry import plain
from tests.benchmark.reporting import fabricate
from tests.benchmark.reporting.outputs import latex_parser

# names have no control characters and no line breaks; spaces at their ends say nothing
LETTERS = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"), exclude_characters="\u200b")
SPECIAL = st.sampled_from(
    [*"<>&\"'`|\\$%#_{}~^*[]()!=+-@:;,/?", "${", "</script>", "<!--", "--", "$(x)", "1. ", "&amp;"]
)
TEXT = (
    st.lists(LETTERS | SPECIAL, min_size=1, max_size=8).map(lambda parts: " ".join("".join(parts).split())).filter(bool)
)
DEEP = settings(max_examples=60, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=2, deadline=None, derandomize=True, database=None)
UNKNOWN = {  # to the parser, as to no LaTeX
    r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|", r"\textquotedbl{}": '"', r"\textasciigrave{}": "`",
    r"\textquotesingle{}": "'", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~", r"\textdagger{}": "†",
    r"\textdaggerdbl{}": "‡", "$^2$": "²",
}  # fmt: skip
NASTY = "</script><blink>\"'&amp; $x_1$ \\cmd{}|`q` ~ ${a} $(b)"


class Texts(HTMLParser):
    """The text of a page, outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self._is_code = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_code = tag in ("script", "style")
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        self._is_code = False

    def handle_data(self, data: str) -> None:
        if not self._is_code:
            self.found.append(data)

    @property
    def text(self) -> str:
        """All of it; a name may be in pieces, where it may be broken."""
        return " ".join("".join(self.found).split())


def named(dataset: str, task: str) -> list[Record]:
    """Runs of two methods on a data set and with a task of these names."""

    def renamed(value: object) -> object:
        if isinstance(value, dict):
            return {task if key == "click" else key: renamed(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [renamed(inner) for inner in value]
        return task if value == "click" else value

    methods = ("single_task/equal", "mmoe/equal")
    made = [fabricate.record("videos", m, s, called=dataset, num_epochs=2) for m in methods for s in range(3)]
    return [checked_record(renamed(asdict(record)), "") for record in made]


def page_of(found: Report) -> str:
    """The page without its figures, which take seconds."""
    with patch.object(html, "figures", lambda results, keys: {}):
        return html.render(
            found.document, found.results, None, found.summary, found.study.methods, (), folder=found.folder
        )


@FEW
@example(dataset=NASTY.replace("/", ""), task=f"{NASTY} 2")
@given(dataset=TEXT.map(lambda text: f"d{text}".replace("/", "")), task=TEXT.map("t{}".format))
def test_names_of_data_and_tasks_survive_into_every_form_of_a_report(dataset: str, task: str) -> None:
    found = report([*named(dataset, task), *named("other", "like it")])
    page = Texts(page_of(found))
    assert dataset in page.text and task in page.text
    assert "blink" not in page.tags
    drawn = Texts(MarkdownIt("commonmark").enable("table").render(found.markdown()))
    assert dataset in drawn.text and task in drawn.text
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert {dataset, "other"} <= {row["dataset"].removeprefix("'") for row in rows}
    assert task in {row["task"].removeprefix("'") for row in rows}
    for table in found.latex().values():
        latex_parser.check(table)


@DEEP
@given(text=TEXT)
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    for source in (markdown.escape(text), f"- {markdown.escape(text)}"):
        drawn = Texts(MarkdownIt("commonmark").enable("table").render(source))
        assert "".join(drawn.found).replace("\u200b", "").strip() == text
        assert drawn.tags <= {"p", "ul", "li"}
    table = Texts(MarkdownIt("commonmark").enable("table").render(f"| a |\n| --- |\n| {markdown.escape(text)} |\n"))
    assert table.found[-2].replace("\u200b", "") == text or text in table.text.replace("\u200b", "")


@DEEP
@given(text=TEXT)
def test_latex_shows_a_text_as_it_is(text: str) -> None:
    escaped = latex.escape(text)
    latex_parser.check(escaped)
    stand_ins = {chr(0xE000 + number): sign for number, sign in enumerate(UNKNOWN.values())}
    for macro, letter in zip(UNKNOWN, stand_ins, strict=True):
        escaped = escaped.replace(macro, letter)
    shown = LatexNodes2Text(strict_latex_spaces=True).latex_to_text(escaped).translate(str.maketrans(stand_ins))
    printable = "".join(letter for letter in text if letter.isprintable())
    assert normal(shown) == normal(printable)


def normal(text: str) -> str:
    """Letters and signs without spaces, which LaTeX sets by rules of its own; the reader here shows its minus as a hyphen."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).replace("−", "-")


@settings(DEEP, max_examples=25)
@example(text="${x}")
@example(text="~/a b'c\"d")
@given(text=TEXT.filter(lambda text: text != "???"))  # by which omegaconf means that there is no value
def test_a_command_to_paste_gives_the_text_back_to_hydra(text: str) -> None:
    config = RunConfig(dataset="shop", architecture="mmoe", weighting="equal", results_dir=text)  # type: ignore[arg-type]
    command = command_text(plain(config))
    words = shlex.split(command)
    assert shlex.join(words) == command
    override = next((word for word in words if word.startswith("results_dir=")), None)
    assert override is not None
    value = OverridesParser.create().parse_override(override).value()
    # a configuration reads `\${` as a `${` that is no reference
    assert OmegaConf.create({"a": getattr(value, "text", value)}).a == text
