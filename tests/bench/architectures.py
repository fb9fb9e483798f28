"""What an epoch of every architecture costs on Census-Income, at default size: `make bench-architectures`.

    python -m tests.bench.architectures                          all architectures that suit the data set
    python -m tests.bench.architectures --architectures ple --rounds 3 --output look.json
    python -m tests.bench.architectures --markdown               the table of results/bench/README.md, from architectures.json

Seconds of an epoch are the CPU time of a step times the steps of an epoch. What its multiply-adds do not explain is the last
column: the time over that of MMoE, divided by the multiply-adds over those of MMoE.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark import RunConfig
from benchmark.datasets import Data
from benchmark.embeddings import embedding_parameters
from benchmark.runs.machine import multiply_adds
from benchmark.runs.runner import build_trainer
from benchmark.settings.registry import architectures
from benchmark.training.trainer import Trainer
from tests.bench.peers_report import row
from tests.bench.steps import Results, conditions, load, parser, seconds_of_steps, show_or_measure

RESULT = Path("results/bench/architectures.json")
DATASET = "census_income"
BASES = ("shared_bottom", "mmoe")  # always measured: what seconds and multiply-adds are compared with
LARGE = 50_000  # multiply-adds per row, above which time should follow them
LIMIT = 1.3
HEAD = (
    "architecture", "parameters", "of embeddings", "multiply-adds per row", "seconds per epoch", "× `shared_bottom`",
    "time over multiply-adds, × `mmoe`",
)  # fmt: skip


def chosen(names: Sequence[str] | None, data: Data) -> list[str]:
    """The bases, then the other architectures in order.

    Args:
        names: None: all that suit the data set.
        data: Its prepared rows.

    Raises:
        ValueError: for an architecture that does not suit it, with the reason.
    """
    reasons = {name: architectures.get(name).requires(data.schema) for name in names or architectures.names()}  # type: ignore[attr-defined]
    for name, reason in reasons.items():
        if names and reason is not None:
            raise ValueError(f"architecture {name} does not suit dataset {DATASET}: {reason}")
    return list(dict.fromkeys((*BASES, *(name for name, reason in reasons.items() if reason is None))))


def make_trainer(name: str, data: Data) -> Trainer:
    """An architecture at its start, under equal weighting."""
    return build_trainer(RunConfig(dataset=DATASET, architecture=name), data, torch.device("cpu"))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each architecture: sizes, seconds, and the quartiles of its ratio to shared bottom."""
    data = load([DATASET])[DATASET]
    names = chosen(options.architectures, data)
    trainers = [make_trainer(name, data) for name in names]
    seconds = seconds_of_steps(
        trainers, rounds=options.rounds, steps=options.steps, batch_size=options.batch_size
    )  # fmt: skip
    adds = [multiply_adds(trainer.model, data.train.features.cut(0, 1)) for trainer in trainers]
    quartiles = np.percentile(seconds / seconds[:, :1], (25, 50, 75), axis=0).T
    beside_mmoe = np.median(seconds / seconds[:, 1:2], axis=0) / (np.array(adds) / adds[1])
    rows = []
    for number, (name, trainer) in enumerate(zip(names, trainers, strict=True)):
        of_embeddings = embedding_parameters(trainer.model)
        low, ratio, high = quartiles[number]
        rows.append({
            "architecture": name,
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()) - of_embeddings,
            "embedding_parameters": of_embeddings,
            "multiply_adds": adds[number],
            "seconds": round(float(np.median(seconds[:, number])) * len(data.train) / options.batch_size, 3),
            "ratio": round(ratio, 3),
            "quartiles": [round(low, 3), round(high, 3)],
            "over_multiply_adds": round(beside_mmoe[number], 3),
        })  # fmt: skip
    return sorted(rows, key=lambda found: str(found["architecture"]))


def markdown(results: Results) -> str:
    """The table of results/bench/README.md; bold: a large architecture whose time exceeds what its multiply-adds explain."""
    lines = [row(list(HEAD)), row(["---", *("---:" for _ in HEAD[1:])])]
    for found in results["rows"]:
        sizes = [f"{found[key]:,}" for key in ("parameters", "embedding_parameters", "multiply_adds")]
        over = f"{found['over_multiply_adds']:.2f}" if found["multiply_adds"] > LARGE else ""
        shown = f"**{over}**" if over and found["over_multiply_adds"] > LIMIT else over
        lines.append(
            row([f"`{found['architecture']}`", *sizes, f"{found['seconds']:.2f}", f"{found['ratio']:.2f}", shown])
        )
    return "\n".join([*lines, "", conditions(results, "bench-architectures")])


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__ or "", RESULT)
    options.add_argument("--architectures", nargs="*", help="names; default: all that suit the data set")
    show_or_measure("bench-architectures", options.parse_args(arguments), measure, markdown)


if __name__ == "__main__":
    main()
