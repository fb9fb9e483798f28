"""Downloads that are cut, changed or without a checksum, from a server on this machine; and files that take a login."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.datasets._cache import cache_folder
from benchmark.datasets.sources import Layout, Source, find

CHUNK = 1 << 13  # what is written at a time: less than that is lost
CONTENT = np.random.default_rng(0).bytes(500_000)  # incompressible: the archive is as long


class Server(ThreadingHTTPServer):
    """Offers `files` by path. Each request for which `cuts` has a number gets that many bytes, then a closed connection."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.has_ranges = True
        self.etag = '"one"'
        self.asked: list[tuple[str, str | None]] = []  # path and Range

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        name, wanted = self.path.strip("/"), self.headers.get("Range")
        self.server.asked.append((name, wanted))
        content, start = self.server.files[name], 0
        if wanted and self.server.has_ranges and self.headers.get("If-Range") == self.server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        sent = self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start : start + sent])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    with Server() as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


def archive(content: bytes = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("Toy 2.0/data/a.csv", content)
    return buffer.getvalue()


def offered(server: Server, content: bytes | None = None, **changes: Any) -> Source:
    """A source whose archive the server offers, with its checksum unless `md5=None` is asked for."""
    server.files["toy.zip"] = archive() if content is None else content
    md5 = hashlib.md5(server.files["toy.zip"]).hexdigest()
    values = {"layouts": {"official": Layout(("a.csv",))}, "url": server.url("toy.zip"), "md5": md5, **changes}
    return Source(name="toy", **values)


def ranges(server: Server) -> list[str | None]:
    return [wanted for _, wanted in server.asked]


def test_a_cut_connection_is_opened_again_for_the_rest(server: Server) -> None:
    server.cuts = [12 * CHUNK, CHUNK, 30 * CHUNK]
    assert find(offered(server)).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server) == [None, *(f"bytes={chunks * CHUNK}-" for chunks in (12, 13, 43))]


def test_what_arrived_is_kept_for_the_next_call(server: Server) -> None:
    source = offered(server)
    server.cuts = [12 * CHUNK, 0]
    with pytest.raises(FileNotFoundError, match=r"toy\.zip: \w+Error: "):
        find(source)
    assert find(source).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={12 * CHUNK}-", f"bytes={12 * CHUNK}-"]
    assert [path for path in (cache_folder() / "downloads").rglob("*") if path.suffix != ".lock"] == []


def test_a_server_without_ranges_sends_all_of_it_again(server: Server) -> None:
    server.cuts, server.has_ranges = [12 * CHUNK], False
    assert find(offered(server)).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={12 * CHUNK}-"]


def test_a_file_that_changed_meanwhile_is_not_patched_together(server: Server) -> None:
    server.cuts = [12 * CHUNK, 0]
    with pytest.raises(FileNotFoundError):
        find(offered(server))
    server.etag = '"two"'
    assert find(offered(server, archive(CONTENT[::-1]))).paths["a.csv"].read_bytes() == CONTENT[::-1]


def test_a_weak_mark_of_the_version_is_none(server: Server) -> None:
    server.cuts, server.etag = [12 * CHUNK], 'W/"one"'
    assert find(offered(server)).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_a_file_that_had_arrived_whole_is_not_sent_again(server: Server) -> None:
    source = offered(server)
    kept = cache_folder() / "downloads" / "toy" / "toy.zip.part"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(server.files["toy.zip"])
    kept.with_name("toy.zip.part.tag").write_text(server.etag)
    assert find(source).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server) == [f"bytes={len(server.files['toy.zip'])}-"]


def test_what_is_longer_than_the_file_is_thrown_away(server: Server) -> None:
    source = offered(server)
    kept = cache_folder() / "downloads" / "toy" / "toy.zip.part"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(server.files["toy.zip"] + b"more")
    kept.with_name("toy.zip.part.tag").write_text(server.etag)
    assert find(source).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server)[1:] == [None]


def test_a_wrong_checksum_leaves_nothing_to_continue(server: Server) -> None:
    with pytest.raises(ValueError, match=r"wrong checksum of http://127.*toy\.zip"):
        find(offered(server, md5="0" * 32))
    assert find(offered(server)).paths["a.csv"].read_bytes() == CONTENT
    assert ranges(server) == [None, None]


def test_of_several_processes_one_downloads(server: Server) -> None:
    source = offered(server)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: find(source), range(4)))
    assert all(one == found[0] for one in found)
    assert len(server.asked) == 1


def test_without_an_official_checksum_that_of_the_first_download_holds(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    source = offered(server, md5=None)
    found = find(source)
    said = capsys.readouterr().err
    memo = cache_folder() / "checksums" / "toy.json"
    assert f"{source.url}: its owners publish no checksum. This download has the sha256 " in said
    assert hashlib.sha256(server.files["toy.zip"]).hexdigest() in said
    assert str(memo) in said
    shutil.rmtree(cache_folder() / "files")
    assert find(source) == found
    assert capsys.readouterr().err == ""
    shutil.rmtree(cache_folder() / "files")
    changed = offered(server, archive(b"1"), md5=None)
    with pytest.raises(
        ValueError, match=r"toy\.zip has changed: the first download had the sha256 .* delete .*toy\.json$"
    ):
        find(changed)
    memo.unlink()
    assert find(changed).paths["a.csv"].read_bytes() == b"1"


def test_checksums_of_members_are_the_owners(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    find(offered(server, md5=None, members={"a.csv": hashlib.md5(CONTENT).hexdigest()}))
    assert capsys.readouterr().err == ""


def test_files_that_are_offered_one_by_one(server: Server) -> None:
    server.files = {"x/a.tsv.gz": gzip.compress(b"1\t2\n"), "x/b.parquet": CONTENT}
    checksums = {server.url(name): f"sha256:{hashlib.sha256(text).hexdigest()}" for name, text in server.files.items()}
    source = Source(
        name="toy", layouts={"official": Layout(("a.tsv", "b.parquet"))}, url="http://127.0.0.1:9/page", files=checksums
    )
    server.cuts = [CHUNK, 5 * CHUNK, 0]
    with pytest.raises(
        FileNotFoundError, match=r"x/b\.parquet: .*\nConnect to the network; or put those files into a fold"
    ):
        find(source)
    found = find(source)
    assert found.paths["a.tsv"].read_bytes() == server.files["x/a.tsv.gz"]
    assert found.paths["b.parquet"].read_bytes() == CONTENT
    assert server.asked == [
        ("x/a.tsv.gz", None),
        ("x/b.parquet", None),
        ("x/b.parquet", f"bytes={5 * CHUNK}-"),
        ("x/b.parquet", f"bytes={5 * CHUNK}-"),
    ]


def test_files_that_take_a_login(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = replace(
        offered(server), login="a Tianchi account", url="https://tianchi.aliyun.com/dataset/408", terms="research only"
    )
    with pytest.raises(FileNotFoundError) as caught:
        find(source)
    assert str(caught.value).splitlines()[-1] == (
        "Its owners give it to holders of a Tianchi account: download it from https://tianchi.aliyun.com/dataset/408, unpack "
        "a.csv into a folder toy, and set MTLBENCH_DATA to the folder that it is in. Terms: research only."
    )
    assert server.asked == []
    (tmp_path / "data" / "toy").mkdir(parents=True)
    (tmp_path / "data" / "toy" / "a.csv").write_text("1")
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data"))
    assert find(source).layout == "official"
