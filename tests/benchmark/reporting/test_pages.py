"""HTML, Markdown and CSV: self-contained, and every name stays text."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from markdown_it import MarkdownIt

from benchmark.records.record import Record
from benchmark.reporting import Report, report
from benchmark.reporting.figures import figures
from benchmark.reporting.figures.canvas import grid, log_axis
from benchmark.reporting.figures.medium import drawing
from benchmark.reporting.figures.styles import styles
from benchmark.reporting.outputs.markdown import escape
from benchmark.text import in_seconds
from tests.benchmark.reporting.fabricate import SCHEMAS, record, records, study

EVIL = "</script><img src=x onerror=alert(1)>|=$x_1$ *b* `c` &amp;"


class Page(HTMLParser):
    """Tags with their attributes, ids and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text.replace("<wbr>", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture(scope="module")
def made() -> Report:
    return report(study())


@pytest.fixture(scope="module")
def html(made: Report) -> str:
    return made.html()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def hostile(seeds: int = 3) -> list[Record]:
    """Records in which every name is hostile."""
    task = {"click": EVIL}
    made = []
    for seed in range(seeds):
        run = record(
            method=f"={EVIL}/equal", seed=seed, architecture={"name": f"={EVIL}"}, options={"name": EVIL, "path": EVIL}
        )
        for row in (*run.metrics.values(), *run.metrics_per_task.values(), *(e["validation"] for e in run.epochs)):
            row[EVIL] = row.pop("click")
        for epoch in run.epochs:
            epoch["effective_weights"] = {
                task.get(k, k): 1.0 + 0.1 * epoch["epoch"] for k in epoch["effective_weights"]
            }
        run.best_epoch_per_task[EVIL] = run.best_epoch_per_task.pop("click")
        run.dataset |= {"name": EVIL, "fields": [EVIL], "facts": {EVIL: EVIL}}
        schema = SCHEMAS["videos"].to_json()
        schema["tasks"][0]["name"] = EVIL
        run.dataset["schema"] = schema
        run.environment["command"] = EVIL
        run.gates = {EVIL: {EVIL: 0.5, "other": 0.5}}
        made.append(run)
    failed = record(
        method=f"={EVIL}/equal",
        seed=9,
        status="failed",
        architecture={"name": f"={EVIL}"},
        options={"name": EVIL, "path": EVIL},
    )
    failed.error = {"type": EVIL, "message": EVIL}
    return [*made, failed]


def test_the_page_needs_nothing_from_elsewhere(html: str, page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "img", "base", "object", "embed")
        for name in ("src", "href", "xlink:href", "action"):
            target = attributes.get(name)
            assert target is None or target.startswith("#"), (tag, name, target)
        assert not any(name.startswith("on") for name in attributes)
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [script.get("type") for script in scripts] == ["application/json", "application/json", None]
    assert not re.search(r"url\((?!#)|@import", html)


def test_the_only_script_is_the_one_that_the_page_allows(html: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'" in html
    assert "fetch" not in script and "innerHTML" not in script and "eval" not in script


def test_chapters_stand_in_their_order_and_empty_ones_are_left_out(page: Page) -> None:
    links = [str(a["href"])[1:] for tag, a in page.tags if tag == "a"]
    assert links == [
        "answer", "leaderboard", "forest", "grid", "overview", "cost", "selection", "tasks", "front", "curves", "weights",
        "trouble", "details", "terms",
    ]  # fmt: skip
    folded = [attributes.get("id") for tag, attributes in page.tags if tag == "details" and "id" in attributes]
    assert folded == ["verdicts", "pairs", "gains", "experts", "compared"]


def test_of_very_many_methods_the_first_are_shown_and_it_is_said() -> None:
    runs = [record(seed=seed, num_epochs=2, architecture={"width": w}) for w in range(100) for seed in range(2)]
    runs += [record(method="single_task/equal", seed=seed, num_epochs=2) for seed in range(2)]
    text = report(runs).html()
    assert "The first 80 of 101 rows; the CSV file has all." in text
    assert "The figure shows the 16 of 101 methods" in text and "The figure shows the 40 of 101 methods" in text
    assert "constant (mean of train)" in text and len(text) < 1_000_000


def test_ids_are_unique_and_links_lead_somewhere(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(a.get("href") or a.get("xlink:href"))[1:] for tag, a in page.tags if tag in ("a", "use")}
    assert links <= set(ids)


def test_the_page_is_of_modest_size(html: str) -> None:
    assert len(html) < 400_000


def test_the_page_has_the_tables_and_their_numbers(made: Report, page: Page) -> None:
    cells = [c.text for _, _, t in made.document.tables() for row in t.rows for c in row.cells if c.text]
    words = {" ".join(word.split()) for word in page.words}
    assert set(cells) <= words
    for label in ("Learning curves on validation", "Effective task weights", "AUC against MSE", "Experts in use"):
        assert any(label in word for word in words)
    assert "All runs use the same test rows" in page.text


def test_svgs_are_well_formed_have_a_text_alternative_and_take_the_pages_colours(made: Report) -> None:
    for results in made.results:
        drawn = figures(results, styles(made.study.methods))
        assert set(drawn) == {"forest", "front", "curves", "weights", "cost"}
        for figure in drawn.values():
            root = ET.fromstring(figure.svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))
            assert root.get("role") == "img" and len(root.get("aria-label", "")) > 40
            assert figure.alternative
            assert "#0a0a" not in figure.svg and "#0b0b" not in figure.svg
            assert re.search(r"var\(--c\d\)", figure.svg) and "currentColor" in figure.svg
            assert "#000000" not in figure.svg and "#ffffff" not in figure.svg  # unreadable on one of the two grounds


def test_every_variable_of_a_colour_is_defined(html: str) -> None:
    used, defined = set(re.findall(r"var\((--[\w-]+)", html)), set(re.findall(r"(--[\w-]+):", html))
    assert used - {"--heat"} <= defined


def test_cost_is_in_cpu_seconds_where_all_records_have_them_and_in_none_over_several_machines() -> None:
    runs = records(("videos",), 3)

    def told() -> str:
        made = report(runs)
        return figures(made.results[0], styles(made.study.methods))["cost"].alternative

    assert "Best for their seconds of training" in told()
    for run in runs:
        run.cost["cpu_seconds"] = 2 * run.cost["train_seconds"]
    assert "Best for their CPU seconds of training" in told()
    runs[0].environment["platform"] = "another"
    assert "seconds of training" not in told() and "Best for their multiply-adds a row" in told()


def test_weights_that_span_decades_are_drawn_on_a_scale_of_plain_numbers() -> None:
    runs = [record(method="mmoe/uncertainty", seed=seed) for seed in range(3)]
    for run in runs:
        for epoch in run.epochs:
            epoch["effective_weights"]["like"] = 10.0 ** (epoch["epoch"] / 4)
    made = report(runs)
    weights = figures(made.results[0], styles(made.study.methods))["weights"]
    assert ">100<" in weights.svg and "$" not in weights.svg


def test_ticks_that_are_close_have_labels_that_differ() -> None:
    with drawing():
        _, (axes,) = grid(1)
        axes.set_xlim(0.1512, 0.1538)
        log_axis(axes, "x", [0.1512, 0.1538], in_seconds)
        labels = axes.xaxis.get_major_formatter().format_ticks(axes.get_xticks())
    assert len(labels) > 2 and len(set(labels)) == len(labels)


def test_drawing_leaves_matplotlib_as_it_was(made: Report) -> None:
    before = dict(mpl.rcParams)
    made.html()
    assert dict(mpl.rcParams) == before


def test_hostile_names_stay_text_in_html() -> None:
    text = report(hostile(), baseline=f"={EVIL}/equal").html()
    parsed = Page(text)
    assert "img" not in {tag for tag, _ in parsed.tags}
    assert [a.get("type") for tag, a in parsed.tags if tag == "script"] == [
        "application/json",
        "application/json",
        None,
    ]
    assert f"={EVIL}/equal" in parsed.text
    summary = re.search(r'<script type="application/json" id="summary">(.*?)</script>', text, re.DOTALL)
    assert summary is not None
    data = json.loads(summary[1])
    assert f"={EVIL}/equal" in data["rows"][0] and EVIL in data["rows"][0]


def test_hostile_names_stay_text_in_markdown() -> None:
    text = report(hostile(), baseline=f"={EVIL}/equal").markdown()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    parsed = Page(html)
    assert "img" not in {tag for tag, _ in parsed.tags} and "script" not in {tag for tag, _ in parsed.tags}
    assert f"={EVIL}/equal" in parsed.text
    sizes = {line.count("|") - line.count(r"\|") for line in text.splitlines() if line.startswith("| method")}
    assert sizes  # as many cells in each row as in its head, or the table would not have been read
    assert html.count("<table>") == len(re.findall(r"^\| [:-]", text, re.MULTILINE))


@pytest.mark.parametrize(
    "text", [EVIL, "- a", "1. b", "# c", "never_married", "_x_", "a\nb", "[a](http://b)", "~~a~~", "\\"]
)
def test_markdown_shows_what_was_escaped(text: str) -> None:
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(escape(text))
    parsed = Page(html)
    assert {tag for tag, _ in parsed.tags} <= {"p"}
    assert parsed.text.replace("\u200b", "").strip() == " ".join(text.split())


def test_a_formula_stays_text_in_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(report(hostile(), baseline=f"={EVIL}/equal").csv())))
    assert {row["method"] for row in rows} == {f"'={EVIL}/equal", "reference/constant"}
    assert {row["dataset"] for row in rows} == {EVIL}


def test_negative_numbers_stay_numbers_in_csv(made: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(made.csv())))
    differences = [float(row["difference"]) for row in rows if row["difference"] and row["metric"] == "mse"]
    assert differences and min(differences) < 0


def test_names_in_any_script_are_drawn() -> None:
    runs = records(("videos",), 1)
    for run in runs:
        schema = SCHEMAS["videos"].to_json()
        schema["tasks"][0]["name"] = "点击"
        run.dataset["schema"] = schema
        for row in (*run.metrics.values(), *run.metrics_per_task.values(), *(e["validation"] for e in run.epochs)):
            row["点击"] = row.pop("click")
    assert "点击: AUC" in report(runs).html()


def test_methods_keep_their_colour_and_none_looks_like_another() -> None:
    drawn = styles([f"m{number}" for number in range(24)])
    assert len({(s.colour, s.dash) for s in drawn.values()}) == 24
