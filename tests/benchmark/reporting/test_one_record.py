"""One record in words."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from benchmark.records.record import Record
from benchmark.reporting.one_record import in_words
from tests.benchmark.reporting.fabricate import record, trees

TRACEBACK = """Traceback (most recent call last):
  File "model.py", line 3, in forward
    return {"click": x[:, 10_000]}
IndexError: index 10000 is out of bounds"""


def words(made: Record) -> list[str]:
    return in_words(asdict(made)).splitlines()


def rows(lines: list[str], title: str) -> list[list[str]]:
    """The cells of the table under a title."""
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    end = next((n for n in range(start, len(lines)) if not lines[n]), len(lines))
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[start + 1 : end]]


def fact(lines: list[str], name: str) -> str:
    """The text of a fact, its lines joined."""
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name} "))
    text = [lines[start].removeprefix(name)]
    for line in lines[start + 1 :]:
        if not line.startswith("     "):
            break
        text.append(line)
    return " ".join(" ".join(text).split())


def test_what_ran_and_how_it_went() -> None:
    made = record("shop", "mmoe/equal", 2)
    lines = words(made)
    assert lines[0] == "mmoe/equal on shop, seed 2: finished"
    assert fact(lines, "record") == f"{made.id}, default parameters"
    assert fact(lines, "architecture") == "mmoe: embedding_dim=16"
    assert fact(lines, "weighting") == "equal"
    assert "learning_rate=0.001" in fact(lines, "trainer")
    assert fact(lines, "rows").startswith("80,000 of train, 10,000 of validation, 10,000 of test; ")
    seconds = made.cost["train_seconds"]
    epochs = len(made.epochs)
    assert fact(lines, "training").startswith(f"{epochs} epochs with {epochs} validations, {seconds:.0f} s, ")
    assert fact(lines, "size") == (
        "118,900 parameters, 112,000 of them shared by tasks; 59,450 outside embeddings and 59,450 in them; 59,450 "
        "multiply-adds a row; at most 400 MB of memory"
    )
    assert "torch 2.13.0" in fact(lines, "environment")
    assert fact(lines, "started") == "2026-11-20T10:02:00+00:00"
    assert f"command       {made.environment['command']}" in lines  # whole, to be copied


def test_metrics_have_split_and_epoch() -> None:
    made = record("shop", "mmoe/equal")
    made.best_epoch, made.best_epoch_per_task = 2.25, {"click": 2.25, "purchase": 3, "duration": 1}
    made.epochs[1]["epoch"] = 2.25
    made.metrics_per_task["test"]["duration"]["mse"] = 1234.5
    made.metrics["test"]["purchase"]["auc"] = None
    made.undefined["test.purchase.auc"] = "one class only"
    lines = words(made)
    joint = rows(lines, "At epoch 2.25, the best for all tasks on validation (criterion: mean)")
    assert joint[0] == ["task", "metric", "validation", "test"]
    values = [made.metrics[split]["click"]["auc"] for split in ("validation", "test")]
    assert ["click", "AUC", *(f"{value:.4f}" for value in values)] in joint
    assert next(row for row in joint if row[0] == "purchase")[-1] == "—"
    own = rows(lines, "Each task at its own best epoch on validation")
    assert own[0] == ["task", "epoch", "metric", "validation", "test"]
    assert [row[:2] for row in own if row[0] in ("click", "purchase", "duration")] == [
        ["click", "2.25"],
        ["purchase", "3"],
        ["duration", "1"],
    ]
    assert "1,234.5" in next(row for row in own if "MSE [seconds²]" in row)
    assert lines[-2:] == ["Without a value", "  test.purchase.auc: one class only"]


def test_where_all_tasks_chose_the_same_epoch_there_is_one_table() -> None:
    made = record("shop")
    assert made.best_epoch is not None
    made.best_epoch_per_task = dict.fromkeys(made.best_epoch_per_task, made.best_epoch)
    assert "own best epoch" not in in_words(asdict(made))


def test_a_trial_has_no_test() -> None:
    made = record("shop", purpose="trial")
    lines = words(made)
    assert fact(lines, "record").endswith(", a trial of a search")
    assert rows(lines, "At epoch")[0] == ["task", "metric", *made.metrics]


def test_a_failed_run_shows_its_traceback_line_by_line() -> None:
    made = record("shop", status="failed")
    made.error = {"type": "IndexError", "message": "index 10000 is out of bounds", "traceback": TRACEBACK}
    lines = words(made)
    assert lines[0] == "mmoe/equal on shop, seed 0: failed"
    assert lines[-6:] == ["IndexError: index 10000 is out of bounds", "", *TRACEBACK.splitlines()]


def test_a_diverged_run_says_where_and_what_it_had_reached() -> None:
    made = record("shop", status="diverged")
    lines = words(made)
    assert lines[-2:] == ["Diverged in epoch 4, at step 812, task duration:", "  the loss became NaN"]
    reached = rows(lines, "At epoch 3, the last validation before the end")
    assert reached[0] == ["task", "metric", "validation"]
    assert ["click", "AUC", f"{made.epochs[-1]['validation']['click']['auc']:.4f}"] in reached


def test_lines_of_facts_are_short() -> None:
    head = words(record("videos"))
    assert max(len(line) for line in head if not line.startswith("command")) <= 100


def test_reference_lines_are_shown_too() -> None:
    made = trees("shop")[0]
    lines = in_words(asdict(made)).splitlines()
    assert lines[0] == f"Reference line {made.label} on shop, seed {made.seed}"
    assert any(line.split()[:2] == ["task", "metric"] for line in lines)


def test_other_json_is_refused() -> None:
    with pytest.raises(ValueError, match=r"here\.json is not a record: it has no format"):
        in_words({"name": "package"}, "here.json")
