"""Our sweeper: Hydra's basic sweeper, but it drops finished runs before a launcher sees them, and prints a summary.

With `trials` it also tunes: `hydra/sweeper=tuning` (conf/hydra/sweeper/tuning.yaml) sets them and a search space.

No `from __future__ import annotations`: dataclasses would look this module up in sys.modules, and Hydra does not enter
plugins there.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from benchmark.stopping import begin_worker, in_order


@dataclass
class SweeperConfig:
    """hydra/sweeper=mtlbench.

    `params` is an experiment's sweep, `{seed: "range(0,5)"}`. `leave_out` lists what to leave out of the product:
    `{architecture: single_task, weighting: "uncertainty,pcgrad"}` drops the jobs that match all of its keys.
    `either` lists parts of the sweep, each a product with `params`: `{weighting: fixed, weighting.weights: "{ctr: 0.1},{ctr: 10}"}`
    beside `{weighting: "equal,dwa"}` sweeps parameters that only one of the weightings has. See `_parts` for the command line.
    `trials` above 0 tunes every method by as many trials of `sampler` (halton or tpe) over `space`, on validation, before its
    runs. `replicate: search` searches again for every seed, `replicate: seed` once for all. `with_defaults: false` leaves
    out the runs of the default parameters. See `benchmark.runs.tuning`.
    `looks` lists the numbers of seeds at which methods are judged by `margin`; a method that is decided against `baseline`
    stops. `hydra/sweeper=decide` sets them. See `benchmark.runs.decide`.
    `dry_run` only says what would be done; the option --dry-run sets it. See `benchmark.runs.preview`.
    """

    _target_: str = "hydra_plugins.mtlbench.sweeper.Sweeper"
    params: dict[str, str] | None = field(default_factory=dict)
    leave_out: list[dict[str, str]] = field(default_factory=list)
    either: list[dict[str, str]] = field(default_factory=list)
    trials: int = 0
    sampler: str = "halton"
    space: dict[str, Any] = field(default_factory=dict)
    replicate: str = "search"
    with_defaults: bool = True
    looks: list[int] = field(default_factory=list)
    margin: str | None = None
    baseline: str = "single_task/equal"
    dry_run: bool = False


class Portable:
    """Hydra's task function, which carries the sweep's working folder, command line and variables MTLBENCH_*.

    Workers of a cluster that started before the sweep inherit none of them. A worker takes them over when it unpickles
    this, before Hydra creates the run's folder from a relative path.
    """

    def __init__(self, task: TaskFunction) -> None:
        self.task = task

    def __call__(self, config: DictConfig) -> Any:
        """Calls the function itself. In a worker of joblib, a signal ends it in order."""
        return in_order(lambda: self.task(config))

    def __reduce__(self) -> tuple[Any, ...]:
        variables = {name: value for name, value in os.environ.items() if name.startswith("MTLBENCH_")}
        return _unpacked, (self.task, str(Path.cwd()), sys.argv, variables)


def _unpacked(task: TaskFunction, folder: str, command_line: list[str], variables: dict[str, str]) -> Portable:
    os.chdir(folder)
    sys.argv = command_line
    os.environ.update(variables)
    return Portable(task)


class Sweeper(BasicSweeper):
    """Lists the jobs and hands them to `benchmark.runs.sweep` or `benchmark.runs.tuning`."""

    def __init__(
        self,
        params: dict[str, str] | None = None,
        leave_out: Sequence[dict[str, str]] = (),
        either: Sequence[dict[str, str]] = (),
        **search: Any,
    ) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.leave_out, self.either, self.search = leave_out, either, search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Does what Hydra does, after a check that the launcher's plugin is installed."""
        from benchmark.settings.composition import check_launcher

        check_launcher(config)
        super().setup(hydra_context=hydra_context, task_function=Portable(task_function), config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the product of all swept values; with `either`, one product for each part."""
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        config, launcher = self.config, self.launcher
        product = []
        for part in self._parts({parser.parse_override(word).key_or_group: word for word in arguments}):
            overrides = parser.parse_overrides([*self._parse_config(), *part])
            self._check(overrides, [str(key) for key in config if key != "hydra"])
            product += [job for batch in self.split_arguments(overrides, None) for job in batch]
        if not product:
            raise ValueError("nothing to run: one of the swept values is an empty range")
        jobs = [job for job in product if not self._left_out(job)]
        common: dict[str, Any] = {
            "compose": lambda job: _without_hydra(loader.load_sweep_config(config, job)),
            "launch": lambda chosen: _launch(launcher, chosen, config.hydra.launcher.get("submitit_folder")),
        }
        # Hydra loads every plugin for every app: nothing heavy at the top
        looks: dict[str, Any] = {key: self.search.get(key) for key in ("looks", "margin", "baseline")}
        search: dict[str, Any] = {key: value for key, value in self.search.items() if key not in looks}
        if search.pop("dry_run", False):
            from benchmark.runs.preview import preview

            preview(jobs, compose=common["compose"], launcher=config.hydra.launcher, **looks, **search)
        elif looks["looks"]:
            from benchmark.runs.decide import decide

            search.pop("with_defaults", None)  # the default parameters are a question of their own
            decide(jobs, **common, **looks, **search)
        elif search.get("trials"):
            from benchmark.runs.tuning import tune

            tune(jobs, **common, **search)
        else:
            from benchmark.runs.sweep import sweep

            sweep(jobs, **common)

    def _parts(self, given: dict[str, str]) -> list[list[str]]:
        """The overrides of each part of `either`, without `params`; those of the command line alone without parts.

        A choice on the command line, `weighting=dwa`, takes the place of every part's; a part with parameters of its own
        choice, `weighting.weights`, is left out. A parameter goes to the parts that have it, or else to all.

        Args:
            given: {key: override} of the command line.
        """
        kept = [
            part
            for part in self.either
            if not any(key.startswith(f"{choice}.") for key in part for choice in given.keys() & part.keys())
        ] or [{}]
        of_parts = {key for part in kept for key in part if "." in key}
        return [
            [
                *(f"{key}={value}" for key, value in part.items()),
                *(word for key, word in given.items() if key not in of_parts or key in part),
            ]
            for part in kept
        ]

    def _check(self, overrides: Sequence[Override], known: Sequence[str]) -> None:
        from benchmark.settings.swept import check_sweep
        from benchmark.text import unknown

        for override in overrides:
            check_sweep(override)
            if override.key_or_group == "experiment" and override.is_sweep_override():
                raise ValueError(
                    f"{override.input_line}: one experiment per command, because each brings its own sweep"
                )
        for name, rules in (("leave_out", self.leave_out), ("either", self.either)):
            for key in (key for rule in rules for key in rule):
                if key.partition(".")[0] not in known:
                    raise ValueError(unknown(f"key of hydra.sweeper.{name}", key, known))

    def _left_out(self, job: list[str]) -> bool:
        chosen = dict(override.split("=", 1) for override in job)
        return any(
            all(chosen.get(key, "") in map(str.strip, str(values).split(",")) for key, values in rule.items())
            for rule in self.leave_out
        )


def _launch(launcher: Launcher, jobs: list[list[str]], logs: str | None) -> Any:
    from benchmark.runs.progress import say
    from benchmark.settings.errors import LauncherError, WorkerDied

    if logs is not None:
        say(f"mtlbench: each run prints to a file of its own: tail -f {logs.replace('%j', '*')}/*.err")
    if hasattr(launcher, "joblib"):  # what its launcher hands on to joblib.Parallel
        launcher.joblib |= {"initializer": begin_worker, "initargs": (os.getpid(),)}
    try:
        return launcher.launch(jobs, initial_job_idx=0)
    except (HydraException, OmegaConfBaseException, ValueError):
        raise
    except BrokenProcessPool as error:
        raise WorkerDied(error) from error
    except Exception as error:
        if isinstance(launcher, BasicLauncher):  # then it is an error of ours
            raise
        raise LauncherError(error) from error


def _without_hydra(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


ConfigStore.instance().store(group="hydra/sweeper", name="mtlbench", node=SweeperConfig, provider="mtlbench")
