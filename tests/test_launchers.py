"""Sweeps by Hydra's launchers: the same numbers as one after the other, to the last bit, and one line if a plugin is missing."""

from __future__ import annotations

import importlib.util
import os
import pickle
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins
from omegaconf import OmegaConf

from benchmark import load_records
from benchmark.records.record import Record
from benchmark.settings import composition
from tests.command import mtlbench
from tests.outside import install

CLUSTERS = Path(__file__).parent / "clusters"
SWEEP = ["dataset=shop", "dataset.num_users=60", "dataset.num_items=40", "dataset.num_rows=4000"]
SWEEP += ["trainer.max_epochs=2", "trainer.batch_size=256", "architecture=shared_bottom,mmoe", "seed=0,1"]


@dataclass(frozen=True)
class Way:
    """A launcher as a test uses it: its plugin, what the command line has, what a killed worker is told as, and the cluster."""

    plugin: str
    arguments: tuple[str, ...]
    killed: str
    cluster: tuple[str, ...] = ()  # a command that runs another one beside a cluster of its own


SUBMITIT = "UncompletedJobError: Job "
RAY = "WorkerCrashedError: The worker died"
WAYS = {
    "joblib": Way(
        "hydra_joblib_launcher",
        ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        "",
    ),
    "submitit_local": Way("hydra_submitit_launcher", ("hydra/launcher=submitit_local",), SUBMITIT),
    "submitit_slurm": Way(
        "hydra_submitit_launcher",
        ("hydra/launcher=submitit_slurm", "hydra.launcher.partition=cpu", "hydra.launcher.mem_gb=1"),
        SUBMITIT,
        (str(CLUSTERS / "slurm_one_node.sh"),),
    ),
    "ray": Way("hydra_ray_launcher", ("hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=2"), RAY),
    "ray_cluster": Way(
        "hydra_ray_launcher",
        ("hydra/launcher=ray", "hydra.launcher.ray.init.address=auto"),
        RAY,
        (sys.executable, str(CLUSTERS / "ray_two_nodes.py")),
    ),
}
ASKED_FOR = os.environ.get("MTLBENCH_LAUNCHERS", "").split(",")  # those that take half a minute and their extras

needs_joblib = pytest.mark.skipif(
    importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None, reason="needs the plugin of joblib"
)


def sweep(folder: Path, *arguments: str, cluster: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs the sweep in `folder`, as a user does, in a process of its own; records go to the relative `out`."""
    command = [*cluster, sys.executable, "-m", "benchmark", *SWEEP, "results_dir=out", *arguments]
    folder.mkdir(exist_ok=True)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def sweep_here(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, for sweeps without workers."""
    return mtlbench("run", *SWEEP, "results_dir=out", *arguments, cwd=folder)


def result(record: Record) -> tuple[object, ...]:
    """What must not depend on who ran it."""
    losses = [(epoch["train_losses"], epoch["validation"], epoch["criterion"]) for epoch in record.epochs]
    return record.id, record.status, record.metrics, record.metrics_per_task, losses, record.cost["threads"]


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("basic")
    done = sweep_here(folder, "threads=1")
    assert done.returncode == 0, done.stderr
    return load_records(folder / "out")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """One after the other; but for joblib only those that MTLBENCH_LAUNCHERS names."""
    name, way = request.param, WAYS[request.param]
    if name != "joblib" and name not in ASKED_FOR:
        pytest.skip(f"takes long: MTLBENCH_LAUNCHERS={name} runs it")
    if importlib.util.find_spec(f"hydra_plugins.{way.plugin}") is None:
        pytest.skip(f"needs the plugin {way.plugin}")
    return way


def test_every_launcher_gives_the_same_numbers_to_the_last_bit(
    way: Way, one_by_one: list[Record], tmp_path: Path
) -> None:
    done = sweep(tmp_path, *way.arguments, cluster=way.cluster)
    assert done.returncode == 0, done.stderr
    assert "4 finished, 0 skipped, 0 diverged, 0 failed" in done.stderr
    records = load_records(tmp_path / "out")
    assert list(map(result, records)) == list(map(result, one_by_one))
    assert {record.config["threads"] for record in records} == {1}
    command = shlex.join(["python", "-m", "benchmark", *SWEEP, "results_dir=out", *way.arguments])
    assert {record.environment["command"] for record in records} == {command}
    if way is WAYS["joblib"]:  # the others' workers write to files, or are marked by Ray
        lines = [line for line in done.stderr.splitlines() if line.startswith("[")]
        assert len(lines) == 4, done.stderr
        assert lines[-1].startswith("[4/4] shop ")
        assert "Warning" not in done.stderr
    again = sweep_here(tmp_path, *way.arguments)
    assert "0 finished, 4 skipped" in again.stderr


def test_a_worker_that_dies_is_told_and_the_records_stand(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as the system kills it when memory is short; once the other run is done, as a dead worker may end all
    record = f"{tmp_path}/out/shop/shared_bottom/equal/*.json"
    wait = f"[time.sleep(0.05) for _ in range(2000) if not glob.glob({record!r})]"
    install(tmp_path / "plugin", "lethal_net", f"{wait}; os.kill(os.getpid(), 9)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plugin"))
    two = ["architecture=lethal_net,shared_bottom", "seed=0"]
    ended = sweep(tmp_path, *two, *way.arguments, cluster=way.cluster)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "leaked" not in ended.stderr
    statuses = {record.method: record.status for record in load_records(tmp_path / "out")}
    if way is WAYS["joblib"]:  # all of its workers are gone, so the run may be tried once more, alone
        assert "a worker process died (SIGKILL(-9))" in ended.stderr
        assert "failed: WorkerDied: its worker process died twice (SIGKILL(-9))" in ended.stderr
        assert "mtlbench: 1 finished, 0 skipped, 0 diverged, 1 failed" in ended.stderr
        assert statuses == {"lethal_net/equal": "failed", "shared_bottom/equal": "finished"}
        assert not list(tmp_path.rglob(".*.lock"))
        return
    assert "mtlbench: 1 finished, 0 skipped, 0 diverged, 0 failed, 1 without a record" in ended.stderr
    assert "mtlbench: the same command continues where this one stopped" in ended.stderr
    assert f"mtlbench: the launcher gave up: {way.killed}" in ended.stderr
    assert statuses == {"shared_bottom/equal": "finished"}


def test_a_worker_that_was_started_elsewhere_takes_over_folder_command_line_and_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition.prepare()  # Hydra imports the sweeper
    from hydra_plugins.mtlbench.sweeper import Portable

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mtlbench run", "seed=0,1"])
    monkeypatch.setenv("MTLBENCH_DATA", "data")
    Path("task").write_bytes(pickle.dumps(Portable(print)))
    monkeypatch.delenv("MTLBENCH_DATA")
    code = (
        "import os, pathlib, pickle, sys\n"
        "task = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "task([os.getcwd(), sys.argv, os.environ['MTLBENCH_DATA']])"
    )
    worker = [sys.executable, "-c", code, str(tmp_path / "task")]
    done = subprocess.run(worker, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([str(tmp_path), ["mtlbench run", "seed=0,1"], "data"])


@needs_joblib
def test_threads_on_the_command_line_beat_the_launchers_one(tmp_path: Path) -> None:
    arguments = ["architecture=shared_bottom", "seed=0", "trainer.max_epochs=1", "trainer.batch_size=1024"]
    done = sweep_here(tmp_path, *arguments, "hydra/launcher=joblib", "hydra.launcher.n_jobs=1", "threads=2")
    assert done.returncode == 0, done.stderr
    assert [record.cost["threads"] for record in load_records(tmp_path / "out")] == [2]


@pytest.mark.parametrize(
    ("launcher", "target", "extra"),
    [
        ("submitit_slurm", "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher", "sweeps"),
        ("ray", "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher", "ray"),
    ],
)
def test_a_launcher_without_its_plugin_is_one_line_that_names_the_extra(
    launcher: str, target: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composition.prepare()
    monkeypatch.delitem(Plugins.instance().class_name_to_class, target, raising=False)
    done = sweep_here(tmp_path, f"hydra/launcher={launcher}")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"hydra/launcher={launcher} " in done.stderr
    assert f"pip install -e '.[{extra}]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_slurm_away_from_a_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    target = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"
    composition.prepare()
    monkeypatch.setitem(Plugins.instance().class_name_to_class, target, object)
    monkeypatch.setenv("PATH", str(tmp_path))
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": target}}})
    with pytest.raises(ValueError, match=r"found no srun on this machine; .* or use hydra/launcher=joblib$"):
        composition.check_launcher(config)
    (tmp_path / "srun").touch(mode=0o755)
    composition.check_launcher(config)


def test_all_launchers_are_tested() -> None:
    used = [argument for way in WAYS.values() for argument in way.arguments]
    assert {f"hydra/launcher={name}" for name in composition.launchers()} == {
        argument for argument in used if argument.startswith("hydra/launcher=")
    }
