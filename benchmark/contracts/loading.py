"""From a file or a module to what it registers, so that `mtlbench check` needs neither a package nor a clone."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

from benchmark.contracts import GROUPS
from benchmark.plugins import where
from benchmark.settings.registry import REGISTRIES, discover


def entries(target: str) -> list[tuple[str, str]]:
    """The group and the name of every architecture, weighting and data set that a file or a module registers.

    Args:
        target: A Python file, such as `my_net.py`, a module, such as `my_package.my_net`, or a file that describes an entry, such as
            `my.yaml` of a table.

    Raises:
        ValueError: if there is no such file or module, it cannot be imported, or it registers nothing that has contracts.
    """
    discover()
    described = [(group, target) for group in GROUPS if REGISTRIES[group].entry_of(target) != target]
    if described:
        return described
    path = Path(target)
    is_file = path.suffix == ".py"  # a folder may be a package
    found = _of_file(path) if is_file else []
    if not found:
        module = _load(path) if is_file else _import(target)
        found = _of_module(module)
        if not found:
            raise ValueError(_registers_nothing(target, module))
    return found


def _of_file(path: Path) -> list[tuple[str, str]]:
    """What is registered already, by one of our modules or by an installed package."""
    return [(group, name) for group, name, cls in _registered() if Path(file_of(cls)).resolve() == path.resolve()]


def _of_module(module: ModuleType) -> list[tuple[str, str]]:
    inside = f"{module.__name__}."
    return [(group, name) for group, name, cls in _registered() if f"{cls.__module__}.".startswith(inside)]


def _registered() -> list[tuple[str, str, type]]:
    return [(group, name, REGISTRIES[group].get(name)) for group in GROUPS for name in REGISTRIES[group].names()]


def file_of(cls: type) -> str:
    """The file that defines a class; empty for a class of a notebook or of an interpreter's prompt."""
    try:
        return inspect.getfile(cls)
    except (TypeError, OSError):
        return ""


def _load(path: Path) -> ModuleType:
    """Runs a file as a module: under its package's name if its folder is a package, so that relative imports work."""
    if not path.is_file():
        raise ValueError(f"{path}: expected a Python file, found {'a folder' if path.is_dir() else 'none'}")
    names, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").is_file():
        names, folder = [folder.name, *names], folder.parent
    sys.path.append(str(folder))  # last: a file beside it must not hide a package
    if len(names) > 1:
        _check_package(path, folder / names[0])
        return _import(".".join(names))
    # a name that no other module can have, and that can be read in an error
    spec = importlib.util.spec_from_file_location(f"the file {path.stem}", path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise ValueError(f"{path} cannot be imported: {where(error, str(path.resolve()))}") from error
    return module


def _check_package(path: Path, package: Path) -> None:
    """Refuses a file of a package if another package of this name is imported: its module would be checked instead."""
    found = Path(_import(package.name).__file__ or "").resolve().parent
    if found != package:
        raise ValueError(
            f"{path}: expected to import its package {package.name} from {package}, found it in {found}; "
            "uninstall that one, or install this one with pip install -e"
        )


def _import(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise ValueError(_unknown(name)) from None
        raise ValueError(f"{name} cannot be imported: {where(error)}") from error


def _unknown(name: str) -> str:
    """The line for what is neither a file nor a module."""
    if name in GROUPS:
        return f"{name} needs a name: mtlbench check {name} NAME"
    groups = [group for group in GROUPS if name in REGISTRIES[group].names()]
    meant = " or ".join(f"mtlbench check {group} {name}" for group in groups)
    advice = f"; did you mean {meant}?" if meant else ""
    return f"{name!r}: expected a file such as my_net.py, or a module that can be imported, found neither{advice}"


def _registers_nothing(target: str, module: ModuleType) -> str:
    """The line for a file without entries: its classes that look like some, and how they become some."""
    bases = {group: _base(group) for group in GROUPS}
    own = [cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__]
    for group, base in bases.items():
        for cls in own:
            if issubclass(cls, base):
                return (
                    f"{target}: the {group} {cls.__name__} is not registered: expected "
                    f'@register("{cls.__name__.lower()}") above it, from {REGISTRIES[group].package}'
                )
    classes = ", ".join(cls.__name__ for cls in own) or "no class"
    return f"{target}: expected an architecture, a weighting or a data set that it registers, found {classes}"


def _base(group: str) -> type:
    """The class that all entries of a group derive from."""
    base: type = getattr(importlib.import_module(REGISTRIES[group].package), group.title())
    return base
