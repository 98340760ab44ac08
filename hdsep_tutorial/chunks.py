"""The chunk plan: where a song is cut, and the weights that join the pieces without a seam.

The network hears about ten seconds at a time. A song is therefore cut into chunks that overlap,
each chunk is separated by itself, and the results are faded into each other with weights that
sum to 1 at every sample.
"""

from bisect import bisect_left
from typing import NamedTuple

import torch
from torch import Tensor


class Plan(NamedTuple):
    """Chunks of a song as (start, stop) in samples, and the overlap in samples."""

    chunks: list[tuple[int, int]]
    overlap: int


def chunk_plan(length: int, segment: int, overlap: int) -> list[tuple[int, int]]:
    """Cut a song into chunks of equal length that overlap.

    The last chunk is moved back so that it ends with the song: it keeps a full segment of real
    context, and all chunks can share a batch. A song that fits into one segment is one chunk.

    Args:
        length: of the song, in samples, at least 1.
        segment: of a chunk, in samples, at least 1.
        overlap: of neighbouring chunks, in samples, from 0 to segment - 1.

    Returns:
        (start, stop) of each chunk in samples; they cover the song without a gap.

    Raises:
        ValueError: a number is out of its range.

    Example:
        >>> chunk_plan(25, segment=10, overlap=2)
        [(0, 10), (8, 18), (15, 25)]

    Lesson: 05_chunks
    """
    if length < 1:
        raise ValueError("the song has no samples: load one that lasts at least one sample")
    if segment < 1:
        raise ValueError(f"segment is {segment} samples, expected at least 1")
    if not 0 <= overlap < segment:
        raise ValueError(
            f"overlap is {overlap} samples, expected 0 to {segment - 1}: it must be shorter than "
            f"the segment of {segment}"
        )
    if length <= segment:
        return [(0, length)]
    starts = [*range(0, length - segment, segment - overlap), length - segment]
    return [(start, start + segment) for start in starts]


def crossfade(length: int, overlap: int) -> Tensor:
    """Return the window of one chunk: a ramp up, a plateau of 1, a ramp down.

    It never reaches 0, so that the sum of all windows can be divided by everywhere.

    Args:
        length: of the chunk, in samples.
        overlap: length of each ramp, in samples.

    Returns:
        (length,) float64 window, above 0 and at most 1.

    Example:
        >>> crossfade(6, overlap=1).tolist()
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.5]

    Lesson: 05_chunks
    """
    index = torch.arange(length, dtype=torch.float64)
    to_edge = torch.minimum(index + 1, length - index)
    return to_edge.clamp(max=overlap + 1) / (overlap + 1)


def chunk_weights(plan: Plan, index: int) -> Tensor:
    """Divide the window of a chunk by the sum of all windows at the same samples.

    Args:
        plan: all chunks of the song, and their overlap.
        index: which chunk.

    Returns:
        (stop - start,) float32 weights; over all chunks they sum to 1 at each sample.

    Example:
        >>> plan = Plan(chunk_plan(25, segment=10, overlap=2), overlap=2)
        >>> round(chunk_weights(plan, 0)[8].item() + chunk_weights(plan, 1)[0].item(), 6)
        1.0

    Lesson: 05_chunks
    """
    start, stop = plan.chunks[index]
    total = torch.zeros(stop - start, dtype=torch.float64)
    window = crossfade(stop - start, plan.overlap)
    first = bisect_left(plan.chunks, (2 * start - stop + 1,))  # all chunks are equally long
    for other, _ in plan.chunks[first : bisect_left(plan.chunks, (stop,))]:
        low, high = max(start, other), min(stop, other + len(window))
        total[low - start : high - start] += window[low - other : high - other]
    return (window / total).float()


def plan_in_seconds(
    length: int, sample_rate: int, segment_s: float, overlap_s: float, *, even: bool = False
) -> Plan:
    """Turn seconds into samples once; from there on everything is an integer.

    Args:
        length: of the song, in samples.
        sample_rate: in hertz.
        segment_s: length of a chunk in seconds, above 0.
        overlap_s: crossfade in seconds, from 0 to below segment_s.
        even: shorten all chunks until as many of them just reach the end. The last one then
            moves back by a few samples at most, and no music is computed twice.

    Raises:
        ValueError: the song is empty or a number is out of its range.

    Example:
        >>> plan_in_seconds(44_100, 44_100, 0.6, 0.1).chunks
        [(0, 26460), (17640, 44100)]
        >>> plan_in_seconds(44_100, 44_100, 0.6, 0.1, even=True).chunks
        [(0, 24255), (19845, 44100)]

    Lesson: 05_chunks
    """
    if not 0 < segment_s < float("inf"):
        raise ValueError(f"segment_s is {segment_s}, expected more than 0 seconds, e.g. 10")
    if not 0 <= overlap_s < segment_s:
        raise ValueError(
            f"overlap_s is {overlap_s}, expected from 0 to below segment_s = {segment_s}"
        )
    segment = max(1, round(segment_s * sample_rate))
    overlap = min(round(overlap_s * sample_rate), segment - 1)
    if even and length > segment:
        count = -(-(length - overlap) // (segment - overlap))  # rounded up
        segment = -(-(length - overlap) // count) + overlap
    return Plan(chunk_plan(length, segment, overlap), overlap)


def shift_offsets(shifts: int, period: int = 1024) -> list[int]:
    """Spread shifts evenly over the period after which the network repeats itself.

    Hybrid Demucs looks at its input every 1024 samples, the hop of its spectrogram and the
    stride of its waveform branch. A song that comes 1024 samples later is separated almost
    alike; one that comes 512 later is not, and the mean of both has a smaller error.

    Args:
        shifts: how many, from 1 to `period`.
        period: in samples.

    Returns:
        By how many samples the input is moved in each run, the first by none.

    Raises:
        ValueError: `shifts` is out of its range or not an integer.

    Example:
        >>> shift_offsets(4)
        [0, 256, 512, 768]

    Lesson: 05_chunks
    """
    if not isinstance(shifts, int) or not 1 <= shifts <= period:
        raise ValueError(f"shifts is {shifts!r}, expected an integer from 1 to {period}, e.g. 2")
    return [run * period // shifts for run in range(shifts)]
