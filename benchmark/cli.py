"""The console script `mtlbench`: each verb is a thin call of Python that a notebook can call too.

Imports stay inside the verbs, so that `mtlbench --help` answers at once, without torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import click

import benchmark
from benchmark import stopping
from benchmark.clean_command import clean
from benchmark.console import allow_any_console, echo
from benchmark.data_commands import data
from benchmark.options import MarginOption, Verbs, margins_of, only_with
from benchmark.records.folder import BrokenRecords
from benchmark.records.record import BASELINE, GAIN, RESULTS_DIR, Purpose, SelectionName
from benchmark.text import one_line

if TYPE_CHECKING:
    from benchmark.analysis.answer import Answer
    from benchmark.trackers import Tracker

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


@click.group(cls=Verbs, context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(benchmark.__version__, prog_name="mtlbench")
@click.pass_context
def mtlbench(context: click.Context) -> None:
    """Train multi-task recommenders on the same data with the same seeds, and say which is best, and how sure that is.

    \b
      mtlbench run dataset=shop architecture=mmoe,shared_bottom seed='range(0,5)'
      mtlbench report results/runs --html report.html
      mtlbench compare mmoe/equal single_task/equal
      mtlbench data card census_income
      mtlbench list architectures mmoe
      mtlbench new architecture my_net
      mtlbench recommend RECORD --user 42
    """  # noqa: D301  click looks for the character \b
    if context.invoked_subcommand is None:
        echo(context.get_help())


@mtlbench.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("overrides", nargs=-1, type=click.UNPROCESSED)
def run(overrides: tuple[str, ...]) -> None:
    """Train one run or a sweep. `mtlbench run --help` lists all keys."""
    from benchmark.__main__ import main as app

    sys.argv = ["mtlbench run", *overrides]
    app()


_results = click.argument("results", default=RESULTS_DIR, type=click.Path())
_baseline = click.option(
    "--baseline",
    default=BASELINE,
    show_default=True,
    metavar="METHOD",
    help="The method that all others are compared with: architecture/weighting, as the report names it.",
)
_margin = click.option(
    "--margin",
    cls=MarginOption,
    multiple=True,
    metavar="METRIC=VALUE",
    help="Differences up to this size count as equivalent. 1% means one percent of the other method's mean; gain=0.5% is the "
    "margin of the gain over tasks, and its default. May be repeated.",
)


_skip_broken = click.option(
    "--skip-broken", is_flag=True, help="Continue without broken records, and say which. By default, they are an error."
)


@mtlbench.command()
@click.argument("results", nargs=-1, type=click.Path(), metavar="[FOLDER]...")
@_baseline
@click.option(
    "--selection",
    type=click.Choice(get_args(SelectionName)),
    default="joint",
    show_default=True,
    help="Which epoch to report: one for all tasks, or each task's best.",
)
@click.option(
    "--purpose",
    type=click.Choice(get_args(Purpose)),
    default="all",
    show_default=True,
    help="Which runs to compare: default parameters, tuned parameters, or both side by side.",
)
@_margin
@click.option("--leaderboard", is_flag=True, help="Show only the leaderboard over data sets.")
@click.option("--profiles", is_flag=True, help="Add performance profiles over data sets to the page.")
@click.option("--iqm", is_flag=True, help="Average over data sets with the interquartile mean.")
@_skip_broken
@click.option("--html", type=click.Path(dir_okay=False), help="Write one self-contained page.")
@click.option("--markdown", type=click.Path(dir_okay=False), help="Write the tables as Markdown.")
@click.option(
    "--latex",
    type=click.Path(file_okay=False),
    help="Write the tables as LaTeX (booktabs) into a folder; paper.tex is one table over all data sets.",
)
@click.option(
    "--columns",
    metavar="NAME,...",
    help="With --latex: columns of paper.tex: tasks, metrics, TASK.METRIC, gain, parameters, seconds.  [default: gain and all tasks]",
)
@click.option(
    "--names",
    type=click.Path(dir_okay=False),
    help="With --latex or --figure: a YAML file of print names, with lines such as `single_task/equal: Single-task`.",
)
@click.option("--notes/--no-notes", default=None, help="With --latex: print notes below the tables.  [default: notes]")
@click.option("--csv", type=click.Path(dir_okay=False), help="Write means, differences and verdicts as CSV.")
@click.option(
    "--parquet",
    type=click.Path(dir_okay=False),
    help="Write every value of every run as Parquet; with --leaderboard, one error per run, as the package bencheval reads it.",
)
@click.option(
    "--figure",
    metavar="NAME",
    help="Write one figure for a paper to --out: forest, front, scalarization, cost, curves, weights, conflicts or ranks.",
)
@click.option("--out", type=click.Path(dir_okay=False), help="With --figure: the file to write; .pdf, .svg or .png.")
@click.option("--dataset", metavar="NAME", help="With --figure: the data set to draw. Needed if there are several.")
@click.option(
    "--width",
    type=click.Choice(["page", "column"]),
    help="With --figure: 6.9 inches (page) or 3.3 (column) wide.  [default: page]",
)
@click.option(
    "--tracker",
    multiple=True,
    metavar="NAME|KEY=VALUE",
    help="Send the page and the tables to a tracker, and set its parameters: --tracker wandb --tracker mode=online.",
)
def report(
    results: tuple[str, ...],
    *,
    margin: tuple[str, ...],
    tracker: tuple[str, ...],
    columns: str | None,
    names: str | None,
    notes: bool | None,
    figure: str | None,
    out: str | None,
    dataset: str | None,
    width: Literal["page", "column"] | None,
    **options: Any,
) -> None:
    """Compare the methods whose records are in one or several folders.

    FOLDER defaults to results/runs. The report begins with the answer: is any method better than the baseline?
    """
    from benchmark.reporting import Paper
    from benchmark.reporting import report as make
    from benchmark.reporting.names import read_names

    has_latex, has_figure = options["latex"] is not None, figure is not None
    only_with("--latex", {"--columns": columns, "--notes": notes}, there=has_latex)
    only_with("--figure", {"--out": out, "--dataset": dataset, "--width": width}, there=has_figure)
    only_with("--latex or --figure", {"--names": names}, there=has_latex or has_figure)
    if has_figure and out is None:
        raise ValueError("--figure: expected --out, the file to write it to (.pdf, .svg or .png), found none")
    chosen = _tracker(tracker) if tracker else None  # a misspelt tracker fails before the work starts
    printed = read_names(names) if names is not None else {}
    paper = Paper(tuple(columns.split(",")) if columns else (), printed, notes is not False) if has_latex else None
    made = make(results or RESULTS_DIR, margins=margins_of("--margin", margin, (GAIN,)), paper=paper, **options)
    if figure is None or out is None:
        made.print()
    else:
        drawn = made.figure(figure, out, dataset=dataset, width=width or "page", names=printed)
        echo("\n".join([f"{drawn.title}.", drawn.caption, *(f"written: {path}" for path in (*made.files, out))]))
    place = chosen.report(lambda: made) if chosen is not None else None
    if place is not None:
        echo(f"tracked: {place}")


def _tracker(words: Sequence[str]) -> Tracker:
    """The tracker of `--tracker wandb --tracker mode=online`."""
    from benchmark.settings.composition import compose_run
    from benchmark.settings.registry import trackers

    config = compose_run([f"tracker.{word}" if "=" in word else f"tracker={word}" for word in words])
    return cast("Tracker", trackers.build(config.tracker))


_selection = click.option(
    "--selection",
    type=click.Choice(get_args(SelectionName)),
    default="joint",
    show_default=True,
    help="Which epoch to compare: one for all tasks, or each task's best.",
)


@mtlbench.command()
@click.argument("first")
@click.argument("second")
@click.argument("results", required=False, type=click.Path())
@_margin
@click.option(
    "--fail-if-worse",
    is_flag=True,
    help="Exit with 1 if FIRST is worse anywhere, or if a missing verdict, test or run (of a folder) leaves that open.",
)
@click.option("--delong", is_flag=True, help="Add DeLong's test of the checkpoints of both methods, seed by seed.")
@_selection
@_skip_broken
def compare(
    first: str,
    second: str,
    results: str | None,
    *,
    margin: tuple[str, ...],
    fail_if_worse: bool,
    delong: bool,
    selection: SelectionName,
    skip_broken: bool,
) -> None:
    """Say whether one method is better than another.

    FIRST and SECOND are two methods with records under RESULTS (default: results/runs), such as mmoe/equal and
    single_task/equal. Or they are two folders of records, such as the results after and before a change; then every
    method that is in both is compared.

    --delong needs runs with save_checkpoint=true. For each pair of checkpoints, it tests whether their AUCs differ by
    more than the choice of test rows explains. That is a statement about these weights, not about the methods.
    """
    from benchmark.analysis.compare import are_folders
    from benchmark.analysis.compare import compare as judge

    margins = margins_of("--margin", margin, (GAIN,))
    if delong and selection != "joint":
        raise ValueError(f"--delong: checkpoints hold the joint selection, found --selection {selection}")
    if delong and are_folders(first, second, results):
        raise ValueError(
            f"--delong: expected two methods of one folder of records, found the folders {first}, {second}"
        )
    answers: list[Answer] = [
        found := judge(first, second, results, margins=margins, selection=selection, skip_broken=skip_broken)
    ]
    if delong:
        from benchmark.trained.comparison import compare_checkpoints

        answers.append(compare_checkpoints(first, second, results or RESULTS_DIR, skip_broken=skip_broken))
    for answer in answers:
        answer.print()
    if fail_if_worse and (found.worse or found.incomplete):
        sys.exit(1)


@mtlbench.command()
@_results
@_baseline
@click.option(
    "--difference",
    cls=MarginOption,
    multiple=True,
    metavar="METRIC=VALUE",
    help="The difference that the comparison should find; 1% means one percent of the baseline's mean. May be repeated.",
)
@_selection
@_skip_broken
def power(
    results: str,
    *,
    baseline: str,
    difference: tuple[str, ...],
    selection: SelectionName,
    skip_broken: bool,
) -> None:
    """Estimate how many seeds a comparison needs.

    From the spread of the records under RESULTS, it estimates which differences 3, 5, 10 and 20 seeds find with 80 %
    power, and how many seeds a given difference needs.
    """
    from benchmark.analysis.power import power as plan

    differences = margins_of("--difference", difference, (GAIN,))
    plan(results, baseline=baseline, differences=differences, selection=selection, skip_broken=skip_broken).print()


@mtlbench.command()
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def reference(overrides: tuple[str, ...]) -> None:
    """Train what methods should beat: a constant predictor, and boosted trees.

    \b
      mtlbench reference dataset=census_income
      mtlbench reference dataset=shop dataset.num_rows=5000 trials=4 seeds=3 results_dir=results/mine

    \b
    dataset=, experiment=             as in `mtlbench run`
    results_dir=, threads=, rerun=    the same
    trials=8                          random parameters to try for the trees, compared on validation
    seeds=5                           seeds to train the best parameters on: 0, 1, ...
    only=constant,gbdt                which references

    The trees are LightGBM's (extra: gbdt): one model per task, on the same columns and splits as the methods. Each
    task takes the parameters of its best trial.

    Records go to <results_dir>/reference/<name>/<id>.json. Existing records are kept, so the same command continues
    where it was interrupted. Reports of the folder show the references beside the methods.
    """  # noqa: D301  click looks for the character \b
    from benchmark.reference.lines import from_overrides

    from_overrides(overrides)


@mtlbench.command("list")
@click.argument("group", required=False)
@click.argument("name", required=False)
@click.option("--names", is_flag=True, help="Print only the names, joined by commas, as a sweep takes them.")
@click.option("--for", "suits", metavar="DATASET", help="Show only what works with this data set. No data is read.")
def list_(*, group: str | None, name: str | None, names: bool, suits: str | None) -> None:
    """Show what can be run, and its parameters.

    Without arguments, it lists everything. GROUP is architectures, weightings, datasets or trackers; NAME is one entry of
    the group, shown in full.
    """
    from benchmark.settings.listing import listing

    echo(listing(group, name, suits=suits, names=names))


@mtlbench.command()
@click.argument("group")
@click.argument("name")
@click.option("--into", metavar="FOLDER", type=click.Path(), help="Write to this folder.  [default: NAME]")
def new(group: str, name: str, *, into: str | None) -> None:
    """Write a package with an architecture, a weighting or a data set of your own.

    GROUP is architecture, weighting or dataset. The package works as written; its comments say what to replace.
    """
    from benchmark.scaffold import make_package

    echo(make_package(group, name, into))


@mtlbench.command()
@click.argument("target", metavar="FILE|MODULE|GROUP")
@click.argument("name", required=False)
def check(target: str, name: str | None) -> None:
    """Run the contract tests of an architecture, a weighting or a data set.

    \b
      mtlbench check my_net.py               all that a file registers
      mtlbench check my.yaml                 the table that a YAML describes
      mtlbench check my_package.my_net       all that a module registers
      mtlbench check architecture my_net     one entry; GROUP is architecture, weighting or dataset

    For a broken contract, it prints what was expected, what was found, and the line. The exit status is then 1.
    """  # noqa: D301  click looks for the character \b
    from benchmark.contracts import checking, loading

    is_broken = False
    for group, entry in loading.entries(target) if name is None else [(target, name)]:
        outcomes = []
        for outcome in checking.check(group, entry):
            if outcome.status != "not tried":
                echo(outcome)
            outcomes.append(outcome)
        echo(f"{group} {entry}: {checking.tally(outcomes)}")
        is_broken = is_broken or any(outcome.status == "broken" for outcome in outcomes)
    if is_broken:
        sys.exit(1)


@mtlbench.command()
@_results
@click.option("--unpack", is_flag=True, help="Do the reverse: write one file per record again.")
@_skip_broken
def pack(results: str, *, unpack: bool, skip_broken: bool) -> None:
    """Pack the records under a folder into one file.

    The file is records.jsonl.zst in RESULTS (default: results/runs), with one record per line and nothing left out. Every
    command reads it as it reads the folder. Predictions and checkpoints stay where they are. If RESULTS holds several
    folders of records, each gets a file.
    """
    from benchmark.records import packing
    from benchmark.text import counted

    made = (packing.unpack if unpack else packing.pack)(results, skip_broken=skip_broken, tell=_note)
    for path, number in made.items():
        echo(f"unpacked: {counted(number, 'record')} of {path}" if unpack else f"{path}: {counted(number, 'record')}")


@mtlbench.command()
@click.argument("place", type=click.Path())
@click.argument("id", required=False)
@click.option("--json", "as_json", is_flag=True, help="All that the record has, as JSON.")
@_skip_broken
def show(place: str, id: str | None, *, as_json: bool, skip_broken: bool) -> None:
    """Print one record in words.

    What ran, how it ended, the metrics of every task, time, environment, and the traceback of a run that failed.

    PLACE is a folder of records, packed or not; ID is the record's id or its first characters. Without ID, PLACE is the
    path of a record.
    """
    import json

    from benchmark.records.packing import show as find
    from benchmark.reporting.one_record import in_words

    found = find(place, id, skip_broken=skip_broken, tell=_note)
    echo(json.dumps(found, indent=1) if as_json else in_words(found, place))


@mtlbench.command()
@click.argument("place", type=click.Path())
@click.argument("id", required=False)
@_skip_broken
def reproduce(place: str, id: str | None, *, skip_broken: bool) -> None:
    """Run a record again, and say whether every number is the same.

    PLACE and ID are as in `mtlbench show`: the path of a record, or a folder of records and an id. The record and its folder
    stay as they are.

    Metrics, losses, best epochs and parameters are compared; times are not. Bits should agree if commit, versions,
    processor, device, threads and data do. If any of these differs, each headline metric may move by a tenth of its
    standard deviation over the seeds beside the record. The exit status is 1 if the run is not the same.
    """
    from benchmark.runs.reproduce import reproduce as again

    found = again(place, id, skip_broken=skip_broken, tell=_note)
    found.print()
    if not found.is_same:
        sys.exit(1)


@mtlbench.command()
@click.argument("record", type=click.Path())
@click.option("--user", "users", multiple=True, required=True, help="A user's id, as in the data set. May be repeated.")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many items to show.")
@click.option("--score", help="A formula of task names to rank items by: 'liked * rating^2', 'purchase|click'.")
@click.option("--include-seen", is_flag=True, help="Also rank items that the user has in the training split.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@_skip_broken
def recommend(record: str, users: tuple[str, ...], form: Literal["table", "json", "csv"], **options: Any) -> None:
    """Show the best items for a user.

    RECORD is the JSON of a run with save_checkpoint=true, or a folder of such runs, of which the best on validation
    recommends.
    """
    from benchmark.trained.recommender import recommend as rank

    rank(record, list(users), **options).print(form)


def _note(sentence: str) -> None:
    echo(one_line(f"mtlbench: {sentence}"), file=sys.stderr)


mtlbench.add_command(data)
mtlbench.add_command(clean)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: what a user got wrong is one line on stderr (exit 1; usage 2), unless MTLBENCH_TRACEBACK=1."""
    allow_any_console()
    with stopping.stoppable():
        try:
            mtlbench.main(args=arguments, prog_name="mtlbench", standalone_mode=False)
        except click.ClickException as error:
            _leave(_usage(error), error.exit_code, error)
        except BrokenRecords as error:
            _leave(str(error), 1, error)
        except (ValueError, OSError) as error:
            _leave(" ".join(str(error).split()), 1, error)
        except (KeyboardInterrupt, click.Abort) as error:
            stopping.leave(error.__cause__ or error)  # click raises its own from ours


def _usage(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        from benchmark.text import unknown

        known = [name for param in error.ctx.command.get_params(error.ctx) for name in param.opts if name[0] == "-"]
        return unknown("option", error.option_name, known)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message().rstrip('.')}; see {error.ctx.command_path} --help"
    return error.format_message()


def _leave(text: str, status: int, error: BaseException) -> None:
    if os.environ.get("MTLBENCH_TRACEBACK") == "1":
        raise error
    echo(f"mtlbench: {text}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
