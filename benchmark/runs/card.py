"""Cards of data sets: made by a run for its results folder, once, and by `mtlbench data card`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from benchmark.cards import make_card
from benchmark.datasets import Data
from benchmark.records.card import Card, card_key, card_path, load_card
from benchmark.records.record import TRIAL
from benchmark.runs.described import identify
from benchmark.settings import registry
from benchmark.settings.composition import compose_run
from benchmark.settings.config import RunConfig
from benchmark.settings.hydra_text import value_text
from benchmark.text import unknown

SECONDS_WITHOUT_BAR = 2.0


def keep_card(config: RunConfig, data: Data, identity: dict[str, Any]) -> None:
    """Writes the card of a run's data beside its record, unless it is there. Trials and `debug=true` write none.

    Args:
        config: The run.
        data: Its data.
        identity: The result of `benchmark.runs.described.identify` for it.
    """
    if config.purpose == TRIAL or config.debug:
        return
    name, key = config.dataset.shown, card_key(identity)
    try:
        load_card(card_path(config.results_dir, name, key))
    except (FileNotFoundError, ValueError):  # none yet, or a broken one
        make_card(name, data, key).write(config.results_dir)


def card_from_overrides(name: str, options: Sequence[str]) -> Card:
    """The card of `mtlbench data card NAME dataset.variant=1k`, with a bar on a terminal if it takes long.

    Args:
        name: Name of the data set, or the path of a file that describes it.
        options: Its parameters, as `mtlbench run` takes them.

    Raises:
        ValueError: for an option that is not about the data set, and whatever the data set raises.
        FileNotFoundError: if the files of the data set are nowhere.
    """
    for word in options:
        key, equals, _ = word.partition("=")
        if not (equals and key.startswith("dataset.")):
            known = [f"dataset.{of}" for of in registry.parameter_names(type(registry.datasets.config(name)))]
            raise ValueError(unknown("option", key, known))
    if (entry := registry.datasets.entry_of(name)) != name:
        options = [f"dataset.file={value_text(name)}", *options]
    config = compose_run([f"dataset={entry}", *options])
    data = registry.datasets.build(config.dataset).build()
    with _bar(config.dataset.shown) as progress:
        return make_card(config.dataset.shown, data, card_key(identify(data, config.purpose)), progress)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], object]]:
    with tqdm(
        desc=f"card of {name}", unit="row", unit_scale=True, leave=False, delay=SECONDS_WITHOUT_BAR,
        disable=not sys.stderr.isatty(), dynamic_ncols=True,
    ) as bar:  # fmt: skip

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
