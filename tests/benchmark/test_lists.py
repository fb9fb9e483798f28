"""Columns of lists, from the parsed table to recommendations: what they hold is compared with plain Python lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hydra.core.config_store import ConfigStore

from benchmark import Record, RunConfig, TrainerConfig, configure, load, load_record, metrics, recommend, report, run
from benchmark import pieces as module_of_pieces
from benchmark.contracts import NotApplicable, cases
from benchmark.contracts.toys import LIKE, SHARE
from benchmark.datasets import Data, Dataset
from benchmark.datasets._fit import Numbers, Treatment, Vocabulary
from benchmark.datasets.prepare import TRAIN, Table, prepare, random_split
from benchmark.lists import ListField, MultiValuedField, SequenceField
from benchmark.rows import Features, joined
from benchmark.schema import Arrays, Schema
from benchmark.settings.registry import datasets
from benchmark.training.prediction import in_unit

GENRES = MultiValuedField("genres", cardinality=4)
SEEN = SequenceField("seen", of="item", max_length=3, cardinality=5)


def stored(*rows: list[int]) -> Arrays:
    bounds = np.append(0, np.cumsum([len(row) for row in rows])).astype(np.int64)
    return {"codes": np.array([code for row in rows for code in row], np.int32), "bounds": bounds}


def lists_of(arrays: Arrays) -> list[list[int]]:
    codes, bounds = (np.asarray(arrays[name]) for name in ("codes", "bounds"))
    return [row.tolist() for row in np.split(codes, bounds[1:-1])]


def numbers(treatment: Treatment | None = None, **vocabularies: list[Any]) -> Numbers:
    made = {name: Vocabulary.of([pl.Series(values, strict=False)]) for name, values in vocabularies.items()}
    return Numbers(made, treatment or Treatment())


# fitting --------------------------------------------------------------------------------------------------------------


def test_values_are_numbered_in_their_order_by_those_of_train() -> None:
    values = pl.Series([["b", "a"], None, ["z"], [], ["a", "z", "a"]])
    train = np.array([True, True, False, True, False])
    fitted, arrays, vocabulary = MultiValuedField("genres").fit(values, train, numbers())
    assert (fitted, vocabulary) == (MultiValuedField("genres", cardinality=3), ["a", "b"])
    assert lists_of(arrays) == [[2, 1], [], [0], [], [1, 0, 1]]
    assert (arrays["codes"].dtype, arrays["bounds"].dtype) == (np.int32, np.int64)


def test_a_sequence_has_the_numbers_of_its_field_and_keeps_the_last_entries() -> None:
    values = pl.Series([[7, 9, 8], [9], [], None, [8, 5, 7, 9, None]])
    fitted, arrays, vocabulary = SequenceField("seen", of="item", max_length=2).fit(
        values, np.array([True] * 5), numbers(item=[7, 9, None])
    )
    assert (fitted, vocabulary) == (SequenceField("seen", of="item", max_length=2, cardinality=4), None)
    assert lists_of(arrays) == [[2, 0], [2], [], [], [1, 2]], "8 and 5 are unseen in train"


@pytest.mark.parametrize("vocabulary", [[7, 12], ["12", "7"]])
@pytest.mark.parametrize("values", [[[7, 12], [5]], [["7", "12"], ["5"]]])
def test_text_and_whole_numbers_that_read_alike_are_alike(vocabulary: list[Any], values: list[Any]) -> None:
    field = SequenceField("seen", of="item")
    _, arrays, _ = field.fit(pl.Series(values), np.array([True, True]), numbers(item=vocabulary))
    numbered = {str(value): number for number, value in enumerate(vocabulary, 1)}
    assert lists_of(arrays) == [[numbered["7"], numbered["12"]], [0]]
    assert field.content(pl.Series(values)) == field.content(pl.Series([[7, 12], [5]]))


@pytest.mark.parametrize("values", [[[], None, []], [None, None, None]])
def test_lists_may_all_be_empty(values: list[Any]) -> None:
    train = np.array([True, True, False])
    fitted, arrays, vocabulary = MultiValuedField("genres").fit(pl.Series(values), train, numbers())
    assert (fitted.cardinality, vocabulary, lists_of(arrays)) == (1, [], [[], [], []])
    _, arrays, _ = SequenceField("seen", of="item").fit(pl.Series(values), train, numbers(item=[1]))
    assert lists_of(arrays) == [[], [], []]


def test_the_content_tells_apart_what_differs() -> None:
    different = [
        [["a"], []],
        [[], ["a"]],
        [["a"], [""]],
        [["a", ""], []],
        [["a", "b"], []],
        [["b", "a"], []],
        [["ab"], []],
    ]
    contents = [MultiValuedField("genres").content(pl.Series(values, dtype=pl.List(pl.String))) for values in different]
    assert len(set(contents)) == len(different)
    null = pl.Series([["a"], None], dtype=pl.List(pl.String))
    assert MultiValuedField("genres").content(null) == contents[0], "null is an empty list"


@pytest.mark.parametrize("values", [["a|b", "c"], [1, 2], [[0.5], [1.5]], [["a"], "b"]])
def test_other_columns_are_refused_by_name(values: list[Any]) -> None:
    column: Any = values
    with pytest.raises(ValueError, match=r"column 'genres': expected lists of text or whole numbers, null or \[\]"):
        MultiValuedField("genres").fit(column, np.array([True, True]), numbers())


def test_a_length_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="field 'seen': max_length must be at least 1, found 0"):
        SequenceField("seen", of="item", max_length=0)


def test_rare_values_and_buckets_are_those_of_categorical_fields() -> None:
    values, train = pl.Series([["a", "b"], ["a"], ["a", "c"], ["b", "d"]]), np.array([True, True, True, False])
    field = MultiValuedField("genres")
    fitted, arrays, vocabulary = field.fit(values, train, numbers(Treatment(min_frequency=2)))
    assert (fitted.cardinality, vocabulary, lists_of(arrays)) == (2, ["a"], [[1, 0], [1], [1, 0], [0, 0]])
    fitted, arrays, _ = field.fit(values, train, numbers(Treatment(hash_buckets={"genres": 2})))
    assert fitted.cardinality <= 3
    hashed = Numbers({"item": Vocabulary.of([pl.Series([7, 9, 8, 12])], buckets=2)}, Treatment())
    code, cardinality = hashed.of("item")
    np.testing.assert_array_equal(
        code(pl.Series(["7", "9", "8", "12"])), hashed.known["item"](pl.Series([7, 9, 8, 12]))
    )
    assert cardinality == 3


def test_the_content_is_lengths_values_and_their_numbers() -> None:
    lengths, codes = np.array([2, 0, 1, 1], "<i8"), np.array([2, 0, 2, 1], "<i4")
    expected = b"\x1e".join([lengths.tobytes(), b"10\x1f7\x1f9", codes.tobytes()])
    assert MultiValuedField("genres").content(pl.Series([[9, 10], None, [9], [None, 7]])) == expected
    empty = pl.Series([[], None], dtype=pl.List(pl.String))
    assert MultiValuedField("genres").content(empty) == bytes(16) + b"\x1e\x1e"


@pytest.mark.parametrize("field", [MultiValuedField("genres"), SequenceField("seen", of="item", max_length=2)])
def test_in_pieces_they_are_fitted_joined_and_hashed_as_whole(
    field: ListField, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    values = pl.Series([rng.integers(0, 9, size).tolist() for size in rng.integers(0, 5, 50)], dtype=pl.List(pl.Int64))
    train, how = rng.random(50) < 0.7, numbers(item=[1, 2, 3, 5])
    (fitted, arrays, vocabulary), content = field.fit(values, train, how), field.content(values)
    most_frequent = lists_of(fitted.usual(arrays))
    monkeypatch.setattr(module_of_pieces, "PIECE", 7)
    again, parts, names = field.fit_in_pieces(values, train, how)
    found = [*parts]
    assert (again, names, len(found)) == (fitted, vocabulary, 50)
    assert [row for part in found for row in lists_of(part)] == lists_of(arrays)
    for name, array in joined(field, found).items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)
    assert field.content(values) == content
    assert lists_of(fitted.usual(arrays)) == most_frequent


def test_the_cache_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Logged().build()
    monkeypatch.setattr(module_of_pieces, "PIECE", 70)
    data = Logged(edition=1).build()
    assert (data.schema, data.fingerprint) == (whole.schema, whole.fingerprint)
    assert data.catalogue is not None and whole.catalogue is not None
    for found, expected in (
        (data.train.features, whole.train.features),
        (data.test.features, whole.test.features),
        (data.catalogue.users.features, whole.catalogue.users.features),
        (data.catalogue.items.features, whole.catalogue.items.features),
        (data.catalogue.context, whole.catalogue.context),
    ):
        for one, other in zip(found.arrays(), expected.arrays(), strict=True):
            np.testing.assert_array_equal(one, other, strict=True)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_column_of_another_number_of_rows_is_refused(change: int) -> None:
    values = pl.Series([["a"]] * (ROWS + change))
    table = dataclasses.replace(logged(), others={MultiValuedField("words"): values}, user_fields=("user",))
    message = f"column 'words': expected {ROWS} values, one for each row of `split`, found {ROWS + change}"
    with pytest.raises(ValueError, match=message):
        prepare(Logged(), read=lambda: table, source={"rows": change})


# rows -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_rows_are_taken_and_cut_as_lists_are(library: str) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 4, size).tolist() for size in rng.integers(0, 5, 60)]
    order = rng.integers(0, 60, 90)
    arrays: Any = stored(*rows)
    index: Any = order
    if library == "torch":
        arrays, index = {name: torch.from_numpy(array) for name, array in arrays.items()}, torch.from_numpy(order)
    taken = GENRES.take(arrays, index)
    assert lists_of(taken) == [rows[row] for row in order]
    assert type(taken["codes"]) is type(arrays["codes"])
    assert lists_of(GENRES.take(arrays, index[:1])) == [rows[order[0]]]
    assert GENRES.num_rows(GENRES.take(arrays, index[:0])) == 0
    for start, stop in ((0, 60), (7, 31), (50, 900)):
        assert lists_of(GENRES.cut(arrays, start, stop)) == rows[start:stop]
    for start, stop in ((0, 0), (60, 61), (70, 80)):
        assert GENRES.num_rows(GENRES.cut(arrays, start, stop)) == 0


def test_the_key_tells_lists_apart_and_sets_ignore_the_order() -> None:
    lists = [[], [0], [0, 0], [1], [1, 2], [2, 1], [1, 1, 2], [3], [1, 2]]
    sets, sequences = (field.key(stored(*lists))[:, 0].tolist() for field in (GENRES, SEEN))
    assert sets[4] == sets[5] == sets[8]
    assert len(set(sets)) == len(lists) - 2
    assert sequences[4] == sequences[8]
    assert len(set(sequences)) == len(lists) - 1
    for field in (GENRES, SEEN):  # whatever stands before and after
        alone = [field.key(stored(row))[0, 0] for row in lists]
        assert field.key(stored(*lists))[:, 0].tolist() == alone


def test_the_usual_list_is_the_most_frequent_one() -> None:
    assert lists_of(GENRES.usual(stored([1], [2, 3], [], [3, 2], [1, 1]))) == [[2, 3]]
    assert lists_of(SEEN.usual(stored([1], [2, 3], [], [3, 2], []))) == [[]]


def test_keys_and_checks_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    arrays = stored(*(rng.integers(0, 4, size).tolist() for size in rng.integers(0, 4, 50)))
    whole = [field.key(arrays) for field in (GENRES, SEEN)]
    monkeypatch.setattr(module_of_pieces, "PIECE", 7)
    for field, key in zip((GENRES, SEEN), whole, strict=True):
        np.testing.assert_array_equal(field.key(arrays), key)
        field.check(arrays, "train")
    with pytest.raises(ValueError, match="at most 3 entries a row, found 4"):
        SEEN.check(stored(*[[1]] * 20, [1, 1, 1, 1], *[[2]] * 20), "train")


@pytest.mark.parametrize(
    ("field", "arrays", "message"),
    [
        (GENRES, stored([4]), r"train: field 'genres' has codes 0 to 3, found 4 \(0: unseen in train\)"),
        (GENRES, stored([-1]), "field 'genres' has codes 0 to 3, found -1"),
        (SEEN, stored([1, 1, 1, 1]), "field 'seen' has at most 3 entries a row, found 4; keep the last ones"),
        (GENRES, {**stored([1, 2]), "bounds": np.array([0, 3])}, "bounds must rise from 0 to the number of codes, 2"),
        (GENRES, {**stored([1, 2]), "bounds": np.array([0, 2, 1, 2])}, "bounds must rise from 0"),
    ],
)
def test_values_that_do_not_fit_are_refused(field: ListField, arrays: Arrays, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        field.check(arrays, "train")
    field.check(stored([1], []), "train")


# data that have them --------------------------------------------------------------------------------------------------

ROWS, USERS, ITEMS, LONGEST = 3000, 40, 30, 4
WORDS = np.array(["calm", "dark", "epic", "funny", "grim"])


def words_of(item: int) -> list[str]:
    return [str(word) for word in WORDS[[place for place in range(5) if (item * 7 + place) % 3 == 0]]]


def logged() -> Table:
    """Items with their words, and what each user saw before; users like items whose neighbour they saw last."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, USERS, ROWS), rng.integers(0, ITEMS, ROWS)
    seen: list[list[int]] = [rng.integers(0, ITEMS, size).tolist() for size in rng.integers(0, 7, USERS)]
    liked = [1.0 if item[row] % 5 in [s % 5 for s in seen[user[row]][-LONGEST:]] else 0.0 for row in range(ROWS)]
    return Table(
        categorical={"user": user, "item": item},
        numeric={},
        labels={"like": np.array(liked), "share": (rng.random(ROWS) < 0.3).astype(np.float32)},
        split=random_split(ROWS, 0),
        user_fields=("user", "seen"),
        item_fields=("item", "words"),
        others={
            MultiValuedField("words"): pl.Series([words_of(i) for i in item], dtype=pl.List(pl.String)),
            SequenceField("seen", of="item", max_length=LONGEST): pl.Series([seen[u] for u in user]),
        },
    )


class Logged(Dataset):
    all_tasks = (LIKE, SHARE)
    user, item = "user", "item"

    def __init__(self, *, edition: int = 0) -> None:
        self.edition = edition

    def build(self) -> Data:
        return prepare(self, read=logged, source={})


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    datasets.register("test_logged")(Logged)
    yield
    del datasets._classes["test_logged"]
    del ConfigStore.instance().repo["dataset"]["test_logged.yaml"]


@pytest.fixture
def data() -> Data:
    return Logged().build()


def trained(folder: Path, architecture: str = "shared_bottom", weighting: str = "equal", **parameters: Any) -> Record:
    return run(
        RunConfig(
            dataset="test_logged",  # type: ignore[arg-type]
            architecture=architecture,  # type: ignore[arg-type]
            weighting=configure("weighting", weighting, **parameters),
            trainer=TrainerConfig(max_epochs=2, batch_size=100, learning_rate=0.01),
            save_checkpoint=True,
            results_dir=str(folder),
        )
    )


def rows_of(features: Features, name: str) -> list[list[int]]:
    return lists_of(next(arrays for field, arrays in features.others.items() if field.name == name))


def test_the_cache_has_them_without_padding(data: Data) -> None:
    table = logged()
    assert data.schema.others == (
        MultiValuedField("words", cardinality=6),
        SequenceField("seen", of="item", max_length=LONGEST, cardinality=ITEMS + 1),
    )
    assert Schema.from_json(data.schema.to_json()) == data.schema
    assert data.schema.user_fields == ("user", "seen")
    arrays = data.train.features.others[data.schema.others[0]]
    assert isinstance(arrays["codes"], np.memmap)
    assert len(arrays["codes"]) == sum(map(len, rows_of(data.train.features, "words")))
    for split, number in ((data.train, TRAIN), (data.validation, 1), (data.test, 2)):
        words, seen = (series.filter(pl.Series(table.split == number)).to_list() for series in table.others.values())
        assert rows_of(split.features, "words") == [[1 + WORDS.tolist().index(w) for w in row] for row in words]
        assert rows_of(split.features, "seen") == [[1 + item for item in row[-LONGEST:]] for row in seen]


def test_a_sequence_of_no_field_is_refused(data: Data) -> None:
    lost = (SequenceField("seen", of="film"),)
    with pytest.raises(
        ValueError, match=r"field 'seen' is of 'film', which is not a categorical field .*known: item, user"
    ):
        dataclasses.replace(data.schema, others=lost, user_fields=())


def test_a_record_has_them_and_a_checkpoint_predicts_with_them(data: Data, tmp_path: Path) -> None:
    record = trained(tmp_path)
    assert record.dataset["fields"] == ["user", "item", "words", "seen"]
    assert record.dataset["schema"]["others"] == [
        {"kind": "multi", "name": "words", "cardinality": 6},
        {"kind": "sequence", "name": "seen", "cardinality": ITEMS + 1, "of": "item", "max_length": LONGEST},
    ]
    assert Schema.from_json(load_record(record.path(tmp_path)).dataset["schema"]) == data.schema
    outputs = load(record.path(tmp_path)).predict(data.test.features)
    found, _ = metrics.evaluate(data.schema.tasks, outputs, data.test.labels, data.users(data.test))
    assert found == record.metrics["test"]
    report(tmp_path)


def test_recommendations_take_words_from_the_item_and_what_was_seen_from_the_user(data: Data, tmp_path: Path) -> None:
    record = trained(tmp_path)
    assert data.catalogue is not None
    users, items = data.catalogue.users, data.catalogue.items
    seen = dict(
        zip(
            logged().categorical["user"].tolist(),
            logged().others[SequenceField("seen", of="item", max_length=4)],
            strict=True,
        )
    )
    rows = recommend(record, users.ids[7], k=ITEMS, score="like", include_seen=True).rows
    assert len(rows) == ITEMS
    for row in rows[:3]:
        (item,) = np.flatnonzero(items.ids == row["item"])
        one = Features(
            data.schema.fields,
            np.array([[users.codes[7], items.codes[item]]], np.int32),
            np.empty((1, 0), np.float32),
            dict(
                zip(
                    data.schema.others,
                    (
                        stored([1 + WORDS.tolist().index(word) for word in words_of(int(row["item"]))]),
                        stored([1 + int(i) for i in seen[int(users.ids[7])][-LONGEST:]]),
                    ),
                    strict=True,
                )
            ),
        )
        expected = in_unit(LIKE, load(record).predict(one)["like"])[0]
        assert row["like"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scope", ["trunk", "all", "representation"])
def test_gradient_weightings_train_them(scope: str, tmp_path: Path) -> None:
    assert trained(tmp_path, "mmoe", "pcgrad", scope=scope).status == "finished"


def test_a_data_set_with_lists_keeps_to_its_contracts() -> None:
    for case in cases("dataset", "test_logged"):
        with suppress(NotApplicable):
            case.check()
