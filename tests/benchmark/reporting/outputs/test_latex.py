"""LaTeX tables: complete, for booktabs, with every name as text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from benchmark.reporting import Paper, report
from benchmark.reporting.outputs.latex import escape
from tests.benchmark.reporting.fabricate import record, records, searched, study
from tests.benchmark.reporting.outputs.latex_parser import check

EVIL = r"\input{x}%$a_1^2$&#~{}[b]<>|*"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"), ("50 %", r"50 \%"), ("\\input{x}", r"\textbackslash{}input\{x\}"), ("$x^2$", r"\$x\textasciicircum{}2\$"),
        ("0.1 ± 0.2", r"0.1 $\pm$ 0.2"), ("a\nb\x00", "a b"), ("a & b # c", r"a \& b \# c"),
        ("~<>|", r"\textasciitilde{}\textless{}\textgreater{}\textbar{}"),
        ("---a ,,b ?`c", r"-{}-{}-a ,{},b ?{}\textasciigrave{}c"),
    ],
)  # fmt: skip
def test_special_characters_are_text(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_every_table_is_a_file_that_closes_what_it_opens() -> None:
    files = report(study()).latex()
    assert {"shop_overview.tex", "videos_task_click.tex", "shop_trouble.tex", "shop_grid.tex"} <= set(files)
    for text in files.values():
        check(text)
        assert r"\toprule" in text and r"\midrule" in text and r"\bottomrule" in text


def test_names_and_notes_are_of_every_table() -> None:
    paper = Paper(names={"single_task/equal": "Single_task", "mmoe": "MMoE", "click": "Clicks"}, notes=False)
    files = report(study()).latex(paper)
    for text in files.values():
        check(text)
        assert "footnotesize" not in text and "single\\_task/equal" not in text
    assert r"Single\_task" in files["videos_task_click.tex"]
    assert r"\caption{Clicks of videos." in files["videos_task_click.tex"]
    assert "MMoE + equal" in files["videos_overview.tex"] and "Clicks AUC" in files["videos_overview.tex"]


def test_the_papers_table_has_heads_over_their_columns() -> None:
    made = report(study())
    lines = made.latex(Paper(columns=("gain", "auc", "parameters")))["paper.tex"].splitlines()
    top = lines.index(r"\toprule")
    assert lines[top + 1 : top + 6] == [
        r"& \multicolumn{4}{c}{shop} & \multicolumn{4}{c}{videos} \\",
        r"\cmidrule(lr){2-5}\cmidrule(lr){6-9}",
        r"& gain & click & purchase & parameters & gain & click & like & parameters \\",
        r"& \% $\uparrow$ & AUC $\uparrow$ & AUC $\uparrow$ &  & \% $\uparrow$ & AUC $\uparrow$ & AUC $\uparrow$ & \\",
        r"\midrule",
    ]
    assert check("\n".join(lines)) == [9]


def test_the_tables_that_the_guide_takes_in_are_files_of_a_report() -> None:
    page = Path(__file__).parents[4] / "docs" / "pages" / "howto" / "paper_table.md"
    named = [f"{name}.tex" for name in re.findall(r"\\input\{tables/(\w+)\}", page.read_text(encoding="utf8"))]
    one, several = (report(records(data, 1)).latex() for data in (("shop",), ("shop", "videos")))
    assert [[name in files for files in (one, several)] for name in named] == [
        [True, True],
        [True, False],
        [False, True],
    ]


def test_a_table_says_what_its_intervals_are_and_that_they_are_not_adjusted() -> None:
    files = report(study()).latex()
    for name in ("videos_task_click.tex", "shop_overview.tex"):
        assert r"its 95 \% interval" in files[name] and "Intervals are not adjusted" in files[name]
        assert ("the median over seeds" in files[name]) == (name == "shop_overview.tex")
        assert "bold: the best mean of a column" in files[name]
    assert "Intervals are not adjusted" in files["shop_gains.tex"]
    assert "Intervals are not adjusted" not in files["shop_trouble.tex"]


def test_the_best_is_bold_and_nothing_is_underlined() -> None:
    text = report(records(("videos",), 5)).latex()["task_click.tex"]
    assert text.count(r"\textbf{") == 1 and r"\underline{" not in text


def test_hostile_names_stay_text() -> None:
    runs = [record(method=f"{EVIL}/equal", seed=seed, architecture={"name": EVIL}) for seed in range(3)]
    files = report(runs, baseline=f"{EVIL}/equal").latex(Paper(names={"click": EVIL}))
    for each in files.values():
        check(each)
    text = files["task_click.tex"]
    assert r"\input" not in text and r"\textbackslash{}input\{x\}\%\$a\_1" in text
    assert not re.search(
        r"(?<!\\)[%#$](?!\\)", re.sub(r"^%.*|\{%$|\$\\?(pm|Delta|rightarrow|-|\^2)\$", "", text, flags=re.M)
    )


def test_a_long_head_is_broken_into_lines_and_a_bracket_begins_none() -> None:
    text = report(records(("videos",), 3)).latex()["task_play_time.tex"]
    assert r"\begin{tabular}[b]{@{}r@{}}MSE \\ {}[log1p(seconds)$^2$]\end{tabular}" in text
    assert not re.search(r"\\\\ *[\[*]", text)


def test_a_minus_is_no_hyphen_and_a_name_keeps_its_own() -> None:
    gains = {"single_task/equal": 0.0, "a-1/equal": -0.02}
    runs = [record("videos", method, seed, gain=gain) for method, gain in gains.items() for seed in range(3)]
    text = report(runs).latex()["task_click.tex"]
    assert "a-1/equal" in text and "[$-$0." in text and not re.search(r"[ \[]-\d", text)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("hostile", [False, True])
def test_latex_reads_the_tables_and_none_is_wider_than_a_line(tmp_path: Path, *, hostile: bool) -> None:
    evil = (EVIL, "[--,,]", "a_very_long_name_" * 12)
    runs = study() + searched()
    if hostile:
        runs = [record(method=f"{n}/equal", seed=s, architecture={"name": n}) for n in evil for s in range(3)]
    files = report(runs, baseline=f"{EVIL}/equal" if hostile else "single_task/equal").latex()
    (needs,) = {text.partition("\n")[0] for text in files.values()}
    tables = "".join(f"{text}\\clearpage\n" for text in files.values())
    preamble = f"\\documentclass{{article}}\n{' '.join(re.findall(r'.usepackage[^ ]*', needs))}\n"
    (tmp_path / "all.tex").write_text(f"{preamble}\\begin{{document}}\n{tables}\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=batchmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    log = (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert hostile or "Overfull" not in log


def test_latex_and_parquet_are_written(tmp_path: Path) -> None:
    made = report(study(), latex=tmp_path / "tables", parquet=tmp_path / "out" / "values.parquet")
    assert [path.name for path in made.files] == ["tables", "values.parquet"]
    assert {path.name for path in (tmp_path / "tables").iterdir()} == set(made.latex())
    assert pl.read_parquet(tmp_path / "out" / "values.parquet").equals(made.table)
