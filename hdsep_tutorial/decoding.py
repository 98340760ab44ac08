"""Bytes become samples: one way to read every sound file, block by block, from any frame on.

soundfile decodes what it can; PyAV decodes the rest (m4a, webm, wma, the sound track of a video),
more than two channels, whose names only it knows, and MP3, of which libsndfile 1.2.2 loses the
tail where no tag gives the length. OGG is shared out: libsndfile seeks hundreds of samples past
the mark in the last page of a file, and FFmpeg is 128 samples off where that is the only page.
"""

import codecs
import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer

END = 2**62  # a frame number beyond every file
_SMALL_OGG = 2**20  # bytes; below, soundfile reads it from its beginning; above, PyAV seeks
_PREROLL_S = 0.5  # a packet of a lossy format is exact only after some of those before it


@dataclass(frozen=True)
class Source:
    """An open sound file: mono, stereo or 5.1 (left, right, centre, LFE, left and right surround).

    `promised` is its length in frames by its header, None where that does not say; `blocks(first,
    last)` yields the frames from `first` up to `last` as float32 (n, channels).
    """

    rate: int
    channels: int
    promised: int | None
    blocks: Callable[[int, int], Iterator[np.ndarray]]


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file with soundfile, or with PyAV where soundfile cannot, and close it afterwards.

    Args:
        path: a sound file, or a video with a sound track.

    Yields:
        The open Source. Its `blocks` refuse a damaged file; an MP3 or WAV that was cut off just
        ends before the promised frames.

    Raises:
        FileNotFoundError, OSError: the file is not there or may not be read.
        ValueError: it holds no sound, or other channels than mono, stereo or 5.1.

    Lesson: 06_whole_song
    """
    head = _first_bytes(path)
    file = _open_soundfile(path, head)
    promised = file and _frames_in_header(file)
    if file and file.channels <= 2:
        with file:
            blocks = partial(_soundfile_blocks, path, file)
            yield Source(file.samplerate, file.channels, promised, blocks)
        return
    with _open_av(path, head) as container:
        stream = container.streams.audio[0]
        channels, layout = stream.layout.nb_channels, stream.layout.name
        if channels > 2 and layout not in ("5.1", "5.1(side)", "6 channels"):
            name = "" if layout == f"{channels} channels" else f" ({layout})"
            raise ValueError(
                f"{path} has {channels} channels{name}, expected mono, stereo or 5.1: "
                "mix it down to stereo in an audio editor first"
            )
        promised = promised or _frames_in_container(path, container)
        yield Source(stream.rate, channels, promised, partial(_av_blocks, path, container))


def _first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, or say in one sentence why it cannot hold sound."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, expected a sound file: name a file in it")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        sentence = f"{path} cannot be read ({error.strerror}): check its name and permissions"
        raise type(error)(sentence) from None
    if not head:
        raise ValueError(f"{path} is empty (0 bytes), expected a sound file: copy it again")
    return head


def _open_soundfile(path: Path, head: bytes) -> sf.SoundFile | None:
    """Return None where soundfile cannot read a file, or not as well as PyAV."""
    if _is_mp3(path, head):
        return None
    try:
        file = sf.SoundFile(path)
    except (sf.SoundFileError, TypeError):  # TypeError: the suffix .raw makes it ask for a rate
        return None
    is_large_ogg = file.format == "OGG" and path.stat().st_size > _SMALL_OGG
    has_length = 0 < file.frames < END  # not so if it was written into a pipe
    return file if has_length and not is_large_ogg else None


def _is_mp3(path: Path, head: bytes) -> bool:
    in_sync = len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0
    return path.suffix.lower() == ".mp3" or head.startswith(b"ID3") or in_sync


def _frames_in_header(file: sf.SoundFile) -> int:
    """Return the frames that the header promises; `file.frames` are those that are there.

    libsndfile's log names both. A program that writes into a pipe leaves 0xFFFFFFFF or 0x7FFFF…
    """
    log = file.extra_info
    if frames := re.search(r"Frames +: (\d+)", log):  # AIFF, RF64
        return int(frames[1])
    size = re.search(r"\ndata : (\d+) \(should be (\d+)\)", log)  # WAV, in bytes
    if not size or int(size[1]) >> 12 in (0xFFFFF, 0x7FFFF):
        return file.frames
    return file.frames * int(size[1]) // int(size[2])


def _soundfile_blocks(
    path: Path, file: sf.SoundFile, first: int, last: int
) -> Iterator[np.ndarray]:
    """Yield the frames from `first` up to `last` as float32 (n, channels) blocks."""
    last = min(last, file.frames)
    try:
        if file.format == "FLAC" and first < last:  # cut off: say so before any work is done
            file.seek(last - 1)
            file.read(1)
        begin = 0 if file.format == "OGG" else min(first, last)
        file.seek(begin)
        for at in range(begin, last, 65_536):
            block = file.read(min(65_536, last - at), dtype="float32", always_2d=True)
            yield block[max(0, first - at) :]
    except sf.LibsndfileError:
        raise ValueError(_damaged(path, _readable(path) / file.samplerate)) from None


def _readable(path: Path) -> int:
    """Count the frames before the first damage."""
    frames = 0
    with sf.SoundFile(path) as file, contextlib.suppress(sf.LibsndfileError):
        while block := len(file.read(4096)):
            frames += block
    return frames


def _damaged(path: Path, seconds: float) -> str:
    return (
        f"{path} is damaged or cut off, only its first {seconds:.1f} s can be read: get it again, "
        "or pass a stop_s below that"
    )


@contextlib.contextmanager
def _open_av(path: Path, head: bytes) -> Iterator["InputContainer"]:
    """Open a file that has a sound track with FFmpeg's decoders."""
    import av

    expected = "expected a sound file, or a video with sound: fetch or export it again"
    if _is_text(head):
        raise ValueError(f"{path} is a text or a web page, {expected}")
    try:
        container = av.open(f"file:{path}")
    except av.FFmpegError:
        raise ValueError(f"{path} is in no format that can be decoded, {expected}") from None
    with container:
        if not container.streams.audio or not container.streams.audio[0].rate:
            raise ValueError(f"{path} has no sound track, {expected}")
        yield container


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False


def _frames_in_container(path: Path, container: "InputContainer") -> int | None:
    """Return the length where the file tells it, None where FFmpeg only estimates it."""
    stream = container.streams.audio[0]
    if not stream.duration:
        return None
    frames = round(stream.duration * stream.time_base * stream.rate)
    if container.format.name == "mp3":
        packets = _packets_in_mp3_tag(path)
        return packets and min(frames, packets * (1152 if stream.rate >= 32_000 else 576))
    return frames if _is_mp4(container) else None


def _is_mp4(container: "InputContainer") -> bool:
    return container.format.name.startswith("mov")  # "mov,mp4,m4a,3gp,3g2,mj2"


def _packets_in_mp3_tag(path: Path) -> int | None:
    """Return what the Xing or Info tag says, in the first packet, behind the ID3 tag."""
    with path.open("rb") as file:
        head = file.read(10)
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte
        file.seek(10 + size if head.startswith(b"ID3") else 0)
        tag = re.search(rb"(?:Xing|Info)...([\x00-\xff])(.{4})", file.read(2048), re.DOTALL)
    return int.from_bytes(tag[2]) if tag and tag[1][0] & 1 else None


def _av_blocks(
    path: Path, container: "InputContainer", first: int, last: int
) -> Iterator[np.ndarray]:
    """Yield the frames from `first` up to `last` as float32 (n, channels) blocks."""
    import av

    stream = container.streams.audio[0]
    if _is_mp4(container) and stream.duration:  # the last AAC packet is filled up with silence
        last = min(last, _frames_in_container(path, container))
    at = _seek(container, first)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            if container.format.name == "mp3":  # its end, or the tag of a file joined to it
                continue
            raise ValueError(_damaged(path, (at or first) / stream.rate)) from None
        for frame in frames:
            if at is None:
                at = round((frame.pts - (stream.start_time or 0)) * stream.time_base * stream.rate)
            block = _as_float(frame)
            yield block[max(0, first - at) : max(0, last - at)]
            at += len(block)
        if at is not None and at >= last:
            return


def _seek(container: "InputContainer", first: int) -> int | None:
    """Go to shortly before a frame; None where the next packet must tell which frame comes.

    Formats whose time stamps are coarser than a sample (webm, wma) are read from the beginning.
    """
    stream = container.streams.audio[0]
    exact = container.format.name in ("mp3", "ogg", "wav", "flac") or _is_mp4(container)
    before_s = first / stream.rate - _PREROLL_S
    if before_s <= 0 or not exact or stream.time_base * stream.rate > 1:
        return 0
    container.seek(int(before_s / stream.time_base) + (stream.start_time or 0), stream=stream)
    return None


def _as_float(frame: "AudioFrame") -> np.ndarray:
    """Return a decoded frame as float32 (n, channels), integers scaled to ±1."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(frame.samples, -1)
    if samples.dtype.kind in "iu":
        samples = samples / 2.0 ** (8 * samples.itemsize - 1) - (samples.dtype.kind == "u")
    return samples.astype(np.float32)
