"""JSON files: written whole by one atomic write, read with checks, hashed in a canonical form. Imports no torch."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def digest(value: Any) -> str:
    """sha256 of canonical JSON: sorted keys, no spaces, no NaN. Equal values have equal digests, whoever composed them."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Writes plain values in one step: a reader sees the old file or the new one, never a part.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.stem}.", delete=False) as file:
        file.write(text)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def read_json(path: str | Path, kind: str) -> Any:
    """Plain values that `write_json` wrote.

    Args:
        path: The file.
        kind: What it should be, for the error: "a record".

    Raises:
        ValueError: if it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not {kind}: {error}") from error


def known_keys(
    value: Any, path: str | Path, kind: str, *, known: Sequence[str], required: Sequence[str], newest: int
) -> dict[str, Any]:
    """Those of a record's keys that this version knows.

    Args:
        value: What `read_json` read from `path`.
        path: As there.
        kind: As there.
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
    """Over thousands of records, none of which is garbage: looking for it takes a fifth of a report's time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
