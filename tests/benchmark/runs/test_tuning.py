"""A search from its jobs to its tuned runs, with records that are made up in place of training."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from benchmark.datasets import Data
from benchmark.records.record import FIRST_TRIAL_SEED, Record, load_records
from benchmark.runs.runner import build_dataset, identify, new_record
from benchmark.runs.sweep import NO_RECORD, OUTCOMES
from benchmark.runs.tuning import tune
from benchmark.settings.composition import CONFIG_MODULE, prepare, typed
from benchmark.settings.config import RunConfig

SPACE = {
    "trainer": {"learning_rate": "tag(log, interval(1e-4, 1e-2))", "weight_decay": "interval(0, 0.1)"},
    "architecture": {"dropout": "choice(0.0, 0.1, 0.2)", "num_experts": "choice(4, 8)"},
}
SHARED = ("trainer.learning_rate", "trainer.weight_decay")
METHODS = ("single_task", "shared_bottom", "mmoe")
SHOP = ["dataset=shop", "dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=2000"]

Ending = Callable[[RunConfig], "float | str"]  # the criterion, or the status


@pytest.fixture(autouse=True, scope="module")
def _hydra() -> Iterator[None]:
    prepare()
    GlobalHydra.instance().clear()
    with hydra.initialize_config_module(CONFIG_MODULE, version_base="1.3"):
        yield
    composed.cache_clear()


@cache
def composed(shape: tuple[str, ...]) -> DictConfig:
    return hydra.compose("config", list(shape))


def compose(job: list[str]) -> DictConfig:
    """As Hydra does it, but once for all seeds and folders: the tests' trials are the same ones."""
    of_each = [override for override in job if override.startswith(("seed=", "results_dir="))]
    node = copy.deepcopy(composed(tuple(override for override in job if override not in of_each)))
    for key, value in (override.split("=") for override in of_each):
        OmegaConf.update(node, key, int(value) if key == "seed" else value)
    return node


def by_learning_rate(config: RunConfig) -> float:
    """Best at 1e-3."""
    return 1 - abs(config.trainer.learning_rate - 1e-3)


class Launcher:
    """Writes records in place of training; `stop` jobs at most, then it is interrupted."""

    def __init__(self, ending: Ending = by_learning_rate, stop: int | None = None) -> None:
        self.ending, self.stop = ending, stop
        self.launched: list[list[RunConfig]] = []
        self._data: Data | None = None

    def __call__(self, jobs: list[list[str]]) -> None:
        self.launched.append([])
        for job in jobs:
            if self.stop is not None and len(self.runs) >= self.stop:
                raise KeyboardInterrupt
            config = typed(compose(job))
            self.launched[-1].append(config)
            self._write(config)

    def _write(self, config: RunConfig) -> None:
        if self._data is None:
            self._data = build_dataset(config).build()
        record, outcome = new_record(config, self._data, identify(self._data, config.purpose)), self.ending(config)
        record.status = outcome if isinstance(outcome, str) else "finished"
        if not isinstance(outcome, str):
            record.best_epoch = 1
            # the selected one counts
            record.epochs = [{"epoch": 1, "criterion": outcome}, {"epoch": 2, "criterion": 99.0}]
            tasks = {key: {"rows": 9.0} for key in record.dataset["tasks"]}
            record.metrics = record.metrics_per_task = {"validation": tasks, "test": tasks}
            if config.purpose == "trial":
                record.metrics = record.metrics_per_task = {"validation": tasks}
        record.write(config.results_dir)

    @property
    def runs(self) -> list[RunConfig]:
        return [config for batch in self.launched for config in batch]


def search(
    folder: Path,
    launcher: Launcher,
    *arguments: str,
    methods: tuple[str, ...] = METHODS,
    seeds: int = 2,
    **changes: Any,
) -> None:
    """One search a method and so many seeds of what it chose, if nothing else is asked for."""
    jobs = [
        [*SHOP, f"architecture={method}", f"results_dir={folder}", *arguments, f"seed={seed}"]
        for method in methods
        for seed in range(seeds)
    ]
    settings: dict[str, Any] = {"trials": 4, "sampler": "halton", "space": SPACE, "replicate": "seed", **changes}
    tune(jobs, compose=compose, launch=launcher, **settings)


def of(folder: Path, purpose: str) -> list[Record]:
    return [record for record in load_records(folder) if record.purpose == purpose]


def drawn(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    return {
        (trial.method, trial.config["tuning"]["trial"]): trial.config["tuning"]["parameters"]
        for trial in of(folder, "trial")
    }


def test_the_ledger_adds_up(tmp_path: Path) -> None:
    search(tmp_path, Launcher())
    trials = {trial.id: trial for trial in of(tmp_path, "trial")}
    assert len(trials) == 4 * len(METHODS)
    assert len(of(tmp_path, "tuned")) == len(of(tmp_path, "default")) == 2 * len(METHODS)
    assert all(path.parts[len(tmp_path.parts)] == "trials" for path in tmp_path.rglob("*.json") if path.stem in trials)
    for tuned in of(tmp_path, "tuned"):
        told = tuned.config["tuning"]
        own = [trials[name] for name in told["ids"]]
        assert {trial.method for trial in own} == {tuned.method}
        assert [trial.config["tuning"]["trial"] for trial in own] == [0, 1, 2, 3]
        assert [trial.seed for trial in own] == [
            FIRST_TRIAL_SEED,
            FIRST_TRIAL_SEED + 1,
            FIRST_TRIAL_SEED + 2,
            FIRST_TRIAL_SEED + 3,
        ]
        values = [trial.criterion for trial in own]
        assert told["trials"] == 4
        assert told["criterion"] == max(values) == values[told["trial"]]  # type: ignore[type-var]
        best = own[told["trial"]].config
        for part in ("architecture", "weighting", "trainer", "dataset"):
            assert tuned.config[part] == best[part]
        assert {trial.config["tuning"]["study"] for trial in own} == {told["study"]}
    assert [r.seed for r in of(tmp_path, "tuned")].count(0) == len(METHODS)
    assert {r.config["trainer"]["learning_rate"] for r in of(tmp_path, "default")} == {1e-3}
    assert all(r.config["tuning"] == {} for r in of(tmp_path, "default"))


def test_shared_parameters_are_tried_for_all_and_own_ones_where_they_are(tmp_path: Path) -> None:
    search(tmp_path, Launcher(), methods=("embedding_sum", "shared_bottom", "mmoe"))
    keys = {method: sorted(parameters) for (method, _), parameters in drawn(tmp_path).items()}
    trainer = ["trainer.learning_rate", "trainer.weight_decay"]
    assert keys == {
        "embedding_sum/equal": trainer,
        "shared_bottom/equal": ["architecture.dropout", *trainer],
        "mmoe/equal": ["architecture.dropout", "architecture.num_experts", *trainer],
    }


def test_a_trial_depends_on_its_search_and_number_alone(tmp_path: Path) -> None:
    search(tmp_path / "all", Launcher())
    search(tmp_path / "one", Launcher(), methods=("mmoe",), trials=2)
    whole, part = drawn(tmp_path / "all"), drawn(tmp_path / "one")
    assert part == {key: parameters for key, parameters in whole.items() if key[0] == "mmoe/equal" and key[1] < 2}
    rows = [
        {tuple(parameters[key] for key in SHARED) for (_, trial), parameters in whole.items() if trial == number}
        for number in range(4)
    ]
    assert [len(found) for found in rows] == [1] * 4, "methods tried different values of what they share"
    assert len(set().union(*rows)) == 4, "trials tried the same values"


@pytest.mark.parametrize("sampler", ["halton", "tpe"])
def test_a_replicate_is_a_search_and_a_run_of_what_it_chose(tmp_path: Path, sampler: str) -> None:
    launcher = Launcher()
    search(tmp_path, launcher, replicate="search", seeds=3, sampler=sampler)
    assert [len(batch) for batch in launcher.launched] == ([36, 18] if sampler == "halton" else [9] * 4 + [18])
    trials = {trial.id: trial for trial in of(tmp_path, "trial")}
    assert {(trial.method, trial.seed, trial.search_seed) for trial in trials.values()} == {
        (f"{method}/equal", FIRST_TRIAL_SEED * (1 + which) + number, which)
        for method in METHODS for which in range(3) for number in range(4)
    }  # fmt: skip
    found = of(tmp_path, "tuned")
    assert {(tuned.method, tuned.seed) for tuned in found} == {(f"{m}/equal", s) for m in METHODS for s in range(3)}
    for tuned in found:
        told = tuned.config["tuning"]
        own = [trials[name] for name in told["ids"]]
        assert tuned.search_seed == tuned.seed
        assert {(trial.method, trial.search_seed, trial.study) for trial in own} == {
            (tuned.method, tuned.seed, tuned.study)
        }
        assert told["criterion"] == max(trial.criterion for trial in own) == own[told["trial"]].criterion  # type: ignore[type-var]
        assert tuned.config["trainer"] == own[told["trial"]].config["trainer"]
    assert len({tuned.study for tuned in found}) == len(METHODS)
    rates = {tuned.search_seed: tuned.config["trainer"]["learning_rate"] for tuned in found}
    assert len(set(rates.values())) == 3, "another search chose the same"
    assert {(r.seed, r.search_seed) for r in of(tmp_path, "default")} == {(0, 0), (1, 0), (2, 0)}


def test_seeds_of_one_search_are_all_of_the_same(tmp_path: Path) -> None:
    search(tmp_path, Launcher(), replicate="seed", seeds=3)
    found = of(tmp_path, "tuned")
    assert {(tuned.seed, tuned.search_seed) for tuned in found} == {(0, 0), (1, 0), (2, 0)}
    assert all(
        len({str(r.config["tuning"]) for r in found if r.method == method}) == 1 for method in {r.method for r in found}
    )
    assert len(of(tmp_path, "trial")) == 4 * len(METHODS)


def test_both_replicates_are_of_one_study(tmp_path: Path) -> None:
    search(tmp_path / "search", Launcher(), replicate="search", methods=("mmoe",))
    search(tmp_path / "seed", Launcher(), replicate="seed", methods=("mmoe",))
    (study,) = {record.study for name in ("search", "seed") for record in of(tmp_path / name, "tuned")}
    assert {r.id for r in of(tmp_path / "seed", "trial")} < {r.id for r in of(tmp_path / "search", "trial")}
    assert study == of(tmp_path / "seed", "trial")[0].study


def test_the_default_parameters_run_only_if_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(), replicate="search", with_defaults=False)
    assert not of(tmp_path, "default")
    assert len(of(tmp_path, "tuned")) == 2 * len(METHODS)
    assert (
        "tuning 3 methods: 2 searches of 4 trials each (halton), then runs of the best parameters\n"
        in capsys.readouterr().err
    )


def test_more_seeds_add_searches_and_warn_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(), replicate="search", seeds=2)
    before = {record.id: record for record in load_records(tmp_path)}
    launcher = Launcher()
    search(tmp_path, launcher, replicate="search", seeds=3)
    assert {(config.purpose, config.search_seed) for config in launcher.runs if config.purpose != "default"} == {
        ("trial", 2), ("tuned", 2),
    }  # fmt: skip
    search(tmp_path, Launcher(), replicate="search", seeds=1)  # fewer seeds than are there
    assert "warning" not in capsys.readouterr().err
    assert {record.id: record for record in load_records(tmp_path) if record.id in before} == before


def test_choices_at_an_end_of_what_was_tried_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(lambda config: config.trainer.learning_rate), methods=("mmoe",))
    tried = [parameters for _, parameters in sorted(drawn(tmp_path).items())]
    best = max(tried, key=lambda parameters: parameters["trainer.learning_rate"])
    ends = {}
    for key in best:
        values = [parameters[key] for parameters in tried]
        if min(values) < max(values) and best[key] in (min(values), max(values)):
            ends[key] = "lowest" if best[key] == min(values) else "highest"
    assert ends["trainer.learning_rate"] == "highest"
    assert [record.config["tuning"]["ends"] for record in of(tmp_path, "tuned")] == [ends, ends]
    assert "; trainer.learning_rate is the highest that it tried" in capsys.readouterr().err


@pytest.mark.parametrize("sampler", ["halton", "tpe"])
@pytest.mark.parametrize("stop", [1, 7, 15])
def test_an_interrupted_search_goes_on_to_the_same_records(tmp_path: Path, sampler: str, stop: int) -> None:
    search(tmp_path / "whole", Launcher(), sampler=sampler)
    first, second = Launcher(stop=stop), Launcher()
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", first, sampler=sampler)
    search(tmp_path / "cut", second, sampler=sampler)
    assert len(first.runs) == stop
    assert len(second.runs) == 12 + 12 - stop, "a finished run was repeated"
    assert [r.id for r in load_records(tmp_path / "cut")] == [r.id for r in load_records(tmp_path / "whole")]
    third = Launcher()
    search(tmp_path / "cut", third, sampler=sampler)
    assert not third.runs


@pytest.mark.parametrize("sampler", ["halton", "tpe"])
def test_several_searches_that_are_interrupted_go_on_to_the_same_records(tmp_path: Path, sampler: str) -> None:
    search(tmp_path / "whole", Launcher(), replicate="search", sampler=sampler)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "cut", Launcher(stop=11), replicate="search", sampler=sampler)
    rest = Launcher()
    search(tmp_path / "cut", rest, replicate="search", sampler=sampler)
    assert len(rest.runs) == 24 + 12 - 11, "a finished run was repeated"
    assert [r.id for r in load_records(tmp_path / "cut")] == [r.id for r in load_records(tmp_path / "whole")]


def test_more_trials_take_the_first_ones_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(), trials=2, methods=("mmoe",))
    before = of(tmp_path, "tuned")[0].config["tuning"]
    launcher = Launcher(lambda config: float(config.seed))  # the last trial wins
    search(tmp_path, launcher, trials=4, methods=("mmoe",))
    assert [config.purpose for config in launcher.runs] == ["trial"] * 2 + ["tuned"] * 2
    assert {config.tuning["trial"] for config in launcher.runs[2:]} == {3}
    assert launcher.runs[-1].tuning["ids"][:2] == before["ids"]
    assert "did not choose" not in capsys.readouterr().err  # reports leave out what was chosen from fewer trials
    larger = {record.id: record for record in of(tmp_path, "tuned") if record.config["tuning"]["trials"] == 4}
    assert len(larger) == 2
    search(tmp_path, Launcher(), trials=2, methods=("mmoe",))
    assert "use the larger search of mmoe/equal in this folder, with 4 trials" in capsys.readouterr().err
    assert {record.id: record for record in of(tmp_path, "tuned") if record.id in larger} == larger


def test_tuned_runs_of_other_spaces_are_named_and_of_other_data_and_seeds_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: dict[str, Any] = {"methods": ("mmoe",), "trials": 2}
    search(tmp_path, Launcher(), **arguments)
    search(tmp_path, Launcher(), "dataset.num_rows=2100", **arguments)
    assert "did not choose" not in capsys.readouterr().err
    search(tmp_path, Launcher(), **arguments, space={"trainer": {"learning_rate": "choice(0.5, 0.6)"}})
    assert capsys.readouterr().err.count("is a tuned run that this search did not choose") == 2


def test_a_longer_search_with_the_same_winner_has_the_longer_ledger(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"methods": ("mmoe",)}
    search(tmp_path, Launcher(lambda config: -float(config.seed)), trials=2, **arguments)  # the first trial wins
    launcher = Launcher(lambda config: -float(config.seed))
    search(tmp_path, launcher, trials=4, **arguments)
    assert [config.purpose for config in launcher.runs] == ["trial"] * 2
    assert {tuned.config["tuning"]["trials"] for tuned in of(tmp_path, "tuned")} == {4}
    assert {len(tuned.config["tuning"]["ids"]) for tuned in of(tmp_path, "tuned")} == {4}


def test_tpe_learns_in_rounds_of_one_trial_a_method(tmp_path: Path) -> None:
    def upwards(config: RunConfig) -> float:
        return math.log(config.trainer.learning_rate)

    launcher = Launcher(upwards)
    search(tmp_path, launcher, sampler="tpe", trials=12, methods=("shared_bottom", "mmoe"))
    rounds = launcher.launched[:-1]
    assert [len(batch) for batch in rounds] == [2] * 12
    values = [[upwards(config) for config in batch] for batch in rounds]
    first, last = sum(map(sum, values[:4])), sum(map(sum, values[8:]))
    assert last > first, "TPE did no better than at random"
    reverse = Launcher(lambda config: -upwards(config))
    search(tmp_path / "reverse", reverse, sampler="tpe", trials=12, methods=("mmoe",))
    told = [config.tuning["parameters"] for config in reverse.runs[:12]]
    same = [config.tuning["parameters"] for batch in rounds for config in batch if config.architecture.name == "mmoe"]
    assert told[:4] == same[:4]
    assert told != same, "what came of the trials made no difference"


@pytest.mark.parametrize("sampler", ["halton", "tpe"])
@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_trial_without_a_result_counts_as_worst(tmp_path: Path, status: str, sampler: str) -> None:
    def all_but_two(config: RunConfig) -> float | str:
        return -5.0 if config.purpose != "trial" or config.seed == FIRST_TRIAL_SEED + 2 else status

    arguments: dict[str, Any] = {"methods": ("mmoe",), "sampler": sampler}
    if status == "failed":
        with pytest.raises(SystemExit):
            search(tmp_path, Launcher(all_but_two), **arguments)
    else:
        search(tmp_path, Launcher(all_but_two), **arguments)
    assert {tuned.config["tuning"]["trial"] for tuned in of(tmp_path, "tuned")} == {2}
    assert {len(tuned.config["tuning"]["ids"]) for tuned in of(tmp_path, "tuned")} == {4}
    again = Launcher(all_but_two)
    if status == "failed":
        with pytest.raises(SystemExit):
            search(tmp_path, again, **arguments)
        assert [config.seed - FIRST_TRIAL_SEED for config in again.runs] == [0, 1, 3]
    else:
        search(tmp_path, again, **arguments)
        assert not again.runs


def test_ties_and_methods_without_any_result_take_the_first_trial(tmp_path: Path) -> None:
    search(tmp_path / "ties", Launcher(lambda _: 0.5), methods=("mmoe",))
    assert {r.config["tuning"]["trial"] for r in of(tmp_path / "ties", "tuned")} == {0}
    search(tmp_path / "none", Launcher(lambda _: "diverged"), methods=("mmoe",))
    (told, _) = (r.config["tuning"] for r in of(tmp_path / "none", "tuned"))
    assert (told["trial"], told["criterion"]) == (0, None)


def test_a_method_whose_trials_all_failed_has_no_tuned_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ending(config: RunConfig) -> float | str:
        return "failed" if config.purpose == "trial" and config.architecture.name == "mmoe" else 0.5

    launcher = Launcher(ending)
    with pytest.raises(SystemExit):
        search(tmp_path, launcher, methods=("shared_bottom", "mmoe"))
    assert {record.method for record in of(tmp_path, "tuned")} == {"shared_bottom/equal"}
    assert {record.method for record in of(tmp_path, "default")} == {"shared_bottom/equal", "mmoe/equal"}
    assert "mmoe/equal: all 4 trials failed, so it has no tuned runs" in capsys.readouterr().err


def test_what_validation_cannot_judge_is_told_before_the_first_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = Launcher()
    unjudged = ("dataset.purchase_rate=0.01", "dataset.split_seed=1")
    with pytest.raises(
        ValueError, match=r"^trainer.monitor=mean cannot be judged .* \(one class only: all 200 labels are 0\)"
    ):
        search(tmp_path, launcher, *unjudged)
    assert not launcher.launched and not load_records(tmp_path)
    assert "failed" not in capsys.readouterr().err
    search(tmp_path, launcher, *unjudged, "trainer.monitor=click.auc", methods=("mmoe",))
    assert len(of(tmp_path, "tuned")) == 2


@pytest.mark.parametrize("words", ["without a record", "lost"])
def test_nothing_is_chosen_while_a_trial_has_no_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setitem(OUTCOMES, NO_RECORD, words)

    class Forgetful(Launcher):
        def _write(self, config: RunConfig) -> None:
            if config.seed != FIRST_TRIAL_SEED + 1:
                super()._write(config)

    with pytest.raises(SystemExit):
        search(tmp_path, Forgetful(), methods=("mmoe",))
    assert not of(tmp_path, "tuned")
    told = capsys.readouterr().err
    assert f"1 {words}" in told and "continues where this one stopped" in told


def test_one_summary_says_how_every_stage_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search(tmp_path, Launcher(), "save_checkpoint=false")
    told = capsys.readouterr().err
    assert "tuning 3 methods: 4 trials each (halton), then runs of the best parameters" in told
    assert told.count("is the best (mean ") == 3
    for label, number in (("trials", 12), ("tuned", 6), ("default", 6)):
        assert told.count(f"mtlbench: {label}: {number} finished, 0 skipped, 0 diverged, 0 failed\n") == 1
    assert f"the trials' records are in {tmp_path / 'trials'}" in told
    assert f"mtlbench report {tmp_path}" in told


def test_checkpoints_and_predictions_are_of_reported_runs_only(tmp_path: Path) -> None:
    launcher = Launcher()
    search(tmp_path, launcher, "save_checkpoint=true", "save_predictions=true", methods=("mmoe",))
    assert {(config.purpose, config.save_checkpoint, config.save_predictions) for config in launcher.runs} == {
        ("trial", False, False), ("tuned", True, True), ("default", True, True),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "changes", "expected"),
    [
        ((), {"sampler": "grid"}, "hydra.sweeper.sampler must be one of halton, tpe, found 'grid'"),
        ((), {"replicate": "both"}, "hydra.sweeper.replicate must be one of search, seed, found 'both'"),
        ((), {"trials": -1}, "hydra.sweeper.trials must be from 1 to 10,000, or 0 for a plain sweep, found -1"),
        ((), {"trials": 10_001}, "hydra.sweeper.trials must be from 1 to 10,000, or 0 for a plain sweep, found 10001"),
        ((), {"space": {}}, "has no parameter to try"),
        ((), {"space": {"architecture.num_expert": "choice(4)"}}, "did you mean num_experts"),
        ((), {"space": {"architecture.num_experts": "interval(4, 8)"}}, "architecture.num_experts"),
        (("purpose=tuned",), {}, "purpose and tuning are set by the search, found tuned"),
        (("dataset.split_seed=${seed}",), {}, "the data set follows the seed"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_runs(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    changes: dict[str, Any],
    expected: str,
) -> None:
    launcher = Launcher()
    with pytest.raises(Exception, match=expected.replace("(", r"\(")):
        search(tmp_path, launcher, *arguments, **changes)
    assert not launcher.launched
    assert not capsys.readouterr().err


def test_a_seed_of_the_trials_is_refused(tmp_path: Path) -> None:
    job = [*SHOP, "architecture=mmoe", f"seed={FIRST_TRIAL_SEED}", f"results_dir={tmp_path}"]
    with pytest.raises(ValueError, match="seeds from 10000 on are reserved for trials"):
        tune(
            [job],
            compose=compose,
            launch=Launcher(),
            trials=1,
            sampler="halton",
            space=SPACE,
        )
