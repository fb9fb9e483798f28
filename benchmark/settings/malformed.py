"""A word of the command line that Hydra's grammar refuses: why, and the word that works, to be pasted as it is.

Every proposal has been read by Hydra's own parser before it is made.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from benchmark.settings.hydra_text import pasted, quoted, type_text
from benchmark.settings.keys import GROUPS, kind, known_keys, near_places, options, places
from benchmark.settings.names import is_path, no_such_name
from benchmark.text import near

OPENING = {"(": ")", "[": "]", "{": "}"}
_FUNCTION = re.compile(r"\b(?:range|interval|choice|tag|glob|sort|shuffle)\s*\(")
_MEANING = re.compile(r"[^\w/\-\\+.$%*@?|:\s]|[^\x00-\x7f]")  # what Hydra's grammar has for no text without quotes

Repair = tuple[str, str]  # the cause, and the value that would be right


def malformed(word: str, words: Sequence[str] = ()) -> str:
    """The line for a word that cannot be read.

    Args:
        word: The word that Hydra refuses.
        words: The whole command line, for what a shell has split.
    """
    at = words.index(word) if word in words else 0
    before, after = words[:at], words[at + 1 :] if word in words else []
    key, equals, value = word.partition("=")
    found = _cause(key, value, after) if key and equals else _without_value(word, before, after)
    cause, right = found or ("expected key=value", "")
    right = right if right and reads(shlex.split(right)[0]) else ""
    return f"cannot read {word!r}: {cause}" + (f"; write {right}" if right else "")


def reads(word: str) -> bool:
    """Does Hydra read the word?"""
    try:
        OverridesParser.create().parse_override(word).value()
    except (HydraException, ValueError):
        return False
    return True


# words without a value ------------------------------------------------------------------------------------------------


def _without_value(word: str, before: Sequence[str], after: Sequence[str]) -> Repair | None:
    """The cause of a word that has no `key=`, and the whole word that would be right."""
    key, colon, value = word.partition(":")
    keys = [key] if kind(key) is not None else places(key)
    rest = [part for part in (value, *_loose(after)) if part.strip("=")]
    if keys and not _continues(word, before) and (rest or kind(key) is not None):
        right = rest[0].removeprefix("=") if rest else "true" if kind(key) is bool else ""
        cause = "expected key=value" + (", without a space" if rest and not colon else "")
        return cause, pasted(keys[0], right) if right else ""
    start = next((number for number in reversed(range(len(before))) if "=" in before[number]), None)
    if start is not None:
        begun, equals, _ = before[start].partition("=")
        found = _split(begun, [before[start].partition("=")[2], *before[start + 1 :], word, *_loose(after)])
        chosen = options(begun.lstrip("+"))
        if found and equals and not _continues(word, before) and word in chosen:
            return "expected key=value, and a sweep has commas", pasted(
                begun, f"{before[start].partition('=')[2]},{word}"
            )
        return (found[0], pasted(begun, found[1])) if found else None
    named = [group for group in GROUPS if word in options(group)]
    return ("expected key=value", f"{named[0]}={word}") if named else None


def _continues(word: str, before: Sequence[str]) -> bool:
    return bool(before) and (before[-1].endswith((",", "=")) or word.startswith(","))


def _loose(after: Sequence[str]) -> list[str]:
    """The words that follow and are neither a parameter nor an option."""
    found = []
    for word in after:
        if re.match(r"-[^\d.]", word) or "=" in word.lstrip("="):
            break
        found.append(word)
    return found


def _split(key: str, parts: Sequence[str]) -> Repair | None:
    """What a shell has split at spaces, put together: the most of it that can be read."""
    for end in range(len(parts), 1, -1):
        value = " ".join(parts[:end])
        if value.startswith(" "):
            return ("no space is allowed after the equals sign", value.strip()) if reads(f"{key}={value}") else None
        if re.fullmatch(r"\[[\s\d.,+-]*\]", value):
            value = re.sub(r"\s*[\s,]\s*", ",", value)
        elif not any(bracket in value for bracket in "[{(\"'"):
            value, has_commas = re.sub(r"\s*,\s*", ",", value), "," in value
            if reads(f"{key}={value}") and " " not in value and has_commas:
                return "no space is allowed beside a comma", value
        if reads(f"{key}={value}"):
            return "a shell splits words at spaces", value
    return None


# words with a value ---------------------------------------------------------------------------------------------------


def _cause(key: str, value: str, after: Sequence[str]) -> Repair:
    """The cause of a word `key=value`, and the whole word that would be right."""
    plain = key.lstrip("+~")
    expected = kind(plain)
    if not re.fullmatch(r"[\w.@$/-]+", plain, re.ASCII):
        meant = near(plain, known_keys()) or near_places(plain)
        told = "a key has only letters, digits, dots and underscores"
        return told, pasted(meant[0], value) if meant and reads(f"{meant[0]}={value}") else ""
    found = _split(key, [value, *_loose(after)])
    if found:
        return found[0], pasted(key, found[1])
    signs = ", ".join(dict.fromkeys(_MEANING.findall(value))) or "${"
    if plain in GROUPS and is_path(value):
        return no_such_name(plain, value), ""
    is_text = expected is str or (expected is None and not plain.startswith("hydra.sweeper."))
    if is_text and value.startswith("~/"):
        return "~ is the home folder only where a shell replaces it", pasted(key, quoted(str(Path(value).expanduser())))
    for cause, right in () if is_text and not _FUNCTION.match(value) else _repairs(value, expected):
        if right != value and reads(f"{key}={right}"):
            return cause, pasted(key, right)
    if plain in GROUPS:
        return f"expected a name, without {signs}; known: {', '.join(options(plain))}", ""
    if is_text or plain.startswith("hydra."):
        return f"Hydra reads {signs} only in a text with quotes of its own", pasted(key, quoted(value))
    return f"expected {type_text(expected)}", ""


def _repairs(value: str, expected: Any) -> Iterator[Repair]:
    """What may be wrong with a number, a list, a mapping or a sweep, the likeliest first."""
    inside, sort = value[1:].rstrip(")]}"), get_origin(expected)
    yield "one equals sign is enough", value.lstrip("=")
    if sort is tuple and value[:1] in ("(", "{"):
        yield "a list has square brackets", f"[{inside}]"
    elif sort is tuple and ";" in value:
        yield "a list has square brackets and commas", f"[{value.strip('[]').replace(';', ',')}]"
    elif sort is dict:
        yield "a mapping has a colon between key and value", value.replace("=", ":")
    elif value.startswith("(") or (value.startswith("{") and ":" not in value):
        yield "a sweep has commas and no brackets", inside
    if sort is not dict:
        yield "values have commas between them", value.replace(";", ",")
    yield "a value is missing beside a comma", re.sub(r",+(?=,|$|[)\]}])|(?:^|(?<=[(\[{])),+", "", value)
    yield "a bracket is not closed", _closed(value)
    yield "a closing bracket has no matching opening bracket", _closed(re.sub(r"[)\]}]+$", "", value))


def _closed(value: str) -> str:
    """With the brackets closed that are open at its end."""
    open_ones: list[str] = []
    for sign in value:
        if sign in OPENING:
            open_ones.append(OPENING[sign])
        elif open_ones and sign == open_ones[-1]:
            open_ones.pop()
    return value.rstrip(", ") + "".join(reversed(open_ones))
