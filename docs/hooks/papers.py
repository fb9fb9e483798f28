"""Links to papers: `arXiv 1803.10704`, `doi 10.1145/3219819.3220007` and addresses in the text of a page become links."""

from __future__ import annotations

import re
from typing import Any

ARXIV = re.compile(r"arXiv[ :]\s?(\d{4}\.\d{4,5})")
DOI = re.compile(r"doi[ :]\s?(10\.\d{4,}/[^\s,;<]*[^\s,;<.)])")
ADDRESS = re.compile(r"https?://[^\s,;<]*[^\s,;<.)]")
APART = ("a", "code", "pre", "script", "style", "math")


def linked(text: str) -> str:
    """Some text without tags, with its links.

    >>> linked("KDD 2018, doi 10.1145/3219819.3220007.")
    'KDD 2018, <a href="https://doi.org/10.1145/3219819.3220007">doi 10.1145/3219819.3220007</a>.'
    """
    text = ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', text)
    text = ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">\g<0></a>', text)
    return DOI.sub(r'<a href="https://doi.org/\1">\g<0></a>', text)


def on_page_content(content: str, **_: Any) -> str:
    """Links the papers of a page, outside of code and of other links."""
    inside: list[str] = []
    parts = re.split(r"(<[^>]+>)", content)
    for number, part in enumerate(parts):
        if tag := re.match(r"<(/?)(\w+)", part):
            if tag[2] in APART and not part.endswith("/>"):
                inside = inside[:-1] if tag[1] else [*inside, tag[2]]
        elif not inside:
            parts[number] = linked(part)
    return "".join(parts)
