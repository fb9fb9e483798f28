"""Freed memory stays with the process."""

from __future__ import annotations

import pytest
import torch

from benchmark.memory import keep_freed_memory


def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    if not keep_freed_memory():
        pytest.skip("needs glibc")
    import resource

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.ones(4 << 20)  # 16 MiB: 4,096 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    faults()
    assert faults() < 4096
