"""Memory that runs out in one run: said in words, and given back before the next run."""

from __future__ import annotations

import gc

import torch

LESS = "a smaller trainer.batch_size or a smaller model needs less"
_OF_CPU = ("DefaultCPUAllocator: can't allocate memory", "DefaultCPUAllocator: not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Did memory run out, on the CPU or on a GPU? On the CPU torch raises a plain RuntimeError."""
    is_of_cpu = isinstance(error, RuntimeError) and any(text in str(error) for text in _OF_CPU)
    return is_of_cpu or isinstance(error, MemoryError | torch.OutOfMemoryError)


def in_words(error: BaseException) -> str:
    """The message of an error; if memory ran out, one that says so."""
    told = str(error)
    if not is_out_of_memory(error):
        return told
    first = told.partition("\n")[0].partition("DefaultCPUAllocator: ")
    return f"out of memory{': ' if told else ''}{first[2] or first[0]}; {LESS}"


def give_back() -> None:
    """Frees what a failed run holds in cycles, and the GPU's memory that torch keeps."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
