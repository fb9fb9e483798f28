"""The cache follows the code that reads: an edit makes the arrays anew, a comment does not."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.datasets import _reader
from benchmark.datasets._reader import reader_digest
from benchmark.datasets.prepare import prepare
from benchmark.settings.registry import datasets
from tests.benchmark.datasets.toy import Toy, table

PARSING = '''
"""How a line is parsed."""

NUMERIC = ("price", "age", "width", "weight", "height")
'''
STORE = '''
"""A data set of its own."""

import numpy as np

from benchmark.datasets.prepare import prepare
from {package}parsing import NUMERIC
from tests.benchmark.datasets.toy import Toy, table


class Store(Toy):
    """A store."""

    def build(self):
        return prepare(self, read=self._read)

    def _read(self):
        return table(numeric={{name: np.arange(8.0) for name in NUMERIC}}, item_fields=("item",))
'''


class Package:
    """A package of a reader and a module that it imports, to be edited."""

    def __init__(self, folder: Path, name: str, *, relative: bool) -> None:
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.write("__init__", "")
        self.write("parsing", PARSING)
        self.write("store", STORE.format(package="." if relative else f"{name}."))

    def write(self, module: str, text: str) -> None:
        (self.folder / f"{module}.py").write_text(text)

    def edit(self, module: str, old: str, new: str) -> None:
        text = (self.folder / f"{module}.py").read_text()
        assert old in text
        self.write(module, text.replace(old, new))

    @property
    def store(self) -> type[Toy]:
        """As a new process imports it."""
        for name in [name for name in sys.modules if name.split(".")[0] == self.name]:
            del sys.modules[name]
        importlib.invalidate_caches()
        found: type[Toy] = importlib.import_module(f"{self.name}.store").Store
        return found

    def fields(self) -> list[str]:
        return [field.name for field in self.store().build().schema.numeric]


@pytest.fixture(params=[False, True], ids=["absolute", "relative"])
def package(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # an edit of the same size within a second would not be seen
    return Package(tmp_path, f"edited_{'relative' if request.param else 'absolute'}", relative=request.param)


def test_arrays_follow_an_edit_of_the_reader(package: Package) -> None:
    assert package.fields() == ["price", "age", "width", "weight", "height"]
    package.edit("store", "for name in NUMERIC}", "for name in NUMERIC[:1]}")
    assert package.fields() == ["price"]


def test_arrays_follow_an_edit_of_what_the_reader_imports(package: Package) -> None:
    assert len(package.fields()) == 5
    package.edit("parsing", '"price", "age", "width", "weight", "height"', '"price",')
    assert package.fields() == ["price"]


def test_comments_docstrings_and_the_rest_of_the_package_leave_the_cache(package: Package) -> None:
    before = reader_digest(package.store)
    package.edit("store", '"""A store."""', '"""A store of books."""\n\n    # what it sells')
    package.edit("parsing", '"""How a line is parsed."""', "")
    package.write("model", "WIDTH = 64")
    assert reader_digest(package.store) == before


def test_a_base_class_of_another_package_counts(package: Package) -> None:
    before = reader_digest(package.store)
    package.edit("store", "(Toy)", "(Toy, Base)")
    package.edit("store", "class Store", "class Base:\n    rows = 8\n\n\nclass Store")
    assert reader_digest(package.store) != before
    assert reader_digest(Toy) != before


def test_every_built_in_reader_has_a_digest_of_its_own() -> None:
    digests = {reader_digest(datasets.get(name)) for name in datasets.names()}
    assert len(digests) == len(datasets.names())


def test_a_process_hashes_a_reader_once(package: Package) -> None:
    store = package.store
    before = reader_digest(store)
    package.edit("parsing", '"price", ', "")
    assert reader_digest(store) == before  # this process still runs the old code


def test_a_module_that_has_not_changed_is_parsed_once(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    before = reader_digest(package.store)
    parsed: list[bytes | str] = []
    monkeypatch.setattr(_reader, "_parsed", lambda source: parsed.append(source) or ast.parse(source))
    assert reader_digest(package.store) == before  # its class is another: it was imported again
    assert parsed == []
    package.edit("parsing", '"price", ', "")
    assert reader_digest(package.store) != before
    assert len(parsed) == 1


def test_a_cache_that_cannot_be_written_parses_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "file" / "cache"))
    reader_digest.cache_clear()
    assert len(reader_digest(Toy)) == 64


def test_a_script_is_followed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    environment = os.environ | {"MTLBENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(Path(__file__).parents[3])}

    def fields() -> str:
        done = subprocess.run(
            [sys.executable, script], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    text = STORE.format(package="").replace("from parsing import NUMERIC", "NUMERIC = ('price', 'age')")
    script.write_text(text + "\n\nprint(len(Store().build().schema.numeric))\n")
    assert fields() == "2"
    script.write_text(script.read_text().replace("'price', 'age'", "'price',"))
    assert fields() == "1"


def test_methods_of_a_class_without_a_file_count() -> None:
    def first(self: Toy) -> int:
        return 1

    def second(self: Toy) -> int:
        return 2

    digests = {
        reader_digest(type("Typed", (Toy,), {"__module__": "typed_at_a_prompt", "read": read}))
        for read in (first, second)
    }
    assert len(digests) == 2


def test_the_fingerprint_is_of_the_data_and_not_of_the_code(package: Package) -> None:
    before = package.store().build().fingerprint
    package.edit("store", "np.arange(8.0)", "np.arange(0.0, 8.0)")
    assert package.store().build().fingerprint == before
    assert len(list((package.folder.parent / "cache" / "prepared").iterdir())) == 2
    assert prepare(Toy(), read=table).fingerprint != before
