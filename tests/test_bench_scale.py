"""The bench of scale: its log, both of its processes on a few rows, and its table."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import benchmark.pieces
from tests.bench import scale


def test_the_log_is_drawn_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.pieces, "PIECE", 400)
    scale.write_csv(tmp_path / "log.csv", 1000)
    log = pl.read_csv(tmp_path / "log.csv")
    assert log.shape == (1000, len(scale.TYPES)) and log.columns == list(scale.TYPES)
    assert log.filter(pl.col("buy") > pl.col("click")).is_empty()
    assert log["seconds"].is_null().equals(log["click"] == 0)
    assert 0 < log["age"].null_count() < 200


def test_a_look_measures_both_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "scale.json"
    scale.main(["--rows", "3000", "--steps", "3", "--folder", str(tmp_path), "--output", str(path)])
    (line,) = json.loads(path.read_text())["rows"]
    assert line["rows"] == 3000 and line["train"]["validation_rows"] == 300
    for part in ("prepare", "train"):
        assert 50 << 20 < line[part]["peak_anonymous_bytes"] < scale.LIMIT
    assert "| 3,000 | 0.00 GiB | 0.00 GiB |" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


def test_too_much_memory_is_bold() -> None:
    part = {"peak_anonymous_bytes": 3 << 30, "seconds": 2.0, "rows_per_second": 5000.0, "rows_per_cpu_second": 6000.0}
    line = {"rows": 10**6, "steps": 9, "csv_bytes": 1 << 29, "prepared_bytes": 1 << 30, "prepare": part, "train": part}
    about = {"cpu": "Some CPU", "torch": "2.13.0+cpu", "batch_size": 1024, "started": "2026-11-28T12:00:00"}
    expected = "| 1,000,000 | 0.50 GiB | 1.00 GiB | **3.00 GiB** | 500,000 | **3.00 GiB** | 5,000 | 6,000 |\n"
    assert expected in scale.markdown({"rows": [line], "environment": about})
    assert "batch size 1,024, 9 steps, 2026-11-28" in scale.markdown({"rows": [line], "environment": about})
    two = scale.markdown({"rows": [line, line | {"steps": 2000}], "environment": about})
    assert "batch size 1,024, 9 to 2,000 steps, 2026-11-28" in two
