"""What the C library does with memory that a training step frees."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# mallopt's parameters, from glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20  # bytes; glibc takes no higher one
MOST_KEPT = 1 << 30


@cache
def keep_freed_memory() -> bool:
    """Asks glibc to keep up to 1 GiB of freed memory for the process. Done once; whether it was.

    A step frees megabytes of activations and gradients, which glibc would give back to the system and take again, zeroed
    page by page, in the next step: some 5 % of the step's time. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(mallopt(M_TRIM_THRESHOLD, MOST_KEPT))
