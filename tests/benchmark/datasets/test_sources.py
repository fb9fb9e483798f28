"""Finding files, downloads from a server on this machine, archives, and errors in text files."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmark.datasets._archives import extract
from benchmark.datasets._cache import cache_folder
from benchmark.datasets.sources import Layout, Source, find
from benchmark.datasets.text import Domain, read_text, scan_text

SOURCE = Source(
    name="toy",
    layouts={"official": Layout(("a.csv", "b.csv"), optional=("c.csv",)), "other": Layout(("a.inter",))},
    url="http://127.0.0.1:9/toy.zip",
    terms="for tests",
)


@pytest.fixture(autouse=True)
def _nothing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def offer(served: tuple[Path, str], content: bytes, name: str = "toy.zip", **changes: Any) -> Source:
    folder, address = served
    (folder / name).write_bytes(content)
    return replace(SOURCE, url=f"{address}/{name}", md5=hashlib.md5(content).hexdigest(), **changes)


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_the_data_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "data" / "toy", "deep/a.csv.gz", "b.csv")
    put(cache_folder() / "files" / "toy", "a.csv", "b.csv", "c.csv")
    assert sorted(find(SOURCE).paths) == ["a.csv", "b.csv", "c.csv"]
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data"))
    found = find(SOURCE)
    assert found.layout == "official"
    assert found.paths == {
        "a.csv": tmp_path / "data" / "toy" / "deep" / "a.csv.gz",
        "b.csv": tmp_path / "data" / "toy" / "b.csv",
    }
    assert sorted(found.identity) == ["a.csv", "b.csv"]


def test_of_a_plain_and_a_gzipped_file_of_one_name_it_says_which_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / "toy"
    put(folder, "a.csv", "a.csv.gz", "b.csv", "other.csv", "other.csv.gz")
    for _ in range(2):  # a sweep finds them for each of its runs
        assert find(SOURCE).paths["a.csv"] == folder / "a.csv"
    said = f"mtlbench: {folder / 'a.csv'} was taken, and {folder / 'a.csv.gz'} left out: they have one name\n"
    assert capsys.readouterr().err == said


def test_the_second_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "toy", "a.inter", "a.csv")
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    assert find(SOURCE).layout == "other"


def test_identity_is_of_contents_not_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identities = []
    for place in ("one", "two"):
        put(tmp_path / place / "toy", "a.csv", "b.csv")
        monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path / place))
        identities.append(find(SOURCE).identity)
    assert identities[0] == identities[1]


def test_files_of_an_installed_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "shipper/example/a.inter")
    (tmp_path / "shipper" / "__init__.py").write_text("raise RuntimeError('imported')")
    put(tmp_path, "shipper-1.0.dist-info/METADATA")
    (tmp_path / "shipper-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: shipper\nVersion: 1.0\n")
    (tmp_path / "shipper-1.0.dist-info" / "RECORD").write_text("shipper/__init__.py,,\nshipper/example/a.inter,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = find(replace(SOURCE, distribution="shipper"))
    assert found.layout == "other"
    assert found.paths["a.inter"].read_text() == "shipper/example/a.inter"


def test_a_download_is_checked_unpacked_and_kept(served: tuple[Path, str]) -> None:
    source = offer(served, zipped({"Toy/data/a.csv": b"1", "Toy/data/b.csv": b"2", "Toy/empty/": b""}))
    found = find(source)
    assert found.paths["b.csv"].read_bytes() == b"2"
    assert found.paths["b.csv"].is_relative_to(cache_folder())
    (served[0] / "toy.zip").unlink()
    assert find(source) == found
    assert not list(cache_folder().rglob("*.zip"))


def test_an_archive_in_an_archive(served: tuple[Path, str]) -> None:
    inner = tarred({"x/a.csv": b"1", "x/b.csv": b"2"})
    assert find(offer(served, zipped({"inner.tar.gz": inner, "names.txt": b""}))).paths["a.csv"].read_bytes() == b"1"


def test_wrong_checksum_of_an_archive(served: tuple[Path, str]) -> None:
    source = replace(offer(served, zipped({"a.inter": b""})), md5="0" * 32)
    with pytest.raises(
        ValueError, match=r"wrong checksum of http://127.*expected 0{32} but got [0-9a-f]{32}|" + "0" * 32
    ):
        find(source)
    assert not (cache_folder() / "files" / "toy").exists()


def test_wrong_checksum_of_a_member(served: tuple[Path, str]) -> None:
    content = zipped({"a.csv": b"1", "b.csv.gz": gzip.compress(b"2")})
    right = hashlib.md5(b"2").hexdigest()
    source = replace(offer(served, content), md5=None, members={"b.csv": "f" * 32})
    with pytest.raises(ValueError, match=rf"wrong checksum of b\.csv\.gz.*expected md5 f{{32}}, found {right}"):
        find(source)
    assert find(replace(source, members={"b.csv": right})).layout == "official"


def test_an_archive_without_the_files(served: tuple[Path, str]) -> None:
    with pytest.raises(ValueError, match=r"is not what was expected: lacks b\.csv"):
        find(offer(served, zipped({"a.csv": b"1"}), "other.zip", layouts={"official": SOURCE.layouts["official"]}))


def test_nowhere_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        source = replace(SOURCE, url=f"http://127.0.0.1:{taken.getsockname()[1]}/toy.zip", distribution="no-such-thing")
        with pytest.raises(FileNotFoundError) as caught:
            find(source)
        put(tmp_path / "toy", "a.csv")
        monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
        with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/toy: lacks b\.csv"):
            find(replace(source, layouts={"official": SOURCE.layouts["official"]}))
    text = str(caught.value)
    for part in (
        "no files of the data set toy",
        "MTLBENCH_DATA: not set",
        "files/toy: no files",
        "installed distribution no-such-thing: no files",
        source.url,
        "a folder toy, and set MTLBENCH_DATA",
        "Terms: for tests",
    ):
        assert part in text


def test_not_found_on_the_server(served: tuple[Path, str]) -> None:
    with pytest.raises(FileNotFoundError, match="404"):
        find(replace(SOURCE, url=f"{served[1]}/nothing.zip"))


def test_an_incomplete_cache_is_not_deleted(tmp_path: Path) -> None:
    put(cache_folder() / "files" / "toy", "b.csv")
    with pytest.raises(ValueError, match=r"incomplete.*delete it"):
        find(SOURCE)
    assert (cache_folder() / "files" / "toy" / "b.csv").exists()


@pytest.mark.parametrize("make", [zipped, tarred])
@pytest.mark.parametrize("member", ["../outside.txt", "/outside.txt", "a/../../outside.txt"])
def test_no_member_leaves_its_folder(tmp_path: Path, make: Callable[[dict[str, bytes]], bytes], member: str) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(make({member: b"x"}))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"archive: the member '.*outside\.txt' would be written outside its folder"):
        extract(archive, folder)
    assert not list(tmp_path.rglob("outside.txt"))


def test_no_member_of_an_archive_in_an_archive_leaves_its_folder(tmp_path: Path) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "folder"
    archive.write_bytes(zipped({"deep/inner.zip": zipped({"../beside.txt": b"x"})}))
    folder.mkdir()
    with pytest.raises(
        ValueError, match=r"inner\.zip: the member '\.\./beside\.txt' would be written outside its folder"
    ):
        extract(archive, folder)
    assert not list(tmp_path.rglob("beside.txt"))


def test_no_link_is_followed(tmp_path: Path) -> None:
    archive, folder, outside = tmp_path / "archive", tmp_path / "folder", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    archive.write_bytes(tarred({"link/file.txt": b"x"}, links={"link": str(outside)}))
    extract(archive, folder)
    assert not list(outside.iterdir())
    assert (folder / "link" / "file.txt").read_bytes() == b"x"


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("names", [("d", "d/e"), ("d/e", "d"), ("d", "d/e/f")])
def test_a_member_that_is_a_file_and_a_folder(
    tmp_path: Path, pack: Callable[..., bytes], names: tuple[str, ...]
) -> None:
    (tmp_path / "toy.zip").write_bytes(pack(dict.fromkeys(names, b"x")))
    with pytest.raises(ValueError, match=r"^toy\.zip: the member '[de]' is both a file and a folder"):
        extract(tmp_path / "toy.zip", tmp_path / "folder")


def test_an_encrypted_member(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.csv": b"1"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    (tmp_path / "toy.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"^toy\.zip: .*a\.csv.* encrypted, password required .*; unpack it yourself"):
        extract(tmp_path / "toy.zip", tmp_path / "folder")


def test_a_damaged_member(tmp_path: Path) -> None:
    (tmp_path / "toy.zip").write_bytes(zipped({"a.csv": b"12345"}).replace(b"12345", b"12346", 1))
    with pytest.raises(ValueError, match=r"^toy\.zip is damaged: Bad CRC-32 for file 'a\.csv'"):
        extract(tmp_path / "toy.zip", tmp_path / "folder")


def test_a_configuration_that_needs_more_files_downloads_only_these(served: tuple[Path, str]) -> None:
    folder, address = served
    put(folder, "a.csv", "deep/b.csv", "c.csv")
    few = replace(
        SOURCE, layouts={"official": Layout(("a.csv",))}, files={f"{address}/a.csv": None}, url=f"{address}/page"
    )
    assert list(find(few).paths) == ["a.csv"]
    (folder / "a.csv").unlink()
    more = replace(
        few, layouts={"official": Layout(("a.csv", "b.csv"))}, files={**few.files, f"{address}/deep/b.csv": None}
    )
    assert [path.read_text() for path in find(more).paths.values()] == ["a.csv", "deep/b.csv"]
    assert list(find(few).paths) == ["a.csv"]
    lacking = replace(more, layouts={"official": Layout(("a.csv", "d.csv"))})
    with pytest.raises(ValueError, match=r"page offers is not what was expected: lacks d\.csv"):
        find(lacking)


def test_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "page.zip").write_text("<html>")
    with pytest.raises(ValueError, match=r"page\.zip is neither a zip nor a tar archive"):
        extract(tmp_path / "page.zip", tmp_path)


COLUMNS = {"id": pl.Int32, "price": pl.Float64, "name": pl.String}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,price,name\n1,2.5,x\n2,3\n", r"line 3 has 2 values, expected 3; is the file truncated\?"),
        ("id,price,name\n1,2.5,x\n2,3,y,z\n", "line 3 has 4 values, expected 3"),
        ("id,price,name\n1,2.5,x\n2,cheap,y\n", "line 3, column price: expected a number, found 'cheap'"),
        ("id,price,name\n1,2.5,x\n2.5,3,y\n", r"line 3, column id: expected an integer, found '2\.5'"),
        ("id,price,name\n1,2.5,x\n9999999999,3,y\n", "line 3, column id: expected an integer, found '9999999999'"),
        ("id,price,name\n,2.5,x\n", "line 2, column id: expected an integer, found ''"),
        ("id,name\n1,x\n", "no column price; columns: id, name"),
        (
            "id,price,name,id\n1,2,x,3\n",
            "line 1: expected each column once, found id more often; columns: id, price, name, id",
        ),
        ("id,price,name\n1,2.5,x\n2,inf,y\n", "line 3, column price: expected a finite number, found 'inf'"),
        ("id,price,name\n1,2.5,x\n3,1,y\n", "line 3, column id: expected 1 or 2, found '3'"),
        ('id,price,name\n1,2.5,"x\ny"\n,1,y\n', "line 4, column id: expected 1 or 2, found ''"),
    ],
)
@pytest.mark.parametrize("strip", [True, False])
def test_faults_of_text_are_located(tmp_path: Path, text: str, message: str, *, strip: bool) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    columns = COLUMNS | ({"id": Domain(pl.Int64, allowed=(1, 2))} if "1 or 2" in message else {})
    for read in (read_text, scan_text):
        with pytest.raises(ValueError, match=rf"table\.csv: {message}"):
            read(path, columns, strip=strip)  # type: ignore[operator]


@pytest.mark.parametrize("read", [read_text, scan_text])
@pytest.mark.parametrize("columns", [["id", "price", "name"], ["id", "price"]])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("quote", ['"', None])
def test_a_line_that_breaks_off_is_told_though_its_last_columns_may_be_empty(
    tmp_path: Path, read: Any, columns: list[str], quote: str | None, *, header: bool
) -> None:
    if not header and len(columns) < 3:
        return  # all columns are read
    path = tmp_path / "table.csv"
    rows = "1,2.5,x\n2,3,\n"
    path.write_text("id,price,name\n" * header + rows)
    types = {name: COLUMNS[name] for name in columns}
    options = {"nullable": ("price", "name"), "header": header, "quote": quote}
    table = read(path, types, **options).lazy().collect()
    assert table.columns == columns
    assert table["price"].to_list() == [2.5, 3.0]
    path.write_text("id,price,name\n" * header + rows + "3,4\n")
    with pytest.raises(
        ValueError, match=rf"table\.csv: line {3 + header} has 2 values, expected 3; is the file truncated"
    ):
        read(path, types, **options)


def test_a_number_that_is_infinite_in_its_type_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("price\n1e30\n1e39\n")
    assert read_text(path, {"price": pl.Float64})["price"].to_list() == [1e30, 1e39]
    with pytest.raises(ValueError, match=r"line 3, column price: expected a finite number, found '1e39'"):
        read_text(path, {"price": pl.Float32})


@pytest.mark.parametrize("read", [read_text, scan_text])
@pytest.mark.parametrize("header", [True, False])
def test_a_byte_that_is_no_text_is_located(tmp_path: Path, read: Any, *, header: bool) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"id,price,name\n" * header + b"1,2,x\n" * 4000 + b"2,3,caf\xe9\n")
    message = rf"line {4001 + header}, column name: expected text in UTF-8, found the byte 0xe9; is the file damaged"
    with pytest.raises(ValueError, match=message):
        read(path, COLUMNS, header=header)


def test_a_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    whole = gzip.compress(b"id,price,name\n" + b"".join(b"%d,%d,x\n" % (i, i * 7919 % 1000) for i in range(20_000)))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"table\.csv\.gz: unreadable after line \d+, truncated or damaged"):
        read_text(path, COLUMNS)


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b'more,name,id,price\n0,"a, b",1,2.5\n0,,2,\n'))
    table = read_text(path, COLUMNS, nullable=("name", "price"))
    assert table.columns == list(COLUMNS)
    assert table.rows() == [(1, 2.5, "a, b"), (2, None, None)]


def test_spaces_and_quotes_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    path.write_bytes('1, 2.5, "caf\xe9\n2, 3, x \n'.encode("latin-1"))
    table = read_text(path, COLUMNS, header=False, quote=None, strip=True, encoding="latin-1")
    assert table.rows() == [(1, 2.5, '"café'), (2, 3.0, "x")]
