"""The MovieLens data sets: their files, in the formats of 100K, 1M and 32M, become one table of ratings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from benchmark.datasets._owners import OwnersFiles
from benchmark.datasets._stored import count_rows
from benchmark.datasets.history import check_history, with_history
from benchmark.datasets.prepare import Table, random_split
from benchmark.datasets.sources import Found, Layout, Source
from benchmark.datasets.text import FLAG, SECONDS, Domain, Types, read_split, read_text, scan_text
from benchmark.kinds import BINARY, REGRESSION
from benchmark.lists import MultiValuedField
from benchmark.schema import OtherField, Task

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RENAMED = {"Children": "Children's", "(no genres listed)": "unknown"}  # as 32M spells them
AGE_STARTS = (
    18,
    25,
    35,
    45,
    50,
    56,
)  # the age groups of MovieLens-1M, whose file gives an age as the start of its group
AGE_GROUPS = ("under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+")
LIKED_FROM = 4  # stars
NOT_FEATURES = {
    "timestamp": "when people rate: years after they saw most films, many in one sitting",
    "zip": "nearly as many codes as users",
    "tags": "given together with the rating",
}
TERMS = "research only, no redistribution"
ADDRESS = "https://files.grouplens.org/datasets/movielens"

NUMBER = Domain(pl.Int32, least=1)
FILM = USER = Domain(pl.Int32, least=1, unique=True)  # in a side table
AGE = Domain(pl.Int32, least=1, most=120)
GENDER = Domain(pl.String, allowed=("F", "M"))
STARS = Domain(pl.Float32, allowed=(1, 2, 3, 4, 5))
HALF_STARS = Domain(pl.Float32, allowed=(0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5))
RATING: Types = {"user": NUMBER, "item": NUMBER, "rating": STARS, "timestamp": SECONDS}


@dataclass(frozen=True)
class Frames:
    """What the files of any format say.

    Args:
        ratings: Columns user, item, rating (stars), and timestamp where the files have times. The longest log is not read yet.
        films: Columns item, title, year, genres (lists of names).
        users: Columns user, age (in years, or the start of its group), gender, occupation; None where the data have none.
    """

    ratings: pl.DataFrame | pl.LazyFrame
    films: pl.DataFrame
    users: pl.DataFrame | None = None


class Ratings(OwnersFiles):
    """Base of the MovieLens data sets. A class says which `variant` it reads; its parameters are those of `_choose`."""

    all_tasks = (Task("liked", BINARY), Task("rating", REGRESSION, unit="stars"))
    user, item = "user", "item"
    variant: str

    def _choose(self, *, tasks: tuple[str, ...], genres: str, history: int, split_seed: int) -> None:
        check_history(history)
        self._tasks = self.choose(tasks)
        self.genres, self.history, self.split_seed = genres, history, split_seed

    @property
    def source(self) -> Source:
        """The files of the variant."""
        return VARIANTS[self.variant].source

    def _read(self, found: Found) -> Table:
        variant = VARIANTS[self.variant]
        frames = variant.readers[found.layout](found)
        films, others = _with_flags(frames.films, variant.genres), dict[OtherField, Any]()
        whole = frames.ratings.lazy()
        user_fields: tuple[str, ...] = ("user",)
        if frames.users is not None:
            user_fields = ("user", "gender", "age_group", "occupation")
            groups = np.array(AGE_GROUPS)[np.searchsorted(AGE_STARTS, frames.users["age"].to_numpy(), side="right")]
            users = frames.users.with_columns(pl.Series("age_group", groups)).select(user_fields)
            whole = whole.join(users.lazy(), on="user", how="left", maintain_order="left")
        item_fields: tuple[str, ...] = ("item", "year", *map(flag, variant.genres))
        if self.genres == "list":
            item_fields = ("item", "year", "genres")
        whole = whole.join(films.select(item_fields).lazy(), on="item", how="left", maintain_order="left")
        if self.genres == "list":
            others[MultiValuedField("genres")] = pl.col("genres")
        stars = pl.col("rating").cast(pl.Float32)
        table = Table(
            categorical={name: pl.col(name) for name in (*user_fields, *item_fields) if name != "genres"},
            numeric={},
            labels={"liked": (stars >= LIKED_FROM).cast(pl.Float32), "rating": stars},
            split=random_split(count_rows(frames.ratings.lazy()), self.split_seed),
            user_fields=user_fields,
            item_fields=item_fields,
            others=others,
            titles={str(item): title for item, title in films.select("item", "title").iter_rows()},
            facts={
                "protocol": "random",
                "format": found.layout,
                "left_out": {name: NOT_FEATURES[name] for name in variant.not_features},
            },
            frame=whole,
        )
        times = pl.col("timestamp") if "timestamp" in whole.collect_schema() else None
        return with_history(table, user="user", item="item", time=times, length=self.history)


def flag(genre: str) -> str:
    """The name of the field that says whether a film is of this genre."""
    return f"genre_{genre.lower().replace('-', '_').replace(chr(39), '')}"


def _with_flags(films: pl.DataFrame, genres: tuple[str, ...]) -> pl.DataFrame:
    """The films with a column of 0 and 1 for each genre.

    Raises:
        ValueError: if a film has a genre that is not one of them.
    """
    odd = films.select("item", "genres").explode("genres").filter(~pl.col("genres").is_in(genres))
    if len(odd):
        item, genre = odd.row(0)
        raise ValueError(f"film {item}: expected genres among {', '.join(genres)}, found {genre!r}")
    return films.with_columns(pl.col("genres").list.contains(name).cast(pl.Int8).alias(flag(name)) for name in genres)


def _year() -> pl.Expr:
    """The year at the end of an official title, "(1995)"; null where there is none."""
    return pl.col("title").str.extract(r"\((\d{4})\)$").cast(pl.Int32).alias("year")


def _of_100k(found: Found) -> Frames:
    """No headers; films in latin-1, with a flag for each genre."""
    ratings = read_text(found.paths["u.data"], RATING, header=False, separator="\t")
    users = read_text(
        found.paths["u.user"],
        {"user": USER, "age": AGE, "gender": GENDER, "occupation": pl.String, "zip": pl.String},
        header=False,
        separator="|",
    )
    texts = ("title", "released", "video_released", "url")
    films = read_text(
        found.paths["u.item"],
        {"item": FILM, **dict.fromkeys(texts, pl.String), **dict.fromkeys(GENRES, FLAG)},
        header=False,
        separator="|",
        quote=None,
        encoding="latin-1",
        nullable=texts,
    )
    names = [pl.when(pl.col(name) == 1).then(pl.lit(name)) for name in GENRES]
    films = films.select(
        "item", pl.col("title").str.strip_chars(), pl.concat_list(names).list.drop_nulls().alias("genres")
    )
    return Frames(ratings, films.with_columns(_year()), users)


def _of_recbole(found: Found) -> Frames:
    """The same for RecBole's atomic files: tabs, and headers that name a type after each column."""

    def read(name: str, columns: Types, nullable: tuple[str, ...] = ()) -> pl.DataFrame:
        frame = read_text(found.paths[name], columns, separator="\t", quote=None, nullable=nullable)
        return frame.rename(lambda column: column.partition(":")[0])

    ids: Types = {"user_id:token": NUMBER, "item_id:token": NUMBER}
    time = Domain(pl.Float64, least=SECONDS.least, most=SECONDS.most)
    ratings = read("ml-100k.inter", {**ids, "rating:float": STARS, "timestamp:float": time})
    of_users: Types = {"gender:token": GENDER, "occupation:token": pl.String}
    users = read("ml-100k.user", {"user_id:token": USER, "age:token": AGE, **of_users})
    texts = dict.fromkeys(("movie_title:token_seq", "release_year:token", "class:token_seq"), pl.String)
    films = read("ml-100k.item", {"item_id:token": FILM, **texts}, nullable=tuple(texts))
    year = pl.col("release_year").cast(pl.Int32, strict=False)  # a film without one has a word there
    films = films.select(
        pl.col("item_id").alias("item"),
        pl.concat_str("movie_title", pl.format(" ({})", year).fill_null("")).alias("title"),
        year.alias("year"),
        pl.col("class").str.split(" ").fill_null([]).alias("genres"),
    )
    return Frames(ratings.rename({"user_id": "user", "item_id": "item"}), films, users.rename({"user_id": "user"}))


def _of_1m(found: Found) -> Frames:
    """No headers, `::` between values, films in latin-1; copies without the fourth value of a rating, its time, are read too."""
    ratings = read_split(found.paths["ratings.dat"], RATING, "::", encoding="latin-1", may_lack=1)
    of_users: Types = {
        "user": USER, "gender": GENDER, "age": Domain(pl.Int32, allowed=(1, *AGE_STARTS)),
        "occupation": Domain(pl.String, allowed=tuple(map(str, range(21)))), "zip": pl.String,
    }  # fmt: skip
    users = read_split(found.paths["users.dat"], of_users, "::", encoding="latin-1")
    films = read_split(
        found.paths["movies.dat"],
        {"item": FILM, "title": pl.String, "genres": pl.String},
        "::",
        encoding="latin-1",
    )
    return Frames(ratings, _named(films), users)


def _of_32m(found: Found) -> Frames:
    """Headers, commas and quotes, no users; half stars."""
    ratings = scan_text(
        found.paths["ratings.csv"],
        {"userId": NUMBER, "movieId": NUMBER, "rating": HALF_STARS, "timestamp": SECONDS},
    )
    films = read_text(found.paths["movies.csv"], {"movieId": FILM, "title": pl.String, "genres": pl.String})
    return Frames(ratings.rename({"userId": "user", "movieId": "item"}), _named(films.rename({"movieId": "item"})))


def _named(films: pl.DataFrame) -> pl.DataFrame:
    """Films of 1M and 32M: `Animation|Comedy` as a list of our names, the year from the title."""
    genres = pl.col("genres").str.split("|").list.eval(pl.element().replace(RENAMED))
    return films.with_columns(pl.col("title").str.strip_chars(), genres).with_columns(_year())


@dataclass(frozen=True)
class Variant:
    """One of the data sets.

    Args:
        source: Where its files are.
        readers: Layout to what reads it.
        genres: All that its films may have.
        not_features: Those columns of its files that do not become features.
    """

    source: Source
    readers: dict[str, Callable[[Found], Frames]]
    genres: tuple[str, ...]
    not_features: tuple[str, ...]


VARIANTS = {
    "100k": Variant(
        Source(
            name="movielens_100k",
            layouts={
                "official": Layout(("u.data", "u.item", "u.user")),
                "recbole": Layout(("ml-100k.inter", "ml-100k.item", "ml-100k.user")),
            },
            url=f"{ADDRESS}/ml-100k.zip",
            md5="0e33842e24a9c977be4e0107933c0723",
            distribution="recbole",
            terms=TERMS,
            rows=100_000,
        ),
        {"official": _of_100k, "recbole": _of_recbole},
        GENRES,
        ("timestamp", "zip"),
    ),
    "1m": Variant(
        Source(
            name="movielens_1m",
            layouts={"official": Layout(("ratings.dat", "users.dat", "movies.dat"))},
            url=f"{ADDRESS}/ml-1m.zip",
            md5="c4d9eecfca2ab87c1945afe126590906",
            terms=TERMS,
            rows=1_000_209,
        ),
        {"official": _of_1m},
        GENRES[1:],
        ("timestamp", "zip"),
    ),
    "32m": Variant(
        Source(
            name="movielens_32m",
            layouts={"official": Layout(("ratings.csv", "movies.csv"))},
            url=f"{ADDRESS}/ml-32m.zip",
            md5="d472be332d4daa821edc399621853b57",
            terms=TERMS,
            rows=32_000_204,
        ),
        {"official": _of_32m},
        (*GENRES, "IMAX"),
        ("timestamp", "tags"),
    ),
}
