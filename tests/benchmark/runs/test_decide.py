"""Seeds until it is decided, with records that are made up in place of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark import report
from benchmark.datasets import Data
from benchmark.records.record import load_record, load_records
from benchmark.runs.decide import decide
from benchmark.runs.runner import build_dataset, identify, new_record
from benchmark.settings.composition import typed
from benchmark.settings.config import RunConfig
from benchmark.statistics import Verdict
from tests.benchmark.runs.test_tuning import SHOP, SPACE, _hydra, compose  # noqa: F401  the fixture is one of this module too

LOOKS = (3, 5, 8)
METHODS = ("single_task", "mmoe", "shared_bottom")
Quality = Callable[[str, int], float]  # architecture and seed to the AUC of click


def luck(seed: int, size: float = 0.002) -> float:
    """Of a run: a spread of about this size, each seed another."""
    return size * (-1) ** seed * (1 + seed % 3) / 2


def clear(architecture: str, seed: int) -> float:
    """MMoE loses at once, shared bottom cannot be told."""
    level = {"single_task": 0.70, "mmoe": 0.60, "shared_bottom": 0.702}[architecture]
    return level + luck(seed + len(architecture), 0.02 if architecture == "shared_bottom" else 0.002)


class Launcher:
    """Writes records in place of training; `stop` jobs at most, then it is interrupted."""

    def __init__(self, quality: Quality = clear, stop: int | None = None) -> None:
        self.quality, self.stop = quality, stop
        self.runs: list[RunConfig] = []
        self._data: Data | None = None

    def __call__(self, jobs: list[list[str]]) -> None:
        for job in jobs:
            if self.stop is not None and len(self.runs) >= self.stop:
                raise KeyboardInterrupt
            config = typed(compose(job))
            self.runs.append(config)
            self._write(config)

    def _write(self, config: RunConfig) -> None:
        if self._data is None:
            self._data = build_dataset(config).build()
        record = new_record(config, self._data, identify(self._data, config.purpose))
        auc = self.quality(config.architecture.name, config.seed)
        record.status, record.best_epoch = "finished", 1
        record.epochs = [{"epoch": 1, "criterion": auc}]
        record.cost = {"train_seconds": 60.0, "parameters": 10}
        splits = ("validation",) if config.purpose == "trial" else ("validation", "test")
        for split in splits:
            record.metrics[split] = {"click": {"auc": auc}, "purchase": {"auc": 0.7}, "duration": {"mse": 1.0}}
        record.metrics_per_task = record.metrics
        record.write(config.results_dir)

    def of(self, architecture: str, purpose: str = "default") -> list[int]:
        """The seeds that were launched."""
        return [c.seed for c in self.runs if c.architecture.name == architecture and c.purpose == purpose]


def search(folder: Path, launcher: Launcher, methods: tuple[str, ...] = METHODS, **changes: object) -> None:
    jobs = [[*SHOP, f"architecture={method}", f"results_dir={folder}", "seed=7"] for method in methods]
    decide(jobs, compose=compose, launch=launcher, **{"looks": LOOKS, "margin": "0.5%", **changes})  # type: ignore[arg-type]


def test_a_method_that_is_decided_gets_no_more_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launcher = Launcher()
    search(tmp_path, launcher)
    assert launcher.of("mmoe") == [0, 1, 2]
    assert launcher.of("single_task") == launcher.of("shared_bottom") == list(range(8))
    told = capsys.readouterr().err
    assert (
        "3 methods until decided by gain: looks at 3, 5, 8 seeds, each with 1.67 % of error; the margin is 0.5%" in told
    )
    assert "look at 3 seeds: worse: mmoe/equal (-" in told
    assert "the next look, at 5 seeds, takes 4 runs, about 4 min of training" in told
    assert "1 method undecided after the last look" in told


def test_the_records_carry_the_looks_and_the_report_judges_by_them(tmp_path: Path) -> None:
    search(tmp_path, Launcher())
    assert all(r.config["looks"] == {"seeds": list(LOOKS), "margin": "0.5%"} for r in load_records(tmp_path))
    (results,) = report(tmp_path).results
    assert results.primary is not None and results.family is not None
    every = [*results.primary.comparisons, *results.family.comparisons]
    assert {(c.alpha, c.looks) for c in every} == {(0.05, 3)}
    verdicts = {c.method: (c.verdict, c.n) for c in results.primary.comparisons}
    assert verdicts == {"mmoe/equal": (Verdict.WORSE, 3), "shared_bottom/equal": (Verdict.UNDECIDED, 8)}
    assert results.group.complete == {f"{method}/equal" for method in METHODS}  # who was decided lacks no run


def test_a_verdict_of_a_look_stands_whatever_later_seeds_say(tmp_path: Path) -> None:
    def late(architecture: str, seed: int) -> float:  # from the fourth seed on, MMoE would be the best
        return 0.8 + luck(seed) if architecture == "mmoe" and seed > 2 else clear(architecture, seed)

    search(tmp_path, Launcher(late))
    search(tmp_path, launcher := Launcher(late))
    assert not launcher.runs
    (results,) = report(tmp_path).results
    found = results.of_gain("mmoe/equal")
    assert found is not None and (found.verdict, found.n) == (Verdict.WORSE, 3)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first = Launcher(stop=13)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, first)
    second = Launcher()
    search(tmp_path, second)
    whole = Launcher()
    search(tmp_path / "whole", whole)

    def which(launchers: list[Launcher]) -> Counter[tuple[str, int]]:
        return Counter((config.architecture.name, config.seed) for of in launchers for config in of.runs)

    assert which([first, second]) == which([whole])


def test_tuned_methods_have_a_search_for_every_seed_of_every_look(tmp_path: Path) -> None:
    launcher = Launcher()
    search(tmp_path, launcher, trials=2, space=SPACE)
    assert launcher.of("mmoe", "tuned") == [0, 1, 2] and len(launcher.of("mmoe", "trial")) == 2 * 3
    assert launcher.of("shared_bottom", "tuned") == list(range(8)) and len(launcher.of("shared_bottom", "trial")) == 16
    assert {config.search_seed for config in launcher.runs if config.purpose == "tuned"} == set(range(8))
    assert not launcher.of("mmoe")  # the default parameters are another question


def test_runs_that_were_there_already_are_judged_at_the_looks_too(tmp_path: Path) -> None:
    search(tmp_path, Launcher())
    for path in tmp_path.rglob("*.json"):  # as a plain sweep leaves them
        record = load_record(path)
        del record.config["looks"]
        record.write(tmp_path)
    search(tmp_path, launcher := Launcher())
    assert not launcher.runs
    (results,) = report(tmp_path).results
    assert results.primary is not None and {c.looks for c in results.primary.comparisons} == {3}
    with pytest.raises(ValueError, match=r"was judged at looks \[3, 5, 8\] with the margin 0.5%, found \[3, 5\]"):
        search(tmp_path, Launcher(), looks=(3, 5))


def test_a_declared_task_is_judged_by_its_own_margin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [[*SHOP, f"architecture={m}", f"results_dir={tmp_path}", "primary=click.auc"] for m in METHODS]
    decide(jobs, compose=compose, launch=Launcher(), looks=LOOKS)
    assert "until decided by click.auc: looks at 3, 5, 8 seeds, each with 1.67 % of error\n" in capsys.readouterr().err
    (results,) = report(tmp_path).results
    assert results.primary is not None
    assert {(c.task, c.margin) for c in results.primary.comparisons} == {("click", 0.001)}


def test_a_baseline_at_chance_has_no_answer_and_costs_no_more_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = Launcher(lambda architecture, seed: 0.49 + luck(seed))
    search(tmp_path, launcher)
    assert len(launcher.runs) == 3 * 3
    told = capsys.readouterr().err
    assert "not ranked: mmoe/equal (single_task/equal is not better than chance on click), shared_bottom/equal" in told
    assert "no method is open after 3 seeds" in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("mmoe", "shared_bottom")}, "compares methods with hydra.sweeper.baseline=single_task/equal: expected"),
        ({"methods": ("single_task",)}, "and another method beside it, found single_task/equal"),
        ({"looks": (2, 5)}, "looks must be ascending numbers of seeds, from 3 on, found [2, 5]"),
        ({"margin": "0.5"}, "the margin of gain must be a percentage, such as 0.5%, found 0.5"),
        ({"trials": 2, "space": {}}, "hydra.sweeper.space has no parameter to try"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_refused_before_anything_runs(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    launcher = Launcher()
    with pytest.raises(ValueError) as error:
        search(tmp_path, launcher, **changes)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert not launcher.runs
