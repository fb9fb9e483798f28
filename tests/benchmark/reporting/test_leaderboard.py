"""The chapter over data sets and `--leaderboard`: what is shown from how many data sets on, and several folders."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from benchmark.cli import main
from benchmark.records.record import Record
from benchmark.reporting import Report, report
from benchmark.reporting.layout import Chapter, TextTable
from tests.benchmark.reporting.fabricate import many, record, records, searched, trees


def chapter(made: Report) -> Chapter:
    return next(c for c in made.document.chapters if c.anchor == "leaderboard")


def tables(made: Report) -> dict[str, TextTable]:
    return {block.key: block for block in chapter(made).parts[0].blocks if isinstance(block, TextTable)}


def titles(table: TextTable) -> list[str]:
    return [column.key for column in table.columns]


def written(folder: Path, runs: Sequence[Record]) -> str:
    for run in runs:
        run.write(folder)
    return str(folder)


def some(datasets: int, methods: int = 3, **options: str) -> list[Record]:
    return many(datasets, methods, **options)


@pytest.fixture(scope="module")
def eight() -> Report:
    runs = [*some(8, 6), *some(8, 4, purpose="tuned")]
    return report(runs, leaderboard=True, profiles=True)


def test_below_four_data_sets_there_are_columns_only() -> None:
    made = report(some(3))
    drawn = tables(made)
    assert titles(drawn["leaderboard_default"]) == ["method", "verdicts", "worst", "seconds", "parameters"]
    assert titles(drawn["gains_default"])[1:] == [f"data set:data_set_{d}" for d in range(3)]
    (note,) = [note for note in chapter(made).parts[0].notes if "no mean" in note]
    assert note.endswith("A mean needs 4 data sets and a rank 6; there are 3.")


def test_below_six_data_sets_there_is_no_rank_and_it_is_said() -> None:
    made = report(some(5))
    drawn = tables(made)["leaderboard_default"]
    assert titles(drawn)[1:3] == ["gain", "probability"]
    assert [row.cells[0].text for row in drawn.rows] == ["net_0/equal", "net_0/uncertainty"]
    assert drawn.subtitle.endswith("95 % t intervals with 4 degrees of freedom")
    assert any(
        note.endswith("no overall rank. It needs 6 data sets; there are 5.") for note in chapter(made).parts[0].notes
    )


def test_from_six_on_methods_stand_in_the_order_of_their_rank(eight: Report) -> None:
    for key, number in (("leaderboard_tuned", 4), ("leaderboard_default", 6)):
        drawn = tables(eight)[key]
        assert [row.cells[1].text for row in drawn.rows] == [str(place + 1) for place in range(number)]
        gains = [0.0 if row.cells[2].text == "baseline" else float(row.cells[2].text.split()[0]) for row in drawn.rows]
        assert gains == sorted(gains, reverse=True)


def test_the_chapter_stands_after_the_answer_of_several_data_sets() -> None:
    assert [c.anchor for c in report(records(seeds=3)).document.chapters][:3] == ["answer", "leaderboard", "forest"]
    assert "leaderboard" not in [c.anchor for c in report(records(("shop",), 3)).document.chapters]
    one = [
        record(method=m, seed=s, purpose=p)
        for p in ("default", "tuned")
        for m in ("single_task/equal", "mmoe/equal")
        for s in range(3)
    ]
    assert "leaderboard" not in [c.anchor for c in report(one).document.chapters]  # tuned and default are one data set


def test_alone_it_is_the_whole_document(eight: Report) -> None:
    assert [c.anchor for c in eight.document.chapters] == ["leaderboard"]
    assert eight.document.lines[0].startswith("240 runs (240 finished)")
    lonely = report([record(seed=seed) for seed in range(3)], leaderboard=True)
    assert chapter(lonely).parts[0].notes == ("No leaderboard: no data set has methods with a gain over tasks.",)


def test_profiles_are_drawn_where_they_are_asked_for(eight: Report) -> None:
    page = eight.html()
    assert page.count("<svg role") >= 1
    assert "Performance profiles" in page
    assert "Performance profiles" not in report(some(2), leaderboard=True).html()


@pytest.mark.parametrize("width", [80, 120])
def test_no_number_is_cut_off_on_a_terminal(eight: Report, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(eight)
    lines = console.export_text().splitlines()
    assert max(map(len, (line.rstrip() for line in lines))) <= width
    text = "\n".join(lines)
    for table in tables(eight).values():
        for row in table.rows:
            for cell, column in zip(row.cells[1:], table.columns[1:], strict=True):
                words = [cell.narrow] if column.numeric else cell.narrow.split()  # a text may be broken between words
                assert column.spare or all(word in text for word in words)


def test_several_folders_are_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = some(1), some(2)[9:], searched()
    folders = [written(tmp_path / "a", [*first, *third]), written(tmp_path / "b", [*second, *third])]
    for reference in trees("videos"):
        for folder in folders:
            reference.write(folder)
    together = report(folders)
    pooled = report([*first, *second, *third], references=trees("videos"))
    assert together.summary.equals(pooled.summary)
    both = zip(together.document.chapters, pooled.document.chapters, strict=True)
    assert all(one == other for one, other in both if one.anchor != "compared")  # trials and references count once
    assert together.study.repeated == 3
    alone = report(folders[0])
    assert alone.summary.equals(report(folders[:1]).summary)
    main(["report", *folders, "--leaderboard"])
    out = capsys.readouterr().out
    assert "Over data sets" in out
    assert "Task by task" not in out


def test_folders_and_records_are_not_mixed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="records must be folders or records, found both"):
        report([str(tmp_path), record()])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=f"no records under {tmp_path}"):
        report([tmp_path])
    with pytest.raises(FileNotFoundError, match="no folder of records at"):
        report([written(tmp_path / "a", some(1)), str(tmp_path / "absent")])


def test_the_parquet_of_a_leaderboard_is_benchevals(tmp_path: Path) -> None:
    folder, file = written(tmp_path / "runs", some(2)), tmp_path / "leaderboard.parquet"
    main(["report", folder, "--leaderboard", "--iqm", "--profiles", "--parquet", str(file)])
    table = pl.read_parquet(file)
    assert {"method", "task", "seed", "metric_error", "time_train_s"} < set(table.columns)
    assert table.height == 2 * 3 * 3
    assert table["metric_error"].is_between(0, 1).all()
    main(["report", folder, "--parquet", str(file)])
    assert "metric" in pl.read_parquet(file).columns


def test_the_interquartile_mean_is_said(tmp_path: Path) -> None:
    made = report(some(8), leaderboard=True, iqm=True)
    drawn = tables(made)["leaderboard_default"]
    assert next(c.title for c in drawn.columns if c.key == "gain").startswith("interquartile mean")
    assert drawn.subtitle.endswith("with 3 degrees of freedom")
