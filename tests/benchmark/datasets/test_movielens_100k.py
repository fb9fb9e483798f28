"""MovieLens-100K: the owners' files and RecBole's are one data set."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.datasets import Data
from benchmark.datasets._movielens import AGE_GROUPS, GENRES, flag
from benchmark.datasets.movielens_100k import MovieLens100K
from benchmark.lists import MultiValuedField, SequenceField
from tests.benchmark.datasets.fixtures import write_movielens, write_movielens_recbole

FINGERPRINT = "b7fc25d503836bfe4d29dbb8f976f8a78e74a743c5fe74eca0dcd1530d472052"


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    write_movielens(tmp_path / "official" / "movielens_100k")
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "official"))
    return MovieLens100K().build()


def test_both_formats_are_the_same_data(official: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_movielens_recbole(tmp_path / "recbole" / "movielens_100k")
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "recbole"))
    recbole = MovieLens100K().build()
    assert (official.facts["format"], recbole.facts["format"]) == ("official", "recbole")
    assert recbole.fingerprint == official.fingerprint
    assert recbole.schema == official.schema
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(recbole, split).features, getattr(official, split).features
        np.testing.assert_array_equal(ours.categorical, theirs.categorical)
        np.testing.assert_array_equal(getattr(recbole, split).labels, getattr(official, split).labels)


def test_other_ratings_are_other_data(official: Data, tmp_path: Path) -> None:
    write_movielens(tmp_path / "official" / "movielens_100k", seed=1)
    assert MovieLens100K().build().fingerprint != official.fingerprint


def test_fields_and_tasks(official: Data) -> None:
    names = [field.name for field in official.schema.categorical]
    assert names[:6] == ["user", "gender", "age_group", "occupation", "item", "year"]
    assert len(names) == 25
    assert {"genre_unknown", "genre_childrens", "genre_film_noir", "genre_sci_fi"} <= set(names)
    assert official.schema.numeric == ()
    assert official.schema.task("rating").unit == "stars"
    for split in (official.train, official.validation, official.test):
        np.testing.assert_array_equal(split.labels[:, 0], split.labels[:, 1] >= 4)
    assert [len(official.train), len(official.validation), len(official.test)] == [2000, 250, 250]
    assert official.schema.categorical[2].cardinality <= len(AGE_GROUPS) + 1


def test_films_have_titles_and_two_have_no_year(official: Data) -> None:
    assert official.catalogue is not None
    items = official.catalogue.items
    assert items.titles is not None
    titles = dict(zip(items.ids.tolist(), items.titles.tolist(), strict=True))
    assert titles["1"].startswith("Café 1 (19")
    years = items.features.column("year")
    without = {film for film, year in zip(items.ids.tolist(), years, strict=True) if year == years.max()}
    assert without == {"7", "12"}
    assert official.catalogue.context.fields == ()


def test_one_task(official: Data) -> None:
    data = MovieLens100K(tasks=("rating",)).build()
    assert data.train.labels.shape == (2000, 1)
    assert data.fingerprint == official.fingerprint


def values_of(data: Data, name: str) -> list[list[Any]]:
    """What the lists of the whole data set's field hold, in the order of the split's rows: names or ids."""
    (field,) = [other for other in data.schema.others if other.name == name]
    found = []
    for split in (data.train, data.validation, data.test):
        arrays = split.features.others[field]
        found += [row.tolist() for row in np.split(np.asarray(arrays["codes"]), np.asarray(arrays["bounds"])[1:-1])]
    return found


def test_genres_as_one_field_are_the_flags(official: Data) -> None:
    data = MovieLens100K(genres="list").build()
    assert [field.name for field in data.schema.categorical] == [
        "user",
        "gender",
        "age_group",
        "occupation",
        "item",
        "year",
    ]
    flags = np.concatenate(
        [
            np.stack([split.features.column(name) for name in [*map(flag, GENRES)]], axis=1)
            for split in (official.train, official.validation, official.test)
        ]
    )
    known = sorted(name for name, column in zip(GENRES, flags.T, strict=True) if (column == 2).any())
    place = {name: 1 + number for number, name in enumerate(known)}
    assert data.schema.others == (MultiValuedField("genres", cardinality=len(known) + 1),)
    codes = [sorted(place[GENRES[genre]] for genre in np.flatnonzero(row == 2)) for row in flags]  # 1: no, 2: yes
    assert [sorted(row) for row in values_of(data, "genres")] == codes
    assert data.catalogue is not None
    assert [field.name for field in data.catalogue.items.features.fields] == ["item", "year", "genres"]


def test_a_history_has_what_the_user_rated_before_in_train(tmp_path: Path, official: Data) -> None:
    data = MovieLens100K(history=3).build()
    assert data.schema.others == (
        SequenceField("history", of="item", max_length=3, cardinality=data.schema.categorical[4].cardinality),
    )
    assert "history" in data.schema.user_fields
    assert sum(map(len, values_of(data, "history"))) > 2000
    write_movielens_recbole(tmp_path / "recbole" / "movielens_100k")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLBENCH_DATA", str(tmp_path / "recbole"))
        recbole = MovieLens100K(history=3).build()
    assert recbole.facts["format"] == "recbole"
    assert recbole.fingerprint == data.fingerprint != official.fingerprint
    assert values_of(recbole, "history") == values_of(data, "history")


def test_a_negative_history_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dataset\.history must be at least 0, found -1"):
        MovieLens100K(history=-1)


def test_the_owners_files(real_data: Path) -> None:
    data = MovieLens100K().build()
    assert data.fingerprint == FINGERPRINT
    assert [len(data.train), len(data.validation), len(data.test)] == [80_000, 10_000, 10_000]
    assert data.catalogue is not None
    assert len(data.catalogue.users.ids) == 943
    assert data.catalogue.items.titles is not None
    assert len(data.catalogue.items.ids) == 1682
    assert data.catalogue.items.titles[0] == "Toy Story (1995)"


def test_the_files_of_an_installed_recbole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        importlib.metadata.distribution("recbole")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs recbole installed, without its dependencies")
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path))
    assert MovieLens100K().build().fingerprint == FINGERPRINT
