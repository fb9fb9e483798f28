"""The record: the JSON that every run writes, however it ended. Imports no torch.

    results/runs/<dataset>/<architecture>/<weighting>/<id>.json
    results/runs/trials/<dataset>/...                               of a search: no test metrics
    results/runs/.debug/<dataset>/...                               of `debug=true`: hidden, so that no report has them
    results/runs/records.jsonl.zst                                  all of them, if they are packed (`packed`)

It is written whole, by rename, last. Trackers see the same numbers; nothing is ever read back from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from benchmark.files import known_keys, no_garbage_collection, parse_json, read_json, sha256_of, write_json
from benchmark.records.faults import fault
from benchmark.records.folder import Contents, has_name, settle
from benchmark.records.packed import NAME, SUFFIX, files_ending, lines, packed_at, packs
from benchmark.records.schema import REFERENCE as REFERENCE
from benchmark.records.schema import TRIAL as TRIAL
from benchmark.records.schema import Form, RecordOf, Status
from benchmark.schema import Metrics

FORMAT = 1
RESULTS_DIR = "results/runs"
"""Where records are by default."""
BASELINE = "single_task/equal"
"""The method that others are compared to by default."""
PLAIN_WEIGHTING = BASELINE.partition("/")[2]
"""The weighting that is the plain sum of the losses. If tasks share nothing, every gradient weighting equals it."""
REQUIRED = ("format", "id", "status", "method", "purpose", "seed", "config")
STATUSES = get_args(Status)
TUNED = "tuned"  # the purpose of runs with the parameters that a search found
MAKES_SOME = "`mtlbench run dataset=shop architecture=single_task,mmoe seed='range(0,5)'` makes some"
"""What to say to someone without records."""
DEBUG = ".debug"  # the folder of runs of `debug=true`: readers pass over what is hidden
GAIN = "gain"
"""The default primary endpoint: the gain over all tasks."""
SelectionName: TypeAlias = Literal["joint", "per_task"]
"""Which epoch's metrics to use: `Record.metrics`, one epoch for all tasks, or `Record.metrics_per_task`."""
Purpose: TypeAlias = Literal["all", "default", "tuned"]
"""Which runs to compare; `all` means default and tuned runs."""
LAST_BIT = ("commit", "mtlbench", "torch", "numpy", "python", "processor")
"""Keys of `environment` on which the last bit of a run depends, as it does on the number of threads and the device."""
FIRST_TRIAL_SEED = 10_000  # seeds of reported runs are never used to choose parameters
KIND = "a record"  # what errors call it
OF_DESCRIPTION = ("file", "label", "description")
"""Keys of the configuration of a data set that a file describes: its path, what people call it, the hash of its content."""


@dataclass(kw_only=True, slots=True)
class Record:
    """How one run went. `purpose`, `config` and `seed` identify it; only a finished run has metrics.

    Args:
        format: Version of this layout; readers accept older ones.
        id: First 12 hex digits of the hash of the configuration's identity.
        status: finished, diverged (a loss or weight became NaN) or failed (an exception).
        method: `architecture/weighting`.
        config: The RunConfig as plain values, without keys at their neutral value
            (`benchmark.settings.registry.plain`). For a trial, `config["tuning"]` has study (the procedure's id), trial
            (its number), sampler, space {parameter: text} and parameters {parameter: value}. For a tuned run, these are
            the best trial's. It also has trials (how many), criterion (of the best trial, None if none finished), ends
            {parameter: lowest or highest of the trials} and ids (of the trials' records). If the run matched a size, its
            architecture has the widths that were chosen, and `config["matched"]` has target and parameters (how many were
            asked for and found, outside the embeddings) and before {parameter: widths}.
        dataset: name, fingerprint, test_rows (hash of the test labels and features), splits {split: rows}, fields
            (names), schema, tasks, facts, best_reachable, and constant {task: {metric: value}}: the mean of train as
            prediction for test. A trial has nothing that depends on test rows: no test_rows, best_reachable or
            constant.
        selected_by: {split: "validation", criterion: monitor}.
        best_epoch: Epochs trained at the joint selection; a fraction if validation was within an epoch (2.25).
            best_epoch_per_task: the same at each task's own best.
        metrics: {"validation" | "test": Metrics} at best_epoch. metrics_per_task: each task at its own best epoch. A
            trial has only validation metrics.
        undefined: {"test.like.auc": reason} for metrics that are None.
        epochs: One dict per validation: epoch (epochs trained), seconds (of training since the last validation),
            learning_rate, validation Metrics and criterion. Also means over the running epoch so far: train_losses
            {task: value, standardised}, auxiliary {name: value}, effective_weights {task: value}.
            Where the tasks' gradients were compared, conflicts: {cosine: {"click|like": mean}, share: the fraction of
            steps in which two gradients had a negative inner product}.
        shared_parameters: Number of parameters that two or more tasks reach.
        gates: {gate: {expert: mean weight on validation}}.
        cost: parameters, embedding_parameters, multiply_adds, train_seconds, rows_per_second, peak_memory_bytes,
            threads, device, cpu_seconds. multiply_adds counts the matrix products per row, with the first layer over
            the concatenated embeddings; cpu_seconds covers all threads and validation. Older records lack these two.
        environment: Versions, machine, command, start time.
        files: {suffix: sha256} of the files that the run saved beside the record: its weights, its predictions. Older records
            lack it.
        error: None, or {type, message, traceback}; for a diverged run {type: "Diverged", message, task, step, epoch}.
    """

    format: int = FORMAT
    id: str
    status: str
    method: str
    purpose: str
    seed: int
    config: dict[str, Any]
    dataset: dict[str, Any] = field(default_factory=dict)
    selected_by: dict[str, str] = field(default_factory=dict)
    best_epoch: float | None = None
    best_epoch_per_task: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, Metrics] = field(default_factory=dict)
    metrics_per_task: dict[str, Metrics] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    shared_parameters: int | None = None
    gates: dict[str, dict[str, float]] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def method_config(self) -> dict[str, Any]:
        """The method's configuration: the run's identity without data set and seed."""
        keys = ("architecture", "weighting", "embedding", "trainer", "purpose")
        return {key: self.config[key] for key in keys if key != "embedding" or key in self.config}

    @property
    def selected(self) -> dict[str, Any]:
        """The selected entry of `epochs`; empty if there is none."""
        return next((entry for entry in self.epochs if entry.get("epoch") == self.best_epoch), {})

    @property
    def criterion(self) -> float | None:
        """The criterion on validation at the selected epoch; higher is better. None if the run did not finish."""
        value = self.selected.get("criterion") if self.status == "finished" else None
        return None if value is None else float(value)

    @property
    def search_seed(self) -> int:
        """The search that a trial or a tuned run belongs to."""
        return int(self.config.get("search_seed", 0))

    @property
    def study(self) -> str:
        """The id of the tuning procedure, the same for all seeds of the search; empty without a search."""
        return str((self.config.get("tuning") or {}).get("study", ""))

    @property
    def num_trials(self) -> int:
        """How many trials a tuned run was chosen from; 0 for other runs."""
        return int(self.config.get("tuning", {}).get("trials", 0))

    def check_file(self, file: Path, suffix: str) -> None:
        """Checks that a file has the content that this run saved beside its record.

        Args:
            file: The file.
            suffix: Its key in `files`.

        Raises:
            FileNotFoundError: if it is not there.
            ValueError: if its content is not what the run wrote, or cannot be read. A record from before `files` cannot tell.
        """
        with _readable(file):
            found = sha256_of(file)
        expected = self.files.get(suffix)
        if expected not in (None, found):
            raise ValueError(
                f"{file} is not what run {self.id} saved: expected sha256 {str(expected)[:12]}…, found {found[:12]}…; it is "
                "damaged or from another run; rerun=true makes it and its record again"
            )

    def path(self, results_dir: str | Path) -> Path:
        """The path of this record under `results_dir`."""
        return record_path(results_dir, self.config, self.id)

    def write(self, results_dir: str | Path) -> Path:
        """Writes the JSON whole, by rename.

        Raises:
            ValueError: if a number is NaN or infinite.
        """
        path = self.path(results_dir)
        write_json(path, asdict(self))
        return path


_KEYS = frozenset(f.name for f in fields(Record))


def name_of_data(config: Mapping[str, Any]) -> str:
    """What people call a data set: the label in the file that describes it, or else its registered name.

    Args:
        config: Its configuration as plain values.
    """
    return str((_is_described(config) and config["label"]) or config["name"])


def identity_of_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies a data set, of its configuration as plain values.

    That is all of it. If a file describes the data set, the hash of the file's content stands for its path and label.
    """
    left_out = ("file", "label") if _is_described(config) else ()
    return {key: value for key, value in config.items() if key not in left_out}


def _is_described(config: Mapping[str, Any]) -> bool:
    """Does a file describe the data set? The registry lets no other have all of `OF_DESCRIPTION`."""
    return all(key in config for key in OF_DESCRIPTION)


def record_path(results_dir: str | Path, config: dict[str, Any], id: str) -> Path:
    """`<results_dir>/<dataset>/<architecture>/<weighting>/<id>.json`; trials in `trials/...`, all of `debug=true` in `.debug/...`."""
    names = (name_of_data(config["dataset"]), *(config[group]["name"] for group in ("architecture", "weighting")))
    inner = [DEBUG] * bool(config.get("debug")) + ["trials"] * (config.get("purpose") == TRIAL)
    return Path(results_dir, *inner, *names, f"{id}.json")


def combines_gradients(weighting: Mapping[str, Any]) -> bool:
    """Does a weighting make its update of the tasks' gradients, and not of their losses?

    Then it changes nothing where tasks share no parameter. Such weightings have the parameter `scope`, and no other has:
    a contract holds them to it.

    Args:
        weighting: Its configuration as plain values, as a record has it.
    """
    return "scope" in weighting


def has_fixed_weights(weighting: Mapping[str, Any]) -> bool:
    """Are a weighting's task weights chosen before training: those of the plain one, or of one with the parameter `weights`?

    No weighting that finds its weights itself has a parameter of this name: a contract holds them to it.

    Args:
        weighting: Its configuration as plain values, as a record has it.
    """
    return weighting["name"] == PLAIN_WEIGHTING or "weights" in weighting


def load_record(path: str | Path) -> Record:
    """Reads one record from its file or, if there is no file, from a packed file in a folder above.

    Raises:
        FileNotFoundError: if there is no such record.
        ValueError: if it is not a record, is broken, or its format is newer than this version reads.
    """
    record = find_record(path)
    if record is None:
        raise FileNotFoundError(f"no record at {path}")
    return record


def find_record(path: str | Path) -> Record | None:
    """The same as `load_record`; None if there is no such record."""
    path = Path(path)
    with _readable(path):
        if path.is_file():
            return checked_record(read_json(path, KIND), path)
    for where, folder, value in packed_at(path):
        if not is_reference(value) and (record := checked_record(value, where)).path(folder) == path:
            return record
    return None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Makes a ValueError with the path if a file cannot be read; one that is not there stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def checked_record(value: Any, place: str | Path) -> Record:
    """The record from plain values.

    Args:
        value: The plain values.
        place: Where they are, for errors. A file with the name of a record must have the record of that name.

    Raises:
        ValueError: with the place, if they are not a record, have a wrong value, or their format is newer than this
            version reads.
    """
    known = known_keys(value, place, KIND, known=_KEYS, required=REQUIRED, newest=FORMAT)
    check_values(value, place, KIND, RecordOf)
    if (
        _is_described(value["config"]["dataset"])
        and Path(label := name_of_data(value["config"]["dataset"])).name != label
    ):
        raise ValueError(
            f"{place} is a broken record: config.dataset.label: expected a name without slashes, found {label!r}"
        )
    return Record(**known)


def check_values(value: Mapping[str, Any], place: str | Path, kind: str, form: Form) -> None:
    """Refuses values that no run writes, and a file with the name of another record.

    Raises:
        ValueError: with the place, and the first of them.
    """
    if wrong := fault(value, form):
        raise ValueError(f"{place} is {kind.replace('a ', 'a broken ', 1)}: {wrong}")
    if isinstance(place, Path) and has_name(place) and place.stem != value["id"]:
        raise ValueError(f"{place} is not {kind} of its name: its id is {value['id']}")


def is_reference(value: Any) -> bool:
    """Are these the plain values of a reference? A packed file may contain references."""
    return isinstance(value, dict) and value.get("kind") == REFERENCE


def record_files(folder: str | Path) -> Iterator[Path]:
    """What has the name of JSON under a folder, sorted, without hidden files and folders of references."""
    for parts in files_ending(folder, ".json"):
        if REFERENCE not in parts[:-1]:
            yield Path(folder, *parts)


def read_records(folder: str | Path) -> Contents[Record]:
    """All that a folder or a packed file has: records by the paths that they have when unpacked, sorted, and everything else.

    If a record is both packed and a file, the file counts as newer.

    Raises:
        FileNotFoundError: if there is neither the folder nor a packed record of it.
    """
    folder, found = Path(folder), Contents[Record]()
    root = folder.parent if folder.is_file() else folder
    with no_garbage_collection():
        for pack in packs(folder):
            for path, record in _packed(pack, found.broken):
                if path.is_relative_to(root):
                    found.values[path] = record
        if folder.is_dir():
            for path in record_files(folder):
                found.add(path, KIND, checked_record)
            found.strangers += (
                path for parts in files_ending(folder, NAME) if not (path := Path(folder, *parts)).is_file()
            )
        elif not found.values and not folder.is_file():
            raise FileNotFoundError(no_folder(folder))
        found.values = dict(sorted(found.values.items()))
    return found


def _packed(pack: Path, broken: list[str]) -> Iterator[tuple[Path, Record]]:
    """The records of a packed file with the paths that they have when unpacked; the errors of the others go to `broken`."""
    has_begun = False
    try:
        for where, line in lines(pack):
            try:
                value = parse_json(line, where, KIND)
                if not is_reference(value):
                    has_begun = True
                    record = checked_record(value, where)
                    yield record.path(pack.parent), record
                elif has_begun:
                    raise ValueError(
                        f"{where}: expected references before all records, found a reference after a record"
                    )
            except ValueError as error:
                broken.append(str(error))
    except ValueError as error:  # the rest cannot be read
        broken.append(str(error))


def records_by_path(
    folder: str | Path, *, skip_broken: bool = False, tell: Callable[[str], object] | None = None
) -> dict[Path, Record]:
    """The records of a folder or a packed file, as `read_records` finds them.

    Args:
        folder: The folder or packed file.
        skip_broken: Whether to continue without broken records.
        tell: Gets a sentence for those, and one for other files.

    Raises:
        FileNotFoundError: as `read_records`.
        BrokenRecords: if records are broken, with all of them.
    """
    found = read_records(folder)
    for sentence in settle([found], skip_broken=skip_broken):
        if tell is not None:
            tell(sentence)
    return found.values


def no_folder(folder: str | Path) -> str:
    """The error for a folder that does not exist."""
    return f"no folder of records at {folder}; {MAKES_SOME}"


def no_records(folder: str | Path) -> str:
    """The error for a folder without records. Runs of `debug=true` are not counted, so it says where they are."""
    debug = Path(folder, DEBUG)
    if next(record_files(debug), None) is not None:
        only = f"only runs of debug=true, whose records are in {debug}"
        return f"no records under {folder}, {only}; the same command without debug=true makes some"
    return f"no records under {folder}; {MAKES_SOME}"


def load_records(folder: str | Path, *, skip_broken: bool = False) -> list[Record]:
    """All records of a folder (or the record at a file's path, or the records of a packed file), sorted by path.

    Args:
        folder: The folder or file.
        skip_broken: Whether to continue without broken records.

    Raises:
        FileNotFoundError: if the folder does not exist.
        BrokenRecords: if records are broken, with all of them.
        ValueError: as `load_record`, for the path of one.
    """
    if is_one(folder):
        return [load_record(folder)]
    return list(records_by_path(folder, skip_broken=skip_broken).values())


def is_one(place: str | Path) -> bool:
    """Is this the path of one record, not a folder or a packed file?"""
    return Path(place).is_file() and not Path(place).name.endswith(SUFFIX)


def settled(places: Sequence[Path], *, skip_broken: bool) -> tuple[list[list[Record]], tuple[str, ...]]:
    """The records of several places, as `load_records` gives them, and a sentence for each kind of what was left out.

    Raises:
        BrokenRecords: if records are broken in any of them, unless they are to be skipped.
    """
    found = [None if is_one(place) else read_records(place) for place in places]
    told = settle([one for one in found if one is not None], skip_broken=skip_broken)
    return [
        [load_record(place)] if one is None else list(one.values.values())
        for one, place in zip(found, places, strict=True)
    ], told
