"""Fixed weights against adaptive weightings, as a report tells it."""

from __future__ import annotations

import pytest

from benchmark.reporting import report
from benchmark.reporting.figures import canvas, figures
from benchmark.reporting.figures import scalarization as drawing
from benchmark.reporting.figures.styles import styles
from benchmark.reporting.scalarization import MEANING, against_fixed, scalarization_tables
from tests.benchmark.analysis.test_scalarization import ADAPTIVE, FIXED
from tests.benchmark.reporting.fabricate import records, traded

BOTH = FIXED | ADAPTIVE


def test_the_table_has_the_settings_from_one_end_to_the_other_then_the_methods() -> None:
    (results,) = report(traded(BOTH)).results
    (table,) = scalarization_tables(results)
    assert table.title == "Click against play_time" and table.subtitle == "3 fixed settings of mmoe; means on test"
    assert [column.title for column in table.columns] == [
        "weighting", "click AUC", "play_time MSE [log1p(seconds)²]", "place", "adjusted p", "hypervolume, %",
    ]  # fmt: skip
    shown = [(row.cells[0].text, row.cells[3].text, row.cells[5].text) for row in table.rows]
    assert shown == [
        ("fixed(play_time=3)", "on the front", f"{100 * 0.05 * 0.22 / 1.1:.2f}"),
        ("equal", "on the front", f"{100 * 0.05 * 0.015 / 1.1:.3f}"),
        ("fixed(play_time=0.1)", "on the front", f"{100 * 0.6 * 0.005 / 1.1:.2f}"),
        ("dwa", "beyond the front", f"{100 * 0.017 / 1.1:.2f}"),
        ("uncertainty", "not settled: beyond by its mean", shown[4][2]),
        ("pcgrad", "dominated (by fixed(play_time=0.1) and equal)", shown[5][2]),
        ("fixed weights together", "", f"{100 * 0.16675 / 1.1:.2f}"),
        ("with the adaptive ones", "", f"{100 * 0.75 * 0.245 / 1.1:.2f}"),
    ]
    assert float(shown[5][2]) == 0.0
    assert "measured from the constant predictor (click AUC 0.5000 and play_time MSE 2.2000)" in table.notes[0]


def test_the_answer_says_it_in_one_sentence_with_and_without_a_baseline() -> None:
    sentence = (
        "Against the front of 3 fixed weightings of mmoe: on click against play_time, dwa is beyond it, pcgrad is dominated (by "
        "the means alone, uncertainty is beyond it)."
    )
    assert report(traded(BOTH)).answer == sentence
    compared = report(traded(BOTH), baseline="mmoe/equal").answer.splitlines()
    assert sentence in compared and len(compared) <= 6
    assert not [line for line in compared if line.startswith("Task by task")]


def test_where_the_seeds_settle_nothing_the_answer_says_so() -> None:
    assert report(traded(BOTH, spread=20.0)).answer == (
        "Against the front of 3 fixed weightings of mmoe: on click against play_time, none is shown to be beyond it or dominated "
        "(by the means alone, dwa and uncertainty are beyond it and pcgrad is dominated)."
    )


def test_other_architectures_have_a_front_of_their_own() -> None:
    more = {name.replace("mmoe", "ple"): place for name, place in FIXED.items()} | {"ple/dwa": (1.7, 0.70)}
    (results,) = report(traded(BOTH | more)).results
    assert [table.title for table in scalarization_tables(results)] == [
        "mmoe: click against play_time", "ple: click against play_time",
    ]  # fmt: skip
    assert against_fixed(results).endswith(
        "; against the front of 3 fixed weightings of ple: on click against play_time, none is shown to be beyond it, dwa is "
        "dominated."
    )


def test_the_figure_names_every_point_and_draws_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    real = canvas.write
    monkeypatch.setattr(
        drawing, "write", lambda axes, found, steps: (texts.extend(w.text for w in found), real(axes, found, steps))
    )
    made = report(traded(BOTH))
    (results,) = made.results
    figure = figures(results, styles(made.study.methods))["scalarization"]
    assert texts == ["dwa", "uncertainty", "pcgrad", "play_time=0.1", "equal", "play_time=3"]
    (axes,) = figure.canvas.axes
    seeds = [dots.get_offsets() for dots in axes.collections if dots.get_alpha() == 0.4]
    assert [len(dots) for dots in seeds] == [5, 5, 5]
    assert axes.get_xlim()[0] > axes.get_xlim()[1], "a lower MSE is to the right"


def test_texts_do_not_cover_each_other() -> None:
    with drawing.drawing():
        _, (axes,) = canvas.grid(1, height=3.6, wide=1.5)
        axes.plot([0, 1], [0, 1])
        canvas.write(axes, [canvas.Writing(0.5, 0.5 + 0.001 * n, f"weighting {n}", "black") for n in range(8)])
        figure = axes.get_figure(root=True)
        assert figure is not None
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in axes.texts]
    inside = axes.get_window_extent()
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    # the room of a letter is an average, so texts may touch, but not lie on each other
    middles = [(box.y0 + box.y1) / 2 for box in boxes]
    for n, one in enumerate(boxes):
        for m, other in enumerate(boxes[:n]):
            assert one.x1 <= other.x0 + 2 or other.x1 <= one.x0 + 2 or abs(middles[n] - middles[m]) > 0.7 * one.height


def test_markdown_has_the_chapter_where_there_is_a_front_only() -> None:
    text = report(traded(BOTH)).markdown()
    assert "## Fixed weights against adaptive weightings\n\n#### Click against play_time\n" in text
    assert MEANING in text
    assert "Fixed weights against" not in report(records(("videos",), seeds=3)).markdown()
