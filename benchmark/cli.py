"""The console script `mtlbench`: each verb is a thin call of Python that a notebook can call too.

Imports stay inside the verbs, so that `mtlbench --help` answers at once, without torch.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

import click

import benchmark

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class Verbs(click.Group):
    """A group whose misspelt verb is one line."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with what was meant and the known names in the error."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from benchmark.registry import unknown

            raise click.UsageError(unknown("verb", args[0], self.commands))
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(benchmark.__version__, prog_name="mtlbench")
@click.pass_context
def mtlbench(context: click.Context) -> None:
    r"""A head-to-head benchmark of multi-task recommenders: same data, same seeds, AUC beside MSE.

    \b
      mtlbench run dataset=shop architecture=mmoe,shared_bottom seed='range(0,5)'
      mtlbench report results/runs --html report.html
      mtlbench list architectures mmoe
      mtlbench recommend RECORD --user 42
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@mtlbench.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def run(overrides: tuple[str, ...]) -> None:
    """Train one run or a sweep; its --help lists all keys."""
    from benchmark.__main__ import main as app

    sys.argv = ["mtlbench run", *overrides]
    app()


@mtlbench.command()
@click.argument("results", default="results/runs", type=click.Path())
@click.option(
    "--baseline", default="single_task/equal", show_default=True, help="The method all others are compared to."
)
@click.option(
    "--selection",
    type=click.Choice(["joint", "per_task"]),
    default="joint",
    show_default=True,
    help="The epoch that is reported: one for all tasks, or each task's best.",
)
@click.option("--html", type=click.Path(dir_okay=False), help="Write one self-contained page.")
@click.option("--markdown", type=click.Path(dir_okay=False), help="Write the tables as Markdown.")
@click.option("--csv", type=click.Path(dir_okay=False), help="Write the tables as CSV.")
def report(results: str, **options: Any) -> None:
    """Compare the records under a folder.

    RESULTS is results/runs if it is not given.
    """
    from benchmark.reporting import report as make

    make(results, **options).print()


@mtlbench.command("list")
@click.argument("group", required=False)
@click.argument("name", required=False)
@click.option("--names", is_flag=True, help="Only the names, joined by commas, as a sweep takes them.")
@click.option("--for", "suits", metavar="DATASET", help="Only what suits this data set; no data is read.")
def list_(*, group: str | None, name: str | None, names: bool, suits: str | None) -> None:
    """Show what can be run, and with which parameters.

    Everything; one GROUP (architectures, weightings, datasets, trackers); or all about one NAME in it.
    """
    from benchmark.listing import listing

    click.echo(listing(group, name, suits=suits, names=names))


@mtlbench.command()
@click.argument("record", type=click.Path())
@click.option("--user", "users", multiple=True, required=True, help="An id of the data set's own; may be repeated.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many items.")
@click.option("--score", help="What items are ranked by, of the tasks' names: 'liked * rating^2', 'purchase|click'.")
@click.option("--include-seen", is_flag=True, help="Keep the items that the user has met in train.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
def recommend(record: str, users: tuple[str, ...], form: Literal["table", "json", "csv"], **options: Any) -> None:
    """Show the best items for a user.

    RECORD is the JSON of a run with save_checkpoint=true; the checkpoint lies beside it.
    """
    from benchmark.recommender import recommend as rank

    rank(record, list(users), **options).print(form)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: what a user got wrong is one line on stderr (exit 1; usage 2), unless MTLBENCH_TRACEBACK=1."""
    try:
        mtlbench.main(args=arguments, prog_name="mtlbench", standalone_mode=False)
    except click.ClickException as error:
        _leave(_usage(error), error.exit_code, error)
    except (ValueError, OSError) as error:
        _leave(" ".join(str(error).split()), 1, error)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)  # as a shell reports Ctrl-C


def _usage(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        from benchmark.registry import unknown

        known = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts if name[0] == "-"]
        return unknown("option", error.option_name, known)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message().rstrip('.')}; see {error.ctx.command_path} --help"
    return error.format_message()


def _leave(text: str, status: int, error: BaseException) -> None:
    if os.environ.get("MTLBENCH_TRACEBACK") == "1":
        raise error
    click.echo(f"mtlbench: {text}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
