"""A waveform becomes a file, whole or not at all: stems of one song, written block by block.

Samples first go to hidden float32 files beside their targets; only when all is well do these get
their final format and name. So a common gain can be found, and no half file is ever left behind.
"""

import errno
import math
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import numpy as np
import soundfile as sf
import torch
from torch import Tensor

# name: suffix, container and coding (soundfile's words), bits of an integer sample
FORMATS = {
    "wav": (".wav", "WAV", "FLOAT", None),
    "wav24": (".wav", "WAV", "PCM_24", 24),
    "wav16": (".wav", "WAV", "PCM_16", 16),
    "flac": (".flac", "FLAC", "PCM_24", 24),
    "mp3": (".mp3", "MP3", "MPEG_LAYER_III", None),
    "ogg": (".ogg", "OGG", "VORBIS", None),
}
_MP3_RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_RIFF_LIMIT = 2**32 - 1024  # bytes of samples; above it a WAV is written as RF64 (EBU Tech 3306)
_BLOCK = 65_536  # frames; libsndfile crashes on one long write of OGG


def save_audio(
    path: str | Path, waveform: Tensor, sample_rate: int, *, format: str | None = None
) -> Path:
    """Write a waveform to a file.

    Args:
        path: file to write; its folder is made if it is missing, an older file is replaced.
        waveform: float (2, time), finite. Beyond ±1 it is kept in "wav", and turned down in the
            other formats, with a warning that names the gain.
        sample_rate: in Hz.
        format: one of FORMATS; None takes it from the suffix (".wav": float32).

    Returns:
        The path.

    Raises:
        ValueError: the waveform is not a finite (2, time), or the format does not fit.
        OSError: the file cannot be written; nothing is left behind.

    Lesson: 04_first_separation
    """
    path = Path(path)
    format = path.suffix.lower().removeprefix(".") if format is None else format
    _check_format(format, sample_rate)
    if path.suffix.lower() != FORMATS[format][0]:
        raise ValueError(f"{path} does not end in {FORMATS[format][0]}, expected for {format!r}")
    with StemWriter({path.name: path}, sample_rate, format) as writer:
        writer.write({path.name: waveform})
    return path


def save_stems(
    folder: str | Path, stems: dict[str, Tensor], sample_rate: int, *, format: str = "wav"
) -> dict[str, Path]:
    """Write the stems of a song, each to its own file, all at one common gain.

    Args:
        folder: where to; made if it is missing. Other files in it stay.
        stems: waveforms (2, time) by name.
        sample_rate: in Hz.
        format: one of FORMATS.

    Returns:
        The path of each stem, `folder/name.suffix`.

    Raises:
        ValueError, OSError: as `save_audio`; then no stem is written.

    Lesson: 04_first_separation
    """
    with stem_writer(folder, list(stems), sample_rate, format=format) as writer:
        writer.write(stems)
    return writer.paths


def stem_writer(
    folder: str | Path, names: list[str], sample_rate: int, *, format: str = "wav"
) -> "StemWriter":
    """Open files for stems that are written block by block.

    Args:
        folder: where to; made if it is missing.
        names: of the stems.
        sample_rate: in Hz.
        format: one of FORMATS.

    Returns:
        A context manager with `write(blocks)` and `paths`. The files appear together when the
        `with` block ends, and not at all when it is left by an error or an interrupt.

    Raises:
        ValueError: unknown format, or a rate that it cannot have.
        OSError: the folder cannot be written.

    Lesson: 06_whole_song
    """
    _check_format(format, sample_rate)
    paths = {name: Path(folder) / f"{name}{FORMATS[format][0]}" for name in names}
    return StemWriter(paths, sample_rate, format)


class StemWriter:
    """Files that appear together or not at all; made by `stem_writer`."""

    def __init__(self, paths: dict[str, Path], sample_rate: int, format: str) -> None:
        self.paths = paths
        self._sample_rate, self._format = sample_rate, format
        self._frames, self._peak = 0, 0.0
        self._files = {}

    def __enter__(self) -> Self:
        try:
            for name, path in self.paths.items():
                with _one_sentence(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if path.is_dir():
                        raise IsADirectoryError(errno.EISDIR, "a folder has this name")
                    self._files[name] = _hidden(path, "part").open("wb")
                    self._files[name].write(_wav_header(self._sample_rate, 0))
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            self._discard()

    def write(self, blocks: dict[str, Tensor]) -> None:
        """Append to every stem its next waveform (2, n), once all of them are found to be good."""
        if set(blocks) != set(self.paths):
            raise ValueError(f"got stems {', '.join(blocks)}, expected {', '.join(self.paths)}")
        lengths = {self._check(name, block) for name, block in blocks.items()}
        if len(lengths) != 1:
            raise ValueError(f"the stems have {sorted(lengths)} samples, expected equal lengths")
        for name, block in blocks.items():
            for piece in block.detach().split(_BLOCK, dim=1):
                samples = piece.T.to("cpu", torch.float32).contiguous().numpy()
                with _one_sentence(self.paths[name]):
                    self._files[name].write(samples.astype("<f4", copy=False))
        self._frames += lengths.pop()

    def _check(self, name: str, block: Tensor) -> int:
        """Return the length of a block that can be written, and note its peak."""
        if block.ndim != 2 or block.shape[0] != 2:
            raise ValueError(
                f"{name} has shape {tuple(block.shape)}, expected (2, time): "
                "load_audio makes mono files stereo"
            )
        if block.numel():
            low, high = block.detach().float().aminmax()
            if not (low.isfinite() and high.isfinite()):  # NaN in an MP3 would end the process
                bad = self._frames + int((~block.float().isfinite()).any(dim=0).int().argmax())
                raise ValueError(
                    f"{name} has a NaN or infinite sample at {bad / self._sample_rate:.3f} s, "
                    "expected finite ones: nothing was written"
                )
            self._peak = max(self._peak, -low.item(), high.item())
        return block.shape[1]

    def _publish(self) -> None:
        """Give every file its header, format and name."""
        if not self._frames:
            raise ValueError(f"no samples for {', '.join(self.paths)}, expected at least one")
        gain = self._common_gain()
        for name, path in self.paths.items():
            with _one_sentence(path):
                self._files[name].seek(0)
                self._files[name].write(_wav_header(self._sample_rate, self._frames))
                self._files[name].close()
                if self._format != "wav":
                    _encode(path, self._format, gain)
        for path in self.paths.values():
            with _one_sentence(path):
                os.replace(_hidden(path, "part"), path)

    def _common_gain(self) -> float:
        """Return the one factor that keeps every stem of the song below clipping."""
        if self._format == "wav" or self._peak <= 1:
            return 1.0
        gain = 0.999 / self._peak
        warnings.warn(
            f"a peak of {self._peak:.2f} would clip in {self._format!r}: everything was turned "
            f"down by {-20 * math.log10(gain):.2f} dB, by one common gain",
            stacklevel=4,
        )
        return gain

    def _discard(self) -> None:
        """Close and remove whatever is still temporary."""
        for file in self._files.values():
            with suppress(OSError):
                file.close()
        for path in self.paths.values():
            for role in ("part", "encoded"):
                with suppress(OSError):
                    _hidden(path, role).unlink()


def _check_format(format: str, sample_rate: int) -> None:
    if format not in FORMATS:
        raise ValueError(f"the format {format!r} is unknown, expected one of {', '.join(FORMATS)}")
    if format == "mp3" and sample_rate not in _MP3_RATES:
        raise ValueError(f"MP3 cannot have {sample_rate} Hz: use flac, or one of {_MP3_RATES}")


def _hidden(path: Path, role: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{role}")


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """Turn whatever writing a file can raise into one sentence."""
    try:
        yield
    except (OSError, sf.SoundFileError, AssertionError) as error:
        kind = type(error) if isinstance(error, OSError) else OSError
        why = getattr(error, "strerror", None) or "the disk is full or fails"
        raise kind(f"{path} cannot be written ({why}): make room or use another folder") from None


def _wav_header(sample_rate: int, frames: int) -> bytes:
    """Return the 94 bytes before the samples of a float32 stereo WAV, which is RF64 above 4 GB.

    Source: RFC 2361 (WAVE format 3, IEEE float); EBU Tech 3306 (RF64).
    """
    data, most = 8 * frames, 2**32 - 1
    sizes = (data + 86, data, frames, 0)
    if data < _RIFF_LIMIT:
        start = struct.pack("<4sI4s4sI28x", b"RIFF", data + 86, b"WAVE", b"JUNK", 28)
    else:
        start = struct.pack("<4sI4s4sI3QI", b"RF64", most, b"WAVE", b"ds64", 28, *sizes)
        data, frames = most, most
    coding = (b"fmt ", 18, 3, 2, sample_rate, 8 * sample_rate, 8, 32, 0)
    rest = (b"fact", 4, frames, b"data", data)
    return start + struct.pack("<4sIHHIIHHH", *coding) + struct.pack("<4sII4sI", *rest)


def _encode(path: Path, format: str, gain: float) -> None:
    """Replace the float32 file of `path` by one in its final format, times `gain`."""
    _, container, coding, bits = FORMATS[format]
    part, encoded = _hidden(path, "part"), _hidden(path, "encoded")
    with sf.SoundFile(part) as source:
        frames, rate = source.frames, source.samplerate
        if container == "WAV" and frames * bits // 4 > _RIFF_LIMIT:
            container = "RF64"
        quality = None if bits else 0.1  # of 0, the best, to 1
        with sf.SoundFile(
            encoded, "w", rate, 2, coding, format=container, compression_level=quality
        ) as target:
            for block in source.blocks(_BLOCK, dtype="float32"):
                target.write(_rounded(block * np.float32(gain), bits) if bits else block * gain)
    with sf.SoundFile(encoded) as file:  # a disk that fills up at the very end is not reported
        file.seek(file.frames - 1)
        if file.frames != frames or not len(file.read(1)):
            raise OSError(errno.ENOSPC, "its end is missing, the disk is full")
    os.replace(encoded, part)


def _rounded(block: np.ndarray, bits: int) -> np.ndarray:
    """Round to integers of `bits` bits in the upper part of int32; libsndfile would truncate."""
    full_scale = 2.0 ** (bits - 1)
    rounded = np.rint(block * full_scale).clip(-full_scale, full_scale - 1)
    return rounded.astype(np.int32) << (32 - bits)
