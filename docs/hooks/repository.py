"""Pages that are files of the repository: taken in as they stand, with their links made the site's.

A link may lead to another file that is taken in, or to a published report, whose HTML page is copied into the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PAGES = {
    "results/README.md": "results/index.md",
    "results/bench/README.md": "results/bench.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
WIDE = {"results/README.md"}
"""Pages whose tables need the width of the contents beside them."""
PICTURE = "results/report.png"
REPORT = re.compile(r"(?P<folder>results/records/\w+)/report\.(md|html)")
LINK = re.compile(r"(?P<text>!?\[[^]]*\])\((?P<target>[^)\s]+)\)")


def target_of(link: str, page: str) -> str:
    """Where a link of a file of the repository leads in the site, relative to the file's page.

    >>> target_of("records/census/report.md", "results/README.md")
    'records/census/report.html'

    Raises:
        ValueError: if it leads to a file that is no part of the site.
    """
    path, _, anchor = link.partition("#")
    if "://" in link or not path:
        return link
    wanted = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
    found = PAGES.get(wanted)
    if wanted.startswith("docs/pages/"):
        found = wanted.removeprefix("docs/pages/")
    elif report := REPORT.fullmatch(wanted):
        found = f"{report['folder']}/report.html"
    if found is None:
        raise ValueError(f"{page} links to {link}, which the site does not have")
    relative = posixpath.relpath(found, posixpath.dirname(PAGES[page]) or ".")
    return f"{relative}#{anchor}" if anchor else relative


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages and the reports."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        try:
            content = LINK.sub(lambda link: f"{link['text']}({target_of(link['target'], source)})", text)  # noqa: B023
        except ValueError as error:
            raise PluginError(str(error)) from error
        hidden = "---\nhide: [toc]\n---\n" if source in WIDE else ""
        files.append(File.generated(config, page, content=hidden + content))
    for file in [ROOT / PICTURE, *sorted((ROOT / "results" / "records").glob("*/report.html"))]:
        files.append(File.generated(config, file.relative_to(ROOT).as_posix(), abs_src_path=str(file)))
    return files
