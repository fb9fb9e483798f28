"""What killed processes left behind: found in folders of results, in the cache and among the system's temporary files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir

from benchmark.datasets._cache import cache_folder
from benchmark.runs.locks import is_lock, left_locks, remove_lock
from benchmark.temporaries import left_behind, remove


def leftovers(folders: Iterable[Path], *, deep: bool = True) -> list[Path]:
    """The temporaries whose processes are gone; see `benchmark.temporaries.left_behind`.

    The state that an unfinished run will resume from is kept.

    Args:
        folders: Folders of results, where Hydra leaves an empty folder too. The cache and the system's folder for temporary
            files come with them.
        deep: Whether to look in the folders below those of results too.
    """
    found: list[Path] = []
    for folder in folders:
        found += left_behind(folder, deep=deep)
        found += left_locks(folder, deep=deep)
        found += left_by_hydra(folder)
    cache = cache_folder()
    found += left_behind(Path(gettempdir()))
    for folder in (cache, *cache.glob("*/"), *cache.glob("prepared/*/")):
        found += left_behind(folder, older=folder in (cache / "prepared", cache / "files"))  # nowhere else did they
    return sorted(set(found))


def clean(folders: Iterable[Path], *, deep: bool = True) -> list[Path]:
    """Removes `leftovers`, and returns what it removed."""
    found = leftovers(folders, deep=deep)
    for path in found:
        (remove_lock if is_lock(path) else remove)(path)
    return [path for path in found if not os.path.lexists(path)]


def left_by_hydra(folder: Path) -> list[Path]:
    """The folder that Hydra creates in one of results although it writes nothing there."""
    hydra = folder / ".hydra"
    with suppress(OSError):  # another sweep removes it too
        if not any(hydra.iterdir()):
            return [hydra]
    return []
