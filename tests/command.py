"""The command line in this process, for tests that are not about processes: a fresh one spends seconds on importing torch."""

from __future__ import annotations

import io
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from hydra.core.global_hydra import GlobalHydra

from benchmark.cli import main


def mtlbench(*arguments: str, cwd: Path | None = None) -> CompletedProcess[str]:
    """Runs `mtlbench <arguments>`; its exit status and what it printed. Command line, variables and folder are put back."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    GlobalHydra.instance().clear()  # an app that failed leaves Hydra initialised
    with (
        patch.dict(os.environ), patch.object(sys, "argv", ["mtlbench", *arguments]), chdir(cwd or Path.cwd()),
        redirect_stdout(out), redirect_stderr(err),
    ):  # fmt: skip
        try:
            main(list(arguments))
        except SystemExit as stopped:
            if isinstance(stopped.code, str):  # Python prints it
                print(stopped.code, file=sys.stderr)
            status = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    return CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
