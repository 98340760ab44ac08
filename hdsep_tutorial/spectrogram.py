"""See sound: the short-time Fourier transform in dBFS, and its picture in seconds and hertz."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANNELS = ("left", "right", "mid", "side")
LOWEST_HZ = {"linear": 0.0, "log": 20.0, "mel": 0.0}
TICKS_HZ = {
    "log": [20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000],
    "mel": [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000],
}
COLOUR_STEP_DB = 3  # smooth to the eye; finer steps double the size of the PNG
FRAMES_AT_ONCE = 64  # they stay in the processor's cache


def stft(waveform: Tensor, *, n_fft: int = 4096, hop_length: int = 1024) -> Tensor:
    """Transform a waveform into a spectrogram: one column per frame, one row per frequency.

    Frame i looks at n_fft samples around sample i · hop_length through a Hann window. Bin k is
    k · sample_rate / n_fft Hz. A full-scale sine at a bin centre has magnitude 1 (0 dBFS).

    Args:
        waveform: (channels, time) or (time,), full scale at ±1.
        n_fft: window in samples, even: long for fine frequency, short for fine time.
        hop_length: step between frames in samples, 1 to n_fft.

    Returns:
        Complex (channels, n_fft // 2 + 1, 1 + time // hop_length).

    Raises:
        ValueError: no samples, NaN, or settings out of range.

    >>> stft(torch.zeros(2, 44_100)).shape
    torch.Size([2, 2049, 44])

    Source: Müller (2021), Fundamentals of Music Processing, section 2.5.
    Lesson: 02_seeing_sound
    """
    sound, window = _padded(waveform, n_fft, hop_length), torch.hann_window(n_fft)
    settings = {"window": window, "center": False, "return_complex": True}
    return torch.stft(sound, n_fft, hop_length, **settings) * (2 / window.sum())


def level_db(spectrum: Tensor, *, floor_db: float = -120.0) -> Tensor:
    """Turn magnitudes into levels: 20 log10 |X|, not below the floor.

    Args:
        spectrum: complex or real, of any shape, as `stft` gives it.
        floor_db: level of silence in dBFS.

    Returns:
        Level in dBFS, same shape.

    >>> level_db(torch.tensor([1.0, 0.1, 0.0]))
    tensor([   0.,  -20., -120.])

    Lesson: 02_seeing_sound
    """
    return (20 * spectrum.abs().log10()).clamp_min(floor_db)  # silence is -inf until here


def select_channel(waveform: Tensor, channel: str) -> Tensor:
    """Choose what to look at: left, right, mid (L + R) / 2, or side (L - R) / 2.

    Args:
        waveform: (2, time); mono (time,) or (1, time) counts as two equal channels.
        channel: "left", "right", "mid" or "side".

    Returns:
        (time,)

    Raises:
        ValueError: another name, or more than two channels.

    >>> select_channel(torch.tensor([[1.0], [0.5]]), "side")
    tensor([0.2500])

    Lesson: 02_seeing_sound
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel is {channel!r}, expected one of {', '.join(CHANNELS)}")
    if waveform.dim() > 2 or (waveform.dim() == 2 and len(waveform) > 2):
        raise ValueError(f"waveform has shape {tuple(waveform.shape)}, expected (2, time)")
    left, right = waveform.expand(2, -1)
    if channel in ("left", "right"):
        return left if channel == "left" else right
    return (left + right) / 2 if channel == "mid" else (left - right) / 2


def column_power(waveform: Tensor, *, columns: int, n_fft: int, hop_length: int) -> Tensor:
    """Average the power of neighbouring frames into the columns of a picture.

    Only a block of frames exists at a time: hop 4 needs as little memory as hop 1024.

    Args:
        waveform: (time,).
        columns: of the picture; where there are fewer frames, each has a column of its own.
        n_fft: window in samples, even.
        hop_length: step between frames in samples, 1 to n_fft.

    Returns:
        Mean of |X|² per column, (n_fft // 2 + 1, columns); 1 is a full-scale sine.

    Raises:
        ValueError: see `stft`; or there are no columns.

    Lesson: 02_seeing_sound
    """
    if columns < 1:
        raise ValueError(f"columns is {columns}, expected 1 or more")
    frames = _padded(waveform, n_fft, hop_length).unfold(0, n_fft, hop_length)
    columns = min(columns, len(frames))
    edges = [len(frames) * column // columns for column in range(columns + 1)]
    window = torch.hann_window(n_fft)
    window *= 2 / window.sum()
    power = torch.zeros(columns, n_fft + 2)  # of real and imaginary parts in turn
    with one_thread():
        for column, (first, last) in zip(power, pairwise(edges), strict=True):
            for block in frames[first:last].split(FRAMES_AT_ONCE):
                spectrum = torch.view_as_real(torch.fft.rfft(block * window))
                column += spectrum.flatten(1).square_().sum(dim=0)
            column /= last - first
    return power.unflatten(1, (-1, 2)).sum(dim=2).T


def plot_spectrogram(
    waveform: Tensor,
    sample_rate: int,
    *,
    title: str = "",
    start_s: float = 0.0,
    n_fft: int = 4096,
    hop_length: int = 1024,
    channel: str = "mid",
    scale: str = "linear",
    floor_db: float = -90.0,
    fmax_hz: float | None = None,
    columns: int = 700,
    rows: int | None = None,
    colorbar: bool = True,
    ax: "Axes | None" = None,
) -> tuple["Axes", str]:
    """Draw level over seconds of the song and hertz, and say in a sentence what is to be seen.

    A cell of the picture shows its strongest bin, so that a lone tone keeps its level; frames
    that share a column are averaged in power. A colour is 3 dB.

    Args:
        waveform: (2, time).
        sample_rate: in Hz.
        title: what it is; the sentence begins with it.
        start_s: where in the song the waveform starts, in seconds.
        n_fft: window in samples, even.
        hop_length: step between frames in samples, 1 to n_fft; 4 costs time, not memory.
        channel: "left", "right", "mid" or "side".
        scale: frequency axis: "linear", "log" or "mel".
        floor_db: darkest level in dBFS, below 0; the brightest is 0.
        fmax_hz: upper end of the axis in Hz; None for half the sample rate.
        columns: most columns of the picture.
        rows: of the picture; None for 3 to 10 columns, square cells in a new figure.
        colorbar: whether to draw the scale of levels.
        ax: where to draw; None for a new figure.

    Returns:
        The axes and the sentence.

    Raises:
        ValueError: a name or number out of range, or see `stft`.

    Lesson: 02_seeing_sound
    """
    from matplotlib import colormaps, pyplot

    fmax_hz = sample_rate / 2 if fmax_hz is None else fmax_hz
    _check_picture(sample_rate, scale, floor_db, fmax_hz)
    mono = select_channel(waveform, channel)
    power = column_power(mono, columns=columns, n_fft=n_fft, hop_length=hop_length)
    bin_hz, half_s = sample_rate / n_fft, hop_length / sample_rate / 2
    level = level_db(power.sqrt(), floor_db=floor_db)[: int(fmax_hz / bin_hz) + 1]
    if ax is None:
        ax = pyplot.subplots(figsize=(10, 3.2), dpi=90, layout="constrained")[1]
    image = ax.imshow(
        to_rows(level, scale, bin_hz, fmax_hz, max(1, rows or columns * 3 // 10)).numpy(),
        extent=(start_s - half_s, start_s + half_s * (2 * (len(mono) // hop_length) + 1), 0, 1),
        transform=ax.get_xaxis_transform(),  # the rows fill the height on any scale
        cmap=colormaps["viridis"].resampled(max(2, round(-floor_db / COLOUR_STEP_DB))),
        clim=(floor_db, 0),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    stop_s = start_s + len(mono) / sample_rate
    ax.set(title=title, xlim=(start_s, stop_s))
    label_axes(ax, scale, fmax_hz)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="level (dBFS)", fraction=0.03, pad=0.01)
    what = f"{title or 'Spectrogram'} ({channel}), {round(start_s, 1):g} to {round(stop_s, 1):g} s"
    return ax, f"{what}: {name_strongest(level, bin_hz, floor_db)}."


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Place a frequency on the mel scale, where equal steps sound equal: 2595 lg(1 + f / 700).

    >>> round(hz_to_mel(1000.0))
    1000

    Source: O'Shaughnessy (1987), Speech Communication.
    Lesson: 02_seeing_sound
    """
    return 2595 * np.log10(1 + hz / 700)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """Undo `hz_to_mel`."""
    return 700 * (10 ** (mel / 2595) - 1)


def to_rows(level: Tensor, scale: str, bin_hz: float, fmax_hz: float, count: int) -> Tensor:
    """Take the strongest bin of each of `count` equal steps of the axis: (bins, t) → (count, t)."""
    if scale == "log":
        edges_hz = np.geomspace(LOWEST_HZ["log"], fmax_hz, count + 1)
    elif scale == "mel":
        edges_hz = mel_to_hz(np.linspace(0, hz_to_mel(fmax_hz), count + 1))
    else:
        edges_hz = np.linspace(0, fmax_hz, count + 1)
    edges = np.clip(np.round(edges_hz / bin_hz).astype(int), 0, len(level) - 1).tolist()
    return torch.stack([level[a : max(b, a + 1)].amax(dim=0) for a, b in pairwise(edges)])


def label_axes(ax: "Axes", scale: str, fmax_hz: float) -> None:
    """Give the axes their seconds and hertz."""
    ax.set_ylim(LOWEST_HZ[scale], fmax_hz)
    mel = {"value": "function", "functions": (hz_to_mel, mel_to_hz)}
    ax.set_yscale(**mel if scale == "mel" else {"value": scale})
    if scale in TICKS_HZ:
        ax.set_yticks([hz for hz in TICKS_HZ[scale] if hz <= fmax_hz])
        ax.yaxis.set_ticks([], minor=True)
    ax.yaxis.set_major_formatter(lambda hz, _: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}")
    ax.set(xlabel="time in the song (s)", ylabel="frequency (Hz)")
    ax.ticklabel_format(axis="x", useOffset=False)


def name_strongest(level: Tensor, bin_hz: float, floor_db: float) -> str:
    """Name the peak of (bins, columns) in dBFS, rounded so that another machine prints the same."""
    peak_db = level.max().item()
    if peak_db < floor_db + 0.1:
        return f"silent, nothing above {floor_db:g} dBFS"
    peak_hz = float(f"{(level.argmax().item() // level.shape[1]) * bin_hz:.2g}")
    return f"strongest at {peak_hz:g} Hz with {round(peak_db)} dBFS"


def _check_picture(sample_rate: int, scale: str, floor_db: float, fmax_hz: float) -> None:
    """Say in one sentence which setting of the picture cannot be."""
    if scale not in LOWEST_HZ:
        raise ValueError(f"scale is {scale!r}, expected one of {', '.join(LOWEST_HZ)}")
    if not floor_db < 0:
        raise ValueError(f"floor_db is {floor_db}, expected a level below 0 such as -90")
    low, high = LOWEST_HZ[scale], sample_rate / 2
    if not low < fmax_hz <= high:
        raise ValueError(f"fmax_hz is {fmax_hz}, expected above {low:g} and at most {high:g} Hz")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread: small steps on two threads took 20 s on a busy machine, not 0.5."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _padded(waveform: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Check the settings, and mirror the ends: a cut through music is not a click.

    What is shorter than the mirror gets zeros.
    """
    if n_fft < 2 or n_fft % 2:
        raise ValueError(f"n_fft is {n_fft}, expected an even number of samples such as 4096")
    if not 1 <= hop_length <= n_fft:
        raise ValueError(f"hop_length is {hop_length}, expected 1 to n_fft ({n_fft}) samples")
    if not waveform.numel() or not waveform.isfinite().all():
        fault = "holds NaN or inf" if waveform.numel() else "has no samples"
        raise ValueError(f"waveform {fault}, expected finite samples: look at how it was made")
    mode = "reflect" if waveform.shape[-1] > n_fft // 2 else "constant"
    flat = waveform.float().reshape(-1, waveform.shape[-1])
    return pad(flat, (n_fft // 2, n_fft // 2), mode).reshape(*waveform.shape[:-1], -1)
