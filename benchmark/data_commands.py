"""`mtlbench data`: what is in a data set. Each verb is a thin call of Python, as in `benchmark.cli`."""

from __future__ import annotations

import click

from benchmark.console import echo
from benchmark.options import Verbs


@click.group(cls=Verbs)
def data() -> None:
    """Look at a data set before a model is trained on it."""


@data.command()
@click.argument("name")
@click.argument("options", nargs=-1, metavar="[dataset.KEY=VALUE]...")
@click.option("--html", type=click.Path(dir_okay=False), help="Write the card as one self-contained page.")
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
def card(name: str, options: tuple[str, ...], *, html: str | None, as_json: bool) -> None:
    """Describe a data set, and warn of leaks.

    \b
      mtlbench data card kuairand
      mtlbench data card kuairand dataset.variant=1k --html card.html

    It counts the rows of each split, the values of each field, how many are missing, and how many of test are not in
    train. It shows how labels are distributed and correlated, and how well each field alone predicts them.

    It warns if a field predicts a label too well, if test rows are in train, if splits overlap in time, or if an id
    has the order of a label or of the splits. Reports show the card of every data set that was trained on.
    """  # noqa: D301  click looks for the character \b
    import json

    from benchmark.reporting.cards import CardPage
    from benchmark.runs.card import card_from_overrides

    found = card_from_overrides(name, options)
    page = CardPage(found)
    if html is not None:
        page.write(html)
    if as_json:
        echo(json.dumps(found.to_json(), indent=1))
    else:
        page.print()
    if html is not None and not as_json:
        echo(f"written: {html}")


@data.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--rows", type=click.IntRange(min=1), help="How many rows to look at, the first ones.  [default: 200000]")
def describe(files: tuple[str, ...], *, rows: int | None) -> None:
    """Propose the YAML that describes a table of your own.

    \b
      mtlbench data describe clicks.csv > clicks.yaml
      mtlbench run dataset=table dataset.file=clicks.yaml architecture=mmoe,single_task

    FILE is CSV (of any common separator, plain or gzipped) or Parquet. Several files make one table.

    The YAML has a comment on every column: how it looks, and why it was taken for what it is. What is unsure is marked, and
    told again beside the YAML. `mtlbench list datasets table` explains all keys.
    """  # noqa: D301  click looks for the character \b
    import sys

    from benchmark.datasets._proposal import describe as propose

    text, notes = propose(files, rows)
    echo(text.rstrip())
    for note in notes:
        echo(f"mtlbench: {note}", file=sys.stderr)
