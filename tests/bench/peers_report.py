"""What the race of `peers.py` says: tables, targets, and what could not be made identical. Imports no torch.

The results are `{model: {batch size: {contestant: seconds}}}`, beside `environment` and `details`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.table import Table

Results = dict[str, Any]

MODELS = {"mmoe": "MMoE", "ple": "PLE"}
PEERS = {"deepctr_torch": ("deepctr-torch", "0.3.0"), "torch_rechub": ("torch-rechub", "0.9.0")}
CONTESTANTS = ("mtlbench", "plain", *PEERS)
FASTEST = "the fastest peer"

DIFFERENCES = """\
The same for all: rows, columns, order of columns, sizes of layers, Adam with a learning rate of .001, no weight decay, no
dropout, single precision, threads. Every epoch goes over all rows in a new random order (mtlbench: the same in every round).
Not the same:
- mtlbench: fused Adam; loss on logits; batches gathered from whole arrays by index; the sum of the tasks' losses.
- plain: as mtlbench, but the first layer is one product over the concatenated embeddings; all experts and gates in it.
- deepctr-torch 0.3.0: the loss is summed over the rows of a batch (Adam's steps are nearly the same); loss on
  probabilities; Adam as torch chooses (on CPUs a loop over parameters); one float32 matrix, read row by row and collated by
  a DataLoader; two losses are read in every step; an embedding and an expert at a time. In PLE the last level has a shared
  gate too: it is computed, and nothing reads it.
- torch-rechub 0.9.0: BatchNorm after every hidden and gate layer, and gates with a bias; the mean of the tasks' losses; loss
  on probabilities; Adam as torch chooses; a dictionary of all columns for every row, collated by a DataLoader (num_workers 0,
  its default); every task's loss is read in every step, and all modules are walked for a penalty of 0; an embedding and an
  expert at a time.
- Initial values are each library's own. This is about speed; it says nothing about the quality of the models."""


@dataclass(frozen=True, slots=True)
class Target:
    """At a batch size, a model of ours is to be so many times faster than a peer.

    Args:
        model: mmoe or ple.
        batch_size: Rows in a step.
        peer: Whom: a contestant, or FASTEST.
        ratio: The peer's seconds over ours, at least.
    """

    model: str
    batch_size: int
    peer: str
    ratio: float


TARGETS = (
    Target("mmoe", 1024, FASTEST, 5.5),
    Target("mmoe", 1024, "torch_rechub", 9.0),
    Target("ple", 1024, FASTEST, 3.7),
    Target("ple", 1024, "torch_rechub", 6.0),
    Target("mmoe", 256, FASTEST, 4.0),
    Target("mmoe", 4096, FASTEST, 8.0),
)


def races(results: Results) -> Iterator[tuple[str, int, dict[str, float]]]:
    """(model, batch size, {contestant: seconds}) of all that was measured."""
    for model in MODELS:
        for batch_size, seconds in sorted(results.get(model, {}).items(), key=lambda item: int(item[0])):
            yield model, int(batch_size), seconds


def reached(results: Results) -> Iterator[tuple[Target, float]]:
    """The targets that the results can judge, each with the ratio found."""
    measured = {(model, batch_size): seconds for model, batch_size, seconds in races(results)}
    for target in TARGETS:
        seconds = measured.get((target.model, target.batch_size))
        if seconds is not None:
            theirs = min(seconds[peer] for peer in PEERS) if target.peer == FASTEST else seconds[target.peer]
            yield target, theirs / seconds["mtlbench"]


def race_table(model: str, batch_size: int, seconds: dict[str, float], details: dict[str, Any]) -> Table:
    """One race for the terminal.

    Args:
        model: mmoe or ple.
        batch_size: Rows in a step.
        seconds: {contestant: median of an epoch}.
        details: {contestant: its `seconds` and `losses` by round, and its number of `parameters`}.
    """
    table = Table(title=f"{MODELS[model]}, batch size {batch_size}", title_justify="left")
    headings = ("", "s an epoch", "from - to", "mtlbench is", "loss, first - last", "parameters", "")
    for column, heading in enumerate(headings):
        table.add_column(heading, justify="right" if column else "left", no_wrap=True)
    ours = details["mtlbench"]["parameters"]
    for name in CONTESTANTS:
        found = details[name]
        more = found["parameters"] - ours
        table.add_row(
            label(name),
            f"{seconds[name]:.2f}",
            f"{min(found['seconds']):.2f} - {max(found['seconds']):.2f}",
            "" if name == "mtlbench" else f"{seconds[name] / seconds['mtlbench']:.1f} x faster",
            f"{found['losses'][0]:.4f} - {found['losses'][-1]:.4f}",
            f"{found['parameters']:,}",
            f"{more:+,}" if more else "",
        )
    return table


def target_table(results: Results) -> Table:
    """The targets for the terminal, met or missed."""
    table = Table(title="Targets: times faster", title_justify="left")
    for column, heading in enumerate(("", "than", "at least", "found", "")):
        table.add_column(heading, justify="right" if column in (2, 3) else "left")
    for target, ratio in reached(results):
        table.add_row(
            f"{MODELS[target.model]} {target.batch_size}",
            FASTEST if target.peer == FASTEST else label(target.peer),
            f"{target.ratio:.1f}",
            f"{ratio:.1f}",
            "met" if ratio >= target.ratio else "missed",
        )
    return table


def markdown(results: Results) -> str:
    """The table of results/bench/README.md: seconds of an epoch, in brackets how many times faster mtlbench is; and its conditions."""
    measured = list(races(results))
    lines = [
        row(["Seconds an epoch", *(f"{MODELS[model]} {batch_size}" for model, batch_size, _ in measured)]),
        row(["---", *("---:" for _ in measured)]),
    ]
    for name in CONTESTANTS:
        cells = [_cell(seconds, name) for _, _, seconds in measured]
        lines.append(row([label(name), *cells]))
    found = results["environment"]
    conditions = (
        f"{found['threads']} threads of {found['cpu']}, torch {found['torch'].split('+')[0]}, {found['rows']:,} rows, "
        f"median of {found['rounds']} epochs, {found['started'][:10]}"
    )
    return "\n".join([*lines, "", f"{conditions}: `{found['command']}`."])


def row(cells: list[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _cell(seconds: dict[str, float], name: str) -> str:
    if name == "mtlbench":
        return f"**{seconds[name]:.2f}**"
    return f"{seconds[name]:.2f} ({seconds[name] / seconds['mtlbench']:.1f}×)"


def label(name: str) -> str:
    """How a contestant is called in tables."""
    return " ".join(PEERS[name]) if name in PEERS else {"plain": "mtlbench, plain first layer"}.get(name, name)
