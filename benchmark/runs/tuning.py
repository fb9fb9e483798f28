"""Equal tuning: every method tries the same values, judged on validation; then its best and its defaults run.

1. Trials: records of purpose `trial` under `<results_dir>/trials`, with seeds of their own. The test split is not read.
2. Runs of each method with its best trial's parameters (purpose `tuned`), and, if asked for, with the defaults (purpose
   `default`), on the same seeds.

The luck of a search matters as much as that of the seed, and more seeds for the choice of one search do not reduce it.
So a replicate of a tuned method is its own search and one run of its choice, with one seed for both. `replicate: seed`
is one search and all seeds of its choice: cheaper, but its intervals do not cover the search.

All stages are jobs of one command, with any launcher. Trials of a Halton sequence (the default) run all at once;
parallel and serial searches try the same values. TPE learns from a search's own earlier trials, so it runs in rounds of
one trial per search. The searches of a round run at once, so parallel and serial runs agree here too.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmark.files import digest
from benchmark.records.record import TUNED, identity_of_data, records_by_path
from benchmark.runs.debug import TRIALS
from benchmark.runs.jobs import Compose, Job, any_debug, compose_all, without_copies
from benchmark.runs.progress import say
from benchmark.runs.search import MOST_TRIALS, REPLICATES, SAMPLERS, MethodSearch, searches_of
from benchmark.runs.space import Parameter, parse_space
from benchmark.runs.sweep import Sweep
from benchmark.settings.hydra_text import value_text
from benchmark.settings.registry import plain
from benchmark.text import counted


def tune(
    overrides: Sequence[list[str]], *, compose: Compose, launch: Callable[[Any], Any],
    trials: int, sampler: str, space: Mapping[str, Any], replicate: str = "search", with_defaults: bool = True,
) -> None:  # fmt: skip
    """Searches for every method of a sweep, runs the best and the default parameters, and prints a summary.

    Args:
        overrides: One list of overrides per default run: methods times seeds.
        compose: Makes the configuration of one run.
        launch: Hydra's launcher.
        trials: Trials per search.
        sampler: halton or tpe.
        space: See `benchmark.runs.space`.
        replicate: search or seed: what is repeated for a tuned method.
        with_defaults: Whether the default parameters run too.

    Raises:
        ValueError, FileNotFoundError: if a run cannot start; then no run of that stage is started.
        SystemExit: 1, if a run failed or left no record.
    """
    parameters = check_tuning(trials, sampler, space, replicate)
    default = without_copies(compose_all(overrides, compose))
    trials = min(trials, TRIALS) if any_debug(default) else trials
    searches = searches_of(default, parameters, sampler, compose, replicate)
    with Sweep(launch) as sweep:
        if run_searches(searches, trials, sweep):
            tuned = [job for search in searches for job in search.tuned()]
            sweep.run([*tuned, *(default if with_defaults else [])])
            _renew_ledgers(tuned, sweep)
            _warn_of_other_choices(tuned, sweep)
    if not sweep.is_complete:
        sys.exit(1)


def check_tuning(trials: int, sampler: str, space: Mapping[str, Any], replicate: str) -> tuple[Parameter, ...]:
    """The parameters of the space.

    Raises:
        ValueError: for an invalid number of trials, sampler, replicate or space.
    """
    if not 1 <= trials <= MOST_TRIALS:
        raise ValueError(
            f"hydra.sweeper.trials must be from 1 to {MOST_TRIALS:,}, or 0 for a plain sweep, found {trials}"
        )
    for name, value, known in (("sampler", sampler, SAMPLERS), ("replicate", replicate, REPLICATES)):
        if value not in known:
            raise ValueError(f"hydra.sweeper.{name} must be one of {', '.join(known)}, found {value!r}")
    parameters = parse_space(space)
    if not parameters:
        raise ValueError(f"hydra.sweeper.trials={trials}, but hydra.sweeper.space has no parameter to try")
    return parameters


def run_searches(searches: Sequence[MethodSearch], trials: int, sweep: Sweep, title: str = "") -> bool:
    """Runs all missing trials, and says what each search chose.

    Args:
        searches: The searches, still without trials.
        trials: Trials per search.
        sweep: The sweep of the whole command.
        title: Goes before the line that counts them.

    Returns:
        False if a trial left no record, so that the search cannot choose.
    """
    numbers = range(trials)
    at_once = searches[0].sampler == "halton"
    for rounds in [numbers] if at_once else [[number] for number in numbers]:
        asked = [search.ask(number) for number in rounds for search in searches]
        if rounds[0] == 0:  # now everything is known to compose
            say(_plan(searches, trials))
        which = "" if at_once else f"round {rounds[0] + 1} of {trials}: "
        sweep.run([trial.job for trial in asked], "trial", f"{title}{which}")
        for trial in asked:
            trial.record = sweep.record(trial.job)
        if any(trial.record is None for trial in asked):
            return False
    for search in searches:
        say(_chosen(search))
    return True


def _plan(searches: Sequence[MethodSearch], trials: int) -> str:
    methods = len({tuple(search.overrides) for search in searches})
    size = counted(trials, "trial")
    each = f"{len(searches) // methods} searches of {size} each" if len(searches) > methods else f"{size} each"
    what = f"{counted(methods, 'method')}: {each} ({searches[0].sampler})"
    return f"mtlbench: tuning {what}, then runs of the best parameters"


def _chosen(search: MethodSearch) -> str:
    who = f"mtlbench: {search.config.method}" + (f", search {search.search_seed}" if search.search_seed else "")
    if search.has_failed:
        return f"{who}: all {counted(len(search.trials), 'trial')} failed, so it has no tuned runs"
    best, statuses = search.best, Counter(trial.record.status for trial in search.trials if trial.record is not None)
    ended = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()) if status != "finished")
    found = (
        f"{search.config.trainer.monitor} {best.value:.4f} on validation" if statuses["finished"] else "none finished"
    )
    values = (
        " ".join(f"{key}={value_text(value)}" for key, value in best.parameters.items())
        or "it has no parameter of the space"
    )
    facts = "; ".join(part for part in (found, ended) if part)
    ends = "".join(f"; {key} is the {end} that it tried" for key, end in search.ends.items())
    return f"{who}: trial {best.number} of {len(search.trials)} is the best ({facts}): {values}{ends}"


def _renew_ledgers(tuned: Sequence[Job], sweep: Sweep) -> None:
    """Updates the ledger in existing tuned runs, if the search made the same choice from more trials.

    The ledger of a larger search is kept.
    """
    for job in tuned:
        record = sweep.record(job)
        if record is not None and record.num_trials < job.config.tuning["trials"]:
            record.config["tuning"] = job.config.tuning
            record.write(job.config.results_dir)


def _warn_of_other_choices(tuned: Sequence[Job], sweep: Sweep) -> None:
    """Tuned runs of the same methods and data that this search did not choose: fewer trials, other spaces or settings."""
    current = {job.record for job in tuned}
    folders = sorted({job.record.parent for job in tuned if sweep.record(job) is not None})
    records = {path: record for folder in folders for path, record in records_by_path(folder, skip_broken=True).items()}
    chosen = {digest(records[path].method_config) for path in current & records.keys()}
    data = {digest(identity_of_data(plain(job.config.dataset))) for job in tuned}
    sizes = {(job.config.tuning["study"], job.config.search_seed): job.config.tuning["trials"] for job in tuned}
    studies = {study for study, _ in sizes}
    larger: dict[str, int] = {}
    for path, record in records.items():
        if record.purpose != TUNED or digest(identity_of_data(record.config["dataset"])) not in data:
            continue
        search = record.study, record.search_seed
        if search in sizes and record.num_trials != sizes[search]:
            if record.num_trials > sizes[search]:  # with fewer trials, reports leave it out anyway
                larger[record.method] = max(larger.get(record.method, 0), record.num_trials)
        elif record.study in studies and search not in sizes:
            continue  # another search of the same procedure: a replicate
        elif digest(record.method_config) not in chosen:
            say(
                f"mtlbench: warning: {path} is a tuned run that this search did not choose; delete it, "
                "or give each search a results_dir"
            )
    for method, trials in larger.items():
        say(
            f"mtlbench: warning: reports use the larger search of {method} in this folder, with {trials} trials, not this one"
        )
