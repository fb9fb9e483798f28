"""One search of one method: what each trial tries, its result, and which trial was best.

All methods try the same values: trial n of search s uses the nth point of a scrambled Halton sequence (Owen 2017,
arXiv:1706.02808), seeded by s alone. The trainer's parameters, which every method has, come from one sequence.
Parameters of architectures and weightings come from a second one, with a coordinate for each parameter of the space, so
that a method's own parameters do not change what it shares with others. Every coordinate of both sequences has its own
prime base. With a Sobol sequence, some pairs of coordinates split few points into the same halves, so a large network
would never get a high learning rate. TPE begins with the same points.

There is no store besides the records. What a trial tries depends on the search's seed, the trial's number and, for TPE,
the earlier trials. So an interrupted search is rebuilt by proposing again and finding the records.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from omegaconf import DictConfig, OmegaConf
from scipy.stats import qmc

from benchmark.files import digest
from benchmark.records.record import FIRST_TRIAL_SEED, TRIAL, TUNED, Record
from benchmark.runs.jobs import Compose, Job, Matching
from benchmark.runs.runner import check
from benchmark.runs.space import Parameter
from benchmark.seeding import derive
from benchmark.settings.composition import typed
from benchmark.settings.config import RunConfig
from benchmark.settings.hydra_text import value_text
from benchmark.settings.registry import plain

STARTUP_TRIALS = 4  # points of the sequence before TPE starts to model; Optuna's 10 would be a whole budget
SAMPLERS = ("halton", "tpe")
MOST_TRIALS = FIRST_TRIAL_SEED  # per search: it has this many seeds of its own
REPLICATES = ("search", "seed")
"""What is repeated for a tuned method: the search with one run of its choice, or only that run, after one search."""


@dataclass(slots=True)
class Trial:
    """One trial of a search.

    Args:
        number: From 0.
        parameters: What it tries, {key: plain value}.
        job: The run.
        record: The record, once it has run.
    """

    number: int
    parameters: dict[str, Any]
    job: Job
    record: Record | None = None

    @property
    def value(self) -> float:
        """The criterion on validation at the selected epoch; higher is better, -inf if it failed or diverged."""
        found = self.record.criterion if self.record is not None else None
        return -math.inf if found is None else found


@dataclass(slots=True)
class MethodSearch:
    """One search of one method on one data set.

    Args:
        overrides: Hydra's overrides of the method, without a seed.
        node: The composed configuration, with the default parameters.
        config: The same, typed.
        search_seed: Determines what its trials try.
        seeds: The seeds for runs of its choice.
        sampler: halton or tpe.
        space: All parameters that any method tries.
        trials: The trials so far, in order of number.
        match: Gives every trial the size that the method asks for.
    """

    overrides: list[str]
    node: DictConfig
    config: RunConfig
    search_seed: int
    seeds: list[int]
    sampler: str
    space: tuple[Parameter, ...]
    trials: list[Trial] = field(default_factory=list)
    match: Matching = field(default_factory=Matching)

    @property
    def id(self) -> str:
        """12 hex digits of the procedure: a hash of all that determines its trials except the search seed.

        The defaults of searched parameters are left out.
        """
        groups = ("dataset", "architecture", "weighting", "trainer")
        identity: dict[str, Any] = {key: plain(getattr(self.config, key)) for key in groups}
        for parameter in self.own:
            group, _, name = parameter.key.partition(".")
            identity[group].pop(name, None)
        if embedding := plain(self.config.embedding):
            identity["embedding"] = embedding
        if self.config.matched:
            identity["match_parameters"] = self.config.matched["target"]
        return digest({**identity, "sampler": self.sampler, "space": self._space})[:12]

    @property
    def own(self) -> list[Parameter]:
        """The parameters that this method has."""
        return [parameter for parameter in self.space if parameter.suits(self.config)]

    @property
    def _space(self) -> dict[str, str]:
        return {parameter.key: parameter.text for parameter in self.own}

    def propose(self, number: int) -> dict[str, Any]:
        """What a trial tries."""
        if self.sampler == "tpe" and number >= STARTUP_TRIALS:
            return self._modelled(number)
        points = halton_point(self.space, self.search_seed, number)
        return {parameter.key: parameter.at(points[parameter.key]) for parameter in self.own}

    def _modelled(self, number: int) -> dict[str, Any]:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = derive(number, "tuning", str(self.search_seed)) % 2**32  # as wide as Optuna's samplers accept
        sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        distributions = {parameter.key: parameter.distribution for parameter in self.own}
        for trial in self.trials[:number]:
            drawn = {parameter.key: parameter.drawn(trial.parameters[parameter.key]) for parameter in self.own}
            study.add_trial(optuna.create_trial(params=drawn, distributions=distributions, value=trial.value))
        asked = study.ask(distributions).params
        return {parameter.key: parameter.value(asked[parameter.key]) for parameter in self.own}

    def ask(self, number: int) -> Trial:
        """Adds the next trial, which must have this number.

        Raises:
            ValueError: if it cannot run.
        """
        parameters = self.propose(number)
        job = self._job(
            parameters,
            purpose=TRIAL,
            seed=FIRST_TRIAL_SEED * (1 + self.search_seed) + number,
            search_seed=self.search_seed,
            tuning=self._tuning(number, parameters),
            save_checkpoint=False,
            save_predictions=False,
        )
        if job.config.dataset != self.config.dataset:
            raise ValueError(
                f"{self.config.method}: the data set follows the seed (dataset.split_seed=${{seed}}?), and a search needs one: rows "
                "that one trial trains on would be test rows of another"
            )
        trial = Trial(number, parameters, job)
        self.trials.append(trial)
        return trial

    def tuned(self) -> list[Job]:
        """The runs of the best trial's parameters, one per seed; none if every trial failed. `Record.config` holds their ledger."""
        if self.has_failed:
            return []
        best = self.best
        tuning = {
            **self._tuning(best.number, best.parameters),
            "trials": len(self.trials),
            "criterion": best.value if math.isfinite(best.value) else None,
            "ends": self.ends,
            "ids": [trial.job.config.id for trial in self.trials],
        }
        chosen: dict[str, Any] = {"purpose": TUNED, "search_seed": self.search_seed, "tuning": tuning}
        return [self._job(best.parameters, seed=seed, **chosen) for seed in self.seeds]

    @property
    def ends(self) -> dict[str, str]:
        """{parameter: lowest or highest}, for the best trial's parameters at an end of what was tried."""
        found = {
            p.key: p.end(self.best.parameters[p.key], [t.parameters[p.key] for t in self.trials]) for p in self.own
        }
        return {key: end for key, end in found.items() if end is not None}

    @property
    def has_failed(self) -> bool:
        """Did every trial fail? Then there is nothing to choose. Diverged trials count as results."""
        return all(trial.record is not None and trial.record.status == "failed" for trial in self.trials)

    @property
    def best(self) -> Trial:
        """The best trial on validation. Ties go to the lowest number, also if no trial finished."""
        return max(self.trials, key=lambda trial: trial.value)

    def _tuning(self, number: int, parameters: dict[str, Any]) -> dict[str, Any]:
        return {
            "study": self.id,
            "trial": number,
            "sampler": self.sampler,
            "space": self._space,
            "parameters": parameters,
        }

    def _job(self, parameters: dict[str, Any], *, tuning: dict[str, Any], **changes: Any) -> Job:
        """The method with other values. It is composed once and then changed, because composing is slow."""
        changes = parameters | changes
        node = copy.deepcopy(self.node)
        for key, value in changes.items():
            OmegaConf.update(node, key, value, merge=False)
        OmegaConf.update(node, "tuning", tuning, merge=False, force_add=True)
        config = typed(node)
        check(config)
        config = self.match(config)  # a trial's own parameters may change its size
        overrides = [f"{key}={value_text(value)}" for key, value in changes.items()]
        return Job([*self.overrides, *overrides, f"++tuning={value_text(tuning)}"], config)


def halton_point(space: Sequence[Parameter], search_seed: int, number: int) -> dict[str, float]:
    """{key: coordinate in [0, 1)} of a trial, for all parameters of a space, given in order of their keys."""
    shared = [parameter.key for parameter in space if parameter.is_shared]
    own = [parameter.key for parameter in space if not parameter.is_shared]
    point: dict[str, float] = {}
    for name, keys, used in (("shared", shared, 0), ("own", own, len(shared))):
        sequence = qmc.Halton(used + len(keys), rng=np.random.default_rng(derive(search_seed, "tuning", name)))
        sequence.fast_forward(number)
        point |= zip(keys, sequence.random(1)[0, used:].tolist(), strict=True)
    return point


def searches_of(
    jobs: Sequence[Job], space: tuple[Parameter, ...], sampler: str, compose: Compose, replicate: str = "search"
) -> list[MethodSearch]:
    """The searches of a sweep, in order of first appearance: one per method and seed, or one per method for all seeds.

    Args:
        jobs: Its default runs.
        space: The parameters to try.
        sampler: halton or tpe.
        compose: Makes a configuration from overrides.
        replicate: One of `REPLICATES`.

    Raises:
        ValueError: if a seed is reserved for trials, the runs already have a purpose, or two searches are the same.
    """
    nodes: dict[tuple[str, ...], DictConfig] = {}
    searches: dict[tuple[tuple[str, ...], int], MethodSearch] = {}
    for job in jobs:
        config = job.config
        if config.seed >= FIRST_TRIAL_SEED:
            raise ValueError(f"seed={config.seed}: seeds from {FIRST_TRIAL_SEED} on are reserved for trials")
        if config.purpose != "default" or config.tuning:
            raise ValueError(f"purpose and tuning are set by the search, found {config.purpose} and {config.tuning}")
        shape = tuple(override for override in job.overrides if not override.startswith("seed="))
        if shape not in nodes:
            nodes[shape] = compose(list(shape))
        search_seed = config.seed if replicate == "search" else config.search_seed
        key = (shape, search_seed)
        if key not in searches:
            searches[key] = MethodSearch(list(shape), nodes[shape], config, search_seed, [], sampler, space)
        searches[key].seeds.append(config.seed)
    ids = [(search.id, search.search_seed) for search in searches.values()]
    if len(set(ids)) < len(ids):
        raise ValueError(
            "a parameter is both swept and searched: take it out of hydra.sweeper.space, or out of the sweep"
        )
    return list(searches.values())
