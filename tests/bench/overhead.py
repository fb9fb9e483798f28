"""What a sweep costs beside training, against named targets: `make bench-overhead`, or `python -m tests.bench.overhead --quick`.

Every comparison alternates its two sides in this one run and takes medians, so that a busy machine slows both alike;
seconds without another side to them are only worth what the machine is worth. On `census_income` where MTLBENCH_DATA is
set, else on `shop`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from benchmark import Record, RunConfig, load_records, metrics, run
from benchmark.datasets import Data
from benchmark.files import digest
from benchmark.kinds import BINARY
from benchmark.records.record import record_files
from benchmark.rows import Split
from benchmark.runs.runner import build_dataset, build_model, environment
from benchmark.settings.composition import compose_run
from benchmark.training.batches import TrainingRows
from benchmark.training.prediction import predict
from benchmark.training.targets import TargetScale
from tests.bench.peers_report import row

RESULT = Path("results/bench/overhead.json")
TINY = ["dataset=shop", "dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=4000"]
TINY += ["trainer.max_epochs=2", "trainer.batch_size=256", "threads=1"]
BARE_IMPORT = [sys.executable, "-c", "import torch, hydra"]
MTLBENCH = [sys.executable, "-c", "from benchmark.cli import main; main()"]  # as the console script does
FIRST_STEP = """
import sys, time
from benchmark.training.step import EagerStep
step = EagerStep.__call__
def first(self, batch):
    print(time.time())
    EagerStep.__call__ = step
    return step(self, batch)
EagerStep.__call__ = first
from benchmark.__main__ import main
main()
"""


@dataclass(frozen=True)
class Measure:
    """One line of the table. `at_least`: the target is a lower bound."""

    name: str
    value: float
    target: float
    unit: str = ""
    at_least: bool = False

    @property
    def ok(self) -> bool:
        """Is the target met?"""
        return self.value >= self.target if self.at_least else self.value <= self.target

    @property
    def line(self) -> str:
        """Of the table."""
        bound = ">=" if self.at_least else "<="
        outcome = "ok" if self.ok else "MISSED"
        return f"{self.name:88} {self.value:7.2f} {self.unit:2} {bound} {self.target:<5g} {outcome}"


def command(*words: str, quiet: bool = True) -> tuple[float, str]:
    """Seconds that a command took, and what it printed."""
    start = time.perf_counter()
    out = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None)
    return time.perf_counter() - start, out.stdout.decode()


def alternated(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The median of each side, one round after the other."""
    times = [[side() for side in sides] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def seconds_to_first_step(folder: Path) -> float:
    arguments = [*TINY, "trainer.max_epochs=1", "rerun=true", f"results_dir={folder}"]
    start = time.time()
    return float(command(sys.executable, "-c", FIRST_STEP, *arguments)[1].split()[0]) - start


def start_up(folder: Path, rounds: int) -> list[Measure]:
    """Processes from their start, each against one that only imports torch and Hydra."""
    command(*BARE_IMPORT), seconds_to_first_step(folder)  # prepares the data set, and warms the file cache
    bare, short, full, first = alternated(
        rounds,
        lambda: command(*BARE_IMPORT)[0],
        lambda: command(*MTLBENCH, "--help")[0],
        lambda: command(*MTLBENCH, "run", "--help")[0],
        lambda: seconds_to_first_step(folder),
    )
    against = f"/ import torch, hydra ({bare:.2f} s)"
    return [
        Measure(f"mtlbench --help {against}", short / bare, 1.5, "x"),
        Measure(f"mtlbench run --help {against}", full / bare, 2.0, "x"),
        Measure(f"command to first training step {against}", first / bare, 3.0, "x"),
    ]


def tiny_sweep(folder: Path, count: int) -> Measure:
    """All that is not a training step counts: start, composition, evaluation, records."""
    arguments = [*TINY, f"seed=range(0,{count})", f"results_dir={folder}"]
    wall, _ = command(sys.executable, "-m", "benchmark", *arguments)
    records = load_records(folder)
    assert len(records) == count
    beyond = wall - sum(record.cost["train_seconds"] for record in records)
    return Measure(f"per run beyond training steps, in a sweep of {count} tiny runs", beyond / count, 0.35, "s")


def report_of_thousand(records: list[Record], folder: Path) -> Measure:
    """Ten methods of 100 seeds each, made from one real record."""
    for rate in range(10):
        for seed in range(100):
            config = {**records[0].config, "seed": seed}
            config["trainer"] = {**config["trainer"], "learning_rate": 1e-3 * (1 + rate)}
            replace(records[(rate + seed) % len(records)], seed=seed, config=config, id=digest(config)[:12]).write(
                folder
            )
    wall, _ = command(*MTLBENCH, "report", str(folder), "--html", str(folder / "report.html"))
    return Measure("report over 1,000 records, with its HTML page", wall, 20.0, "s")


def bare_loop(config: RunConfig, data: Data, selected: int) -> None:
    """The training of `config` as one would write it by hand, with the same evaluations: a plain loop over index batches."""
    model, _ = build_model(config, data)
    scale = TargetScale.of(data.train, data.schema.tasks)
    rows = TrainingRows(data.train, scale, torch.device("cpu"))
    losses = [F.binary_cross_entropy_with_logits if task.kind == BINARY else F.mse_loss for task in data.schema.tasks]
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.trainer.learning_rate, fused=True)
    everything = next(rows.slices(len(rows)))

    def evaluate(split: Split) -> None:
        outputs = predict(
            model, split.features, target_mean_T=scale.mean_T, target_std_T=scale.std_T
        )  # fmt: skip
        metrics.evaluate(data.schema.tasks, outputs, split.labels, data.users(split))

    for _ in range(config.trainer.max_epochs):
        model.train()
        for index in torch.randperm(len(rows)).split(config.trainer.batch_size):
            batch = everything.take(index)
            outputs = model(batch)
            total = torch.zeros(())
            for t, (task, loss) in enumerate(zip(data.schema.tasks, losses, strict=True)):
                known = batch.observed[:, t]
                total = total + loss(outputs[task.name][known], batch.labels[known, t])
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            optimizer.step()
        evaluate(data.validation)
    for _ in range(selected):
        for split in (data.validation, data.test):
            evaluate(split)


def whole_run(dataset: str, folder: Path, rounds: int, epochs: int) -> Measure:
    """`run(config)`, from reading the prepared arrays to the written record, against the bare loop in the same process."""
    alike = [f"trainer.max_epochs={epochs}", "trainer.validations_per_epoch=1"]
    config = compose_run([f"dataset={dataset}", *alike, "rerun=true", f"results_dir={folder}"])
    data = build_dataset(config).build()
    record = run(replace(config, trainer=replace(config.trainer, max_epochs=1)))
    selected = 1

    def whole() -> float:
        nonlocal record, selected
        start = time.perf_counter()
        record = run(config)
        seconds = time.perf_counter() - start
        selected = len({record.best_epoch, *record.best_epoch_per_task.values()})
        return seconds

    def bare() -> float:
        start = time.perf_counter()
        bare_loop(config, data, selected)
        return time.perf_counter() - start

    ours, theirs = alternated(rounds, whole, bare)
    assert len(record.epochs) == epochs, "stopped early"
    return Measure(
        f"whole run of {epochs} epochs, mmoe on {dataset} / bare loop ({theirs:.1f} s)", ours / theirs, 1.25, "x"
    )


def runs_per_minute(folder: Path, workers: int, arguments: list[str]) -> float:
    """From the moment when every worker has ended its first run, so with warm workers, to the last record."""
    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"] if workers > 1 else []
    command(sys.executable, "-m", "benchmark", *arguments, *launcher, "threads=1", f"results_dir={folder}")
    ended = sorted(path.stat().st_mtime for path in record_files(folder))
    return 60 * (len(ended) - workers) / (ended[-1] - ended[workers - 1])


def two_processes(dataset: str, folder: Path, rounds: int, seeds: int) -> Measure:
    arguments = [
        f"dataset={dataset}",
        "architecture=shared_bottom,mmoe",
        f"seed=range(0,{seeds})",
        "trainer.max_epochs=2",
    ]
    folders = iter(folder / str(number) for number in range(2 * rounds))
    one, two = alternated(
        rounds,
        lambda: runs_per_minute(next(folders), 1, arguments),
        lambda: runs_per_minute(next(folders), 2, arguments),
    )
    return Measure(
        f"joblib, 2 processes / basic, 1 thread ({one:.1f} runs a minute) on {dataset}",
        two / one,
        1.5,
        "x",
        at_least=True,
    )


def markdown(results: dict[str, Any]) -> str:
    """The table of results/bench/README.md: what was measured, and its target."""
    lines = [row(["what a sweep costs beside training", "found", "target"]), row(["---", "---:", "---:"])]
    for entry in results["measures"]:
        measure = Measure(**{key: value for key, value in entry.items() if key != "ok"})
        bound, unit = "≥" if measure.at_least else "≤", "×" if measure.unit == "x" else f" {measure.unit}"
        found = f"{measure.value:.2f}{unit}"
        lines.append(
            row([measure.name, found if measure.ok else f"{found}, missed", f"{bound} {measure.target:g}{unit}"])
        )
    ran = results["environment"]
    conditions = f"{ran['cores']} cores, torch {ran['torch'].split('+')[0]}, {ran['started'][:10]}"
    return "\n".join([*lines, "", f"{conditions}: `make bench-overhead`."])


def main(arguments: list[str] | None = None) -> None:
    """Runs all, prints the table and writes the JSON; exit status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and runs, shop in place of census_income; writes nothing"
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the table of results/bench/README.md from the results; runs nothing",
    )
    options = parser.parse_args(arguments)
    if options.markdown:
        print(markdown(json.loads(RESULT.read_text(encoding="utf-8"))))
        return
    quick = options.quick
    dataset = "census_income" if os.environ.get("MTLBENCH_DATA") and not quick else "shop"
    before = environment() | {"load": os.getloadavg()[0]}  # what ran beside it, in processes
    measures: list[Measure] = []

    def add(*found: Measure) -> None:
        for measure in found:
            print(measure.line, flush=True)
        measures.extend(found)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        add(*start_up(folder / "start", 2 if quick else 5))
        add(tiny_sweep(folder / "tiny", 20 if quick else 100))
        add(report_of_thousand(load_records(folder / "tiny"), folder / "thousand"))
        add(whole_run(dataset, folder / "whole", 1 if quick else 3, 2 if quick else 5))
        add(two_processes(dataset, folder / "launchers", 1, 3 if quick else 6))
    if not quick:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        rows = [asdict(measure) | {"ok": measure.ok} for measure in measures]
        RESULT.write_text(json.dumps({"environment": before, "measures": rows}, indent=1) + "\n")
        print(f"written: {RESULT}")
    sys.exit(not all(measure.ok for measure in measures))


if __name__ == "__main__":
    main()
