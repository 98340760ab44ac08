"""Typical wrong answers to the exercises of lesson 07, and what the check says to each."""

_CURVE = (
    "    size = 2 * reference.shape[1]\n"
    "    product = torch.fft.rfft(reference, size).conj() * torch.fft.rfft(estimate, size)\n"
    "    curve = torch.fft.irfft(product.sum(dim=0))\n"
)
_LAG = "    lag = lag if lag < size // 2 else lag - size\n"


def _lag_and_sign(rest):
    return f"def lag_and_sign(reference, estimate):\n{_CURVE}{rest}"


def _leak_band(rest):
    return (
        "def leak_band(error, drums, sample_rate):\n"
        "    wrong, hits = hd.stft(error), hd.stft(drums)\n"
        "    common = (wrong * hits.conj()).sum(dim=(0, 2)).abs()\n"
        "    gain = common / hits.abs().square().sum(dim=(0, 2))\n"
        "    bins = (gain > gain.max() / 2).nonzero().flatten()\n"
        "    low, high = bins.min().item(), bins.max().item()\n" + rest
    )


WRONG = {
    "lag_and_sign": [
        (_lag_and_sign("    lag = curve.argmax().item()\n" + _LAG + "    return lag, 1"),
         "the strongest correlation is a negative one"),
        (_lag_and_sign("    lag = curve.abs().argmax().item()\n" + _LAG + "    return -lag, 1"),
         "a lag above 0 means that the estimate comes late"),
        (_lag_and_sign("    lag = curve.abs().argmax().item()\n" + _LAG + "    return lag, 1"),
         "take the sign of the correlation"),
        (_lag_and_sign("    lag = curve.abs().argmax().item()\n"
                       "    return lag, 1 if curve[lag] > 0 else -1"), "holds the lags below 0"),
        (_lag_and_sign("    lag = curve.abs().argmax().item()\n" + _LAG
                       + "    return lag, curve[lag].item()"), "expected +1 or −1"),
        (_lag_and_sign("    return curve.abs().argmax().item()"), "expected two numbers"),
    ],
    "leak_band": [
        (_leak_band("    return low, high"), "return hertz"),
        (_leak_band("    return high * sample_rate / 4096, low * sample_rate / 4096"),
         "the lower frequency first"),
        ("def leak_band(error, drums, sample_rate):\n"
         "    power = hd.stft(error).abs().square().sum(dim=(0, 2))\n"
         "    bins = (power > power.max() / 3).nonzero().flatten() * sample_rate / 4096\n"
         "    return bins.min().item(), bins.max().item()", "below the leak lies an artefact"),
        (_leak_band("    return low * 44_100 / 4096, high * 44_100 / 4096"),
         "both edges are off"),
        (_leak_band("    return low * sample_rate / 4096, sample_rate / 2"), "the upper edge"),
        (_leak_band("    return 1.5 * low * sample_rate / 4096, high * sample_rate / 4096"),
         "the lower edge"),
    ],
}  # fmt: skip
