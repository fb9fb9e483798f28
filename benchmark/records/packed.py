"""Packed records: many records in one file, `records.jsonl.zst`, in the folder that contained them. Imports no torch.

A line is the JSON of one record or reference (which has a `kind`), with all keys in order and without spaces.
References come first; each kind is sorted by path. The path of a record follows from its contents, so nothing else is
kept. The file is one frame of zstd with a checksum: `zstdcat records.jsonl.zst | jq .id` reads it too.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import zstandard

from benchmark.files import parse_json, written_whole

NAME = "records.jsonl.zst"
SUFFIX = ".jsonl.zst"
LEVEL = 19  # the highest level that every reader of zstd has the memory for
LONGEST = 64 * 2**20
"""Most bytes of a line; a record has 0.02 to 0.5 million."""
_CHUNK = 1024  # holds at most 256 of zstd's blocks, so at most 32 MiB of text from any file
_DEPTH = 5  # trials/<dataset>/<architecture>/<weighting>/<id>.json


def packs(place: str | Path) -> list[Path]:
    """The packed files that may contain records of a place, sorted.

    Args:
        place: A packed file; or a folder: the packed files in it, except in hidden folders, and in the folders above
            it.
    """
    place = Path(place)
    if place.is_file():
        return [place] if place.name.endswith(SUFFIX) else []
    return sorted([*above(place), *(path for parts in files_ending(place, NAME) if (path := _pack(place, parts)))])


def _pack(place: Path, parts: tuple[str, ...]) -> Path | None:
    return path if parts[-1] == NAME and (path := Path(place, *parts)).is_file() else None


def above(path: Path) -> list[Path]:
    """The packed files in the folders above a path, as far up as a pack with this record can be."""
    return [pack for folder in path.parents[:_DEPTH] if (pack := folder / NAME).is_file()]


def files_ending(folder: str | Path, ending: str) -> list[tuple[str, ...]]:
    """The parts of the paths, below a folder, of all that has this ending and is not hidden; sorted.

    Folders, pipes and links to nothing with such a name are among them. It uses `os.walk`, which is much faster than
    `Path.rglob`.
    """
    found, start = [], len(Path(folder).parts)
    for place, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        parts = Path(place).parts[start:]
        found += [(*parts, name) for name in (*names, *inner) if name.endswith(ending) and not name.startswith(".")]
    return sorted(found)


def lines(pack: Path) -> Iterator[tuple[str, bytes]]:
    """The lines of a packed file, each with its name for errors: the file and the line number.

    Raises:
        ValueError: if the file is not packed records, is damaged or cut off, or has a line longer than any record.
    """
    number, parts, size = 1, [], 0  # parts of the current line, which has not ended yet
    for text in _text(pack):
        first, *others = text.split(b"\n")
        parts.append(first)
        size += len(first)
        for other in others:
            yield f"{pack}, line {number}", b"".join(parts)
            number, parts, size = number + 1, [other], len(other)
        if size > LONGEST:
            raise ValueError(f"{pack}, line {number}: expected a record of at most {LONGEST:,} bytes, found more")
    if size:
        raise ValueError(f"{pack}, line {number}: expected a line that ends, found the end of the file")


def _text(pack: Path) -> Iterator[bytes]:
    """The contents of a zstd file, piece by piece, so that a small file that expands to gigabytes is refused early."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    before = 0
    try:
        with _opened(pack) as file:
            while not frame.eof and (chunk := file.read(_CHUNK)):
                text = frame.decompress(chunk)
                before += text.count(b"\n")
                yield text
            more = bool(frame.unused_data or file.read(1))
    except zstandard.ZstdError as error:
        raise ValueError(f"{pack} is damaged, after line {before}: {error}") from error
    if not frame.eof:
        raise ValueError(f"{pack} is cut off after line {before}: the file ends before its data do")
    if more:
        raise ValueError(f"{pack}, line {before}: expected the end of the file where its data end, found more")


def _opened(pack: Path) -> BinaryIO:
    try:
        return pack.open("rb")
    except OSError as error:
        raise ValueError(f"{pack} cannot be read: {error.strerror}") from error


def line_of(value: Any) -> bytes:
    """The line of a record's plain values.

    Raises:
        ValueError: if a number is NaN or infinite.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def write(pack: Path, text: Sequence[bytes]) -> None:
    """Writes lines, and reads them back before the file replaces the old one.

    Raises:
        ValueError: if the lines read back differ from the lines written.
    """
    with written_whole(pack) as file:
        joined = b"".join(line + b"\n" for line in text)
        file.write_bytes(zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(joined))
        if [line for _, line in lines(file)] != list(text):
            raise ValueError(f"{pack} could not be written: what was read back differs; is the disk broken?")


def packed_at(path: Path) -> Iterator[tuple[str, Path, Any]]:
    """Packed records with the id in this path: the name for errors, the pack's folder, and the plain values.

    Other lines may be broken, and the packed file damaged: what is before the damage is found.
    """
    for pack in above(path):
        for where, line in _indexed(pack)[0].get(path.stem, ()):
            yield where, pack.parent, parse_json(line, where, "a record")


def damage(path: Path) -> list[str]:
    """What is wrong in the packed files that may have the record of this path, so that it may not be found there."""
    return [text for pack in above(path) for text in _indexed(pack)[1]]


_Index: TypeAlias = tuple[dict[str, list[tuple[str, bytes]]], list[str]]


def _indexed(pack: Path) -> _Index:
    status = pack.stat()
    return _by_id(pack, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _by_id(pack: Path, modified: int, size: int) -> _Index:
    """The lines of a packed file, read once for all runs of a sweep that look for their records, and what is wrong in it."""
    found: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    wrong = []
    try:
        for where, line in lines(pack):
            try:
                value = parse_json(line, where, "a record")
            except ValueError as error:
                wrong.append(str(error))
                continue
            if isinstance(value, dict):
                found[str(value.get("id"))].append((where, line))
    except ValueError as error:
        wrong.append(str(error))
    return found, wrong
