"""What the verbs of `mtlbench` need beyond click: misspelt verbs, margins, and options that belong to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchmark.statistics import Margin


class Verbs(click.Group):
    """A group whose misspelt verb is one line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with what was meant and the known names in the error."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from benchmark.text import unknown

            raise click.UsageError(unknown("verb", args[0], self.commands))
        return super().resolve_command(ctx, args)


class MarginOption(click.Option):
    """`--margin auc=0.001 --margin mse=1%`; its help ends with the defaults, which the kinds of task have."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """As click does it, with the defaults."""
        from benchmark.kinds import default_margins

        record = super().get_help_record(ctx)
        defaults = ", ".join(f"{metric}={size}" for metric, size in default_margins().items())
        return record and (record[0], f"{record[1]}  [default: {defaults}]")


def margins_of(option: str, words: tuple[str, ...], also: tuple[str, ...] = ()) -> dict[str, Margin]:
    """The words given to a `MarginOption`, by metric.

    Args:
        option: Its name, for errors.
        words: Such as `auc=0.001`.
        also: What is known beside the headline metrics.

    Raises:
        ValueError: for an unknown metric, or a value that is not a margin.
    """
    from benchmark.kinds import check_headlines
    from benchmark.statistics import Margin

    margins = {}
    for word in words:
        metric, equals, size = word.partition("=")
        if not equals:
            raise ValueError(f"{option} {word}: expected METRIC=VALUE, such as auc=0.001 or mse=1%")
        try:
            if metric not in also:
                check_headlines([metric], also)
            margins[metric] = Margin.parse(size)
        except ValueError as error:
            raise ValueError(f"{option} {word}: {error}") from None
    return margins


def only_with(option: str, others: dict[str, object], *, there: bool) -> None:
    """Refuses options that say how another is done, where that other is not there.

    Raises:
        ValueError: naming both.
    """
    for name, value in others.items():
        if value is not None and not there:
            raise ValueError(f"{name}: expected {option} beside it, found none")
