"""What a record says about machine and cost: versions, commit, command, threads, memory."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from architectures.layers import FeatureEmbedding
from benchmark.datasets import Data
from benchmark.embeddings import embedding_parameters
from benchmark.rows import Features
from benchmark.settings.config import RunConfig
from benchmark.training.prediction import unlabelled
from benchmark.training.trainer import Fit

if TYPE_CHECKING:
    from architectures import Architecture


def environment() -> dict[str, Any]:
    """A record's `environment`: versions, machine, command and the time now."""
    commit = _commit()
    return {
        "mtlbench": version("mtlbench"),
        **({} if commit is None else {"commit": commit}),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "command": _command(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


@lru_cache
def _processor() -> str:
    """The model of the processor, and the vector instructions that torch uses on it: the last bit depends on them."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux, where Python knows the architecture only
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"


def _command() -> str:
    program, *arguments = sys.argv  # in a worker, those of the sweep, which the sweeper sends
    name = Path(program).name
    # `mtlbench run` is one word here
    words = ["python", "-m", "benchmark"] if name == "__main__.py" else name.split()
    return shlex.join([*words, *arguments])


@lru_cache
def _commit() -> str | None:
    """The git commit of this code, with `-dirty` if files differ; None outside a checkout."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  no user's words

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # fails if installed within another project's checkout
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


@contextmanager
def limited_threads(number: int) -> Iterator[int]:
    """Inside, torch has this number of threads, or all if 0. Yields the actual number."""
    before = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def device_of(config: RunConfig) -> torch.device:
    """Where a run trains: `auto` is a GPU where there is one."""
    return torch.device(config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """As records have it: `cpu`, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def cost(model: Architecture, fit: Fit, data: Data, threads: int, device: torch.device) -> dict[str, Any]:
    """A record's `cost`: parameters, multiply-adds, time, memory, threads, device."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "embedding_parameters": embedding_parameters(model),
        # rows of lists differ in length, and so in cost
        "multiply_adds": multiply_adds(model, data.train.features.cut(0, 1000 if data.schema.others else 1), device),
        "train_seconds": fit.train_seconds,
        "rows_per_second": fit.rows / fit.train_seconds if fit.train_seconds else None,
        "peak_memory_bytes": _peak_memory(device),
        "threads": threads,
        "device": device_name(device),
    }


def multiply_adds(model: Architecture, features: Features, device: torch.device | str = "cpu") -> int:
    """Multiply-adds per row of all matrix products in `forward`: Linears, experts, gates, and the mixing of experts.

    The first layer counts as the product over the concatenated embeddings, however it is computed. Lookups and
    element-wise operations do not count.

    Args:
        model: On `device`. It is left unchanged.
        features: Features of at least one row; of their values only the lengths of lists matter.
        device: Where to count.
    """
    batch = unlabelled(features.to(device), len(model.schema.tasks), device)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), _Counter() as counter, ExitStack() as stack:
            for module in model.modules():
                if isinstance(module, FeatureEmbedding):
                    stack.enter_context(module.plainly())
            model(batch)
    finally:
        model.train(training)
    return int(counter.operations) // (2 * len(batch))  # a multiply-add is two operations


class _Counter(TorchDispatchMode):
    """Counts as `torch.utils.flop_counter.FlopCounterMode` does, without importing torch's compiler, which takes 1.4 CPU seconds.

    Attributes:
        operations: Those of the products so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to skip it, torch imports it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket not in flop_registry:
            with self:
                result = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if result is NotImplemented else result
        result = func(*args, **kwargs)
        self.operations += flop_registry[func._overloadpacket](*args, **kwargs, out_val=result)
        return result


def reset_peak_memory(device: torch.device) -> None:
    """Resets the peak to the memory in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux


def _peak_memory(device: torch.device) -> int | None:
    """Peak memory since the reset: the GPU's allocations, or the whole process on Linux; otherwise unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
