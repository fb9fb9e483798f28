"""What is wrong with the input of a whole run is one clear line, and leaves no record.

What is wrong with the command line itself is in test_sweep.py, test_cli.py and test_errors.py.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmark import RunConfig, TrainerConfig, configure, run
from benchmark.cli import main
from benchmark.datasets import census_income
from tests.benchmark.datasets.fixtures import write_census, write_kuairand
from tests.command import mtlbench

LOG = "kuairand_pure/data/log_standard_4_22_to_5_08_pure.csv"
TRAIN_FILE = "census_income/census-income.data.gz"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of data sets, and an empty cache."""
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def error_of(dataset: str, results: Path) -> str:
    """What `run` says; it has left nothing behind."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        run(RunConfig(dataset=configure("dataset", dataset), architecture="mmoe", results_dir=str(results)))  # type: ignore[arg-type]
    assert not results.exists()
    return str(caught.value)


def unzipped(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


# files ----------------------------------------------------------------------------------------------------------------


def cut_within_a_line(folder: Path) -> None:
    path = folder / LOG
    text = path.read_text()
    path.write_text(text[: text.rindex(",", 0, len(text) * 2 // 3)])


def cut_an_archive(folder: Path) -> None:
    path = folder / TRAIN_FILE
    path.write_bytes(path.read_bytes()[:-2000])


def put_a_word_for_a_number(folder: Path) -> None:
    path = folder / TRAIN_FILE
    lines = unzipped(path).splitlines()
    lines[6] = b"old" + lines[6][lines[6].index(b",") :]
    path.write_bytes(gzip.compress(b"\n".join(lines)))


def leave_one_class(folder: Path) -> None:
    path = folder / TRAIN_FILE
    path.write_bytes(gzip.compress(unzipped(path).replace(b"50000+.", b"- 50000.")))


@pytest.mark.parametrize(
    ("dataset", "spoil", "expected"),
    [
        ("kuairand", cut_within_a_line, rf"{LOG}: line \d+ has \d+ values, expected 19; is the file truncated\?$"),
        ("census_income", cut_an_archive, rf"{TRAIN_FILE}: unreadable after line \d+, truncated or damaged"),
        (
            "census_income",
            put_a_word_for_a_number,
            f"{TRAIN_FILE}: line 7, column age: expected a number from 0 to 90, found 'old'$",
        ),
        (
            "census_income",
            leave_one_class,
            "^task 'income': all 2700 labels in train are of one class, 0; leave the task out of dataset.tasks, or choose another split$",
        ),
    ],
    ids=["truncated", "truncated gzip", "wrong type", "one class"],
)
def test_a_fault_of_a_file_is_named(
    tmp_path: Path, folder: Path, dataset: str, spoil: Callable[[Path], None], expected: str
) -> None:
    write_census(folder / "census_income")
    write_kuairand(folder / "kuairand_pure")
    spoil(folder)
    text = error_of(dataset, tmp_path / "results")
    assert re.search(expected, text), text
    assert "\n" not in text


def test_what_validation_cannot_judge_is_told_before_training(tmp_path: Path) -> None:
    shop = configure("dataset", "shop", num_users=60, num_items=40, num_rows=2000, purchase_rate=0.01, split_seed=1)
    config = RunConfig(dataset=shop, architecture="mmoe", results_dir=str(tmp_path / "results"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^trainer\.monitor=mean cannot be judged on the 200 rows of validation"):
        run(config)
    assert not (tmp_path / "results").exists()
    config.trainer = TrainerConfig(monitor="click.auc", max_epochs=1)
    assert run(config).status == "finished"


# downloads ------------------------------------------------------------------------------------------------------------


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """offer({member: content}, md5=None): makes it the official archive of Census-Income, on this machine."""
    served = tmp_path / "served"
    served.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(served))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

        def offer(members: dict[str, bytes], md5: str | None = None) -> None:
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as archive:
                for name, text in members.items():
                    archive.writestr(name, text)
            (served / "census.zip").write_bytes(content.getvalue())
            source = replace(
                census_income.SOURCE,
                url=f"http://127.0.0.1:{server.server_port}/census.zip",
                md5=md5 or hashlib.md5(content.getvalue()).hexdigest(),
            )
            monkeypatch.setattr(census_income, "SOURCE", source)

        yield offer
        server.shutdown()


def test_no_files_and_no_network(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = replace(census_income.SOURCE, url="http://127.0.0.1:9/census.zip")  # a port that nobody listens at
    monkeypatch.setattr(census_income, "SOURCE", dead)
    text = error_of("census_income", tmp_path / "results")
    assert "no files of the data set census_income" in text
    assert f"{folder}/census_income: no files" in text
    assert "unpack that archive into a folder census_income, and set MTLBENCH_DATA" in text


def test_an_archive_with_another_checksum(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer({"census-income.data": b""}, md5="0" * 32)
    text = error_of("census_income", tmp_path / "results")
    assert text.startswith("wrong checksum of http://127.0.0.1:")
    assert "0" * 32 in text
    assert "\n" not in text


def test_a_file_with_another_checksum(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer({"census-income.data": b"", "census-income.test": b""})
    text = error_of("census_income", tmp_path / "results")
    assert text.startswith("wrong checksum of census-income.data from http://127.0.0.1:")
    assert text.endswith(f"found {hashlib.md5(b'').hexdigest()}")


def test_an_archive_that_would_write_elsewhere(tmp_path: Path, offer: Callable[..., None]) -> None:
    offer({"../../outside.txt": b"x"})
    text = error_of("census_income", tmp_path / "results")
    assert text == "census.zip: the member '../../outside.txt' would be written outside its folder"
    assert not list(tmp_path.rglob("outside.txt"))


# the command line -----------------------------------------------------------------------------------------------------


def stderr_of(*arguments: str) -> str:
    """The line of a command that fails."""
    done = mtlbench("run", *arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def test_an_unknown_data_set() -> None:
    line = stderr_of("dataset=censsus_income")
    assert line.startswith("mtlbench: unknown dataset 'censsus_income'; did you mean census_income? known: ali_ccp,")


def test_no_files_and_no_network_is_one_line_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scheme in ("http_proxy", "https_proxy", "no_proxy"):
        for name in (scheme, scheme.upper()):
            monkeypatch.setenv(name, "" if scheme == "no_proxy" else "http://127.0.0.1:9")
    line = stderr_of("dataset=census_income", f"results_dir={tmp_path / 'results'}")
    assert line.startswith("mtlbench: no files of the data set census_income. Looked in")
    assert "set MTLBENCH_DATA" in line
    assert not (tmp_path / "results").exists()


def test_a_fault_of_a_file_is_one_line_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    write_census(folder / "census_income")
    put_a_word_for_a_number(folder)
    line = stderr_of("dataset=census_income", f"results_dir={tmp_path / 'results'}")
    assert line == f"mtlbench: {folder / TRAIN_FILE}: line 7, column age: expected a number from 0 to 90, found 'old'"


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("9^9^9", "unexpected '^' at column 2"),
        ("__import__('os')", "unexpected '(' at column 11"),
        ("clik", "unknown task 'clik'; did you mean click? known: click, duration, purchase"),
    ],
)
def test_a_score_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], score: str, expected: str) -> None:
    small = configure("dataset", "shop", num_users=30, num_items=20, num_rows=500)
    trainer = TrainerConfig(max_epochs=1)
    made = run(
        RunConfig(
            dataset=small, architecture=configure("architecture", "shared_bottom"), trainer=trainer, threads=1,
            save_checkpoint=True, results_dir=str(tmp_path / "results"),
        )
    )  # fmt: skip
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["recommend", str(made.path(tmp_path / "results")), "--user", "1", "--score", score])
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
