"""results/README.md: every number of a finding stands in the report that the finding names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[1] / "results"
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+\.\d+")


def findings() -> list[tuple[str, str]]:
    """(folder, answer and effect) of every row of the table of findings."""
    table = (RESULTS / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ][2:]
    assert all(len(row) == 5 for row in rows)
    return [(re.findall(r"\(records/(\w+)/report\.md\)", row[3])[0], f"{row[1]} {row[2]}") for row in rows]


@pytest.mark.parametrize(("folder", "said"), findings())
def test_every_number_is_in_the_report(folder: str, said: str) -> None:
    report = (RESULTS / "records" / folder / "report.md").read_text(encoding="utf-8").replace("\\", "")
    known = set(NUMBER.findall(report))
    known |= {number.lstrip("+") for number in known}
    assert [number for number in NUMBER.findall(said) if number not in known] == []


def test_every_published_folder_has_a_finding_and_its_files() -> None:
    folders = {path.name for path in (RESULTS / "records").iterdir()}
    assert {folder for folder, _ in findings()} == folders
    for folder in folders:
        have = {path.name for path in (RESULTS / "records" / folder).iterdir()}
        assert {"records.jsonl.zst", "report.html", "report.md", "report.csv"} <= have


def test_a_number_that_no_report_has_is_found() -> None:
    report = (RESULTS / "records" / "census" / "report.md").read_text(encoding="utf-8")
    assert NUMBER.findall("9.87654 of it") == ["9.87654"] and "9.87654" not in report
