"""Typical wrong answers to the exercises of lesson 10, and what the check says to each."""

MIX = """
def to_brief(stems, sample_rate):
    mix = hd.remix.remix(stems, {"vocals": -6, "drums": 3})
    peak_db = hd.remix.true_peak_db(mix, sample_rate)
"""
SHARE = """
def consistent(estimates, mixture):
    rest = mixture - sum(estimates.values())
"""

WRONG = {
    "to_brief": [
        (MIX + "    return mix", "turn it down by"),
        (MIX + "    return 10 ** (-1 / 20) * mix / mix.abs().max()", "is no target"),
        (MIX + "    peak = mix.abs().max()\n    return mix * min(1, 10 ** (-1 / 20) / peak)",
         "measure between them too"),
        (MIX + "    return mix * min(1, 1 / mix.abs().max())", "is not enough, the limit is -1"),
        (MIX + "    return mix.clamp(-0.89, 0.89)", "in no stem"),
        (MIX + "    return mix / len(stems)", "although it was safe"),
        (MIX + "    return mix if peak_db <= -1 else mix / 8", "dB reach the limit"),
        (MIX.replace("3}", "-3}") + "    return mix", "mind the sign"),
        ("def to_brief(stems, sample_rate):\n    gains = {'vocals': -6, 'drums': 3}\n"
         "    return sum(10 ** (gains.get(n, 0) / 10) * s for n, s in stems.items())",
         "for a waveform"),
        (MIX.replace('"vocals": -6, ', "") + "    return mix", "have +0.0 dB"),
        ("def to_brief(stems, sample_rate):\n"
         "    return 0.5 * stems['vocals'] + 1.4125 * stems['drums']", "is missing"),
        (MIX + "    return mix.mean(dim=0)", "expected (2, 6000)"),
    ],
    "consistent": [
        ("def consistent(estimates, mixture):\n    return estimates", "nothing of the residual"),
        (SHARE + "    return {n: e + rest for n, e in estimates.items()}", "instead of its share"),
        (SHARE + "    return {n: e - rest / len(estimates) for n, e in estimates.items()}",
         "wrong sign"),
        (SHARE + "    return {n: e + rest / 4 for n, e in estimates.items()}", "50 % of"),
        (SHARE + "    last = list(estimates)[-1]\n"
         "    return estimates | {last: estimates[last] + rest}", "takes all of it"),
        ("def consistent(estimates, mixture):\n"
         "    return {n: mixture / len(estimates) for n in estimates}", "are the shares"),
        ("def consistent(estimates, mixture):\n    gain = mixture.norm() / sum(estimates.values())"
         ".norm()\n    return {n: gain * e for n, e in estimates.items()}", "the residual is the"),
        (SHARE + "    return [e + rest / len(estimates) for e in estimates.values()]",
         "expected a dict of drums"),
        (SHARE + "    for e in estimates.values():\n        e += rest / len(estimates)\n"
         "    return estimates", "changed its input"),
    ],
}  # fmt: skip
