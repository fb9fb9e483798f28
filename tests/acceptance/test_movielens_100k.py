"""MovieLens-100K: stars, against ridge regression on who rates and what is rated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.preprocessing import OneHotEncoder

from benchmark import Record
from benchmark.datasets import Data
from benchmark.datasets.movielens_100k import MovieLens100K

ALPHAS = (0.5, 1, 2, 3, 4, 5, 7, 10, 15, 20)


def ridge_of_biases(data: Data) -> float:
    """Test MSE of a bias per user and per film, with the penalty that is best on validation."""
    roles = [i for i, field in enumerate(data.schema.categorical) if field.name in (data.schema.user, data.schema.item)]
    encoder = OneHotEncoder(handle_unknown="ignore").fit(data.train.features.categorical[:, roles])
    rating = data.schema.task_names.index("rating")
    train, validation, test = (
        (encoder.transform(split.features.categorical[:, roles]), split.labels[:, rating])
        for split in (data.train, data.validation, data.test)
    )
    models = [Ridge(alpha=alpha).fit(*train) for alpha in ALPHAS]
    errors = [mean_squared_error(validation[1], model.predict(validation[0])) for model in models]
    best = min(range(len(ALPHAS)), key=lambda i: errors[i])
    assert 0 < best < len(ALPHAS) - 1, "the best penalty is not among those tried"
    return float(mean_squared_error(test[1], models[best].predict(test[0])))


def test_stars_are_2_percent_better_than_ridge_on_biases(real_data: Path, train: Callable[..., Record]) -> None:
    baseline = ridge_of_biases(MovieLens100K().build())
    assert train("movielens_100k", "mmoe").metrics["test"]["rating"]["mse"] <= 0.98 * baseline
