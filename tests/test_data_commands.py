"""`mtlbench data card`, from the command line to the page, and the card that a run leaves for its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark import RunConfig, TrainerConfig, configure, report, run
from benchmark.cli import main
from benchmark.records.card import load_cards
from benchmark.records.packing import pack

SMALL = {"num_users": 40, "num_items": 30, "num_rows": 2000}
OPTIONS = [f"dataset.{key}={value}" for key, value in SMALL.items()]


def test_the_card_is_printed_written_and_given_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "card.html"
    main(["data", "card", "shop", *OPTIONS, "--html", str(page)])
    text = capsys.readouterr().out
    assert "1,600 of train, 200 of validation, 200 of test; 11 fields; 3 tasks." in text
    assert text.endswith(f"written: {page}\n")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    main(["data", "card", "shop", *OPTIONS, "--json"])
    card = json.loads(capsys.readouterr().out)
    assert (card["name"], card["splits"]["train"], len(card["key"])) == ("shop", 1600, 12)


def test_a_run_leaves_the_card_of_its_data_once_and_its_report_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(architecture: str, **options: object) -> None:
        run(
            RunConfig(
                dataset=configure("dataset", "shop", **SMALL), architecture=architecture, results_dir=str(tmp_path),
                trainer=TrainerConfig(max_epochs=1), **options,
            )  # type: ignore[arg-type]
        )  # fmt: skip

    train("single_task", debug=True)
    train("single_task", purpose="trial")
    assert load_cards(tmp_path) == {}
    train("single_task")
    (card,) = load_cards(tmp_path).values()
    path = tmp_path / "shop" / f"{card.key}.card"
    written = path.stat().st_mtime_ns
    train("shared_bottom")
    assert path.stat().st_mtime_ns == written and len(load_cards(tmp_path)) == 1
    main(["data", "card", "shop", *OPTIONS, "--json"])
    assert json.loads(capsys.readouterr().out) == card.to_json()
    path.unlink()
    train("shared_bottom")  # as the record is there, it is not repeated; the card is made again
    assert path.is_file()
    assert "What is in the data" in report(tmp_path).html()
    pack(tmp_path)
    assert "What is in the data" in report(tmp_path).html()
