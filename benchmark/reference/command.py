"""The words of `mtlbench reference`: keys of its own, and those of a run that choose data set and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.composition import compose_run
from benchmark.reference.lines import make_references
from benchmark.reference.record import ReferenceRecord
from benchmark.registry import unknown

OWN_KEYS = ("only", "seeds", "trials")
RUN_KEYS = ("dataset", "experiment", "rerun", "results_dir", "threads")


def from_overrides(overrides: Sequence[str]) -> list[ReferenceRecord]:
    """`make_references` from the words of a command line: `dataset=shop dataset.num_rows=5000 trials=8 only=gbdt`.

    Raises:
        ValueError: for a key that has no meaning here, and as `make_references`.
    """
    own: dict[str, Any] = {}
    of_a_run = []
    for word in overrides:
        key, equals, value = word.partition("=")
        if equals and key in OWN_KEYS:
            own[key] = value.split(",") if key == "only" else _whole(key, value)
        elif key.partition(".")[0] in RUN_KEYS:
            of_a_run.append(word)
        else:
            raise ValueError(unknown("key", key, (*OWN_KEYS, *RUN_KEYS)))
    config = compose_run(of_a_run)
    return make_references(
        config.dataset,
        results_dir=config.results_dir,
        threads=config.threads,
        rerun=config.rerun,
        **own,
    )


def _whole(key: str, text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{key}: expected a whole number, found {text!r}")
    return int(text)
