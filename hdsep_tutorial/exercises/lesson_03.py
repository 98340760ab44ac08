"""Lesson 03: masks that share out every cell, and a mask that becomes sound again."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..metrics import sdr
from ..spectrogram import stft
from .checking import NotYet, ask, describe, exercise, expect_tensor, noise

N_FFT, HOP = 4096, 1024
SUM_TOLERANCE = 0.02  # leaves room for a small number that guards against 0 / 0, if it is small


@exercise
def check_03(*, soft_masks=None, apply_mask=None) -> str:
    """Check an exercise of lesson 03.

    Args:
        soft_masks: takes a dict of complex spectra, one per source; returns a dict of masks of the
            same shapes that share out every cell: between 0 and 1, together 1.
        apply_mask: takes a mask (2049, frames) and a waveform (2, time); returns the waveform of
            the masked spectrogram with n_fft 4096 and hop_length 1024, as long as it came.

    Lesson: 03_a_mask_on_a_picture
    """
    return _check_soft_masks(soft_masks) if soft_masks is not None else _check_apply(apply_mask)


def _check_soft_masks(soft_masks) -> str:
    for seed, level_db in enumerate((0, -40, -20)):
        names = ("drums", "bass", "vocals")[: 2 + seed % 2]
        spectra = {
            name: 10 ** (level_db / 20) * torch.complex(*noise(seed + len(name), 2, 9, 7)[:, None])
            for name in names
        }
        if seed == 2:
            for spectrum in spectra.values():
                spectrum[..., 3] = 0  # a frame in which nobody plays
        masks = _masks_of(soft_masks, spectra, f"{len(names)} sources at {level_db} dB")
        _expect_shares(masks, spectra, level_db)
    _expect_better_than_median(soft_masks)
    return "soft_masks shared out three spectrograms, and its ideal masks beat the median filters"


def _masks_of(soft_masks, spectra: dict[str, Tensor], given: str) -> dict[str, Tensor]:
    """Run the learner's function, and see that its masks are finite, real and of the right form."""
    masks = ask(soft_masks, spectra, name="soft_masks")
    if not isinstance(masks, dict) or masks.keys() != spectra.keys():
        names = ", ".join(spectra)
        raise NotYet(f"soft_masks returned {describe(masks)}, expected a dict of {names}")
    for name, spectrum in spectra.items():
        mask = masks[name]
        if isinstance(mask, Tensor) and not mask.isfinite().all():
            raise NotYet("soft_masks made NaN in a frame in which all sources are silent: add a "
                         "tiny number such as 1e-30 to the sum before you divide")  # fmt: skip
        if isinstance(mask, Tensor) and mask.is_complex():
            raise NotYet("soft_masks returned complex masks: take .abs() of the spectra first")
        expect_tensor(mask, spectrum.shape, name=f"the mask of {name}", given=given)
    return {name: mask.float() for name, mask in masks.items()}


def _expect_shares(masks: dict[str, Tensor], spectra: dict[str, Tensor], level_db: int) -> None:
    """See that the masks of a cell lie between 0 and 1, sum to 1 and follow who is louder."""
    shares = torch.stack([*masks.values()])
    sizes = torch.stack([spectra[name].abs() for name in masks])
    sounding = sizes.sum(dim=0) > 0.3 * 10 ** (level_db / 20)  # where nobody plays, all masks do
    total, where = shares.sum(dim=0)[sounding], f"sources at {level_db} dB"
    if shares.min() < 0 or shares.max() > 1 + SUM_TOLERANCE:
        raise NotYet(f"masks reach from {shares.min():.2g} to {shares.max():.2g} for {where}, "
                     "expected 0 to 1: divide by the sum over all sources")  # fmt: skip
    if level_db < 0 and (total < 1 - SUM_TOLERANCE).any():
        raise NotYet(f"the masks of a cell sum to only {total.min():.2g} for {where}: the "
                     "number that guards against 0 / 0 is too large for a quiet sound")  # fmt: skip
    if (total - 1).abs().max() > SUM_TOLERANCE:
        raise NotYet(f"the masks of a cell sum to {total.min():.2f} up to {total.max():.2f} "
                     f"for {where}, expected 1")  # fmt: skip
    if ((shares == 0) | (shares == 1))[:, sounding].float().mean() > 0.9:
        raise NotYet("these masks are hard, all or nothing: a soft mask shares a cell out, half "
                     "and half where two sources are equally loud")  # fmt: skip
    louder = (sizes.argmax(dim=0) == shares.argmax(dim=0))[sounding].float().mean()
    if louder < 0.999:
        raise NotYet(f"in {100 * (1 - louder):.0f} % of the cells the loudest source does not get "
                     "the largest share: let the mask follow .abs()")  # fmt: skip


def _expect_better_than_median(soft_masks) -> None:
    """Separate clicks from a chord with the learner's masks, and with two median filters."""
    seconds = torch.arange(30_000).double() / 44_100
    chord = sum(torch.sin(2 * torch.pi * hz * seconds) for hz in (220, 277, 330)).float() / 10
    clicks = torch.zeros(30_000)
    clicks[3_000::6_000] = 0.8
    stems = {"clicks": clicks + 0.01 * noise(5, 30_000), "chord": chord}
    mixture = sum(stems.values())
    spectra = {name: stft(stem[None]) for name, stem in stems.items()}
    masks = _masks_of(soft_masks, spectra, "clicks and a chord")
    size = stft(mixture[None]).abs()
    tonal, sudden = (_median(size, dim).square() for dim in (2, 1))
    median = {"clicks": sudden / (tonal + sudden), "chord": tonal / (tonal + sudden)}
    for name, stem in stems.items():
        ideal, blind = (
            sdr(stem[None], _masked(way[name], mixture[None])) for way in (masks, median)
        )
        if ideal <= blind:
            raise NotYet(f"with your mask the {name} score {ideal:.1f} dB, less than the "
                         f"{blind:.1f} dB of the median filter, which does not know the truth: "
                         "give the louder source more")  # fmt: skip


def _check_apply(apply_mask) -> str:
    length = 30_000 + int(torch.randint(5_000, (), generator=torch.Generator().manual_seed(3)))
    ones, low = torch.ones(2049, 40), torch.zeros(2049, 40)
    low[:100] = 1
    tries = {"a mask of ones": (ones, 20_480), "a mask that keeps the low bins": (low, 24_576),
             "a random mask": (noise(9, 2049, 40).abs(), length)}  # fmt: skip
    for seed, (what, (mask, samples)) in enumerate(tries.items()):
        mask, sound = mask[:, : 1 + samples // HOP], noise(seed, 2, samples) / 2
        given = f"{what} and {samples} samples"
        answer = ask(apply_mask, mask, sound, name="apply_mask")
        if isinstance(answer, Tensor) and answer.is_complex():
            raise NotYet("apply_mask returned a spectrogram: torch.istft makes sound of it")
        if isinstance(answer, Tensor) and answer.shape[-1] != samples:
            raise NotYet(f"apply_mask returned {answer.shape[-1]} samples for {given}: pass "
                         "length= to torch.istft")  # fmt: skip
        expect_tensor(answer, (2, samples), name="apply_mask", given=given)
        if (answer - _masked(mask, sound)).abs().max() > 1e-4:
            slip = _what_went_wrong(answer, mask, sound)
            raise NotYet(f"apply_mask is wrong for {given}: {slip}")
    return "apply_mask gave back a sound through a mask of ones, a low-pass mask and a random one"


def _what_went_wrong(answer: Tensor, mask: Tensor, sound: Tensor) -> str:
    """Guess from a wrong sound what was done instead."""
    expected = _masked(mask, sound)
    gain = ((answer * expected).sum() / expected.square().sum()).item()
    if gain > 0 and (answer / gain - expected).abs().max() < 1e-3:
        return (f"it is {gain:.3g} times as loud, because hd.stft divides by half the sum of the "
                "window, and that must be undone")  # fmt: skip
    if (answer - _masked(1 - mask, sound)).abs().max() < 1e-3:
        return "it lets through what the mask is to hold back"
    if (answer - sound).abs().max() < 1e-3:
        return "the mask has no effect"
    if (answer - _masked(mask, sound, phase=False)).abs().max() < 1e-3:
        return "the phase is lost, multiply the complex spectrogram and not its .abs()"
    return f"it is off by up to {(answer - expected).abs().max():.2g}"


def _masked(mask: Tensor, sound: Tensor, *, phase: bool = True) -> Tensor:
    """Multiply a sound's spectrogram by a mask and make sound of it: (c, time) → (c, time)."""
    window = torch.hann_window(N_FFT)
    spectrum = stft(sound) if phase else stft(sound).abs() + 0j
    size = {"window": window, "length": sound.shape[-1]}
    return torch.istft(mask * spectrum * window.sum() / 2, N_FFT, HOP, **size)


def _median(size: Tensor, dim: int) -> Tensor:
    """Replace every cell by the median of 17 along time (dim 2) or frequency (dim 1)."""
    edges = (8, 8, 0, 0) if dim == 2 else (0, 0, 8, 8)
    return pad(size, edges, mode="reflect").unfold(dim, 17, 1).median(dim=-1).values
