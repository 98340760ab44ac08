"""Typical wrong answers to the exercises of lesson 12, and what the check says to each."""

_TIME = "def least_time(steps, peak, bandwidth):\n    return "
_GAIN = "def speedup(shares, gains):\n    "
_LEFT = "left = {p: s / gains.get(p, 1) for p, s in shares.items()}\n    "

WRONG = {
    "least_time": [
        (f"{_TIME}sum(n / peak for n, b in steps)", "the bytes have to travel too"),
        (f"{_TIME}sum(b / bandwidth for n, b in steps)", "the operations take time too"),
        (f"{_TIME}sum(n / peak + b / bandwidth for n, b in steps)", "both go on at once"),
        (f"{_TIME}max(sum(n for n, b in steps) / peak, sum(b for n, b in steps) / bandwidth)",
         "find the limit of each, then add"),
        (f"{_TIME}sum(min(n / peak, b / bandwidth) for n, b in steps)", "not the faster"),
        (f"{_TIME}sum(max(n / bandwidth, b / peak) for n, b in steps)", "belong to the peak"),
        (f"{_TIME}max(max(n / peak, b / bandwidth) for n, b in steps)", "the longest step alone"),
        (f"{_TIME}1000 * sum(max(n / peak, b / bandwidth) for n, b in steps)", "milliseconds"),
        (f"{_TIME}sum(n / min(peak, bandwidth * n / b) for n, b in steps)", "ZeroDivisionError"),
        (f"{_TIME}[max(n / peak, b / bandwidth) for n, b in steps]", "expected a number"),
        (f"{_TIME}7", "calculate this case by hand"),
    ],
    "speedup": [
        (f"{_GAIN}{_LEFT}return sum(left.values())", "one over it"),
        (f"{_GAIN}return 1 / sum(shares[p] / gains[p] for p in gains)", "as long as before"),
        (f"{_GAIN}import math\n    return math.prod(gains.values())", "are not multiplied"),
        (f"{_GAIN}return sum(s * gains.get(p, 1) for p, s in shares.items())", "not speeds"),
        (f"{_GAIN}return 1 / (1 - sum(shares[p] for p in gains))", "they do not vanish"),
        (f"{_GAIN}return max(gains.values())", "for one part only"),
        (f"{_GAIN}{_LEFT}return 1 - sum(left.values())", "old time over new time"),
        (f"{_GAIN}{_LEFT}return 100 / sum(left.values())", "in percent"),
        (f"{_GAIN}return sum(shares[p] / gains[p] for p in shares)", "KeyError"),
        (f"{_GAIN}return gains", "expected a number"),
    ],
}  # fmt: skip
