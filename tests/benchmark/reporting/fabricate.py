"""Fabricated records: what runs leave behind, without the runs. Every key that a real record has is there."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from benchmark.files import digest
from benchmark.kinds import BINARY, REGRESSION, Transform
from benchmark.records.record import Record
from benchmark.records.reference import ReferenceRecord
from benchmark.schema import CategoricalField, NumericField, Schema, Task
from benchmark.settings.config import TrainerConfig
from benchmark.settings.registry import plain

SCHEMAS = {
    "videos": Schema(
        categorical=(CategoricalField("user", 901), CategoricalField("item", 4001), CategoricalField("hour", 25)),
        numeric=(NumericField("length"),),
        tasks=(
            Task("click", BINARY),
            Task("like", BINARY),
            Task("play_time", REGRESSION, unit="seconds", transform=Transform.LOG1P),
        ),
        user="user",
        item="item",
    ),
    "shop": Schema(
        categorical=(CategoricalField("user", 501), CategoricalField("item", 301)),
        numeric=(),
        tasks=(
            Task("click", BINARY),
            Task("purchase", BINARY, given="click"),
            Task("duration", REGRESSION, unit="seconds"),
        ),
        user="user",
        item="item",
    ),
}
# task: (value of the constant, value a perfect training reaches, spread between seeds) of the headline metric
LEVELS = {
    "click": (0.5, 0.735, 1e-3),
    "like": (0.5, 0.82, 4e-3),
    "play_time": (2.2, 1.46, 8e-3),
    "purchase": (0.5, 0.79, 3e-3),
    "duration": (410.0, 262.0, 1.5),
}
# method: (what it gains on every task, as a share of the way from constant to perfect; parameters; shared; seconds)
METHODS = {
    "single_task/equal": (0.0, 261_840, 0, 31.0),
    "shared_bottom/equal": (0.012, 92_113, 90_001, 14.0),
    "mmoe/equal": (0.028, 118_900, 112_000, 19.0),
    "mmoe/uncertainty": (0.022, 118_903, 112_000, 20.0),
    "ple/pcgrad": (0.03, 190_223, 140_000, 47.0),
}
CHANGING = ("uncertainty", "pcgrad")
OF_GRADIENTS = ("pcgrad",)


def record(
    dataset: str = "videos",
    method: str = "mmoe/equal",
    seed: int = 0,
    *,
    status: str = "finished",
    purpose: str = "default",
    trainer: dict[str, Any] | None = None,
    architecture: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    weights: dict[str, float] | None = None,
    gain: float | None = None,
    num_epochs: int = 12,
    search_seed: int = 0,
    called: str = "",
) -> Record:
    """One record; the same arguments give the same record.

    Args:
        dataset: videos or shop.
        method: `architecture/weighting`; known ones have a quality of their own.
        seed: The run's seed; runs of one seed share a part of their luck, as real ones do.
        status: finished, diverged or failed.
        purpose: default, trial or tuned.
        trainer, architecture, options: Values of the configuration in place of the defaults.
        weights: Those of a fixed weighting.
        gain: The method's quality in place of that in METHODS.
        num_epochs: Epochs trained.
        search_seed: Which search it is of.
        called: Another name of the data set: it has the tasks of `dataset` and is another one.
    """
    schema = SCHEMAS[dataset]
    dataset = called or dataset
    names = method.split("/")
    identity: dict[str, Any] = {
        "dataset": {"name": dataset, "split_seed": 0, **(options or {})},
        "architecture": {"name": names[0], "embedding_dim": 16, **(architecture or {})},
        "weighting": {
            "name": names[1],
            **({"scope": "trunk", "head_gradients": "own"} if names[1] in OF_GRADIENTS else {}),
            **({"weights": weights} if weights is not None else {}),
        },
        "trainer": {**plain(TrainerConfig(validations_per_epoch=1)), **(trainer or {})},
        "purpose": purpose,
        "seed": seed,
        **({"search_seed": search_seed} if search_seed else {}),
    }
    made = Record(
        id=digest(identity)[:12],
        status=status,
        method=method,
        purpose=purpose,
        seed=seed,
        config={**identity, "device": "auto", "threads": 1, "tracker": {"name": "none"}, "results_dir": "results/runs"},
        dataset=_dataset(dataset, schema, options or {}),
        selected_by={"split": "validation", "criterion": "mean"},
        environment={
            "mtlbench": "0.1.0", "torch": "2.13.0", "numpy": "2.3.0", "python": "3.11.9", "platform": "Linux",
            "cores": 2,
            "command": f"mtlbench run dataset={dataset} architecture={names[0]} weighting={names[1]} seed='range(0,5)'",
            "started": f"2026-11-20T10:{seed:02d}:00+00:00",
        },
    )  # fmt: skip
    quality, parameters, shared, seconds = METHODS.get(method, (0.01, 100_000, 80_000, 20.0))
    quality = quality if gain is None else gain
    made.cost = {
        "parameters": parameters, "embedding_parameters": parameters // 2, "multiply_adds": parameters // 2,
        "train_seconds": seconds + seed % 3,
        "rows_per_second": 2e6 / seconds, "peak_memory_bytes": 400_000_000, "threads": 1, "device": "cpu",
    }  # fmt: skip
    if status == "failed":
        made.error = {"type": "RuntimeError", "message": "out of memory", "traceback": "Traceback ..."}
        made.dataset, made.cost = {}, {}
        return made
    _train(made, schema, quality, num_epochs)
    made.shared_parameters = shared
    if status == "diverged":
        made.error = {
            "type": "Diverged",
            "message": "the loss became NaN",
            "task": schema.task_names[-1],
            "step": 812,
            "epoch": 4,
        }
        made.epochs = made.epochs[:3]
        return made
    _select(made, schema)
    if names[0] in ("mmoe", "ple"):
        made.gates = _gates(schema, names[0], seed)
    return made


def records(datasets: tuple[str, ...] = ("videos", "shop"), seeds: int = 5, **options: Any) -> list[Record]:
    """Every method on every data set with so many seeds, all finished."""
    return [record(d, m, s, **options) for d in datasets for m in METHODS for s in range(seeds)]


def many(datasets: int = 8, methods: int = 20, seeds: int = 3, **options: Any) -> list[Record]:
    """So many data sets and methods, `single_task/equal` among them; a method's gain differs between data sets."""
    weightings = ("equal", "uncertainty", "pcgrad", "dwa")
    names = ["single_task/equal", *(f"net_{n // 4}/{weightings[n % 4]}" for n in range(methods - 1))]
    return [
        record(
            ("videos", "shop")[d % 2], method, seed, called=f"data_set_{d}", num_epochs=2,
            gain=0.0 if not m else 0.002 * (m - 10) + Random(f"{d} {method}").gauss(0, 0.01), **options,
        )
        for d in range(datasets) for m, method in enumerate(names) for seed in range(seeds)
    ]  # fmt: skip


def study() -> list[Record]:
    """Two data sets, five methods, five seeds, with a diverged, a failed and a missing run and an undefined metric."""
    made = records()
    at = {(r.dataset["name"], r.method, r.seed): number for number, r in enumerate(made)}
    made[at["videos", "ple/pcgrad", 3]] = record("videos", "ple/pcgrad", 3, status="diverged")
    made[at["shop", "mmoe/uncertainty", 1]] = record("shop", "mmoe/uncertainty", 1, status="failed")
    undefine(made[at["videos", "mmoe/uncertainty", 2]], "like", "gauc", "no user has both classes")
    del made[at["shop", "shared_bottom/equal", 4]]
    return made


SPACE = {"trainer.learning_rate": "tag(log, interval(1e-4, 1e-2))", "architecture.num_experts": "choice(4, 8)"}


def searched(
    dataset: str = "videos",
    method: str = "mmoe/equal",
    *,
    trials: int = 4,
    seeds: int = 3,
    diverged: int = 1,
    search_seed: int = 0,
    sampler: str = "halton",
    space: dict[str, str] = SPACE,
    best: int | None = None,
) -> list[Record]:
    """The trials of a search, the last ones diverged, and the tuned runs of the best.

    Args:
        dataset: videos or shop.
        method: `architecture/weighting`.
        trials: How many.
        seeds: Of the tuned runs, from 0; of a search with a seed above 0, that seed alone.
        diverged: How many of the trials.
        search_seed: Which search it is; others try other values.
        sampler: Of its trials.
        space: What they are tried over.
        best: Number of the trial that does best; by default the last that finished.
    """
    found = []
    study = digest([dataset, method, sampler, space])[:12]
    for number in range(trials):
        rate = round(1e-3 * (number + 1) * (1 + search_seed), 6)
        parameters = {"trainer.learning_rate": rate, "architecture.num_experts": 4 + 4 * (number % 2)}
        run = record(
            dataset, method, 10_000 * (1 + search_seed) + number, purpose="trial", search_seed=search_seed,
            gain=0.5 if number == best else 0.01 * number,
            status="diverged" if number >= trials - diverged else "finished",
            trainer={"learning_rate": rate}, architecture={"num_experts": parameters["architecture.num_experts"]},
        )  # fmt: skip
        for key in ("test_rows", "constant", "best_reachable"):
            run.dataset.pop(key)
        run.metrics.pop("test", None)
        run.metrics_per_task.pop("test", None)
        run.config["tuning"] = {
            "study": study, "trial": number, "sampler": sampler, "space": space, "parameters": parameters,
        }  # fmt: skip
        found.append(run)
    chosen = max(found, key=lambda trial: (-math.inf if trial.criterion is None else trial.criterion, -trial.seed))
    values = chosen.config["tuning"]["parameters"]
    rates = [trial.config["tuning"]["parameters"]["trainer.learning_rate"] for trial in found]
    place = rates.index(values["trainer.learning_rate"])
    ends = {} if trials == 1 else {0: "lowest", trials - 1: "highest"}
    tuning = {
        **chosen.config["tuning"], "trials": trials, "criterion": chosen.criterion,
        "ends": {"trainer.learning_rate": ends[place]} if place in ends else {},
        "ids": [trial.id for trial in found],
    }  # fmt: skip
    for seed in [search_seed] if search_seed else range(seeds):
        run = record(
            dataset, method, seed, purpose="tuned", gain=0.04, search_seed=search_seed,
            trainer={"learning_rate": values["trainer.learning_rate"]},
            architecture={"num_experts": values["architecture.num_experts"]},
        )  # fmt: skip
        run.config["tuning"] = tuning
        found.append(run)
    return found


def searches(dataset: str = "videos", method: str = "mmoe/equal", *, seeds: int = 3, **options: Any) -> list[Record]:
    """A search for each seed, and one run of what it chose."""
    return [r for seed in range(seeds) for r in searched(dataset, method, seeds=1, search_seed=seed, **options)]


def trees(dataset: str = "videos", seeds: int = 3, trials: int = 2, shift: float = 0.0) -> list[ReferenceRecord]:
    """Boosted trees on the rows of a data set: trials and tuned records."""
    found = []
    for number in range(trials + seeds):
        trial = number < trials
        seed = 10_000 + number if trial else number - trials
        like = record(dataset, "single_task/equal", seed)
        for row in like.metrics["test"].values():
            if "auc" in row:
                row["auc"] += shift
        found.append(
            ReferenceRecord(
                name="gbdt", label="boosted trees (gbdt), one model per task", purpose="trial" if trial else "tuned", seed=seed,
                config={"dataset": like.config["dataset"], "settings": {}}, dataset=like.dataset,
                metrics={"validation": like.metrics["validation"], **({} if trial else {"test": like.metrics["test"]})},
                cost={"train_seconds": 2.0, "threads": 1},
                models={task: {"trial": 1, "parameters": {"num_leaves": 31, "lambda_l2": 0.5}} for task in like.metrics["test"]},
                tuning={} if trial else {"trials": trials},
                environment={"command": f"mtlbench reference dataset={dataset} trials={trials} seeds={seeds}"},
            )
        )  # fmt: skip
    return found


def traded(places: dict[str, tuple[float, float]], seeds: int = 5, spread: float = 1.0) -> list[Record]:
    """Runs on videos, with click and play_time alone, whose means on test are given; every method has the same spread.

    Args:
        places: {method, or `architecture/fixed(weight)`: its means, of play_time's MSE and of click's AUC}. The weight is
            that of play_time.
        seeds: How many; an odd number, so that their mean is exact.
        spread: Of the seeds, in steps of .001 of AUC and .01 of MSE.
    """
    made = []
    for name, (mse, auc) in places.items():
        method, _, weight = name.partition("(")
        weights = {"play_time": float(weight.removesuffix(")"))} if weight else None
        for seed in range(seeds):
            run = record("videos", method, seed, weights=weights, num_epochs=2)
            away = spread * (seed - (seeds - 1) / 2)
            for selected in (run.metrics, run.metrics_per_task):
                selected["test"]["click"]["auc"] = auc + 0.001 * away
                selected["test"]["play_time"]["mse"] = mse + 0.01 * away
            run.dataset["schema"]["tasks"] = [t for t in run.dataset["schema"]["tasks"] if t["name"] != "like"]
            made.append(run)
    return made


def log_conflicts(run: Record) -> Record:
    """The record with the conflicts of its gradients: one pair is ever more opposed, the others are not."""
    names = [task["name"] for task in run.dataset["schema"]["tasks"]]
    pairs = [f"{one}|{other}" for n, one in enumerate(names) for other in names[n + 1 :]]
    for number, entry in enumerate(run.epochs, start=1):
        cosine = {pair: 0.1 * (place + 1) - (0.02 * number if not place else 0.0) for place, pair in enumerate(pairs)}
        entry["conflicts"] = {"cosine": cosine, "share": 0.25 + 0.01 * number}
    return run


def undefine(run: Record, task: str, metric: str, reason: str) -> None:
    """Makes a metric of a record undefined, as one-class rows do."""
    for selected in (run.metrics, run.metrics_per_task):
        for split in selected.values():
            split[task][metric] = None
    run.undefined |= {f"{split}.{task}.{metric}": reason for split in ("validation", "test")}


def _dataset(name: str, schema: Schema, options: dict[str, Any]) -> dict[str, Any]:
    best = {
        "click": {"auc": 0.748},
        "purchase": {"auc": 0.812, "auc[purchase|click]": 0.69},
        "duration": {"mse": 240.0},
    }
    return {
        "name": name,
        "fingerprint": digest([name, options])[:16],
        "test_rows": digest([name, "test"])[:16],
        "splits": {"train": 80_000, "validation": 10_000, "test": 10_000},
        "fields": [field.name for field in (*schema.categorical, *schema.numeric)],
        "tasks": list(schema.task_names),
        "schema": schema.to_json(),
        "facts": {"protocol": "by date", "rows_read": 100_412, "duplicates_dropped": 412},
        "best_reachable": best if name == "shop" else None,
        "constant": {task.name: _row(task, LEVELS[task.name][0], constant=True) for task in schema.tasks},
    }


def _row(task: Task, headline: float, *, constant: bool = False) -> dict[str, float | None]:
    level, best, _ = LEVELS[task.name]
    share = (headline - level) / (best - level)
    if task.kind == REGRESSION:
        row: dict[str, float | None] = {
            "mse": headline,
            "rmse": math.sqrt(headline),
            "mae": 0.8 * math.sqrt(headline),
            "r2": 1 - headline / level,
        }
        if task.transform is Transform.LOG1P:
            row["mae[seconds]"] = 11.0 - 3 * share
        return row
    row = {
        "auc": headline, "gauc": 0.5 + 0.7 * (headline - 0.5), "gauc_users": 804.0, "gauc_rows": 0.9132,
        "log_loss": 0.4 - 0.08 * share, "calibration": 1.0 if constant else 1.03 - 0.02 * share, "positive_rate": 0.21,
    }  # fmt: skip
    if task.given is not None:
        pair = f"[{task.name}|{task.given}]"
        row |= {f"auc{pair}": 0.5 + 0.6 * (headline - 0.5), f"rows{pair}": 2_104.0, f"incoherent{pair}": 0.004}
    return row


def _train(run: Record, schema: Schema, quality: float, num_epochs: int) -> None:
    changing = run.config["weighting"]["name"] in CHANGING
    for epoch in range(1, num_epochs + 1 + run.seed % 3):
        validation = {task.name: _row(task, _headline(run, task, quality, epoch)) for task in schema.tasks}
        run.epochs.append({
            "epoch": epoch,
            "seconds": 1.6,
            "learning_rate": 1e-3,
            "train_losses": {task.name: 0.3 + 0.4 / epoch for task in schema.tasks},
            "auxiliary": {},
            "validation": validation,
            "criterion": sum(r.get("r2") or 2 * (r.get("auc") or 0.5) - 1 for r in validation.values()) / 3,
            "effective_weights": {
                task.name: 1.0 + (0.12 * number * math.log(epoch + run.seed % 2) if changing else 0.0)
                for number, task in enumerate(schema.tasks)
            },
        })  # fmt: skip


def _headline(run: Record, task: Task, quality: float, epoch: int) -> float:
    constant, best, spread = LEVELS[task.name]
    peak = 11 if task.name == "like" else 6
    share = 0.96 + quality - 0.5 * math.exp(-1.1 * epoch * 6 / peak) - 0.002 * max(0, epoch - peak)
    # a part of the luck belongs to the seed, so that paired differences are narrower than means
    luck = Random(f"{run.seed} {task.name}").gauss(0, 1) + 0.4 * Random(f"{run.id} {task.name}").gauss(0, 1)
    return constant + share * (best - constant) + spread * luck + 0.1 * spread * Random(f"{run.id} {epoch}").gauss(0, 1)


def _select(run: Record, schema: Schema) -> None:
    def last(score: Any) -> int:
        return int(max(run.epochs, key=score)["epoch"])

    run.best_epoch = last(lambda epoch: epoch["criterion"])
    for task in schema.tasks:
        metric, sign = ("auc", 1) if task.kind == BINARY else ("mse", -1)
        run.best_epoch_per_task[task.name] = last(lambda e, t=task.name, m=metric, s=sign: s * e["validation"][t][m])
    validations = {entry["epoch"]: entry["validation"] for entry in run.epochs}
    for split in ("validation", "test"):
        run.metrics[split] = {t.name: dict(validations[run.best_epoch][t.name]) for t in schema.tasks}
        run.metrics_per_task[split] = {
            name: dict(validations[epoch][name]) for name, epoch in run.best_epoch_per_task.items()
        }


def _gates(schema: Schema, architecture: str, seed: int) -> dict[str, dict[str, float]]:
    gates = {}
    for task in schema.task_names:
        own = [f"{task}.0", f"{task}.1"] if architecture == "ple" else []
        experts = [f"expert.{number}" for number in range(4)] + own
        raw = [Random(f"{seed} {task} {expert}").random() ** 2 + 0.05 for expert in experts]
        gates[task] = {expert: weight / sum(raw) for expert, weight in zip(experts, raw, strict=True)}
    return gates
