"""The runs of a report: records grouped into data sets, methods and seeds, with their names."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias, get_args

from benchmark.analysis.copies import folded
from benchmark.analysis.naming import distinguish
from benchmark.files import digest
from benchmark.kinds import kind_of_metrics
from benchmark.records.record import TRIAL, TUNED, Purpose, Record, identity_of_data, name_of_data
from benchmark.schema import Task
from benchmark.settings.config import EmbeddingConfig
from benchmark.text import numbers

Pair: TypeAlias = tuple[str, str, str, int, int]
"""What two compared runs share: fingerprint, the data set's seeds, hash of the test rows, seed, `Run.search`."""
Replicate: TypeAlias = tuple[str, int]
"""The part of a `Pair` that the configuration determines: the data set's seeds, and the seed."""

_PREFERENCE = {"finished": 2, "diverged": 1, "failed": 0}


@dataclass(frozen=True)
class Run:
    """A record and its names in the report.

    Args:
        record: The record.
        dataset: Name of its data set.
        method: Name of its method, without the choice of a search: a tuned method is the procedure.
        draw: The seeds that drew its data, as text.
        search: The seed of its search, if its method has runs of several searches on one seed. Otherwise 0, so that
            runs of any search, or none, are paired by seed.
    """

    record: Record
    dataset: str
    method: str
    draw: str
    search: int = 0

    @cached_property
    def pair(self) -> Pair:
        """The key by which runs of two methods are paired."""
        data = self.record.dataset
        return data.get("fingerprint", ""), self.draw, data.get("test_rows", ""), self.record.seed, self.search

    @property
    def replicate(self) -> Replicate:
        """The part of `pair` that is known for a run that failed before it had its data."""
        return self.draw, self.record.seed

    @property
    def finished(self) -> bool:
        """Whether it has metrics."""
        return self.record.status == "finished"


@dataclass(frozen=True)
class Group:
    """All runs on one configuration of one data set, and the trials of its tuned methods.

    Args:
        name: `dataset`, or `dataset (tuned)` if another group has the runs with default parameters.
        dataset: Name of the data set.
        runs: Its runs.
        trials: The trials of the searches.
        copies: {method as records name it: the methods whose runs are copies of its runs and count as them}.
    """

    name: str
    dataset: str
    runs: tuple[Run, ...]
    trials: tuple[Record, ...] = ()
    copies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def is_tuned(self) -> bool:
        """Are all runs tuned?"""
        return all(run.record.purpose == TUNED for run in self.runs)

    @cached_property
    def by_method(self) -> dict[str, list[Run]]:
        """Runs of each method by seed and search; methods by name."""
        methods: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: (run.method, run.record.seed, run.draw, run.search)):
            methods[run.method].append(run)
        return dict(methods)

    @cached_property
    def finished(self) -> dict[str, list[Run]]:
        """Finished runs of each method; the methods are those of `by_method`."""
        return {method: [run for run in runs if run.finished] for method, runs in self.by_method.items()}

    @cached_property
    def replicates(self) -> list[Replicate]:
        """Draws of the data and seeds of any run, however it ended."""
        return sorted({run.replicate for run in self.runs})

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The announced numbers of seeds at which its runs were judged; none if judged once, with all runs."""
        plans = (run.record.config.get("looks") or {} for run in self.runs)
        return max((tuple(plan.get("seeds", ())) for plan in plans), key=len, default=())

    @property
    def seeds(self) -> list[int]:
        """Seeds of any run."""
        return sorted({seed for _, seed in self.replicates})

    @cached_property
    def expected(self) -> list[Replicate]:
        """Replicates that at least half of the methods have. Extra seeds of one method do not make the others incomplete."""
        counts = Counter(replicate for runs in self.by_method.values() for replicate in {run.replicate for run in runs})
        return [replicate for replicate in self.replicates if 2 * counts[replicate] >= len(self.by_method)]

    @cached_property
    def missing(self) -> dict[str, list[Replicate]]:
        """The expected replicates that each method lacks. With looks, a method may stop at any of them."""
        have = {method: {run.replicate for run in runs} for method, runs in self.by_method.items()}
        ends = {
            method: min((look for look in self.looks if look >= len(own)), default=None) for method, own in have.items()
        }
        return {method: [r for r in self.expected[: ends[method]] if r not in own] for method, own in have.items()}

    def seeds_of(self, replicates: Iterable[Replicate]) -> str:
        """`0–4, 7`; with the draw if the data were drawn several times: `0 (data_seed=3)`."""
        options = [json.loads(draw) for draw, _ in self.replicates]
        varying = [key for key in options[0] if len({other.get(key) for other in options}) > 1]
        seeds: dict[str, list[int]] = defaultdict(list)
        for draw, seed in replicates:
            seeds[", ".join(f"{key}={json.loads(draw).get(key)}" for key in varying)].append(seed)
        return ", ".join(numbers(own) + (f" ({draw})" if draw else "") for draw, own in seeds.items())

    @cached_property
    def complete(self) -> frozenset[str]:
        """The methods that have every expected seed, with every run finished."""
        return frozenset(
            method
            for method, runs in self.by_method.items()
            if not self.missing[method] and len(self.finished[method]) == len(runs)
        )

    @cached_property
    def unshared(self) -> frozenset[str]:
        """The methods whose tasks share no parameters, so that a weighting has nothing to balance."""
        return frozenset(
            method
            for method, runs in self.finished.items()
            if runs and len(self.tasks) > 1 and all(run.record.shared_parameters == 0 for run in runs)
        )

    @cached_property
    def example(self) -> Record:
        """A record that describes the data: a finished one if possible."""
        return max(
            (run.record for run in self.runs), key=lambda record: (record.status == "finished", bool(record.dataset))
        )

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks; none if no run got as far as its data."""
        schema = self.example.dataset.get("schema")
        if schema is not None:
            return tuple(map(Task.from_json, schema["tasks"]))
        kinds = {task: kind_of_metrics(row) for task, row in self.example.metrics.get("test", {}).items()}
        return tuple(Task(task, kind.name) for task, kind in kinds.items() if kind is not None)


@dataclass(frozen=True, slots=True)
class Study:
    """What a report is made from.

    Args:
        groups: One per data set, in order of name; two if tuned and default runs are separate.
        purpose: default, tuned, or all: both side by side.
        left_out: Number of records by purpose, for purposes that are neither compared nor in the ledger of trials.
        overtaken: Number of tuned runs dropped because their search was extended and chose among more trials.
        repeated: Number of records dropped because another has the same data, method and seed.
        passed_over: A sentence for broken records that were left out, and one for other files.
    """

    groups: tuple[Group, ...]
    purpose: Purpose
    left_out: dict[str, int] = field(default_factory=dict)
    overtaken: int = 0
    repeated: int = 0
    passed_over: tuple[str, ...] = ()

    @property
    def runs(self) -> list[Run]:
        """All runs."""
        return [run for group in self.groups for run in group.runs]

    @property
    def methods(self) -> list[str]:
        """Names of all methods, sorted."""
        return sorted({run.method for run in self.runs})

    @classmethod
    def of(cls, records: Sequence[Record], purpose: Purpose = "all", *, apart: bool = True) -> Study:
        """Names and groups the records.

        Args:
            records: Records of any purpose.
            purpose: The purpose to compare.
            apart: Make tuned and default runs of a data set two groups, each with its own baseline: against an untuned
                baseline, tuning itself would look like a gain. A method has the same name in both. Without `apart`, the
                tuned one is called `mmoe/equal (tuned)`.

        Raises:
            ValueError: if there is no record of this purpose, or there is no such purpose.
        """
        if purpose not in get_args(Purpose):
            raise ValueError(f"purpose must be one of {', '.join(get_args(Purpose))}, found {purpose!r}")
        wanted = ("default", TUNED) if purpose == "all" else (purpose,)
        counts = Counter(record.purpose for record in records)
        chosen = [record for record in records if record.purpose in wanted]
        if not chosen:
            found = ", ".join(f"{count} of purpose {name}" for name, count in sorted(counts.items())) or "none"
            raise ValueError(f"no records of purpose {' or '.join(wanted)} to report; found: {found}")
        trials = [record for record in records if record.purpose == TRIAL] if TUNED in wanted else []
        names = _dataset_names([*chosen, *trials])
        same = folded(chosen, names[: len(chosen)])
        trial_names = names[len(chosen) :]
        chosen, data = same.records, same.datasets
        old = _overtaken(chosen, data)
        runs = _named(
            [record for record, is_old in zip(chosen, old, strict=True) if not is_old],
            [name for name, is_old in zip(data, old, strict=True) if not is_old],
        )
        kept = _once(runs)
        copied = {id(record) for record in chosen[: same.copies]}
        lost = len(copied) - sum(id(run.record) in copied for own in kept.values() for run in own)
        by_data: dict[str, list[Record]] = defaultdict(list)
        for trial, name in zip(trials, trial_names, strict=True):
            by_data[name].append(trial)
        in_ledger = sum(len(by_data[name]) for name in kept)
        left = {name: count for name, count in sorted(counts.items()) if name not in wanted}
        if TRIAL in left:
            left[TRIAL] -= in_ledger
        groups = []
        for name in sorted(kept):
            tuned = tuple(run for run in kept[name] if run.record.purpose == TUNED)
            default = tuple(run for run in kept[name] if run.record.purpose != TUNED)
            searched = tuple(by_data[name])
            copies = {method: others for (dataset, method), others in same.methods.items() if dataset == name}
            if not (apart and tuned):
                groups.append(Group(name, name, tuple(kept[name]), searched, copies))
            elif not default:
                groups.append(_alone(name, name, tuned, searched))
            else:
                groups += [_alone(tuned_name(name), name, tuned, searched), Group(name, name, default, (), copies)]
        return cls(
            groups=tuple(groups),
            purpose=purpose,
            left_out={name: count for name, count in left.items() if count},
            overtaken=sum(old),
            repeated=len(runs) - sum(map(len, kept.values())) - lost,
        )


def _alone(name: str, dataset: str, tuned: Sequence[Run], trials: tuple[Record, ...]) -> Group:
    """The tuned runs of a data set, which need no suffix to distinguish them there."""
    runs = tuple(replace(run, dataset=name, method=run.method.replace(f" ({TUNED})", "", 1)) for run in tuned)
    return Group(name, dataset, runs, trials)


def _overtaken(records: Sequence[Record], datasets: Sequence[str]) -> list[bool]:
    """Tuned runs from an earlier, smaller search: after an extension, the search chose again."""
    searches = [
        (dataset, record.method, record.study, record.search_seed) if record.purpose == TUNED and record.study else None
        for record, dataset in zip(records, datasets, strict=True)
    ]
    most: dict[tuple[str, str, str, int] | None, int] = defaultdict(int)
    for record, search in zip(records, searches, strict=True):
        most[search] = max(most[search], record.num_trials)
    return [
        search is not None and record.num_trials < most[search]
        for record, search in zip(records, searches, strict=True)
    ]


def _once(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """By data set, each method, replicate and search once: a finished run if there is one, else the last."""
    kept: dict[tuple[Any, ...], Run] = {}
    for run in runs:
        key = (run.dataset, run.method, run.pair if run.finished else (run.replicate, run.search))
        known = kept.get(key)
        if known is None or _PREFERENCE[run.record.status] >= _PREFERENCE[known.record.status]:
            kept[key] = run
    done = {(run.dataset, run.method, run.replicate, run.search) for run in kept.values() if run.finished}
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in kept.values():
        if run.finished or (run.dataset, run.method, run.replicate, run.search) not in done:
            groups[run.dataset].append(run)
    return groups


def draw_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a data set that change its draw, such as `split_seed`: they make replicates, not another data set."""
    return {key: value for key, value in config.items() if key.endswith("_seed") and isinstance(value, int)}


def undrawn(config: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a data set without the parameters of its draw: the same for all of its replicates."""
    draw = draw_options(config)
    return {key: value for key, value in identity_of_data(config).items() if key not in draw}


def draw_of(config: Mapping[str, Any]) -> str:
    """The same as text, for comparison."""
    return json.dumps(draw_options(config), sort_keys=True)


class _Digests:
    """Digests of configurations; thousands of runs have only a few configurations."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, config: Mapping[str, Any]) -> str:
        """`digest`, computed once per spelling of the configuration."""
        text = repr(config)
        if text not in self._known:
            self._known[text] = digest(config)
        return self._known[text]


def _dataset_names(records: Sequence[Record]) -> list[str]:
    # a run that failed before it had its data gets the data of other runs with its configuration
    known = _Digests()
    configs = [known.of(identity_of_data(record.config["dataset"])) for record in records]
    prints: dict[str, list[str]] = defaultdict(list)
    for config, record in zip(configs, records, strict=True):
        found = record.dataset.get("fingerprint")
        if found is not None and found not in prints[config]:
            prints[config].append(found)
    named: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    keys = []
    for config, record in zip(configs, records, strict=True):
        several = len(prints[config]) > 1  # one configuration, other data: the file has changed
        fingerprint = record.dataset.get("fingerprint", prints[config][0] if prints[config] else "") if several else ""
        condition = undrawn(record.config["dataset"])
        keys.append((known.of(condition), fingerprint))
        named[keys[-1]] = (name_of_data(record.config["dataset"]), {**condition, "fingerprint": fingerprint[:8]})
    names = distinguish(named)
    return [names[key] for key in keys]


def _named(records: Sequence[Record], datasets: Sequence[str]) -> list[Run]:
    """Runs with their names. A method may have different parameters on each data set and still be one method.

    If one data set has it with several sets of parameters, these are several methods on all data sets. A tuned method
    is defined on its own data set: one method per procedure that chose its parameters.
    """
    settings = [settings_of(record) for record in records]
    known = _Digests()
    digests = [known.of(config) for config in settings]
    variants: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record, dataset, key in zip(records, datasets, digests, strict=True):
        if record.purpose != TUNED:
            variants[record.method, dataset].add(key)
    several = {method for (method, _), found in variants.items() if len(found) > 1}
    keys = []
    named: dict[str, dict[str, tuple[str, Mapping[str, Any]]]] = defaultdict(dict)
    for record, dataset, config, key in zip(records, datasets, settings, digests, strict=True):
        tuned = record.purpose == TUNED
        scope = dataset if tuned or record.method not in several else ""
        keys.append((scope, key))
        named[scope][key] = (short_name(record), config)
    names = {scope: distinguish(methods) for scope, methods in named.items()}
    return _told_apart([
        Run(record, dataset, names[scope][key], draw_of(record.config["dataset"]))
        for record, dataset, (scope, key) in zip(records, datasets, keys, strict=True)
    ])  # fmt: skip


def settings_of(record: Record) -> Mapping[str, Any]:
    """What distinguishes methods with one name: the configuration.

    For a tuned method, the configuration without the searched parameters, and the procedure.
    """
    # all of it, so that a name says how lists are embedded where methods differ in it
    embedding = asdict(EmbeddingConfig(**record.config.get("embedding", {})))
    config = {**record.method_config, "embedding": embedding}
    if not record.study:
        return config
    tuning = record.config["tuning"]
    space = tuning.get("space") or {}
    fixed = {
        group: {name: value for name, value in part.items() if f"{group}.{name}" not in space}
        for group, part in config.items()
        if isinstance(part, Mapping)
    }
    return {**fixed, "sampler": tuning.get("sampler", ""), "space": space}


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """The runs, with `search` if needed."""
    searches: dict[tuple[str, str, Replicate], set[int]] = defaultdict(set)
    for run in runs:
        if run.record.purpose == TUNED:
            searches[run.dataset, run.method, run.replicate].add(run.record.search_seed)
    several = {(dataset, replicate) for (dataset, _, replicate), found in searches.items() if len(found) > 1}
    return [
        replace(run, search=run.record.search_seed)
        if run.record.purpose == TUNED and (run.dataset, run.replicate) in several
        else run
        for run in runs
    ]


def tuned_name(method: str) -> str:
    """The name of a tuned method, or of the tuned group of a data set."""
    return f"{method} ({TUNED})"


def short_name(record: Record) -> str:
    """The name of its method if no other has the same."""
    return tuned_name(record.method) if record.purpose == TUNED else record.method
