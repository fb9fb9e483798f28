"""Memory and speed from 1e5 to 1e8 rows on disk: `make bench-scale`.

    python -m tests.bench.scale                                  1e5, 1e6, 1e7 and 1e8 rows
    python -m tests.bench.scale --rows 1000000 --output look.json
    python -m tests.bench.scale --markdown                       the table of results/bench/README.md, from scale.json

A CSV file of eleven columns is drawn in pieces. One process prepares it; another trains MMoE on what was prepared, for a
fixed number of steps after a warm-up, and then validates on all of validation. This process watches the anonymous memory
of both: pages of mapped files do not count, for the system takes them back as it likes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import torch

from benchmark import RunConfig
from benchmark.datasets import Data, Dataset
from benchmark.datasets.prepare import Table, prepare, random_split
from benchmark.datasets.text import scan_text
from benchmark.kinds import BINARY, REGRESSION
from benchmark.pieces import pieces
from benchmark.runs.machine import environment
from benchmark.runs.runner import build_trainer
from benchmark.schema import Task
from benchmark.settings.registry import DatasetConfig
from benchmark.training.trainer import Trainer
from tests.bench.peers_report import row
from tests.bench.steps import Results, cpu, positive

RESULT = Path("results/bench/scale.json")
SIZES = (10**5, 10**6, 10**7, 10**8)
USERS, ITEMS = 100_000, 20_000  # the same for all sizes: large tables of embeddings are another question
CATEGORIES, DEVICES = [f"category {number}" for number in range(40)], ["phone", "desktop", "tablet"]
TYPES: dict[str, type[pl.DataType]] = {
    "user": pl.Int32, "item": pl.Int32, "category": pl.String, "device": pl.String, "tab": pl.Int8, "hour": pl.Int8,
    "price": pl.Float64, "age": pl.Float64, "click": pl.Int8, "buy": pl.Int8, "seconds": pl.Float64,
}  # fmt: skip
WARM_UP = 50
EVERY = 0.01  # seconds between looks at the memory
LIMIT = 2 << 30


class Log(Dataset):
    """A log of clicks in a CSV file."""

    registered_as: ClassVar[str] = "bench_scale"
    all_tasks = (Task("click", BINARY), Task("buy", BINARY, given="click"), Task("seconds", REGRESSION, unit="seconds"))
    user, item = "user", "item"

    @dataclass(kw_only=True, slots=True)
    class Config(DatasetConfig):
        """It has no parameters."""

        registered_as: ClassVar[str] = "bench_scale"

    def __init__(self, path: Path) -> None:
        self.path = path

    def build(self) -> Data:
        """Reads the file, or takes the arrays from the cache."""
        return prepare(self, read=self._read, source={"file": self.path.name})

    def _read(self) -> Table:
        log = scan_text(self.path, TYPES, nullable=("age", "seconds"))
        num_rows = log.select(pl.len()).collect(engine="streaming").item()
        return Table(
            categorical={name: pl.col(name) for name in ("user", "item", "category", "device", "tab", "hour")},
            numeric={"price": pl.col("price"), "age": pl.col("age")},
            labels={name: pl.col(name) for name in ("click", "buy", "seconds")},
            split=random_split(num_rows, 0),
            user_fields=("user", "age"),
            item_fields=("item", "category", "price"),
            frame=log,
        )


def write_csv(path: Path, num_rows: int) -> None:
    """Draws the log, a million rows at a time."""
    with path.open("wb") as file:
        for number, part in enumerate(pieces(num_rows)):
            frame = _draw(np.random.default_rng([0, number]), part.stop - part.start)
            frame.write_csv(file, include_header=number == 0)


def _draw(rng: np.random.Generator, num_rows: int) -> pl.DataFrame:
    user, item = rng.integers(USERS, size=num_rows), rng.integers(ITEMS, size=num_rows)
    price = np.round(np.exp(rng.normal(3, 1, num_rows)), 2)
    taste = np.sin(user * 1.7) + np.cos(item * 2.3) + np.sin(user * 0.1 + item * 0.2) - 0.2 * np.log(price)
    click = rng.random(num_rows) < 1 / (1 + np.exp(-taste))
    buy = click & (rng.random(num_rows) < 0.2)
    seconds = np.where(click, np.round(rng.gamma(2, 10, num_rows) * np.exp(0.2 * taste), 2), np.nan)
    age = np.where(user % 10 == 0, np.nan, 18 + user % 60)
    frame = pl.DataFrame({
        "user": user + 1, "item": item + 1, "category": np.array(CATEGORIES)[item % len(CATEGORIES)],
        "device": rng.choice(DEVICES, num_rows), "tab": rng.integers(15, size=num_rows),
        "hour": rng.integers(24, size=num_rows), "price": price, "age": age, "click": click.astype(np.int8),
        "buy": buy.astype(np.int8), "seconds": seconds,
    })  # fmt: skip
    return frame.with_columns(pl.col("age", "seconds").fill_nan(None))


def prepare_log(path: Path) -> Results:
    """What the process that prepares has to tell."""
    start = time.perf_counter()
    data = Log(path).build()
    return {"seconds": time.perf_counter() - start, "fingerprint": data.fingerprint, "train_rows": len(data.train)}


def train(path: Path, steps: int, batch_size: int) -> Results:
    """What the process that trains has to tell."""
    torch.set_num_threads(1)
    data = Log(path).build()
    config = RunConfig(dataset="shop", architecture="mmoe")
    config.trainer.batch_size = batch_size
    trainer = build_trainer(config, data, torch.device("cpu"))
    trainer.model.train()
    _step(trainer, WARM_UP, batch_size, seed=0)
    start, start_cpu = time.perf_counter(), time.process_time()
    _step(trainer, steps, batch_size, seed=1)
    wall, own = time.perf_counter() - start, time.process_time() - start_cpu
    start = time.perf_counter()
    metrics, _, _ = trainer.evaluate(data.validation)
    return {
        "rows_per_second": steps * batch_size / wall,
        "rows_per_cpu_second": steps * batch_size / own,
        "validation_rows": len(data.validation),
        "validation_seconds": time.perf_counter() - start,
        "model_bytes": 12 * sum(parameter.numel() for parameter in trainer.model.parameters()),  # Adam keeps two more
        "click_auc": metrics["click"]["auc"],
    }


def _step(trainer: Trainer, steps: int, batch_size: int, seed: int) -> None:
    epochs = (
        trainer.rows.batches(batch_size, torch.Generator().manual_seed(derived)) for derived in count(1000 * seed)
    )
    for batch in islice(chain.from_iterable(epochs), steps):
        trainer.step(batch)


def watched(arguments: Sequence[str], cache: Path) -> Results:
    """Runs a part of this file in a process of its own: what it tells, and its greatest anonymous memory in bytes."""
    command = [sys.executable, "-m", "tests.bench.scale", *arguments]
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, env={**os.environ, "MTLBENCH_CACHE": str(cache)})
        peak = 0
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            time.sleep(EVERY)
        out.seek(0)
        text = out.read()
    if process.returncode:
        raise ValueError(f"{' '.join(command)} ended with {process.returncode}")
    told: Results = json.loads(text.splitlines()[-1])
    return told | {"peak_anonymous_bytes": peak}


def anonymous(pid: int) -> int:
    """Bytes of the anonymous pages of a process that are in memory."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def measure(options: argparse.Namespace) -> list[Results]:
    """One line of results for each size."""
    found = []
    for num_rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-scale-") as name:
            folder = Path(name)
            path = folder / f"log-{num_rows}.csv"
            write_csv(path, num_rows)
            line = {"rows": num_rows, "steps": options.steps, "csv_bytes": path.stat().st_size}
            line["prepare"] = watched(["--prepare", str(path)], folder / "cache")
            line["prepared_bytes"] = sum(file.stat().st_size for file in (folder / "cache").rglob("*.npy"))
            path.unlink()  # what follows reads the cache
            steps = ["--steps", str(options.steps), "--batch-size", str(options.batch_size)]
            line["train"] = watched(["--train", str(path), *steps], folder / "cache")
        print(json.dumps(line), flush=True)
        found.append(line)
    return found


HEAD = (
    "rows", "CSV", "arrays", "preparing: memory", "rows a second", "training: memory", "rows a second", "rows a CPU second",
)  # fmt: skip


def markdown(results: Results) -> str:
    """The table of results/bench/README.md."""

    def size(value: float) -> str:
        return f"{value / 2**30:,.2f} GiB"

    lines = [row(HEAD), row(["---:"] * len(HEAD))]
    for line in results["rows"]:
        prepared, trained = line["prepare"], line["train"]
        bold = ["**" if part["peak_anonymous_bytes"] > LIMIT else "" for part in (prepared, trained)]
        lines.append(row([
            f"{line['rows']:,}", size(line["csv_bytes"]), size(line["prepared_bytes"]),
            f"{bold[0]}{size(prepared['peak_anonymous_bytes'])}{bold[0]}", f"{line['rows'] / prepared['seconds']:,.0f}",
            f"{bold[1]}{size(trained['peak_anonymous_bytes'])}{bold[1]}", f"{trained['rows_per_second']:,.0f}",
            f"{trained['rows_per_cpu_second']:,.0f}",
        ]))  # fmt: skip
    about, steps = results["environment"], sorted({line["steps"] for line in results["rows"]})
    return "\n".join(lines) + (
        f"\n\n1 thread of {about['cpu']} for training, torch {about['torch'].split('+')[0]}, batch size "
        f"{about['batch_size']:,}, {' to '.join(f'{number:,}' for number in (steps[0], steps[-1])[: len(steps)])} steps, "
        f"{about['started'][:10]}: `make bench-scale`."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rows", type=positive, nargs="+", default=list(SIZES))
    made.add_argument("--steps", type=positive, default=2500, help="of training; a block of rows is 1,024 of them")
    made.add_argument("--batch-size", type=positive, default=1024)
    made.add_argument(
        "--folder",
        type=Path,
        help="where to keep the files, about 200 bytes per row; default: where temporary files are",
    )
    made.add_argument("--output", type=Path, default=RESULT, help=f"default: {RESULT}")
    made.add_argument("--markdown", action="store_true", help="print the table from the results; runs nothing")
    made.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    made.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    options = made.parse_args(arguments)
    if options.prepare:
        print(json.dumps(prepare_log(options.prepare)))
    elif options.train:
        print(json.dumps(train(options.train, options.steps, options.batch_size)))
    elif options.markdown:
        print(markdown(json.loads(options.output.read_text(encoding="utf-8"))))
    else:
        about = environment() | {"cpu": cpu(), "batch_size": options.batch_size}
        about["load_before"] = round(os.getloadavg()[0], 2)
        results = {"environment": about, "rows": measure(options)}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"\n{markdown(results)}\n\nwritten: {options.output}")


if __name__ == "__main__":
    main()
