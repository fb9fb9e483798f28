"""Injects faults and counts what goes wrong: `make chaos`, or `python -m tests.chaos --only kill,disk`.

The moments, sizes and bits are drawn from a seed. The exit status is 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from rich.console import Console

from tests.chaos.table import Row, table

BLOCKS = ("kill", "disk", "records", "cache", "checkpoints")
"""Each a module here with a function of its own name: (folder, seed) -> Row."""
SEED = 20


def main(arguments: list[str] | None = None) -> None:
    """Runs the blocks, and prints the table and all that went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED, help="draws moments, sizes and bits (default: %(default)s)")
    parser.add_argument(
        "--only", default=",".join(BLOCKS), help="which blocks, joined by commas (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    if unknown := sorted(set(chosen) - set(BLOCKS)):
        parser.error(f"--only: unknown {', '.join(unknown)}; known: {', '.join(BLOCKS)}")
    rows = []
    for name in (name for name in BLOCKS if name in chosen):
        start = time.monotonic()
        print(f"{name} ...", flush=True)
        block: Callable[[Path, int], Row] = getattr(import_module(f"tests.chaos.{name}"), name)
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            rows.append(block(Path(folder), options.seed))
        print(f"{rows[-1].line}; {time.monotonic() - start:.0f} s", flush=True)
    for row in rows:
        for wrong, number, words in row.found:
            print(f"{row.fault}: {wrong} {number}: {words}")
    Console().print(table(rows))
    sys.exit(not all(row.is_clean for row in rows))


if __name__ == "__main__":
    main()
