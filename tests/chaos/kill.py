"""SIGKILL at random moments of a sweep, each followed by the same command, until it ends."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.record import record_files
from tests.chaos.sweeps import SEARCH, TINY, Reference, clean, command, environment, last_line, saves_inside_runs
from tests.chaos.table import Row

SWEEP = [*TINY, "architecture=shared_bottom,mmoe", "weighting=equal,pcgrad", "seed=0,1", "save_predictions=true"]
TUNED = [*TINY, *SEARCH, "architecture=shared_bottom,mmoe", "seed=0,1"]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
KILLS = 5  # of one sweep
ENDS_WITHIN = 600.0  # seconds of the last command; one that takes longer hangs
DIE_WITHIN = 10.0  # seconds that children may outlive their parent; on an idle machine they do so for three
START_SHARE = 0.2  # of the kills hit a process that may not have said anything yet
RUN_SECONDS = 0.8  # about as long as a run takes, with its composition


@dataclass(frozen=True)
class Way:
    """A sweep as it is started: its name, its arguments, and those that change no number."""

    name: str
    sweep: list[str]
    extra: tuple[str, ...] = ()


def ways() -> list[Way]:
    """All that are tried. A version that cannot save inside a run starts those without it."""
    every = (lambda value: (f"checkpoint_every={value}",)) if saves_inside_runs() else (lambda value: ())
    return [
        Way("basic", SWEEP),
        Way("joblib", SWEEP, tuple(JOBLIB)),
        Way("tuning", TUNED),
        Way("saved each epoch", SWEEP, every("epoch")),
        Way("joblib, saved each 3 steps", SWEEP, (*JOBLIB, *every("3"))),
    ]


class Sessions:
    """The processes that a chain started, each of them in a session of its own."""

    def __init__(self) -> None:
        self._killed_at: dict[int, float] = {}

    def killed(self, session: int) -> None:
        """Notes that its leader was killed just now."""
        self._killed_at[session] = time.monotonic()

    def end_survivors(self, *, wait: bool = False) -> list[int]:
        """Ends the processes that outlived their leader by more than `DIE_WITHIN`, and returns their ids.

        Args:
            wait: Wait for those whose leader was killed a moment ago.
        """
        survivors: list[int] = []
        for session, moment in list(self._killed_at.items()):
            while wait and time.monotonic() < moment + DIE_WITHIN and alive(session):
                time.sleep(0.1)
            if time.monotonic() >= moment + DIE_WITHIN or not alive(session):
                survivors += alive(session)
                end(session)
                del self._killed_at[session]
        return survivors


def alive(session: int) -> list[int]:
    """The processes of a session that run; what waits to be collected does not."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found += [] if state in "ZX" else [int(entry.name)]
        except OSError:
            continue  # it ended meanwhile
    return found


def end(session: int) -> None:
    """Kills what runs of a session."""
    for process in alive(session):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Chain:
    """One sweep that is killed again and again, in a folder of its own."""

    def __init__(self, way: Way, reference: Reference, folder: Path, seed: int) -> None:
        self.way, self.reference, self.random = way, reference, random.Random(seed)
        self.results, self.cache, self.scratch = folder / "results", folder / "cache", folder / "tmp"
        self.variables = environment(self.cache, self.scratch)
        self.command = command("run", *way.sweep, *way.extra, f"results_dir={self.results}")
        self.log = folder / "log"
        self.sessions = Sessions()

    def kill_once(self, row: Row, name: str) -> bool:
        """Starts the command and kills it; False if it ended before."""
        before = self.finished()
        with self.log.open("wb") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.variables, start_new_session=True)
            self._wait_for_a_moment(process, len(before))
            is_running = process.poll() is None
            if is_running and self.random.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            elif is_running:
                process.kill()
            process.wait()
        self.sessions.killed(process.pid)
        for path in before - self.finished():
            row.blame("lost", name, f"{path.name} was there before the kill")
        self._blame_survivors(row, name, wait=False)
        return is_running

    def _wait_for_a_moment(self, process: subprocess.Popen[bytes], before: int) -> None:
        if self.random.random() < START_SHARE:
            time.sleep(self.random.uniform(0.5, 5))
            return
        more = self.random.choices([0, 1, 2], [5, 3, 1])[0]
        give_up = time.monotonic() + ENDS_WITHIN
        while process.poll() is None and time.monotonic() < give_up:
            if self.log.stat().st_size and len(self.finished()) >= before + more:
                break
            time.sleep(0.02)
        time.sleep(self.random.uniform(0, RUN_SECONDS))

    def finished(self) -> set[Path]:
        """The records there are."""
        return set(record_files(self.results)) if self.results.is_dir() else set()

    def end(self, row: Row, name: str) -> None:
        """Runs the same command to its end, cleans up, and compares with the undisturbed sweep."""
        with subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.variables, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                output, _ = process.communicate(timeout=ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                end(process.pid)
                output, _ = process.communicate()
                row.blame("silent", name, f"the last command did not end within {ENDS_WITHIN:.0f} s")
        done = subprocess.CompletedProcess(self.command, process.returncode, output, "")
        if done.returncode or "Traceback" in output:
            row.blame("silent", name, f"the last command: {last_line(done)}")
        self.sessions.killed(process.pid)
        self._blame_survivors(row, name, wait=True)
        self.reference.check(row, name, self.results)
        clean(self.results, cache=self.cache, scratch=self.scratch)
        self.reference.leftovers(row, name, results=self.results, cache=self.cache, scratch=self.scratch)

    def _blame_survivors(self, row: Row, name: str, *, wait: bool) -> None:
        for process in self.sessions.end_survivors(wait=wait):
            row.blame("leftovers", name, f"process {process} outlived its parent by {DIE_WITHIN:.0f} s")


def kill(folder: Path, seed: int, count: int = 50, chosen: Sequence[Way] = ()) -> Row:
    """Kills sweeps of every way.

    Args:
        folder: An empty folder.
        seed: Draws the moments.
        count: How many kills.
        chosen: The ways; by default all.
    """
    row, draw, tried = Row("SIGKILL of a sweep"), random.Random(seed), list(chosen or ways())
    made: dict[str, Reference] = {}
    for way in tried:
        key = " ".join(way.sweep)
        if key not in made:
            made[key] = Reference.of(way.sweep, folder / f"reference{len(made)}")
    plan = [
        (tried[number % len(tried)], min(KILLS, count - number * KILLS), draw.getrandbits(32))
        for number in range(-(-count // KILLS))
    ]

    def follow(number: int) -> None:
        way, kills, own = plan[number]
        attempts = 0
        while kills and attempts < 3:  # a sweep that ends before its last kill is followed by a new one
            place = folder / f"{number}-{attempts}"
            place.mkdir()
            chain = Chain(way, made[" ".join(way.sweep)], place, own + attempts)
            name = f"{way.name}, chain {number}"
            while kills and chain.kill_once(row, name):
                kills -= 1
                row.injected += 1
            chain.end(row, name)
            attempts += 1

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        list(pool.map(follow, range(len(plan))))
    return row
