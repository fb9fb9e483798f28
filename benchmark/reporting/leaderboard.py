"""The chapter over data sets: a table of the methods, a table of their gains on every data set, and how to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.analysis.leaderboard import FEWEST_FOR_MEAN, FEWEST_FOR_RANK, Leaderboard, Standing
from benchmark.reporting.layout import Cell, Chapter, Column, Part, Row, TextTable
from benchmark.reporting.wording import joined
from benchmark.statistics import Interval, Verdict
from benchmark.text import ABSENT, counted, listed, signed, signed_interval

ANCHOR = "leaderboard"
MOST_WIDE = 4
"""Most data sets whose gains show both ends of the interval; beyond this, the half-width."""
TITLES = {"tuned": "Tuned methods", "default": "Methods with default parameters"}


def leaderboard(boards: Sequence[Leaderboard]) -> Chapter:
    """The chapter of all leaderboards; without any, it says so."""
    tables = [table for board in boards for table in (_standings(board), _by_dataset(board))]
    notes = list(dict.fromkeys(note for board in boards for note in _notes(board)))
    if not boards:
        notes = ["No leaderboard: no data set has methods with a gain over tasks."]
    return Chapter(ANCHOR, "Over data sets", (Part("", tuple(tables), tuple(notes)),))


def several(boards: Sequence[Leaderboard]) -> bool:
    """Are there several data sets, with any kind of method?"""
    return len({name for board in boards for name in board.families}) > 1


def _standings(board: Leaderboard) -> TextTable:
    columns = [Column("method", numeric=False)]
    if board.has_ranks:
        columns.append(Column("rank"))
    if board.has_means:
        which = "interquartile mean" if board.is_iqm else "mean"
        columns += [
            Column("gain", f"{which} gain, % (+ is better)"),
            Column("probability", "probability of improvement"),
        ]
    columns += [
        Column("verdicts", "wins / ties / losses / open"), Column("worst", "worst task anywhere, %", numeric=False),
        Column("seconds", "train\u00a0time ratio", spare=True), Column("parameters", "parameter ratio", spare=True),
    ]  # fmt: skip
    rows = [Row((_name(s.method), *_cells(board, s))) for s in board.standings]
    rank = board.baseline_rank
    if rank is not None:
        cells = [Cell(str(rank)), Cell("baseline", value=0.0), Cell("")]
        own = Row((_name(board.baseline), *cells, *[Cell("")] * (len(columns) - 1 - len(cells))))
        rows.insert(sum(s.rank is not None and s.rank <= rank for s in board.standings), own)
    return TextTable(
        f"leaderboard_{board.kind}",
        f"{TITLES[board.kind]} over data sets",
        tuple(columns),
        tuple(rows),
        _subtitle(board),
    )


def _cells(board: Leaderboard, standing: Standing) -> Iterator[Cell]:
    if board.has_ranks:
        yield Cell(str(standing.rank) if standing.rank is not None else ABSENT)
    if board.has_means:
        yield _mean(board, standing)
        yield _probability(standing.probability)
    ties = standing.count(Verdict.EQUIVALENT, Verdict.IDENTICAL)
    counts = standing.count(Verdict.BETTER), ties, standing.count(Verdict.WORSE), standing.count(Verdict.UNDECIDED)
    yield Cell(" / ".join(map(str, counts)), value=counts[0])
    name, task, gain = standing.worst
    yield Cell(f"{signed(gain, 2)} {task}, {name}", value=gain)
    for ratio in (standing.seconds, standing.parameters):
        yield Cell(f"{ratio:.2f}" if ratio is not None else ABSENT)


def _mean(board: Leaderboard, standing: Standing) -> Cell:
    if standing.mean is None:
        return Cell(ABSENT)
    few = f" ({standing.num_datasets} of {board.num_datasets})" if standing.num_datasets < board.num_datasets else ""
    return Cell(f"{signed_interval(standing.mean, 2)}{few}", short=f"{_short(standing.mean)}{few}")


def _short(interval: Interval) -> str:
    mean = signed(interval.mean, 2)
    return mean if interval.half_width is None else f"{mean} ± {interval.half_width:.2f}"


def _probability(found: Interval | None) -> Cell:
    if found is None:
        return Cell(ABSENT)
    mean = f"{found.mean:.2f}"
    return Cell(mean if found.low is None else f"{mean} [{found.low:.2f}, {found.high:.2f}]", short=mean)


def _by_dataset(board: Leaderboard) -> TextTable:
    """Every data set as one column, however many tasks it has."""
    names = list(board.families)
    columns = [Column("method", numeric=False), *(Column(f"data set:{n}", n) for n in names)]
    rows, narrow = [], len(names) > MOST_WIDE
    for standing in board.standings:
        gains = [entry.gain if (entry := standing.entries.get(name)) is not None else None for name in names]
        cells = [
            Cell(ABSENT)
            if gain is None
            else Cell(_short(gain) if narrow else signed_interval(gain, 2), short=_short(gain))
            for gain in gains
        ]
        rows.append(Row((_name(standing.method), *cells)))
    return TextTable(
        f"gains_{board.kind}", f"{TITLES[board.kind]}: gain on each data set", tuple(columns), tuple(rows),
        f"%, against {board.baseline}; + is better",
    )  # fmt: skip


def _name(method: str) -> Cell:
    return Cell(method, method=method)


def _subtitle(board: Leaderboard) -> str:
    number = counted(board.num_datasets, "data set")
    if not board.has_means:
        return f"{number}, against {board.baseline}"
    degrees = max(standing.degrees for standing in board.standings)
    return f"{number}, against {board.baseline}; 95 % t intervals with {degrees} degrees of freedom"


def _notes(board: Leaderboard) -> Iterator[str]:
    here = TITLES[board.kind]
    if not board.has_means:
        yield (
            f"{here}: no mean over data sets and no rank. A mean needs {FEWEST_FOR_MEAN} data sets and a rank {FEWEST_FOR_RANK}; "
            f"there are {board.num_datasets}."
        )
    elif not board.has_ranks:
        yield f"{here}: no overall rank. It needs {FEWEST_FOR_RANK} data sets; there are {board.num_datasets}."
    if board.has_means:
        yield from _of_means(board)
    yield (
        "Wins, ties and losses count data sets with the verdict better, equivalent (or identical) and worse, each by the data "
        "set's own margin; open data sets are undecided. A significant difference is a win or a loss even inside the margin."
    )
    for name, primary in board.other_primary.items():
        yield f"The verdict on {name} uses its declared primary endpoint, {primary}, not the gain over tasks."
    for family, names in board.variants.items():
        yield (
            f"{joined(names)} are one data set, {family}, with different options. They count as one in means, ratios and the "
            "number of data sets, and separately in wins, ties and losses."
        )
    yield "Ratios of training time and parameters are to the baseline's: geometric means over data sets."
    for why in dict.fromkeys(board.left_out.values()):
        names = [name for name, reason in board.left_out.items() if reason == why]
        yield f"{here}: {joined(names)} {'does' if len(names) == 1 else 'do'} not count: {why}."
    out = {
        standing.method: [
            f"{name} ({entry.reason})" for name, entry in standing.entries.items() if entry.verdict is None
        ]
        for standing in board.standings
    }
    for method, where in out.items():
        if where:
            yield f"{method} is not ranked on {listed(where)}, so its gain there does not enter a mean."


def _of_means(board: Leaderboard) -> Iterator[str]:
    degrees = max(standing.degrees for standing in board.standings)
    how = (
        f"{degrees} degrees of freedom over {board.num_datasets} data sets. A data set counts once, however many tasks and "
        "seeds it has"
    )
    if board.is_iqm:
        yield (
            "The interquartile mean leaves out the lowest and the highest quarter of the data sets' gains. Its interval is that of "
            f"a trimmed mean, with data sets as the random effect: {how}."
        )
    else:
        yield f"The interval of a mean gain has data sets as the random effect: Student's t with {how}."
    yield (
        "The probability of improvement is the probability that a run gains more than a run of the baseline, with ties counted "
        "half, averaged over data sets. Its interval (stratified bootstrap, 95 %) covers the runs, not the choice of data sets."
    )
    if any(standing.judged.keys() != board.families.keys() for standing in board.standings):
        yield (
            "(5 of 8): the mean covers only the data sets on which the method is ranked, with its own degrees of freedom. It is not "
            "comparable with the other means and has no rank."
        )
