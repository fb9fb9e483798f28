"""LaTeX tables: complete, for booktabs, with every name as text."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from benchmark.reporting import report
from benchmark.reporting.latex import escape
from tests.benchmark.reporting.fabricate import record, records, study

EVIL = r"\input{x}%$a_1^2$&#~{}[b]<>|*"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"), ("50 %", r"50 \%"), ("\\input{x}", r"\textbackslash{}input\{x\}"), ("$x^2$", r"\$x\textasciicircum{}2\$"),
        ("0.1 ± 0.2", r"0.1 $\pm$ 0.2"), ("a\nb\x00", "a b"), ("a & b # c", r"a \& b \# c"),
        ("~<>|", r"\textasciitilde{}\textless{}\textgreater{}\textbar{}"),
    ],
)  # fmt: skip
def test_special_characters_are_text(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_every_table_is_a_file_that_closes_what_it_opens() -> None:
    files = report(study()).latex()
    assert {
        "overview_shop_all_tasks.tex",
        "tasks_videos_click.tex",
        "trouble_shop_runs_that_are_in_no_mean.tex",
    } <= set(files)
    for text in files.values():
        assert text.count(r"\begin{") == text.count(r"\end{") == 2
        assert r"\toprule" in text and r"\midrule" in text and r"\bottomrule" in text
        letters = re.search(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}\n", text)
        assert letters is not None
        columns = len(re.sub(r"p\{[^}]*\}", "l", letters[1]))
        rows = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}


def test_the_best_is_bold_and_what_is_close_underlined() -> None:
    text = report(records(("videos",), 5)).latex()["tasks_click.tex"]
    assert text.count(r"\textbf{") == 1 and r"\underline{" in text


def test_hostile_names_stay_text() -> None:
    runs = [record(method=f"{EVIL}/equal", seed=seed, architecture={"name": EVIL}) for seed in range(3)]
    text = report(runs, baseline=f"{EVIL}/equal").latex()["tasks_click.tex"]
    assert r"\input" not in text and r"\textbackslash{}input\{x\}\%\$a\_1" in text
    assert not re.search(
        r"(?<!\\)[%#$](?!\\)", re.sub(r"^%.*|\$\\?(pm|Delta|rightarrow|-|\^2)\$", "", text, flags=re.M)
    )


def test_latex_and_parquet_are_written(tmp_path: Path) -> None:
    made = report(study(), latex=tmp_path / "tables", parquet=tmp_path / "out" / "values.parquet")
    assert [path.name for path in made.files] == ["tables", "values.parquet"]
    assert {path.name for path in (tmp_path / "tables").iterdir()} == set(made.latex())
    assert pl.read_parquet(tmp_path / "out" / "values.parquet").equals(made.table)
