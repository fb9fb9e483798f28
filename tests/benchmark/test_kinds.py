"""The table of kinds; and a kind of task that comes from outside, in one file, goes all the way: `classes.py`."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.core.config_store import ConfigStore

from benchmark import RunConfig, TrainerConfig, compare, kinds, load, metrics, power, recommend, report, run
from benchmark.analysis.fronts import fronts
from benchmark.datasets.table import TRAIN, check_labels
from benchmark.kinds import BINARY, KINDS, REGRESSION
from benchmark.metrics import METRICS, Metric
from benchmark.records.record import Record, load_records
from benchmark.reference.lines import make_references
from benchmark.rows import Batch, Features
from benchmark.runs.progress import line_of
from benchmark.schema import CategoricalField, Schema, Task
from benchmark.seeding import initialise, seeded
from benchmark.settings.registry import REGISTRIES, architectures, configure, datasets
from benchmark.statistics import Margin
from benchmark.trained.checkpoint import data_of
from benchmark.training.prediction import in_unit
from benchmark.training.targets import TaskLosses

ROOT = Path(__file__).parents[2]
OUTSIDE = "tests.benchmark.classes"
HARNESS = [path for package in ("architectures", "benchmark") for path in (ROOT / package).rglob("*.py")]


@pytest.fixture(scope="module", autouse=True)
def classes() -> Iterator[ModuleType]:
    """The file from outside, imported as an entry point is, and taken out of all tables at the end."""
    yield importlib.import_module(OUTSIDE)
    del sys.modules[OUTSIDE], KINDS["classes"], METRICS["accuracy"], METRICS["cross_entropy"]
    del datasets._classes["palette"], ConfigStore.instance().repo["dataset"]["palette.yaml"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """Two architectures on three seeds, with their weights."""
    folder = tmp_path_factory.mktemp("results")
    trainer = TrainerConfig(max_epochs=4, batch_size=128, learning_rate=1e-2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLBENCH_CACHE", str(shared_cache))  # as for a test
        for architecture in ("mmoe", "single_task"):
            for seed in range(3):
                config: Any = {"dataset": "palette", "architecture": architecture, "trainer": trainer, "seed": seed}
                run(RunConfig(**config, threads=1, results_dir=str(folder), save_checkpoint=True))
    return folder


@pytest.fixture(scope="module")
def record(results: Path) -> Record:
    return next(r for r in load_records(results) if (r.method, r.seed) == ("mmoe/equal", 0))


def colour(num_outputs: int = 3, name: str = "colour") -> Task:
    return Task(name, "classes", num_outputs=num_outputs)


# the table ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [BINARY, REGRESSION, "classes"])
def test_a_kind_is_whole(name: str) -> None:
    kind = kinds.get(name)
    task = Task("t", name, num_outputs=max(kind.fewest_outputs, 1))
    assert metrics.headline(task).direction in (-1, 1) and kind.headline in metrics.metric_names(task)
    assert kind.criterion in metrics.metric_names(task) and METRICS[kind.criterion].best is not None
    assert Margin.parse(kind.margin).size > 0
    label_B = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])
    output = torch.randn(5, *task.output_shape)
    rows_B = kind.loss(output, label_B, reduction="none")
    assert rows_B.shape == (5,)
    torch.testing.assert_close(kind.loss(output, label_B, reduction="mean"), rows_B.mean())
    constant = np.asarray(kind.constant(task, label_B.double().numpy()))
    assert constant.shape == task.output_shape
    output_R = np.broadcast_to(constant, (5, *task.output_shape))
    assert kind.shown(task, output_R).shape == (5,)
    assert np.isnan(kind.constant(task, np.empty(0))).all()


def test_the_headline_metrics_and_their_margins_are_as_published() -> None:
    assert {name: (kind.headline, Margin.parse(kind.margin)) for name, kind in KINDS.items()} == {
        "binary": ("auc", Margin(0.001)),
        "regression": ("mse", Margin(0.01, relative=True)),
        "classes": ("accuracy", Margin(0.005)),
    }


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"task 'click': unknown kind 'binry'; did you mean binary\? known: binary, "):
        Task("click", "binry")


@pytest.mark.parametrize(
    ("kind", "num_outputs", "expected"),
    [
        ("classes", 1, "at least 2"),
        (BINARY, 0, "1"),
        (BINARY, 3, "1"),
        (REGRESSION, 4, "1"),
        ("few", 1, "from 2 to 3"),
        ("few", 4, "from 2 to 3"),
    ],
)
def test_a_number_of_outputs_that_the_kind_does_not_have_is_refused(
    classes: ModuleType, monkeypatch: pytest.MonkeyPatch, kind: str, num_outputs: int, expected: str
) -> None:
    few = type("Few", (classes.Classes,), {"name": "few", "most_outputs": 3})
    monkeypatch.setitem(KINDS, "few", few())
    said = f"task 't': num_outputs of a task of kind {kind} must be {expected}, found {num_outputs}$"
    with pytest.raises(ValueError, match=said):
        Task("t", kind, num_outputs=num_outputs)


def test_names_are_taken_once(classes: ModuleType) -> None:
    class Other(classes.Classes):
        """Another kind of the same name."""

    class Another(classes.Classes):
        """Another name, and another margin of the same metric."""

        name, margin = "more_classes", "0.1"

    with pytest.raises(ValueError, match="kind 'classes' is registered twice: Classes, Other"):
        kinds.register(Other())
    with pytest.raises(ValueError, match=r"the margin of accuracy is 0\.005 \(kind classes\), found 0\.1"):
        kinds.register(Another())
    with pytest.raises(ValueError, match=r"metric 'auc' is registered twice: benchmark\.metrics\.table and "):
        metrics.register(Metric("auc", None, 1, lambda rows: 0.0, ""))
    assert "more_classes" not in KINDS


@pytest.mark.parametrize(
    ("margin", "said"),
    [
        ("lots", "a margin is a number or a percentage, such as 0.001 or 1%, found 'lots'"),
        ("0", "a margin must be a finite number above 0, found 0.0"),
        ("-1%", "a margin must be a finite number above 0, found -0.01"),
    ],
)
def test_a_margin_that_is_none_is_refused_at_once(classes: ModuleType, margin: str, said: str) -> None:
    other = type("Other", (classes.Classes,), {"name": "other", "headline": "other", "margin": margin})
    with pytest.raises(ValueError, match=re.escape(f"kind 'other': {said}")):
        kinds.register(other())
    assert "other" not in KINDS


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"headline": "acuracy"}, "unknown headline metric 'acuracy'; did you mean accuracy? known: accuracy, auc, "),
        ({"criterion": "f1"}, "unknown criterion metric 'f1'; known: accuracy, auc, "),
        ({"headline": "auc"}, "headline metric 'auc' is for tasks of kind binary only; register the metric with 'other' "),
        ({"headline": "rows"}, "headline metric 'rows' must have direction +1 or -1, found 0; register it with one, or "),
        ({"criterion": "rows"}, "criterion metric 'rows' must have a `best` other than its `chance` (0 where it has none)"),
        ({"criterion": "entropy"}, "criterion metric 'entropy' must have a `best` other than its `chance` (0 where it "),
    ],
)  # fmt: skip
def test_a_kind_with_metrics_that_cannot_be_used_is_refused_before_training(
    classes: ModuleType, monkeypatch: pytest.MonkeyPatch, named: dict[str, str], said: str
) -> None:
    for metric in (
        Metric("score", ("other",), +1, lambda rows: 0.0, "", best=1.0),
        Metric("entropy", None, -1, lambda rows: 0.0, "", best=0.0),
    ):
        monkeypatch.setitem(METRICS, metric.name, metric)
    namespace = {"name": "other", "headline": "score", "criterion": "score", "margin": "1%"}
    monkeypatch.setitem(KINDS, "other", type("Good", (classes.Classes,), namespace)())
    task = Task("t", "other", num_outputs=2)
    metrics.check_monitor("mean", [task])
    monkeypatch.setitem(KINDS, "other", type("Bad", (classes.Classes,), namespace | named)())
    with pytest.raises(ValueError, match=re.escape(f"kind 'other': {said}")) as error:
        metrics.check_monitor("mean", [task])
    assert "register" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match=f"{re.escape(said)}"):
        metrics.headline_name(task) if "headline" in named else metrics.needed([task], "mean")


def test_what_a_schema_says_of_known_kinds_is_what_older_records_have() -> None:
    schema = Schema((CategoricalField("user", 3),), (), (Task("click", BINARY), colour()), user="user")
    plain, several = schema.to_json()["tasks"]
    assert list(plain.items()) == [
        ("name", "click"), ("kind", "binary"), ("given", None), ("unit", None), ("transform", "identity"),
    ]  # fmt: skip
    assert several["num_outputs"] == 3
    assert Schema.from_json(schema.to_json()) == schema


def test_nobody_else_knows_the_names_of_kinds_and_metrics_nor_of_what_is_registered() -> None:
    knowing = {ROOT / "benchmark/kinds.py", ROOT / "benchmark/metrics/table.py"}
    words = {
        "rows",
        "none",
        "random",
        "table",
    }  # of a metric, a tracker, a weighting and a data set; plain words elsewhere
    in_tables = {*METRICS, *KINDS} - words
    registered = {name for registry in REGISTRIES.values() for name in registry.names()} - words
    assert {"gauc_users", "r2", BINARY} <= in_tables and {"mmoe", "equal", "shop", "wandb"} <= registered
    for path in set(HARNESS) - knowing:
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        texts = {value for value in constants if isinstance(value, str)}
        # the scales of Aligned-MTL, of which one is a root mean square too
        assert not texts & in_tables - ({"rmse"} if path.stem == "aligned_mtl" else set()), path
        assert not [text for text in texts if text.startswith(tuple(f"{name}[" for name in METRICS))], path
        # contracts build what they test from one of each; torchjd's own names for its aggregators are often ours
        if path.parent.name != "contracts" and path.stem != "torchjd":
            own = {
                name for name in registered if name.startswith(path.stem.strip("_"))
            }  # snr.py has snr_trans and snr_aver
            assert not texts & registered - own, path


# the kind from outside ------------------------------------------------------------------------------------------------


def test_labels_that_are_no_class_are_refused() -> None:
    train = np.full(4, TRAIN)
    check_labels(np.array([[0.0], [2], [np.nan], [1]]), train, (colour(),))
    with pytest.raises(ValueError, match="task 'colour': a class is from 0 to 2, found 2 others, first 3"):
        check_labels(np.array([[0.0], [3], [np.nan], [0.5]]), train, (colour(),))


def test_the_loss_is_torchs_cross_entropy_over_the_rows_whose_label_is_known() -> None:
    logits_BK, labels_B = torch.randn(6, 3), torch.tensor([0.0, 2, 1, 0, 0, 2])
    known_B = torch.tensor([True, True, True, False, False, True])
    nothing = Features((), torch.zeros(6, 0).int(), torch.zeros(6, 0))
    batch = Batch(nothing, labels_B[:, None], known_B[:, None])
    for is_full, rows in ((True, slice(None)), (False, known_B)):
        (loss,), *_ = TaskLosses((colour(),), (is_full,))({"colour": logits_BK}, {}, batch)
        torch.testing.assert_close(loss, F.cross_entropy(logits_BK[rows], labels_B[rows].long()))


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside others"])
@pytest.mark.parametrize("name", architectures.names())
def test_every_architecture_that_takes_the_task_learns_it(name: str, alone: bool) -> None:
    others = () if alone else (Task("click", BINARY), Task("buy", BINARY, given="click"), colour(5, "size"))
    fields = (CategoricalField("user", 7), CategoricalField("item", 5))
    schema = Schema(fields, (), (colour(), *others), user="user", item="item")
    reason = architectures.get(name).requires(schema)  # type: ignore[attr-defined]
    if reason is not None:
        known = ("needs a chain", "needs a funnel", "needs binary tasks alone, and colour", "needs tasks of one")
        assert reason.startswith((*known, "needs at least two tasks"))
        return
    model = architectures.build(architectures.config(name), schema)
    initialise(model, 0)
    codes_B2 = torch.stack([torch.randint(7, (64,)), torch.randint(5, (64,))], dim=1).int()
    label_B = codes_B2[:, 0].long() % 3
    features = Features(fields, codes_B2, torch.zeros(64, 0))
    batch = Batch(features, torch.zeros(64, len(schema.tasks)), torch.ones(64, len(schema.tasks)) > 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        with seeded(0, "noise"):  # for models that draw some in training
            outputs, _ = model.training_step(batch)
        assert [output.shape for output in outputs.values()] == [(64, *task.output_shape) for task in schema.tasks]
        losses.append(F.cross_entropy(outputs["colour"], label_B))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_learns_it_and_its_record_says_so(record: Record) -> None:
    assert record.status == "finished"
    found, constant = record.metrics["test"]["colour"], record.dataset["constant"]["colour"]
    assert list(found) == ["accuracy", "cross_entropy"]
    assert found["accuracy"] > 0.6 > 0.5 > constant["accuracy"]  # type: ignore[operator]
    assert found["cross_entropy"] < constant["cross_entropy"]  # type: ignore[operator]
    validation = record.selected["validation"]
    expected = [validation["colour"]["accuracy"], 2 * validation["returned"]["auc"] - 1, validation["price"]["r2"]]
    assert record.selected["criterion"] == pytest.approx(np.mean(expected))
    assert f"colour accuracy {found['accuracy']:.4f}, returned AUC " in line_of(record)


def test_a_report_shows_it_beside_the_others(results: Path, tmp_path: Path) -> None:
    made = report(results, html=tmp_path / "page.html", latex=tmp_path / "tex", csv=tmp_path / "table.csv")
    text = str(made)
    assert "colour accuracy" in text and "returned AUC" in text and "price MSE" in text
    markdown = made.markdown()
    assert "3 classes; higher accuracy is better; test rows" in markdown and "cross entropy" in markdown
    assert (
        "100 (accuracy − B) / (B − C) for tasks of classes" in markdown.replace("\\", "")
        and "0.005 accuracy" in markdown
    )
    page = (tmp_path / "page.html").read_text()
    assert "colour: accuracy" in page and '"accuracy","mmoe/equal"' in page.replace(" ", "")
    (of,) = made.results
    assert [front.title for front in fronts(of)] == [
        "returned against colour", "colour against price", "returned against price",
    ]  # fmt: skip
    assert "One task against another" in page and "MSE falls to the right, so better is up and to the right" in page
    assert all(front.area() is not None for front in fronts(of))  # the best of accuracy is known


def test_the_gain_is_relative_to_what_the_baseline_is_better_than_the_constant(results: Path) -> None:
    (of,) = report(results).results
    records = load_records(results)
    mean, base = (
        np.mean([r.metrics["test"]["colour"]["accuracy"] for r in records if r.method == method])
        for method in ("mmoe/equal", "single_task/equal")
    )
    constant = records[0].dataset["constant"]["colour"]["accuracy"]
    assert of.gains["mmoe/equal"].parts["colour"].mean == pytest.approx(100 * (mean - base) / (base - constant))


def test_a_margin_decides_what_is_equivalent(results: Path) -> None:
    wide = compare("mmoe/equal", "single_task/equal", results, margins={"accuracy": Margin(0.5)})
    of_colour = next(c for c in wide.comparisons if c.task == "colour")
    assert (of_colour.metric, of_colour.margin, of_colour.verdict) == ("accuracy", 0.5, "equivalent")
    narrow = compare("mmoe/equal", "single_task/equal", results)
    assert next(c for c in narrow.comparisons if c.task == "colour").margin == 0.005
    needed = power(results, differences={"accuracy": Margin(0.1, relative=True)}).table
    (difference,) = needed.filter(needed["metric"] == "accuracy")["difference"]
    baseline = [r.metrics["test"]["colour"]["accuracy"] for r in load_records(results) if "single" in r.method]
    assert difference == pytest.approx(0.1 * np.mean(baseline))


def test_its_checkpoint_predicts_what_the_run_was_judged_by(record: Record) -> None:
    predictor, data = load(record), data_of(record)
    outputs = predictor.predict(data.test.features)
    assert outputs["colour"].shape == (len(data.test), 3)
    assert predictor.predict(data.test.features.cut(0, 0))["colour"].shape == (0, 3)
    shown, label = in_unit(predictor.schema.task("colour"), outputs["colour"]), data.test.labels[:, 0]
    known = ~np.isnan(label)
    assert np.mean(shown[known] == label[known]) == record.metrics["test"]["colour"]["accuracy"]


def test_recommendations_show_it_and_scores_take_it(record: Record) -> None:
    found = recommend(record, "3", k=5, score="colour + 0.001 * price", include_seen=True)
    assert {row["colour"] for row in found.rows} <= {0.0, 1.0, 2.0}
    assert [row["colour"] for row in found.rows] == sorted((row["colour"] for row in found.rows), reverse=True)


def test_what_cannot_be_made_for_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gbdt has no trees for task 'colour' of kind classes; use only=constant"):
        make_references("palette", results_dir=str(tmp_path))
    (constant,) = make_references("palette", only=("constant",), results_dir=str(tmp_path))
    assert 0.3 < constant.metrics["test"]["colour"]["accuracy"] < 0.5  # type: ignore[operator]
    with pytest.raises(
        ValueError, match="aitm does not suit dataset palette: needs binary tasks alone, and colour, price"
    ):
        run(RunConfig(dataset=configure("dataset", "palette"), architecture="aitm", results_dir=str(tmp_path)))  # type: ignore[arg-type]


def test_a_report_in_another_process_finds_the_kind_by_its_entry_point(results: Path, tmp_path: Path) -> None:
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    page = tmp_path / "page.md"
    words = ["report", str(results), "--margin", "accuracy=70%", "--markdown", str(page)]
    command = [sys.executable, "-m", "benchmark.cli", *words]

    def told() -> tuple[str, str]:
        environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout, done.stderr

    assert told()[1] == "mtlbench: --margin accuracy=70%: unknown headline metric 'accuracy'; known: auc, gain, mse\n"
    (info / "entry_points.txt").write_text(f"[mtlbench.kinds]\nclasses = {OUTSIDE}\n")
    out, err = told()
    assert err == "" and "colour" in out
    text = page.read_text()
    assert "colour accuracy" in text and "equivalent on colour within 0.53 accuracy" in text
