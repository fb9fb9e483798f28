"""Freed memory stays with the process."""

from __future__ import annotations

import platform

from benchmark.memory import keep_freed_memory


def test_glibc_takes_the_thresholds_and_nobody_else_is_asked() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
