"""The card of prepared data: numbers by hand on eight rows, leaks on drawn ones, and the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cards import make_card, sums
from benchmark.cards.signs import signs
from benchmark.datasets import Data
from benchmark.datasets.kuairand import LOG, KuaiRand
from benchmark.datasets.prepare import Table
from benchmark.datasets.sources import Found
from benchmark.datasets.text import read_text
from benchmark.records.card import Card, FieldCard, TaskCard, card_key, card_path, load_card, load_cards
from benchmark.rows import Features, Split
from benchmark.schema import CategoricalField
from tests.benchmark.cards.drawn import make_data
from tests.benchmark.datasets.fixtures import write_kuairand
from tests.benchmark.datasets.toy import made, table


def kinds(card: Card) -> list[tuple[str, str]]:
    return [(sign.kind, sign.about) for sign in card.signs]


def test_eight_rows_by_hand() -> None:
    card = make_card("toy", made(tasks=("click", "purchase", "seconds")))
    assert card.splits == {"train": 4, "validation": 2, "test": 2}
    fields = {field.name: field for field in card.fields}
    assert list(fields) == ["user", "item", "size", "hour", "price_bin", "price"]
    assert (fields["user"].values, fields["user"].unseen) == (2, {"train": 0.0, "validation": 0.5, "test": 0.5})
    assert fields["item"].values == 2
    assert fields["item"].missing == {"train": 0.25, "validation": 0.0, "test": 0.0}
    assert fields["item"].unseen == {"train": 0.0, "validation": 0.5, "test": 0.5}
    assert fields["price_bin"].missing == {"train": 0.25, "validation": 0.5, "test": 0.0}
    assert (fields["price"].missing, fields["price"].kind) == (None, "numeric")
    click, purchase, seconds = card.tasks
    assert click.observed == {"train": 0.75, "validation": 1.0, "test": 1.0}
    assert click.mean == pytest.approx({"train": 2 / 3, "validation": 0.5, "test": 0.5})
    assert (purchase.given, purchase.mean["train"]) == ("click", pytest.approx(1 / 3))  # type: ignore[index]
    assert (seconds.unit, seconds.mean) == (
        "seconds",
        pytest.approx({"train": 6.5 / 3, "validation": 4.5, "test": 6.5}),
    )
    assert (seconds.quantiles["0"], seconds.quantiles["0.5"], seconds.quantiles["1"]) == (1.5, 2, 3)
    assert [(entity.role, entity.known, entity.new) for entity in card.entities] == [("user", 2, 1), ("item", 2, 1)]
    assert card.correlations["click|purchase"] == pytest.approx(np.corrcoef([0, 1, 1], [0, 1, 0])[0, 1])
    assert kinds(card) == []
    assert all(not field.alone for field in card.fields)  # two rows of validation judge nothing


def test_honest_fields_give_no_sign() -> None:
    card = make_card("drawn", make_data())
    fields = {field.name: field for field in card.fields}
    assert card.signs == []
    assert 0.45 < fields["noise"].alone["click"] < 0.55 < fields["hint"].alone["click"] < 0.65
    assert 0.45 < fields["length"].alone["seconds"] < 0.52  # half the variance
    assert 0.5 < fields["length"].apart < 0.6  # type: ignore[operator]  # fitted on the rows that judge it


def with_column(data: Data, name: str, of: dict[str, np.ndarray], cardinality: int) -> Data:
    """The data with another categorical field."""
    field = CategoricalField(name, cardinality)
    schema = dataclasses.replace(data.schema, categorical=(*data.schema.categorical, field))

    def wider(split: Split, values: np.ndarray) -> Split:
        features = split.features
        codes = np.column_stack([features.categorical, values]).astype(np.int32)
        return Split(Features(schema.fields, codes, features.numeric), split.labels)

    splits = {part: wider(getattr(data, part), values) for part, values in of.items()}
    return dataclasses.replace(data, schema=schema, **splits)


SPLITS = ("train", "validation", "test")


def test_a_field_that_nearly_is_the_label_is_found() -> None:
    data, rng = make_data(), np.random.default_rng(1)
    values = {}
    for part in SPLITS:
        click = getattr(data, part).labels[:, 0]
        values[part] = np.where(rng.random(len(click)) < 0.01, 1 - click, click) + 1
    card = make_card("drawn", with_column(data, "watched", values, 3))
    assert kinds(card) == [("field", "watched")]
    (sign,) = card.signs
    assert sign.text.startswith("watched alone predicts click with an AUC of 0.99")
    assert "leave it out" in sign.text


def test_an_id_of_rows_in_the_order_of_the_label_is_found_and_one_at_random_is_only_useless() -> None:
    data = make_data()
    click = data.train.labels[:, 0]
    rank = np.empty(len(click))
    rank[np.argsort(click, kind="stable")] = np.arange(1, len(click) + 1)
    other = {part: np.zeros(len(getattr(data, part))) for part in SPLITS[1:]}
    card = make_card("drawn", with_column(data, "row_id", {"train": rank, **other}, len(click) + 1))
    assert kinds(card) == [("id", "row_id"), ("id", "row_id")]
    assert "row_id has the order of click: an AUC of 1.000 on train" in card.signs[0].text
    at_random = np.random.default_rng(0).permutation(rank)
    card = make_card("drawn", with_column(data, "row_id", {"train": at_random, **other}, len(click) + 1))
    (sign,) = card.signs
    assert "row_id is an id of rows: 6,000 values on 6,000 rows of train, and 100% of test rows" in sign.text


def test_rows_that_are_sorted_by_a_label_are_found() -> None:
    data = make_data()
    order = np.argsort(data.train.labels[:, 0], kind="stable")
    train = Split(data.train.features.take(order), data.train.labels[order])
    (sign,) = make_card("drawn", dataclasses.replace(data, train=train)).signs
    assert sign.text.startswith("The rows of train are sorted by click: an AUC of 1.000 of the number of the row.")


def test_a_number_that_tells_the_splits_apart_is_found() -> None:
    data = make_data()
    data.test.features.numeric[:, 0] += 20
    assert kinds(make_card("drawn", data)) == [("split", "length")]


def test_rows_of_test_in_train_and_a_split_by_time_that_overlaps_are_found() -> None:
    repeated = {"same_features": 900, "same_features_and_labels": 150}
    dates = {"train": [20220408, 20220505], "validation": [20220505, 20220506], "test": [20220506, 20220508]}
    facts = {"protocol": "by date", "dates": dates, "test_rows_in_train": repeated}
    card = make_card("drawn", dataclasses.replace(make_data(), facts=facts))
    assert kinds(card) == [("rows", "")]  # a day may be shared: the cut is then within it
    assert "150 of 1,500 test rows (10.0%) are in train with the same features and labels" in card.signs[0].text
    dates["train"][1], repeated["same_features_and_labels"] = 20220507, 14
    card = make_card("drawn", dataclasses.replace(make_data(), facts=facts))
    assert kinds(card) == [("time", ""), ("time", "")]
    assert "train ends 2022-05-07, after validation begins, 2022-05-05" in card.signs[0].text
    facts["protocol"] = "random"
    assert make_card("drawn", dataclasses.replace(make_data(), facts=facts)).signs == []


class WithPlayTime(KuaiRand):
    """KuaiRand with the column left in that decides most of its labels."""

    def _read(self, found: Found) -> Table:
        made = super()._read(found)
        (log,) = (path for name, path in found.paths.items() if name.startswith("log_standard"))
        rows = read_text(log, LOG).unique(maintain_order=True)  # as it is read
        made.numeric["play_time_ms"] = rows["play_time_ms"].to_numpy().astype(np.float64)
        return made


def test_play_time_left_in_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    write_kuairand(tmp_path / "kuairand_pure", num_rows=6000)
    assert [sign.about for sign in make_card("kuairand", KuaiRand().build()).signs if sign.kind == "field"] == []
    card = make_card("kuairand", WithPlayTime().build())
    about = [sign.text.partition(" with ")[0] for sign in card.signs if sign.kind == "field"]
    assert [f"play_time_ms alone predicts {task}" for task in ("click", "long_view", "play_time")] == about


def test_blocks_and_groups_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make_card("drawn", make_data()).to_json()
    monkeypatch.setattr(sums, "BLOCK", 777)
    monkeypatch.setattr(sums, "NUMBERS_AT_A_TIME", 130)
    told: list[tuple[int, int]] = []
    pieces = make_card("drawn", make_data(), progress=lambda done, total: told.append((done, total))).to_json()
    assert_close(pieces, whole)
    assert told[-1] == (9000 * 4, 9000 * 4)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def assert_close(first: Any, second: Any) -> None:
    if isinstance(second, dict):
        assert list(first) == list(second)
        for key in second:
            assert_close(first[key], second[key])
    elif isinstance(second, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_close(one, other)
    else:
        assert first == (pytest.approx(second, abs=1e-12) if isinstance(second, float) else second)


def test_a_card_is_a_file_beside_the_records(tmp_path: Path) -> None:
    card = make_card("toy", made(), card_key({"fingerprint": "f", "splits": {}, "schema": {}, "test_rows": "t"}))
    path = card.write(tmp_path)
    assert path == card_path(tmp_path, "toy", card.key)
    assert load_card(path) == card
    assert load_cards(tmp_path) == {card.key: card}
    assert json.loads(path.read_text())["format"] == 1
    assert len(path.read_bytes()) < 10_000
    path.write_text("{}")
    with pytest.raises(ValueError, match="is not a card of a data set: it has no format, name, key"):
        load_card(path)


def test_the_key_is_that_of_the_data() -> None:
    described = {"fingerprint": "f", "splits": {"train": 1}, "schema": {"tasks": []}, "test_rows": "t", "name": "toy"}
    assert card_key(described) == card_key({**described, "name": "other"})
    assert all(
        card_key({**described, key: "x"}) != card_key(described) for key in ("fingerprint", "splits", "test_rows")
    )


def test_missing_values_of_a_field_are_told_by_their_code() -> None:
    assert made().missing == {"item": 3, "price_bin": 4}
    full = table(numeric={"price": np.arange(8.0)})
    assert made(lambda: full).missing == {"item": 3}


def test_two_leaks_do_not_hide_each_other_and_an_easy_label_is_no_leak() -> None:
    def card_of(**values: float) -> Card:
        fields = [FieldCard(name=name, kind="categorical", alone={"click": value}) for name, value in values.items()]
        task = TaskCard(name="click", kind="binary", measure="ranks")
        return Card(name="x", key="", splits={"train": 9, "validation": 9, "test": 9}, tasks=[task], fields=fields)

    found = signs(card_of(watched=0.985, stay=0.99, video=0.662, hour=0.55))
    assert [sign.about for sign in found] == ["stay", "watched"]
    assert "; the best field below 0.95, video, reaches 0.662." in found[0].text
    assert signs(card_of(household=0.978, summary=0.946, age=0.944)) == []  # as on Census-Income
    assert signs(card_of(user=0.78, author=0.675)) == []  # as `like` on KuaiRand
    assert [sign.about for sign in signs(card_of(only=0.96))] == ["only"]


def test_a_number_and_its_bins_are_one_field() -> None:
    task = TaskCard(name="seconds", kind="regression", measure="squares")
    alone = {"length": ("numeric", 0.95), "length_bin": ("categorical", 0.96), "old_bin": ("categorical", 0.1)}
    fields = [FieldCard(name=name, kind=kind, alone={"seconds": value}) for name, (kind, value) in alone.items()]
    card = Card(name="x", key="", splits={"train": 9, "validation": 9, "test": 9}, tasks=[task], fields=fields)
    (sign,) = signs(card)
    assert sign.text.startswith(
        "length alone predicts seconds with an R² of 0.960 on validation; the best field below 0.9, old_bin"
    )
