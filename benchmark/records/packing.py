"""`mtlbench pack` and `mtlbench show`: many records into one file and out of it, and one of them. Imports no torch."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from benchmark.files import parse_json, read_json, write_json
from benchmark.records.folder import Contents, settle
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


Tell: TypeAlias = Callable[[str], object]


def pack(folder: str | Path, *, skip_broken: bool = False, tell: Tell | None = None) -> dict[Path, int]:
    """Packs all records under a folder, including references, and then removes their files. Other files stay.

    Each folder that runs wrote to (their `results_dir`) gets one packed file. It is read back before it replaces an old
    one, and files are removed only afterwards, so an interruption loses nothing. Records packed before stay packed; if
    a record is also a file, the file counts as newer.

    Args:
        folder: A folder that runs wrote to, or a folder that contains several of these.
        skip_broken: Whether to leave the files of broken records as they are. A broken packed file is never replaced.
        tell: Gets a sentence for broken records, and one for other files.

    Returns:
        {packed file: number of records in it}, for all packed files afterwards.

    Raises:
        FileNotFoundError: if there is no such folder, or no record in it.
        ValueError: if records are broken, or one is not where runs write it; then nothing is changed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(no_folder(folder))
    broken: Contents[Any] = Contents()
    before = {path: _kept(path, broken) for path in packs(folder) if path.is_relative_to(folder)}
    settle([broken], skip_broken=False)
    loose = _loose(folder, skip_broken=skip_broken, tell=tell)
    found = {}
    for path in sorted(before.keys() | {r / NAME for r in loose}):
        files, kept = loose.get(path.parent, _Loose()), before.get(path, {})
        if files.read:
            text = [line for _, line in sorted((kept | files.lines).items(), key=_order)]
            write(path, text)
            _remove(files.read, path.parent)
        found[path] = len(kept | files.lines)
    if not found:
        raise FileNotFoundError(no_records(folder))
    return found


def unpack(folder: str | Path, *, skip_broken: bool = False, tell: Tell | None = None) -> dict[Path, int]:
    """Writes every packed record under a folder as a file again, as its run wrote it, and then removes the packed file.

    If the file already exists, it counts as newer and stays.

    Args:
        folder: A folder with packed files.
        skip_broken: Whether to continue without broken records. Their packed file then stays.
        tell: Gets a sentence for broken records.

    Returns:
        {packed file, removed: number of records that were in it}.

    Raises:
        FileNotFoundError: if there is no packed file.
        ValueError: if records in it are broken; then nothing is changed.
    """
    folder = Path(folder)
    found, every = {}, {}
    for path in packs(folder):
        if path.is_relative_to(folder):
            every[path] = broken = Contents[dict[Path, bytes]]()
            broken.values[path] = _kept(path, broken)
    _settle(list(every.values()), skip_broken=skip_broken, tell=tell)
    for path, of in every.items():
        for below, line in of.values[path].items():
            if not (path.parent / below).is_file():
                write_json(path.parent / below, parse_json(line, path, KIND))
        if not of.broken:
            path.unlink()
        found[path] = len(of.values[path])
    if not found:
        raise FileNotFoundError(f"no {NAME} under {folder}")
    return found


def show(place: str | Path, id: str | None = None, *, skip_broken: bool = False, tell: Tell | None = None) -> Any:
    """All plain values of one record.

    Args:
        place: A folder or a packed file; without an id, the path of a record, packed or not.
        id: Its id, or enough of the beginning to be unique.
        skip_broken: Whether to continue without the broken records of a folder.
        tell: Gets a sentence for broken records, and one for other files.

    Raises:
        FileNotFoundError: if there is no such place.
        ValueError: if no record or several records have the id, or there is no id and the place is a folder.
    """
    place = Path(place)
    if id is None:
        return _at(place, skip_broken=skip_broken, tell=tell)
    if not place.exists():
        raise FileNotFoundError(no_folder(place))
    if place.is_file() and not place.name.endswith(SUFFIX):
        raise ValueError(f"expected a folder of records or a file {NAME} before the id, found {place}")
    known: dict[str, dict[Path, Any]] = defaultdict(dict)
    for path, value in _values(place, skip_broken=skip_broken, tell=tell).items():
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


def _at(path: Path, *, skip_broken: bool, tell: Tell | None) -> Any:
    if path.is_file() and not path.name.endswith(SUFFIX):
        value = read_json(path, KIND)
        _place(value, path)
        return value
    for where, folder, value in packed_at(path):
        if folder / _place(value, where) == path:
            return value
    if not path.exists():
        raise FileNotFoundError(f"no record at {path}; expected the path of a record, or a folder and an id")
    ids = sorted({str(value.get("id")) for value in _values(path, skip_broken=skip_broken, tell=tell).values()})
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


def _kept(path: Path, found: Contents[Any]) -> dict[Path, bytes]:
    """{path below its folder: line} of a packed file; broken ones go to `found`."""
    kept: dict[Path, bytes] = {}
    try:
        for where, line in lines(path):
            try:
                kept[_place(parse_json(line, where, KIND), where)] = line
            except ValueError as error:
                found.broken.append(str(error))
    except ValueError as error:  # the rest cannot be read
        found.broken.append(str(error))
    return kept


def _settle(found: Sequence[Contents[Any]], *, skip_broken: bool, tell: Tell | None) -> None:
    for sentence in settle(found, skip_broken=skip_broken):
        if tell is not None:
            tell(sentence)


def _values(place: Path, *, skip_broken: bool, tell: Tell | None) -> dict[Path, Any]:
    """Path and plain values of all records. A file counts as newer than a packed record with its path."""
    found: Contents[Any] = Contents()
    for path in packs(place):
        for below, line in _kept(path, found).items():
            found.values[path.parent / below] = parse_json(line, path, KIND)
    if place.is_dir():
        for path in (*record_files(place), *reference_files(place)):
            found.add(path, KIND, _checked)
    _settle([found], skip_broken=skip_broken, tell=tell)
    return found.values


def _checked(value: Any, path: Path) -> Any:
    _place(value, path)
    return value


def _loose(folder: Path, *, skip_broken: bool, tell: Tell | None) -> dict[Path, _Loose]:
    """The record files under a folder, by the folder that they were written to.

    Raises:
        ValueError: if records are broken, or one is not where runs write it.
    """
    found: Contents[Any] = Contents()
    read: dict[Path, tuple[int, int]] = {}
    for path in (*record_files(folder), *reference_files(folder)):
        if path.is_file():
            status = path.stat()
            read[path] = status.st_mtime_ns, status.st_size
        found.add(path, KIND, _checked)
    _settle([found], skip_broken=skip_broken, tell=tell)
    loose: dict[Path, _Loose] = defaultdict(_Loose)
    for path, value in found.values.items():
        place = _place(value, path)
        root = path.parents[len(place.parts) - 1] if len(place.parts) <= len(path.parents) else path
        if root / place != path or not root.is_relative_to(folder):
            raise ValueError(f"{path} would not be found again: pack a folder that contains it as {place}")
        loose[root].lines[place] = line_of(value)
        loose[root].read[path] = read[path]
    return loose


def _remove(files: dict[Path, tuple[int, int]], root: Path) -> None:
    """Removes the files that are still what was read, and the folders that are then empty."""
    for path, read in files.items():
        if path.is_file() and ((status := path.stat()).st_mtime_ns, status.st_size) == read:
            path.unlink()
    folders = {folder for path in files for folder in path.parents if folder != root and folder.is_relative_to(root)}
    for folder in sorted(folders, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
