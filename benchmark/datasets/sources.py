"""Finding the official files of a data set, and downloading them where they are nowhere to be found."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pooch

from benchmark.datasets._cache import cache_folder, folder_made_once
from benchmark.files import write_json

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one format, by their base names; each may also be gzipped (`name.gz`) and lie in any subfolder.

    Args:
        required: All of them must be there.
        optional: Taken where they are.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a data set may be found.

    Args:
        name: The folder below MTLBENCH_DATA and in the cache.
        layouts: Format name to its files; the first that is complete is taken.
        url: The official address of an archive.
        md5: The archive's checksum. None if the owners may repack it; then `members` says what must be inside.
        members: Base name to md5 of an unpacked, uncompressed file of a download.
        distribution: An installed distribution that ships the files.
        terms: One line on how the official files may be used.
    """

    name: str
    layouts: dict[str, Layout]
    url: str
    md5: str | None = None
    members: dict[str, str] = field(default_factory=dict)
    distribution: str | None = None
    terms: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a data set: which format they have, and base name (without .gz) to path."""

    layout: str
    paths: dict[str, Path]

    @property
    def identity(self) -> dict[str, str]:
        """What the files are, wherever they lie: base name to sha256."""
        return {name: file_digest(path) for name, path in sorted(self.paths.items())}


def find(source: Source) -> Found:
    """The files: in MTLBENCH_DATA/<name>, the cache, an installed distribution, else downloaded.

    Raises:
        FileNotFoundError: if they are nowhere and cannot be downloaded: where it looked, and what to do.
        ValueError: if a download has another checksum than the official one, lacks files, or leaves its folder.
    """
    root = os.environ.get("MTLBENCH_DATA")
    cached = cache_folder() / "files" / source.name
    places: list[tuple[str, Callable[[], list[Path]]]] = []
    if root:
        folder = Path(root).expanduser() / source.name
        places.append((str(folder), lambda: _files_below(folder)))
    places.append((str(cached), lambda: _files_below(cached)))
    if source.distribution is not None:
        distribution = source.distribution
        places.append((f"installed distribution {distribution}", lambda: _files_of(distribution)))
    looked = [] if root else ["the environment variable MTLBENCH_DATA: not set"]
    for place, files in places:
        found = _match(source, files())
        if isinstance(found, Found):
            return found
        looked.append(f"{place}: {found}")
    if cached.is_dir():
        raise ValueError(f"{cached} is incomplete ({looked[-1]}); delete it, and the next call downloads it again")
    folder_made_once(cached, lambda folder: _download(source, folder, looked))
    found = _match(source, _files_below(cached))
    assert isinstance(found, Found), "_download has looked"
    return found


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _files_of(distribution: str) -> list[Path]:
    """The files that an installed distribution lists; it is not imported."""
    try:
        listed = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Path(str(path.locate())) for path in listed]


def _match(source: Source, files: Iterable[Path]) -> Found | str:
    """The first complete layout, or what is missing of the nearest one."""
    by_name: dict[str, Path] = {}  # without .gz
    for path in files:
        by_name.setdefault(path.name.removesuffix(".gz"), path)
    if not by_name:
        return "no files"
    nearest: list[str] = []
    for layout, names in source.layouts.items():
        missing = [name for name in names.required if name not in by_name]
        if not missing:
            chosen = (*names.required, *(name for name in names.optional if name in by_name))
            return Found(layout, {name: by_name[name] for name in chosen})
        if not nearest or len(missing) < len(nearest):
            nearest = missing
    return f"lacks {', '.join(nearest)}"


def _download(source: Source, folder: Path, looked: list[str]) -> None:
    """Downloads the official archive, checks it and unpacks it into `folder`."""
    pooch.get_logger().setLevel("WARNING")  # the progress bar says enough
    try:
        archive = pooch.retrieve(
            source.url,
            known_hash=f"md5:{source.md5}" if source.md5 else None,
            fname=source.url.rsplit("/", 1)[-1],
            path=folder,
            downloader=pooch.HTTPDownloader(progressbar=True),
        )
    except OSError as error:  # those of requests are OSErrors
        places = "".join(f"\n  {line};" for line in looked)
        terms = f" Terms: {source.terms}." if source.terms else ""
        raise FileNotFoundError(
            f"no files of the data set {source.name}. Looked in{places}\n  {source.url}: {_short(error)}\n"
            f"Connect to the network; or unpack that archive into a folder {source.name}, and set MTLBENCH_DATA to the "
            f"folder that it is in.{terms}"
        ) from error
    except ValueError as error:  # the text has the expected and the found checksum
        raise ValueError(f"wrong checksum of {source.url}: {error}") from error
    extract(Path(archive), folder)
    Path(archive).unlink()
    _check_members(source, folder)
    found = _match(source, _files_below(folder))
    if not isinstance(found, Found):
        raise ValueError(f"the archive of {source.url} is not what was expected: {found}")


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


def _check_members(source: Source, folder: Path) -> None:
    for path in _files_below(folder):
        expected = source.members.get(path.name.removesuffix(".gz"))
        if expected is None:
            continue
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()
        if found != expected:
            raise ValueError(f"wrong checksum of {path.name} from {source.url}: expected md5 {expected}, found {found}")


def extract(archive: Path, folder: Path) -> None:
    """Unpacks the regular files of a zip or tar, and of archives inside it; links and devices are left out.

    Raises:
        ValueError: if a member's path leads out of the folder, or the file is not an archive.
    """
    root = folder.resolve()
    inner: list[Path] = []
    for name, stream in _members(archive):
        target = (root / name).resolve()
        if not target.is_relative_to(root):
            raise ValueError(f"{archive.name}: the member {name!r} would be written outside its folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out)
        if target.name.endswith(ARCHIVES):
            inner.append(target)
    for path in inner:
        extract(path, path.parent)
        path.unlink()


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    with zipped.open(info) as stream:
                        yield info.filename, stream
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tarred:
            for member in tarred:
                if member.isfile():
                    content = tarred.extractfile(member)
                    assert content is not None, "a regular file"
                    yield member.name, content
    else:
        raise ValueError(f"{archive.name} is neither a zip nor a tar archive")


def file_digest(path: Path) -> str:
    """The sha256 of a file, computed once per (path, size, time of change): a memo in the cache spares the rest."""
    path = path.resolve()
    stat = path.stat()
    state = [str(path), stat.st_size, stat.st_mtime_ns]
    memo = cache_folder() / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"
    try:
        known = json.loads(memo.read_text(encoding="utf8"))
        if known["state"] == state:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no memo yet, or one of another format: compute it anew
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    write_json(memo, {"state": state, "sha256": found})
    return found
