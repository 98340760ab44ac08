"""Typical wrong answers to the exercises of lesson 04, and what the check says to each."""

_NAME = "def name_stems(output, sources):\n    return "
_NORMALISE = (
    "def normalise(mixture):\n    mono = mixture.mean(dim=0)\n"
    "    mean, std = mono.mean(), mono.std()\n    "
)

WRONG = {
    "name_stems": [
        (f"{_NAME}dict(zip(['drums', 'bass', 'vocals', 'other'], output[0]))",
         "as if ordered from memory"),
        (f"{_NAME}dict(zip(['drums', 'bass', 'other', 'vocals'], output[0]))",
         "the order is that of sources"),
        (f"{_NAME}dict(zip(sorted(sources), output[0]))", "alphabetical order"),
        (f"{_NAME}dict(zip(sources[::-1], output[0]))", "as if named from behind"),
        (f"{_NAME}dict(zip(sources, output))", "a dict of drums for a model"),
        (f"{_NAME}{{name: output[:, n] for n, name in enumerate(sources)}}", "expected (2, 300)"),
        (f"{_NAME}{{n: output[0, 0] for n in sources}}", "bass holds the drums"),
        (f"{_NAME}{{n: output[0].sum(dim=0) for n in sources}}", "none of its stems"),
        (f"{_NAME}list(output[0])", "expected a dict of stems"),
    ],
    "normalise": [
        (f"{_NORMALISE}return (mixture - mean) / std, mean, std", "NaN or infinite for silence"),
        (f"{_NORMALISE}return (mixture - mean) / (std + 0.1), mean, std + 0.1",
         "guard the divisor by next to nothing"),
        (f"{_NORMALISE}return (mixture - mean) / std.clamp_min(1e-8), mean, std",
         "for L = -R: what is returned must undo"),
        (f"{_NORMALISE}return torch.nan_to_num((mixture - mean) / std, 0, 0, 0), mean, std",
         "L = -R came back as silence"),
        (f"{_NORMALISE}return mixture / std.clamp_min(1e-8), 0, std.clamp_min(1e-8)",
         "expected 0"),
        ("def normalise(mixture):\n    std = mixture.std().clamp_min(1e-8)\n"
         "    return (mixture - mixture.mean()) / std, mixture.mean(), std",
         "measure (left + right) / 2"),
        (f"{_NORMALISE}return (mixture - mean) / std.clamp_min(1e-8)",
         "expected (scaled, mean, divisor)"),
        (f"{_NORMALISE}mixture -= mean\n    return mixture / std.clamp_min(1e-8), mean, std",
         "changed its input"),
    ],
}  # fmt: skip
