"""The one atomic write, and JSON files: written atomically, read with checks, hashed in canonical form. Imports no torch."""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from benchmark.disk import cannot_write, flush, number_of
from benchmark.temporaries import temporary_name


def digest(value: Any) -> str:
    """sha256 of canonical JSON: sorted keys, no spaces, no NaN. Equal values have equal digests, however they were made."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary file that replaces `path` in one step: a reader sees the old file or the new one, never a part.

    It is in the same folder, which is created if missing; see `benchmark.temporaries` for its name. It is on the disk before
    it replaces anything, so a power cut leaves one of the two as well. An error removes it. A link stays a link, to a new
    file. A device or a pipe, such as /dev/stdout, is written to, not replaced.

    >>> with written_whole(Path("results/report.md")) as file:  # doctest: +SKIP
    ...     file.write_text(text)

    Raises:
        OSError: if it cannot be written: the path, and why.
    """
    if _is_stream(path):
        with _named(path, path):
            yield path
        return
    target = path.resolve()  # of a link, what it leads to
    file = target.with_name(temporary_name(target.stem, target.suffix))
    with _named(path, file):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            yield file
            file.chmod(0o644)
            flush(file)
            file.replace(target)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        flush(target.parent)


def _is_stream(path: Path) -> bool:
    """Whether it is a pipe or a device, or stands for one that a shell opened, as /dev/stdout may."""
    is_of_the_system = path.absolute().parts[1:2] in (("dev",), ("proc",))
    return (path.is_symlink() and is_of_the_system) or (path.exists() and not path.is_file() and not path.is_dir())


@contextmanager
def _named(path: Path, file: Path) -> Iterator[None]:
    """Errors about a file that is written, or about no file in particular, name the path that it is to have."""
    try:
        yield
    except Exception as error:
        about = getattr(error, "filename", None)
        parents = [str(parent) for parent in path.resolve().parents]
        if about not in (None, str(file), *parents) or not (isinstance(error, OSError) or number_of(error)):
            raise
        raise cannot_write(path, error, f" ({about})" if about in parents else "") from error


def write_json(path: Path, value: Any) -> None:
    """Writes plain values with `written_whole`.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    with written_whole(path) as file:
        file.write_text(text)


def read_json(path: str | Path, kind: str) -> Any:
    """Reads plain values that `write_json` wrote.

    Args:
        path: The file.
        kind: What it should be, for the error: "a record".

    Raises:
        ValueError: if it is not JSON.
    """
    return parse_json(Path(path).read_bytes(), path, kind)


def parse_json(text: bytes, place: str | Path, kind: str) -> Any:
    """Reads plain values from JSON text.

    Args:
        text: The JSON.
        place: Where it was found, for the error.
        kind: What it should be, for the error: "a record".

    Raises:
        ValueError: if it is not JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # it refuses a lone surrogate, which a traceback may have, and the standard library does not
    try:
        return json.loads(text.decode(), parse_constant=_refused, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        what = f"it is not JSON ({error})" if text.strip() else "it is empty"
        raise ValueError(f"{place} is not {kind}: {what}") from error


def write_memo(path: Path, value: Any) -> None:
    """Keeps plain values that can be found again at a cost, with their hash. A folder that cannot be written keeps none."""
    with suppress(OSError):
        write_json(path, {"sha256": digest(value), "value": value})


def read_memo(path: Path) -> Any:
    """What `write_memo` kept; None if there is nothing, or it is damaged."""
    try:
        kept = json.loads(path.read_bytes())
        return kept["value"] if kept["sha256"] == digest(kept["value"]) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _refused(text: str) -> float:
    """For NaN and Infinity, which the standard library reads and JSON does not have."""
    raise ValueError(f"{text} is not a number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refused(text)


def known_keys(
    value: Any, path: str | Path, kind: str, *, known: Container[str], required: Sequence[str], newest: int
) -> dict[str, Any]:
    """The keys of a record that this version knows.

    Args:
        value: What `read_json` read from `path`.
        path: The same file, for the error.
        kind: What it should be, for the error.
        known: The keys that this version knows.
        required: The keys that must be there.
        newest: The newest `format` that this version reads.

    Raises:
        ValueError: if a key is missing, or its format is newer.
    """
    missing = [key for key in required if key not in value] if isinstance(value, dict) else list(required)
    if missing:
        raise ValueError(f"{path} is not {kind}: it has no {', '.join(missing)}")
    if not isinstance(value["format"], int):
        raise ValueError(f"{path} is not {kind}: its format must be a number, found {value['format']!r}")
    if value["format"] > newest:
        raise ValueError(
            f"{path} has format {value['format']}, and this mtlbench reads up to {newest}: install a newer mtlbench"
        )
    return {key: value[key] for key in value if key in known}


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Switches garbage collection off while thousands of records are read: it would take a fifth of a report's time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
