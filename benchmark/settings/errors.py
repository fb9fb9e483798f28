"""One clear line for what a user got wrong on the command line: what was meant, what was expected, the known names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import is_dataclass
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from hydra._internal.utils import get_args_parser  # the options of every Hydra command have no public list
from hydra.core.override_parser.types import Sweep
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from benchmark.settings.hydra_text import pasted, type_text
from benchmark.settings.keys import GROUPS, kind, known_keys, near_places, options, owners, places
from benchmark.settings.malformed import malformed
from benchmark.settings.names import no_such_name, split_path
from benchmark.settings.registry import parameter_names
from benchmark.settings.swept import not_one, sweep_inside, swept_hydra
from benchmark.text import as_whole, near, shortened, unknown

DRY_RUN = "--dry-run"


class LauncherError(RuntimeError):
    """A launcher gave up: one of its workers died, its cluster refused. Records that were written stand.

    Args:
        error: What the launcher raised; the beginning of its message is told.
    """

    def __init__(self, error: Exception) -> None:
        told = shortened(str(error).strip().partition("\n\n")[0])
        what = ": ".join(part for part in (type(error).__name__, told) if part)
        super().__init__(f"the launcher gave up: {what} (HYDRA_FULL_ERROR=1 shows all of it)")


class WorkerDied(LauncherError):
    """A worker process died, and the launcher ended all others with it. None of its runs continues.

    Attributes:
        how: What ended it, in the launcher's words: "SIGKILL(-9)".
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        codes = re.search(r"exit codes of the workers are \{(.*)\}", str(error))
        self.how = codes[1] if codes else "for an unknown reason"


def explain(error: BaseException, overrides: Sequence[str] = ()) -> str:
    """One line for an error of composition (Hydra, omegaconf, or a ValueError of ours).

    Args:
        error: What was raised.
        overrides: The command line's words, where known: Hydra does not always name the one at fault.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return no_such_name(*split_path(error.missing_cfg_file), error.options or ())
    if isinstance(error, OverrideParseException):
        return malformed(error.override, overrides)
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        found = _of_a_key(cause, str(cause.full_key), overrides)
        if found is not None:
            return found
    if isinstance(error, HydraException | ValueError):
        found = _of_hydra(str(error), overrides)
        if found is not None:
            return found
    return _one_line(str(cause if isinstance(cause, OmegaConfBaseException) else error)) or type(error).__name__


def unknown_key(owner: type, full_key: str) -> str:
    """The line for a key that the dataclass `owner` does not have: under another group, in short, or misspelt.

    Args:
        owner: RunConfig, TrainerConfig, or the Config of a registered class.
        full_key: With its path: "architecture.num_expert".
    """
    path, _, key = full_key.rpartition(".")
    known = parameter_names(owner)
    if not path:
        keys = known_keys()
        return unknown("key", key, keys, places(key) or near(key, keys) or near_places(key))
    name = getattr(owner, "registered_as", None)
    what = f"parameter of {path} {name}" if name else f"parameter of {path}"
    if path == "hydra.launcher" and known == ["_target_"]:
        return f"{full_key}: the launcher in use has no parameters; choose one that has, such as hydra/launcher=joblib"
    entries = owners(path, key)
    if entries:
        has = f"{path}={entries[0]} has it" if len(entries) == 1 else f"{', '.join(entries)} have it"
        return f"unknown {what} {key!r}; {has}; known: {', '.join(sorted(known)) or 'none'}"
    elsewhere = [place if "." in place else f"{place} (without {path}.)" for place in places(key)]
    return unknown(what, key, known, elsewhere or near(key, known) or near_places(key))


def as_parameter(option: str, arguments: Sequence[str]) -> str | None:
    """The parameter that was typed as an option, `--architecture mmoe`, as it is written; None if it is like none.

    Args:
        option: The word that begins with dashes.
        arguments: The whole command line.
    """
    name, equals, value = option.lstrip("-").partition("=")
    keys = [name] if kind(name) is not None else places(name.rpartition(".")[2])
    if not keys:
        return None
    after = arguments[arguments.index(option) + 1 :] if option in arguments else []
    if not equals and after and not after[0].startswith("-") and "=" not in after[0]:
        value = after[0]
    return pasted(keys[0], value or ("true" if kind(keys[0]) is bool else "..."))


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
    known = [name for name in parser._option_string_actions if name[:2] == "--"]
    for word in surplus:
        option, equals, value = word.partition("=")
        if option.startswith("-"):
            right = as_parameter(word, arguments)
            if right is None and option.startswith("--") and equals:
                right = f"{option[2:]}={value}"
            if right is not None:
                raise ValueError(f"unknown option {word!r}; a parameter is written without dashes: {right}")
            raise ValueError(unknown("option", option, [*known, DRY_RUN]))
        raise ValueError(f"{word}: options stand before all parameters or after them, and not between")


def with_dry_run(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra reads it: our own option becomes an override, placed among the overrides.

    >>> with_dry_run(["-m", "seed=1,2", "--dry-run"])
    ['-m', 'hydra.sweeper.dry_run=true', 'seed=1,2']
    """
    rest = [word for word in arguments if word != DRY_RUN]
    if len(rest) < len(arguments):
        place = next((n for n, word in enumerate(rest) if "=" in word and not word.startswith("-")), len(rest))
        rest.insert(place, "hydra.sweeper.dry_run=true")
    return rest


def _of_a_key(cause: OmegaConfBaseException, key: str, overrides: Sequence[str]) -> str | None:
    """The line for omegaconf's complaint about a key's value."""
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and is_dataclass(cause.object_type):
        return unknown_key(cause.object_type, key)
    if key.startswith("hydra.sweeper.space") and "is not in struct" in str(cause):
        return f"{key}: only a search has a space; add hydra/sweeper=tuning"
    given = next((word.partition("=")[2] for word in overrides if word.partition("=")[0].lstrip("+") == key), None)
    if isinstance(cause, ConfigTypeError) and "Cannot merge" in str(cause) and cause.ref_type is not None:
        return f"{key}: expected {type_text(cause.ref_type)}, found {given or 'another type'}"
    owner = cause.object_type
    if isinstance(owner, type) and issubclass(owner, Sweep):
        return sweep_inside(overrides)
    if isinstance(cause, ValidationError) and _expected(cause):
        value = getattr(cause, "value", None)
        found = "null" if value is None else f"{value!r} ({type(value).__name__})"
        expected = _expected(cause)
        whole = as_whole(value) if "int" in (expected or "").split() else ""
        return f"{key}: expected {expected}, found {found}{whole}{_several(key, value, given)}"
    if isinstance(cause, MissingMandatoryValue):
        names = options(key)
        return f"{key} has no value" + (f"; known: {', '.join(names)}" if names else "")
    return None


def _several(key: str, value: Any, given: str | None) -> str:
    """What to add where several values were meant and one is expected."""
    if get_origin(kind(key)) is tuple:
        parts = re.split(r"[\s,]+", given or "")
        is_list = len(parts) > 1 and "[" not in parts[0]
        return f"; a list is {pasted(key, '[' + ','.join(parts) + ']')}" if is_list else ""
    if isinstance(value, list) and value and given and given[0] == "[":
        return f"; to sweep over several values, write {key}={given[1:-1].replace(' ', '')}"
    ends = re.fullmatch(r"(\d+)\s*(?:-|:|\.\.+)\s*(\d+)", value) if isinstance(value, str) else None
    if ends:
        return f"; from {ends[1]} to {ends[2]} is {pasted(key, f'range({ends[1]},{int(ends[2]) + 1})')}"
    return ""


def _of_hydra(text: str, overrides: Sequence[str]) -> str | None:
    """The line for one of Hydra's own messages, where ours says more."""
    if text.startswith("Config group override must be a string"):
        return _not_a_name(overrides)
    if text.startswith("Sweeping over Hydra's configuration"):
        return swept_hydra(text.partition(": ")[2].strip().removeprefix("'").removesuffix("'"))
    swept = re.match(r"(?:Ambiguous value for argument|Sweep parameters) '(.*)'(?:\s|$)", text)
    if swept:
        return not_one(swept[1], overrides)
    listed = re.match(r"In '(\w+)/", text)
    if listed:
        for word in overrides:
            key, _, value = word.partition("=")
            if key == listed[1] and value.startswith("["):
                return f"{word}: a run has one {key}; to sweep over several, write {key}={value[1:-1].replace(' ', '')}"
    for word in overrides:
        key, _, value = word.removeprefix("+").partition("=")
        if word.startswith("+") and key and _THERE.match(text) and key in text:
            return f"{word}: {key} exists already, and + only adds new keys; write {pasted(key, value)}"
    return None


_THERE = re.compile(r"\S+ appears more than once|Multiple values for|Could not append to config")


def _not_a_name(overrides: Sequence[str]) -> str:
    for word in overrides:
        key, _, value = word.partition("=")
        if not key:
            return malformed(word, overrides)
        if key in GROUPS and (value == "null" or not value[:1].isalpha()):
            return f"{key}: expected a name, found {value or 'nothing'}; known: {', '.join(options(key))}"
    return f"{', '.join(GROUPS)}: expected a name (tracker=none, not null)"


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
