"""The Hydra app: `mtlbench run ...`, or `python -m benchmark ...` in a checkout. Every command is a sweep, perhaps of one run."""

from __future__ import annotations

import os
import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from benchmark import stopping
from benchmark.console import allow_any_console
from benchmark.settings import composition
from benchmark.settings.errors import LauncherError, check_options, explain, with_dry_run
from benchmark.settings.swept import shows_only
from benchmark.text import printable


@hydra.main(config_path="pkg://benchmark.conf", config_name="config", version_base="1.3")
def app(config: DictConfig) -> str:
    """Runs one job of the sweep, prints its line and returns the status. A failure does not stop the other jobs."""
    from benchmark.runs.sweep import attempt

    if HydraConfig.get().sweeper.get("dry_run"):
        raise ValueError("--dry-run: expected a sweep, which every command is unless hydra.mode says otherwise")
    return attempt(config)


def main() -> None:
    """Composes and runs; what is wrong with the command line is one line on stderr, and exit status 1."""
    allow_any_console()
    with stopping.stoppable():
        try:
            _compose_and_run()
        except KeyboardInterrupt as stopped:
            stopping.leave(stopped, "before the first run; the same command starts again")


def _compose_and_run() -> None:
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing eight lines
    try:
        composition.prepare()
        sys.argv[1:] = with_dry_run(sys.argv[1:])
        check_options(sys.argv[1:])
        try:
            app()
        except HydraException as error:
            # where the composition of hydra.mode itself fails, Hydra falls back to a single run and hides the true error
            if "--multirun" not in str(error) or shows_only(sys.argv[1:]):
                raise
            sys.argv.append("--multirun")
            app()
    except (HydraException, OmegaConfBaseException, LauncherError, MemoryError, ValueError, OSError) as error:
        if wants_traceback:
            raise
        sys.exit(printable(f"mtlbench: {explain(error, sys.argv[1:])}"))


if __name__ == "__main__":
    stopping.own_process()
    main()
