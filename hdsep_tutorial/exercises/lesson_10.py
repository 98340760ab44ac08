"""Lesson 10: a remix to a brief, and stems that add up to their mixture."""

import math

import torch
from torch import Tensor

from ..remix import remix, true_peak_db
from .checking import NotYet, ask, describe, exercise, expect_tensor, noise

RATE, LIMIT_DB = 44_100, -1.0
BRIEF_DB = {"vocals": -6.0, "drums": 3.0}
SLACK_DB = 0.1  # for other ways to measure a true peak, and for a careful margin
EXACT = 1e-5  # in full scale


@exercise
def check_10(*, to_brief=None, consistent=None) -> str:
    """Check an exercise of lesson 10.

    Args:
        to_brief: takes a dict of stems (2, time) and a sample rate; returns their remix with
            vocals at -6 dB, drums at +3 dB, turned down as a whole where it exceeds -1 dBTP.
        consistent: takes a dict of estimates and their mixture (2, time); returns a dict of the
            nearest estimates that sum to the mixture.

    Lesson: 10_remix
    """
    return _check_to_brief(to_brief) if to_brief is not None else _check_consistent(consistent)


def _check_to_brief(to_brief) -> str:
    for given, stems in _albums().items():
        answer = ask(to_brief, stems, RATE, name="to_brief")
        mix = expect_tensor(answer, (2, 6000), name="to_brief", given=given).float()
        gains_db = _gains_of(mix, stems, given)
        _expect_balance(gains_db, given)
        untouched_db = true_peak_db(remix(stems, BRIEF_DB), RATE)
        _expect_level(mix, min(0.0, LIMIT_DB - untouched_db), gains_db["bass"], given)
    return "to_brief kept balance and limit in a quiet song, a loud one and one that deceives"


def _albums() -> dict[str, dict[str, Tensor]]:
    """Make a song far below the limit, a loud one, and one beyond it only between its samples."""
    names, fade = ("other", "vocals", "bass", "drums"), torch.hann_window(6000)
    levels = 1 + torch.rand(4, generator=torch.Generator().manual_seed(10))
    quiet = {n: 0.04 * levels[i] * fade * _dull(i) for i, n in enumerate(names)}
    loud = {n: 2 * fade * _dull(20 + i) for i, n in enumerate(names[1:])}
    between = {n: 0.1 * fade * _dull(10 + i) for i, n in enumerate(names)}
    angle = torch.pi / 2 * torch.arange(6000) + torch.pi / 4  # samples beside their crests
    between["bass"] = between["bass"] + fade * torch.sin(angle)
    return {"a quiet song": quiet, "a loud song": loud,
            "a song whose peaks lie between its samples": between}  # fmt: skip


def _dull(seed: int) -> Tensor:
    """Return noise below 6 kHz, in which every true-peak meter finds the same peak."""
    spectrum = torch.fft.rfft(noise(seed, 2, 6000))
    return torch.fft.irfft(spectrum * (torch.arange(3001) < 6 * 6000 / 44.1), 6000)


def _gains_of(mix: Tensor, stems: dict[str, Tensor], given: str) -> dict[str, float]:
    """Find with which gain, in dB, each stem is in the mix, or refuse what is no sum of stems."""
    columns = torch.stack([stem.flatten() for stem in stems.values()], dim=1).double()
    gains = torch.linalg.lstsq(columns, mix.flatten()[:, None].double()).solution[:, 0]
    rest = mix.flatten() - columns @ gains
    if rest.norm() > 1e-3 * mix.norm():
        raise NotYet(f"the remix of {given} holds sound that is in no stem: clamp, tanh and gains "
                     "that change in time distort, so turn all down by one gain")  # fmt: skip
    lost = [name for name, gain in zip(stems, gains.tolist(), strict=True) if gain < 1e-3]
    if lost:
        raise NotYet(f"in the remix of {given} the stem {lost[0]} is missing or turned over")
    return dict(zip(stems, (20 * gains.log10()).tolist(), strict=True))


def _expect_balance(gains_db: dict[str, float], given: str) -> None:
    """Compare the gains with the brief; a gain on all of them does not count."""
    for name, wanted in BRIEF_DB.items():
        found = gains_db[name] - gains_db["bass"]
        said = f"in the remix of {given} the {name} have {found:+.1f} dB, wanted {wanted:+.0f} dB"
        if abs(found - 2 * wanted) < 0.05:
            raise NotYet(f"{said}: a gain in dB is 10 ** (dB / 20) for a waveform")
        if abs(found + wanted) < 0.05:
            raise NotYet(f"{said}: mind the sign")
        if abs(found - wanted) > 0.05:
            raise NotYet(f"{said}, beside a bass of 0 dB")
    if abs(gains_db.get("other", gains_db["bass"]) - gains_db["bass"]) > 0.05:
        raise NotYet(f"in the remix of {given} bass and other are not equally far from 0 dB: all "
                     "stems but vocals and drums stay unchanged")  # fmt: skip


def _expect_level(mix: Tensor, wanted_db: float, found_db: float, given: str) -> None:
    """See that the gain on the whole mix is the one that the limit asks for, or none."""
    peak_db, sample_db = true_peak_db(mix, RATE), 20 * math.log10(mix.abs().max())
    if found_db > SLACK_DB:
        raise NotYet(f"{given} was turned up by {found_db:.1f} dB: the limit is no target")
    if peak_db > LIMIT_DB + SLACK_DB:
        why = f"turn it down by {peak_db - LIMIT_DB:.1f} dB"
        if sample_db <= LIMIT_DB + SLACK_DB:
            why = f"its samples stay at {sample_db:.1f} dBFS, so measure between them too"
        elif sample_db <= SLACK_DB:
            why = "below full scale is not enough, the limit is -1"
        raise NotYet(f"the remix of {given} has a true peak of {peak_db:.1f} dBTP: {why}")
    if found_db < wanted_db - SLACK_DB and wanted_db == 0:
        raise NotYet(f"{given} was turned down by {-found_db:.1f} dB although it was safe")
    if found_db < wanted_db - SLACK_DB:
        raise NotYet(f"{given} was turned down by {-found_db:.1f} dB, but {-wanted_db:.1f} dB "
                     "reach the limit")  # fmt: skip


def _check_consistent(consistent) -> str:
    size = 300 + int(torch.randint(200, (), generator=torch.Generator().manual_seed(11)))
    albums = (("drums", "bass", "other", "vocals"), ("voice", "band"), ("a", "b", "c"))
    for seed, names in enumerate(albums):
        estimates = {name: noise(seed + 7 * i, 2, size) / 3 for i, name in enumerate(names)}
        estimates[names[0]] = estimates[names[0]] * 0.2
        mixture = sum(estimates.values()) + noise(50 + seed, 2, size) / 10
        given = f"{len(names)} estimates"
        answer = ask(consistent, estimates, mixture, name="consistent")
        if not isinstance(answer, dict) or list(answer) != list(names):
            raise NotYet(f"consistent returned {describe(answer)} for {given}, expected a dict of "
                         f"{', '.join(names)}, in this order")  # fmt: skip
        for name in names:
            expect_tensor(answer[name], (2, size), name=f"the new {name}", given=given)
        _expect_nearest(answer, estimates, mixture, given)
    return "consistent repaired four estimates, two and three, each by the smallest change"


def _expect_nearest(
    answer: dict[str, Tensor], estimates: dict[str, Tensor], mixture: Tensor, given: str
) -> None:
    """See that the answer sums to the mixture, and is as near to the estimates as can be."""
    residual, left = mixture - sum(estimates.values()), mixture - sum(answer.values())
    if left.abs().max() > EXACT:
        said = f"the new stems of {given} miss the mixture by up to {left.abs().max():.2g}"
        raise NotYet(f"{said}: {_what_is_missing(left, residual, len(estimates))}")
    changes = {name: (answer[name] - estimates[name]).square().sum() for name in answer}
    ratio = (sum(changes.values()) / residual.square().sum() * len(changes)).item()
    if ratio > 1.001:
        most = max(changes, key=changes.get)
        alone = changes[most] > 0.999 * sum(changes.values())
        why = f"{most} takes all of it" if alone else "are the shares of all stems equal?"
        raise NotYet(f"the new stems of {given} sum to the mixture, but the change has {ratio:.3g} "
                     f"times the least energy: {why}")  # fmt: skip


def _what_is_missing(left: Tensor, residual: Tensor, count: int) -> str:
    """Guess from what is still left over how the residual was dealt out instead."""
    part = ((left * residual).sum() / residual.square().sum()).item()
    if (left - part * residual).abs().max() > EXACT:
        return "the residual is the mixture minus the sum of the estimates"
    if abs(part - 1) < 1e-3:
        return "nothing of the residual was dealt out"
    if abs(part - 2) < 1e-3:
        return "the residual has the wrong sign"
    if abs(part + count - 1) < 1e-3:
        return "each stem got all of the residual instead of its share"
    return f"{100 * (1 - part):.0f} % of the residual were dealt out, expected 100 %"
