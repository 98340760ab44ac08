"""Typical wrong answers to the exercises of lesson 03, and what the check says to each."""

SHARES = """
def soft_masks(spectra):
    power = {name: x.abs() ** 2 for name, x in spectra.items()}
    total = sum(power.values())
    return {name: one / TOTAL for name, one in power.items()}
"""
INVERSE = """
def apply_mask(mask, waveform):
    window = torch.hann_window(4096)
    spectrum = hd.stft(waveform)
    settings = {"window": window, "length": waveform.shape[-1]}
    return torch.istft(MASKED * window.sum() / 2, 4096, 1024, **settings)
"""

WRONG = {
    "soft_masks": [
        (SHARES.replace("TOTAL", "total"), "made NaN in a frame"),
        (SHARES.replace("TOTAL", "(total + 0.01)"), "sum to only 0.00"),
        (SHARES.replace("TOTAL", "(total + 1e-6)"), "too large for a quiet sound"),
        (SHARES.replace("TOTAL", "total.max()"), "expected 1"),
        ("def soft_masks(spectra):\n    total = sum(spectra.values())\n"
         "    return {name: x / (total + 1e-12) for name, x in spectra.items()}", "complex masks"),
        ("def soft_masks(spectra):\n    mixture = sum(spectra.values()).abs()\n"
         "    return {name: x.abs() / (mixture + 1e-12) for name, x in spectra.items()}",
         "divide by the sum over all sources"),
        ("def soft_masks(spectra):\n\n"
         "    loudest = torch.stack(list(spectra.values())).abs().argmax(0)\n"
         "    return {name: (loudest == i).float() for i, name in enumerate(spectra)}", "hard"),
        ("def soft_masks(spectra):\n"
         "    return {name: torch.full(x.shape, 1 / len(spectra)) for name, x in spectra.items()}",
         "does not get the largest share"),
        ("def soft_masks(spectra):\n    power = {n: x.abs() ** 0.02 for n, x in spectra.items()}\n"
         "    return {n: p / (sum(power.values()) + 1e-12) for n, p in power.items()}",
         "less than the"),
        ("def soft_masks(spectra):\n    power = torch.stack(list(spectra.values())).abs() ** 2\n"
         "    return power / (power.sum(dim=0) + 1e-12)", "expected a dict of drums"),
    ],
    "apply_mask": [
        ("def apply_mask(mask, waveform):\n    return mask * hd.stft(waveform)",
         "returned a spectrogram"),
        (INVERSE.replace("MASKED", "mask * spectrum.abs().to(spectrum.dtype)"),
         "the phase is lost"),
        (INVERSE.replace("MASKED * window.sum() / 2", "mask * spectrum"), "times as loud"),
        (INVERSE.replace("MASKED", "mask * spectrum").replace(', "length": waveform.shape[-1]', ""),
         "pass length="),
        (INVERSE.replace("MASKED", "(1 - mask) * spectrum"), "is to hold back"),
        (INVERSE.replace("MASKED", "spectrum"), "the mask has no effect"),
        (INVERSE.replace("MASKED", "(mask > 0.5) * spectrum"), "is off by up to"),
    ],
}  # fmt: skip
