"""Lesson 02: what a spectrogram will show, and a level meter that is calibrated."""

import math

import torch
from torch import Tensor

from ..spectrogram import stft
from .checking import NotYet, ask, describe, exercise, expect_number, expect_tensor, noise

SIZES = (1536, 2048, 1024)  # one is no power of two
NEAR_DB, DARK_DB = 0.1, -60.0  # the calibration asked for; what must be dark far from a tone


@exercise
def check_02(*, predict=None, levels=None) -> str:
    """Check an exercise of lesson 02.

    Args:
        predict: takes length, sample_rate, frequency_hz, n_fft, hop_length; returns how many
            columns the STFT of that sine has, and its strongest bin.
        levels: takes a piece of n samples; returns the level of its n // 2 + 1 bins in dBFS.

    Lesson: 02_seeing_sound
    """
    return _check_predict(predict) if predict is not None else _check_levels(levels)


def _check_predict(predict) -> str:
    draw = noise(2, 4)
    random = (60_000 + int(9000 * draw[0]), 32_000, 5000 + float(3000 * draw[1]), 1024, 300)
    cases = [(30_000, 44_100, 1000.0, 4096, 1024), (44_100, 44_100, 2590.0, 2048, 512), random]
    for case in cases:
        answer = ask(predict, *case, name="predict")
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise NotYet(f"predict returned {describe(answer)}, expected the pair (columns, bin)")
        length, rate, hertz, n_fft, hop = case
        sine = torch.sin(2 * torch.pi * hertz / rate * torch.arange(length).double())
        spectrum = stft(sine, n_fft=n_fft, hop_length=hop)
        given = f"{length} samples at {rate} Hz, {hertz:.0f} Hz, n_fft {n_fft}, hop {hop}"
        columns, strongest = (expect_number(n, name="predict", given=given) for n in answer)
        _compare(columns, spectrum.shape[-1], "columns", given, {
            length // hop: "the column of the first sample counts too",
            math.ceil(length / hop): "a column starts at sample 0, and none at the end",
            1 + (length - n_fft) // hop: "windows are centred, so they reach over both ends",
            1 + length // n_fft: "the step between columns is the hop, not the window",
            n_fft // 2 + 1: "that is the number of bins",
        })  # fmt: skip
        _compare(strongest, spectrum[:, 20].abs().argmax().item(), "bin", given, {
            int(hertz * n_fft / rate): "the nearest bin may be the next one: round, do not cut",
            round(hertz * 2 * n_fft / rate): "n_fft bins reach to the rate, not to half of it",
            round(hertz * n_fft / rate) + 1: "the first bin, at 0 Hz, has the number 0",
            round(hertz): "that is the frequency in hertz: how far apart are two bins?",
        })  # fmt: skip
    return "predict was right about columns and bin of three sines, one of them random"


def _compare(value: float, right: int, what: str, given: str, slips: dict[int, str]) -> None:
    """Raise NotYet unless the value is right, with the slip that explains it."""
    if value == right:
        return
    why = slips.get(value, "count the steps by hand for a short sound")
    raise NotYet(f"predict says {what} {value:g} for {given}, but there it is {right}: {why}")


def _check_levels(levels) -> str:
    for number, size in enumerate(SIZES):
        half, bin_ = size // 2 + 1, int(100 + 40 * noise(number, 1))
        for gain_db in (0, -20):
            reading = _read(levels, _sine(size, bin_, 10 ** (gain_db / 20)), half)
            if abs(reading.max().item() - gain_db) > NEAR_DB:
                raise NotYet(_why(reading.max().item(), gain_db, size))
        far = _read(levels, _sine(size, bin_ + 0.5, 1.0), half)[bin_ + 60 :].max().item()
        if far > DARK_DB:
            raise NotYet(
                f"a tone between two bins still reads {far:.0f} dB 60 bins away, expected less "
                f"than {DARK_DB:g}: give the piece a window that fades in and out"
            )
    return "levels reads 0 and -20 dB within 0.1 for windows of three lengths, and does not smear"


def _read(levels, piece: Tensor, bins: int) -> Tensor:
    """Return the levels that the learner's meter reads; -inf is the floor, not a fault."""
    answer, given = ask(levels, piece, name="levels"), f"{len(piece)} samples"
    if isinstance(answer, Tensor):
        answer = torch.where(answer == -math.inf, -999.0, answer)
    if isinstance(answer, Tensor) and answer.is_complex():
        raise NotYet("levels returned complex numbers: take their magnitude, then its logarithm")
    return expect_tensor(answer, (bins,), name="levels", given=given)


def _sine(size: int, bin_: float, amplitude: float) -> Tensor:
    """Return a sine whose frequency is so many bins of a window of `size` samples."""
    phase = 2 * torch.pi * bin_ / size * torch.arange(size).double()
    return (amplitude * torch.sin(phase)).float()


def _why(reading: float, right: float, size: int) -> str:
    """Guess from one reading what is missing in the meter."""
    off = reading - right
    said = f"a sine of {right} dBFS reads {reading:.1f} dB with {size} samples: "
    if abs(off + 6) < 0.2:
        return said + "half of a sine is at its negative frequency, so a factor 2 is missing"
    if abs(off + 12) < 0.2:
        return said + "divide by the sum of the window instead of its length, and mind the factor 2"
    if right and abs(reading - right / 2) < 0.2:
        return said + "10 log10 is for energies, magnitudes take 20 log10"
    if abs(reading) < 0.2:
        return said + "the loudest bin is not always 0 dB: calibrate by the window, not the sound"
    if off > 40:
        return said + "divide by the sum of the window, or the level grows with the length"
    return said + "the factor must follow from this window, whatever its length"
