"""The MMoE paper's recipe: the plane of the weights, the noise, the correlation of labels, and the noise floor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.datasets.prepare import TEST
from benchmark.datasets.synthetic import Synthetic, TwoRegressions, draw_curve, draw_labels, draw_weights

SMALL = {"num_rows": 2000, "num_features": 20}


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(list(seed))


@pytest.mark.parametrize("correlation", [-1.0, -0.3, 0.0, 0.5, 0.9, 1.0])
def test_the_weights_have_the_length_and_the_cosine_that_were_asked_for(correlation: float) -> None:
    weights_TD = draw_weights(rng(0), 50, correlation, scale=0.3)
    gram_TT = weights_TD @ weights_TD.T / 0.3**2
    np.testing.assert_allclose(gram_TT, [[1, correlation], [correlation, 1]], atol=1e-12)


def test_uncorrelated_weights_of_scale_1_are_orthonormal_and_differ_between_draws() -> None:
    first, second = draw_weights(rng(0), 8, 0.0, 1.0), draw_weights(rng(1), 8, 0.0, 1.0)
    np.testing.assert_allclose(first @ first.T, np.eye(2), atol=1e-12)
    assert not np.allclose(first, second)


def test_the_mean_is_the_papers_formula_with_the_same_curve_for_both_tasks() -> None:
    model = TwoRegressions(draw_weights(rng(0), 6, 0.5, 1.0), *draw_curve(rng(1), 3))
    x_D = rng(2).standard_normal(6)
    expected = [
        w_D @ x_D + sum(np.sin(a * (w_D @ x_D) + b) for a, b in zip(model.alpha_M, model.beta_M, strict=True))
        for w_D in model.weights_TD
    ]
    np.testing.assert_allclose(model.mean(x_D[None])[0], expected)
    same = replace(model, weights_TD=model.weights_TD[[0, 0]])
    mean_RT = same.mean(rng(3).standard_normal((5, 6)))
    np.testing.assert_array_equal(mean_RT[:, 0], mean_RT[:, 1])


PUBLISHED = [(0.2, 0.11), (0.5, 0.33), (0.8, 0.64), (0.9, 0.79), (1.0, 0.993)]  # with alpha, beta, c and m of PLE


@pytest.mark.parametrize(("correlation", "expected"), PUBLISHED)
def test_the_mean_label_correlation_over_100_draws_is_the_published_one(correlation: float, expected: float) -> None:
    num_rows, num_features = 1000, 64  # labels depend on x by two projections: their law is the same for PLE's d = 512
    found = []
    for draw in range(100):
        weights_TD = draw_weights(rng(0, draw), num_features, correlation, scale=1.0)
        model = TwoRegressions(weights_TD, *draw_curve(rng(1, draw), 10))
        mean_RT = model.mean(rng(2, draw).standard_normal((num_rows, num_features)))
        found.append(np.corrcoef(draw_labels(rng(3, draw), mean_RT, 0.1).T)[0, 1])
    assert np.mean(found) == pytest.approx(expected, abs=0.04)


def test_the_noise_has_its_variance_and_is_independent_between_tasks() -> None:
    noise_RT = draw_labels(rng(0), np.zeros((100_000, 2)), 0.1)
    np.testing.assert_allclose(np.cov(noise_RT.T), 0.01 * np.eye(2), atol=2e-4)


def test_the_best_reachable_is_the_noise_on_the_very_test_rows() -> None:
    noisy, clean = Synthetic(**SMALL), Synthetic(**SMALL, noise_std=0.0)
    noisy_table, clean_table = noisy.read(), clean.read()
    test_R = noisy_table.split == TEST
    for task in ("y1", "y2"):
        label_R, mean_R = noisy_table.labels[task][test_R], clean_table.labels[task][test_R]
        assert noisy_table.best_reachable is not None
        best = noisy_table.best_reachable[task]
        assert best["mse"] == pytest.approx(np.mean((label_R - mean_R) ** 2), rel=1e-4)
        assert best["mse"] == pytest.approx(0.01, rel=0.35)
        assert best["r2"] == pytest.approx(1 - best["mse"] / label_R.astype(float).var(), rel=1e-6)


def test_building_gives_raw_columns_and_the_split_hangs_on_its_own_seed() -> None:
    data = Synthetic(**SMALL).build()
    assert [len(split) for split in (data.train, data.validation, data.test)] == [1600, 200, 200]
    assert [f.name for f in data.schema.numeric] == [f"x{i}" for i in range(1, 21)]
    assert data.schema.categorical == ()
    table = Synthetic(**SMALL).read()
    np.testing.assert_array_equal(
        data.test.features.numeric[:, 4], table.numeric["x5"][table.split == TEST].astype(np.float32)
    )
    other = Synthetic(**SMALL, split_seed=1).build()
    assert other.fingerprint == data.fingerprint
    assert not np.array_equal(other.test.labels, data.test.labels)


def test_the_same_parameters_draw_the_same_rows_and_another_seed_others() -> None:
    first, again, other = (Synthetic(**SMALL, data_seed=seed).read() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.labels["y1"], again.labels["y1"])
    np.testing.assert_array_equal(first.numeric["x1"], again.numeric["x1"])
    assert not np.array_equal(first.numeric["x1"], other.numeric["x1"])


def test_the_curve_hangs_on_curve_seed_unless_it_is_null() -> None:
    def spread(data_seed: int, curve_seed: int | None = 0) -> float:
        dataset = Synthetic(num_rows=20_000, num_features=2, data_seed=data_seed, curve_seed=curve_seed)
        return float(dataset.read().labels["y1"].std())

    # the law of a label is a matter of the curve alone
    assert spread(data_seed=1) == pytest.approx(spread(data_seed=2), rel=0.03)
    assert abs(spread(data_seed=1, curve_seed=None) - spread(data_seed=2, curve_seed=None)) > 0.1


def test_without_sinusoids_the_labels_are_linear() -> None:
    table = Synthetic(**SMALL, num_sinusoids=0, noise_std=0.0, scale=2.0).read()
    x_RD = np.stack(list(table.numeric.values()), axis=1)
    solution, residual, *_ = np.linalg.lstsq(x_RD, table.labels["y1"].astype(float), rcond=None)
    assert residual.item() < 1e-6
    assert np.linalg.norm(solution) == pytest.approx(2.0, rel=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"task_correlation": 1.1}, r"dataset\.task_correlation must be between -1 and 1, found 1\.1"),
        ({"task_correlation": float("nan")}, "task_correlation"),
        ({"num_features": 1}, r"dataset\.num_features must be at least 2, found 1"),
        ({"num_rows": 9}, r"dataset\.num_rows must be at least 10"),
        ({"num_sinusoids": -1}, "num_sinusoids"),
        ({"noise_std": -0.1}, "noise_std"),
        ({"noise_std": float("nan")}, "noise_std"),
        ({"scale": 0.0}, r"dataset\.scale must be greater than 0, found 0\.0"),
        ({"curve_seed": -1}, "curve_seed"),
        ({"data_seed": -1}, "data_seed"),
        ({"split_seed": -1}, "split_seed"),
    ],
)
def test_a_parameter_outside_its_range_is_an_error_that_names_it(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Synthetic(**parameters)
