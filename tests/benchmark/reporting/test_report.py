"""The report as a whole: numbers in the frames, and what each output shows of them."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from scipy import stats

from benchmark.reporting import Report, report
from benchmark.reporting.layout import Cell, Sentences, TextTable
from benchmark.statistics import Arms
from benchmark.text import signed_interval, with_interval
from tests.benchmark.reporting.fabricate import METHODS, record, records, study, undefine


@pytest.fixture(scope="module")
def made() -> Report:
    return report(study())


def table(made: Report, dataset: str, key: str) -> TextTable:
    return next(t for _, part, t in made.document.tables() if part.name == dataset and t.key == key)


def notes(made: Report, dataset: str, chapter: str = "verdicts") -> tuple[str, ...]:
    found = next(c for c in made.document.chapters if c.anchor == chapter)
    return next(part.notes for part in found.parts if part.name == dataset)


def sentences(made: Report, dataset: str) -> list[str]:
    found = next(c for c in made.document.chapters if c.anchor == "verdicts")
    blocks = [block for part in found.parts if part.name == dataset for block in part.blocks]
    return [sentence.text for block in blocks if isinstance(block, Sentences) for sentence in block.items]


def cell(drawn: TextTable, row: str, column: str) -> Cell:
    number = next(n for n, c in enumerate(drawn.columns) if c.key == column)
    return next(r for r in drawn.rows if r.cells[0].text == row).cells[number]


def test_summary_agrees_with_scipy_on_the_long_table(made: Report) -> None:
    chosen = made.table.filter(
        (pl.col("dataset") == "videos") & (pl.col("task") == "click") & (pl.col("metric") == "auc")
        & (pl.col("split") == "test") & (pl.col("selection") == "joint")
    )  # fmt: skip
    by_seed = {m: chosen.filter(pl.col("method") == m).sort("seed")["value"].to_list() for m in METHODS}
    row = made.summary.row(
        by_predicate=(pl.col("dataset") == "videos") & (pl.col("task") == "click")
        & (pl.col("metric") == "auc") & (pl.col("method") == "mmoe/equal"), named=True,
    )  # fmt: skip
    # the spreads of the methods that are ranked are estimated together: test_arms holds them to limma
    arms = Arms(by_seed, left_out=["ple/pcgrad"])
    (v1, f1), (v2, f2) = (arms.moderated(m) for m in ("mmoe/equal", "single_task/equal"))
    mean, other = (fmean(by_seed[m]) for m in ("mmoe/equal", "single_task/equal"))
    half = stats.t.isf(0.025, f1) * (v1 / 5) ** 0.5
    df = (v1 + v2) ** 2 / (v1**2 / f1 + v2**2 / f2)
    between = stats.t.isf(0.025, df) * ((v1 + v2) / 5) ** 0.5
    assert (row["seeds"], row["pairs"]) == (5, 5)
    assert (row["mean"], row["difference"]) == pytest.approx((mean, mean - other))
    assert (row["low"], row["high"]) == pytest.approx((mean - half, mean + half))
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(
        (mean - other - between, mean - other + between)
    )
    parameters = METHODS["mmoe/equal"][1]
    assert row["parameters"] == parameters
    assert row["parameters_outside_embeddings"] + row["embedding_parameters"] == parameters
    assert (row["embedding_parameters"], row["multiply_adds"]) == (parameters // 2, parameters // 2)
    assert row["train_seconds"] == 20.0


def test_differences_pair_seeds_and_leave_out_what_has_no_partner(made: Report) -> None:
    pairs = {
        row["method"]: row["pairs"]
        for row in made.summary.filter((pl.col("dataset") == "shop") & (pl.col("metric") == "mse")).iter_rows(
            named=True
        )
    }
    assert pairs == {
        "mmoe/equal": 5, "mmoe/uncertainty": 4, "ple/pcgrad": 5, "shared_bottom/equal": 4, "single_task/equal": None,
        "reference/constant": None, "reference/best_reachable": None,
    }  # fmt: skip


def test_diverged_failed_and_missing_runs_are_shown(made: Report) -> None:
    found = {part.name: t for _, part, t in made.document.tables() if t.key == "trouble"}
    rows = {name: [[c.text for c in row.cells] for row in trouble.rows] for name, trouble in found.items()}
    assert rows["videos"] == [
        ["ple/pcgrad", "diverged", "3", "Diverged: the loss became NaN (task play_time, epoch 4, step 812)"]
    ]
    assert rows["shop"] == [
        ["mmoe/uncertainty", "failed", "1", "RuntimeError: out of memory"],
        ["shared_bottom/equal", "missing", "4", "no record, but other methods have one"],
    ]
    assert cell(table(made, "videos", "task_click"), "ple/pcgrad", "seeds").text == "4 of 5"


def test_a_method_with_a_diverged_seed_is_not_marked_best(made: Report) -> None:
    drawn = table(made, "videos", "task_click")
    assert drawn.rows[0].cells[0].text == "ple/pcgrad"  # it has the best mean
    assert [row.cells[0].text for row in drawn.rows if row.cells[2].best] == ["mmoe/equal"]


def test_tables_are_sorted_by_the_headline_metric_best_first(made: Report) -> None:
    for name, column, sign in (("click", "auc", 1), ("play_time", "mse", -1)):
        drawn = table(made, "videos", f"task_{name}")
        number = next(n for n, c in enumerate(drawn.columns) if c.key == column)
        means = [float(row.cells[number].text.split()[0]) for row in drawn.rows if not row.reference]
        assert means == sorted(means, reverse=sign > 0)


def test_the_unit_of_a_regression_is_printed(made: Report) -> None:
    titles = [column.title for column in table(made, "videos", "task_play_time").columns]
    assert "MSE [log1p(seconds)²]" in titles and "MAE [seconds]" in titles and "R²" in titles
    assert "log1p(seconds)" in table(made, "videos", "task_play_time").subtitle


def test_references_are_lines_of_their_own(made: Report) -> None:
    drawn = table(made, "shop", "task_purchase")
    assert cell(drawn, "constant (mean of train)", "auc").text == "0.5000"
    assert cell(drawn, "best reachable", "auc[purchase|click]").text == "0.6900"
    assert "best reachable" not in [row.cells[0].text for row in table(made, "videos", "task_click").rows]


def test_an_undefined_metric_is_a_dash_with_its_reason() -> None:
    runs = records(("videos",), 3)
    for run in runs:
        if run.method == "mmoe/equal":
            undefine(run, "like", "auc", "one class only: all 9 labels are 0")
    drawn = table(report(runs), "videos", "task_like")
    assert cell(drawn, "mmoe/equal", "auc").text == "—"
    assert cell(drawn, "mmoe/equal", "difference").text == "—"
    assert any("one class only: all 9 labels are 0 (mmoe/equal)" in note for note in drawn.notes)
    assert drawn.rows[-2].cells[0].text == "mmoe/equal"  # last of the methods, before the constant


def test_a_metric_undefined_on_some_seeds_keeps_the_others_and_the_note(made: Report) -> None:
    drawn = table(made, "videos", "task_like")
    assert any("no user has both classes (mmoe/uncertainty)" in note for note in drawn.notes)
    assert cell(drawn, "mmoe/uncertainty", "gauc").text.startswith("0.7")


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_make_no_interval_anywhere(seeds: int) -> None:
    made = report(records(("shop",), seeds))
    assert made.summary["low"].is_null().all() and made.summary["difference_low"].is_null().all()
    for _, _, drawn in made.document.tables():
        for row in drawn.rows if drawn.key != "configurations" else ():
            assert not any("±" in c.text or ("[" in c.text and "," in c.text) for c in row.cells)
    difference = cell(table(made, "shop", "task_click"), "mmoe/equal", "difference").text
    assert difference.endswith("too few seeds")


def test_without_the_usual_baseline_one_line_names_what_could_be_it() -> None:
    made = report([run for run in records(("shop",), 3) if run.method != "single_task/equal"])
    (note,) = notes(made, "shop", "answer")
    assert note.startswith(
        "No answer: the baseline single_task/equal has no finished run on shop; run it, or choose one"
    )
    assert note.endswith("with --baseline: mmoe/equal, mmoe/uncertainty, ple/pcgrad, shared_bottom/equal.")
    assert str(made).index(note[:40]) < str(made).index("All methods")  # on a terminal too it stands first
    assert "difference" not in [column.key for column in table(made, "shop", "task_click").columns]
    assert "0.73" in str(made)


@pytest.mark.parametrize(
    ("baseline", "line"),
    [
        (
            "single_task/equl",
            "unknown baseline 'single_task/equl'; did you mean single_task/equal? known: mmoe/equal, ",
        ),
        ("mmoe", "baseline 'mmoe': expected architecture/weighting; of mmoe there are mmoe/equal, mmoe/uncertainty"),
    ],
)
def test_a_baseline_that_no_data_set_has_is_refused(baseline: str, line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        report(records(("shop", "videos"), 3), baseline=baseline)


def test_a_baseline_that_only_one_data_set_has_is_a_note_on_the_others() -> None:
    runs = [
        run for run in records(("shop", "videos"), 3) if (run.dataset["name"], run.method) != ("shop", "mmoe/equal")
    ]
    made = report(runs, baseline="mmoe/equal")
    (note,) = notes(made, "shop", "answer")
    assert "the baseline mmoe/equal has no finished run on shop" in note
    assert made.results[1].baseline == "mmoe/equal"


def test_a_baseline_whose_runs_all_failed_is_a_note() -> None:
    runs = [run for run in records(("shop",), 3) if run.method != "mmoe/equal"]
    made = report([*runs, record("shop", "mmoe/equal", status="failed")], baseline="mmoe/equal")
    (note,) = notes(made, "shop", "answer")
    assert "the baseline mmoe/equal has no finished run on shop" in note


def test_a_sweep_that_is_not_done_says_so_in_the_place_of_the_answer() -> None:
    both = [run for run in records(("shop",), 3) if run.method in ("single_task/equal", "mmoe/equal")]
    assert notes(report(both), "shop", "answer") == ()
    made = report([run for run in both if (run.method, run.seed) != ("mmoe/equal", 2)])
    line = (
        "No answer: no method can be ranked against single_task/equal on shop (mmoe/equal: no run of seed 2); repeat the command "
        "of these runs, and it trains what is missing."
    )
    assert notes(made, "shop", "answer") == (line,)
    assert line[:60] in str(made).partition("All methods")[0]


def test_identical_runs_are_called_so() -> None:
    runs = records(("shop",), 3)
    twins = []
    for run in runs:
        if run.method == "single_task/equal":
            twin = record("shop", "single_task/dwa", run.seed)
            twin.metrics, twin.metrics_per_task, twin.shared_parameters = run.metrics, run.metrics_per_task, 0
            twins.append(twin)
    made = report([*runs, *twins])
    assert cell(table(made, "shop", "task_click"), "single_task/dwa", "difference").text == "identical"
    assert any("single_task/dwa, single_task/equal: no parameter is shared" in note for note in notes(made, "shop"))


def test_the_gain_is_the_mean_of_the_tasks_gains(made: Report) -> None:
    drawn = table(made, "shop", "overview")
    assert drawn.subtitle == "test rows; gain over single_task/equal"
    assert cell(drawn, "single_task/equal", "gain").text == "baseline"
    assert cell(drawn, "mmoe/equal", "gain").text.startswith("+")
    # of click 100 (.7320 - .7255) / .2255, of purchase 100 (.7850 - .7779) / .2779, of duration 100 (267.56 - 263.86) / 142.44
    rows = made.summary.filter((pl.col("dataset") == "shop") & pl.col("metric").is_in(["auc", "mse"]))
    means = {(r["task"], r["method"]): r["mean"] for r in rows.iter_rows(named=True)}
    gains = {}
    for task, constant in (("click", 0.5), ("purchase", 0.5), ("duration", 410.0)):
        base = means[task, "single_task/equal"]
        gains[task] = 100 * (means[task, "mmoe/equal"] - base) / (base - constant)
    assert cell(drawn, "mmoe/equal", "gain").text.startswith(f"{fmean(gains.values()):+.2f} [")
    assert "100 (AUC − B) / (B − 0.5)" in made.document.glossary["gain"]
    assert "positive is better" in made.document.glossary["gain"]


def test_both_selections_are_shown_where_they_differ(made: Report) -> None:
    drawn = table(made, "videos", "selection")
    joint, own = (float(cell(drawn, "mmoe/equal", column).text) for column in ("epoch", "epoch:like"))
    assert own > joint + 2
    before, after = cell(drawn, "mmoe/equal", "task:like").text.split(" → ")
    assert float(after) > float(before)
    same = record(num_epochs=1)
    assert "selection" not in [t.key for _, _, t in report([same]).document.tables()]


def test_selection_changes_the_numbers_for_all_methods_alike(made: Report) -> None:
    other = report(study(), selection="per_task")
    joined = made.summary.join(other.summary, on=["dataset", "task", "metric", "method"])
    is_method = pl.col("method").is_in(METHODS.keys())
    like = joined.filter(is_method & (pl.col("task") == "like") & (pl.col("metric") == "auc"))
    assert like.height == len(METHODS) and (like["mean_right"] > like["mean"]).all()
    with pytest.raises(ValueError, match="selection must be one of joint, per_task, found 'best'"):
        report(study(), selection="best")  # type: ignore[arg-type]


def test_what_the_intervals_cover_is_said(made: Report) -> None:
    assert any("not the choice of test rows" in note for note in notes(made, "shop"))
    varied = [record(seed=0), record(seed=1)]
    varied[1].dataset["test_rows"] = "other"
    assert any("2 different sets of test rows" in note for note in notes(report(varied), "videos"))


def test_a_data_set_on_which_nothing_finished_is_shown() -> None:
    made = report([record(status="failed"), record(seed=1, status="diverged")])
    assert "out of memory" in str(made) and "the loss became NaN" in str(made)
    assert made.summary.height == 0
    assert "out of memory" in made.html() and "out of memory" in made.markdown()


def test_it_reads_a_folder_of_records_and_writes_files(tmp_path: Path) -> None:
    for run in study():
        run.write(tmp_path / "runs")
    made = report(
        tmp_path / "runs", html=tmp_path / "out" / "r.html", markdown=tmp_path / "r.md", csv=tmp_path / "r.csv"
    )
    assert [path.name for path in made.files] == ["r.html", "r.md", "r.csv"]
    assert made.summary.equals(report(study()).summary)
    assert pl.read_csv(tmp_path / "r.csv").height == made.summary.height
    assert "written:" in str(made)


@pytest.mark.parametrize("output", ["html", "markdown", "csv", "parquet", "latex"])
def test_a_file_that_cannot_be_written_to_its_end_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    def half(*args: Any, **_: Any) -> None:
        next(arg for arg in args if isinstance(arg, Path)).write_bytes(b"half")
        raise OSError("no space left on device")

    runs, target = records(("shop",), 1), tmp_path / "r"
    before = target / "overview.tex" if output == "latex" else target
    before.parent.mkdir(exist_ok=True)
    before.write_bytes(b"before")
    monkeypatch.setattr(Path, "write_text", half)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", half)
    with pytest.raises(OSError, match="no space left"):
        report(runs, **{output: target})
    assert before.read_bytes() == b"before" and [*before.parent.iterdir()] == [before]


def test_what_is_no_file_of_its_own_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    link, target, pipe = tmp_path / "link.md", tmp_path / "target.md", tmp_path / "pipe"
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    made = report(records(("shop",), 1), markdown=link, csv=pipe)
    assert link.is_symlink() and target.read_text(encoding="utf-8") == made.markdown()
    assert os.read(reader, 1 << 16).decode() == made.csv()
    os.close(reader)


def test_an_empty_or_missing_folder_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no records under .*mtlbench run"):
        report(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder of records at .*mtlbench run"):
        report(tmp_path / "missing")
    with pytest.raises(ValueError, match="records is empty"):
        report([])


def test_records_of_an_older_version_that_lack_keys_are_read() -> None:
    run = record()
    for key in ("constant", "best_reachable", "schema", "facts", "test_rows", "fields"):
        del run.dataset[key]
    run.metrics_per_task, run.best_epoch_per_task, run.epochs, run.cost, run.environment = {}, {}, [], {}, {}
    run.shared_parameters = None
    made = report([run])
    assert "0.73" in str(made) and "<table" in made.html()


def test_the_terminal_output_fits_100_columns(made: Report) -> None:
    lines = str(made).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("mmoe/uncertainty " in line and "0.73" in line for line in lines)  # names of this length are not broken


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_number_is_cut_off_on_a_terminal(made: Report, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, record=True)
    made.print(console)
    text = console.export_text()
    results, method = made.results[0], "mmoe/equal"
    found = results.headline(results.group.tasks[0], method)
    assert found.mean is not None and found.difference is not None
    assert signed_interval(found.difference, 4) in text and with_interval(found.mean, 4) in text
    assert ("59.5 k" in text) == (width >= 100)  # columns are left out from the right


@pytest.mark.parametrize("width", [60, 70])
def test_a_narrow_terminal_has_the_methods(made: Report, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), record=True)
    made.print(console)
    lines = [line.strip() for line in console.export_text().partition("Task by task ─")[2].splitlines()]
    assert sum(line.startswith("mmoe") for line in lines) >= 2 * 6  # two methods, a table for each of six tasks


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_verdict_is_cut_off_on_a_terminal(width: int) -> None:
    close = [record("videos", "shared_bottom/uncertainty", seed, gain=0.04) for seed in range(5)]
    for run in close:
        run.metrics["test"]["click"]["auc"] += 0.004 * (-1) ** run.seed
    made = report([*records(("videos",)), *close])
    console = Console(width=width, file=io.StringIO(), record=True)
    made.print(console)
    printed = Counter(console.export_text().partition("Task by task ─")[2].split())
    tables = [drawn for _, _, drawn in made.document.tables() if drawn.key.startswith("task_")]
    places = [(drawn, [column.key for column in drawn.columns].index("verdict")) for drawn in tables]
    words = Counter(word for drawn, n in places for row in drawn.rows for word in row.cells[n].narrow.split())
    assert words["distinguishable"] and words["p"]
    assert words <= printed


def test_a_long_name_of_a_task_cuts_off_no_number_on_a_terminal() -> None:
    runs = records(("videos",), 3)
    tasks = {"click": "clicked_on_the_recommended_video", "like": "liked_the_recommended_video_too"}
    for run in runs:
        schema = run.dataset["schema"]
        run.dataset["schema"] = {
            **schema,
            "tasks": [{**t, "name": tasks.get(t["name"], t["name"])} for t in schema["tasks"]],
        }
        for row in (*run.metrics.values(), *run.metrics_per_task.values(), *(e["validation"] for e in run.epochs)):
            for old, new in tasks.items():
                row[new] = row.pop(old)
    console = Console(width=100, file=io.StringIO(), record=True)
    report(runs).print(console)
    overview = console.export_text().partition("All methods ─")[2].partition("Task by task ─")[0]
    assert "parameters" not in overview or "59.5 k" in overview
    assert "0.73" in overview and "1.4" in overview


def test_into_a_pipe_it_prints_its_plain_text(made: Report, capsys: pytest.CaptureFixture[str]) -> None:
    made.print()
    assert capsys.readouterr().out == f"{made}\n"


def test_names_are_not_read_as_markup_on_the_terminal() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    report([record(architecture={"name": "[red]x[/red]"}, method="[red]x[/red]/equal")]).print(console)
    assert "[red]x[/red]/equal" in console.export_text()


def test_it_is_deterministic(made: Report) -> None:
    again = report(study())
    assert (again.html(), again.markdown(), again.csv()) == (made.html(), made.markdown(), made.csv())


def many(count: int) -> list[Any]:
    runs = records(("videos", "shop"), 5, num_epochs=3)
    made = []
    for number in range(count // len(runs)):
        for run in runs:
            copy = record(run.dataset["name"], run.method, run.seed, architecture={"width": number}, num_epochs=3)
            made.append(copy)
    return made


def calls_of(work: Callable[[], object]) -> int:
    """How many functions of Python are called: the same on a busy machine."""
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_work_grows_with_the_records_and_no_faster() -> None:
    def work(count: int) -> Callable[[], object]:
        runs = many(count)
        return lambda: report(runs).html()

    work(100)()  # imports and caches
    assert calls_of(work(400)) < 2.5 * calls_of(work(200))


def test_a_page_of_a_thousand_records_is_small() -> None:
    made = report(many(1000))
    assert len(made.study.methods) == 100
    assert len(made.html()) < 1_200_000


def test_importing_it_imports_no_torch() -> None:
    code = "import sys, benchmark.reporting.outputs.html; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "benchmark.reporting.outputs.html" in modules
    assert "torch" not in modules and "matplotlib.pyplot" not in modules


def test_runs_that_used_all_their_epochs_are_named() -> None:
    ended = [
        record(method=method, seed=seed, num_epochs=12, trainer={"max_epochs": 14})
        for method in METHODS
        for seed in (0, 2)
    ]
    found = " ".join(notes(report(ended), "videos"))  # a seed of 2 trains two epochs more
    assert f"{len(METHODS)} of {2 * len(METHODS)} runs reached trainer.max_epochs" in found
    assert "mmoe/equal 1 of 2" in found
    assert "trainer.max_epochs" not in " ".join(notes(report(study()), "videos"))


def test_a_gain_without_an_interval_is_drawn_beside_those_that_have_one() -> None:
    runs = records(("shop",), 3)
    far = record("shop", "omoe/equal", 0, gain=0.3)  # one seed: no interval, and farther off than any end of one
    line = next(line for line in str(report([*runs, far])).splitlines() if line.strip().startswith("omoe/equal"))
    assert line.index("●") > line.index("│")
