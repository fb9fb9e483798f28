"""`mtlbench new`: writes a package with one method or data set, which installs, passes its tests and runs as written."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from benchmark.files import written_whole
from benchmark.settings.registry import REGISTRIES
from benchmark.text import unknown

SMALL_SHOP = "dataset=shop dataset.num_rows=20000 trainer.max_epochs=2"
TRIALS = {
    "architecture": f"mtlbench run architecture={{name}},shared_bottom {SMALL_SHOP}",
    "weighting": f"mtlbench run architecture=mmoe weighting={{name}},equal {SMALL_SHOP}",
    "dataset": "mtlbench run architecture=mmoe,shared_bottom dataset={name}",
}
"""By group: a first run of a few seconds, beside a method to compare with."""
BASELINES = {"architecture": "shared_bottom/equal", "weighting": "mmoe/equal", "dataset": "shared_bottom/equal"}
"""By group: that method. The report would look for single_task/equal, which the first run leaves out."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was written.

    Args:
        folder: The folder as it was given.
        files: The files in it.
        commands: What to type next, quoted for a shell.
    """

    folder: Path
    files: tuple[Path, ...]
    commands: tuple[str, ...]

    def __str__(self) -> str:
        written, following = [f"written: {path}" for path in self.files], [f"  {line}" for line in self.commands]
        return "\n".join([*written, "", "Next:", *following])


def make_package(group: str, name: str, into: str | Path | None = None) -> Package:
    """Writes the package `mtl_<name>`, with tests and a README.

    Args:
        group: architecture, weighting or dataset.
        name: The name to register, in snake_case.
        into: The folder to write to; it may exist if it is empty. None: a folder of that name.

    Raises:
        ValueError: for an unknown group, a name that cannot be used or is taken, or a folder that is not empty.
    """
    if group not in TRIALS:
        raise ValueError(unknown("group", group, TRIALS))
    _check_name(group, name)
    folder = Path(name if into is None else into).expanduser()
    _check_empty(folder)
    trial, report = TRIALS[group].format(name=name), f"mtlbench report --baseline {BASELINES[group]}"
    words = {"group": group, "name": name, "class_name": _class_name(name), "trial": trial, "report": report}
    texts = {folder / path: _rendered(template, words) for path, template in _layout(group, name).items()}
    if re.search(rf"^from .* import .*\b{words['class_name']}\b", texts[folder / _module(name)], re.MULTILINE):
        raise ValueError(
            f"NAME: {name!r} makes a class {words['class_name']}, as mtlbench has one; choose another name"
        )
    try:
        for path, text in texts.items():
            with written_whole(path) as file:
                file.write_text(text, encoding="utf8", newline="\n")
    except OSError:
        for path in texts:  # a part of a package would be in the way of the next try
            path.unlink(missing_ok=True)
        raise
    there = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    commands = (*there, "pip install -e .", f"mtlbench check {group} {name}", trial, report)
    return Package(folder, tuple(texts), commands)


def _layout(group: str, name: str) -> dict[str, str]:
    """{path in the package's folder: template}."""
    layout = {
        "README.md": "README.md.jinja",
        "pyproject.toml": "pyproject.toml.jinja",
        f"mtl_{name}/__init__.py": "package.py.jinja",
        _module(name): f"{group}.py.jinja",
        f"tests/test_{name}.py": "tests.py.jinja",
    }
    return layout | ({f"mtl_{name}/sample.csv": "sample.csv"} if group == "dataset" else {})


def _module(name: str) -> str:
    return f"mtl_{name}/{name}.py"


def _rendered(template: str, words: dict[str, str]) -> str:
    environment = Environment(
        loader=PackageLoader("benchmark.scaffold", ""),
        autoescape=select_autoescape(),  # none of these is HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(words)


def _check_name(group: str, name: str) -> None:
    if not _is_usable(name):
        plain = re.sub(r"\W+", "_", name).strip("_").lower()
        right = plain if _is_usable(plain) else f"my_{group}"
        raise ValueError(f"NAME: expected a Python name in snake_case, such as {right}, found {name!r}")
    if name in REGISTRIES[group].names():
        where = REGISTRIES[group].get(name).__module__
        raise ValueError(f"NAME: {group} {name!r} is registered already, by {where}; choose another name")
    if importlib.util.find_spec(f"mtl_{name}") is not None:
        raise ValueError(f"NAME: a package mtl_{name} is installed already; choose another name than {name!r}")


def _is_usable(name: str) -> bool:
    is_snake_case = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name, re.ASCII) is not None
    return is_snake_case and not keyword.iskeyword(name)


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _check_empty(folder: Path) -> None:
    """Refuses to write among the user's files. Hidden ones, such as those of git, do no harm."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; choose another folder with --into FOLDER")
    found = sorted(path.name for path in folder.glob("[!.]*"))
    if found:
        raise ValueError(f"the folder {folder} is not empty (it has {found[0]}); choose another one with --into FOLDER")
