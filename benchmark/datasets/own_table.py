"""A table of your own: CSV or Parquet files that a short YAML describes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmark.datasets import Data, Dataset, register
from benchmark.datasets._cache import cache_folder, scratch_beside
from benchmark.datasets._description import read_description
from benchmark.datasets._own_files import find_files
from benchmark.datasets._own_rows import read_table
from benchmark.datasets.prepare import Table, prepare
from benchmark.schema import Task
from benchmark.settings.registry import Neutral


@register("table", files=(".yaml", ".yml"))
class OwnTable(Dataset):
    """Your own table: CSV or Parquet files, described by a short YAML.

    `mtlbench data describe clicks.csv > clicks.yaml` proposes the YAML. A whole one:

        name: clicks                  # what reports call it; by default the YAML's own name
        files: clicks.csv
        separator: ","
        columns:
          user_id: user
          video: item
          ts: time
          country: {kind: categorical, about: user}
          genres: {kind: multi, separator: "|", about: item}
          past: {kind: sequence, separator: " ", of: video, max_length: 50}
          price: numeric
          note: ignore
        tasks:
          click: binary
          buy: {kind: binary, given: click}
          watch: {kind: regression, unit: seconds, transform: log1p}
        split: {by: time, validation: 0.1, test: 0.1}

    The keys:

    - `files`: a path, a pattern such as `logs/*.csv`, a folder, or a list of them, relative to the YAML's folder; each file
      once. Files that are splits already: `{train: a.csv, validation: b.csv, test: c.csv}`; without validation, a tenth of
      train is drawn for it. A file is Parquet by its ending (`.parquet`, `.pq`). All others are text with a line of names at
      the top, plain or gzipped. Folders such as `day=7` are columns.
    - `separator` (`,`), `encoding` (`utf8`): of text files. `missing`: texts that mean missing beside the empty one,
      `[NA, "?"]`.
    - `columns`: every column of the files except labels, with its kind, or with a mapping that has `kind` and further keys.
      `user` and `item` are ids, which recommendations need. `categorical`, `numeric`. `multi`: several values at once, with
      `separator`. `sequence`: the same with the most recent last, cut to the last `max_length` (50) values; `of` names the
      column of ids whose embeddings it shares. `time`: it orders the rows and is no feature, but its `parts` are, such as
      `[hour, weekday, month]`, on the clock of the `time_zone` (UTC); texts are ISO 8601, in UTC where they have no offset such
      as `+02:00`, or have the `format` of strptime; numbers are since 1970 in the `unit` (`s`, `ms`, `us`), and whole days such
      as 20240531 need `format: '%Y%m%d'`. `title`: what recommendations call an item. `weight`: how much a row counts in the
      loss of all tasks, or of one `task`. `ignore`: not used. Any other feature may be `about: user` or `about: item`; without
      it, it belongs to the context.
    - `tasks`: name and kind, or a mapping with `kind` (`binary`: 0, 1, true, false; `regression`), `column` (by default the
      task's name), `given` (an earlier task, in a funnel), `unit`, and `transform: log1p`. An empty label is not observed.
    - `split`: `random` (the default: a tenth validation, a tenth test), `{by: random, validation: 0.1, test: 0.1}`; `by: user`:
      each user in one split; `by: time`: the latest rows are test, with shares, or with the times at which `validation` and
      `test` begin, in ISO 8601, in the column's `format`, or as numbers;
      `{by: column, column: fold, train: [0, 1], validation: 2, test: 3}`.

    A run's id has a hash of the YAML: of its columns, tasks, split, missing texts and the names of files. Neither it nor the
    data's fingerprint depends on a folder, on comments, or on `name`.

    Args:
        file: The path of the YAML.
        label: What people call the data set; taken from the YAML.
        description: The YAML's hash; taken from the YAML.
        tasks: Any of the YAML's tasks, in its order; null: all.
        numeric: How numeric columns enter: train quantile bins beside the standardised value, that value alone, or as they
            are.
        min_frequency: Categories, users and items among them, with fewer rows of train are numbered 0, as unseen ones are.
        hash_buckets: A column with more categories than this in train is hashed into this many buckets, the users' excepted;
            null: none is.
        split_seed: Draws the split, if it is random or by user, or draws validation from train.
    """

    def __init__(
        self,
        *,
        file: str = "",
        label: str = "",
        description: str = "",
        tasks: tuple[str, ...] | None = None,
        numeric: Literal["bins", "standardise", "raw"] = "bins",
        min_frequency: Annotated[int, Neutral(1)] = 1,
        hash_buckets: Annotated[int | None, Neutral(None)] = None,
        split_seed: int = 0,
    ) -> None:
        if not file:
            raise ValueError(
                "dataset.file: expected the YAML that describes your table, found none; "
                "`mtlbench data describe clicks.csv > clicks.yaml` writes one"
            )
        self._described = read_description(file)
        self.file, self.label, self.description = file, self._described.name, self._described.digest
        if description not in ("", self.description):
            raise ValueError(
                f"{file} has changed since this run was configured: expected the description {description}, found {self.description}"
            )
        self.all_tasks = self._described.tasks
        self.user, self.item = self._described.only("user"), self._described.only("item")
        self._tasks = self.all_tasks if tasks is None else self.choose(tasks)
        self.numeric, self.split_seed = numeric, split_seed
        self.min_frequency, self.hash_buckets = min_frequency, hash_buckets

    @classmethod
    def complete(cls, config: Any) -> None:
        """Writes the YAML's hash and name into a configuration that has none yet. A missing file is told when it is needed."""
        if config.file and not (config.label and config.description) and Path(config.file).expanduser().is_file():
            described = read_description(config.file)
            config.label = config.label or described.name
            config.description = config.description or described.digest

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The chosen tasks."""
        return self._tasks

    def build(self) -> Data:
        """Finds and parses the files, or takes the arrays from the cache."""
        described = self._described
        files = find_files(described)
        reading = {"separator": described.separator, "encoding": described.encoding}
        source = {"files": [file.identity for file in files], "text": reading}
        try:
            with ExitStack() as stack:

                def read() -> Table:
                    scratch = stack.enter_context(scratch_beside(cache_folder() / "prepared" / self.label))
                    return read_table(described, files, self.split_seed, scratch)

                return prepare(
                    self,
                    read=read,
                    source=source,
                    numeric=self.numeric,
                    min_frequency=self.min_frequency,
                    hash_buckets=self.hash_buckets,
                )
        except ValueError as error:
            told = str(error)
            known = (str(described.path), *(str(file.path) for file in files))
            raise ValueError(told if told.startswith(known) else f"{self.file}: {told}") from error
