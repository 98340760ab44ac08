"""Lesson 12: the least time of a list of steps, and what a change of some parts buys."""

import math

from .checking import NotYet, ask, exercise, expect_number, noise

CLOSE = 1e-4  # relative; the sums differ by rounding only
PEAK, BANDWIDTH = 200e9, 20e9  # operations and bytes per second


@exercise
def check_12(*, least_time=None, speedup=None) -> str:
    """Check an exercise of lesson 12.

    Args:
        least_time: takes steps, a list of (operations, bytes), a peak in operations per second
            and a bandwidth in bytes per second; returns seconds, by the roofline.
        speedup: takes shares, {part: share of the time}, and gains, {part: how many times as
            fast}; returns how many times as fast the whole becomes, by Amdahl's law.

    Lesson: 12_making_it_fast
    """
    return _check_least_time(least_time) if least_time is not None else _check_speedup(speedup)


def _check_least_time(least_time) -> str:
    drawn = noise(12, 5, 2).abs()
    random = [(int(2e11 * operations), int(4e10 * moved)) for operations, moved in drawn.tolist()]
    tries = []
    for given, steps in {
        "a convolution, then an addition": [(40 * 10**9, 10**9), (10**9, 8 * 10**9)],
        "two convolutions and a copy": [(10**11, 10**9), (6 * 10**10, 10**9), (0, 2 * 10**9)],
        "five random steps": random,
    }.items():
        answer = ask(least_time, steps, PEAK, BANDWIDTH, name="least_time")
        answer = expect_number(answer, name="least_time", given=given)
        right = sum(max(n / PEAK, moved / BANDWIDTH) for n, moved in steps)
        tries.append((given, answer, right, _wrong_times(steps, right)))
    _compare(tries, "least_time")
    return "least_time knows the limit of three lists of steps, one of them random"


def _wrong_times(steps: list[tuple[int, int]], right: float) -> dict[str, float]:
    """Return what typical slips lead to."""
    compute = [operations / PEAK for operations, _ in steps]
    travel = [moved / BANDWIDTH for _, moved in steps]
    slips = {
        "the bytes have to travel too": sum(compute),
        "the operations take time too": sum(travel),
        "both go on at once, so a step takes the longer time and not the sum":
            sum(compute) + sum(travel),
        "the steps run one after the other, so find the limit of each, then add":
            max(sum(compute), sum(travel)),
        "the slower of the two limits a step, not the faster": sum(map(min, compute, travel)),
        "operations belong to the peak, bytes to the bandwidth":
            sum(max(n / BANDWIDTH, moved / PEAK) for n, moved in steps),
        "that is the longest step alone, they all have to run": max(*compute, *travel),
        "that is milliseconds": 1000 * right,
    }  # fmt: skip
    return slips


def _check_speedup(speedup) -> str:
    draw, tries = noise(21, 4).abs().tolist(), []
    thirds = dict(zip("abc", (share / sum(draw[:3]) for share in draw[:3]), strict=True))
    for shares, gains in (
        ({"page faults": 0.3, "layers": 0.5, "copies": 0.2}, {"layers": 2.0, "copies": 4.0}),
        ({"page faults": 0.4, "layers": 0.6}, {"page faults": 100.0}),
        (thirds, {"a": 1 + 4 * draw[3], "b": 0.5}),
    ):
        given = f"shares {_rounded(shares)} and gains {_rounded(gains)}"
        answer = ask(speedup, shares, gains, name="speedup")
        answer = expect_number(answer, name="speedup", given=given)
        left = {part: share / gains.get(part, 1) for part, share in shares.items()}
        tries.append((given, answer, 1 / sum(left.values()), _wrong_speedups(shares, gains, left)))
    _compare(tries, "speedup")
    return "speedup is right for three programs: one gets a slower part, one is random"


def _wrong_speedups(shares: dict, gains: dict, left: dict) -> dict[str, float]:
    """Return what typical slips lead to."""
    changed, whole = sum(shares[part] for part in gains), sum(left.values())
    slips = {
        "that is the share of the time that is left, the speedup is one over it": whole,
        "a part that has no gain takes as long as before": 1 / sum(left[part] for part in gains)
        if any(left[part] for part in gains) else math.inf,
        "gains of different parts are not multiplied": math.prod(gains.values()),
        "times add up, not speeds, so divide each share by its gain":
            sum(share * gains.get(part, 1) for part, share in shares.items()),
        "the changed parts get faster, they do not vanish":
            1 / (1 - changed) if changed < 1 else math.inf,
        "the best gain holds for one part only": max(gains.values()),
        "that is in percent": 100 / whole,
        "that is what is saved, the speedup is old time over new time": 1 - whole,
    }  # fmt: skip
    return slips


def _compare(tries: list[tuple], name: str) -> None:
    """Raise NotYet unless all answers are right; name a slip only if it explains all of them."""
    wrong = [attempt for attempt in tries if not _near(attempt[1], attempt[2])]
    if not wrong:
        return
    given, answer, right, slips = wrong[0]
    fits = [why for why in slips if all(_near(said, all_[why]) for _, said, _, all_ in tries)]
    why = fits[0] if fits else "calculate this case by hand"
    raise NotYet(f"{name} returned {answer:.3g} for {given}, expected {right:.3g}: {why}")


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=CLOSE)


def _rounded(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2g}" for name, value in numbers.items())
