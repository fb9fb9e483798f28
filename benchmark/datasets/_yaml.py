"""YAML that a person writes: every value with its place, so that an error names file, line, key, what was expected and found."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from benchmark.text import near

_TYPES = {"text": str, "a whole number": int, "true or false": bool}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a YAML file.

    Args:
        content: Text, a number, a date, true or false, None; a list of `Value`s; or a dict of `Value`s by key, which is text.
        file: The file.
        line: The value's first line in it, from 1.
        key: Its keys from the top, joined by dots; empty for the whole file.
    """

    content: Any
    file: Path
    line: int
    key: str = ""

    @property
    def place(self) -> str:
        """`my.yaml, line 7, columns.price`."""
        return ", ".join([str(self.file), f"line {self.line}", *[self.key] * bool(self.key)])

    def refuse(self, expected: str, found: str | None = None) -> NoReturn:
        """Raises the error for a value that is not what was expected.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.place}: expected {expected}, found {found or self.shown()}")

    def shown(self) -> str:
        """The value in an error: `'clcik'`, `a list`, `nothing`."""
        kinds = {dict: "a mapping", list: "a list", type(None): "nothing"}
        return kinds.get(type(self.content)) or repr(self.content if isinstance(self.content, str) else self.plain())

    def plain(self) -> Any:
        """The value without places; dates as text."""
        if isinstance(self.content, dict):
            return {key: value.plain() for key, value in self.content.items()}
        if isinstance(self.content, list):
            return [value.plain() for value in self.content]
        return self.content if isinstance(self.content, str | int | float | None) else str(self.content)

    def items(self, expected: str) -> Iterator[tuple[str, Value]]:
        """The keys and values of a mapping.

        Raises:
            ValueError: if it is something else.
        """
        if not isinstance(self.content, dict):
            self.refuse(expected)
        yield from self.content.items()

    def known(self, keys: Collection[str], what: str = "") -> Value:
        """This mapping, whose keys are among these.

        Args:
            keys: All that are known.
            what: What the mapping describes: "a column of kind multi".

        Raises:
            ValueError: for something else than a mapping, or another key: with the nearest and all known keys.
        """
        for key, value in self.items(f"a mapping with some of {', '.join(keys)}"):
            if key not in keys:
                meant = near(key, keys)
                asked = f"did you mean {meant[0]}? " if meant else ""
                of = f" of {what}" if what else ""
                raise ValueError(f"{value.place}: unknown key {key!r}{of}; {asked}known: {', '.join(keys)}")
        return self

    def get(self, key: str) -> Value | None:
        """The value of a key of this mapping; None if it is missing or has no value."""
        found: Value | None = self.content.get(key)
        return None if found is None or found.content is None else found

    def text(self, key: str, default: str | None = None) -> Any:
        """The text of a key; its default if it is missing."""
        return self._typed(key, default, "text")

    def whole(self, key: str, default: int | None = None) -> Any:
        """The whole number, at least 1, of a key; its default if it is missing."""
        found = self._typed(key, default, "a whole number")
        if found is not None and found < 1:
            self.content[key].refuse("a number of at least 1")
        return found

    def one_of(self, key: str, choices: Collection[str], default: str | None = None) -> Any:
        """The text of a key, which is one of these; its default if it is missing."""
        found = self.text(key, default)
        if found is not None and found not in choices:
            self.content[key].refuse_choice(choices)
        return found

    def refuse_choice(self, choices: Collection[str]) -> NoReturn:
        """Raises the error for any other text, with the nearest of these."""
        meant = near(str(self.content), choices)
        self.refuse(f"one of {', '.join(choices)}", self.shown() + (f"; did you mean {meant[0]}?" if meant else ""))

    def _typed(self, key: str, default: Any, expected: str) -> Any:
        found = self.get(key)
        if found is None:
            return default
        if type(found.content) is not _TYPES[expected]:
            found.refuse(expected)
        return found.content


def read_yaml(path: Path) -> Value:
    """The mapping that a YAML file has at its top. All keys are text, as written: `on` and `1` too.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not YAML in UTF-8, has a key twice, or has something else at its top: with the line.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}; a relative path begins at the folder of the command, which is {Path.cwd()}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a YAML file in UTF-8, found other bytes ({error.reason})") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ValueError(f"{path}{line}: this is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: this is not YAML: {' '.join(str(error).split())}") from None
    top = Value(None, path, 1) if node is None else _value(loader, node, path, "")
    if not isinstance(top.content, dict):
        top.refuse("keys with values, such as `files: clicks.csv`")
    return top


def _value(loader: Any, node: Any, path: Path, key: str) -> Value:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return Value([_value(loader, part, path, f"{key}[{n}]") for n, part in enumerate(node.value)], path, line, key)
    if isinstance(node, yaml.ScalarNode):
        try:
            return Value(loader.construct_object(node), path, line, key)
        except (yaml.YAMLError, ValueError):  # a tag of another program; the 31st of February
            return Value(node.value, path, line, key)
    found: dict[str, Value] = {}
    for name, part in node.value:
        inner = f"{key}.{name.value}" if key else str(name.value)
        place = Value(name.value, path, name.start_mark.line + 1, inner)
        if not isinstance(name, yaml.ScalarNode):
            place.refuse("text as a key", "a list or a mapping")
        if name.value in found:
            raise ValueError(f"{place.place}: this key is there twice, first on line {found[name.value].line}")
        value = _value(loader, part, path, inner)
        found[name.value] = Value(value.content, path, place.line, inner)
    return Value(found, path, line, key)
