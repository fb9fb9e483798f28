"""A wandb server that does not answer: seconds once a sweep, one line, and offline runs."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wandb

from benchmark.runs.progress import sweep_progress
from benchmark.runs.sweep import Sweep
from benchmark.trackers import wandb as ours
from benchmark.trackers.wandb import no_answer
from tests.benchmark.trackers.test_wandb import WHAT, entry, guarded, record, trackers, written
from tests.command import mtlbench


class Server:
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self.listening.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        for open_ in (self.listening, *self.connections):
            open_.close()


class Slow(BaseHTTPRequestHandler):
    """Answers that it is there, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        threading.Event().wait(60)

    def log_message(self, *_: object) -> None:  # type: ignore[override]
        pass


@pytest.fixture
def hanging() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(ours, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(ours, "CALL_SECONDS", 2.0)
    wandb.teardown()  # it reads the variables when it starts
    yield
    wandb.teardown()


def test_a_sweep_waits_once_says_it_once_and_keeps_everything(
    hanging: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreed: list[str | None] = []  # for the report, which takes seconds
    monkeypatch.setattr(Sweep, "_report", lambda self: agreed.append(os.environ.get(ours.AGREED)))
    monkeypatch.setenv("WANDB_BASE_URL", hanging.url)
    done = mtlbench(
        "run", "dataset=shop", "dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=2000", "seed=0,1",
        "architecture=shared_bottom", "trainer.max_epochs=1", "threads=1", f"results_dir={tmp_path / 'runs'}",
        "tracker=wandb", "tracker.mode=online", f"tracker.folder={tmp_path / 'tracked'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 finished" in done.stderr
    (told,) = [line for line in done.stderr.splitlines() if "wandb" in line]
    assert told == (
        f"mtlbench: wandb at {hanging.url} does not answer (nothing within 0.5 s), so runs stay offline from here on; "
        f"upload them later: wandb sync {tmp_path / 'tracked' / 'wandb' / 'offline-run-*'}"
    )
    assert len(list((tmp_path / "tracked" / "wandb").glob("offline-run-*"))) == 2
    assert agreed == ["offline"]
    assert ours.AGREED not in os.environ


def test_a_server_that_stops_answering_costs_a_sweep_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv(ours.SWEEP, str(tmp_path / "sweep.json"))
    monkeypatch.setenv(ours.AGREED, "online")
    for _ in range(2):
        with guarded(trackers.build(trackers.config("wandb", mode="online", folder=str(tmp_path)))) as tracker:
            tracker.start(**WHAT)
            tracker.epoch(entry(1))
            tracker.finish(record())
    server.shutdown()
    server.server_close()
    folders = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert [run.summary["status"] for folder in folders for run in written(folder)] == ["finished"] * 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mtlbench")]
    assert len(told) == 1 and told[0].startswith("mtlbench: wandb failed (Timed out initializing run: "), told
    assert f"wandb sync {tmp_path / 'wandb' / '*run-*'}" in told[0]


def test_all_processes_of_a_sweep_know_of_a_lost_server_and_one_says_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = trackers.build(trackers.config("wandb", mode="online", folder=str(tmp_path)))
    assert isinstance(one, ours.WandbTracker)
    monkeypatch.setenv(ours.AGREED, "online")
    for _ in range(2):  # the next sweep asks again
        with sweep_progress():
            for process in range(3):
                monkeypatch.setattr(ours, "_lost", set())  # each has its own
                assert one._mode() == ("offline" if process else "online")
                one._lose("no answer")
            files = Path(os.environ[ours.SWEEP])
            assert len(list(files.parent.glob(f"{files.name}*"))) == 2
        assert not list(files.parent.glob(f"{files.name}*"))
        assert capsys.readouterr().err.count("mtlbench: wandb failed (no answer)") == 1
    assert one._mode() == "online"


def test_why_a_server_does_not_answer(hanging: Server) -> None:
    assert no_answer(hanging.url) == "nothing within 0.5 s"
    port = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{port.getsockname()[1]}"
    port.close()
    assert no_answer(url) == "no connection"
