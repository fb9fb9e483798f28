"""What a step of every weighting costs beside one of equal weighting: `make bench-weightings`.

    python -m tests.bench.weightings                             MMoE and PLE on Census-Income and KuaiRand
    python -m tests.bench.weightings --weightings famo mgda --architectures mmoe --tasks 2 --rounds 3 --output look.json
    python -m tests.bench.weightings --markdown                  the table of results/bench/README.md, from weightings.json

A method's ratio is the median over rounds of its CPU time over that of equal weighting in the same round. Its solver is in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark import RunConfig, configure
from benchmark.datasets import Data
from benchmark.records.record import combines_gradients
from benchmark.runs.runner import build_trainer
from benchmark.settings.registry import plain, weightings
from benchmark.training.trainer import Trainer
from tests.bench.peers_report import MODELS, row
from tests.bench.steps import Results, conditions, load, parser, seconds_of_steps, show_or_measure

RESULT = Path("results/bench/weightings.json")
DATASETS = {2: "census_income", 4: "kuairand"}  # by their number of tasks
SCOPES = ("trunk", "all", "representation")
LOSS_LIMITS = {"famo": 1.4}  # times equal; the others of losses alone: 1.05
GRADIENT_LIMITS = {2: 1.6, 4: 2.6}  # by the number of tasks
GRADNORM_LIMIT = 1.5
NOISE = 1.05  # of two measured ratios, so much is no difference


def make_trainer(name: str, scope: str, architecture: str, dataset: str, data: Data) -> Trainer:
    """A model at its start; `scope` is empty for a weighting that does not combine gradients."""
    weighting = configure("weighting", name, **({"scope": scope} if scope else {}))
    config = RunConfig(dataset=dataset, architecture=architecture, weighting=weighting)
    return build_trainer(config, data, torch.device("cpu"))


def methods(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and scope of every method, those of gradients in each scope."""
    for name in names:
        config = plain(weightings.config(name))
        scopes = SCOPES if combines_gradients(config) else ("",)
        if config.get("scope", SCOPES[0]) not in SCOPES:  # one of its own: gradnorm
            scopes = (config["scope"],)
        if name != "equal":
            yield from ((name, scope) for scope in scopes)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each method, scope, architecture and number of tasks: the quartiles of its ratios to equal weighting.

    Each method is alone with equal weighting, as in a training: what fifty models at once cost each other in caches and
    page faults is no part of a method.
    """
    data = load([DATASETS[tasks] for tasks in options.tasks])  # before hours are spent
    rows = []
    for architecture in options.architectures:
        for tasks in options.tasks:
            dataset = DATASETS[tasks]
            print(f"{architecture}, {tasks} tasks ({dataset})", flush=True)
            for name, scope in methods(options.weightings):
                sides = ("equal", ""), (name, scope)
                seconds = seconds_of_steps(
                    [make_trainer(*side, architecture, dataset, data[dataset]) for side in sides],
                    rounds=options.rounds, steps=options.steps, batch_size=options.batch_size,
                )  # fmt: skip
                equal = 1000 * np.median(seconds[:, 0])
                low, ratio, high = np.percentile(seconds[:, 1] / seconds[:, 0], (25, 50, 75))
                print(f"  {name:22}{scope:16}{ratio:6.2f}  [{low:.2f}, {high:.2f}]  of {equal:.2f} ms", flush=True)
                rows.append({
                    "weighting": name, "scope": scope, "architecture": architecture, "tasks": tasks,
                    "ratio": round(ratio, 3), "quartiles": [round(low, 3), round(high, 3)],
                })  # fmt: skip
    return rows


def limit(weighting: str, scope: str, tasks: int, trunk: float) -> float:
    """The ratio that a method should not exceed.

    Args:
        weighting, scope, tasks: What was measured.
        trunk: The ratio of the same method under `trunk`, which is the limit under `representation`.
    """
    if scope == "representation":
        return NOISE * trunk
    if weighting == "gradnorm":
        return GRADNORM_LIMIT
    return GRADIENT_LIMITS[tasks] if scope else LOSS_LIMITS.get(weighting, 1.05)


def markdown(results: Results) -> str:
    """The table of results/bench/README.md: a step as a ratio to one of equal weighting; bold where it exceeds its limit."""
    columns = list(dict.fromkeys((found["architecture"], found["tasks"]) for found in results["rows"]))
    ratios = {
        (found["weighting"], found["scope"], found["architecture"], found["tasks"]): found["ratio"]
        for found in results["rows"]
    }
    lines = [
        row(["weighting", "scope", *(f"{MODELS[architecture]} {tasks} tasks" for architecture, tasks in columns)]),
        row(["---", "---", *("---:" for _ in columns)]),
    ]
    methods = dict.fromkeys((found["weighting"], found["scope"]) for found in results["rows"])
    for weighting, scope in sorted(methods, key=lambda method: (method[1] != "", method[0])):  # those of losses first
        cells = []
        for architecture, tasks in columns:
            ratio = ratios[weighting, scope, architecture, tasks]
            most = limit(weighting, scope, tasks, ratios.get((weighting, "trunk", architecture, tasks), ratio))
            cells.append(f"**{ratio:.2f}**" if ratio > most else f"{ratio:.2f}")
        lines.append(row([f"`{weighting}`", scope, *cells]))
    return "\n".join([*lines, "", conditions(results, "bench-weightings")])


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__ or "", RESULT)
    options.add_argument("--weightings", nargs="*", default=weightings.names(), help="names; default: all")
    options.add_argument("--architectures", nargs="*", choices=list(MODELS), default=list(MODELS))
    options.add_argument(
        "--tasks",
        nargs="*",
        type=int,
        choices=list(DATASETS),
        default=list(DATASETS),
        help="2: census_income; 4: kuairand",
    )
    show_or_measure("bench-weightings", options.parse_args(arguments), measure, markdown)


if __name__ == "__main__":
    main()
