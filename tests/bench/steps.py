"""Training steps of several models, alternated: what `weightings.py` and `architectures.py` beside this file measure.

Every round takes some steps of each model on the same batches, in one process and one thread, so that whatever slows the
machine down for a while slows all alike: ratios hold where seconds do not. The gather of the batch and the optimizer are in a
step; validation is not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark import RunConfig
from benchmark.datasets import Data
from benchmark.runs.machine import environment
from benchmark.runs.runner import build_data
from benchmark.training.trainer import Trainer

Results = dict[str, Any]
WARM_UP = 10  # steps of each model before the first round: what the engine looks for, the optimizer's state


def seconds_of_steps(trainers: Sequence[Trainer], *, rounds: int, steps: int, batch_size: int) -> np.ndarray:
    """(rounds, models) CPU seconds of a step."""
    for trainer in trainers:
        trainer.model.train()
        _seconds(trainer, WARM_UP, batch_size, rounds)
    return np.array(
        [[_seconds(trainer, steps, batch_size, number) for trainer in trainers] for number in range(rounds)]
    )


def _seconds(trainer: Trainer, steps: int, batch_size: int, seed: int) -> float:
    batches = trainer.rows.batches(
        batch_size, torch.Generator().manual_seed(seed)
    )  # the order is drawn here, once an epoch
    start = time.process_time()
    for batch in islice(batches, steps):
        trainer.step(batch)
    return (time.process_time() - start) / steps


def parser(description: str, result: Path) -> argparse.ArgumentParser:
    """The options that both have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=positive, default=15)
    made.add_argument("--steps", type=positive, default=6, help="of each model in a round")
    made.add_argument("--batch-size", type=positive, default=1024)
    made.add_argument("--output", type=Path, default=result, help=f"default: {result}")
    made.add_argument(
        "--markdown",
        action="store_true",
        help="print the table of results/bench/README.md from the results; runs nothing",
    )
    return made


def positive(text: str) -> int:
    """A number of the command line that counts something."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, found {text!r}")
    return int(text)


def load(names: Sequence[str]) -> dict[str, Data]:
    """The prepared data sets.

    Raises:
        FileNotFoundError: if the files of one are nowhere, with what to do.
    """
    try:
        return {name: build_data(RunConfig(dataset=name)) for name in names}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"set MTLBENCH_DATA to a folder with {' and '.join(names)}: {error}") from error


def show_or_measure(
    name: str,
    options: argparse.Namespace,
    measure: Callable[[argparse.Namespace], list[dict[str, Any]]],
    markdown: Callable[[Results], str],
) -> None:
    """Prints the table of the results that there are, or measures, prints the table and writes the results.

    A missing file, of the results or of a data set, ends the command with one line.
    """
    try:
        if options.markdown:
            print(markdown(json.loads(options.output.read_text(encoding="utf-8"))))
            return
        torch.set_num_threads(1)
        about = environment() | {"cpu": cpu(), "threads": 1, "load_before": round(os.getloadavg()[0], 2)}
        if about["load_before"] > 0.5:
            print("The machine is busy: even ratios may be off.", flush=True)
        about |= {key: getattr(options, key) for key in ("rounds", "steps", "batch_size")}
        results = {"environment": about, "rows": measure(options)}
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"{name}: {' '.join(str(error).split())}")
    print(f"\n{markdown(results)}\n")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written: {options.output}")


def conditions(results: Results, name: str) -> str:
    """The line below a table."""
    ran = results["environment"]
    return (
        f"1 thread of {ran['cpu']}, torch {ran['torch'].split('+')[0]}, batch size {ran['batch_size']:,}, "
        f"median of {ran['rounds']} rounds of {ran['steps']} steps, {ran['started'][:10]}: `make {name}`."
    )


def cpu() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
