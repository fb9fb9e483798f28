"""Our sweeper: Hydra's basic one, but finished runs are dropped before any launcher sees them, and the end is summed up.

No `from __future__ import annotations`: Hydra loads plugins without entering them in sys.modules, where dataclasses look.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, open_dict


@dataclass
class SweeperConfig:
    """hydra/sweeper=mtlbench.

    `params` is an experiment's sweep, `{seed: "range(0,5)"}`. `leave_out` lists what to leave out of the product:
    `{architecture: single_task, weighting: "uncertainty,pcgrad"}` drops the jobs that match all of its keys.
    """

    _target_: str = "hydra_plugins.mtlbench.sweeper.Sweeper"
    params: dict[str, str] | None = field(default_factory=dict)
    leave_out: list[dict[str, str]] = field(default_factory=list)


class Sweeper(BasicSweeper):
    """Lists the jobs, and hands them to `benchmark.sweep`."""

    def __init__(self, params: dict[str, str] | None = None, leave_out: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(max_batch_size=None, params=params)
        self.leave_out = leave_out

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the product of all swept values."""
        from benchmark.sweep import sweep  # Hydra loads every plugin for every app: nothing heavy at the top

        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        jobs = [job for batch in self.split_arguments(overrides, None) for job in batch if not self._left_out(job)]
        config = self.config
        sweep(
            jobs,
            compose=lambda job: _without_hydra(loader.load_sweep_config(config, job)),
            launch=lambda chosen: self.launcher.launch(chosen, initial_job_idx=0),  # type: ignore[union-attr]
        )

    def _left_out(self, job: list[str]) -> bool:
        chosen = dict(override.split("=", 1) for override in job)
        return any(all(chosen.get(key) in values.split(",") for key, values in rule.items()) for rule in self.leave_out)


def _without_hydra(config: DictConfig) -> DictConfig:
    with open_dict(config):
        del config["hydra"]
    return config


ConfigStore.instance().store(group="hydra/sweeper", name="mtlbench", node=SweeperConfig, provider="mtlbench")
