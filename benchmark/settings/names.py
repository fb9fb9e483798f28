"""A group takes one registered name: the line for any other word, such as a misspelt name, a path, or several names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from benchmark.settings.keys import EXPERIMENT, GROUPS, options
from benchmark.settings.registry import REGISTRIES
from benchmark.text import unknown

CHAPTERS = {
    "dataset": "A data set",
    "architecture": "An architecture",
    "weighting": "A weighting",
}  # of CONTRIBUTING.md


def no_such_name(group: str, name: str, known: Sequence[str] = ()) -> str:
    """The line for a name that a group does not know.

    Args:
        group: "dataset", "hydra/launcher".
        name: As it was typed.
        known: The names there are, where Hydra lists them.
    """
    names = sorted(known or options(group))
    told = f"known: {', '.join(names)}"
    if not name:
        return f"{group}: expected a name, found nothing; {told}"
    parts = [part for part in re.split(r"\W+", name) if part]
    if len(parts) > 1 and all(part in names for part in parts):
        return f"{group}={name}: expected one name; to sweep over several, write {group}={','.join(parts)}"
    if group == "architecture" and len(parts) == 2 and parts[0] in names and parts[1] in options("weighting"):
        return f"{group}={name}: a method is chosen by two words: architecture={parts[0]} weighting={parts[1]}"
    if is_path(name):
        return f"{group}: expected a name, found the path {name!r}; {_own(group)}{told}"
    if group in REGISTRIES:
        return REGISTRIES[group].unknown(name, names)
    return unknown(group, name, names, [known for known in names if known.endswith(f"_{name}")])  # submitit_slurm


def split_path(path: str) -> tuple[str, str]:
    """Group and name of what Hydra looked for: a name that is a path has slashes of its own."""
    group, _, name = path.partition("/")
    if group in GROUPS:
        return group, name
    group, _, name = path.rpartition("/")
    return group or "configuration", name


def is_path(name: str) -> bool:
    """Does it look like a file or a folder?"""
    return "/" in name or re.search(r"\.\w+$", name) is not None


def _own(group: str) -> str:
    """How something of one's own comes into a group."""
    if group == EXPERIMENT:
        return "experiments of your own lie in FOLDER/experiment, and --config-dir FOLDER finds them; "
    if group == "dataset":
        return (
            "a table of your own is dataset=table dataset.file=FILE, with a YAML that `mtlbench data describe` writes; other data of "
            "your own need a small Python file that registers a name: `mtlbench new dataset NAME` writes one "
            f'(CONTRIBUTING.md, "{CHAPTERS[group]}"); '
        )
    if group in CHAPTERS:
        return (
            f"your own {group} needs a name: `mtlbench new {group} NAME` writes a package that registers one "
            f'(CONTRIBUTING.md, "{CHAPTERS[group]}"); '
        )
    return ""
