"""MovieLens-100K: stars that people gave to films, from the owners' files or from RecBole's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import polars as pl

from benchmark.datasets import Data, Dataset, register
from benchmark.datasets.history import check_history, with_history
from benchmark.datasets.prepare import Table, prepare, random_split
from benchmark.datasets.sources import Found, Layout, Source, find
from benchmark.datasets.text import read_text
from benchmark.kinds import BINARY, REGRESSION
from benchmark.lists import MultiValuedField
from benchmark.schema import OtherField, Task
from benchmark.settings.registry import Neutral

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
GENRE_FIELDS = tuple(f"genre_{name.lower().replace('-', '_').replace(chr(39), '')}" for name in GENRES)
AGE_STARTS = (18, 25, 35, 45, 50, 56)  # the age groups of MovieLens-1M
AGE_GROUPS = ("under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56+")
LIKED_FROM = 4  # stars

SOURCE = Source(
    name="movielens_100k",
    layouts={
        "official": Layout(("u.data", "u.item", "u.user")),
        "recbole": Layout(("ml-100k.inter", "ml-100k.item", "ml-100k.user")),
    },
    url="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    md5="0e33842e24a9c977be4e0107933c0723",
    distribution="recbole",
    terms="research only, no redistribution",
)


@register("movielens_100k")
class MovieLens100K(Dataset):
    """MovieLens-100K: whether a user likes a film, and how many stars they give it.

    100,000 ratings, 1 to 5 stars, of 1,682 films by 943 users of a recommender at the University of Minnesota, 1997-98.
    Source: GroupLens, https://grouplens.org/datasets/movielens/100k/. Licence: research only, no redistribution.
    The owners' files and RecBole's atomic files (which its wheel carries) give the same data and fingerprint.

    Tasks: `liked` (binary, 4 stars or more) and `rating` (regression, stars).

    Features, 25 categorical columns: user, gender, age group (those of MovieLens-1M), occupation; item, year and a flag
    for each of 19 genres, or all genres as one multi-valued field. The year comes from the end of the official title,
    "(1995)"; two films have none. The time of a rating is not a feature; it only orders a user's history, if one is asked
    for. The split is random: 80 % train, 10 % validation, 10 % test.

    Paper: "The MovieLens Datasets: History and Context", F. M. Harper and J. A. Konstan, ACM TiiS 5(4), 2015,
    doi 10.1145/2827872.

    Args:
        tasks: Any of liked, rating.
        genres: A field for each genre (flags), or one multi-valued field (list).
        history: Add a sequence of the last films that the user rated in train before this rating, at most this many; 0: no
            sequence.
        split_seed: Draws the split.
    """

    all_tasks = (Task("liked", BINARY), Task("rating", REGRESSION, unit="stars"))
    user, item = "user", "item"

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("liked", "rating"),
        genres: Annotated[Literal["flags", "list"], Neutral("flags")] = "flags",
        history: Annotated[int, Neutral(0)] = 0,
        split_seed: int = 0,
    ) -> None:
        check_history(history)
        self._tasks = self.choose(tasks)
        self.genres, self.history, self.split_seed = genres, history, split_seed

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks."""
        return self._tasks

    def build(self) -> Data:
        """Finds and parses the files of either format, or takes the arrays from the cache."""
        found = find(SOURCE)
        return prepare(self, read=lambda: self._read(found), source={"files": found.identity})

    def _read(self, found: Found) -> Table:
        ratings, users, films = READERS[found.layout](found)
        flags = (pl.when(pl.col(own) == 1).then(pl.lit(name)) for name, own in zip(GENRES, GENRE_FIELDS, strict=True))
        films = films.with_columns(pl.concat_list(flags).list.drop_nulls().alias("genres"))
        groups = np.array(AGE_GROUPS)[np.searchsorted(AGE_STARTS, users["age"].to_numpy(), side="right")]
        users = users.with_columns(pl.Series("age_group", groups))
        whole = ratings.join(users, on="user", how="left", maintain_order="left")
        whole = whole.join(films, on="item", how="left", maintain_order="left")
        is_list = self.genres == "list"
        user_fields = ("user", "gender", "age_group", "occupation")
        item_fields = ("item", "year", *(() if is_list else GENRE_FIELDS))
        others: dict[OtherField, Any] = {MultiValuedField("genres"): whole["genres"]} if is_list else {}
        stars = whole["rating"].to_numpy().astype(np.float32)
        table = Table(
            categorical={name: whole[name] for name in (*user_fields, *item_fields)},
            numeric={},
            labels={"liked": (stars >= LIKED_FROM).astype(np.float32), "rating": stars},
            split=random_split(len(whole), self.split_seed),
            user_fields=user_fields,
            item_fields=(*item_fields, *(other.name for other in others)),
            others=others,
            titles={str(item): title for item, title in films.select("item", "title").iter_rows()},
            facts={"protocol": "random", "format": found.layout},
        )
        return with_history(table, user="user", item="item", time=whole["timestamp"], length=self.history)


Frames = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]


def _official(found: Found) -> Frames:
    """Ratings, users, films of the owners' files: no headers, latin-1."""
    ratings = read_text(
        found.paths["u.data"],
        {"user": pl.Int32, "item": pl.Int32, "rating": pl.Float32, "timestamp": pl.Int64},
        header=False,
        separator="\t",
    )
    users = read_text(
        found.paths["u.user"],
        {"user": pl.Int32, "age": pl.Int32, "gender": pl.String, "occupation": pl.String, "zip": pl.String},
        header=False,
        separator="|",
    )
    texts = ("title", "released", "video_released", "url")
    films = read_text(
        found.paths["u.item"],
        {"item": pl.Int32, **dict.fromkeys(texts, pl.String), **dict.fromkeys(GENRE_FIELDS, pl.Int8)},
        header=False,
        separator="|",
        quote=None,
        encoding="latin-1",
        nullable=texts,
    )
    title = pl.col("title").str.strip_chars()
    year = title.str.extract(r"\((\d{4})\)$").cast(pl.Int32)
    return ratings, users, films.with_columns(title, year.alias("year"))


def _recbole(found: Found) -> Frames:
    """The same for RecBole's atomic files: tabs, and headers that name a type after each column."""

    def read(name: str, columns: dict[str, type[pl.DataType]], nullable: tuple[str, ...] = ()) -> pl.DataFrame:
        frame = read_text(found.paths[name], columns, separator="\t", quote=None, nullable=nullable)
        return frame.rename(lambda column: column.partition(":")[0])

    ids = {"user_id:token": pl.Int32, "item_id:token": pl.Int32}
    ratings = read("ml-100k.inter", {**ids, "rating:float": pl.Float32, "timestamp:float": pl.Float64})
    texts = dict.fromkeys(("gender:token", "occupation:token"), pl.String)
    users = read("ml-100k.user", {"user_id:token": pl.Int32, "age:token": pl.Int32, **texts})
    texts = dict.fromkeys(("movie_title:token_seq", "release_year:token", "class:token_seq"), pl.String)
    films = read("ml-100k.item", {"item_id:token": pl.Int32, **texts}, nullable=tuple(texts))
    year = pl.col("release_year").cast(pl.Int32, strict=False)  # a film without one has a word there
    genres = pl.col("class").fill_null("").str.split(" ")
    films = films.select(
        pl.col("item_id").alias("item"),
        pl.concat_str("movie_title", pl.format(" ({})", year).fill_null("")).alias("title"),
        year.alias("year"),
        *(genres.list.contains(name).cast(pl.Int8).alias(own) for name, own in zip(GENRES, GENRE_FIELDS, strict=True)),
    )
    return ratings.rename({"user_id": "user", "item_id": "item"}), users.rename({"user_id": "user"}), films


READERS = {"official": _official, "recbole": _recbole}
