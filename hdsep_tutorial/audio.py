"""A file becomes a waveform: float32 (2, time) at one rate, whole, in part, or block by block.

The way back, from waveform to file, is in `saving`.
"""

import math
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .decoding import END, Source, open_source

_MARGIN_S = 0.1  # soxr's filter reaches less far than this at 2 kHz and above
_UNNOTICED_S = 0.1  # some MP3 encoders promise a packet too many
# Rows: left, right, centre, LFE (left out), left and right surround. Source: ITU-R BS.775.
_CENTRE = 0.5**0.5
_DOWNMIX_5_1 = np.array(
    [[1, 0], [0, 1], [_CENTRE, _CENTRE], [0, 0], [_CENTRE, 0], [0, _CENTRE]], np.float32
)


def load_audio(
    path: str | Path,
    *,
    sample_rate: int = 44_100,
    start_s: float = 0.0,
    stop_s: float | None = None,
) -> tuple[Tensor, int]:
    """Read a sound file, or a part of it, as a stereo waveform.

    Mono is doubled; 5.1 becomes L + 0.707 C + 0.707 Ls and R + 0.707 C + 0.707 Rs, without the
    low-frequency channel (ITU-R BS.775). Nothing is rescaled: a file beyond ±1 stays beyond ±1.

    Args:
        path: a sound file, or a video with a sound track.
        sample_rate: rate of the result in Hz; another rate in the file is resampled (soxr HQ).
        start_s: first second to read, at least 0.
        stop_s: second to stop at; None, or more than there is, reads to the end.

    Returns:
        The waveform, float32 (2, time), and its sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the path is a folder, or may not be read.
        ValueError: no sound, damaged, NaN or inf samples, a layout other than mono, stereo and
            5.1, or `start_s` beyond the end. A cut MP3 or WAV is read as far as it goes, with one
            warning.

    Lesson: 04_first_separation
    """
    blocks = stream_audio(path, sample_rate=sample_rate, start_s=start_s, stop_s=stop_s)
    return torch.cat(list(blocks), dim=1), sample_rate


def stream_audio(
    path: str | Path,
    *,
    sample_rate: int = 44_100,
    start_s: float = 0.0,
    stop_s: float | None = None,
    block_s: float = 5.0,
) -> Iterator[Tensor]:
    """Yield the samples of `load_audio` block by block, in memory that does not grow.

    Args:
        path: a sound file, or a video with a sound track.
        sample_rate: rate of the blocks in Hz.
        start_s: first second to read, at least 0.
        stop_s: second to stop at; None, or more than there is, reads to the end.
        block_s: seconds per block; the last one may be shorter.

    Yields:
        Waveforms, float32 (2, round(block_s * sample_rate)).

    Raises:
        OSError, ValueError: as `load_audio`, when the first block is asked for or when the fault
            is reached.

    Lesson: 06_whole_song
    """
    path, size = Path(path), round(block_s * sample_rate)
    stop_s = math.inf if stop_s is None else stop_s
    if not 0 <= start_s < stop_s or size < 1:
        raise ValueError(
            f"got start_s={start_s}, stop_s={stop_s}, block_s={block_s}, expected "
            "0 <= start_s < stop_s and a block of at least one sample"
        )
    start = round(start_s * sample_rate)
    stop = END if stop_s == math.inf else max(start + 1, round(stop_s * sample_rate))
    with open_source(path) as source:
        first, last, skip = _frames_to_read(source.rate, sample_rate, start, stop)
        pieces = _checked(path, source, first, last)
        if source.rate != sample_rate:
            pieces = _resampled(pieces, source.rate, sample_rate)
        nothing = True
        for block in _regrouped(pieces, skip, stop - start, size):
            nothing = False
            yield block
    if nothing:
        raise ValueError(_why_nothing(path, start_s))


def clip(
    sound: Tensor | dict[str, Tensor], start_s: float, stop_s: float, *, sample_rate: int = 44_100
) -> Tensor | dict[str, Tensor]:
    """Cut a part out of a waveform, or the same part out of every stem.

    Args:
        sound: waveform (..., time), or stems as a dict of waveforms.
        start_s: first second of the part, at least 0.
        stop_s: second at which the part ends, at most the length of the sound.
        sample_rate: samples per second of `sound`.

    Returns:
        A copy of the part, in the form of `sound`, with round(stop_s * sample_rate) -
        round(start_s * sample_rate) samples.

    Raises:
        ValueError: the sound does not contain the part.

    >>> clip(torch.arange(8.0), 1, 2, sample_rate=3)
    tensor([3., 4., 5.])

    Lesson: 07_against_the_truth
    """
    if isinstance(sound, dict):
        return {
            k: clip(stem, start_s, stop_s, sample_rate=sample_rate) for k, stem in sound.items()
        }
    length_s = sound.shape[-1] / sample_rate
    if not 0 <= start_s < stop_s <= length_s + 0.5 / sample_rate:
        raise ValueError(
            f"got {start_s}–{stop_s} s, expected a part of a sound that lasts {length_s:.2f} s"
        )
    return sound[..., round(start_s * sample_rate) : round(stop_s * sample_rate)].clone()


def _frames_to_read(rate: int, sample_rate: int, start: int, stop: int) -> tuple[int, int, int]:
    """Return the file's first and last frame for a window, and the resampled samples to skip.

    Both rates meet gcd(rate, sample_rate) times a second; only a start at a meeting gives the
    samples that resampling the whole file would give.
    """
    if rate == sample_rate:
        return start, stop, 0
    meetings_per_s = math.gcd(rate, sample_rate)
    before = max(0, start - round(_MARGIN_S * sample_rate))
    meeting = before * meetings_per_s // sample_rate
    first = meeting * rate // meetings_per_s
    last = -(-stop * rate // sample_rate) + round(_MARGIN_S * rate)
    return first, last, start - meeting * sample_rate // meetings_per_s


def _checked(path: Path, source: Source, first: int, last: int) -> Iterator[np.ndarray]:
    """Yield a file's blocks as stereo (n, 2); refuse NaN, and warn where its end is missing."""
    at = first
    for block in source.blocks(first, last):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{path} has a NaN or infinite sample at {(at + finite.argmin()) / source.rate:.3f}"
                " s: export it again, or read around it with start_s and stop_s"
            )
        at += len(block)
        yield _to_stereo(block)
    missing = min(last, source.promised or 0) - at
    if at > first and missing > _UNNOTICED_S * source.rate:
        warnings.warn(
            f"{path} is cut off: read up to {at / source.rate:.1f} s of the "
            f"{source.promised / source.rate:.1f} s that it promises",
            stacklevel=2,
        )


def _to_stereo(block: np.ndarray) -> np.ndarray:
    channels = block.shape[1]
    if channels == 1:
        return np.repeat(block, 2, axis=1)
    return block if channels == 2 else block @ _DOWNMIX_5_1


def _resampled(blocks: Iterable[np.ndarray], rate: int, sample_rate: int) -> Iterator[np.ndarray]:
    """Resample a stream of (n, 2) blocks; where it is cut into blocks does not matter."""
    import soxr

    stream = soxr.ResampleStream(rate, sample_rate, 2, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros((0, 2), np.float32), last=True)


def _regrouped(blocks: Iterable[np.ndarray], skip: int, length: int, size: int) -> Iterator[Tensor]:
    """Leave out `skip` samples, keep the next `length`, and yield them as (2, size) waveforms."""
    buffer, filled = np.empty((size, 2), np.float32), 0
    for block in blocks:
        block, skip = block[skip : skip + length], max(0, skip - len(block))
        length -= len(block)
        while len(block):
            part, block = np.split(block, [size - filled])
            buffer[filled : filled + len(part)] = part
            filled += len(part)
            if filled == size:
                yield torch.from_numpy(buffer.T.copy())
                filled = 0
        if length == 0:
            break
    if filled:
        yield torch.from_numpy(buffer[:filled].T.copy())


def _why_nothing(path: Path, start_s: float) -> str:
    with open_source(path) as source:
        length_s = sum(len(block) for block in source.blocks(0, END)) / source.rate
    if length_s == 0:
        return f"{path} holds no samples, expected at least one: export it again"
    return f"start_s={start_s} is beyond the end of {path}, which lasts {length_s:.2f} s"


class ForwardReader:
    """Any stretch of a stream of (2, n) blocks, as long as it is not before what is forgotten."""

    def __init__(self, blocks: Iterable[Tensor]) -> None:
        self._blocks = iter(blocks)
        self._held = torch.zeros(2, 0)
        self._start = 0

    def read(self, start: int, stop: int) -> Tensor:
        """Return the samples from `start` to `stop`, counted from the start of the stream."""
        parts = [self._held]
        held = self._start + self._held.shape[-1]
        while held < stop:
            parts.append(next(self._blocks))
            held += parts[-1].shape[-1]
        self._held = torch.cat(parts, dim=1)
        return self._held[:, start - self._start : stop - self._start]

    def forget(self, before: int) -> None:
        """Give back the memory of what lies before a sample."""
        self._held = self._held[:, before - self._start :].clone()
        self._start = before


def without_warnings(blocks: Iterator[Tensor]) -> Iterator[Tensor]:
    """Read a stream a second time without repeating what it said the first time."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block = next(blocks, None)
        if block is None:
            return
        yield block
