"""Weights & Biases: shows runs, curves and reports in wandb."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from benchmark.console import echo
from benchmark.records.record import Record
from benchmark.temporaries import SWEEP
from benchmark.trackers import Tracker, register

if TYPE_CHECKING:
    import wandb

    from benchmark.reporting import Report


Mode: TypeAlias = Literal["offline", "online"]
AGREED = "MTLBENCH_WANDB"
"""The mode of all runs of a sweep, in the environment."""
ANSWER_SECONDS, CALL_SECONDS = 4.0, 10.0
"""How long a server may take to answer at all, and then for the beginning or the end of a run: together at most 15 s."""
_lost: set[str] = set()  # the sweeps whose server stopped answering in this process
CURVES = {"train_loss": "train_losses", "weight": "effective_weights", "auxiliary": "auxiliary"}  # of `Record.epochs`


@register("wandb")
class WandbTracker(Tracker):
    """Weights & Biases: one wandb run per run, grouped by method.

    Curves by epoch: `validation/<task>/<metric>`, `train_loss/<task>`, `weight/<task>` (effective task weights),
    `auxiliary/<name>`, `criterion`, `learning_rate`. Summary: `test/<task>/<metric>`, status, best epoch, parameters,
    seconds. A sweep of several runs ends with its report, which is also a wandb run. Offline runs stay in
    `<folder>/wandb` until `wandb sync` uploads them. If a server does not answer, the runs of the sweep stay offline.

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
        mode: Mode = "offline",
        folder: str = "results",
    ) -> None:
        self.project, self.entity, self.mode, self.folder = project, entity, mode, folder
        self.run: wandb.Run | None = None
        _report_no_errors()

    def prepare(self) -> Mapping[str, str]:
        """See `Tracker.prepare`."""
        return {AGREED: self._mode_now()}

    def start(self, *, id: str, method: str, config: dict[str, Any], dataset: str, seed: int) -> None:
        """See `Tracker.start`."""
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)  # wandb silently uses a temporary folder if this one is missing
        what = {
            "project": self.project,
            "entity": self.entity,
            "dir": folder,
            "name": f"{dataset} {method} seed {seed}",
            "group": method,
            "job_type": config.get("purpose", "default"),
            "tags": [dataset, *method.split("/")],
            "config": {"id": id, **config},
        }
        self.run = self._begun(**what)
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
        self._end(exit_code=0 if record.status == "finished" else 1)

    def report(self, make: Callable[[], Report]) -> str:
        """See `Tracker.report`; `track_report` describes the contents."""
        made = make()
        place = track_report(made, project=self.project, entity=self.entity, mode=self._mode(), folder=self.folder)
        return str(place)

    def close(self) -> None:
        """See `Tracker.close`."""
        if self.run is not None:
            self.run.summary["status"] = "failed"
            self._end(exit_code=1)

    def _mode(self) -> Mode:
        """The mode of this run: what the sweep agreed on, unless the server was lost since."""
        if self.mode == "online" and not _is_lost():
            return "online" if (os.environ.get(AGREED) or self._mode_now()) == "online" else "offline"
        return "offline"

    def _mode_now(self) -> Mode:
        """Asks the server; a line says so if it does not answer."""
        if self.mode == "online":
            import wandb

            url = wandb.setup().settings.base_url
            reason = no_answer(url)
            if reason is None:
                return "online"
            self._tell_offline(f"wandb at {url} does not answer ({reason})", "offline-run-*")
        return "offline"

    def _begun(self, **what: Any) -> wandb.Run:
        import wandb

        mode = self._mode()
        try:
            return _init(mode=mode, **what)
        except (wandb.errors.CommError, TimeoutError) as error:
            if mode == "offline":
                raise
            self._lose(str(error).strip().partition("\n")[0])
            return _init(mode="offline", **what)

    def _end(self, exit_code: int) -> None:
        run, self.run = self._started(), None
        try:
            run.finish(exit_code=exit_code)
        except TimeoutError:
            self._lose(f"the upload took more than {CALL_SECONDS:g} s")

    def _lose(self, reason: str) -> None:
        if _is_first_to_lose():
            self._tell_offline(f"wandb failed ({reason})", "*run-*")  # of other processes, an upload may fail

    def _tell_offline(self, what: str, files: str) -> None:
        later = f"wandb sync {Path(self.folder, 'wandb', files)}"
        echo(f"mtlbench: {what}, so runs stay offline from here on; upload them later: {later}", file=sys.stderr)

    def _started(self) -> wandb.Run:
        if self.run is None:
            raise RuntimeError("the wandb run has not started")
        return self.run


def _is_lost() -> bool:
    """Whether a process of this sweep found that the server stopped answering, and left a file beside the sweep's."""
    sweep = os.environ.get(SWEEP)
    return sweep is not None and (sweep in _lost or _mark(sweep).exists())


def _is_first_to_lose() -> bool:
    """Whether no run of this sweep found so before. From now on, all of them know. Outside a sweep, a run is alone."""
    sweep = os.environ.get(SWEEP)
    if sweep is None:
        return True
    is_first = sweep not in _lost
    _lost.add(sweep)
    if Path(sweep).is_file():  # else the sweep is on another machine
        try:
            _mark(sweep).touch(exist_ok=False)
        except FileExistsError:
            return False
        except OSError:  # a full disk: then each process finds out
            pass
    return is_first


def _mark(sweep: str) -> Path:
    """The sweep removes it with its own file."""
    return Path(f"{sweep}.offline")


def _report_no_errors() -> None:
    """Wandb's reports of its own errors, of offline runs too, would hold a process up at its end for up to 30 s."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


def _init(**what: Any) -> wandb.Run:
    """`wandb.init` that asks nobody and does not wait for long."""
    import wandb  # imported only here: it takes half a second

    return wandb.init(
        reinit="create_new",  # a sweep has many runs in one process, and each is a separate wandb run
        settings=wandb.Settings(
            silent=True,
            console="off",
            login_timeout=CALL_SECONDS,
            init_timeout=CALL_SECONDS,
            finish_timeout=CALL_SECONDS,
            finish_timeout_raises=True,
        ),
        **what,
    )


def no_answer(url: str) -> str | None:
    """Why the server at `url` does not answer; None if it does, whatever it says."""
    import requests

    found: list[str | None] = [f"nothing within {ANSWER_SECONDS:g} s"]

    def ask() -> None:
        try:
            requests.get(f"{url}/graphql", timeout=ANSWER_SECONDS, allow_redirects=False, stream=True).close()
            found[0] = None
        except requests.exceptions.SSLError:  # wandb may have other certificates
            found[0] = None
        except requests.exceptions.ConnectionError:
            found[0] = "no connection"
        except requests.RequestException:
            pass

    asking = Thread(target=ask, daemon=True)  # its own limit does not hold for the search of the server's address
    asking.start()
    asking.join(ANSWER_SECONDS)
    return found[0]


def track_report(
    report: Report,
    *,
    project: str = "mtlbench",
    entity: str | None = None,
    mode: Mode = "offline",
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
    _report_no_errors()
    import wandb

    files = Path(folder).resolve()  # wandb's own process may have another current folder
    files.mkdir(parents=True, exist_ok=True)
    names = [group.name for group in report.study.groups]
    run = _init(
        project=project,
        entity=entity,
        mode=mode,
        dir=files,
        name=f"report of {', '.join(names)}",
        job_type="report",
        tags=[name[:64] for name in names],  # wandb refuses longer names
        config={"selection": report.selection, "purpose": report.study.purpose, "methods": report.study.methods},
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
