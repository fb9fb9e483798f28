"""Do published records come out again? `make verify-published`: two runs of every folder under results/records.

It takes the shortest finished run of two methods of each folder, by the seconds that the record has, so every call takes
the same ones. They take about five minutes on two cores. No run starts after the limit, 20 minutes by default (ARGS='--minutes 60');
the table says so. A run whose data are not found is not run either, and counts as nothing: set MTLBENCH_DATA. A run that fails does not
stop the others. The exit status is 1 if a run failed or came out differently.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmark import Record
from benchmark.analysis.reproduction import Reproduction
from benchmark.console import echo
from benchmark.records.record import TRIAL, records_by_path
from benchmark.runs.memory import give_back
from benchmark.runs.reproduce import reproduce
from benchmark.text import duration

FOLDER = Path("results/records")
RUNS = 2
MINUTES = 20.0


def shortest(records: Sequence[Record], number: int = RUNS) -> list[Record]:
    """The shortest finished runs, one for a method; trials do not count."""
    finished = [record for record in records if record.status == "finished" and record.purpose != TRIAL]
    ordered = sorted(finished, key=lambda record: (record.cost["train_seconds"], record.id))
    first = {record.method: record for record in reversed(ordered)}
    return [record for record in ordered if first[record.method] is record][:number]


def verify(folder: Path = FOLDER, minutes: float = MINUTES) -> bool:
    """Runs them again, prints what came out of each, and a table at the end. False if one is different."""
    started, rows, is_same = time.monotonic(), list[tuple[str, str, str]](), True
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        for record in shortest(list(records_by_path(place).values())):
            before = time.monotonic()
            if before - started > 60 * minutes:
                outcome = f"not run: {minutes:g} minutes are over"
            else:
                try:
                    found: Reproduction = reproduce(place, record.id)
                    echo(f"{place.name}, {found}\n")
                    outcome, is_same = found.outcome, is_same and found.is_same
                except FileNotFoundError as error:
                    echo(f"{place.name}, {record.id}: {error}\n")
                    outcome = "not run: data not found"
                except ValueError as error:
                    outcome, is_same = f"cannot be run: {error}", False
                give_back()  # what a run held that ran out of memory
            rows.append((place.name, f"{record.id} {record.method} seed {record.seed}", outcome))
            echo(f"{duration(time.monotonic() - before)}\n")
    for row in [("folder", "run", "outcome"), *rows]:
        echo("  ".join(text.ljust(width) for text, width in zip(row, (16, 52, 0), strict=True)))
    return is_same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="start no run after this many minutes")
    sys.exit(not verify(minutes=parser.parse_args().minutes))


if __name__ == "__main__":
    main()
