"""Draws the sample that `mtlbench new dataset` ships: `python -m tests.benchmark.scaffold.sample` writes it anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).parents[3] / "benchmark" / "scaffold" / "sample.csv"
ROWS, USERS, ITEMS = 600, 20, 15


def draw() -> str:
    """A log of a store: users and items have tastes, and a clicked item's page is looked at for some seconds."""
    rng = np.random.default_rng(0)
    taste_U, appeal_I = rng.normal(0, 1.5, USERS), rng.normal(0, 1.5, ITEMS)
    price_I = rng.uniform(2, 40, ITEMS)
    lines = ["user,item,device,price,clicked,seconds"]
    for _ in range(ROWS):
        user, item, device = rng.integers(USERS), rng.integers(ITEMS), rng.choice(["phone", "tablet", "desktop"])
        score = taste_U[user] + appeal_I[item] - (device == "phone")
        clicked = int(rng.random() < 1 / (1 + np.exp(-score)))
        seconds = f"{rng.gamma(4, 5 * np.exp(score / 4)):.1f}" if clicked else ""
        lines.append(f"u{user},i{item},{device},{price_I[item]:.2f},{clicked},{seconds}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(draw(), encoding="utf8", newline="\n")
