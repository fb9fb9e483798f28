"""`mtlbench pack` and `mtlbench show`: many records into one file and out of it, and one of them. Imports no torch."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.files import parse_json, read_json, write_json
from benchmark.records.packed import NAME, SUFFIX, line_of, lines, packed_at, packs, write
from benchmark.records.record import (
    KIND,
    REFERENCE,
    checked_record,
    is_reference,
    no_folder,
    no_records,
    record_files,
)
from benchmark.records.reference import checked_reference, reference_files
from benchmark.text import counted, listed

_HERE = Path()


@dataclass(slots=True)
class _Loose:
    """The record files of one folder.

    Args:
        lines: {path below it: line of the packed file}.
        read: {file: (time, size) when it was read}.
    """

    lines: dict[Path, bytes] = field(default_factory=dict)
    read: dict[Path, tuple[int, int]] = field(default_factory=dict)


def pack(folder: str | Path) -> dict[Path, int]:
    """Packs all records under a folder, including references, and then removes their files. Other files stay.

    Each folder that runs wrote to (their `results_dir`) gets one packed file. It is read back before it replaces an old
    one, and files are removed only afterwards, so an interruption loses nothing. Records packed before stay packed; if
    a record is also a file, the file counts as newer.

    Args:
        folder: A folder that runs wrote to, or a folder that contains several of these.

    Returns:
        {packed file: number of records in it}, for all packed files afterwards.

    Raises:
        FileNotFoundError: if there is no such folder, or no record in it.
        ValueError: if a record cannot be read, or is not where runs write it; then nothing is changed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(no_folder(folder))
    loose = _loose(folder)
    found = {}
    for path in sorted({path for path in packs(folder) if path.is_relative_to(folder)} | {r / NAME for r in loose}):
        files = loose.get(path.parent, _Loose())
        kept = {_place(value, where): line for where, value, line in _packed(path)} if path.is_file() else {}
        if files.read:
            text = [line for _, line in sorted((kept | files.lines).items(), key=_order)]
            write(path, text)
            _remove(files.read, path.parent)
        found[path] = len(kept | files.lines)
    if not found:
        raise FileNotFoundError(no_records(folder))
    return found


def unpack(folder: str | Path) -> dict[Path, int]:
    """Writes every packed record under a folder as a file again, as its run wrote it, and then removes the packed file.

    If the file already exists, it counts as newer and stays.

    Args:
        folder: A folder with packed files.

    Returns:
        {packed file, removed: number of records that were in it}.

    Raises:
        FileNotFoundError: if there is no packed file.
        ValueError: if a packed file cannot be read; then nothing is removed.
    """
    folder = Path(folder)
    found = {}
    for path in packs(folder):
        if not path.is_relative_to(folder):
            continue
        values = {path.parent / _place(value, where): value for where, value, _ in _packed(path)}
        for place, value in values.items():
            if not place.is_file():
                write_json(place, value)
        path.unlink()
        found[path] = len(values)
    if not found:
        raise FileNotFoundError(f"no {NAME} under {folder}")
    return found


def show(place: str | Path, id: str | None = None) -> Any:
    """All plain values of one record.

    Args:
        place: A folder or a packed file; without an id, the path of a record, packed or not.
        id: Its id, or enough of the beginning to be unique.

    Raises:
        FileNotFoundError: if there is no such place.
        ValueError: if no record or several records have the id, or there is no id and the place is a folder.
    """
    place = Path(place)
    if id is None:
        return _at(place)
    if not place.exists():
        raise FileNotFoundError(no_folder(place))
    if place.is_file() and not place.name.endswith(SUFFIX):
        raise ValueError(f"expected a folder of records or a file {NAME} before the id, found {place}")
    known: dict[str, dict[Path, Any]] = defaultdict(dict)
    for path, value in _values(place):
        known[str(value.get("id"))][path] = value
    if not known:
        raise ValueError(no_records(place))
    chosen = [id] if id in known else sorted(one for one in known if id and one.startswith(id))
    if not chosen:
        near = difflib.get_close_matches(id, known, n=1, cutoff=0.4)
        meant = f"; did you mean {near[0]}?" if near else ";"
        raise ValueError(f"no record under {place} has the id {id!r}{meant} there are {listed(sorted(known))}")
    if len(chosen) > 1:
        raise ValueError(f"{id!r} begins the ids of several records: {listed(chosen)}; give more of one")
    of_id = known[chosen[0]]
    if all(value == next(iter(of_id.values())) for value in of_id.values()):
        return next(iter(of_id.values()))  # copies of one record in several folders
    if len(of_id) > 1:
        raise ValueError(f"several records have the id {chosen[0]}: {listed(map(str, of_id), 4)}; give the path of one")
    return next(iter(of_id.values()))


def _at(path: Path) -> Any:
    if path.is_file() and not path.name.endswith(SUFFIX):
        value = read_json(path, KIND)
        _place(value, path)
        return value
    for where, folder, value in packed_at(path):
        if folder / _place(value, where) == path:
            return value
    if not path.exists():
        raise FileNotFoundError(f"no record at {path}; expected the path of a record, or a folder and an id")
    ids = sorted({str(value.get("id")) for _, value in _values(path)})
    if not ids:
        raise ValueError(no_records(path))
    has = f"has {counted(len(ids), 'record')}: expected an id after it, or its first characters"
    raise ValueError(f"{path} {has}; there {'is' if len(ids) == 1 else 'are'} {listed(ids)}")


def _place(value: Any, where: str | Path) -> Path:
    """The path of a record below the folder that it was written to. Refuses plain values that are not a record."""
    return (checked_reference(value, where) if is_reference(value) else checked_record(value, where)).path(_HERE)


def _order(entry: tuple[Path, bytes]) -> tuple[bool, Path]:
    """References first, so that a reader of references can stop early."""
    return entry[0].parts[0] != REFERENCE, entry[0]


def _packed(path: Path) -> Iterator[tuple[str, Any, bytes]]:
    """The name for errors, plain values and line of each record in a packed file."""
    for where, line in lines(path):
        yield where, parse_json(line, where, KIND), line


def _values(place: Path) -> Iterator[tuple[Path, Any]]:
    """Path and plain values of all records, packed records first. If a record is packed and a file, its path comes twice."""
    for path in packs(place):
        for where, value, _ in _packed(path):
            yield path.parent / _place(value, where), value
    if place.is_dir():
        for path in (*record_files(place), *reference_files(place)):
            yield path, read_json(path, KIND)


def _loose(folder: Path) -> dict[Path, _Loose]:
    """The record files under a folder, by the folder that they were written to.

    Raises:
        ValueError: if a file is not a record, or is not where runs write it.
    """
    found: dict[Path, _Loose] = defaultdict(_Loose)
    for path in (*record_files(folder), *reference_files(folder)):
        status = path.stat()
        value = read_json(path, KIND)
        place = _place(value, path)
        root = path.parents[len(place.parts) - 1]
        if root / place != path or not root.is_relative_to(folder):
            raise ValueError(f"{path} would not be found again: pack a folder that contains it as {place}")
        found[root].lines[place] = line_of(value)
        found[root].read[path] = (status.st_mtime_ns, status.st_size)
    return found


def _remove(files: dict[Path, tuple[int, int]], root: Path) -> None:
    """Removes the files that are still what was read, and the folders that are then empty."""
    for path, read in files.items():
        if path.is_file() and ((status := path.stat()).st_mtime_ns, status.st_size) == read:
            path.unlink()
    folders = {folder for path in files for folder in path.parents if folder != root and folder.is_relative_to(root)}
    for folder in sorted(folders, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
