"""Names to print in a paper: `single_task/equal` becomes `Single-task`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from benchmark.analysis.results import Results
from benchmark.records.record import name_of_data
from benchmark.text import unknown


def read_names(path: str | Path) -> dict[str, str]:
    """Reads the names from a YAML file with lines `name: print name`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it contains anything else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file of names at {path}")
    expected = f"names: expected lines such as `single_task/equal: Single-task` in {path}"
    try:
        found: Any = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OSError, ValueError) as error:
        raise ValueError(f"{expected}, found no YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{expected}, found a {type(found).__name__}")
    wrong = next((key for key, value in found.items() if not isinstance(key, str) or not isinstance(value, str)), None)
    if wrong is not None:
        raise ValueError(
            f"{expected}, found {wrong}: {found[wrong]!r}; put quotes around text that YAML would not read as text"
        )
    return found


def print_names(results: Sequence[Results], given: Mapping[str, str]) -> dict[str, str]:
    """What to print instead of every method, data set, task and reference that has a print name.

    A method gets the print name given for it (`mmoe/equal`), or else the names of its architecture and its weighting,
    joined by a plus: `MMoE + UW`. An empty name of a weighting leaves it out. A suffix in the report, such as `
    (tuned)`, is kept.

    Args:
        results: The numbers, one object per data set.
        given: Print names by method, architecture, weighting, data set, task or key of a reference.

    Raises:
        ValueError: if a name is given for something that is not in these records.
    """
    known: set[str] = set()
    names: dict[str, str] = {}
    for one in results:
        for name in (*(task.name for task in one.group.tasks), *one.lines):
            known.add(name)
            if name in given:
                names[one.lines[name].name if name in one.lines else name] = given[name]
        for run in one.group.runs:
            data, method = name_of_data(run.record.config["dataset"]), run.record.method
            known |= {data, run.dataset, method, run.method, *_parts(method)}
            for full, base in ((run.dataset, data), (run.method, method)):
                printed = _printed(base, given)
                if full in given:
                    names[full] = given[full]
                elif printed is not None:
                    names[full] = printed + full.removeprefix(base)
    for name in given:
        if name not in known:
            raise ValueError(unknown("name", name, known))
    return names


def _parts(method: str) -> tuple[str, str]:
    architecture, _, weighting = method.rpartition("/")
    return architecture, weighting


def _printed(base: str, given: Mapping[str, str]) -> str | None:
    """The print name of a data set or a method; None if neither it nor a part of it has one."""
    if base in given:
        return given[base]
    architecture, weighting = _parts(base)
    if not architecture or not {architecture, weighting} & given.keys():
        return None
    return " + ".join(part for part in (given.get(architecture, architecture), given.get(weighting, weighting)) if part)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A text with names replaced where they are whole words; the longest match wins."""
    if not names:
        return text
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    return re.sub(rf"(?<![\w/])(?:{words})(?![\w/])", lambda found: names[found[0]], text)
