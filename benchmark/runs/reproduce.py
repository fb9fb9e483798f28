"""`mtlbench reproduce`: a record's run once more, from its own configuration, and whether its numbers come out again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

import torch

from benchmark.analysis.reproduction import Reproduction, same_method
from benchmark.records.packing import show
from benchmark.records.record import Record, checked_record, is_reference, load_record, records_by_path
from benchmark.runs.memory import in_words
from benchmark.runs.runner import build_data, run
from benchmark.settings import registry
from benchmark.settings.config import RunConfig
from benchmark.temporaries import scratch_folder
from benchmark.trained.checkpoint import check_fingerprint

_OF_THIS_RUN = (
    "tracker", "device", "threads", "results_dir", "save_checkpoint", "save_predictions", "checkpoint_every", "rerun",
)  # fmt: skip
"""Keys that decide no number: where a run goes, what it keeps, and what `repeated` sets."""


def reproduce(
    place: Record | str | Path,
    id: str | None = None,
    *,
    skip_broken: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Reproduction:
    """Runs a record's configuration again and compares every number.

    It writes to a temporary folder only. The run has the device and the threads of the record, where the machine has them.

    Bits are expected to agree only if commit, versions, processor, device, threads and data do. Otherwise each headline metric may
    move by a tenth of its standard deviation over the finished runs of the same method beside the record.

    Args:
        place: A record; its path, packed or not; or a folder or a packed file, with an id.
        id: The record's id, or enough of its beginning to be unique.
        skip_broken: Whether to continue without broken records beside it.
        tell: Gets a sentence for those, and one for other files.

    Raises:
        FileNotFoundError: if there is no such record, or its data are missing, with where to get them.
        ValueError: if the run failed, then or now, records beside it are broken, the data or their description have changed
            since, or this version cannot run its configuration.
    """
    record, beside = (
        (place, ()) if isinstance(place, Record) else _found(Path(place), id, skip_broken=skip_broken, tell=tell)
    )
    if record.status == "failed":
        message = (record.error or {}).get("message", "no reason is given")
        raise ValueError(f"run {record.id} of {record.method} failed ({message}), so it has no numbers to compare")
    with scratch_folder(Path(gettempdir()), "reproduce") as folder:
        config = repeated(record, folder)
        check_fingerprint(record, build_data(config))
        path = _run(record, config).path(folder)
        return Reproduction(record, load_record(path), same_method(record, beside))


def _run(record: Record, config: RunConfig) -> Record:
    """Runs it. Whatever it may raise, such as torch's error when memory runs out, is one line for users."""
    try:
        return run(config)
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:
        raise ValueError(
            f"run {record.id} of {record.method} failed this time: {type(error).__name__}: {in_words(error)}"
        ) from error


def repeated(record: Record, results_dir: str | Path) -> RunConfig:
    """The configuration that runs a record again.

    Args:
        record: A record; any version may have written it.
        results_dir: Where the new record goes.

    Raises:
        ValueError: if this version does not know a name or a key of it, or gives it another id.
    """
    registry.discover()
    where = {
        "device": _device(record),
        "threads": record.cost.get("threads") or record.config.get("threads", 0),
        "results_dir": str(results_dir),
    }
    kept = {key: value for key, value in record.config.items() if key not in _OF_THIS_RUN}
    config = RunConfig.restored({**kept, **where})
    if config.id != record.id:
        raise ValueError(
            f"run {record.id} of {record.method}: its configuration has the id {config.id} here, so it would be another run; was the "
            "record changed by hand, or does it need another version of mtlbench?"
        )
    return config


def _device(record: Record) -> str:
    """That of the record; the CPU in place of a GPU that is not there."""
    name = record.cost.get("device")
    wanted = str(record.config.get("device", "auto") if name is None else "cpu" if name == "cpu" else "cuda")
    return "cpu" if wanted == "cuda" and not torch.cuda.is_available() else wanted


def _found(
    place: Path, id: str | None, *, skip_broken: bool, tell: Callable[[str], object] | None
) -> tuple[Record, tuple[Record, ...]]:
    """The record, and all records of the folder or packed file, or of the folder that its path is in."""
    value = show(place, id, skip_broken=skip_broken)
    if is_reference(value):
        raise ValueError(f"{value.get('id')} is a reference, which `mtlbench reference` makes again, expected a run")
    record = checked_record(value, place)
    folder = place if id is not None else place.parent
    return record, tuple(records_by_path(folder, skip_broken=skip_broken, tell=tell).values())
