"""Entry points: how an outside package adds to our tables, and what to say if one is missing. Imports none of our modules."""

from __future__ import annotations

import json
import shlex
import tomllib
import traceback
import warnings
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions, entry_points
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

_PREFIX = "mtlbench."
_broken: dict[str, list[str]] = {}  # by table, what was told of the plugins that cannot be loaded


def load_plugins(what: str) -> None:
    """Imports all modules that installed packages name under `mtlbench.<what>`. A broken module gives a warning.

    Args:
        what: The table in the plural: `architectures`, `kinds`.
    """
    _broken[what] = []
    for point in entry_points(group=f"{_PREFIX}{what}"):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001  a plugin may raise anything, and must not break the rest
            owner = point.dist.name if point.dist else "unknown"
            told = f"plugin {point.name!r} of {owner!r} cannot be loaded and is skipped: {where(error)}"
            _broken[what].append(told)
            warnings.warn(told, stacklevel=3)


def missing_hint(what: str, *, has_near: bool) -> str:
    """Why a name may be unknown though its module is there: an end of that error's line, or nothing.

    A plugin is broken; its entry point is newer than the installation of its package; or there are packages with plugins, and
    one of them may lack the entry point.

    Args:
        what: The table in the plural, whose plugins have been loaded.
        has_near: Is there a known name that may have been meant? Then the last of these is not worth a word.
    """
    if _broken.get(what):
        return "".join(f"; {told}" for told in _broken[what])
    owners, newer = [], []
    for owner in distributions():
        owners += [owner.name] if any(point.group.startswith(_PREFIX) for point in owner.entry_points) else []
        newer += list(_not_installed(owner, f"{_PREFIX}{what}"))
    if newer:
        return "".join(f"; {told}" for told in newer)
    if has_near or not owners:
        return ""
    return (
        f"; a module in another package ({', '.join(sorted(set(owners)))}) needs an entry point of {_PREFIX}{what} in "
        "pyproject.toml, and pip install -e again after it is added"
    )


def where(error: Exception, file: str = "") -> str:
    """Type, place and message of an error. The place is where the syntax is wrong, or the line that raised the error.

    Args:
        error: As it was caught.
        file: The file whose lines are preferred, if the error passed through it.
    """
    name = type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{name} in {error.filename}, line {error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    its = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    its = [frame for frame in its if frame.filename == file] or its
    return f"{name} in {its[-1].filename}, line {its[-1].lineno}: {error}" if its else f"{name}: {error}"


def _not_installed(owner: Distribution, group: str) -> Iterator[str]:
    """Entry points in the pyproject.toml of a package that was installed from a folder, which its installation lacks."""
    origin = json.loads(owner.read_text("direct_url.json") or "{}")
    if "dir_info" not in origin:
        return
    folder = Path(url2pathname(urlsplit(origin["url"]).path))
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf8"))["project"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):  # moved away, being edited, or of another build tool
        return
    installed = {(point.name, point.value) for point in owner.entry_points if point.group == group}
    option = "-e " if origin["dir_info"].get("editable") else ""
    for name, value in project.get("entry-points", {}).get(group, {}).items():
        if (name, value) not in installed:
            yield (
                f"the entry point {name!r} of {folder / 'pyproject.toml'} is newer than the installation of {owner.name}: "
                f"pip install {option}{shlex.quote(str(folder))}"
            )
