"""The Hydra app: `python -m benchmark ...`, the same as `mtlbench run ...`. Every command is a sweep, even of one run."""

from __future__ import annotations

import os
import sys

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from benchmark.settings import composition
from benchmark.settings.errors import LauncherError, check_options, explain


@hydra.main(config_path="pkg://benchmark.conf", config_name="config", version_base="1.3")
def app(config: DictConfig) -> str:
    """Runs one job of the sweep, prints its line and returns the status. A failure does not stop the other jobs."""
    from benchmark.runs.sweep import attempt

    return attempt(config)


def main() -> None:
    """Composes and runs. A mistake on the command line gives one line on stderr and exit status 1."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing eight lines
    try:
        composition.prepare()
        check_options(sys.argv[1:])
        try:
            app()
        except HydraException as error:
            # if hydra.mode itself cannot be composed, Hydra falls back to a single run and hides the true error
            if "--multirun" not in str(error):
                raise
            sys.argv.append("--multirun")
            app()
    except (HydraException, OmegaConfBaseException, LauncherError, ValueError, FileNotFoundError) as error:
        if wants_traceback:
            raise
        sys.exit(f"mtlbench: {explain(error, sys.argv[1:])}")


if __name__ == "__main__":
    main()
