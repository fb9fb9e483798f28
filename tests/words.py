"""The rules of plain words: what README, docs, help, reports and docstrings must not say, and what to say instead.

A rule is one line of `PATTERNS` or `SPELLINGS`. `python -m tests.words [FILE]...` prints what breaks one; without files, it
checks what `tests/test_words.py` checks. Code, equations, tables and what stands in backticks are left out.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path

ROOT = Path(__file__).parents[1]

CHECKED = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**/*.md",
    "results/README.md",
    "results/bench/README.md",
    "conf/**/*.yaml",
    "benchmark/**/*.py",
    "architectures/**/*.py",
)

LONGEST = 35
"""Words of a sentence."""

_EACH = "task|row|run|seed|method|model|trial|search|step|epoch|batch|user|item|pair|record|line|column|cell|name|draw|cluster"
_EACH += "|command|comparison|replicate|data set|panel|head|sweep|day|point|sentence|value|query|class|type|dimension"
_NOT = "of|for|in|on|or|and|that|is|to|with|by|from|as|than|at|per|not|has|if|where|when|what|which|gives|needs|being"
_NOT = rf"(?!(?:{_NOT}|without|have|make|starts|after|found) )"
PATTERNS = {
    # pattern, case ignored: advice
    r"\b(?:hangs?|hung) on\b": "say: depends on",
    r"\bstands? back\b": "say: comes after, is preferred last",
    r"\blays? to\b": "say: attributes to, seems to be caused by",
    r"(?<!there )(?<!where )\b(?:is|are|was|were) no (?!longer|more|less|worse|better|larger|smaller|\w+er\b)\w": "say: is not a, has no",
    r"(?<!there )\b(?:is|are) (?-i:none)\b": "say: is not one, is not a ...",
    r"\bthose (?:that|which|who|whom)\b": "name the noun: the runs that",
    r"\bthe ones? (?:that|which|who|with|given|named)\b": "name the noun: the run that",
    r"\b(?:whoever|whosoever)\b": "say who: a method that",
    rf"\b(?:a|an|one|two|three|several|\d+)(?: {_NOT}[\w-]+)? {_NOT}[\w-]+ an? (?:{_EACH})\b(?!['’-])": "say: per, for each",
    r"(?:^|[.] )(?-i:Of) (?!course\b)|[;:] of (?:several|many|very|more|those|equal|an?|the|these|which|all)\b": "begin with the subject",
    r"\b(?:one|two|three|\w+s|\d+) at (?:least|most)(?=[,.;:)]|$)": "say: at least two, not: two at least",
    r"\bso (?:many|few|often) (?!that\b|as\b|other\b|of\b)\w": "say: this many, how many, N",
    r"\bbut for (?:the|a|an|its)\b": "say: except for",
    r"\bit is (?:said|told)\b|\b(?:is|are) told (?:of|as|how|what)\b": "say who says it: the report says, is reported",
    r"\b(?:says?|said|knows?|tells?|told) (?:nothing |all |little )?of\b": "say: about",
    r"\btold from\b": "say: distinguished from",
    r"\bnothing of\b": "say: nothing about, none of",
    r"(?<!\w )\bthe same of\b": "say: the same for",
    r"\bstands? (?:in|on|under|below|beside|at|there|left|right|where|what|behind|alone)\b": "say: is in, is on, is right-aligned",
    r"\banew\b": "say: again, new",
    r"\bgo(?:es)? on\b": "say: continues",
    r"\bwhat is there\b|\bthose there are\b|\bas they are there\b": "say: what exists",
    r"\bsees? to (?:it|this|that|them)\b": "say: takes care of, makes sure",
    r"\bha(?:ve|s) (?:a|no) part\b": "say: is (not) part of, does (not) count",
    r"\b(?:thereof|therein|whereof|wherein|hitherto|whence|thence|howsoever)\b": "say it in plain words",
    r"\bthe like\b|\bits like\b": "name it",
    r"\bfound late\b|\bis found out\b": "say who finds what",
    r"\b(?:of|on|in|by|to|with) whom\b": "say who does what",
    r"\bnot even\b.*\bwould do\b": "say: are not enough",
    r"\b(?:utilise|utilize|leverage|in order to|prior to|due to the fact)\b": "say: use, to, before, because",
}

_ISE = "normal|standard|initial|general|regular|summar|random|visual|token|serial|special|parametr|maxim|minim|recogn|organ"
SPELLINGS = {
    # American: British. Exempt: names in backticks, the optimizer (PyTorch's word), and a capital inside a sentence (a title)
    r"colors?|colored": "colour",
    r"behaviors?": "behaviour",
    r"neighbors?|neighboring": "neighbour",
    r"favor(?:s|ed|able|ite)?": "favour",
    rf"\w*(?:{_ISE})iz(?:e|es|ed|ing|ation|ations)": "-ise",
    r"optimiz(?:e|es|ed|ing|ation)": "optimise",
    r"analyz(?:e|es|ed|ing)": "analyse",
    r"centers?|centered": "centre",
    r"label(?:ed|ing)": "labelled, labelling",
    r"model(?:ed|ing)": "modelled, modelling",
    r"cancel(?:ed|ing)": "cancelled, cancelling",
    r"gr[a]y": "grey",
    r"catalogs?": "catalogue",
    r"judgment": "judgement",
}


@dataclass(frozen=True)
class Text:
    """A paragraph, the file it is in, and the line where it begins."""

    path: Path
    line: int
    words: str


def checked() -> list[Path]:
    """Every file that is checked."""
    return sorted({path for glob in CHECKED for path in ROOT.glob(glob)})


def broken(path: Path) -> list[str]:
    """`file:line: rule (what was found)` for everything in a file that breaks a rule."""
    texts = {".py": python, ".yaml": comments}.get(path.suffix, markdown)(path)
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    return [f"{name}:{text.line}: {rule}" for text in texts for rule in rules(text.words)]


def rules(text: str) -> Iterator[str]:
    """What a paragraph breaks, with the words that break it."""
    text = re.sub(r"`[^`]*`", "`x`", " ".join(text.split()))
    for sentence in sentences(text):
        number = sum(any(c.isalnum() for c in word) for word in sentence.split())
        if number > LONGEST:
            yield f"{number} words in one sentence, at most {LONGEST}: {sentence[:60]}..."
    for pattern, advice in PATTERNS.items():
        for match in re.finditer(pattern, text, flags=re.IGNORECASE):
            yield f"{advice} (found: {text[max(match.start() - 20, 0) : match.end() + 20]!r})"
    for american, british in SPELLINGS.items():
        for match in re.finditer(rf"\b(?:{american})\b", text, flags=re.IGNORECASE):
            inside = re.search(r"[^.?!\s]\s?$", text[: match.start()])
            if not (inside and match.group()[0].isupper()):
                yield f"British spelling: {british} (found: {match.group()!r})"


def sentences(text: str) -> list[str]:
    """The sentences of a paragraph."""
    text = re.sub(r"\b(e\.g|i\.e|et al|vs|cf|approx|No)\.", r"\1", text)
    return re.split(r"(?<=[.!?])[)\"'*_]*\s+(?=[A-Z0-9`(\[{'\"*_])", text)


def markdown(path: Path) -> Iterator[Text]:
    """Paragraphs, headings and list items; no code, tables, equations, HTML and targets of links."""
    text = re.sub(r"<!--.*?-->", _blank, path.read_text(encoding="utf8"), flags=re.DOTALL)
    text = re.sub(r"^( *)(```|~~~|\$\$).*?^ *\2", _blank, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\$[^$\n]+\$", "`x`", re.sub(r"<[^>\n]+>", "", text))
    starts = r"^\s*(?:[-*+] |\d+\. |#+ |> |\|)"
    for line, block in _paragraphs(text.splitlines(), starts):
        if not block.lstrip().startswith(("|", "    ")) and not block.startswith("    "):
            yield Text(path, line, re.sub(starts, "", block))


def comments(path: Path) -> Iterator[Text]:
    """The comments of a YAML file: lines of their own as paragraphs, and those behind a value."""
    lines = path.read_text(encoding="utf8").splitlines()
    whole = ["" if "@package" in line else line.lstrip()[2:] if line.lstrip().startswith("#") else "" for line in lines]
    yield from (Text(path, number, block) for number, block in _paragraphs(whole, r"^$"))
    for number, line in enumerate(lines, 1):
        if not line.lstrip().startswith("#") and " # " in line:
            yield Text(path, number, line.partition(" # ")[2])


def python(path: Path) -> Iterator[Text]:
    """Docstrings, and the texts of help, messages and reports: strings of three words or more."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    docs, inner = set[int](), set[int]()
    for node in ast.walk(tree):
        for statement in body if isinstance(body := getattr(node, "body", None), list) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(doc)) as constant):
                    docs.add(id(constant))
                    yield from _docstring(path, constant.lineno, doc)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner |= {id(part) for part in ast.walk(node)} - {id(node)}
            words = "".join(p.value if isinstance(p, ast.Constant) else "X" for p in node.values)  # type: ignore[misc]
            yield from _literal(path, node.lineno, words)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | inner:
            yield from _literal(path, node.lineno, node.value)


def _literal(path: Path, line: int, words: str) -> Iterator[Text]:
    if words.count(" ") > 1 and not re.search(r"[\\<>^]|  ", words.replace("\n", "")):
        yield Text(path, line, words)


SECTION = r"(?:Args|Returns|Raises|Yields|Attributes|Shape|Example|Examples|Note|Suffixes):$"


def _docstring(path: Path, line: int, doc: str) -> Iterator[Text]:
    """Its paragraphs; under `Args:` and the like one for each entry, without the entry's name."""
    lines, section = cleandoc(doc).splitlines(), False
    for number, text in enumerate(lines):
        indent = len(text) - len(text.lstrip())
        if text.strip():
            section = bool(re.fullmatch(SECTION, text)) or (section and indent > 0)
        if (indent and not section) or re.fullmatch(SECTION, text) or text.lstrip().startswith((">>>", "|")):
            lines[number] = ""
        elif section and indent == 4:
            lines[number] = "- " + re.sub(r"^ +[\w`, |]+(?:\[[^\]]*\])?: ", "", text)
    for at, block in _paragraphs(lines, r"^\s*(?:[-*] |\d+\. )"):
        yield Text(path, line + at - 1, re.sub(r"^\s*(?:[-*] |\d+\. )", "", block))


def _paragraphs(lines: Iterable[str], starts: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each block between empty lines, and of each line that starts one of its own."""
    begin, block = 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        if block and (not line.strip() or re.match(starts, line)):
            yield begin, "\n".join(block)
            block = []
        if line.strip():
            begin = begin if block else number
            block.append(line)


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


if __name__ == "__main__":
    found = [line for path in map(Path, sys.argv[1:] or checked()) for line in broken(path.resolve())]
    print("\n".join(found))
    sys.exit(bool(found))
