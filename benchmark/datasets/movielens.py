"""MovieLens 100K, 1M and 32M: stars that people gave to films."""

from __future__ import annotations

from typing import Literal

from benchmark.datasets import register
from benchmark.datasets._movielens import Ratings


@register("movielens")
class MovieLens(Ratings):
    """MovieLens: whether a user likes a film, and how many stars they give it.

    Ratings by users of a recommender at the University of Minnesota. Source: GroupLens, https://grouplens.org/datasets/movielens/.
    Licence: research only, no redistribution.

    | variant | ratings | users | films | stars | years | what is known about users |
    |---|---|---|---|---|---|---|
    | 100k | 100,000 | 943 | 1,682 | 1 to 5 | 1997-98 | gender, age group, occupation |
    | 1m | 1,000,209 | 6,040 | 3,706 | 1 to 5 | 2000-03 | gender, age group, occupation |
    | 32m | 32,000,204 | 200,948 | 87,585 | 0.5 to 5 | 1995-2023 | nothing |

    100k gives the data and the fingerprint of `movielens_100k`, which has an older name, and records under it.

    Tasks: `liked` (binary, 4 stars or more) and `rating` (regression, stars).

    Features, all categorical: user and what is known about them; item, year and a flag for each genre, or all genres as one
    multi-valued field. The year comes from the end of the official title, "(1995)". The time of a rating is not a feature,
    because people rate many films in one sitting, years after they saw them; it only orders a user's history, if one is
    asked for. Copies of 1m without times are read too, but have no histories. The zip code is left out (nearly as many
    codes as users), and so are the tags of 32m, which are given together with the rating. The split is random: 80 % train,
    10 % validation, 10 % test.

    Paper: "The MovieLens Datasets: History and Context", F. M. Harper and J. A. Konstan, ACM TiiS 5(4), 2015,
    doi 10.1145/2827872.

    Args:
        variant: 100k, 1m or 32m.
        tasks: Any of liked, rating.
        genres: A field for each genre (flags), or one multi-valued field (list).
        history: Greatest length of a sequence of the last films that the user rated in train before this rating; 0: none.
        split_seed: Draws the split.
    """

    def __init__(
        self,
        *,
        variant: Literal["100k", "1m", "32m"] = "100k",
        tasks: tuple[str, ...] = ("liked", "rating"),
        genres: Literal["flags", "list"] = "flags",
        history: int = 0,
        split_seed: int = 0,
    ) -> None:
        self.variant = variant
        self._choose(tasks=tasks, genres=genres, history=history, split_seed=split_seed)
