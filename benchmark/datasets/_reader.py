"""The code that reads a data set is a part of the cache's key: after an edit the arrays are made again."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from benchmark.datasets._cache import cache_folder
from benchmark.files import digest, read_memo, write_memo

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
PACKAGE = __name__.rpartition(".")[0]  # benchmark.datasets, whose text, table and prepare every reader shares


@cache  # once a process, as its code is loaded once: an edit during a sweep must not file old arrays under new code
def reader_digest(dataset: type) -> str:
    """Hash of the code that decides which arrays a class of data sets has; comments and docstrings do not count.

    It covers the modules of the class and of its bases, and the modules that these import from their own packages and from
    `benchmark.datasets`. It covers neither libraries nor the rest of `benchmark`, for which there is `prepare.FORMAT`.
    If the class was defined in a notebook, it covers the methods.
    """
    roots = {cls.__module__ for cls in dataset.__mro__ if cls.__module__ not in sys.stdlib_module_names}
    packages = {PACKAGE, *(name.partition(".")[0] for name in roots if not name.startswith(f"{PACKAGE}."))}
    packages.discard("benchmark")
    known = _Memo()
    modules: dict[str, str] = {}
    waiting = [f"{PACKAGE}.prepare", *roots]
    while waiting:
        name = waiting.pop()
        if name in modules or not any(f"{name}.".startswith(f"{package}.") for package in packages):
            continue
        source = _source(name)
        if source is not None:
            modules[name], imported = known.of(name, source)
            waiting += imported
    known.save()
    methods = [] if dataset.__module__ in modules else [ast.dump(tree) for tree in _methods(dataset)]
    return digest([*sorted(modules.items()), *methods])


class _Memo:
    """What parsing a module gave, by its name and content: parsing all of them takes a tenth of a second."""

    def __init__(self) -> None:
        self.path = cache_folder() / "modules.json"
        self._known: dict[str, Any] = read_memo(self.path) or {}
        self._is_new = False

    def of(self, name: str, source: bytes) -> tuple[str, list[str]]:
        """The hash of a module's tree, and the full names of what it imports."""
        key = digest([name, hashlib.sha256(source).hexdigest()])
        if key not in self._known:
            tree = _parsed(source)
            self._known[key] = [digest(ast.dump(tree)), sorted(set(_imported(name, tree)))]
            self._is_new = True
        found, imported = self._known[key]
        return found, imported

    def save(self) -> None:
        """Keeps what is new, if the cache can be written."""
        if self._is_new:
            write_memo(self.path, self._known)


def _source(name: str) -> bytes | None:
    """A module's source; None if it is not a module, or has no source file."""
    try:
        spec = find_spec(name)
        place = None if spec is None else spec.origin
    except (ImportError, ValueError):  # a name in a module; a script
        place = getattr(sys.modules.get(name), "__file__", None)
    return Path(place).read_bytes() if place is not None and place.endswith(".py") else None


def _parsed(source: bytes | str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return tree


def _imported(name: str, tree: ast.Module) -> Iterator[str]:
    """Full names of what a module imports, inside functions too; some are names in a module, not modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = resolve_name("." * node.level + module, _package(name))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _package(name: str) -> str | None:
    module = sys.modules.get(name)
    if module is not None:
        return module.__package__
    spec = find_spec(name)
    return None if spec is None else spec.parent


def _methods(dataset: type) -> Iterator[ast.Module]:
    for method in vars(dataset).values():
        if inspect.isfunction(method):
            try:
                yield _parsed(textwrap.dedent(inspect.getsource(method)))
            except (OSError, SyntaxError):  # typed at a prompt that keeps no source
                continue
