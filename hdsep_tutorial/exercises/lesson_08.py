"""Lesson 08: write SDR and SI-SDR."""

import math

import torch
from torch import Tensor

from .checking import NotYet, ask, describe, exercise, expect_number, noise

TOLERANCE_DB = 0.01


@exercise
def check_08(*, sdr=None, si_sdr=None) -> str:
    """Check an exercise of lesson 08.

    Args:
        sdr: takes a reference and an estimate (2, time); returns the SDR in dB, None where the
            reference is silent.
        si_sdr: the same for SI-SDR, None where either is silent.

    Lesson: 08_scores
    """
    return _check_sdr(sdr) if sdr is not None else _check_si_sdr(si_sdr)


def _check_sdr(function) -> str:
    for case in range(3):
        true, guess = _stems(case)
        given = f"pair {case + 1}"
        score = expect_number(ask(function, true, guess, name="sdr"), name="sdr", given=given)
        error = true - guess
        right = _db(_energy(true), _energy(error))
        per_channel = (10 * (true.square().sum(1) / error.square().sum(1)).log10()).mean().item()
        _compare(score, right, f"sdr returned {score:.2f} dB for {given}, expected {right:.2f}", {
            -right: "signal and error have changed places",
            2 * right: "a ratio of energies takes 10 log10, 20 is for amplitudes",
            right / 2: "take squares, not amplitudes",
            right * math.log(10): "take the logarithm to base 10",
            right / 10: "decibels are ten times the logarithm",
            _db(_energy(guess), _energy(error)): "the signal is the reference, not the estimate",
            _db(_energy(true.mean(0)), _energy(error.mean(0))): "add up both channels' squares "
            "before anything is averaged; a mono sum loses what is different",
            per_channel: "sum over both channels first, then take one logarithm",
        })  # fmt: skip
    _expect_none(function, torch.zeros(2, 90), noise(5, 2, 90), "sdr", "a silent reference")
    return "sdr agrees with the definition on three pairs, and gives no number for silence"


def _check_si_sdr(function) -> str:
    for case in range(3):
        true, guess = _stems(case)
        given = f"pair {case + 1}"
        score = expect_number(ask(function, true, guess, name="si_sdr"), name="si_sdr", given=given)
        product, signal = (true * guess).sum().item(), _energy(true)
        gain, inverse = product / signal, product / _energy(guess)
        level = math.sqrt(_energy(guess) / signal)
        right = _db(gain**2 * signal, _energy(gain * true - guess))
        said = f"si_sdr returned {score:.2f} dB for {given}, expected {right:.2f}"
        _compare(score, right, said, {
            _db(signal, _energy(true - guess)): "this is SDR: it still changes with the level",
            _db(signal, _energy(gain * true - guess)): "the signal is α s, not s",
            _db(signal, _energy(gain * guess - true)): "α belongs to the reference, s, not to ŝ",
            _db(signal, _energy(inverse * guess - true)): "here the gain is on the estimate; the "
            "definition scales the reference, which gives another ratio",
            _db(_energy(level * true), _energy(level * true - guess)): "equal loudness is not the "
            "best fit: α = ⟨ŝ, s⟩ / |s|²",
            _per_channel(true, guess): "one α for both channels: sum over all before you divide",
        })  # fmt: skip
    silence, sound = torch.zeros(2, 90), noise(5, 2, 90)
    _expect_none(function, silence, sound, "si_sdr", "a silent reference")
    _expect_none(function, sound, silence, "si_sdr", "a silent estimate")
    return "si_sdr agrees with the definition on three pairs, and gives no number for silence"


def _stems(case: int) -> tuple[Tensor, Tensor]:
    """Make a stem whose channels differ, and an estimate of it at two other levels."""
    true, fault = noise(10 + case, 2, 700), noise(40 + case, 2, 700)
    true[1] *= 0.5 - 0.1 * case
    fault[0] *= 0.3
    gains = torch.tensor([[0.6 + 0.5 * case], [0.9]])
    return true, gains * true + 0.25 * fault


def _compare(score: float, right: float, said: str, mistakes: dict[float, str]) -> None:
    if abs(score - right) <= TOLERANCE_DB:
        return
    for wrong, why in mistakes.items():
        if abs(score - wrong) <= TOLERANCE_DB:
            raise NotYet(f"{said}: {why}")
    raise NotYet(said)


def _expect_none(function, true: Tensor, guess: Tensor, name: str, given: str) -> None:
    try:
        answer = ask(function, true, guess, name=name)
    except NotYet as reason:
        if "returned nothing" in str(reason):
            return
        raise
    raise NotYet(
        f"{name} returned {describe(answer)} for {given}, expected None: no signal, no score"
    )


def _per_channel(true: Tensor, guess: Tensor) -> float:
    gain = (true * guess).sum(1, keepdim=True) / true.square().sum(1, keepdim=True)
    return _db(_energy(gain * true), _energy(gain * true - guess))


def _energy(sound: Tensor) -> float:
    return sound.double().square().sum().item()


def _db(signal: float, error: float) -> float:
    return 10 * math.log10(signal / error)
