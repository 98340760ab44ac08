"""Scores: how near is an estimate to its reference, in dB?

Every score is a ratio of energies, signal over error, summed in float64. A score that does not
exist (a silent reference has no signal) is None, never 0 dB or NaN; without error it is `math.inf`.
"""

import math
import statistics
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

TAPS = 512  # BSS Eval forgives filters of this length, in samples
DITHER_DBFS = -90.0  # noise under the references of `bss_eval`, for lossy files; -inf for none
_NOTHING = 1e-20  # an error 200 dB down is rounding: no audio file can hold it


def sdr(reference: Tensor, estimate: Tensor) -> float | None:
    """Score an estimate by one energy ratio over all samples and channels.

    SDR = 10 log10( Σ s² / Σ (s - ŝ)² ). A silent estimate scores 0 dB: its error is the signal.

    Args:
        reference: true stem s, (channels, time).
        estimate: separated stem ŝ, same shape.

    Returns:
        SDR in dB; None where the reference is silent; `math.inf` where the two are equal.

    Raises:
        ValueError: shapes differ, nothing is in them, or a sample is NaN or infinite.

    >>> round(sdr(torch.ones(2, 8), 0.9 * torch.ones(2, 8)), 2)
    20.0

    Source: Mitsufuji et al. (2022), Music Demixing Challenge 2021 (which adds 1e-7 to both sums).
    Lesson: 07_against_the_truth
    """
    _check(reference, estimate)
    signal = _energy(reference)
    return _ratio_db(signal, _energy(reference, estimate)) if signal else None


def framewise_sdr(
    reference: Tensor, estimate: Tensor, sample_rate: int, *, frame_s: float = 1.0
) -> list[float | None]:
    """Score every frame by itself, as BSS Eval v4 does; `median_db` makes one figure of them.

    Args:
        reference: true stem s, (channels, time).
        estimate: separated stem ŝ, same shape.
        sample_rate: samples per second, in Hz.
        frame_s: length of a frame in seconds. Frames do not overlap, a last one that is not full
            is left out, a clip shorter than a frame is one: museval's rule.

    Returns:
        SDR of each frame in dB, None where the reference or the estimate is silent in it.

    Raises:
        ValueError: see `sdr`; or a frame holds no sample.

    >>> framewise_sdr(torch.ones(2, 20), torch.ones(2, 20), 10)
    [inf, inf]

    Source: Stöter, Liutkus, Ito (2018), The 2018 Signal Separation Evaluation Campaign.
    Lesson: 08_scores
    """
    _check(reference, estimate)
    frames = _frames(reference.shape[-1], sample_rate, frame_s)
    pairs = [(reference[..., frame], estimate[..., frame]) for frame in frames]
    return [sdr(true, guess) if guess.any() else None for true, guess in pairs]


def median_db(scores: Iterable[float | None]) -> float | None:
    """Reduce the scores of frames to their median, leaving out the frames that have none.

    >>> median_db([1.0, None, 3.0, 2.0])
    2.0

    Lesson: 08_scores
    """
    present = [score for score in scores if score is not None]
    median = statistics.median(present) if present else math.nan
    return None if math.isnan(median) else median  # inf and -inf have no middle


def si_sdr(reference: Tensor, estimate: Tensor) -> float | None:
    """Score an estimate after the best gain: turning it up or down changes nothing.

    SI-SDR = 10 log10( |α s|² / |α s - ŝ|² ) with α = ⟨ŝ, s⟩ / |s|², over both channels jointly.

    Args:
        reference: true stem s, (channels, time).
        estimate: separated stem ŝ, same shape.

    Returns:
        SI-SDR in dB; None where either is silent; `math.inf` where ŝ is s times a gain.

    Raises:
        ValueError: see `sdr`.

    >>> si_sdr(torch.ones(2, 8), 0.25 * torch.ones(2, 8))
    inf

    Source: Le Roux, Wisdom, Erdogan, Hershey (2019), SDR – Half-baked or Well Done?
    Lesson: 08_scores
    """
    _check(reference, estimate)
    signal, loudness = _energy(reference), _energy(estimate)
    if not (signal and loudness):
        return None
    gain = sum((s * guess).sum().item() for s, guess in _blocks(reference, estimate)) / signal
    return _ratio_db(gain**2 * signal, _energy(reference, estimate, gain))


def sdr_v3(reference: Tensor, estimate: Tensor) -> float | None:
    """Score as the official tutorial does: forgive any filter, then average left and right.

    Per channel, P projects ŝ on the span of s delayed by 0 … 511 samples, and
    SDR = 10 log10( |P ŝ|² / |ŝ - P ŝ|² ): mir_eval's `bss_eval_sources` with L and R as "sources".

    Args:
        reference: true stem s, (channels, time).
        estimate: separated stem ŝ, same shape.

    Returns:
        Mean over the channels in dB; None where a channel of either is silent; `math.inf` where
        ŝ is s through such a filter.

    Raises:
        ValueError: see `sdr`.

    >>> sdr_v3(torch.eye(2, 8), 0.5 * torch.eye(2, 8))
    inf

    Source: Vincent, Gribonval, Févotte (2006), Performance measurement in blind audio source
    separation.
    Lesson: 08_scores
    """
    _check(reference, estimate)
    reference, estimate = (torch.atleast_2d(part).double() for part in (reference, estimate))
    if not (reference.any(dim=-1).all() and estimate.any(dim=-1).all()):
        return None
    scores = []
    for true, guess in zip(reference[:, None], estimate[:, None], strict=True):
        target = _filtered(true, _filters(true, guess))
        guess = pad(guess, (0, TAPS - 1))
        scores.append(_ratio_db(_energy(target), _energy(target, guess)))
    return median_db(scores)  # of two channels, the mean


def bss_eval(
    references: dict[str, Tensor], estimates: dict[str, Tensor], sample_rate: int
) -> dict[str, dict[str, float | None]]:
    """Say what is wrong with each estimate: filtering (ISR), leakage (SIR) or artefacts (SAR).

    Two projections split the estimate ŝ of stem s: `own` is what 512-tap filters of s explain,
    `all` what filters of all stems explain. In each frame of 1 s (the filters serve the whole
    clip) SDR = |s|² / |ŝ - s|², ISR = |s|² / |own - s|², SIR = |own|² / |all - own|²,
    SAR = |all|² / |ŝ - all|², in dB; the result is the median.

    Stems from lossy files are empty above 16 kHz, where filters cost nothing and SIR becomes a
    lottery; white noise of -90 dBFS on the references, from a seed, ends that. SDR goes without.

    Args:
        references: true stems, each (channels, time).
        estimates: separated stems of the same names and shapes.
        sample_rate: samples per second, in Hz.

    Returns:
        Per stem "SDR", "ISR", "SIR", "SAR" in dB. A stem that is silent throughout has None; a
        frame in which any other stem is silent counts for no stem.

    Raises:
        ValueError: names or shapes differ, or see `sdr`.

    Source: Stöter, Liutkus, Ito (2018), The 2018 Signal Separation Evaluation Campaign (BSS
    Eval v4, "images").
    Lesson: 08_scores
    """
    if references.keys() != estimates.keys():
        names = f"{[*references]} and {[*estimates]}"
        raise ValueError(f"references and estimates are {names}: name both alike")
    for name in references:
        _check(references[name], estimates[name], name)
    shapes = {tuple(stem.shape) for stem in references.values()}
    if len(shapes) > 1 or any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"shapes are {sorted(shapes)}, expected one (2, time): clip them alike")
    scores = {name: dict.fromkeys(("SDR", "ISR", "SIR", "SAR")) for name in estimates}
    present = [name for name, stem in references.items() if stem.any()]
    if not present:
        return scores
    true = torch.stack([references[name] for name in present]).double()
    guess = torch.stack([estimates[name] for name in present]).double()
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(0), dtype=true.dtype)
    images = true + 10 ** (DITHER_DBFS / 20) * noise
    everything = images.flatten(0, 1)
    filters_of_all = _filters(everything, guess.flatten(0, 1)).chunk(len(present), dim=-1)
    frames = _sounding_frames(true, guess, sample_rate)
    for stem, name in enumerate(present):
        if guess[stem].any():
            filters_of_own = _filters(images[stem], guess[stem])
            ratios = [
                _four_ratios(
                    *(part[stem][:, frame] for part in (true, guess, images)),
                    own=_filtered(images[stem][:, frame], filters_of_own),
                    explained=_filtered(everything[:, frame], filters_of_all[stem]),
                )
                for frame in frames
            ]
            medians = map(median_db, zip(*ratios, strict=True))
            scores[name].update(zip(scores[name], medians, strict=False))
    return scores


def _four_ratios(
    true: Tensor, guess: Tensor, image: Tensor, *, own: Tensor, explained: Tensor
) -> tuple[float | None, ...]:
    """Compare the parts of one frame, which filters made TAPS - 1 longer: SDR, ISR, SIR, SAR."""
    image, padded = pad(image, (0, TAPS - 1)), pad(guess, (0, TAPS - 1))
    pairs = ((true, guess), (image, own), (own, explained), (explained, padded))
    return tuple(_ratio_db(_energy(part), _energy(part, other)) for part, other in pairs)


def _filters(references: Tensor, estimates: Tensor) -> Tensor:
    """Find the filters that lead from (m, time) nearest to (c, time), as (m · TAPS, c).

    Least squares by normal equations. ⟨x delayed by a, y delayed by b⟩ depends on a - b only, so
    one correlation by FFT fills a block of TAPS × TAPS.
    """
    spectra, targets = _spectra(references), _spectra(estimates)
    lags = torch.arange(TAPS)[:, None] - torch.arange(TAPS)
    gram = references.new_empty(len(references), TAPS, len(references), TAPS)
    products = references.new_empty(len(references), TAPS, len(estimates))
    for block, product, spectrum in zip(gram, products, spectra.conj(), strict=True):
        correlations = torch.fft.irfft(spectrum * spectra)
        block.copy_(correlations[:, lags].transpose(0, 1))  # a negative lag counts from the end
        product.copy_(torch.fft.irfft(spectrum * targets)[:, :TAPS].T)
    return torch.linalg.solve(gram.flatten(2).flatten(0, 1), products.flatten(0, 1))


def _filtered(references: Tensor, filters: Tensor) -> Tensor:
    """Filter m channels and add them up: (m, time), (m · TAPS, c) → (c, time + TAPS - 1)."""
    spectra = _spectra(references)
    responses = filters.unflatten(0, (-1, TAPS))
    transfer = torch.fft.rfft(responses, 2 * (spectra.shape[-1] - 1), dim=1)
    summed = torch.einsum("mf,mfc->cf", spectra, transfer)
    return torch.fft.irfft(summed)[:, : references.shape[-1] + TAPS - 1]


def _spectra(signals: Tensor) -> Tensor:
    """Transform with room for the delays, so that circular products equal linear ones."""
    return torch.fft.rfft(signals, 1 << (signals.shape[-1] + TAPS).bit_length())


def _frames(length: int, sample_rate: int, frame_s: float = 1.0) -> list[slice]:
    """Cut `length` samples into full frames, at least one."""
    size = round(frame_s * sample_rate)
    if size < 1:
        raise ValueError(f"a frame of {frame_s} s at {sample_rate} Hz is empty: try frame_s=1.0")
    return [slice(i * size, (i + 1) * size) for i in range(max(1, length // size))]


def _sounding_frames(true: Tensor, guess: Tensor, sample_rate: int) -> list[slice]:
    """Choose the frames in which no stem is silent; estimates that never sound are set aside."""
    stems = torch.cat([true, guess[guess.flatten(1).any(dim=1)]])
    frames = _frames(true.shape[-1], sample_rate)
    return [frame for frame in frames if stems[..., frame].flatten(1).any(dim=1).all()]


def _blocks(*signals: Tensor) -> Iterator[list[Tensor]]:
    """Walk through signals in float64, by blocks that fit the cache and need one thread only."""
    for parts in zip(*(signal.split(8_192, dim=-1) for signal in signals), strict=True):
        yield [part.double() for part in parts]


def _energy(signal: Tensor, other: Tensor | None = None, gain: float = 1.0) -> float:
    """Sum the squares of a signal after a gain, less another signal if there is one."""
    parts = _blocks(signal) if other is None else _blocks(signal, other)
    return sum((gain * part - sum(rest)).square().sum().item() for part, *rest in parts)


def _ratio_db(signal: float, error: float) -> float | None:
    """Compare two energies in dB; an error without a signal is -inf, neither of them is None."""
    if signal == 0:
        return None if error == 0 else -math.inf
    return math.inf if error <= _NOTHING * signal else 10 * math.log10(signal / error)


def _check(reference: Tensor, estimate: Tensor, name: str = "") -> None:
    """Say in one sentence what is wrong with which."""
    of_stem = f" of {name}" if name else ""
    if reference.shape != estimate.shape or not reference.numel():
        shapes = f"{tuple(reference.shape)} and {tuple(estimate.shape)}"
        raise ValueError(f"reference and estimate{of_stem} have shapes {shapes}: clip both alike")
    for role, waveform in (("reference", reference), ("estimate", estimate)):
        if not waveform.sum(dtype=torch.float64).isfinite():
            raise ValueError(f"{role}{of_stem} holds NaN or inf: look for the step that made them")
