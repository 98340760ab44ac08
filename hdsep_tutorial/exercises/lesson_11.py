"""Lesson 11: the faults of a delivery that show without any reference."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from .checking import NotYet, ask, describe, exercise, noise

WORDS = ("late", "inverted", "clipped")
# What a delivery is: stems, and the faults that are planted in them.
DELIVERIES = (
    {"drums": "late", "bass": None, "other": "clipped", "vocals": "inverted"},
    {"voice": "clipped", "piano": "inverted", "kick": "late", "strings": None},
    {"drums": None, "bass": None, "other": None, "vocals": None},
)
# What to tell whoever says the second of a stem that is the first.
HINTS = {
    ("inverted", "late"): "its strongest correlation is a negative one, so search by size and "
    "look at the sign then",
    ("inverted", None): "its correlation with the mixture is negative",
    ("late", "inverted"): "at lag 0 the correlation of a late stem may have either sign, so find "
    "the strongest lag first",
    ("late", None): "its correlation with the mixture is strongest hundreds of samples later",
    ("clipped", None): "a clipped stem need not reach full scale, so count the samples at its own "
    "maximum",
    (None, "inverted"): "its correlation with the mixture is positive",
    (None, "late"): "its correlation with the mixture is strongest at lag 0",
}
LOOK_AGAIN = "it has another trace in its samples or in its correlation with the mixture"
SHARP = "every stem touches its maximum once, a clipped one stays there"


@exercise
def check_11(*, find_faults=None) -> str:
    """Check the exercise of lesson 11.

    Args:
        find_faults: takes a mixture (2, time) and a dict of stems; returns a dict of the faulty
            ones, stem → "late", "inverted" or "clipped".

    Lesson: 11_your_song
    """
    for seed, faults in enumerate(DELIVERIES):
        mixture, stems = _deliver(faults, seed)
        answer = ask(find_faults, mixture, stems, name="find_faults")
        _expect_words(answer, stems)
        for name, fault in faults.items():
            said = answer.get(name)
            if said != fault:
                why = SHARP if said == "clipped" else HINTS.get((fault, said), LOOK_AGAIN)
                raise NotYet(f"find_faults says that {name} is {said or 'good'}, but it is "
                             f"{fault or 'good'} in delivery {seed + 1} of 3: {why}")  # fmt: skip
    return "find_faults found six faults in two deliveries, and none in a good one"


def _deliver(faults: dict[str, str | None], seed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Mix noise, and plant the faults in imperfect estimates of it."""
    draw = torch.Generator().manual_seed(seed)
    lag = int(torch.randint(200, 900, (), generator=draw))
    true = {name: torch.randn(2, 8000, generator=draw) / 20 for name in faults}
    stems = {name: stem + noise(seed, 2, 8000) / 500 for name, stem in true.items()}
    plant = {
        None: lambda stem: stem,
        "late": lambda stem: pad(stem, (lag, 0))[:, :8000],
        "inverted": lambda stem: -stem,
        "clipped": lambda stem: stem.clamp(-0.06, 0.06),
    }
    return sum(true.values()), {name: plant[faults[name]](stem) for name, stem in stems.items()}


def _expect_words(answer: object, stems: dict[str, Tensor]) -> None:
    if not isinstance(answer, dict):
        raise NotYet(f"find_faults returned {describe(answer)}, expected a dict, stem → fault")
    strangers = [name for name in answer if name not in stems]
    if strangers:
        raise NotYet(f"find_faults names {strangers[0]!r}, expected some of {', '.join(stems)}")
    for name, word in answer.items():
        if word not in WORDS:
            raise NotYet(f"find_faults says {describe(word)} of {name}, expected one of "
                         f"{', '.join(WORDS)}; a good stem is left out")  # fmt: skip
