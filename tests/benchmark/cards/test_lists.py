"""Fields whose rows are lists in a card: by hand, and as strong as the same values one a row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from benchmark.cards import lists, make_card, sums
from benchmark.datasets import Data
from benchmark.rows import Features, Split
from benchmark.schema import Arrays, OtherField
from tests.benchmark.cards.drawn import make_data


@dataclass(frozen=True)
class Bag(OtherField):
    """Lists of codes, as far as a card reads them."""

    cardinality: int = 0
    kind: ClassVar[str] = "bag"
    stored: ClassVar[tuple[str, ...]] = ("codes", "bounds")

    def num_rows(self, arrays: Arrays) -> int:
        return len(arrays["bounds"]) - 1

    def cut(self, arrays: Arrays, start: int, stop: int) -> Arrays:
        bounds = arrays["bounds"][start : stop + 1]
        return {"codes": arrays["codes"][bounds[0] : bounds[-1]], "bounds": bounds - bounds[0]}

    def content(self, values: Any) -> bytes:
        raise NotImplementedError

    fit = usual = embedding = check = content  # type: ignore[assignment]


def with_bags(data: Data, bags: dict[str, list[list[int]]], cardinality: int) -> Data:
    field = Bag("tags", cardinality)
    schema = dataclasses.replace(data.schema, others=(field,))

    def wider(split: Split, rows: list[list[int]]) -> Split:
        codes = np.array([code for row in rows for code in row], np.int32)
        arrays = {"codes": codes, "bounds": np.append(0, np.cumsum([len(row) for row in rows]))}
        features = split.features
        return Split(Features(schema.fields, features.categorical, features.numeric, {field: arrays}), split.labels)

    return dataclasses.replace(
        data, schema=schema, **{part: wider(getattr(data, part), rows) for part, rows in bags.items()}
    )


def test_empty_and_new_entries_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "BLOCK", 3)
    data = make_data(8)  # 8, 2 and 2 rows
    bags = {
        "train": [[1, 2], [], [2], [1], [1, 1, 2], [], [2], [1]],
        "validation": [[0, 1], []],
        "test": [[0, 0], [1, 2]],
    }
    (field,) = (field for field in make_card("drawn", with_bags(data, bags, 3)).fields if field.name == "tags")
    assert (field.kind, field.values) == ("bag", 2)
    assert field.missing == {"train": 0.25, "validation": 0.5, "test": 0.0}
    assert field.unseen == {"train": 0.0, "validation": 0.5, "test": 0.5}
    assert field.alone == {}


def test_lists_of_one_tell_what_the_same_categories_tell() -> None:
    data = make_data()
    hints = {part: getattr(data, part).features.column("hint") for part in ("train", "validation", "test")}
    bags = {part: [[int(code)] for code in codes] for part, codes in hints.items()}
    told: list[tuple[int, int]] = []
    card = make_card("drawn", with_bags(data, bags, 4), progress=lambda *of: told.append(of))
    fields = {field.name: field for field in card.fields}
    assert fields["tags"].alone == pytest.approx(fields["hint"].alone, abs=1e-12)
    assert told[-1][0] == told[-1][1]


def test_the_prediction_of_a_list_is_the_mean_over_its_entries() -> None:
    train = sums.CodeSums(np.array([0.0, 4, 6]), np.array([[0.0, 4, 6]]), np.array([[0.0, 2, -3]]))
    data = with_bags(make_data(8), {"validation": [[1, 2, 2], []]}, 3)
    (field,) = data.schema.others
    rates = [2 / 14, -3 / 16]
    found = lists.predicted(field, train, 0, data.validation, lambda _: None)
    assert found.tolist() == pytest.approx([(rates[0] + 2 * rates[1]) / 3, 0])
