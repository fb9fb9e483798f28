"""What data sets that their owners publish as files do alike: they find the files, parse them, and prepare the table."""

from __future__ import annotations

from abc import abstractmethod

from benchmark.datasets import Data, Dataset
from benchmark.datasets.prepare import Table, prepare
from benchmark.datasets.sources import Found, Source, find
from benchmark.schema import Task


class OwnersFiles(Dataset):
    """Base of such a data set. A class sets its chosen tasks as `_tasks`, says its `source`, and parses the files.

    Attributes:
        numeric, min_frequency, hash_buckets: How columns become fields, see `prepare`: parameters of the classes that offer
            a choice.
    """

    _tasks: tuple[Task, ...]
    numeric: str = "bins"
    min_frequency: int = 1
    hash_buckets: int | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks."""
        return self._tasks

    @property
    @abstractmethod
    def source(self) -> Source:
        """The owners' files."""

    def build(self) -> Data:
        """Finds and parses the owners' files, or takes the arrays from the cache."""
        found = find(self.source)
        return prepare(
            self,
            read=lambda: self._read(found),
            source={"files": found.identity},
            numeric=self.numeric,
            min_frequency=self.min_frequency,
            hash_buckets=self.hash_buckets,
        )

    @abstractmethod
    def _read(self, found: Found) -> Table:
        """Parses the files."""
