"""Typical wrong answers to the exercise of lesson 11, and what the check says to each."""

FIND = """
from hdsep_tutorial.scores import find_lag

def find_faults(mixture, stems):
    faults = {}
    for name, stem in stems.items():
        if (stem.abs() > 0.999 * stem.abs().max()).float().mean() > 0.001:
            faults[name] = "clipped"
        elif find_lag(mixture, stem) >= 100:
            faults[name] = "late"
        elif (mixture * stem).sum() < 0:
            faults[name] = "inverted"
    return faults
"""
SIGNED = """
def strongest(mixture, stem):
    x, s = (torch.fft.rfft(sound, 16384) for sound in (mixture, stem))
    at = torch.fft.irfft((x.conj() * s).sum(dim=0)).argmax().item()
    return at if at < 8192 else 16384 - at
"""

WRONG = {
    "find_faults": [
        (SIGNED + FIND.replace("find_lag(", "strongest("), "search by size"),
        (FIND.replace("stem).sum() < 0", "stem).sum() < -1e9"), "is negative"),
        (FIND.replace("find_lag(mixture, stem) >= 100", "False"), "find the strongest lag first"),
        (FIND.replace(">= 100", ">= 5000").replace("elif (m", "elif not find_lag(mixture, stem) "
         "and (m"), "hundreds of samples later"),
        (FIND.replace("0.999 * stem.abs().max()).float().mean() > 0.001", "0.99).any()"),
         "need not reach full scale"),
        (FIND.replace("> 0.001", "> 0"), "touches its maximum once"),
        (FIND.replace('faults[name] = "late"', 'faults[name] = "too late"'), "says 'too late' of"),
        (FIND.replace("return faults", "return list(faults)"), "expected a dict"),
        (FIND.replace("return faults", "return {**faults, 'guitar': 'late'}"), "names 'guitar'"),
    ],
}  # fmt: skip
