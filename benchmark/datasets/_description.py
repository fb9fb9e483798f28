"""What the YAML of a user's table says, checked; `own_table.OwnTable` documents its keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from benchmark import kinds
from benchmark.datasets._fault import Fault
from benchmark.datasets._own_times import UNITS, is_time_zone, parse_time
from benchmark.datasets._yaml import Value, read_yaml
from benchmark.datasets.calendar import PARTS
from benchmark.datasets.table import SPLITS
from benchmark.files import digest
from benchmark.kinds import Transform
from benchmark.schema import Task
from benchmark.text import unknown

USER, ITEM, TIME, TITLE, WEIGHT, IGNORE = "user", "item", "time", "title", "weight", "ignore"
CATEGORICAL, NUMERIC, MULTI, SEQUENCE = "categorical", "numeric", "multi", "sequence"
COLUMN_KINDS: dict[str, tuple[str, ...]] = {
    USER: (),
    ITEM: (),
    TIME: ("unit", "format", "parts", "time_zone"),
    CATEGORICAL: ("about",),
    NUMERIC: ("about",),
    MULTI: ("separator", "about"),
    SEQUENCE: ("separator", "of", "max_length", "about"),
    TITLE: (),
    WEIGHT: ("task",),
    IGNORE: (),
}
"""Every kind of column, with its own keys."""
FEATURES = (USER, ITEM, CATEGORICAL, NUMERIC, MULTI, SEQUENCE)
RANDOM, FILES, BY_COLUMN = "random", "files", "column"
RULES: dict[str, tuple[str, ...]] = {
    RANDOM: ("validation", "test"),
    TIME: ("validation", "test"),
    USER: ("validation", "test"),
    BY_COLUMN: ("column", *SPLITS),
    FILES: ("validation",),
}
"""Every way to split, with its own keys."""
TASK_KEYS = ("kind", "column", "given", "unit", "transform", "num_outputs")
TOP_KEYS = ("name", "files", "separator", "encoding", "missing", "columns", "tasks", "split")
SHARE = 0.1  # of validation and of test
LENGTH = 50  # of a sequence
FORBIDDEN = ("trials", "reference")  # folders of results


@dataclass(frozen=True, slots=True)
class OwnColumn:
    """One column of the table; `options` are the keys of its kind, with their defaults."""

    name: str
    kind: str
    options: Mapping[str, Any]

    @property
    def about(self) -> str:
        """Whom it belongs to: user, item, or an empty text for the context."""
        return self.kind if self.kind in (USER, ITEM) else self.options.get("about") or ""


@dataclass(frozen=True, slots=True)
class Description:
    """A user's table.

    Args:
        path: The YAML.
        name: What people call the data set.
        files: Split name to patterns, relative to the YAML's folder; "" for files that are split later.
        separator, encoding: How text files are written.
        missing: Texts that mean missing, beside the empty one.
        columns: By name, in the order of the YAML.
        tasks: The tasks, in order.
        labels: Task name to the column of its label.
        rule: How rows are split: a key of `RULES`.
        split: The keys of that rule.
    """

    path: Path
    name: str
    files: dict[str, tuple[str, ...]]
    separator: str
    encoding: str
    missing: tuple[str, ...]
    columns: dict[str, OwnColumn]
    tasks: tuple[Task, ...]
    labels: dict[str, str]
    rule: str
    split: Mapping[str, Any]

    def of_kind(self, *kinds: str) -> list[OwnColumn]:
        """The columns of these kinds."""
        return [column for column in self.columns.values() if column.kind in kinds]

    def only(self, kind: str) -> str | None:
        """The name of the one column of this kind; None if there is none."""
        return next((column.name for column in self.of_kind(kind)), None)

    @property
    def described(self) -> dict[str, str]:
        """Every column that the files must have, to a word for its use."""
        uses = {column.name: column.kind for column in self.columns.values()}
        uses |= dict.fromkeys(self.labels.values(), "label")
        if self.rule == BY_COLUMN:
            uses.setdefault(self.split["column"], "split")
        return uses

    @property
    def digest(self) -> str:
        """Hash of what decides the result. Comments, `name`, folders, and how text files are read do not count."""
        files = {split: [self._file_name(pattern) for pattern in patterns] for split, patterns in self.files.items()}
        columns = [[column.name, column.kind, dict(column.options)] for column in self.columns.values()]
        tasks = [[asdict(task), self.labels[task.name]] for task in self.tasks]
        return digest([files, list(self.missing), columns, tasks, self.rule, dict(self.split)])[:16]

    def _file_name(self, pattern: str) -> str:
        """The last part of a pattern, empty for a folder. A path that is not there is a folder if it has no ending."""
        place, name = Path(self.path.parent, Path(pattern).expanduser()), PurePath(pattern).name
        return "" if place.is_dir() or not (place.exists() or re.search(r"[.*?\[]", name)) else name


def read_description(file: str) -> Description:
    """Reads and checks a YAML file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: with file, line, key, what was expected and what was found.
    """
    path = Path(file).expanduser()
    top = read_yaml(path).known(TOP_KEYS)
    for key in ("files", "columns", "tasks"):
        if top.get(key) is None:
            raise ValueError(f"{path}: expected the key {key!r}, found {', '.join(top.content) or 'no keys'}")
    columns = dict(_columns(top.content["columns"]))
    _check_references(top.content["columns"], columns)
    tasks, labels = _tasks(top.content["tasks"], columns)
    _check_weights(top.content["columns"], columns, list(labels))
    files = _files(top.content["files"])
    rule, split = _split(top.get("split"), files, columns)
    return Description(
        path=path,
        name=_name(top, path),
        files=files,
        separator=_one_character(top, "separator", ","),
        encoding=_encoding(top),
        missing=tuple(str(text.content) for text in _many(top.get("missing"), "text")),
        columns=columns,
        tasks=tasks,
        labels=labels,
        rule=rule,
        split=split,
    )


def _name(top: Value, path: Path) -> str:
    given = top.text("name")
    if given is None:
        name = re.sub(r"[^\w.-]+", "_", path.stem).strip("._-") or "table"
        if name in FORBIDDEN:
            raise ValueError(f"{path}: expected another file name, or the key name, as results have a folder {name}")
        return name
    if not re.fullmatch(r"\w[\w.-]*", given) or given in FORBIDDEN:
        top.content["name"].refuse(
            f"letters, digits, dots, dashes and underscores, and neither {' nor '.join(FORBIDDEN)}"
        )
    return str(given)


def _encoding(top: Value) -> str:
    name: str = top.text("encoding", "utf8")
    try:
        "".encode(name)
    except LookupError:
        top.content["encoding"].refuse("the name of an encoding, such as utf8 or latin-1")
    return name


def _one_character(of: Value, key: str, default: str | None) -> Any:
    found = of.text(key, default)
    if found is not None and (len(found) != 1 or not found.isascii()):
        of.content[key].refuse('one character in quotes, such as "," or "\\t"')
    return found


def _many(value: Value | None, expected: str) -> list[Value]:
    """One value, or each of a list; nothing is an empty list."""
    if value is None:
        return []
    every = value.content if isinstance(value.content, list) else [value]
    for one in every:
        if isinstance(one.content, dict | list) or one.content is None:
            one.refuse(f"{expected}, or a list of them")
    return list(every)


def _files(value: Value) -> dict[str, tuple[str, ...]]:
    parts = {"": value}
    if isinstance(value.content, dict):
        parts = dict(value.known(SPLITS, "files").items(""))
        for split in ("train", "test"):
            if split not in parts:
                value.refuse(
                    "files for train and test, and for validation if there are any", ", ".join(parts) or "none"
                )
    found = {}
    for split, part in parts.items():
        patterns = _many(part, "the path of a file, or a pattern such as logs/*.csv")
        if not patterns or not all(isinstance(one.content, str) and one.content for one in patterns):
            part.refuse("the path of a file, or a pattern such as logs/*.csv, or a list of them")
        found[split] = tuple(one.content for one in patterns)
    return found


def _columns(value: Value) -> Iterator[tuple[str, OwnColumn]]:
    roles: dict[str, str] = {}
    entries = dict(value.items("columns with their kinds, such as `price: numeric`"))
    for name, entry in entries.items():
        if isinstance(entry.content, str):
            kind, options = _kind(entry, entry.content), Value({}, entry.file, entry.line, entry.key)
        else:
            options = entry
            if not isinstance(entry.content, dict) or entry.get("kind") is None:
                entry.refuse(f"a kind of column ({', '.join(COLUMN_KINDS)}), or a mapping with the key kind")
            kind = _kind(entry.content["kind"], entry.text("kind"))
            entry.known(("kind", *COLUMN_KINDS[kind]), f"a column of kind {kind}")
        if kind in (USER, ITEM, TIME, TITLE):
            if kind in roles:
                entry.refuse(f"one column of kind {kind}", f"a second one after {roles[kind]}")
            roles[kind] = name
        yield name, OwnColumn(name, kind, _options(kind, options))


def _kind(value: Value, name: str) -> str:
    if name not in COLUMN_KINDS:
        value.refuse_choice(COLUMN_KINDS)
    return name


def _options(kind: str, value: Value) -> dict[str, Any]:
    """The keys of a kind, checked one by one; defaults where they are missing."""
    keys = COLUMN_KINDS[kind]
    found: dict[str, Any] = {}
    if "about" in keys:
        found["about"] = value.one_of("about", (USER, ITEM))
    if "separator" in keys:
        found["separator"] = value.text("separator")
    if kind == SEQUENCE:
        found |= {"of": value.text("of"), "max_length": value.whole("max_length", LENGTH)}
    if kind == WEIGHT:
        found["task"] = value.text("task")
    if kind == TIME:
        found |= {"unit": value.one_of("unit", UNITS, "s"), "format": value.text("format"), "parts": []}
        for part in _many(value.get("parts"), f"one of {', '.join(PARTS)}"):
            if part.content not in PARTS:
                part.refuse_choice(PARTS)
            found["parts"].append(part.content)
        if (zone := value.text("time_zone")) is not None:
            if not is_time_zone(zone):
                value.content["time_zone"].refuse("a time zone such as Europe/Berlin")
            if not found["parts"]:
                value.content["time_zone"].refuse("the key parts beside it, which are read on its clock", "none")
            found["time_zone"] = zone
    return found


def _check_references(value: Value, columns: dict[str, OwnColumn]) -> None:
    """Refuses `about` and `of` where there is no such column; a sequence is of items where it does not say."""
    kinds = {column.kind: name for name, column in columns.items()}
    ids = [name for name, column in columns.items() if column.kind in (USER, ITEM, CATEGORICAL)]
    for name, column in columns.items():
        entry, about = value.content[name], column.options.get("about")
        if about is not None and about not in kinds:
            entry.content["about"].refuse(f"a column of kind {about} in this table", "none")
        if column.kind == SEQUENCE:
            options = dict(column.options)
            options["of"] = column.options["of"] or kinds.get(ITEM)
            if options["of"] is None:
                entry.refuse(
                    "the key of, the column of ids that the sequence has, as there is no column of kind item", "none"
                )
            if options["of"] not in ids:
                raise ValueError(f"{entry.content['of'].place}: {unknown('column of ids', options['of'], ids)}")
            columns[name] = replace(column, options=options)


def _check_weights(value: Value, columns: Mapping[str, OwnColumn], tasks: Collection[str]) -> None:
    """Refuses a weight of no task, and a second one of a task or of all."""
    seen: dict[str | None, str] = {}
    for name, column in columns.items():
        if column.kind == WEIGHT:
            task, entry = column.options["task"], value.content[name]
            if task is not None and task not in tasks:
                entry.content["task"].refuse_choice(tasks)
            if task in seen:
                entry.refuse(f"one weight of {task or 'all tasks'}", f"a second one after {seen[task]}")
            seen[task] = name


def _tasks(value: Value, columns: Mapping[str, OwnColumn]) -> tuple[tuple[Task, ...], dict[str, str]]:
    tasks: dict[str, Task] = {}
    labels: dict[str, str] = {}
    for name, entry in value.items("tasks with their kinds, such as `click: binary`"):
        options = entry
        if isinstance(entry.content, str):
            options = Value({"kind": entry}, entry.file, entry.line, entry.key)
        elif not isinstance(entry.content, dict) or entry.get("kind") is None:
            entry.refuse(f"a kind of task ({', '.join(kinds.KINDS)}), or a mapping with the key kind")
        options.known(TASK_KEYS, "a task")
        given, unit = options.text("given"), options.text("unit")
        transform = options.one_of("transform", [known.value for known in Transform], Transform.IDENTITY.value)
        if given is not None and given not in tasks:
            options.content["given"].refuse(f"an earlier task ({', '.join(tasks) or 'there is none'})")
        column = options.text("column", name)
        if column in columns and columns[column].kind != IGNORE:
            entry.refuse(
                f"a label or a feature: leave {column!r} out of columns",
                f"it there as {columns[column].kind}",
            )
        if name in columns and columns[name].kind in FEATURES:
            entry.refuse("a name that no feature has", f"the column {name!r}")
        try:
            tasks[name] = Task(
                name, options.text("kind"), given, unit, Transform(transform), options.whole("num_outputs", 1)
            )
        except ValueError as error:
            raise ValueError(f"{entry.place}: {error}") from None
        labels[name] = column
    if not tasks:
        value.refuse("at least one task, such as `click: binary`", "none")
    return tuple(tasks.values()), labels


def _split(
    value: Value | None, files: Mapping[str, Any], columns: Mapping[str, OwnColumn]
) -> tuple[str, dict[str, Any]]:
    """The rule, and its keys."""
    rule = RANDOM if "" in files else FILES
    if value is None:
        return rule, {} if "validation" in files else dict.fromkeys(RULES[rule], SHARE)
    if isinstance(value.content, str):
        value = Value({"by": value}, value.file, value.line, value.key)
    rule = value.known(("by", "column", *SPLITS), "split").one_of("by", RULES, rule)
    value.known(("by", *RULES[rule]), f"a split by {rule}")
    place = value.get("by") or value
    if (rule == FILES) != ("" not in files):
        place.refuse("`by: files` where `files` has train and test, and another rule where it has not", f"by: {rule}")
    for kind in (TIME, USER):
        if rule == kind and kind not in {column.kind for column in columns.values()}:
            place.refuse(f"a column of kind {kind} to split by", "none")
    if rule == BY_COLUMN:
        return rule, _values_of_splits(value)
    if rule == FILES and "validation" in files:
        if (found := value.get("validation")) is not None:
            found.refuse("no share of validation, because it has its own files")
        return rule, {}
    time = next((column for column in columns.values() if column.kind == TIME), None)
    return rule, _shares(value, RULES[rule], time if rule == TIME else None)


def _values_of_splits(value: Value) -> dict[str, Any]:
    """{column, train, validation, test}: the column, and its values that mean each split."""
    if value.get("column") is None:
        value.refuse("the key column: the column that names the split of each row", ", ".join(value.content))
    found: dict[str, Any] = {"column": value.text("column")}
    for split in SPLITS:
        found[split] = [str(one.content) for one in _many(value.get(split), "a value of the column")] or [split]
    every = [text for split in SPLITS for text in found[split]]
    if len(set(every)) < len(every):
        value.refuse("each value in one split", ", ".join(every))
    return found


def _shares(value: Value, keys: Collection[str], time: OwnColumn | None) -> dict[str, Any]:
    """Shares of the rows, or, where a time orders them, the times at which validation and test begin."""
    found: dict[str, Any] = {}
    for key in keys:
        given = value.get(key)
        content = SHARE if given is None else given.content
        is_share = isinstance(content, float) and 0 < content < 1
        if given is not None and not is_share and (time is None or isinstance(content, bool | dict | list)):
            given.refuse("a share of the rows between 0 and 1, such as 0.1")
        found[key] = content if is_share else given.plain() if given is not None else content
    begins = [key for key in keys if not isinstance(found[key], float) or not 0 < found[key] < 1]
    if begins and len(begins) < len(found):
        value.refuse("two shares, or two times at which validation and test begin", "one of each")
    for key in begins:
        assert time is not None, "others are shares"
        try:
            parse_time(found[key], time.options["unit"], time.options["format"])
        except Fault as fault:
            raise ValueError(f"{value.content[key].place}: {fault}") from None
    if not begins and sum(found.values()) >= 1:
        value.refuse("shares that leave rows for train", " and ".join(map(str, found.values())))
    return found
