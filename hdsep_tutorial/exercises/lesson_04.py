"""Lesson 04: stems by their names, and a normalisation that no sound breaks."""

import torch
from torch import Tensor

from .checking import NotYet, ask, describe, exercise, expect_number, expect_tensor, noise

ORDERS = (("drums", "bass", "other", "vocals"), ("vocals", "drums", "bass", "other"))
REMEMBERED = ("drums", "bass", "vocals", "other")
EXACT = 1e-4  # of a sound's largest sample: rounding is far below, a fault far above


@exercise
def check_04(*, name_stems=None, normalise=None) -> str:
    """Check an exercise of lesson 04.

    Args:
        name_stems: takes a model's output (1, sources, 2, time) and its sources; returns a dict
            name → (2, time).
        normalise: takes a mixture (2, time); returns it scaled, and the mean and the divisor.

    Lesson: 04_first_separation
    """
    if name_stems is not None:
        return _check_name_stems(name_stems)
    return _check_normalise(normalise)


def _check_name_stems(name_stems) -> str:
    names = ["piano", "guitar", *ORDERS[0]]
    mixed = tuple(names[n] for n in torch.randperm(6, generator=torch.Generator().manual_seed(4)))
    for seed, sources in enumerate((*ORDERS, mixed)):
        truth = {name: noise(10 * seed + n, 2, 300) for n, name in enumerate(sources)}
        output, given = torch.stack([*truth.values()])[None], f"a model of {', '.join(sources)}"
        answer = ask(name_stems, output, sources, name="name_stems")
        if not isinstance(answer, dict):
            raise NotYet(f"name_stems returned {describe(answer)}, expected a dict of stems")
        if set(answer) != set(sources):
            raise NotYet(f"name_stems returned {describe(answer)} for {given}")
        for name, stem in answer.items():
            expect_tensor(stem, (2, 300), name=f"the {name} of name_stems", given=given)
        wrong = [name for name in sources if not torch.equal(answer[name], truth[name])]
        if wrong:
            raise NotYet(_what_went_wrong(wrong[0], answer, truth, given))
    return "name_stems named the stems of three models, one of them with six sources"


def _what_went_wrong(name: str, answer: dict, truth: dict[str, Tensor], given: str) -> str:
    """Say which stem was found under a wrong name, and guess which order was assumed."""
    said = f"the output of {given} got wrong names"
    found = next((n for n in truth if torch.equal(answer[name], truth[n])), None)
    if found is None:
        return f"{said}: what is called {name} is none of its stems"
    for why, order in {
        "ordered from memory": REMEMBERED,
        "named in alphabetical order": sorted(truth),
        "named from behind": [*truth][::-1],
    }.items():
        pairs = zip(order, truth, strict=False)
        if all(torch.equal(answer[n], truth[at]) for n, at in pairs if n in answer):
            return f"{said}: {name} holds the {found}, as if {why}"
    return f"{said}: {name} holds the {found}; the order is that of sources"


def _check_normalise(normalise) -> str:
    plain = 0.2 * noise(1, 2, 4000) + 0.05
    draw = 10 ** (-2 - noise(4, 1).item())  # of the order of a hundredth
    cases = {
        "music with an offset": plain,
        "a faint song": draw * noise(2, 2, 4000),
        "silence": torch.zeros(2, 4000),
        "L = -R": torch.stack([plain[0], -plain[0]]),
        "a constant": torch.full((2, 4000), 0.25),
    }
    for given, mixture in cases.items():
        scaled, mean, divisor = _triple(ask(normalise, mixture, name="normalise"), mixture, given)
        error = (scaled * divisor + mean - mixture).abs().max()
        if not scaled.any() and given == "L = -R":
            raise NotYet("L = -R came back as silence: the song is lost, and nothing can undo that")
        if not error <= EXACT * mixture.abs().max():
            raise NotYet(
                f"scaled * divisor + mean is off by up to {error:.2g} for {given}: "
                "what is returned must undo what was done"
            )
        if given in ("music with an offset", "a faint song"):
            _check_scale(scaled, given)
    return "normalise kept music at 1, and silence, L = -R and a constant finite"


def _triple(answer: object, mixture: Tensor, given: str) -> tuple[Tensor, float, float]:
    """Return (scaled, mean, divisor), or raise NotYet."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise NotYet(f"normalise returned {describe(answer)}, expected (scaled, mean, divisor)")
    if isinstance(answer[0], Tensor) and answer[0].shape == mixture.shape:
        broken = 100 * (1 - answer[0].isfinite().float().mean())
        if broken:
            raise NotYet(f"{broken:.0f} % of the samples are NaN or infinite for {given}")
    scaled = expect_tensor(answer[0], tuple(mixture.shape), name="normalise", given=given)
    return scaled, *(expect_number(value, name="normalise", given=given) for value in answer[1:])


def _check_scale(scaled: Tensor, given: str) -> None:
    """Raise NotYet unless the mono version has mean 0 and standard deviation 1."""
    mono = scaled.mean(dim=0)
    mean, std = mono.mean().item(), mono.std().item()
    if abs(mean) > 0.01:
        raise NotYet(f"the mono version of {given} has the mean {mean:.2f} afterwards, expected 0")
    if abs(std - 1) > 0.01:
        raise NotYet(
            f"the mono version of {given} has the standard deviation {std:.2f} afterwards, "
            "expected 1: measure (left + right) / 2, and guard the divisor by next to nothing"
        )
