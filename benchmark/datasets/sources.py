"""Finding the official files of a data set, and downloading them where they are nowhere to be found."""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pooch
from filelock import FileLock

from benchmark.console import echo
from benchmark.datasets._archives import ARCHIVES, extract
from benchmark.datasets._cache import cache_folder, folder_made_once, scratch_beside
from benchmark.disk import FULL, flush, is_settled, state_of
from benchmark.files import read_json, read_memo, sha256_of, write_json, write_memo


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
        url: The official address of an archive. With `files` or `login`, that of the page about them.
        md5: The archive's checksum. None: see `members`. Without these, the first download's checksum is kept, and later
            downloads must have it.
        files: Where the owners offer files one by one: address to checksum, as "sha256:...", or None as above.
        members: Base name to md5 of an unpacked, uncompressed file of a download, for archives that the owners may repack.
        distribution: An installed distribution that ships the files.
        terms: One line on how the official files may be used.
        login: What the owners ask for before they give the files: "a Tianchi account". Nothing is downloaded then, and the
            error says where to get the files, and where to put them.
        rows: How many rows the files have, as the owners or papers say.
    """

    name: str
    layouts: dict[str, Layout]
    url: str
    md5: str | None = None
    files: dict[str, str | None] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    distribution: str | None = None
    terms: str = ""
    login: str | None = None
    rows: int | None = None

    @property
    def downloads(self) -> dict[str, str | None]:
        """Address to checksum, as pooch writes it, of all that is downloaded; nothing where that takes a login."""
        if self.login is not None:
            return {}
        return self.files or {self.url: f"md5:{self.md5}" if self.md5 else None}


@dataclass(frozen=True, slots=True)
class Found:
    """The files of a data set: which format they have, base name (without .gz) to path, and the files of the same names left out."""

    layout: str
    paths: dict[str, Path]
    left_out: tuple[Path, ...] = ()

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
    found, looked = look(source)
    if found is not None:
        for path in found.left_out:
            _say_once(f"mtlbench: {found.paths[_base(path)]} was taken, and {path} left out: they have one name")
        return found
    cached = _cached(source)
    if cached.is_dir() and not source.files:
        raise ValueError(f"{cached} is incomplete ({looked[-1]}); delete it, and the next call downloads it again")
    if source.login is not None:
        raise FileNotFoundError(_not_found(source, looked))
    (cache_folder() / "downloads").mkdir(parents=True, exist_ok=True)
    with FileLock(cache_folder() / "downloads" / f"{source.name}.lock"):  # other processes wait for this download
        if cached.is_dir():
            _add_missing(source, cached, looked)
        else:
            folder_made_once(cached, lambda folder: _download(source, folder, looked))
    return _complete(source, cached)


def look(source: Source) -> tuple[Found | None, list[str]]:
    """The files where they are on this machine, or None; and each place that was looked at, with what it lacks."""
    root = os.environ.get("MTLBENCH_DATA")
    places: list[tuple[str, Callable[[], list[Path]]]] = []
    if root:
        folder = Path(root).expanduser() / source.name
        places.append((str(folder), lambda: _files_below(folder)))
    cached = _cached(source)
    places.append((str(cached), lambda: _files_below(cached)))
    if source.distribution is not None:
        distribution = source.distribution
        places.append((f"installed distribution {distribution}", lambda: _files_of(distribution)))
    looked = [] if root else ["the environment variable MTLBENCH_DATA: not set"]
    for place, files in places:
        found = _match(source, files())
        if isinstance(found, Found):
            return found, looked
        looked.append(f"{place}: {found}")
    return None, looked


def availability(source: Source) -> str:
    """Whether the files are on this machine, in words; they are neither read nor downloaded."""
    found, _ = look(source)
    if found is not None:
        return "files found"
    return f"no files yet: {'the first run downloads them' if source.login is None else f'they need {source.login}'}"


def _cached(source: Source) -> Path:
    return cache_folder() / "files" / source.name


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _files_of(distribution: str) -> list[Path]:
    """The files that an installed distribution lists; it is not imported."""
    try:
        listed = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Path(str(path.locate())) for path in listed]


@cache
def _say_once(line: str) -> None:
    """Each run of a sweep looks for the files again."""
    echo(line, file=sys.stderr)


def _base(path: Path) -> str:
    return path.name.removesuffix(".gz")


def _match(source: Source, files: Iterable[Path]) -> Found | str:
    """The first complete layout, or what is missing of the nearest one."""
    by_name: dict[str, Path] = {}  # without .gz
    twins = [path for path in files if by_name.setdefault(_base(path), path) != path]
    if not by_name:
        return "no files"
    nearest: list[str] = []
    for layout, names in source.layouts.items():
        missing = [name for name in names.required if name not in by_name]
        if not missing:
            chosen = (*names.required, *(name for name in names.optional if name in by_name))
            left_out = tuple(path for path in twins if _base(path) in chosen)
            return Found(layout, {name: by_name[name] for name in chosen}, left_out)
        if not nearest or len(missing) < len(nearest):
            nearest = missing
    return f"lacks {', '.join(nearest)}"


def _not_found(source: Source, looked: list[str]) -> str:
    """What to do, where nothing could be found or downloaded."""
    places = "".join(f"\n  {line};" for line in looked)
    if source.login is not None:
        names = " and ".join(", ".join(layout.required) for layout in list(source.layouts.values())[:1])
        todo = (
            f"Its owners give it to holders of {source.login}: download it from {source.url}, unpack {names} into a folder "
            f"{source.name}, and set MTLBENCH_DATA to the folder that it is in."
        )
    else:
        what = "those files" if source.files else "that archive"
        todo = (
            f"Connect to the network; or {'put' if source.files else 'unpack'} {what} into a folder {source.name}, and set "
            "MTLBENCH_DATA to the folder that it is in."
        )
    terms = f" Terms: {source.terms}." if source.terms else ""
    return f"no files of the data set {source.name}. Looked in{places}\n{todo}{terms}"


def _download(source: Source, folder: Path, looked: list[str]) -> None:
    """Downloads all official files into `folder`."""
    _fill(source, folder, looked)
    _complete(source, folder)


def _complete(source: Source, folder: Path) -> Found:
    """The files of a folder.

    Raises:
        ValueError: if it lacks some.
    """
    found = _match(source, _files_below(folder))
    if not isinstance(found, Found):
        raise ValueError(f"what {source.url} offers is not what was expected: {found}")
    return found


def _add_missing(source: Source, cached: Path, looked: list[str]) -> None:
    """Downloads the official files that an earlier configuration did not need, such as more weeks of a log."""
    known = {path.name for path in _files_below(cached)}
    missing = {url: checksum for url, checksum in source.files.items() if _name_of(url) not in known}
    if not missing:  # another process was faster
        return
    with scratch_beside(cached) as folder:
        _fill(replace(source, files=missing), folder, looked)
        for path in _files_below(folder):
            target = cached / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            flush(path)
            path.replace(target)
            flush(target.parent)


def _name_of(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name


def _fill(source: Source, folder: Path, looked: list[str]) -> None:
    """Downloads files, checks them, and unpacks archives into `folder`."""
    waiting = cache_folder() / "downloads" / source.name  # what has arrived waits here, whatever ends this process
    arrived = {url: _retrieve(source, url, waiting, looked) for url in source.downloads}
    try:
        for url, path in arrived.items():
            if source.downloads[url] is None and not source.members:
                _keep_checksum(source, url, path)
            if source.files and not path.name.endswith(ARCHIVES):
                shutil.move(path, folder / path.name)
            else:
                extract(path, folder)
        _check_members(source, folder)
    finally:
        shutil.rmtree(waiting)  # it is unpacked, or it is wrong


def _retrieve(source: Source, url: str, waiting: Path, looked: list[str]) -> Path:
    """One downloaded file, with the owners' checksum if they publish one."""
    from benchmark.datasets._download import ResumedDownload  # requests takes a tenth of a second to import

    name = _name_of(url)
    pooch.get_logger().setLevel("WARNING")  # the progress bar says enough
    try:
        arrived = pooch.retrieve(
            url,
            known_hash=source.downloads[url],
            fname=name,
            path=waiting,
            downloader=ResumedDownload(waiting / f"{name}.part"),
        )
    except OSError as error:  # those of requests are OSErrors
        if error.errno in FULL:
            raise
        raise FileNotFoundError(_not_found(source, [*looked, f"{url}: {_short(error)}"])) from error
    except ValueError as error:  # the text has the expected and the found checksum
        raise ValueError(f"wrong checksum of {url}: {error}") from error
    return Path(arrived)


def _keep_checksum(source: Source, url: str, path: Path) -> None:
    """Keeps the sha256 of the first download of an address whose owners publish none, and says so; compares later ones.

    Raises:
        ValueError: if this download is another file than the first was.
    """
    memo = cache_folder() / "checksums" / f"{source.name}.json"
    known: dict[str, str] = read_json(memo, "the checksums of first downloads") if memo.exists() else {}
    found = sha256_of(path)
    if url not in known:
        write_json(memo, {**known, url: found})
        echo(
            f"{url}: its owners publish no checksum. This download has the sha256 {found}; {memo} keeps it, and later "
            "downloads must have it",
            file=sys.stderr,
        )
    elif known[url] != found:
        raise ValueError(
            f"{url} has changed: the first download had the sha256 {known[url]}, this one has {found}, and its owners publish "
            f"none. If you trust the new file, delete {memo}"
        )


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


def file_digest(path: Path) -> str:
    """The sha256 of a file, computed once per path and `state_of` the file: a memo in the cache spares the rest."""
    path = path.resolve()
    state = state_of(path)
    memo = cache_folder() / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:24]}.json"
    known = read_memo(memo)
    if isinstance(known, dict) and known.get("state") == [str(path), *state]:
        return str(known["sha256"])
    found = sha256_of(path)
    if is_settled(state):
        write_memo(memo, {"state": [str(path), *state], "sha256": found})
    return found
