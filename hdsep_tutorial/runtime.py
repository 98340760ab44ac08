"""Where the network runs and how: device, precision, and the memory that it takes and keeps.

The number of threads stays torch's own, one for each core. To run two chunks at once with one
thread each took twice the memory and was no faster (`benchmarks/RESULTS.md`).
"""

import contextlib
import ctypes
import math
import platform
import sys
from collections.abc import Iterator

import torch
from torch import nn

PRECISIONS = ("float32", "bfloat16")
_CPU_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16")  # as x86 and Arm call it


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


def pick_precision(device: torch.device | str, precision: str = "auto") -> str:
    """Choose the precision of the network: bfloat16 where the hardware computes in it.

    Args:
        device: where the network runs.
        precision: "auto", or "float32" or "bfloat16", which are returned as they are.

    Returns:
        "float32" or "bfloat16".

    Raises:
        ValueError: the precision is unknown.

    Example:
        >>> pick_precision("cpu", "float32")
        'float32'

    Lesson: 12_making_it_fast
    """
    if precision in PRECISIONS:
        return precision
    if precision != "auto":
        raise ValueError(
            f"precision is {precision!r}, expected one of auto, {', '.join(PRECISIONS)}"
        )
    kind = torch.device(device).type
    if kind == "cuda":
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_it = kind == "cpu" and any(map(torch.cpu.get_capabilities().get, _CPU_BFLOAT16))
    return "bfloat16" if has_it else "float32"


def forecast(
    model: nn.Module,
    length_s: float,
    *,
    sample_rate: int = 44_100,
    segment_s: float = 10.0,
    overlap_s: float = 1.0,
    batch_size: int = 1,
    precision: str = "float32",
) -> int:
    """Say how much memory `separate_sources` will take on a CPU, before it starts.

    The stems take 8 bytes for each sample of each source. The network takes one and a half
    times its weights, which `fast_network` copies, and what the chunks that run at once need,
    whatever the length of the song: a part for their spectrograms and a part that grows with
    the width of the network, as measured with networks of 16 and 48 channels.

    Args:
        model: torchaudio's Hybrid Demucs, or what `fast_network` makes of it.
        length_s: of the song in seconds.
        sample_rate: this and what follows as for `separate_sources`.
        segment_s: length of a chunk in seconds, at most.
        overlap_s: of neighbouring chunks, from 0 to below segment_s.
        batch_size: chunks that run at once.
        precision: "float32", "bfloat16" or "auto".

    Returns:
        Bytes beyond what the process holds now, at the peak; right within 20 % for the peak.

    Raises:
        ValueError: the model is no Hybrid Demucs, the precision is unknown, or the overlap is not
            shorter than the segment.

    Lesson: 12_making_it_fast
    """
    if not hasattr(model, "channels"):
        raise ValueError(f"model is {type(model).__name__}, expected a Hybrid Demucs")
    if not 0 <= overlap_s < segment_s:
        raise ValueError(
            f"overlap_s is {overlap_s}, expected from 0 to below segment_s = {segment_s}"
        )
    size = 2 if pick_precision("cpu", precision) == "bfloat16" else 4  # bytes of a number
    weights = size * sum(weight.numel() for weight in model.parameters())
    stems = 8 * len(model.sources) * round(length_s * sample_rate)
    each_second = 22e6 + size * 0.25e6 * model.channels
    count = max(1, math.ceil((length_s - overlap_s) / (segment_s - overlap_s)))
    chunk_s = (length_s - overlap_s) / count + overlap_s  # all chunks are equally long
    return round(stems + 1.5 * weights + batch_size * chunk_s * each_second)


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
def lend(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Lend a model to a device for inference, and leave it as it was found.

    Lesson: 06_whole_song
    """
    parameter = next(iter(model.parameters()), None) if isinstance(model, nn.Module) else None
    if parameter is None:
        yield
        return
    home, modes = parameter.device, {module: module.training for module in model.modules()}
    try:
        model.to(device).eval()
        yield
    finally:
        model.to(home)
        for module, training in modes.items():
            module.training = training


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
