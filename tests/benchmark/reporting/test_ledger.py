"""The ledger of tuning adds up, and says so where it does not."""

from __future__ import annotations

from benchmark.reporting import Report, report
from benchmark.reporting.layout import Facts, TextTable
from benchmark.text import in_seconds, number
from tests.benchmark.reporting.fabricate import record, searched, searches, trees


def ledger(made: Report) -> TextTable:
    return next(t for _, _, t in made.document.tables() if t.key == "trials")


def base() -> list:  # type: ignore[type-arg]
    return [record(method="single_task/equal", seed=seed) for seed in range(3)]


def test_trials_are_counted_by_method_with_failures_and_the_choice() -> None:
    drawn = ledger(report([*base(), *searched(), *searched(method="ple/pcgrad")]))
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for row in drawn.rows}
    assert list(rows) == ["mmoe/equal", "ple/pcgrad"]
    assert rows["mmoe/equal"][1:6] == ["1", "4", "3", "1", "0"]
    assert "trainer.learning_rate=0.003" in rows["mmoe/equal"][-1]
    assert drawn.notes[0] == "8 trials: 4 for each of 2 tuned methods."


def cells(made: Report) -> dict[str, list[str]]:
    return {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in ledger(made).rows}


def test_the_searches_of_a_method_are_one_row_with_the_sum_of_their_trials() -> None:
    runs = searches(seeds=3, best=2)
    trials = [run for run in runs if run.purpose == "trial"]
    best = [
        max(t.criterion for t in trials if t.search_seed == which and t.criterion is not None) for which in range(3)
    ]
    seconds = sum(trial.cost["train_seconds"] for trial in trials)
    made = report([*base(), *runs, *searches(method="ple/pcgrad", seeds=3)])
    found = cells(made)
    assert list(found) == ["mmoe/equal", "ple/pcgrad"]
    assert found["mmoe/equal"] == [
        "3", "12", "9", "3", "0", f"{number(min(best))} to {number(max(best))}", in_seconds(seconds),
        "trainer.learning_rate=0.003 / 0.006 / 0.009, architecture.num_experts=4",
    ]  # fmt: skip
    assert ledger(made).columns[-1].title == "chosen, by search"
    assert ledger(made).notes[0] == "24 trials: 12 in 3 searches for each of 2 tuned methods."


def test_as_many_trials_in_more_searches_and_more_trials_are_said() -> None:
    alike = ledger(report([*base(), *searches(seeds=3), *searched(method="ple/pcgrad", trials=12)]))
    assert alike.notes[0] == "24 trials: 12 in 1 or 3 searches for each of 2 tuned methods."
    more = ledger(report([*base(), *searches(seeds=3), *searches(method="ple/pcgrad", seeds=2)]))
    assert more.notes[0] == (
        "20 trials, but not the same number for every tuned method: 8 for ple/pcgrad, up to 12 for others."
    )


def test_choices_at_an_end_of_what_was_tried_are_counted() -> None:
    whole = {"diverged": 0, "seeds": 1}
    runs = [
        *searched(best=3, **whole), *searched(best=3, search_seed=1, **whole), *searched(best=1, search_seed=2, **whole),
        *searched(method="ple/pcgrad", best=0, **whole), *searched(method="single_task/equal", best=3, **whole),
    ]  # fmt: skip
    said = [note for note in ledger(report(runs)).notes if "beyond" in note]
    end = "of those tried, and the best may lie beyond:"
    assert said == [
        f"3 of 5 searches chose the highest trainer.learning_rate {end} mmoe/equal 2 of 3, single_task/equal.",
        f"1 of 5 searches chose the lowest trainer.learning_rate {end} ple/pcgrad.",
    ]
    for run in runs:  # an older record does not say
        run.config["tuning"].pop("ends", None)
    assert not any("beyond" in note for note in ledger(report(runs)).notes)


def test_trials_and_choices_that_do_not_fit_are_said_of_their_search() -> None:
    runs = [run for run in searches(seeds=3, best=2) if run.seed != 20_001]
    for run in runs:
        if run.purpose == "tuned" and run.search_seed == 2:
            run.config["tuning"] = {**run.config["tuning"], "trial": 0}
    made = report([*base(), *runs])
    assert cells(made)["mmoe/equal"][:3] == ["3", "11 of 12", "8"]
    notes = ledger(made).notes
    assert "mmoe/equal: 11 of its 12 trials are among these records." in notes
    assert [note for note in notes if "was chosen" in note] == [
        "mmoe/equal, search 2: trial 0 was chosen, but trial 2 did best."
    ]


def test_searches_that_go_on_beside_those_that_have_ended_have_a_row_of_their_own() -> None:
    runs = [run for run in searches(seeds=4) if run.purpose == "trial" or run.seed < 2]
    found = cells(report([*base(), *runs]))
    assert {name: row[:2] for name, row in found.items()} == {
        "mmoe/equal": ["2", "8"],
        "mmoe/equal: nothing chosen yet": ["2", "8"],
    }
    assert found["mmoe/equal: nothing chosen yet"][-1] == "—"


def test_two_studies_of_a_method_are_two_rows_and_samplers_are_named_as_recorded() -> None:
    made = report([*base(), *searches(seeds=2), *searched(sampler="random")])
    assert {name: row[:2] for name, row in cells(made).items()} == {
        "mmoe/equal [sampler=random]": ["1", "4"],
        "mmoe/equal [sampler=halton]": ["2", "8"],
    }
    chapter = next(c for c in made.document.chapters if c.anchor == "tuning")
    (facts,) = [block for part in chapter.parts for block in part.blocks if isinstance(block, Facts)]
    assert facts.pairs[0] == ("sampler", "halton, random")


def test_configurations_have_all_values_that_searches_chose() -> None:
    made = report([*base(), *searches(seeds=3, best=2)])
    (drawn,) = [table for _, _, table in made.document.tables() if table.key == "configurations"]
    rows = {row.cells[0].text: [cell.text for cell in row.cells[1:]] for row in drawn.rows}
    assert rows["mmoe/equal"][1:] == [
        "name=mmoe, embedding_dim=16, num_experts=4", "name=equal", "learning_rate=0.003 / 0.006 / 0.009",
    ]  # fmt: skip


def test_experts_in_use_are_of_as_many_as_searches_chose() -> None:
    runs = searches(seeds=2)
    for run in runs:
        run.gates = {"click": {f"expert.{n}": 0.5 / (1 + run.search_seed) for n in range(2 + 2 * run.search_seed)}}
    made = report([*base(), *runs])
    (drawn,) = [table for _, _, table in made.document.tables() if table.key == "gates"]
    assert drawn.rows[0].cells[-1].text == "3.0 of 2 or 4"  # 2 even ones and 4 even ones


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
    assert "but not the same number for every tuned method: 4 for mmoe/equal, up to 6" in notes
    assert "ple/pcgrad: 5 of its 6 trials are among these records." in notes
    assert "Trials of mmoe/equal hold test metrics" in notes


def test_a_wrong_choice_is_said() -> None:
    runs = searched()
    for run in runs:
        if run.purpose == "tuned":
            run.config["tuning"] = {**run.config["tuning"], "trial": 0}
    assert any("trial 0 was chosen, but trial" in note for note in ledger(report([*base(), *runs])).notes)


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
    assert [(row.cells[0].text, row.cells[2].text) for row in ledger(made).rows] == [(names[0], "4"), (names[1], "3")]
    assert any(f"{names[0]} 1 of 3, {names[1]} 2 of 2." in note for note in ledger(made).notes)
    chapter = next(c for c in made.document.chapters if c.anchor == "tuning")
    (facts,) = [block for part in chapter.parts for block in part.blocks if isinstance(block, Facts)]
    assert [name for name, _ in facts.pairs] == ["sampler", *names]
    assert facts.pairs[1][1].startswith("trainer.learning_rate: ") and facts.pairs[2][1] == "trainer.l2: x"


def test_what_an_extended_search_leaves_behind_is_said() -> None:
    made = report([*base(), record(purpose="bench"), *searched(trials=4), *searched(trials=6, diverged=0)])
    said = "Left out: 1 of purpose bench, 3 of purpose tuned, chosen among fewer trials."
    assert said in made.document.lines


def test_trials_are_in_no_mean() -> None:
    made = report([*base(), *searched()])
    assert set(made.table["purpose"]) == {"default", "tuned"}
    assert "10000" not in str(made)


def test_trees_have_their_trials_in_the_ledger() -> None:
    made = report([*base(), *searched()], references=trees(trials=2))
    last = ledger(made).rows[-1]
    assert last.reference and [cell.text for cell in last.cells[1:3]] == ["1", "2"]
    assert last.cells[-1].text.startswith("click: num_leaves=31, lambda_l2=0.5; like: num_leaves=31")
    assert any("2 trials, where methods have 4, each with one model per task" in note for note in ledger(made).notes)
    assert "mtlbench reference dataset=videos trials=2 seeds=3" in made.markdown()
    alike = ledger(report([*base(), *searched()], references=trees(trials=4)))
    assert any("4 trials, each with one model per task" in note for note in alike.notes)


def test_trials_that_max_epochs_ended_are_said() -> None:
    runs = searched()
    for run in runs[:2]:
        run.config["trainer"] = {**run.config["trainer"], "max_epochs": len(run.epochs)}
    notes = ledger(report([*base(), *runs])).notes
    assert any(note.startswith("2 of 3 trials reached trainer.max_epochs") for note in notes)
