"""MovieLens-100K: stars that people gave to films, from the owners' files or from RecBole's."""

from __future__ import annotations

from typing import Annotated, Literal

from benchmark.datasets import register
from benchmark.datasets._movielens import Ratings
from benchmark.settings.registry import Neutral


@register("movielens_100k")
class MovieLens100K(Ratings):
    """MovieLens-100K: whether a user likes a film, and how many stars they give it.

    100,000 ratings, 1 to 5 stars, of 1,682 films by 943 users of a recommender at the University of Minnesota, 1997-98.
    Source: GroupLens, https://grouplens.org/datasets/movielens/100k/. Licence: research only, no redistribution.
    The owners' files and RecBole's atomic files (which its wheel carries) give the same data and fingerprint.
    `movielens` has the same data as its variant 100k, and larger ones.

    Tasks: `liked` (binary, 4 stars or more) and `rating` (regression, stars).

    Features, 25 categorical columns: user, gender, age group (those of MovieLens-1M), occupation; item, year and a flag
    for each of 19 genres, or all genres as one multi-valued field. The year comes from the end of the official title,
    "(1995)"; two films have none. The time of a rating is not a feature, because people rate many films in one sitting,
    years after they saw them; it only orders a user's history, if one is asked for. The zip code is left out, because
    there are nearly as many as users. The split is random: 80 % train, 10 % validation, 10 % test.

    Paper: "The MovieLens Datasets: History and Context", F. M. Harper and J. A. Konstan, ACM TiiS 5(4), 2015,
    doi 10.1145/2827872.

    Args:
        tasks: Any of liked, rating.
        genres: A field for each genre (flags), or one multi-valued field (list).
        history: Greatest length of a sequence of the last films that the user rated in train before this rating; 0: none.
        split_seed: Draws the split.
    """

    variant = "100k"

    def __init__(
        self,
        *,
        tasks: tuple[str, ...] = ("liked", "rating"),
        genres: Annotated[Literal["flags", "list"], Neutral("flags")] = "flags",
        history: Annotated[int, Neutral(0)] = 0,
        split_seed: int = 0,
    ) -> None:
        self._choose(tasks=tasks, genres=genres, history=history, split_seed=split_seed)
