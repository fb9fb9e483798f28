"""Any record: written, read, packed and unpacked, it is the same, and its file has the same bytes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark import Record, load_record, load_records
from benchmark.records.packing import pack, show, unpack
from tests.benchmark.reporting import fabricate

TEXT = st.text(max_size=20)  # any, control characters and line breaks among them
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
METHODS = st.sampled_from(sorted(fabricate.METHODS))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A fabricated record with other numbers, and any text where a record has some."""
    status = draw(st.sampled_from(["finished", "diverged", "failed"]))
    record = fabricate.record(
        draw(st.sampled_from(["videos", "shop"])), draw(METHODS), draw(st.integers(0, 10**6)),
        status=status, num_epochs=draw(st.integers(1, 3)), options=draw(st.dictionaries(st.sampled_from("ab"), PLAIN)),
    )  # fmt: skip
    for entry in record.epochs:
        entry["train_losses"] = {task: draw(NUMBER) for task in entry["train_losses"]}
    record.environment |= {"command": draw(TEXT), "platform": draw(TEXT)}
    record.dataset["facts"] = {"protocol": draw(TEXT), draw(TEXT): draw(PLAIN)} if record.dataset else {}
    record.undefined = draw(st.dictionaries(TEXT, TEXT, max_size=2))
    if status == "failed":
        record.error = {"type": "ValueError", "message": draw(TEXT), "traceback": draw(TEXT)}
    return record


def as_read(value: Any) -> Any:
    """JSON has lists where a configuration has tuples."""
    if isinstance(value, dict):
        return {key: as_read(inner) for key, inner in value.items()}
    return [as_read(inner) for inner in value] if isinstance(value, list | tuple) else value


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(made=st.lists(records(), min_size=1, max_size=3, unique_by=lambda record: record.path("")))
def test_a_record_survives_every_way_it_is_kept(made: list[Record]) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place)
        paths = [record.write(folder) for record in made]
        for record, path in zip(made, paths, strict=True):
            read = load_record(path)
            assert all(getattr(read, key) == as_read(getattr(record, key)) for key in record.__slots__)
        whole, written = load_records(folder), {path: path.read_bytes() for path in paths}
        assert sum(pack(folder).values()) == len(made)
        assert not any(path.exists() for path in paths)
        assert load_records(folder) == whole
        assert all(load_record(path).id == record.id for path, record in zip(paths, made, strict=True))
        assert show(folder, made[0].id)["id"] == made[0].id
        unpack(folder)
        assert {path: path.read_bytes() for path in paths} == written
