"""Typical wrong answers to the exercises of lesson 08, and what the check says to each."""


def _sdr(result):
    return (
        "def sdr(reference, estimate):\n"
        "    s, e = reference, reference - estimate\n"
        "    if not s.any():\n"
        "        return None\n"
        f"    return {result}"
    )


def _si_sdr(alpha, signal="(a * s).square().sum()", error="(a * s - g).square().sum()"):
    return (
        "def si_sdr(reference, estimate):\n"
        "    s, g = reference, estimate\n"
        "    if not (s.any() and g.any()):\n"
        "        return None\n"
        f"    a = {alpha}\n"
        f"    return 10 * torch.log10({signal} / {error}).item()"
    )


_ALPHA = "(g * s).sum() / s.square().sum()"

WRONG = {
    "sdr": [
        (_sdr("10 * torch.log10(e.square().sum() / s.square().sum())"), "changed places"),
        (_sdr("20 * torch.log10(s.square().sum() / e.square().sum())"), "takes 10 log10"),
        (_sdr("10 * torch.log(s.square().sum() / e.square().sum())"), "base 10"),
        (_sdr("torch.log10(s.square().sum() / e.square().sum())"), "ten times"),
        (_sdr("10 * torch.log10(estimate.square().sum() / e.square().sum())"),
         "the signal is the reference"),
        (_sdr("10 * torch.log10(s.mean(0).square().sum() / e.mean(0).square().sum())"),
         "a mono sum"),
        (_sdr("10 * torch.log10(s.square().sum(1) / e.square().sum(1)).mean()"),
         "sum over both channels first"),
        (_sdr("10 * torch.log10(s.square().sum(1) / e.square().sum(1))"), "expected a number"),
        ("def sdr(reference, estimate):\n    error = (reference - estimate).square().sum()\n"
         "    return 10 * torch.log10(reference.square().sum() / error).item()",
         "for a silent reference, expected None"),
    ],
    "si_sdr": [
        (_si_sdr("1"), "this is SDR"),
        (_si_sdr(_ALPHA, signal="s.square().sum()"), "the signal is α s, not s"),
        (_si_sdr(_ALPHA, signal="s.square().sum()", error="(a * g - s).square().sum()"),
         "α belongs to the reference"),
        (_si_sdr("(g * s).sum() / g.square().sum()", signal="s.square().sum()",
                 error="(a * g - s).square().sum()"), "here the gain is on the estimate"),
        (_si_sdr("(g.square().sum() / s.square().sum()).sqrt()"), "equal loudness"),
        (_si_sdr("(g * s).sum(1, keepdim=True) / s.square().sum(1, keepdim=True)"),
         "one α for both channels"),
        ("def si_sdr(reference, estimate):\n"
         "    a = (reference * estimate).sum() / reference.square().sum()\n"
         "    error = (a * reference - estimate).square().sum()\n"
         "    return 10 * torch.log10((a * reference).square().sum() / error).item()",
         "for a silent reference, expected None"),
    ],
}  # fmt: skip
