"""The jobs of a command: what Hydra's overrides compose, each once, without jobs that would train a copy of another."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from omegaconf import DictConfig

from benchmark.files import digest
from benchmark.records.record import PLAIN_WEIGHTING, TRIAL, combines_gradients
from benchmark.runs.matching import matched, told
from benchmark.runs.progress import say
from benchmark.runs.runner import build_data, check
from benchmark.schema import Schema
from benchmark.settings import registry
from benchmark.settings.composition import typed
from benchmark.settings.config import RunConfig
from benchmark.settings.registry import plain
from benchmark.text import counted, listed

Compose = Callable[[list[str]], DictConfig]


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep: Hydra's overrides, and the configuration they compose."""

    overrides: list[str]
    config: RunConfig

    @property
    def record(self) -> Path:
        """Where its record will be."""
        return self.config.record_path


class Matching:
    """Matches the sizes that runs of one command ask for, before they are identified: see `benchmark.runs.matching`.

    Reads every data set once, and searches once for every architecture on it.
    """

    def __init__(self) -> None:
        self._schemas: dict[str, Schema] = {}
        self._found: dict[str, RunConfig] = {}

    def __call__(self, config: RunConfig) -> RunConfig:
        """The run with the widths that it asks for.

        Raises:
            ValueError: as `benchmark.runs.matching.matched`.
            FileNotFoundError: if the data are nowhere.
        """
        if config.match_parameters is None or config.matched:
            return config
        dataset = digest(plain(config.dataset))
        key = digest([dataset, plain(config.architecture), plain(config.embedding), config.match_parameters])
        if key not in self._found:
            if dataset not in self._schemas:
                self._schemas[dataset] = build_data(config).schema
            self._found[key] = matched(config, self._schemas[dataset])
        found = self._found[key]
        return dataclasses.replace(config, architecture=found.architecture, matched=found.matched)


def lines_of_matched(configs: Iterable[RunConfig]) -> list[str]:
    """What was chosen for runs that asked for a size: a line for each choice. Trials of a search are left out."""
    return list(dict.fromkeys(told(config) for config in configs if config.matched and config.purpose != TRIAL))


def compose_all(overrides: Sequence[list[str]], compose: Compose) -> list[Job]:
    """The distinct jobs, checked. Composes once per shape (all but the seed): composing costs more than many a run.

    Raises:
        ValueError: if one cannot run, or there is none.
    """
    if not overrides:
        raise ValueError("nothing to run: the experiment's hydra.sweeper.leave_out leaves out every combination chosen")
    shapes: dict[tuple[str, ...], DictConfig] = {}
    jobs, match = [], Matching()
    for job in overrides:
        seeds = [override for override in job if override.startswith("seed=")]
        shape = tuple(override for override in job if override not in seeds)
        if len(seeds) != 1 or not seeds[0].removeprefix("seed=").isdecimal():
            shape, seeds = tuple(job), []
        if shape not in shapes:
            shapes[shape] = compose(list(shape))
            check(typed(shapes[shape]))
        if seeds:  # before interpolations are resolved: dataset.split_seed=${seed} follows it
            shapes[shape].seed = int(seeds[0].removeprefix("seed="))
        jobs.append(Job(job, match(typed(shapes[shape]))))
    return list({job.record: job for job in jobs}.values())


def without_copies(jobs: Sequence[Job], what: str | None = "run") -> list[Job]:
    """The jobs without the copies of others; a line says which jobs these are.

    Where tasks share no parameter, a weighting that combines gradients has nothing to combine, and its run equals the run
    of the plain weighting. A sweep that has the plain weighting does not train the other. A loss-based weighting is not a
    copy: it rescales each task's gradient.

    Args:
        jobs: The jobs of one command.
        what: The word for a job, with which the line counts them; None: it does not count them.
    """
    there = {job.record for job in jobs}
    kept, copies = [], defaultdict[str, list[Job]](list)
    for job in jobs:
        original = _original(job.config)
        if original is None or original.record_path not in there:
            kept.append(job)
        else:
            copies[original.method].append(job)
    for method, own in copies.items():
        names = sorted({job.config.method for job in own})
        number = f" ({counted(len(own), what)})" if what is not None else ""
        say(f"mtlbench: {listed(names)} {'is' if len(names) == 1 else 'are'} {method}: not trained again{number}")
    return kept


def _original(config: RunConfig) -> RunConfig | None:
    """The run of which this one is a copy; None if it is a run of its own."""
    shares = registry.architectures.get(config.architecture.name).shares  # type: ignore[attr-defined]
    if shares or not combines_gradients(plain(config.weighting)):
        return None
    return dataclasses.replace(config, weighting=registry.weightings.config(PLAIN_WEIGHTING))


def any_debug(jobs: Sequence[Job]) -> bool:
    """Is one of them a run of `debug=true`? Then all are of a command that tries a configuration."""
    return any(job.config.debug for job in jobs)
