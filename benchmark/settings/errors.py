"""One clear line for what a user got wrong on the command line: what was meant, what was expected, the known names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import NoReturn, get_args, get_type_hints

from hydra._internal.utils import get_args_parser  # the options of every Hydra command have no public list
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from benchmark.settings.help import experiments
from benchmark.settings.hydra_text import type_text
from benchmark.settings.registry import REGISTRIES
from benchmark.text import shortened, unknown

DRY_RUN = "--dry-run"
EXPERIMENT = "experiment"  # a group of conf/ that has no field in RunConfig


class LauncherError(RuntimeError):
    """A launcher gave up: one of its workers died, its cluster refused. Records that were written stand.

    Args:
        error: What the launcher raised; the beginning of its message is told.
    """

    def __init__(self, error: Exception) -> None:
        told = shortened(str(error).strip().partition("\n\n")[0])
        what = ": ".join(part for part in (type(error).__name__, told) if part)
        super().__init__(f"the launcher gave up: {what} (HYDRA_FULL_ERROR=1 shows all of it)")


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """One line for an error of composition (Hydra, omegaconf, or a ValueError of ours).

    Args:
        error: What was raised.
        overrides: The command line's `key=value` words, where known: Hydra does not always name the one at fault.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        known = error.options or _options(group)
        return (
            REGISTRIES[group].unknown(name, known)
            if group in REGISTRIES
            else unknown(group or "configuration", name, known)
        )
    if isinstance(error, OverrideParseException):
        return _malformed(error)
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and is_dataclass(cause.object_type):
        return unknown_key(cause.object_type, str(cause.full_key))
    if isinstance(cause, ValidationError) and cause.full_key and _expected(cause):
        value = getattr(cause, "value", None)
        found = "null" if value is None else f"{value!r} ({type(value).__name__})"
        return f"{cause.full_key}: expected {_expected(cause)}, found {found}"
    if isinstance(cause, MissingMandatoryValue) and cause.full_key:
        names = _options(str(cause.full_key))
        return f"{cause.full_key} has no value" + (f"; known: {', '.join(names)}" if names else "")
    if str(error).startswith("Config group override must be a string"):
        return _not_a_name(overrides)
    if str(error).startswith("Sweeping over Hydra's configuration"):
        key, _, value = str(error).partition("'")[2].rstrip("'").partition("=")
        return f"{key}: commas make a sweep, and hydra.* is not swept; a text is quoted twice: \"{key}='{value}'\""
    if isinstance(error, HydraException) and str(error).startswith("Ambiguous value for argument"):
        word = str(error).split("'")[1]
        return f"{word}: commas make a sweep, and one run is expected here; a list is written [a,b], a text in quotes"
    return _one_line(str(cause if isinstance(cause, OmegaConfBaseException) else error)) or type(error).__name__


def unknown_key(owner: type, full_key: str) -> str:
    """The line for a key that the dataclass `owner` does not have.

    Args:
        owner: RunConfig, TrainerConfig, or the Config of a registered class.
        full_key: With its path: "architecture.num_expert".
    """
    path, _, key = full_key.rpartition(".")
    known = [field.name for field in fields(owner) if field.init]
    if not path:
        return unknown("key", key, [*known, EXPERIMENT])
    name = getattr(owner, "registered_as", None)
    return unknown(f"parameter of {path} {name}" if name else f"parameter of {path}", key, known)


def check_options(arguments: Sequence[str]) -> None:
    """Refuses a misspelt option (`--muptirun`) before Hydra prints its whole usage for it.

    Raises:
        ValueError: with the nearest and all known options.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(message)

    parser.error = refuse  # type: ignore[method-assign]
    _, surplus = parser.parse_known_args(list(arguments))
    for word in surplus:
        option, equals, value = word.partition("=")
        if option.startswith("--") and equals:
            raise ValueError(f"unknown option {word!r}; a parameter is written without dashes: {option[2:]}={value}")
        if option.startswith("-"):
            known = [o for o in parser._option_string_actions if o[:2] == "--"]
            raise ValueError(unknown("option", option, [*known, DRY_RUN]))
        raise ValueError(f"{word}: options stand before all parameters or after them, and not between")


def with_dry_run(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra reads it: our own option becomes an override, which stands where overrides stand.

    >>> with_dry_run(["-m", "seed=1,2", "--dry-run"])
    ['-m', 'hydra.sweeper.dry_run=true', 'seed=1,2']
    """
    rest = [word for word in arguments if word != DRY_RUN]
    if len(rest) < len(arguments):
        place = next((n for n, word in enumerate(rest) if "=" in word and not word.startswith("-")), len(rest))
        rest.insert(place, "hydra.sweeper.dry_run=true")
    return rest


def _options(group: str) -> list[str]:
    if group == EXPERIMENT:
        return [name for name, _ in experiments()]
    return REGISTRIES[group].names() if group in REGISTRIES else []


def _malformed(error: OverrideParseException) -> str:
    key, equals, _ = error.override.partition("=")
    if not equals or not key:
        return f"cannot read {error.override!r}: expected key=value"
    return f"cannot read {error.override!r}: a value with spaces, braces or commas is written key='\"a b\"'"


def _not_a_name(overrides: Sequence[str]) -> str:
    groups = (*REGISTRIES, EXPERIMENT)
    for word in overrides:
        key, _, value = word.partition("=")
        if key in groups and (value == "null" or not value[:1].isalpha()):
            return f"{key}: expected a name, found {value or 'nothing'}; known: {', '.join(_options(key))}"
    return f"{', '.join(groups)}: expected a name (tracker=none, not null)"


def _expected(error: ValidationError) -> str | None:
    """What the field at which `error` was raised takes, in words; None if its type is not known."""
    if is_dataclass(error.object_type):
        kind = get_type_hints(error.object_type).get(str(error.key))
    else:  # an element of a dict or a tuple
        kind = next((k for k in reversed(get_args(error.ref_type)) if k is not Ellipsis), None)
    return None if kind is None else type_text(kind)


def _one_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith(("full_key:", "reference_type=", "object_type="))]
    where = [line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")]
    return f"{where[0]}: {' '.join(told)}" if where and where[0] else " ".join(told)
