"""`mtlbench clean`: a thin call of Python, as in `benchmark.cli`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.console import echo
from benchmark.records.record import RESULTS_DIR


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(), metavar="[FOLDER]...")
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def clean(folders: tuple[str, ...], *, dry_run: bool) -> None:
    """Remove temporary files that killed processes left behind.

    It looks in every FOLDER of results (default: results/runs) and the folders below it, in the cache, and in the system's
    folder for temporary files. Temporary files have their process in their name. Those of live processes stay, and those of
    other machines until nothing was written to them for a day. Unfinished runs keep what they continue from.

    A sweep does the same for its own folders.
    """
    from benchmark.runs import clean as cleaning
    from benchmark.temporaries import size_of

    places = [Path(folder) for folder in folders or (RESULTS_DIR,)]
    for place in places:
        if folders and not place.is_dir():
            raise ValueError(f"{place} is no folder; expected folders of results")
    found = cleaning.leftovers(places)
    sizes = {path: size_of(path) for path in found}
    gone = found if dry_run else cleaning.clean(places)
    for path in found:
        done = ("would be removed" if dry_run else "removed") if path in gone else "cannot be removed"
        echo(f"{done}: {path} ({sizes[path]:,} bytes)")
    if not found:
        echo("nothing to remove")
