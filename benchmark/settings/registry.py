"""One mechanism for architectures, weightings, data sets and trackers: register, discover, configure, build.

The keyword-only parameters of a registered class's `__init__`, with their annotations and defaults, ARE its configuration:
`register` makes a dataclass of them (`MMoE.Config`) and stores it in Hydra's ConfigStore. Nobody writes a YAML file for it.

    @architectures.register("mmoe")
    class MMoE(Architecture):
        def __init__(self, schema: Schema, *, num_experts: int = 8) -> None: ...

An outside package adds a module with two lines of its pyproject:

    [project.entry-points."mtlbench.architectures"]
    mynet = "mynet.model"

An `__init__` that ends in `**options` passes them to its base class, whose keyword-only parameters are configuration too.

Annotations may be int, float, bool, str, Literal of strings, `tuple[int, ...]`, `dict[str, float]`, and `X | None`. A
parameter added later declares the value at which it changes nothing: `steps: Annotated[int, Neutral(1)] = 4`.

A class method `complete(config)` may fill in keys from others whenever a configuration is made: `dataset=table` takes the hash of
its file's content. Such a data set is registered with `files` and has the keys `file`, `label` and `description` (the hash). Its
identity has the hash only. The identity of every other data set has all keys.
"""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Collection, Hashable, Mapping
from functools import cache, partial
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from benchmark.plugins import load_plugins, missing_hint
from benchmark.records.record import OF_DESCRIPTION, name_of_data
from benchmark.text import near, unknown

C = TypeVar("C", bound=type)
D = TypeVar("D")


@dataclasses.dataclass(frozen=True, slots=True)
class Neutral:
    """The value at which a parameter added later changes nothing.

    It goes into `Annotated`. Identity leaves out a key at its neutral value, so earlier runs keep their ids. A
    configuration without the key predates it and has the neutral value, whatever the default is.
    """

    value: Any


@cache
def _neutral_marks(annotated: Hashable) -> dict[str, Neutral]:
    hints = get_type_hints(annotated, include_extras=True)
    found = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    return {name: mark for name, marks in found.items() for mark in marks if isinstance(mark, Neutral)}


def neutral_values(config: type) -> dict[str, Any]:
    """{key: neutral value} for the keys of a configuration class that declare one."""
    return {name: mark.value for name, mark in _neutral_marks(cast(Hashable, config)).items()}


def plain(config: Any) -> dict[str, Any]:
    """A configuration as plain values, for hashes and records: without the keys at their neutral value."""
    neutral, values = neutral_values(type(config)), {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in neutral or value != neutral[field.name]:
            values[field.name] = plain(value) if dataclasses.is_dataclass(value) else copy.deepcopy(value)
    return values


def parameter_names(config: type) -> list[str]:
    """The keys of a configuration class that can be set."""
    return [field.name for field in dataclasses.fields(config) if field.init]


def restored(config: type[D], values: Mapping[str, Any]) -> D:
    """The inverse of `plain`: a missing key has its neutral value, or else its default.

    Raises:
        ValueError: for a key that the configuration does not have.
    """
    known = parameter_names(config)
    for key in values:
        if key not in known and key != "name":
            raise ValueError(unknown("key", key, known))
    return config(**{**neutral_values(config), **{key: value for key, value in values.items() if key in known}})


@dataclasses.dataclass(kw_only=True, slots=True)
class ComponentConfig:
    """Base of the registries' configurations: the registered name, then the parameters."""

    name: str = dataclasses.field(default=MISSING, init=False)


@dataclasses.dataclass(kw_only=True, slots=True)
class DatasetConfig(ComponentConfig):
    """Base of the configurations of data sets."""

    @property
    def shown(self) -> str:
        """What people call the data set: the label in the file that describes it, or else its registered name."""
        return name_of_data(plain(self))


@dataclasses.dataclass(kw_only=True, slots=True)
class ArchitectureConfig(ComponentConfig):
    """Base of the configurations of architectures."""


@dataclasses.dataclass(kw_only=True, slots=True)
class WeightingConfig(ComponentConfig):
    """Base of the configurations of weightings."""


@dataclasses.dataclass(kw_only=True, slots=True)
class TrackerConfig(ComponentConfig):
    """Base of the configurations of trackers."""


class Registry:
    """A table of classes by name, filled by `register` when the modules of a package are imported.

    Args:
        group: The Hydra group and the word for one entry: "architecture".
        package: The built-in package whose modules `discover` imports: "architectures".
        base: The dataclass from which every entry's Config derives.
    """

    def __init__(self, group: str, package: str, base: type[ComponentConfig]) -> None:
        self.group, self.package, self.base = group, package, base
        self._classes: dict[str, type] = {}
        self._default: str | None = None
        self._of_files: dict[str, str] = {}  # ending to the entry that such a file describes
        self._absent: dict[str, str] = {}  # entries whose library is not installed, and what to say of them
        self._discovered = False

    @property
    def plural(self) -> str:
        """The word for all entries, as in `mtlbench list architectures` and the entry point group."""
        return f"{self.group}s"

    def register(self, name: str, *, default: bool = False, files: tuple[str, ...] = ()) -> Callable[[C], C]:
        """A class decorator that enters the class under `name` and gives it its `Config`.

        Args:
            name: Its name on the command line, in records and in reports.
            default: Whether it is the default of its group.
            files: Endings of files that describe it, such as `.yaml`: the path of one stands for the entry with `file=` that path.

        Raises:
            ValueError: if another class has the name or is the default, if a parameter lacks an annotation or a
                default, or if a data set has the parameters of a description and no `files`.
        """

        def enter(cls: C) -> C:
            known = self._classes.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
                raise ValueError(f"{self.group} {name!r} is registered twice: {known.__module__} and {cls.__module__}")
            if default and self._default not in (None, name):
                raise ValueError(f"the default {self.group} is {self._default}, and {name} claims to be it too")
            config = _config_class(cls, name, self.group, self.base)
            if not files and set(OF_DESCRIPTION) <= set(parameter_names(config)):
                raise ValueError(
                    f"{self.group} {name}: the parameters {', '.join(OF_DESCRIPTION)} belong to a data set that a file describes; "
                    "rename one, or register it with files=('.yaml',) if the identity of its runs is to leave out file and label"
                )
            cls.Config = config  # type: ignore[attr-defined]
            cls.registered_as = name  # type: ignore[attr-defined]
            self._classes[name] = cls
            self._default = name if default else self._default
            self._of_files |= dict.fromkeys(files, name)
            ConfigStore.instance().store(group=self.group, name=name, node=_config_node(config), provider="mtlbench")
            return cls

        return enter

    def absent(self, name: str, extra: str) -> None:
        """Notes that an entry needs an extra which is not installed; called instead of `register`."""
        self._absent[name] = (
            f"{self.group} {name} needs an extra that is not installed: pip install 'mtlbench[{extra}]'"
        )

    def discover(self) -> None:
        """Imports every public module of the built-in package, then the entry points; only once.

        Raises:
            ImportError: or whatever a broken built-in module raises. A broken plugin gives a warning with its
                distribution's name.
        """
        if self._discovered:
            return
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self.package}.{module.name}")
        self._discovered = True
        load_plugins(self.plural)

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self.discover()
        return sorted(self._classes)

    @property
    def default(self) -> str | None:
        """The name used by default; None if there is no default."""
        self.discover()
        return self._default

    def entry_of(self, name: str) -> str:
        """The name of the entry that the path of a file stands for; any other name as it is."""
        self.discover()
        return next((entry for ending, entry in self._of_files.items() if name.endswith(ending)), name)

    def get(self, name: str) -> type:
        """The class of this name.

        Raises:
            ValueError: if there is no such class, with the nearest and all known names.
        """
        name = self.entry_of(name)
        if name not in self._classes:
            raise ValueError(self.unknown(name, self._classes))
        return self._classes[name]

    def unknown(self, name: str, known: Collection[str]) -> str:
        """The line for an unknown name, with the reasons why a name of an outside package may be missing."""
        if name in self._absent:
            return self._absent[name]
        hint = missing_hint(self.plural, has_near=bool(near(name, known)))
        return f"{unknown(self.group, name, known)}{hint}"

    def config(self, name: str, **parameters: Any) -> Any:
        """The configuration of an entry: its defaults, overridden by `parameters`.

        Args:
            name: Its registered name, or the path of a file that describes it.
            parameters: What differs from the defaults.

        Raises:
            ValueError: for an unknown name or parameter.
        """
        if self.entry_of(name) != name:
            parameters = {"file": name, **parameters}
        config = self.get(name).Config  # type: ignore[attr-defined]
        fields = parameter_names(config)
        for parameter in parameters:
            if parameter not in fields:
                raise ValueError(unknown(f"parameter of {self.group} {name}", parameter, fields))
        return config(**parameters)

    def restored(self, values: Mapping[str, Any]) -> Any:
        """The configuration of an entry from plain values that include its `name`, as in a record.

        Raises:
            ValueError: for an unknown name or parameter.
        """
        return restored(self.get(values["name"]).Config, values)  # type: ignore[attr-defined]

    def build(self, config: ComponentConfig, *args: Any) -> Any:
        """The object that `config` describes: `cls(*args, **parameters)`."""
        parameters = {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.init}
        return self.get(config.name)(*args, **parameters)


def options(cls: type) -> list[tuple[Any, inspect.Parameter]]:
    """The keyword-only parameters of a class, each after the `__init__` that declares it.

    Where an `__init__` ends in `**options`, those of the base class follow.
    """
    found: dict[str, tuple[Any, inspect.Parameter]] = {}
    for definition in (vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)):
        declared = inspect.signature(definition).parameters.values()
        for parameter in declared:
            if parameter.kind is parameter.KEYWORD_ONLY:
                found.setdefault(parameter.name, (definition, parameter))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared):
            break
    return list(found.values())


def _config_class(cls: type, name: str, group: str, base: type[ComponentConfig]) -> type:
    fields: list[Any] = [("name", str, dataclasses.field(default=name, init=False))]
    choices: dict[str, tuple[Any, ...]] = {}
    hints: dict[str, Any] = {}
    complete = getattr(cls, "complete", lambda config: None)
    neutral: dict[str, Neutral] = {}
    for definition, parameter in options(cls):
        # get_type_hints resolves the strings of `from __future__ import annotations`
        if parameter.name in (known := get_type_hints(definition)):
            hints[parameter.name] = known[parameter.name]
        neutral |= {key: mark for key, mark in _neutral_marks(definition).items() if key == parameter.name}
        if parameter.name not in hints or parameter.default is parameter.empty:
            raise ValueError(
                f"{cls.__name__}.{parameter.name} needs an annotation and a default: they are its configuration"
            )
        kind, default = hints[parameter.name], parameter.default
        if get_origin(kind) is Literal:
            choices[parameter.name], kind = get_args(kind), str
        if isinstance(default, dict):
            default = dataclasses.field(default_factory=partial(dict, default))
        mark = neutral.get(parameter.name)
        fields.append((parameter.name, kind if mark is None else Annotated[kind, mark], default))

    def check(self: Any) -> None:
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if isinstance(value, list):
                setattr(self, field.name, tuple(value))
            # 1 and 1.0 are the same configuration and must have the same hash
            elif isinstance(value, int) and not isinstance(value, bool) and hints[field.name] in (float, float | None):
                setattr(self, field.name, float(value))
            elif isinstance(value, dict) and hints[field.name] == dict[str, float]:
                value.update({key: float(number) for key, number in value.items()})
            if value not in (MISSING, *choices.get(field.name, (value,))):
                raise ValueError(
                    f"{group}.{field.name}={value!r} is not known; known: {', '.join(choices[field.name])}"
                )
        complete(self)

    made = dataclasses.make_dataclass(
        "Config", fields, bases=(base,), namespace={"__post_init__": check}, kw_only=True, slots=True
    )
    # an attribute of its class, so that it pickles by reference and reaches the workers of a sweep
    made.__module__, made.__qualname__ = cls.__module__, f"{cls.__qualname__}.Config"
    made.__doc__ = f"Configuration of {name}: the keyword-only parameters of {cls.__qualname__}."
    made.registered_as = name  # type: ignore[attr-defined]
    return made


def _config_node(config: type) -> DictConfig:
    node: DictConfig = OmegaConf.structured(config)
    for value in node.values():
        if isinstance(value, DictConfig):
            OmegaConf.set_struct(value, False)  # weights='{click: 1}' may add keys to a dict parameter
    return node


architectures = Registry("architecture", "architectures", ArchitectureConfig)
weightings = Registry("weighting", "benchmark.weightings", WeightingConfig)
datasets = Registry("dataset", "benchmark.datasets", DatasetConfig)
trackers = Registry("tracker", "benchmark.trackers", TrackerConfig)
REGISTRIES: dict[str, Registry] = {r.group: r for r in (architectures, weightings, datasets, trackers)}


def configure(group: str, name: str, **parameters: Any) -> Any:
    """The configuration of an entry of any registry, for notebooks: `configure("architecture", "mmoe", num_experts=4)`.

    Raises:
        ValueError: for an unknown group, name or parameter.
    """
    if group not in REGISTRIES:
        raise ValueError(unknown("group", group, REGISTRIES))
    return REGISTRIES[group].config(name, **parameters)


def discover() -> None:
    """Fills all registries. Idempotent: a worker of a sweep calls it again."""
    for registry in REGISTRIES.values():
        registry.discover()
