"""Typical wrong answers to the exercise of lesson 13, and what the check says to each."""

BY_SONG = """
def split(excerpts):
    kept = set(sorted({song for song, _ in excerpts})[::5])
    training = [e for e in excerpts if e[0] not in kept]
    validation = [e for e in excerpts if e[0] in kept]
"""

WRONG = {
    "split": [
        ("import random\n"
         "def split(excerpts):\n"
         "    excerpts = random.Random(1).sample(excerpts, len(excerpts))\n"
         "    fifth = len(excerpts) // 5\n"
         "    return excerpts[fifth:], excerpts[:fifth]",
         "that is the leak"),
        ("def split(excerpts):\n    return excerpts[::5], [e for e in excerpts[1::5]]", "neither"),
        ("def split(excerpts):\n    excerpts.sort()\n    return excerpts[5:], excerpts[:5]",
         "changed its input"),
        ("def split(excerpts):\n    return excerpts, excerpts[::5]", "came back twice"),
        ("def split(excerpts):\n    return excerpts, []", "validation got 0 of 10"),
        (BY_SONG + "    return training", "expected two lists"),
        (BY_SONG + "    return {song for song, _ in training}, {song for song, _ in validation}",
         "something else"),
    ]
}  # fmt: skip
