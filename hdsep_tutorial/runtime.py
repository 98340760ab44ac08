"""Where the network runs and how: device, precision and the memory that is kept."""

import contextlib
import ctypes
import platform
import sys
from collections.abc import Iterator

import torch

PRECISIONS = ("float32", "bfloat16")


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """Choose the device of the network: the one asked for, else a CUDA GPU, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" or None.

    Returns:
        A device that is there.

    Raises:
        ValueError: the device is unknown, or this machine does not have it.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')

    Lesson: 04_first_separation
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device is {name!r}, expected cpu, cuda, cuda:0 or mps") from None
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise ValueError(f"device {name!r} is not on this machine: leave it out to use the CPU")
    return device


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Return the context in which the network computes.

    Args:
        device: where the network runs.
        precision: "float32", the arithmetic in which the weights were trained, or "bfloat16",
            which halves the time on hardware that has it and adds an error of about −40 dB.

    Raises:
        ValueError: the precision is unknown.

    Lesson: 06_whole_song
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextlib.contextmanager
def keep_memory() -> Iterator[None]:
    """Let glibc keep large blocks instead of returning them to the kernel after each operation.

    A chunk of song makes tensors above 32 MB, which glibc unmaps when they are freed and faults
    in again, page by page, for the next operation. The arithmetic is not touched. Wrap a whole
    song, not a chunk: the first chunk pays for the pages once. Elsewhere than on glibc it does
    nothing.

    Lesson: 06_whole_song
    """
    libc = None
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)  # M_MMAP_MAX: large blocks come from the heap ...
        libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: ... and the heap is kept
    try:
        yield
    finally:
        if libc is not None:
            libc.mallopt(-4, 65_536)  # glibc's defaults
            libc.mallopt(-1, 128 * 1024)
            libc.malloc_trim(0)
