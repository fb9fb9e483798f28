"""The constant predictor: the mean of train for every row."""

from __future__ import annotations

from benchmark import metrics
from benchmark.analysis.lines import CONSTANT, LABELS
from benchmark.records.reference import ReferenceRecord
from benchmark.reference.maker import Maker, ReferenceLine
from benchmark.schema import Task


class ConstantLine(ReferenceLine):
    """The mean of train as the prediction for every row, without parameters or seed."""

    name = CONSTANT
    label = LABELS[CONSTANT]

    def check(self, tasks: tuple[Task, ...]) -> None:
        """See `ReferenceLine.check`; nothing can be wrong."""

    def count(self, trials: int, seeds: int) -> int:
        """See `ReferenceLine.count`."""
        return 1

    def make(self, maker: Maker, trials: int, seeds: int) -> list[ReferenceRecord]:
        """See `ReferenceLine.make`."""
        record = maker.plan(self, "default", 0, {})
        found = maker.find(record)
        if found is not None:
            return [found]
        for name in ("validation", "test"):
            split = getattr(maker.data, name)
            maker.judge(record, name, metrics.constant_outputs(maker.tasks, maker.data.train.labels, len(split)))
        return [maker.keep(record)]
