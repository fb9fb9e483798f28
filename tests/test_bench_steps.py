"""The benches of training steps, of weightings and of architectures: their tables, their command lines, and a round of each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import RunConfig, configure
from benchmark.datasets import Data
from benchmark.runs.runner import build_data, build_trainer
from tests.bench import architectures, steps, weightings

ENVIRONMENT = {
    "cpu": "Some CPU", "torch": "2.13.0+cpu", "batch_size": 1024, "rounds": 15, "steps": 6,
    "started": "2026-11-28T12:00:00+00:00",
}  # fmt: skip
CONDITIONS = (
    "1 thread of Some CPU, torch 2.13.0, batch size 1,024, median of 15 rounds of 6 steps, 2026-11-28: `make {}`."
)
BENCHES = [weightings, architectures]


def ratio(weighting: str, scope: str, architecture: str, tasks: int, value: float) -> dict[str, Any]:
    return {"weighting": weighting, "scope": scope, "architecture": architecture, "tasks": tasks, "ratio": value}


def size(name: str, adds: int, seconds: float, over: float) -> dict[str, Any]:
    return {
        "architecture": name, "parameters": 330_000, "embedding_parameters": 11_440, "multiply_adds": adds,
        "seconds": seconds, "ratio": seconds / 2, "over_multiply_adds": over,
    }  # fmt: skip


@pytest.fixture
def shop() -> Data:
    return build_data(RunConfig(dataset=configure("dataset", "shop", num_users=60, num_items=40, num_rows=4000)))


@pytest.fixture
def one_thread() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_table_of_weightings() -> None:
    rows = []
    for architecture, tasks in (("mmoe", 2), ("ple", 4)):
        rows += [
            ratio("equal", "", architecture, tasks, 1.0),
            ratio("mgda", "trunk", architecture, tasks, 1.7),
            ratio("mgda", "representation", architecture, tasks, 1.75),
            ratio("upgrad", "trunk", architecture, tasks, 1.2),
            ratio("upgrad", "representation", architecture, tasks, 1.3),
            ratio("famo", "", architecture, tasks, 1.3),
            ratio("dwa", "", architecture, tasks, 1.06),
        ]
    assert weightings.markdown({"environment": ENVIRONMENT, "rows": rows}) == (
        "| weighting | scope | MMoE 2 tasks | PLE 4 tasks |\n"
        "| --- | --- | ---: | ---: |\n"
        "| `dwa` |  | **1.06** | **1.06** |\n"
        "| `equal` |  | 1.00 | 1.00 |\n"
        "| `famo` |  | 1.30 | 1.30 |\n"
        "| `mgda` | trunk | **1.70** | 1.70 |\n"
        "| `mgda` | representation | 1.75 | 1.75 |\n"
        "| `upgrad` | trunk | 1.20 | 1.20 |\n"
        "| `upgrad` | representation | **1.30** | **1.30** |\n"
        "\n" + CONDITIONS.format("bench-weightings")
    )


def test_the_table_of_architectures() -> None:
    rows = [size("embedding_sum", 144, 0.5, 370.0), size("mmoe", 329_904, 2.0, 1.0), size("slow", 60_000, 1.5, 1.31)]
    assert architectures.markdown({"environment": ENVIRONMENT, "rows": rows}) == (
        "| architecture | parameters | of embeddings | multiply-adds per row | seconds per epoch | × `shared_bottom` "
        "| time over multiply-adds, × `mmoe` |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| `embedding_sum` | 330,000 | 11,440 | 144 | 0.50 | 0.25 |  |\n"
        "| `mmoe` | 330,000 | 11,440 | 329,904 | 2.00 | 1.00 | 1.00 |\n"
        "| `slow` | 330,000 | 11,440 | 60,000 | 1.50 | 0.75 | **1.31** |\n"
        "\n" + CONDITIONS.format("bench-architectures")
    )


@pytest.mark.parametrize("bench", BENCHES)
def test_markdown_reads_the_results_and_runs_nothing(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results: dict[str, Any] = {"environment": ENVIRONMENT, "rows": []}
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    bench.main(["--markdown", "--output", str(path)])
    assert capsys.readouterr().out == bench.markdown(results) + "\n"
    with pytest.raises(SystemExit, match=r"^bench-\w+: .*missing\.json"):
        bench.main(["--markdown", "--output", str(tmp_path / "missing.json")])


@pytest.mark.parametrize("bench", BENCHES)
@pytest.mark.usefixtures("one_thread")
def test_without_its_data_it_says_in_one_line_what_to_set(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nowhere(config: RunConfig) -> Data:
        raise FileNotFoundError(f"no files of the data set {config.dataset.name}.\nLooked in\n  a folder")

    monkeypatch.setattr(steps, "build_data", nowhere)
    with pytest.raises(SystemExit) as ended:
        bench.main(["--output", str(tmp_path / "results.json")])
    assert str(ended.value) == (
        f"bench-{bench.__name__.rpartition('.')[2]}: set MTLBENCH_DATA to a folder with census_income"
        f"{' and kuairand' if bench is weightings else ''}: no files of the data set census_income. Looked in a folder"
    )
    assert not (tmp_path / "results.json").exists()


def test_models_train_on_the_same_batches_in_every_round(shop: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers = [
        build_trainer(RunConfig(dataset="shop", architecture=name), shop, torch.device("cpu"))
        for name in ("embedding_sum", "shared_bottom")
    ]
    seen: list[list[float]] = [[], []]
    for trainer, codes in zip(trainers, seen, strict=True):
        monkeypatch.setattr(trainer, "step", remembering(codes))
    seconds = steps.seconds_of_steps(trainers, rounds=3, steps=2, batch_size=256)
    assert seconds.shape == (3, 2) and np.all(seconds >= 0)
    assert seen[0] == seen[1] and len(seen[0]) == steps.WARM_UP + 3 * 2 and len(set(seen[0])) > steps.WARM_UP


def remembering(codes: list[float]) -> Callable[[Any], None]:
    return lambda batch: codes.append(float(batch.numeric.sum() + batch.categorical.sum()))


def test_architectures_are_those_that_suit_and_the_bases_come_first(shop: Data) -> None:
    found = architectures.chosen(None, shop)
    assert found[:2] == ["shared_bottom", "mmoe"] and "esmm" in found and len(found) == len(set(found))
    assert architectures.chosen(["ple"], shop) == ["shared_bottom", "mmoe", "ple"]
    with pytest.raises(ValueError, match="unknown architecture 'pel'"):
        architectures.chosen(["pel"], shop)


@pytest.mark.usefixtures("one_thread")
def test_a_round_of_each(
    shop: Data, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "build_data", lambda config: shop)
    small, path = ["--rounds", "2", "--steps", "1", "--batch-size", "128"], tmp_path / "results.json"
    weightings.main(
        [*small, "--weightings", "mgda", "--architectures", "mmoe", "--tasks", "2", "--output", str(path)]
    )  # fmt: skip
    measured = json.loads(path.read_text())["rows"]
    assert [(found["weighting"], found["scope"]) for found in measured] == [
        ("mgda", "trunk"), ("mgda", "all"), ("mgda", "representation"),
    ]  # fmt: skip
    assert all(found["ratio"] > 0 for found in measured)
    architectures.main([*small, "--architectures", "embedding_sum", "--output", str(path)])
    names = {found["architecture"]: found for found in json.loads(path.read_text())["rows"]}
    assert list(names) == ["embedding_sum", "mmoe", "shared_bottom"]
    assert names["mmoe"]["over_multiply_adds"] == names["shared_bottom"]["ratio"] == 1.0
    assert weightings.markdown.__doc__ and "`embedding_sum`" in capsys.readouterr().out
