"""The benches: command line and columns of the one beside the peers, and what the page of results has of all."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmark.datasets import Data
from benchmark.datasets.census_income import CATEGORICAL, NUMERIC
from benchmark.kinds import BINARY
from benchmark.rows import Features, Split
from benchmark.schema import CategoricalField, NumericField, Schema, Task
from benchmark.settings.registry import datasets
from tests.bench import architectures, overhead, peers, scale, weightings
from tests.bench.peers_contestants import CONTESTANTS, SIZES, Mtlbench, columns, dataset
from tests.bench.peers_report import CONTESTANTS as REPORTED
from tests.bench.peers_report import MODELS, PEERS, markdown, race_table, reached, target_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS: dict[str, Any] = {
    "mmoe": {
        "1024": {"mtlbench": 1.0, "plain": 3.0, "deepctr_torch": 7.0, "torch_rechub": 8.996},
        "256": {"mtlbench": 2.0, "plain": 3.0, "deepctr_torch": 10.0, "torch_rechub": 7.0},
    },
    "ple": {"1024": {"mtlbench": 2.0, "plain": 6.0, "deepctr_torch": 10.0, "torch_rechub": 15.0}},
    "environment": {
        "threads": 2,
        "cpu": "Some CPU",
        "torch": "2.13.0+cpu",
        "rows": 179571,
        "rounds": 3,
        "started": "2026-11-24T12:00:00+00:00",
        "command": "python -m tests.bench.peers",
    },
}


def small_data(rows: int = 600) -> Data:
    """Two tasks that follow from the columns."""
    rng = np.random.default_rng(0)
    schema = Schema(
        categorical=(CategoricalField("colour", 5), CategoricalField("town", 40)),
        numeric=(NumericField("age"),),
        tasks=(Task("a", BINARY), Task("b", BINARY)),
    )

    def split(size: int) -> Split:
        codes = np.stack([rng.integers(0, 5, size), rng.integers(0, 40, size)], axis=1).astype(np.int32)
        numbers = rng.standard_normal((size, 1)).astype(np.float32)
        labels = np.stack([codes[:, 0] > 2, numbers[:, 0] > 0.5], axis=1).astype(np.float32)
        return Split(Features(schema.fields, codes, numbers), labels)

    return Data(schema=schema, train=split(rows), validation=split(100), test=split(100), fingerprint="small")


def test_the_table_of_the_page() -> None:
    assert markdown(RESULTS) == (
        "| Seconds an epoch | MMoE 256 | MMoE 1024 | PLE 1024 |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| mtlbench | **2.00** | **1.00** | **2.00** |\n"
        "| mtlbench, plain first layer | 3.00 (1.5×) | 3.00 (3.0×) | 6.00 (3.0×) |\n"
        "| deepctr-torch 0.3.0 | 10.00 (5.0×) | 7.00 (7.0×) | 10.00 (5.0×) |\n"
        "| torch-rechub 0.9.0 | 7.00 (3.5×) | 9.00 (9.0×) | 15.00 (7.5×) |\n"
        "\n"
        "2 threads of Some CPU, torch 2.13.0, 179,571 rows, median of 3 epochs, 2026-11-24: `python -m tests.bench.peers`."
    )


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("peers", markdown),
        ("overhead", overhead.markdown),
        ("weightings", weightings.markdown),
        ("architectures", architectures.markdown),
        ("scale", scale.markdown),
    ],
)
def test_the_page_has_the_committed_results(name: str, table: Callable[[dict[str, Any]], str]) -> None:
    path = ROOT / "results" / "bench" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"not measured yet: make bench-{name}")
    page = (ROOT / "results" / "bench" / "README.md").read_text(encoding="utf-8")
    assert table(json.loads(path.read_text(encoding="utf-8"))) in page


def test_a_missed_target_is_called_missed() -> None:
    measures = [
        {"name": "fast", "value": 0.5, "target": 1.0, "unit": "s", "at_least": False, "ok": True},
        {"name": "side by side", "value": 1.2, "target": 1.5, "unit": "x", "at_least": True, "ok": False},
    ]
    found = overhead.markdown(
        {"environment": {"cores": 2, "torch": "2.13.0+cpu", "started": "2026-11-24T1"}, "measures": measures}
    )
    assert "| fast | 0.50 s | ≤ 1 s |\n| side by side | 1.20×, missed | ≥ 1.5× |" in found


def test_markdown_reads_the_results_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(RESULTS))
    peers.main(["--markdown", "--output", str(path)])
    assert capsys.readouterr().out == markdown(RESULTS) + "\n"


def test_markdown_without_results_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^bench-peers: .*missing\.json"):
        peers.main(["--markdown", "--output", str(tmp_path / "missing.json")])


def test_targets_are_judged_by_the_fastest_peer_and_only_where_measured() -> None:
    found = {(t.model, t.batch_size, t.peer): (ratio, ratio >= t.ratio) for t, ratio in reached(RESULTS)}
    assert found == {
        ("mmoe", 1024, "the fastest peer"): (7.0, True),
        ("mmoe", 1024, "torch_rechub"): (8.996, False),  # 9.0 when rounded, and yet missed
        ("ple", 1024, "the fastest peer"): (5.0, True),
        ("ple", 1024, "torch_rechub"): (7.5, True),
        ("mmoe", 256, "the fastest peer"): (3.5, False),  # here torch-rechub is the fastest
    }


def test_tables_of_the_terminal() -> None:
    details = {
        name: {"parameters": 100 + number, "seconds": [3.0, 1.0, 2.0], "losses": [0.5, 0.4, 0.25]}
        for number, name in enumerate(REPORTED)
    }
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(race_table("mmoe", 1024, RESULTS["mmoe"]["1024"], details))
    console.print(target_table(RESULTS))
    text = console.export_text()
    assert "7.0 x faster" in text and "1.00 - 3.00" in text and "0.5000 - 0.2500" in text
    (target,) = (line for line in text.splitlines() if "MMoE 1024" in line and "torch-rechub" in line)
    assert "missed" in target and "MMoE, batch size 1024" in text


def test_contestants_are_the_same_everywhere() -> None:
    assert set(CONTESTANTS) == set(REPORTED)
    assert set(SIZES) == set(MODELS)
    assert set(PEERS) < set(CONTESTANTS)


def test_arguments() -> None:
    full, look = peers.parse([]), peers.parse(["--rows", "20000", "--rounds", "1", "--models", "ple"])
    assert (full.models, full.batch_sizes, full.rows, full.output) == (
        ["mmoe", "ple"],
        [256, 1024, 4096],
        None,
        peers.RESULTS,
    )
    assert (look.models, look.rows, look.rounds, look.output) == (["ple"], 20000, 1, None)
    assert peers.parse(["--rows", "9", "--output", "x.json"]).output == Path("x.json")


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--models", "esmm"], ["--batch-sizes", "many"]])
def test_wrong_arguments_end_it(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        peers.parse(wrong)
    assert f"error: argument {wrong[0]}" in capsys.readouterr().err


def test_without_the_peers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "torch_rechub", ("torch-rechub", "0.0.1"))
    with pytest.raises(SystemExit) as caught:
        peers.main([])
    message = str(caught.value)
    assert "pip install -c constraints.txt -e '.[peers]'" in message and "\n" not in message


def test_columns_are_those_of_the_data_set() -> None:
    data = small_data()
    found = columns(data.schema, data.train)
    assert {name: (values.dtype.name, values.shape, values.flags.c_contiguous) for name, values in found.items()} == {
        "colour": ("int64", (600,), True),
        "town": ("int64", (600,), True),
        "age": ("float32", (600,), True),
    }
    np.testing.assert_array_equal(found["town"], data.train.features.column("town"))
    np.testing.assert_array_equal(found["age"], data.train.features.column("age"))


def test_census_income_has_31_and_7_columns() -> None:
    assert (len(CATEGORICAL), len(NUMERIC)) == (31, 7)
    assert dataset().numeric == "standardise"


def test_a_batch_of_a_single_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        def build(self) -> Data:
            return small_data(601)

    monkeypatch.setattr(datasets, "build", lambda config: Small())
    with pytest.raises(ValueError, match="601 rows in batches of 200"):
        peers.load(None, [128, 200])
    assert len(peers.load(400, [128, 200]).train) == 400


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("name", ["mtlbench", "plain"])
def test_ours_learns(model: str, name: str) -> None:
    check_learning(name, model)


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("name", list(PEERS))
@pytest.mark.filterwarnings("default")  # of the peers
def test_peers_learn(model: str, name: str) -> None:
    pytest.importorskip(name)
    check_learning(name, model)


def check_learning(name: str, model: str) -> None:
    data = small_data()
    contestant = CONTESTANTS[name](model, data, 64)
    epochs = [contestant.epoch() for _ in range(8)]
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].loss < 0.95 * peers.constant_loss(data)
    assert all(epoch.seconds > 0 for epoch in epochs)


def test_plain_and_factored_start_alike_and_learn_alike() -> None:
    fast, plain = (Mtlbench("mmoe", small_data(), 64, factored=factored) for factored in (True, False))
    assert fast.epoch().loss == pytest.approx(plain.epoch().loss, rel=1e-4)
