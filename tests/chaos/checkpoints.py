"""Damaged checkpoints: `load` and `mtlbench recommend` refuse them in a line."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import load, save

from benchmark.records.record import Record, load_record
from benchmark.trained import checkpoint
from tests.chaos.sweeps import PAIR, TINY, Reference, here, last_line
from tests.chaos.table import Row


def flipped(content: bytes, random: random.Random, low: int, high: int) -> bytes:
    """One bit of the bytes from `low` to `high` is the other one."""
    changed = bytearray(content)
    changed[random.randrange(low, high)] ^= 1 << random.randrange(8)
    return bytes(changed)


def altered(content: bytes, change: Callable[[torch.Tensor], torch.Tensor], random: random.Random) -> bytes:
    """One tensor is changed, in a file that is otherwise whole."""
    tensors = load(content)
    name = random.choice(sorted(name for name, value in tensors.items() if value.numel() > 1))
    return save(tensors | {name: change(tensors[name].clone())})


def one_nan(tensor: torch.Tensor) -> torch.Tensor:
    """The first value is NaN."""
    tensor.view(-1)[0] = torch.nan
    return tensor


def dropped(content: bytes) -> bytes:
    """The last tensor is missing."""
    tensors = load(content)
    tensors.pop(max(tensors))
    return save(tensors)


def damages(content: bytes, others: dict[str, bytes], random: random.Random) -> Iterator[tuple[str, bytes]]:
    """Damaged checkpoints, by name.

    Args:
        content: The good one.
        others: Good ones of other runs, by what they differ in.
        random: Draws the places.
    """
    header = 8 + int.from_bytes(content[:8], "little")
    for number in range(30):
        yield f"bit {number} of the weights", flipped(content, random, header, len(content))
    for number in range(12):
        yield f"bit {number} of the header", flipped(content, random, 8, header)
    for number in range(3):
        yield f"bit {number} of the header's length", flipped(content, random, 0, 8)
    for number in range(10):
        yield f"truncated {number}", content[: random.randrange(len(content))]
    yield "empty", b""
    yield "without its last byte", content[:-1]
    yield "only the header", content[:header]
    yield "zeros behind it", content + bytes(64)
    yield "all weights zero", content[:header] + bytes(len(content) - header)
    yield "not safetensors", b"PK\x03\x04" + content[4:]
    yield "header of 2**62 bytes", (2**62).to_bytes(8, "little") + content[8:]
    yield "header that is no JSON", content[:8] + b"{" * (header - 8) + content[header:]
    for name, other in others.items():
        yield name, other
    changes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "NaN": lambda tensor: torch.full_like(tensor, torch.nan),
        "one NaN": one_nan,
        "infinite": lambda tensor: torch.full_like(tensor, torch.inf),
        "zero": torch.zeros_like,
        "doubled": lambda tensor: 2 * tensor,
        "a bit off": lambda tensor: tensor.nextafter(torch.tensor(torch.inf)),
        "reversed": lambda tensor: tensor.flip(0),
        "in half precision": lambda tensor: tensor.half(),
        "in double precision": lambda tensor: tensor.double(),
        "of another shape": lambda tensor: tensor.view(-1),
        "of fewer rows": lambda tensor: tensor[:-1].contiguous(),
    }
    for name, change in changes.items():
        yield f"a tensor {name}", altered(content, change, random)
    yield "a tensor missing", dropped(content)
    yield "a tensor too many", save(load(content) | {"model.more": torch.zeros(1)})


def refused(path: Path) -> str | None:
    """What is wrong with how `checkpoint.load` refuses; None if nothing is."""
    try:
        checkpoint.load(path)
    except (ValueError, OSError) as error:
        return None if path.stem in str(error) else f"load does not name the file: {error}"
    except Exception as error:  # noqa: BLE001  whatever it is, it is no error for a user
        return f"load raises {type(error).__name__}: {error}"
    return "load takes it"


def checkpoints(folder: Path, seed: int, count: int = 80) -> Row:
    """Damages one checkpoint in many ways, one after the other.

    Args:
        folder: An empty folder.
        seed: Draws which bits, and which damages if `count` is smaller than their number.
        count: How many damages.
    """
    row, draw = Row("damaged checkpoint"), random.Random(seed)
    reference = Reference.of([*TINY, "architecture=mmoe", "weighting=equal,pcgrad", "seed=0,1"], folder)
    shorter = Reference.of([*PAIR, "trainer.max_epochs=1"], folder / "shorter", reference.cache)
    path, record = run_of(reference, "mmoe/equal", 0)
    others = {
        "another seed's": run_of(reference, "mmoe/equal", 1)[0],
        "another weighting's": run_of(reference, "mmoe/pcgrad", 0)[0],
        "another architecture's": run_of(shorter, "shared_bottom/equal", 0)[0],
        "left by a rerun that was killed": run_of(shorter, "mmoe/equal", 0)[0],
    }
    weights = path.with_suffix(".safetensors")
    good, user = weights.read_bytes(), "3"
    foreign = {name: other.with_suffix(".safetensors").read_bytes() for name, other in others.items()}
    every = list(damages(good, foreign, draw))
    with patch.dict(os.environ, {"MTLBENCH_CACHE": str(reference.cache)}):
        expected = here("recommend", str(path), "--user", user)
        assert expected.returncode == 0, expected.stderr
        for name, content in every if count >= len(every) else draw.sample(every, count):
            weights.write_bytes(content)
            row.injected += 1
            if words := refused(path):
                row.blame("silent", name, words)
            done = here("recommend", str(path), "--user", user)
            if done.returncode != 1 or len(done.stderr.strip().splitlines()) != 1 or record.id not in done.stderr:
                row.blame("silent", name, f"recommend: {last_line(done)}")
                if done.returncode == 0 and done.stdout != expected.stdout:
                    row.blame("changed", name, "recommend shows other items or numbers")
        weights.write_bytes(good)
        if here("recommend", str(path), "--user", user).stdout != expected.stdout:
            row.blame("changed", "the good one again", "recommend shows other items or numbers")
    return row


def run_of(reference: Reference, method: str, seed: int) -> tuple[Path, Record]:
    """The path and the record of one run."""
    found = ((reference.results / path, load_record(reference.results / path)) for path in reference.records)
    return next((path, record) for path, record in found if (record.method, record.seed) == (method, seed))
