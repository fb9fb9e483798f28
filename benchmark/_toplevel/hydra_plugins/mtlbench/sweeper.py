"""Our sweeper: Hydra's basic one, but finished runs are dropped before any launcher sees them, and the end is summed up.

With `trials` it is a search as well: `hydra/sweeper=tuning` (conf/hydra/sweeper/tuning.yaml) sets them, with a search space.

No `from __future__ import annotations`: Hydra loads plugins without entering them in sys.modules, where dataclasses look.
"""

import os
import sys
from collections.abc import Sequence
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


@dataclass
class SweeperConfig:
    """hydra/sweeper=mtlbench.

    `params` is an experiment's sweep, `{seed: "range(0,5)"}`. `leave_out` lists what to leave out of the product:
    `{architecture: single_task, weighting: "uncertainty,pcgrad"}` drops the jobs that match all of its keys.
    `trials` above 0 tunes every method by as many trials of `sampler` (halton or tpe) over `space`, on validation, before its
    runs. `replicate: search` searches anew for every seed, `replicate: seed` once for all; `with_defaults: false` leaves out
    the runs of the default parameters. See `benchmark.runs.tuning`.
    `looks` judges at so many seeds, by `margin`, and stops methods that are decided against `baseline`: `hydra/sweeper=decide`
    sets them. See `benchmark.runs.decide`.
    `dry_run` only says what would be done; the option --dry-run sets it. See `benchmark.runs.preview`.
    """

    _target_: str = "hydra_plugins.mtlbench.sweeper.Sweeper"
    params: dict[str, str] | None = field(default_factory=dict)
    leave_out: list[dict[str, str]] = field(default_factory=list)
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
    """Hydra's task function, which brings along the sweep's working folder, command line and variables MTLBENCH_*.

    The workers of a cluster that was there before the sweep inherit none of them. A worker takes them over as it unpickles
    this: before Hydra makes the run's folder, which is relative.
    """

    def __init__(self, task: TaskFunction) -> None:
        self.task = task

    def __call__(self, config: DictConfig) -> Any:
        """As the function itself."""
        return self.task(config)

    def __reduce__(self) -> tuple[Any, ...]:
        variables = {name: value for name, value in os.environ.items() if name.startswith("MTLBENCH_")}
        return _unpacked, (self.task, str(Path.cwd()), sys.argv, variables)


def _unpacked(task: TaskFunction, folder: str, command_line: list[str], variables: dict[str, str]) -> Portable:
    os.chdir(folder)
    sys.argv = command_line
    os.environ.update(variables)
    return Portable(task)


class Sweeper(BasicSweeper):
    """Lists the jobs, and hands them to `benchmark.runs.sweep` or `benchmark.runs.tuning`."""

    def __init__(
        self, params: dict[str, str] | None = None, leave_out: Sequence[dict[str, str]] = (), **search: Any
    ) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.leave_out, self.search = leave_out, search

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As Hydra does it, after a check that the launcher's plugin is there."""
        from benchmark.settings.composition import check_launcher

        check_launcher(config)
        super().setup(hydra_context=hydra_context, task_function=Portable(task_function), config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the product of all swept values."""
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        config, launcher = self.config, self.launcher
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        self._check(overrides, [str(key) for key in config if key != "hydra"])
        product = [job for batch in self.split_arguments(overrides, None) for job in batch]
        if not product:
            raise ValueError("nothing to run: one of the swept values is an empty range")
        jobs = [job for job in product if not self._left_out(job)]
        common: dict[str, Any] = {
            "compose": lambda job: _without_hydra(loader.load_sweep_config(config, job)),
            "launch": lambda chosen: _launch(launcher, chosen),
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

    def _check(self, overrides: Sequence[Override], known: Sequence[str]) -> None:
        from benchmark.settings.swept import check_sweep
        from benchmark.text import unknown

        for override in overrides:
            check_sweep(override)
            if override.key_or_group == "experiment" and override.is_sweep_override():
                raise ValueError(f"{override.input_line}: one experiment a command, as each brings a sweep of its own")
        for key in (key for rule in self.leave_out for key in rule):
            if key.partition(".")[0] not in known:
                raise ValueError(unknown("key of hydra.sweeper.leave_out", key, known))

    def _left_out(self, job: list[str]) -> bool:
        chosen = dict(override.split("=", 1) for override in job)
        return any(
            all(chosen.get(key, "") in map(str.strip, str(values).split(",")) for key, values in rule.items())
            for rule in self.leave_out
        )


def _launch(launcher: Launcher, jobs: list[list[str]]) -> Any:
    from benchmark.settings.errors import LauncherError

    try:
        return launcher.launch(jobs, initial_job_idx=0)
    except (HydraException, OmegaConfBaseException, ValueError):
        raise
    except Exception as error:
        if isinstance(launcher, BasicLauncher):  # then it is an error of ours
            raise
        raise LauncherError(error) from error


def _without_hydra(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


ConfigStore.instance().store(group="hydra/sweeper", name="mtlbench", node=SweeperConfig, provider="mtlbench")
