"""What a step of every weighting costs beside one of equal weighting: `make bench-weightings`, or `python -m tests.bench.weightings`.

Every round takes some steps of equal weighting, then some of each method, on the same batches, in one process and one thread.
A method's ratio is the median over rounds of its CPU time over that of equal weighting in the same round, so that a busy
machine changes both alike. Solver, optimizer and the gather of the batch are in it; validation is not.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import torch

from benchmark import RunConfig, configure
from benchmark.datasets import Data
from benchmark.records.record import combines_gradients
from benchmark.rows import Batch
from benchmark.runs.runner import build_data, build_trainer
from benchmark.settings.registry import plain, weightings
from benchmark.training.trainer import Trainer

RESULT = Path("results/bench/weightings.json")
DATASETS = {2: "census_income", 4: "kuairand"}  # by their number of tasks
ARCHITECTURES = ("mmoe", "ple")
SCOPES = ("trunk", "all", "representation")
WARM_UP = 10  # steps before the first round: what the engine looks for, the optimizer's state


@dataclass(frozen=True)
class Side:
    """One weighting in one scope, in training.

    Args:
        name: Of the weighting.
        scope: Empty for a weighting that does not combine gradients.
        trainer: Its own.
    """

    name: str
    scope: str
    trainer: Trainer

    def seconds(self, batches: Sequence[Batch]) -> float:
        """CPU seconds of a step."""
        start = time.process_time()
        for batch in batches:
            self.trainer.step(batch)
        return (time.process_time() - start) / len(batches)


def make_side(name: str, scope: str, architecture: str, dataset: str, data: Data) -> Side:
    """A model at its start."""
    weighting = configure("weighting", name, **({"scope": scope} if scope else {}))
    config = RunConfig(dataset=dataset, architecture=architecture, weighting=weighting)
    trainer = build_trainer(config, data, torch.device("cpu"))
    trainer.model.train()
    return Side(name, scope, trainer)


def sides(names: Sequence[str], architecture: str, dataset: str, data: Data) -> Iterator[Side]:
    """Equal weighting first, then every method, those of gradients in each scope."""
    yield make_side("equal", "", architecture, dataset, data)
    for name in names:
        config = plain(weightings.config(name))
        scopes = SCOPES if combines_gradients(config) else ("",)
        if config.get("scope", SCOPES[0]) not in SCOPES:  # one of its own: gradnorm
            scopes = (config["scope"],)
        if name != "equal":
            yield from (make_side(name, scope, architecture, dataset, data) for scope in scopes)


def measure(
    names: Sequence[str], architecture: str, tasks: int, rounds: int, steps: int, batch_size: int
) -> list[dict[str, object]]:
    """A row for each method and scope: the median of its ratios to equal weighting, and their spread."""
    dataset = DATASETS[tasks]
    data = build_data(RunConfig(dataset=dataset))
    found = list(sides(names, architecture, dataset, data))
    stream = torch.Generator().manual_seed(0)
    ratios: dict[int, list[float]] = {number: [] for number in range(len(found))}
    base: list[float] = []
    for number in range(rounds + 1):
        batches = list(islice(found[0].trainer.rows.batches(batch_size, stream), steps if number else WARM_UP))
        times = [side.seconds(batches) for side in found]
        if number:  # the first is the warm-up
            base.append(times[0])
            for position, seconds in enumerate(times):
                ratios[position].append(seconds / times[0])
    print(
        f"{architecture}, {tasks} tasks ({dataset}): equal {1000 * statistics.median(base):.2f} ms a step", flush=True
    )
    rows = []
    for position, side in enumerate(found):
        low, ratio, high = statistics.quantiles(ratios[position], n=4) if rounds > 1 else ratios[position] * 3
        rows.append({
            "weighting": side.name, "scope": side.scope, "architecture": architecture, "tasks": tasks,
            "ratio": round(ratio, 3), "quartiles": [round(low, 3), round(high, 3)],
        })  # fmt: skip
        print(f"  {side.name:22}{side.scope:16}{ratio:6.2f}  [{low:.2f}, {high:.2f}]", flush=True)
    return rows


def main() -> None:
    """Measures, prints, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weightings", nargs="*", default=weightings.names(), help="names; default: all")
    parser.add_argument("--architectures", nargs="*", default=ARCHITECTURES)
    parser.add_argument("--tasks", nargs="*", type=int, default=list(DATASETS), help="2: census_income; 4: kuairand")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=6, help="of each method in a round")
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        row
        for architecture in options.architectures
        for tasks in options.tasks
        for row in measure(options.weightings, architecture, tasks, options.rounds, options.steps, options.batch_size)
    ]
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "threads": 1,
        "batch_size": options.batch_size,
    }
    options.out.write_text(
        json.dumps({**about, "rounds": options.rounds, "steps": options.steps, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
