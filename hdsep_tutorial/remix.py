"""Put stems together again: gains, karaoke, true peak, and stems that sum to their mixture."""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from .spectrogram import level_db, one_thread, stft

KARAOKE = ("subtract", "sum")
_REACH = 16  # samples to either side that the interpolation of the true peak looks at
_BLOCK = 65_536  # samples whose interpolated values exist at a time


def remix(stems: dict[str, Tensor], gains_db: dict[str, float] | None = None) -> Tensor:
    """Add stems up, each with its own gain.

    Args:
        stems: name → (2, time).
        gains_db: name → gain in dB: 6 nearly doubles, `-math.inf` switches off. Stems that are
            not named keep their level.

    Returns:
        (2, time), not limited: beyond ±1 it would clip, see `true_peak_db`.

    Raises:
        ValueError: no stems, stems of different shapes, a name that is no stem, or no gain.

    >>> remix({"bass": torch.ones(2, 1), "drums": torch.ones(2, 1)}, {"drums": -20}).tolist()
    [[1.100000023841858], [1.100000023841858]]

    Lesson: 10_remix
    """
    gains_db = gains_db or {}
    _check_alike(stems)
    for name, gain_db in gains_db.items():
        if name not in stems:
            raise ValueError(f"no stem {name!r} to change, expected one of {', '.join(stems)}")
        if math.isnan(gain_db) or gain_db == math.inf:
            raise ValueError(f"gain of {name} is {gain_db} dB, expected a number such as -6 or 3")
    return sum(10 ** (gains_db.get(name, 0.0) / 20) * stem for name, stem in stems.items())


def karaoke(
    mixture: Tensor,
    stems: dict[str, Tensor],
    *,
    remove: str = "vocals",
    method: str = "subtract",
) -> Tensor:
    """Make the backing track of a song: everything but one stem.

    Subtracting keeps all of the mixture that is not in the estimate; adding the other estimates
    up keeps only what the model put there. For true stems both are the same.

    Args:
        mixture: (2, time).
        stems: name → (2, time), as `separate_sources` gives them.
        remove: the stem that shall go.
        method: "subtract" it from the mixture, or "sum" the others.

    Returns:
        (2, time)

    Raises:
        ValueError: there is no such stem or method, or the shapes differ.

    >>> stems = {"vocals": torch.ones(2, 1), "bass": torch.ones(2, 1)}
    >>> karaoke(torch.full((2, 1), 2.5), stems).tolist()
    [[1.5], [1.5]]

    Lesson: 10_remix
    """
    _check_alike(stems, mixture)
    if remove not in stems or method not in KARAOKE:
        raise ValueError(
            f"got remove={remove!r} and method={method!r}, expected one of the stems "
            f"{', '.join(stems)}, and one of {', '.join(KARAOKE)}"
        )
    if method == "subtract":
        return mixture - stems[remove]
    return remix(stems, {remove: -math.inf})


def true_peak_db(waveform: Tensor, sample_rate: int) -> float:
    """Measure the highest level between the samples too, where a converter or an MP3 clips.

    The waveform is interpolated to four times its rate, or as far as 192 kHz, by a sinc of 32
    samples in a Kaiser window. Peaks between those values may be missed: a tone at 0.45 of the
    rate can read 0.6 dB too low.

    Args:
        waveform: (channels, time) or (time,), full scale at ±1.
        sample_rate: in Hz.

    Returns:
        Level in dB of true peak (dBTP); -120 for silence. A master usually stays below -1.

    Raises:
        ValueError: no samples, NaN, or no rate.

    A sine whose samples lie 45° beside its peaks:

    >>> beside = torch.hann_window(400) * torch.tensor([1.0, 1, -1, -1]).repeat(100) / 2**0.5
    >>> round(level_db(beside.max()).item()), true_peak_db(beside, 48_000) > -0.1
    (-3, True)

    Source: ITU-R BS.1770-5, annex 2.
    Lesson: 10_remix
    """
    if not waveform.numel() or not waveform.isfinite().all() or not sample_rate > 0:
        raise ValueError(
            f"got shape {tuple(waveform.shape)} at {sample_rate} Hz, expected finite samples "
            "(2, time) and a rate above 0: look at how they were made"
        )
    sound = waveform.detach().float().reshape(-1, 1, waveform.shape[-1])
    peak, factor = sound.abs().max(), math.ceil(min(4, 192_000 / sample_rate))
    if factor > 1:
        taps, sound = _between(factor), pad(sound, (_REACH, _REACH))
        with one_thread():
            for start in range(0, sound.shape[-1] - 2 * _REACH + 1, _BLOCK):
                block = sound[..., start : start + _BLOCK + 2 * _REACH - 1]
                peak = peak.maximum(conv1d(block, taps).abs().max())
    return level_db(peak).item()


def mixture_consistency(estimates: dict[str, Tensor], mixture: Tensor) -> dict[str, Tensor]:
    """Make estimates sum to their mixture: each takes an equal share of what is left over.

    It is the smallest change (in energy) that does so: ŝ + (x - Σ ŝ) / N.

    Args:
        estimates: name → (2, time).
        mixture: x, (2, time).

    Returns:
        New estimates by the same names.

    Raises:
        ValueError: no estimates, or the shapes differ.

    >>> consistent = mixture_consistency({"a": torch.ones(2, 1), "b": torch.zeros(2, 1)},
    ...                                  torch.zeros(2, 1))
    >>> consistent["a"][0].item(), consistent["b"][0].item()
    (0.5, -0.5)

    Source: Wisdom et al. (2019), Differentiable Consistency Constraints, section 2.2.
    Lesson: 10_remix
    """
    _check_alike(estimates, mixture)
    share = (mixture - remix(estimates)) / len(estimates)
    return {name: estimate + share for name, estimate in estimates.items()}


def soft_masks(
    estimates: dict[str, Tensor],
    mixture: Tensor,
    *,
    power: float = 2.0,
    n_fft: int = 4096,
    hop_length: int = 1024,
) -> dict[str, Tensor]:
    """Deal the mixture out again: each stem gets of each bin what its estimate's level claims.

    The mask of stem j is |S_j|^p / Σ_k |S_k|^p, of the estimates' spectrograms S; for p = 2 it is
    Wiener's filter. The masks sum to 1, so the results sum to the mixture, and have its phase.

    Args:
        estimates: name → (2, time).
        mixture: (2, time).
        power: p, above 0 to 10: 1 shares softly, more gives each bin to the strongest.
        n_fft: window in samples, even.
        hop_length: step between frames in samples, at most half a window.

    Returns:
        New estimates by the same names, (2, time).

    Raises:
        ValueError: no estimates, other shapes, or a setting out of range.

    Source: Liutkus and Badeau (2015), Generalized Wiener Filtering with Fractional Power
    Spectrograms.
    Lesson: 10_remix
    """
    _check_alike(estimates, mixture)
    if not 0 < power <= 10 or not 1 <= hop_length <= n_fft // 2:
        raise ValueError(
            f"got power={power} and hop_length={hop_length}, expected a power above 0 to 10 and "
            f"a hop of 1 to {n_fft // 2} samples, half the window"
        )
    size, window = {"n_fft": n_fft, "hop_length": hop_length}, torch.hann_window(n_fft)
    claims = {name: stft(stem, **size).abs() ** power for name, stem in estimates.items()}
    total = sum(claims.values())
    bins = stft(mixture, **size) * (window.sum() / 2)  # of dBFS back to plain sums
    even = torch.tensor(1 / len(claims))  # where all estimates are silent
    shares = ((name, (claim / total).where(total > 0, even)) for name, claim in claims.items())
    back = {**size, "window": window, "length": mixture.shape[-1]}
    return {name: torch.istft(bins * share, **back) for name, share in shares}


def _between(factor: int) -> Tensor:
    """Return the taps (factor - 1, 1, 2 · reach) that read the wave between two samples."""
    shift = torch.arange(1, factor, dtype=torch.float64)[:, None] / factor
    distance = torch.arange(1 - _REACH, _REACH + 1, dtype=torch.float64) - shift
    arch = (1 - (distance / _REACH).square()).clamp_min(0).sqrt()
    kaiser = torch.special.i0(6 * arch) / torch.special.i0(torch.tensor(6.0, dtype=torch.float64))
    return (torch.sinc(distance) * kaiser).float()[:, None]


def _check_alike(stems: dict[str, Tensor], mixture: Tensor | None = None) -> None:
    """Refuse what cannot be added sample by sample."""
    sounds = stems if mixture is None else {"mixture": mixture, **stems}
    if not stems or len({sound.shape for sound in sounds.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(sound.shape)}" for name, sound in sounds.items())
        raise ValueError(
            f"got {shapes or 'no stems'}, expected stems of one shape: clip them alike"
        )
