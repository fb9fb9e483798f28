"""A card in words and tables: its page, and the chapter of a report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmark import report
from benchmark.records.card import Card, Entity, FieldCard, Sign, TaskCard, card_key
from benchmark.reporting.cards import NO_SIGN, CardPage
from tests.benchmark.reporting.fabricate import records


def a_card(**changes: object) -> Card:
    shares = {"train": 0.25, "validation": 0.5, "test": 0.0}
    card = Card(
        name="videos",
        key="k",
        splits={"train": 800, "validation": 100, "test": 100},
        tasks=[
            TaskCard(
                name="like", kind="binary", measure="ranks", observed=dict.fromkeys(shares, 1.0),
                mean={"train": 0.0125, "validation": 0.02, "test": 0.00333},
            ),
            TaskCard(
                name="<b>time", kind="regression", unit="seconds", measure="squares", observed=shares,
                mean={"train": 21.5, "validation": 20.0, "test": 1234.5}, quantiles={"0": 0.0, "0.5": 4.6, "1": 12345.0},
            ),
        ],
        fields=[
            FieldCard(name="user", kind="categorical", values=901, missing=shares, unseen={"test": 0.031}, alone={"like": 0.81234}),
            FieldCard(name="length", kind="numeric", alone={"like": 0.5}),
            FieldCard(name="tags", kind="multi"),
        ],
        entities=[Entity(role="user", field="user", known=901, new=17, rows={"validation": 0.02, "test": 0.031})],
        correlations={"like|<b>time": 0.123},
        facts={"protocol": "by date", "dates": {split: [1, 2] for split in shares},
               "test_rows_in_train": {"same_features": 7, "same_features_and_labels": 3},
               "weights": {"all tasks": [0.0, 1700.5, 4000.0]}},
    )  # fmt: skip
    return dataclasses.replace(card, **changes)  # type: ignore[arg-type]


def test_the_text_has_every_number() -> None:
    text = str(CardPage(a_card()))
    for words in (
        "800 of train, 100 of validation, 100 of test; 3 fields; 2 tasks.",
        NO_SIGN,
        "7 of 100 test rows are in train with the same features, 3 with the same labels too.",
        "Rows of train have weights in the loss of all tasks: from 0 to 4000, on average 1700.",
        "1.2 %", "2.0 %", "0.333 %", "21.5 seconds", "12,345", "+0.12", "0.812", "3.1 %", "901", "17", "multi",
    ):  # fmt: skip
        assert words in text, words


def test_all_fields_are_shown_however_many() -> None:
    fields = [FieldCard(name=f"field_{number}", kind="numeric") for number in range(120)]
    card = a_card(fields=fields, entities=[])
    assert "field_119" in str(CardPage(card)) and "field_119" in CardPage(card).html()


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    signs = [Sign(kind="field", text="user alone predicts <i>like</i>.", about="user")]
    page = CardPage(a_card(signs=signs)).html()
    assert "<title>Data set: videos</title>" in page
    assert "user alone predicts &lt;i&gt;like&lt;/i&gt;." in page and NO_SIGN not in page
    assert "user (!)" in page
    assert "&lt;b&gt;time" in page and "<b>time" not in page
    assert 'href="#details"' not in page and 'id="details"' not in page
    assert "http" not in page.replace("http-equiv", "")
    CardPage(a_card(signs=signs)).write(tmp_path / "deep" / "card.html")
    assert (tmp_path / "deep" / "card.html").read_text(encoding="utf-8") == page


def test_a_report_shows_the_card_that_its_runs_left(tmp_path: Path) -> None:
    runs = records(("videos",))
    for record in runs:
        record.write(tmp_path)
    without = report(tmp_path)
    assert "What is in the data" not in without.html()
    card = a_card(key=card_key(runs[0].dataset))
    card.write(tmp_path)
    page = report(tmp_path).html()
    assert '<details id="card"><summary>What is in the data</summary>' in page
    assert NO_SIGN in page and "like alone, AUC" in page
    assert "What is in the data" not in str(report(tmp_path))  # folded
    a_card(key="0123456789ab").write(tmp_path)
    assert page == report(tmp_path).html()


@pytest.mark.parametrize("facts", [{}, {"dates": {"train": ["2022-01-01", "2022-02-01"]}}])
def test_a_card_without_facts_is_shown_too(facts: dict[str, object]) -> None:
    text = str(CardPage(a_card(facts=facts, correlations={}, entities=[], tasks=[])))
    assert "800" in text
