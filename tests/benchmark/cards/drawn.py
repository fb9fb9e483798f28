"""Small data drawn for tests of cards: rows whose label follows one field, another, or none."""

from __future__ import annotations

import numpy as np

from benchmark.datasets import Data
from benchmark.kinds import BINARY, REGRESSION
from benchmark.rows import Features, Split
from benchmark.schema import CategoricalField, NumericField, Schema, Task

CLICK, SECONDS = Task("click", BINARY), Task("seconds", REGRESSION, unit="seconds")


def make_split(schema: Schema, codes: np.ndarray, numbers: np.ndarray, labels: np.ndarray) -> Split:
    features = Features(schema.fields, codes.astype(np.int32), numbers.astype(np.float32))
    return Split(features, labels.astype(np.float64))


def make_data(rows: int = 6000, seed: int = 0) -> Data:
    """Of two binary-like fields and a number: `noise` tells nothing, `hint` a little; `seconds` follows `length`."""
    rng = np.random.default_rng(seed)
    schema = Schema(
        (CategoricalField("noise", 21), CategoricalField("hint", 4)), (NumericField("length"),), (CLICK, SECONDS)
    )

    def split(number: int) -> Split:
        codes = np.stack([rng.integers(1, 21, number), rng.integers(1, 4, number)], axis=1)
        length = rng.standard_normal(number)
        click = rng.random(number) < 0.2 + 0.1 * codes[:, 1]
        seconds = length + rng.standard_normal(number)
        return make_split(schema, codes, length[:, None], np.stack([click, seconds], axis=1))

    return Data(schema, split(rows), split(rows // 4), split(rows // 4), fingerprint="drawn")
