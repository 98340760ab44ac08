"""Lesson 07: by how much is an estimate late, is it inverted, and where did the drums leak?"""

import torch
from torch import Tensor

from .checking import NotYet, ask, describe, exercise, expect_number, noise

THIRD_OCTAVE = 2 ** (1 / 3)


@exercise
def check_07(*, lag_and_sign=None, leak_band=None) -> str:
    """Check an exercise of lesson 07.

    Args:
        lag_and_sign: takes a reference and an estimate (2, time); returns by how many samples the
            estimate comes late, and +1, or −1 where it is inverted.
        leak_band: takes an error and the drums (2, time) and the sample rate; returns the lowest
            and the highest frequency, in Hz, of the drums in the error.

    Lesson: 07_against_the_truth
    """
    given = lag_and_sign is not None
    return _check_lag_and_sign(lag_and_sign) if given else _check_leak_band(leak_band)


def _check_lag_and_sign(function) -> str:
    drawn = torch.Generator().manual_seed(7)
    late = int(torch.randint(20, 180, (1,), generator=drawn))
    for case, (lag, sign) in enumerate(((37, 1), (-85, -1), (late, -1))):
        true = noise(case, 2, 4000)
        true[0] *= 0 if case == 1 else 1  # one channel alone does not tell
        estimate = sign * 0.6 * true.roll(lag, dims=1) + 0.1 * noise(70 + case, 2, 4000)
        answer = ask(function, true, estimate, name="lag_and_sign")
        given = f"an estimate {lag} samples late"
        given = given if lag > 0 else f"an estimate {-lag} samples early"
        _compare_lag(_pair(answer, "lag_and_sign", given), lag, sign, given)
    return "lag_and_sign found how late, how early and how inverted three estimates are"


def _compare_lag(answer: tuple[float, float], lag: int, sign: int, given: str) -> None:
    given = f"{given} and inverted" if sign < 0 else given
    if answer[0] == -lag:
        raise NotYet(f"lag_and_sign returned the lag {answer[0]:g} for {given}: a lag above 0 "
                     "means that the estimate comes late")  # fmt: skip
    if lag < 0 and answer[0] > 1000:
        raise NotYet(f"lag_and_sign returned the lag {answer[0]:g} for {given}: the second half of "
                     "a circular correlation holds the lags below 0")  # fmt: skip
    if answer[0] != lag and sign < 0:
        raise NotYet(f"lag_and_sign returned the lag {answer[0]:g} for {given}: where the estimate "
                     "is inverted, the strongest correlation is a negative one")  # fmt: skip
    if answer[0] != lag:
        raise NotYet(f"lag_and_sign returned the lag {answer[0]:g} for {given}, expected {lag}")
    if abs(answer[1]) != 1:
        raise NotYet(f"lag_and_sign returned the sign {answer[1]:g}, expected +1 or −1")
    if answer[1] != sign:
        raise NotYet(f"lag_and_sign returned the sign {answer[1]:+g} for {given}: take the sign of "
                     "the correlation at the lag that you found")  # fmt: skip


def _check_leak_band(function) -> str:
    drawn = torch.rand(1, generator=torch.Generator().manual_seed(8)).item()
    random_hz = 250 * 2**drawn
    cases = ((2000, 6000, 44_100), (3500, 9000, 32_000), (random_hz, 5 * random_hz, 44_100))
    for case, (low, high, rate) in enumerate(cases):
        drums, error = _leak(case, low, high, rate)
        answer = ask(function, error, drums, rate, name="leak_band")
        given = f"drums that leak from {low:.0f} to {high:.0f} Hz at a sample rate of {rate} Hz"
        _compare_band(_pair(answer, "leak_band", given), (low, high), given)
    return "leak_band found the band of three leaks beside louder artefacts"


def _leak(case: int, low: float, high: float, rate: int) -> tuple[Tensor, Tensor]:
    """Make drums, and an error that holds a band of them and, below it, a louder artefact."""
    bursts = torch.exp(-8 * ((torch.arange(4 * rate) / rate) % 0.5))
    drums = _band(noise(30 + case, 2, 4 * rate) * bursts, 0, rate / 2, rate)
    hiss = _band(noise(60 + case, 2, 4 * rate), 0, rate / 2, rate)
    artefact = 0.4 * _band(hiss, low / 5, low / 2, rate) + 0.003 * noise(90 + case, 2, 4 * rate)
    return drums, artefact - 0.5 * _band(drums, low, high, rate, tilt=False)


def _band(sound: Tensor, low: float, high: float, rate: int, tilt: bool = True) -> Tensor:
    """Keep a band; with `tilt`, a spectrum that falls by 3 dB per octave, as music does."""
    length = sound.shape[-1]
    hz = torch.fft.rfftfreq(length, 1 / rate)
    gain = ((hz >= low) & (hz < high)).float()
    gain = gain * (hz.clamp_min(50) / 50) ** -0.5 if tilt else gain
    return torch.fft.irfft(torch.fft.rfft(sound) * gain, length)


def _compare_band(answer: tuple[float, float], band: tuple[float, float], given: str) -> None:
    first, last = answer
    said = f"leak_band returned {first:.4g} to {last:.4g}"
    if first >= last:
        raise NotYet(f"{said}, expected the lower frequency first and the higher one second")
    said = f"leak_band returned {first:.4g} to {last:.4g} for {given}"
    low, high = (edge / true for edge, true in zip(answer, band, strict=True))
    if max(low, high) < 0.15:
        raise NotYet(f"{said}: return hertz; bin k is k · sample_rate / n_fft Hz")
    if low < 0.55:
        raise NotYet(f"{said}: below the leak lies an artefact, which is loud but is "
                     "no drums; ask each frequency how much of the drums is in it")  # fmt: skip
    if not (_near(low) or _near(high)):
        raise NotYet(f"{said}: both edges are off by more than a third of an octave")
    if not (_near(low) and _near(high)):
        edge = "upper" if _near(low) else "lower"
        raise NotYet(f"{said}: the {edge} edge is off by more than a third of an octave")


def _near(ratio: float) -> bool:
    return 1 / THIRD_OCTAVE <= ratio <= THIRD_OCTAVE


def _pair(answer: object, name: str, given: str) -> tuple[float, float]:
    answer = list(answer) if isinstance(answer, Tensor) and answer.dim() else answer
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet(f"{name} returned {describe(answer)} for {given}, expected two numbers")
    return tuple(expect_number(part, name=name, given=given) for part in answer)
