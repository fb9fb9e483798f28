"""Figures for a paper: of its width, in true colours, with a legend, in every format; and the forest."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmark.reporting import Report, report
from benchmark.reporting.figures import FIGURES, forest
from benchmark.reporting.figures.canvas import Mark
from benchmark.reporting.figures.paper import paper_figure
from benchmark.reporting.figures.styles import LIGHT
from benchmark.statistics import Verdict
from tests.benchmark.reporting.fabricate import METHODS, log_conflicts, record, records, searches, study, trees


@pytest.fixture(scope="module")
def made() -> Report:
    return report(records(("videos",), 3), references=[*trees(shift=0.003)])


@pytest.fixture(scope="module")
def whole() -> Report:
    """What every figure needs: fixed weights on a grid, and conflicts of gradients too."""
    fixed = [record("videos", "mmoe/fixed", s, weights={"click": w}) for w in (0.1, 10.0) for s in range(3)]
    return report([*map(log_conflicts, records(("videos",), 3)), *fixed])


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_the_width_that_is_asked_for_and_room_for_its_panels(whole: Report, name: str) -> None:
    for width, inches in (("page", 6.9), ("column", 3.3)):
        canvas = paper_figure(name, whole.results, None, whole.study.methods, width=width).canvas
        assert canvas.get_size_inches()[0] == pytest.approx(inches)
        for axes in canvas.axes:
            place = axes.get_position()
            assert place.width * inches > 0.3 and 0 <= place.x0 < place.x1 <= 1 and 0 <= place.y0 < place.y1 <= 1
        keyed = [text.get_text() for legend in canvas.legends for text in legend.get_texts()]
        beside = [text.get_text() for text in canvas.axes[0].get_yticklabels()]
        assert set(METHODS) - {"single_task/equal"} <= {*keyed, *beside} or name in ("weights", "scalarization")


def test_a_figure_is_written_in_true_colours_and_the_same_to_the_last_byte(made: Report, tmp_path: Path) -> None:
    for name in ("one", "two"):
        for suffix in ("pdf", "svg", "png"):
            made.figure("forest", tmp_path / f"{name}.{suffix}")
    for suffix in ("pdf", "svg", "png"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    svg = (tmp_path / "one.svg").read_text()
    assert any(colour in svg for colour in LIGHT) and "#0a0a" not in svg and "#0b0b" not in svg and "<text" not in svg
    pdf = (tmp_path / "one.pdf").read_bytes()
    assert pdf.startswith(b"%PDF") and b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert struct.unpack(">I", (tmp_path / "one.png").read_bytes()[16:20]) == (2070,)


def test_a_papers_figure_leaves_those_of_a_page_as_they_are(made: Report, tmp_path: Path) -> None:
    before = made.html()
    made.figure("curves", tmp_path / "curves.svg", width="column")
    assert made.html() == before


def test_the_forest_has_methods_by_gain_and_fills_what_is_firm(made: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Sequence[Mark]] = []
    real = forest.mark
    monkeypatch.setattr(forest, "mark", lambda axes, marks: (drawn.append(marks), real(axes, marks)))
    (results,) = made.results
    figure = paper_figure("forest", made.results, None, made.study.methods)
    methods = [method for method in results.by_gain if method != results.baseline]
    gains, *tasks = drawn
    assert [mark.x for mark in gains] == [results.gains[method].total.mean for method in methods]
    assert [mark.y for mark in gains] == [0, 1, 2, 3] and [mark.x for mark in gains] == sorted(
        (m.x for m in gains), reverse=True
    )
    firm = (Verdict.BETTER, Verdict.WORSE)
    for task, marks in zip(results.group.tasks, tasks, strict=True):
        assert [mark.filled for mark in marks] == [results.verdict(task, method) in firm for method in methods]
    assert [mark.filled for mark in gains] == [results.of_gain(method).verdict in firm for method in methods]
    first, *others = figure.canvas.axes
    assert first.get_position().width > 1.9 * others[0].get_position().width
    assert [axes.get_title(loc="left") for axes in others] == ["click", "like", "play_time"]
    place = results.line_gain(results.lines["gbdt"])
    assert any(line.get_linestyle() == ":" and line.get_xdata()[0] == place for line in first.lines)


def test_print_names_stand_in_the_figure(made: Report, tmp_path: Path) -> None:
    figure = made.figure("forest", tmp_path / "f.pdf", names={"mmoe": "MMoE", "equal": "", "click": "Clicks"})
    first, second, *_ = figure.canvas.axes
    assert "MMoE" in [text.get_text() for text in first.get_yticklabels()]
    assert second.get_title(loc="left") == "Clicks"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "forrest"}, r"unknown figure 'forrest'; did you mean forest\? known: .*ranks"),
        ({"name": "forest"}, "dataset: a figure is of one data set; expected one of shop, videos$"),
        ({"name": "forest", "dataset": "shopp"}, r"unknown data set 'shopp'; did you mean shop\?"),
        (
            {"name": "forest", "dataset": "shop", "out": "f.jpg"},
            "out must end with one of .pdf, .svg, .png, found 'f.jpg'",
        ),
        ({"name": "ranks"}, "these records do not allow the figure ranks: "),
    ],
)
def test_what_cannot_be_drawn_is_an_error(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        report(study()).figure(**{"out": tmp_path / "f.pdf", **options})


def test_default_and_tuned_runs_of_one_data_set_are_two_parts_to_choose_from(tmp_path: Path) -> None:
    methods = ("single_task/equal", "mmoe/equal")
    tuned = [run for method in methods for run in searches("shop", method)]
    with pytest.raises(
        ValueError, match=r"expected one of shop \(tuned\), shop, or choose a purpose: tuned or default$"
    ):
        report([*records(("shop",), 3), *tuned]).figure("forest", tmp_path / "f.pdf")


def test_a_figure_that_the_records_do_not_allow_says_what_it_needs(tmp_path: Path) -> None:
    made = report([run for run in records(("shop",), 1) if run.method == "mmoe/equal"])
    with pytest.raises(
        ValueError, match="do not allow the figure forest: it needs a baseline, and a method to compare"
    ):
        made.figure("forest", tmp_path / "f.pdf")
