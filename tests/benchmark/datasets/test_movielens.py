"""MovieLens 100K under its second name, 1M and 32M: the traps of their files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from benchmark.datasets import Data
from benchmark.datasets._movielens import AGE_GROUPS, GENRES, flag
from benchmark.datasets.movielens import MovieLens
from benchmark.datasets.movielens_100k import MovieLens100K
from benchmark.datasets.prepare import TRAIN, random_split
from benchmark.rows import Split
from tests.benchmark.datasets.fixtures import write_movielens
from tests.benchmark.datasets.layouts import write_dat, write_movielens_1m, write_movielens_32m


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose name has a space and a letter beyond ASCII."""
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "my dâta"))
    return tmp_path / "my dâta"


def titles(data: Data) -> dict[str, str]:
    assert data.catalogue is not None
    items = data.catalogue.items
    assert items.titles is not None
    return dict(zip(items.ids.tolist(), items.titles.tolist(), strict=True))


def item_values(data: Data, field: str) -> dict[str, int]:
    assert data.catalogue is not None
    items = data.catalogue.items
    return dict(zip(items.ids.tolist(), items.features.column(field).tolist(), strict=True))


def test_the_variant_100k_is_movielens_100k_under_a_second_name(folder: Path) -> None:
    write_movielens(folder / "movielens_100k")
    ours, known = MovieLens(variant="100k").build(), MovieLens100K().build()
    assert ours.fingerprint == known.fingerprint
    assert ours.schema == known.schema
    np.testing.assert_array_equal(ours.test.labels, known.test.labels)
    np.testing.assert_array_equal(ours.train.features.categorical, known.train.features.categorical)


def test_1m_is_read(folder: Path) -> None:
    write_movielens_1m(folder / "movielens_1m")
    data = MovieLens(variant="1m").build()
    names = [field.name for field in data.schema.categorical]
    assert names == ["user", "gender", "age_group", "occupation", "item", "year", *map(flag, GENRES[1:])]
    assert [len(data.train), len(data.validation), len(data.test)] == [320, 40, 40]
    assert data.facts["protocol"] == "random"
    assert list(data.facts["left_out"]) == ["timestamp", "zip"]
    assert titles(data) == {
        "1": "Toy Story (1995)",
        "2": "Star Wars: Episode IV - A New Hope (1977)",
        "3": "Misérables, Les (1995)",
        "3952": "Contender, The",
    }
    years = item_values(data, "year")
    assert years["1"] == years["3"] != years["2"]
    assert years["3952"] == max(years.values())  # missing comes last
    assert item_values(data, "genre_childrens") == {"1": 2, "2": 1, "3": 1, "3952": 1}
    assert data.schema.categorical[names.index("age_group")].cardinality == len(AGE_GROUPS) + 1


def test_a_copy_of_1m_without_times_is_as_good(folder: Path) -> None:
    write_movielens_1m(folder / "movielens_1m")
    with_times = MovieLens(variant="1m").build()
    write_movielens_1m(folder / "movielens_1m", times=False)
    assert MovieLens(variant="1m").build().fingerprint == with_times.fingerprint


def test_latin_1_in_a_gzipped_file(folder: Path) -> None:
    write_movielens_1m(folder / "movielens_1m")
    plain = MovieLens(variant="1m").build()
    for path in list((folder / "movielens_1m" / "ml-1m").iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    zipped = MovieLens(variant="1m").build()
    assert zipped.fingerprint == plain.fingerprint
    assert titles(zipped)["3"] == "Misérables, Les (1995)"


def test_32m_is_read(folder: Path) -> None:
    write_movielens_32m(folder / "movielens_32m")
    data = MovieLens(variant="32m").build()
    assert [field.name for field in data.schema.categorical] == ["user", "item", "year", *map(flag, (*GENRES, "IMAX"))]
    assert titles(data)["2"] == 'American "Movie", The (1999)'
    assert titles(data)["3"] == "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)"
    assert item_values(data, "genre_childrens")["1"] == 2  # the files call it Children
    assert item_values(data, "genre_unknown") == {"1": 1, "2": 1, "3": 1, "292757": 2}  # "(no genres listed)"
    assert item_values(data, "genre_imax")["2"] == 2
    assert set(np.unique(data.train.labels[:, 1] * 2).tolist()) <= set(range(1, 11))
    np.testing.assert_array_equal(data.train.labels[:, 0], data.train.labels[:, 1] >= 4)
    assert list(data.facts["left_out"]) == ["timestamp", "tags"]


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("ratings.dat", "3::1::4", r"ratings\.dat: line 2 has 3 values, expected 4; is the file truncated\?$"),
        ("ratings.dat", "3::1::4::978300760::1", r"ratings\.dat: line 2 has 5 values, expected 4"),
        (
            "ratings.dat",
            "3::one::4::9",
            r"ratings\.dat: line 2, column item: expected an integer of at least 1, found 'one'$",
        ),
        ("ratings.dat", "3::1::::9", r"ratings\.dat: line 2, column rating: expected 1, 2, 3, 4 or 5, found ''$"),
        ("users.dat", "2::F::25::3", r"users\.dat: line 2 has 4 values, expected 5"),
        ("movies.dat", "2::Heat (1995)::Action|Noir", r"film 2: expected genres among Action, .*, found 'Noir'$"),
    ],
)
def test_faults_of_1m_are_located(folder: Path, name: str, line: str, message: str) -> None:
    write_movielens_1m(folder / "movielens_1m")
    path = folder / "movielens_1m" / "ml-1m" / name
    lines = path.read_text(encoding="latin-1").splitlines()
    write_dat(path, [lines[0], line, *lines[2:]])
    with pytest.raises(ValueError, match=message):
        MovieLens(variant="1m").build()


def test_the_owners_files_of_1m(real_data: Path) -> None:
    if not (real_data / "movielens_1m").is_dir():
        pytest.skip("needs MovieLens-1M")
    data = MovieLens(variant="1m").build()
    assert sum(len(split) for split in (data.train, data.validation, data.test)) == 1_000_209
    assert data.catalogue is not None
    assert len(data.catalogue.users.ids) == 6040
    assert len(data.catalogue.items.ids) == 3706
    assert titles(data)["73"] == "Misérables, Les (1995)"


def lists(split: Split) -> list[list[int]]:
    """The codes of the only column of lists."""
    (arrays,) = split.features.others.values()
    return [part.tolist() for part in np.split(arrays["codes"], arrays["bounds"][1:-1])]


@pytest.mark.parametrize("variant", ["100k", "1m", "32m"])
def test_genres_as_one_field_are_the_flags(folder: Path, variant: Literal["100k", "1m", "32m"]) -> None:
    write_movielens(folder / "movielens_100k")
    write_movielens_1m(folder / "movielens_1m")
    write_movielens_32m(folder / "movielens_32m")
    flags, one = MovieLens(variant=variant).build(), MovieLens(variant=variant, genres="list").build()
    assert not [field.name for field in one.schema.categorical if field.name.startswith("genre_")]
    (genres,) = one.schema.others
    assert (genres.name, genres.kind) == ("genres", "multi")
    names = [name for name in (*GENRES, "IMAX") if flag(name) in {field.name for field in flags.schema.categorical}]
    # a flag has the codes 1 for 0 and 2 for 1, or 1 for both where train has one of them only
    of_train = np.stack([flags.train.features.column(flag(name)) == 2 for name in names], axis=1)
    assert [len(codes) for codes in lists(one.train)] == of_train.sum(axis=1).tolist()
    np.testing.assert_array_equal(one.train.labels, flags.train.labels)


def test_a_history_needs_times(folder: Path) -> None:
    write_movielens_1m(folder / "movielens_1m")
    data = MovieLens(variant="1m", history=3).build()
    assert max(map(len, lists(data.train))) == 3
    write_movielens_1m(folder / "movielens_1m", times=False)
    with pytest.raises(ValueError, match=r"dataset\.history=3 needs the time of every row, and these files have none"):
        MovieLens(variant="1m", history=3).build()
    assert MovieLens(variant="1m").build().schema.others == ()


def test_a_history_has_the_films_of_earlier_train_rows(folder: Path) -> None:
    write_movielens_1m(folder / "movielens_1m")
    data = MovieLens(variant="1m", history=2).build()
    path = folder / "movielens_1m" / "ml-1m" / "ratings.dat"
    rows = [tuple(map(int, line.split("::"))) for line in path.read_text().splitlines()]
    split = random_split(len(rows), 0)
    films = sorted({film for _, film, _, _ in rows})  # all are in train
    expected = []
    for number, (user, _, _, time) in enumerate(rows):
        earlier = [row for row, part in zip(rows, split, strict=True) if part == TRAIN and row[3] < time]
        past = [films.index(film) + 1 for who, film, _, _ in earlier if who == user]
        expected.append((split[number], past[-2:]))
    for part, name in enumerate(("train", "validation", "test")):
        assert lists(getattr(data, name)) == [past for at, past in expected if at == part]
