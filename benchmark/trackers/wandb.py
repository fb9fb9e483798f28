"""Weights & Biases: shows runs, curves and reports in wandb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.records.record import Record
from benchmark.trackers import Tracker, register

if TYPE_CHECKING:
    import wandb

    from benchmark.reporting import Report


CURVES = {"train_loss": "train_losses", "weight": "effective_weights", "auxiliary": "auxiliary"}  # of `Record.epochs`


@register("wandb")
class WandbTracker(Tracker):
    """Weights & Biases: one wandb run per run, grouped by method.

    Curves by epoch: `validation/<task>/<metric>`, `train_loss/<task>`, `weight/<task>` (effective task weights),
    `auxiliary/<name>`, `criterion`, `learning_rate`. Summary: `test/<task>/<metric>`, status, best epoch, parameters,
    seconds. A sweep of several runs ends with its report, which is also a wandb run. Offline runs stay in
    `<folder>/wandb` until `wandb sync` uploads them.

    Args:
        project: The wandb project.
        entity: The wandb user or team; null: your default.
        mode: offline writes files and needs no account; online uploads while it runs, and needs `wandb login` once.
        folder: Where wandb keeps its files.
    """

    def __init__(
        self,
        *,
        project: str = "mtlbench",
        entity: str | None = None,
        mode: Literal["offline", "online"] = "offline",
        folder: str = "results",
    ) -> None:
        self.project, self.entity, self.mode, self.folder = project, entity, mode, folder
        self.run: wandb.Run | None = None

    def start(self, *, id: str, method: str, config: dict[str, Any], dataset: str, seed: int) -> None:
        """See `Tracker.start`."""
        import wandb  # imported only here: it takes half a second

        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)  # wandb silently uses a temporary folder if this one is missing
        self.run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            dir=folder,
            name=f"{dataset} {method} seed {seed}",
            group=method,
            job_type=config.get("purpose", "default"),
            tags=[dataset, *method.split("/")],
            config={"id": id, **config},
            reinit="create_new",  # a sweep has many runs in one process, and each is a separate wandb run
            settings=wandb.Settings(silent=True, console="off"),
        )
        self.run.define_metric("epoch")
        self.run.define_metric("*", step_metric="epoch")

    def epoch(self, entry: dict[str, Any]) -> None:
        """See `Tracker.epoch`."""
        values = {key: entry.get(key) for key in ("epoch", "criterion", "learning_rate")}
        for prefix, key in CURVES.items():
            values |= {f"{prefix}/{name}": value for name, value in entry.get(key, {}).items()}
        values |= flat("validation", entry.get("validation", {}))
        self._started().log({key: value for key, value in values.items() if value is not None})

    def finish(self, record: Record) -> None:
        """See `Tracker.finish`."""
        run = self._started()
        summary: dict[str, Any] = {"status": record.status, "best_epoch": record.best_epoch}
        summary |= flat("test", record.metrics.get("test", {}))
        summary |= {key: record.cost.get(key) for key in ("parameters", "train_seconds")}
        if record.error is not None:
            summary["error"] = record.error.get("message")
        run.summary.update({key: value for key, value in summary.items() if value is not None})
        run.finish(exit_code=0 if record.status == "finished" else 1)
        self.run = None

    def report(self, make: Callable[[], Report]) -> str:
        """See `Tracker.report`; `track_report` describes the contents."""
        made = make()
        place = track_report(made, project=self.project, entity=self.entity, mode=self.mode, folder=self.folder)
        return str(place)

    def close(self) -> None:
        """See `Tracker.close`."""
        if self.run is not None:
            self.run.summary["status"] = "failed"
            self.run.finish(exit_code=1)
            self.run = None

    def _started(self) -> wandb.Run:
        if self.run is None:
            raise RuntimeError("the wandb run has not started")
        return self.run


def track_report(
    report: Report,
    *,
    project: str = "mtlbench",
    entity: str | None = None,
    mode: Literal["offline", "online"] = "offline",
    folder: str = "results",
) -> Path:
    """Puts a report into its own wandb run, with the job type `report`.

    The summary of the run has the answer. `report` is the page with its figures, `summary` the means, differences and
    verdicts, and `tables/...` each table of the report. The artifact `report` has all of them as files: HTML, Markdown,
    LaTeX, CSV, and every value as Parquet.

    Args:
        report: The result of `benchmark.report`.
        project: As for `WandbTracker`; so are the other arguments.
        entity: The wandb user or team.
        mode: offline or online.
        folder: Where wandb keeps its files.

    Returns:
        The folder of wandb's files; offline, the argument of `wandb sync`.
    """
    import wandb

    files = Path(folder).resolve()  # wandb's own process may have another current folder
    files.mkdir(parents=True, exist_ok=True)
    names = [group.name for group in report.study.groups]
    run = wandb.init(
        project=project,
        entity=entity,
        mode=mode,
        dir=files,
        name=f"report of {', '.join(names)}",
        job_type="report",
        tags=[name[:64] for name in names],  # wandb refuses longer names
        config={"selection": report.selection, "purpose": report.study.purpose, "methods": report.study.methods},
        reinit="create_new",
        settings=wandb.Settings(silent=True, console="off"),
    )
    run.summary["answer"] = report.answer
    page = report.html()
    latex = report.latex()
    tables = {  # named like their files, with letters only, because wandb turns keys into paths
        f"tables/{name}": wandb.Table(
            columns=[column.title for column in table.columns],
            data=[[cell.text for cell in row.cells] for row in table.rows],
        )
        for name, _, table in report.document.tables()
    }
    columns: list[str | int] = [*report.summary.columns]
    summary = wandb.Table(columns=columns, data=[list(row) for row in report.summary.iter_rows()])
    run.log({"report": wandb.Html(page, inject=False), "summary": summary, **tables})
    artifact = wandb.Artifact("report", type="report")
    texts = {"report.html": page, "report.md": report.markdown(), "report.csv": report.csv()}
    texts |= {f"latex/{name}": text for name, text in latex.items()}
    for name, text in texts.items():
        with artifact.new_file(name, encoding="utf-8") as file:
            file.write(text)
    with artifact.new_file("report.parquet", mode="wb") as file:
        report.table.write_parquet(file)
    run.log_artifact(artifact)
    place = Path(run.dir).parent
    run.finish()
    return place


def flat(prefix: str, metrics: dict[str, dict[str, float | None]]) -> dict[str, float | None]:
    """Metrics as `{"prefix/task/metric": value}`.

    >>> flat("test", {"click": {"auc": 0.7, "gauc": None}})
    {'test/click/auc': 0.7, 'test/click/gauc': None}
    """
    return {f"{prefix}/{task}/{name}": value for task, values in metrics.items() for name, value in values.items()}
