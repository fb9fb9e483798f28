"""The ledger of tuning adds up, and says so where it does not."""

from __future__ import annotations

from benchmark.reporting import Report, report
from benchmark.reporting.layout import Facts, TextTable
from tests.benchmark.reporting.fabricate import record, searched, trees


def ledger(made: Report) -> TextTable:
    return next(t for _, _, t in made.document.tables() if t.key == "trials")


def base() -> list:  # type: ignore[type-arg]
    return [record(method="single_task/equal", seed=seed) for seed in range(3)]


def test_trials_are_counted_by_method_with_failures_and_the_choice() -> None:
    drawn = ledger(report([*base(), *searched(), *searched(method="ple/pcgrad")]))
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for row in drawn.rows}
    assert list(rows) == ["mmoe/equal (tuned)", "ple/pcgrad (tuned)"]
    assert rows["mmoe/equal (tuned)"][1:5] == ["4", "3", "1", "0"]
    assert "trainer.learning_rate=0.003" in rows["mmoe/equal (tuned)"][-1]
    assert drawn.notes == ("8 trials: 4 for each of 2 tuned methods.",)


def test_the_space_is_said_once_where_methods_share_it() -> None:
    made = report([*base(), *searched(), *searched(method="ple/pcgrad")])
    chapter = next(c for c in made.document.chapters if c.anchor == "tuning")
    (facts,) = [block for part in chapter.parts for block in part.blocks if isinstance(block, Facts)]
    assert [label for label, _ in facts.pairs] == ["sampler", "all methods"]


def test_unequal_budgets_missing_trials_and_read_test_splits_are_said() -> None:
    short = [run for run in searched(method="ple/pcgrad", trials=6) if run.seed != 10_001]
    seen = searched()
    seen[0].metrics["test"] = seen[0].metrics["validation"]
    notes = " ".join(ledger(report([*base(), *seen, *short])).notes)
    assert "not as many for every tuned method: 4 for mmoe/equal (tuned), up to 6" in notes
    assert "ple/pcgrad (tuned): 5 of its 6 trials are among these records." in notes
    assert "Trials of mmoe/equal hold test metrics" in notes


def test_a_wrong_choice_is_said() -> None:
    runs = searched()
    for run in runs:
        if run.purpose == "tuned":
            run.config["tuning"] = {**run.config["tuning"], "trial": 0}
    assert any("trial 0 was chosen, and trial" in note for note in ledger(report([*base(), *runs])).notes)


def test_a_search_that_goes_on_is_shown() -> None:
    trials = [run for run in searched() if run.purpose == "trial"]
    assert ledger(report([*base(), *trials])).rows[0].cells[0].text == "mmoe/equal: nothing chosen yet"


def test_two_searches_of_one_method_that_go_on_keep_their_rows_notes_and_spaces() -> None:
    first, second = ([run for run in searched(trials=n) if run.purpose == "trial"] for n in (4, 3))
    for run in second:
        run.id, run.config["tuning"] = (
            f"{run.id}b",
            {**run.config["tuning"], "study": "b", "space": {"trainer.l2": "x"}},
        )
    for run in first:
        run.config["tuning"] = {**run.config["tuning"], "study": "a"}
    for run in (first[0], second[0], second[1]):
        run.config["trainer"] = {**run.config["trainer"], "max_epochs": len(run.epochs)}
    made = report([*base(), *first, *second])
    names = [f"mmoe/equal (search {study}): nothing chosen yet" for study in "ab"]
    assert [(row.cells[0].text, row.cells[1].text) for row in ledger(made).rows] == [(names[0], "4"), (names[1], "3")]
    assert any(f"{names[0]} 1 of 3, {names[1]} 2 of 2." in note for note in ledger(made).notes)
    chapter = next(c for c in made.document.chapters if c.anchor == "tuning")
    (facts,) = [block for part in chapter.parts for block in part.blocks if isinstance(block, Facts)]
    assert [name for name, _ in facts.pairs] == ["sampler", *names]
    assert facts.pairs[1][1].startswith("trainer.learning_rate: ") and facts.pairs[2][1] == "trainer.l2: x"


def test_what_an_extended_search_leaves_behind_is_said() -> None:
    made = report([*base(), record(purpose="bench"), *searched(trials=4), *searched(trials=6, diverged=0)])
    said = "Left out: 1 of purpose bench, 3 of purpose tuned, chosen among fewer trials."
    assert said in made.document.notes


def test_trials_are_in_no_mean() -> None:
    made = report([*base(), *searched()])
    assert set(made.table["purpose"]) == {"default", "tuned"}
    assert "10000" not in str(made)


def test_trees_have_their_trials_in_the_ledger() -> None:
    made = report([*base(), *searched()], references=trees(trials=2))
    last = ledger(made).rows[-1]
    assert last.reference and last.cells[1].text == "2"
    assert last.cells[-1].text.startswith("click: num_leaves=31, lambda_l2=0.5; like: num_leaves=31")
    assert any("2 trials, where methods have 4, each with one model a task" in note for note in ledger(made).notes)
    assert "mtlbench reference dataset=videos trials=2 seeds=3" in made.markdown()
    alike = ledger(report([*base(), *searched()], references=trees(trials=4)))
    assert any("4 trials, each with one model a task" in note for note in alike.notes)


def test_trials_that_max_epochs_ended_are_said() -> None:
    runs = searched()
    for run in runs[:2]:
        run.config["trainer"] = {**run.config["trainer"], "max_epochs": len(run.epochs)}
    notes = ledger(report([*base(), *runs])).notes
    assert any(note.startswith("2 of 3 trials used all epochs that trainer.max_epochs allows") for note in notes)
