"""Equal tuning: the same number of trials for every method, judged on validation; then its best and its default parameters.

1. Trials: records of purpose `trial` under `<results_dir>/trials`, with seeds of their own. The test split is not read.
2. Runs of each method with its best trial's parameters (purpose `tuned`), and with the defaults (purpose `default`), on the
   same seeds.

All three stages are jobs of one command, with any launcher. Random trials (the default) all run at once, and are the same
in parallel as one by one, since each is drawn from its method and number alone. TPE learns from a method's own earlier
trials: it runs in rounds of one trial a method, the methods of a round at once, and so is the same in parallel too.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.files import digest
from benchmark.records.record import TUNED, load_record, record_files
from benchmark.runs.progress import say
from benchmark.runs.search import SAMPLERS, MethodSearch, searches_of
from benchmark.runs.space import parse_space
from benchmark.runs.sweep import Compose, Job, Sweep, compose_all
from benchmark.settings.hydra_text import value_text
from benchmark.settings.registry import plain
from benchmark.text import counted


def tune(
    overrides: Sequence[list[str]], *, compose: Compose, launch: Callable[[Any], Any],
    trials: int, sampler: str, space: Mapping[str, Any],
) -> None:  # fmt: skip
    """Searches for every method of a sweep, runs the best and the default parameters, and sums up.

    Args:
        overrides: One list of overrides per default run: methods times seeds.
        compose: Makes the configuration of one.
        launch: Hydra's launcher.
        trials: For every method.
        sampler: random or tpe.
        space: See `benchmark.runs.space`.

    Raises:
        ValueError, FileNotFoundError: if anything cannot run; then nothing of that stage is started.
        SystemExit: 1, if a run failed or left no record.
    """
    if trials < 1:
        raise ValueError(f"hydra.sweeper.trials must be at least 1, or 0 for a plain sweep, found {trials}")
    if sampler not in SAMPLERS:
        raise ValueError(f"hydra.sweeper.sampler must be one of {', '.join(SAMPLERS)}, found {sampler!r}")
    parameters = parse_space(space)
    if not parameters:
        raise ValueError(f"hydra.sweeper.trials={trials}, but hydra.sweeper.space has no parameter to try")
    default = compose_all(overrides, compose)
    searches = searches_of(default, parameters, sampler, compose)
    with Sweep(launch) as sweep:
        if _search(searches, trials, sweep):
            for search in searches:
                say(_chosen(search))
            tuned = [job for search in searches if not search.has_failed for job in search.tuned()]
            sweep.run([*tuned, *default])
            _renew_ledgers(tuned, sweep)
            _warn_of_other_choices(tuned)
    if not sweep.is_complete:
        sys.exit(1)


def _search(searches: Sequence[MethodSearch], trials: int, sweep: Sweep) -> bool:
    """Runs all trials that are not there; False if one left no record, so that there is nothing to choose by."""
    numbers = range(trials)
    is_random = searches[0].sampler == "random"
    for rounds in [numbers] if is_random else [[number] for number in numbers]:
        asked = [search.ask(number) for number in rounds for search in searches]
        if rounds[0] == 0:  # now that everything is known to compose
            say(
                f"mtlbench: tuning {counted(len(searches), 'method')}: {counted(trials, 'trial')} each "
                f"({searches[0].sampler}), then the best and the default parameters on the same seeds"
            )
        sweep.run([trial.job for trial in asked], "trial", "" if is_random else f"round {rounds[0] + 1} of {trials}: ")
        for trial in asked:
            trial.record = sweep.record(trial.job)
        if any(trial.record is None for trial in asked):
            return False
    return True


def _chosen(search: MethodSearch) -> str:
    if search.has_failed:
        return f"mtlbench: {search.method}: all {counted(len(search.trials), 'trial')} failed, so it has no tuned runs"
    best, statuses = search.best, Counter(trial.record.status for trial in search.trials if trial.record is not None)
    ended = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()) if status != "finished")
    found = (
        f"{search.config.trainer.monitor} {best.value:.4f} on validation" if statuses["finished"] else "none finished"
    )
    values = (
        " ".join(f"{key}={value_text(value)}" for key, value in best.parameters.items())
        or "nothing of the space is its own"
    )
    facts = "; ".join(part for part in (found, ended) if part)
    return f"mtlbench: {search.method}: trial {best.number} of {len(search.trials)} is the best ({facts}): {values}"


def _renew_ledgers(tuned: Sequence[Job], sweep: Sweep) -> None:
    """A tuned run that was there already has the ledger of the search that made it: the same choice, from fewer trials.

    The ledger of a larger search stands.
    """
    for job in tuned:
        record = sweep.record(job)
        if record is not None and record.num_trials < job.config.tuning["trials"]:
            record.config["tuning"] = job.config.tuning
            record.write(job.config.results_dir)


def _warn_of_other_choices(tuned: Sequence[Job]) -> None:
    """Tuned runs of the same methods and data that this search did not choose: with fewer trials, other spaces or settings."""
    current = {job.record for job in tuned}
    folders = sorted({path.parent for path in current if path.parent.is_dir()})
    records = {Path(path): load_record(path) for folder in folders for path in record_files(folder)}
    chosen = {digest(records[path].method_config) for path in current & records.keys()}
    data = {digest(plain(job.config.dataset)) for job in tuned}
    sizes = {job.config.tuning["study"]: job.config.tuning["trials"] for job in tuned}
    larger: dict[str, int] = {}
    for path, record in records.items():
        is_of_the_data = record.purpose == TUNED and digest(record.config["dataset"]) in data
        size = sizes.get(record.config.get("tuning", {}).get("study", ""))
        if is_of_the_data and size is not None and record.num_trials != size:
            if record.num_trials > size:  # of fewer trials, reports leave it out by themselves
                larger[record.method] = max(larger.get(record.method, 0), record.num_trials)
        elif is_of_the_data and digest(record.method_config) not in chosen:
            say(
                f"mtlbench: warning: {path} is a tuned run that this search did not choose; delete it, "
                "or give each search a results_dir"
            )
    for method, trials in larger.items():
        say(
            f"mtlbench: warning: reports take the larger search of {method} in this folder, of {trials} trials, not this one"
        )
