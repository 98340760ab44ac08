"""Lesson 01: what remains of a mixture, and which stem was left out."""

from torch import Tensor

from .checking import NotYet, ask, describe, exercise, expect_tensor, noise

STEMS = ("drums", "bass", "other", "vocals")
EXACT = 1e-5  # in full scale: rounding of a sum of four stems is far below, a fault far above


@exercise
def check_01(*, residual=None, left_out=None) -> str:
    """Check an exercise of lesson 01.

    Args:
        residual: takes a mixture (2, time) and a dict of stems; returns what the stems leave of it.
        left_out: takes a mixture and a dict of stems, all but one of which are in the mixture;
            returns the name of the one that is not.

    Lesson: 01_a_song_is_a_sum
    """
    return _check_residual(residual) if residual is not None else _check_left_out(left_out)


def _check_residual(residual) -> str:
    for seed, names in enumerate((STEMS, ("voice", "piano"), ("alone",))):
        stems = {name: noise(seed + len(name), 2, 500) / 4 for name in names}
        extra = noise(90 + seed, 2, 500) / 100
        mixture, given = sum(stems.values()) + extra, f"{len(names)} stems and a faint noise"
        answer = expect_tensor(ask(residual, mixture, stems, name="residual"), (2, 500),
                               name="residual", given=given)  # fmt: skip
        if (answer - extra).abs().max() > EXACT:
            raise NotYet(f"residual is wrong for {given}: {_what_is_left(answer, extra, stems)}")
    return "residual found the faint noise in three mixtures, of four stems, two and one"


def _what_is_left(answer: Tensor, extra: Tensor, stems: dict[str, Tensor]) -> str:
    """Guess from a wrong residual what was done instead."""
    if (answer + extra).abs().max() < EXACT:
        return "it has the wrong sign, the mixture minus the sum is wanted and not the reverse"
    still = [name for name, stem in stems.items() if _share(answer - extra, stem) > 0.5]
    if still:
        return f"it still holds {', '.join(still)}, so take away all of every stem"
    return f"it is off by up to {(answer - extra).abs().max():.2g}"


def _share(sound: Tensor, stem: Tensor) -> float:
    """Say how much of a stem is in a sound: 1 for all of it, 0 for nothing."""
    return ((sound * stem).sum() / stem.square().sum()).item()


def _check_left_out(left_out) -> str:
    answers, tries = [], []
    for seed, missing in enumerate(("other", "vocals", "bass")):
        loudness = {name: 0.7 ** ((number + seed) % 4) for number, name in enumerate(STEMS)}
        stems = {name: loudness[name] * noise(seed + len(name), 2, 800) / 3 for name in STEMS}
        mixture = sum(stem for name, stem in stems.items() if name != missing)
        answer = ask(left_out, mixture, stems, name="left_out")
        if not isinstance(answer, str) or answer not in STEMS:
            said = describe(answer)
            raise NotYet(f"left_out returned {said}, expected one of {', '.join(STEMS)}")
        answers.append(answer)
        tries.append((mixture, stems, missing))
    expected = [missing for _, _, missing in tries]
    if answers != expected:
        said = f"left_out said {', '.join(answers)} where {', '.join(expected)} were missing"
        raise NotYet(f"{said}: {_why(answers, tries)}")
    return "left_out named the missing stem of three mixtures"


def _why(answers: list[str], tries: list[tuple]) -> str:
    """Guess from three wrong names what was compared instead."""
    if len(set(answers)) == 1:
        return "it says the same whatever the mixture is"
    slips = {
        "mixture minus one stem is quietest for a loud stem, not for the missing one":
            lambda mixture, stems, stem: mixture - stem,
        "mind the sign, the sum of all stems is the mixture plus the missing one":
            lambda mixture, stems, stem: mixture - sum(stems.values()) - stem,
        "a quiet stem may well be in the mixture": lambda mixture, stems, stem: stem,
        "a loud stem may well be left out": lambda mixture, stems, stem: 1 / stem.norm(),
    }  # fmt: skip
    for slip, least in slips.items():
        if answers == [
            min(stems, key=lambda name: least(mixture, stems, stems[name]).norm())
            for mixture, stems, _ in tries
        ]:
            return slip
    return "which stem, taken from the sum of all, makes the residual vanish?"
