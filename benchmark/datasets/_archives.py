"""Unpacking archives: nothing is written outside their folder."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")


def extract(archive: Path, folder: Path) -> None:
    """Unpacks the regular files of a zip or tar, and of archives inside it; links and devices are left out.

    Raises:
        ValueError: naming the archive, if a member's path leads out of the folder, or is that of a folder too; if a
            member is encrypted or damaged, or if the file is not an archive.
    """
    try:
        _extract(archive, folder)
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise ValueError(
            f"{archive.name}: the member {Path(error.filename).name!r} is both a file and a folder"
        ) from error
    except (RuntimeError, NotImplementedError) as error:  # what zipfile raises for a password or an unknown method
        raise ValueError(f"{archive.name}: {error}; unpack it yourself") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{archive.name} is damaged: {error}") from error


def _extract(archive: Path, folder: Path) -> None:
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
