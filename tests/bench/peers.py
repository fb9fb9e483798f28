"""Epochs of MMoE and PLE beside torch-rechub and deepctr-torch, on Census-Income: `make bench-peers`.

    python -m tests.bench.peers                              about 10 minutes on two cores; writes results/bench/peers.json
    python -m tests.bench.peers --rows 20000 --rounds 1      a quick look, which writes nothing
    python -m tests.bench.peers --markdown                   the table of results/bench/README.md, from peers.json

All contestants run in one process, and their epochs alternate: whatever slows the machine down for a while slows all of
them down, so that ratios hold where seconds do not. In a process of its own each would start with cold threads and an empty
allocator, and minutes would lie between those that are compared. What one could leave for the next is dealt with: a short
warm-up of every contestant comes before each race, garbage is collected before each epoch, and who begins changes from
round to round.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import shlex
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmark.datasets import Data
from benchmark.runs.runner import environment
from benchmark.settings.registry import datasets
from benchmark.text import duration
from tests.bench.peers_contestants import CONTESTANTS, Contestant, dataset
from tests.bench.peers_report import DIFFERENCES, MODELS, PEERS, Results, markdown, race_table, target_table
from tests.bench.steps import cpu, positive

RESULTS = Path(__file__).parents[2] / "results" / "bench" / "peers.json"
WARM_UP_STEPS = 8


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.peers", description="Training speed beside torch-rechub and deepctr-torch."
    )
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--batch-sizes", nargs="+", type=positive, default=[256, 1024, 4096], metavar="B")
    parser.add_argument("--rounds", type=positive, default=3, help="epochs of each contestant (default: 3)")
    parser.add_argument("--threads", type=positive, default=os.cpu_count(), help="of torch (default: all cores)")
    parser.add_argument("--rows", type=positive, help="only the first so many of train: a quick look")
    parser.add_argument("--output", type=Path, help=f"default: {RESULTS.name} of results/bench; with --rows, nowhere")
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the table of results/bench/README.md from the results; runs nothing",
    )
    options = parser.parse_args(arguments)
    if options.output is None and options.rows is None:
        options.output = RESULTS
    return options


def check_peers() -> None:
    """Are the peers installed, in the versions that were read?

    Raises:
        ValueError: if not, with what to do.
    """
    for distribution, wanted in PEERS.values():
        try:
            found = version(distribution)
        except PackageNotFoundError:
            found = "none"
        if found != wanted:
            raise ValueError(
                f"needs {distribution} {wanted}, found {found}: pip install -c constraints.txt -e '.[peers]'"
            )


def load(rows: int | None, batch_sizes: list[int]) -> Data:
    """Census-Income; of train only the first `rows`.

    Raises:
        FileNotFoundError: if its files are nowhere.
        ValueError: if a batch would be left with a single row, over which torch-rechub's BatchNorm cannot normalise.
    """
    data: Data = datasets.build(dataset()).build()
    data = first_rows(data, rows or len(data.train))
    for batch_size in batch_sizes:
        if len(data.train) % batch_size == 1 or batch_size == 1:
            raise ValueError(
                f"{len(data.train)} rows in batches of {batch_size} leave one of a single row, which torch-rechub refuses"
            )
    return data


def first_rows(data: Data, rows: int) -> Data:
    """The data set with the first rows of train only."""
    train = data.train
    return dataclasses.replace(data, train=train.cut(0, rows))


class Race:
    """The contestants at one model and batch size.

    Args:
        model: mmoe or ple.
        batch_size: Rows in a step.
        data: The data set.
    """

    def __init__(self, model: str, batch_size: int, data: Data) -> None:
        self.model, self.batch_size = model, batch_size
        few = first_rows(data, WARM_UP_STEPS * batch_size)
        for make in CONTESTANTS.values():
            make(model, few, batch_size).epoch()
        self.contestants: dict[str, Contestant] = {
            name: make(model, data, batch_size) for name, make in CONTESTANTS.items()
        }
        self.details: dict[str, dict[str, Any]] = {
            name: {"parameters": sum(p.numel() for p in contestant.model.parameters()), "seconds": [], "losses": []}
            for name, contestant in self.contestants.items()
        }

    def round(self, number: int, progress: Progress) -> None:
        """An epoch of each; who begins depends on the number of the round."""
        names = list(self.contestants)
        begins = number % len(names)
        for name in names[begins:] + names[:begins]:
            gc.collect()
            epoch = self.contestants[name].epoch()
            self.details[name]["seconds"].append(epoch.seconds)
            self.details[name]["losses"].append(epoch.loss)
            progress.say(f"{MODELS[self.model]} {self.batch_size}, round {number + 1}, {name}: {epoch.seconds:.2f} s")

    def medians(self) -> dict[str, float]:
        """{contestant: seconds of an epoch}."""
        return {name: statistics.median(found["seconds"]) for name, found in self.details.items()}


class Progress:
    """One line per epoch on stderr, with the time left."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.done, self.start = epochs, 0, time.monotonic()

    def say(self, line: str) -> None:
        """An epoch is done."""
        self.done += 1
        left = (time.monotonic() - self.start) / self.done * (self.epochs - self.done)
        print(f"[{self.done}/{self.epochs}] {line} | about {duration(left)} left", file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, data: Data, console: Console) -> Results:
    """Runs all races and shows each when it is over."""
    results: Results = {model: {} for model in options.models} | {"details": {model: {} for model in options.models}}
    progress = Progress(len(options.models) * len(options.batch_sizes) * options.rounds * len(CONTESTANTS))
    for model in options.models:
        for batch_size in options.batch_sizes:
            print(f"{MODELS[model]} {batch_size}: warming up", file=sys.stderr, flush=True)
            race = Race(model, batch_size, data)
            for number in range(options.rounds):
                race.round(number, progress)
            results[model][str(batch_size)] = race.medians()
            results["details"][model][str(batch_size)] = race.details
            console.print(race_table(model, batch_size, race.medians(), race.details))
            for name, found in race.details.items():
                if options.rounds > 1 and found["losses"][-1] >= found["losses"][0]:
                    console.print(f"{name} does not learn: its loss does not fall")
    console.print(f"Loss of the best constant, to compare: {constant_loss(data):.4f}", highlight=False)
    return results


def constant_loss(data: Data) -> float:
    """The log loss of predicting each task's mean label, averaged over tasks."""
    mean_T = np.asarray(data.train.labels, dtype=np.float64).mean(axis=0).clip(1e-12, 1 - 1e-12)
    return float(np.mean(-mean_T * np.log(mean_T) - (1 - mean_T) * np.log(1 - mean_T)))


def describe(options: argparse.Namespace, data: Data, arguments: list[str]) -> dict[str, Any]:
    """Where and on what the race was run."""
    return environment() | {
        "command": shlex.join(["python", "-m", "tests.bench.peers", *arguments]),
        **{distribution: version(distribution) for distribution, _ in PEERS.values()},
        "cpu": cpu(),
        "threads": options.threads,
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "dataset": "census_income",
        "rows": len(data.train),
        "categorical": len(data.schema.categorical),
        "numeric": len(data.schema.numeric),
        "rounds": options.rounds,
    }


def main(arguments: list[str] | None = None) -> None:
    """The command: measures, shows and writes, or prints the table of results/bench/README.md."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options, console = parse(arguments), Console(width=max(120, Console().width))
    try:
        if options.markdown:
            print(markdown(json.loads((options.output or RESULTS).read_text(encoding="utf-8"))))
            return
        check_peers()
        data = load(options.rows, options.batch_sizes)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"bench-peers: {' '.join(str(error).split())}")
    torch.set_num_threads(options.threads)
    about = describe(options, data, arguments)
    console.print(
        f"Census-Income: {about['rows']:,} rows, {about['categorical']} categorical and {about['numeric']} numeric columns. "
        f"{about['threads']} threads of {about['cpu']}, torch {about['torch']}, load before {about['load_before']}.\n"
        + ("The machine is busy: even ratios may be off.\n" if (about["load_before"] or 0) > 0.5 else ""),
        DIFFERENCES,
        sep="",
        highlight=False,
        soft_wrap=True,
    )
    results = measure(options, data, console) | {"environment": about}
    console.print(target_table(results))
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        console.print(f"Written: {options.output}", highlight=False)


if __name__ == "__main__":
    main()
