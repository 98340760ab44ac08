"""Lesson 00: where the network will run, and how many samples make a second."""

import torch
from torch import Tensor

from ..runtime import pick_device
from .checking import NotYet, ask, describe, exercise, expect_number, noise


@exercise
def check_00(*, device=None, rate_of=None) -> str:
    """Check an exercise of lesson 00.

    Args:
        device: name of the device on which the lessons run the network.
        rate_of: takes a waveform (2, time) and the seconds that it lasts; returns its sample rate
            in Hz.

    Lesson: 00_start_here
    """
    return _check_device(device) if rate_of is None else _check_rate_of(rate_of)


def _check_device(device) -> str:
    if device is None or device is ...:
        raise NotYet("device is still empty: replace the ... by a name such as 'cpu'")
    if isinstance(device, bool):
        raise NotYet(f"device is {device}, which answers yes or no: make a name of it, as in "
                     "'cuda' if yes else 'cpu'")  # fmt: skip
    if not isinstance(device, str | torch.device):
        raise NotYet(f"device is {describe(device)}, expected a name in quotes such as 'cpu'")
    try:
        chosen = pick_device(str(device))
    except ValueError as error:
        raise NotYet(f"{error} (torch calls every graphics card of NVIDIA cuda)") from None
    used = pick_device()
    if chosen.type != used.type:
        raise NotYet(f"{chosen} is on this machine, but the lessons take {used} when nobody asks "
                     "for another: look at torch.cuda.is_available()")  # fmt: skip
    for seed in range(3):
        sound = noise(seed, 2, 1000)
        if not torch.equal(sound.to(chosen).cpu(), sound):
            raise NotYet(f"a sound came back changed from {chosen}: the machine needs a look")
    return f"the lessons run on {chosen.type}, and three sounds travelled there and back unchanged"


def _check_rate_of(rate_of) -> str:
    some_rate = int(torch.randint(9_000, 96_000, (), generator=torch.Generator().manual_seed(7)))
    for seconds, rate in ((1.0, 44_100), (0.5, 48_000), (0.25, some_rate // 4 * 4)):
        waveform = noise(rate, 2, round(seconds * rate))
        given = f"{waveform.shape[1]} samples in each of 2 channels that last {seconds} s"
        answer = ask(rate_of, waveform, seconds, name="rate_of")
        said = expect_number(answer, name="rate_of", given=given)
        if abs(said - rate) > 0.5:
            raise NotYet(f"rate_of said {said:.6g} Hz for {given}: {_why(said, waveform, seconds)}")
    return "rate_of found three rates, one of them a strange one"


def _why(said: float, waveform: Tensor, seconds: float) -> str:
    """Guess from a wrong rate what was counted instead."""
    channels, samples = waveform.shape
    if abs(said - 44_100) < 0.5:
        return "not every sound has 44100, so work it out"
    if abs(said - channels * samples / seconds) < 0.5:
        return "that counts both channels, which sound at the same time"
    if abs(said - channels / seconds) < 0.5:
        return "that counts the channels, because len() sees the first axis of (2, time)"
    if said * samples / seconds - 1 < 1e-3:
        return "that is how long a sample lasts, so turn the fraction over"
    if abs(said - samples) < 0.5:
        return "that is right only for a sound of one second"
    return "how many samples come in one second?"
