"""Typical wrong answers to the exercises of lesson 05, and what the check says to each."""

_CUT = "def cut(length, segment, overlap):\n    return hd.chunk_plan(length, segment, overlap)\n"
_FADE = "def fade(length, overlap):\n    return hd.crossfade(length, overlap)\n"
_STARTS = "    starts = range(0, length, segment - overlap)\n"
_JOIN = """def join(model, song, segment, overlap):
    joined, total = torch.zeros_like(song), torch.zeros(song.shape[1])
    for start, stop in hd.chunk_plan(song.shape[1], segment, overlap):
        window = hd.crossfade(stop - start, overlap)
        joined[:, start:stop] += window * model(song[:, start:stop])
        total[start:stop] += window
    return joined / total
"""

WRONG = {
    "cut_and_fade": [
        (_CUT + "def fade(length, overlap):\n    return torch.ones(length)", "a hard join"),
        (_CUT + "def fade(length, overlap):\n    ramp = torch.linspace(0, 1, overlap)\n"
         "    return torch.cat([ramp, torch.ones(length - 2 * overlap), ramp.flip(0)])",
         "that is 0 / 0"),
        (_CUT + "def fade(length, overlap):\n    return 0.5 + hd.crossfade(length, overlap)",
         "a click"),
        (_CUT + "def fade(length, overlap):\n"
         "    ramp = torch.arange(1, overlap + 1) / (overlap + 1)\n"
         "    return torch.cat([ramp, torch.ones(length - 2 * overlap), ramp.flip(0)])",
         "stopped with RuntimeError for"),
        (_FADE + "def cut(length, segment, overlap):\n" + _STARTS
         + "    return [(s, min(s + segment, length)) for s in starts]", "keeps its context"),
        (_FADE + "def cut(length, segment, overlap):\n" + _STARTS
         + "    return [(s, s + segment) for s in starts if s + segment <= length]",
         "are in no chunk"),
        (_FADE + "def cut(length, segment, overlap):\n" + _STARTS
         + "    return [(s, s + segment) for s in starts]", "outside of the song"),
        (_FADE + "def cut(length, segment, overlap):\n    return hd.chunk_plan(length, segment, 0)",
         "share 0 samples"),
        (_FADE + "def cut(length, segment, overlap):\n"
         "    return hd.chunk_plan(length, segment, segment - 1)", "more than it takes"),
        (_FADE + "def cut(length, segment, overlap):\n    return list(range(0, length, segment))",
         "expected (start, stop) pairs"),
    ],
    "join": [
        (_JOIN.replace("return joined / total", "return joined"), "divide by the sum"),
        (_JOIN.replace("window * model(song[:, start:stop])",
                       "model(window * song[:, start:stop])"), "before it is faded"),
        (_JOIN.replace("hd.chunk_plan(song.shape[1], segment, overlap)",
                       "[(s, s + segment) for s in range(0, song.shape[1] - segment, "
                       "segment - overlap)]")
         .replace("/ total", "/ total.clamp_min(1e-6)"), "samples are silent"),
        (_JOIN.replace("window * model(song[:, start:stop])",
                       "window * model(song[:, start:stop].mul_(window))"), "changed its input"),
        ("def join(model, song, segment, overlap):\n    return model(song)", "at once"),
        (_JOIN.replace("] += window * m", "] = window * m"), "do not replace it"),
        (_JOIN.replace("window * model", "window * 0.5 * model"), "nothing is as the model"),
        (_JOIN.replace("return joined / total", "return (joined / total)[0]"), "expected (2, 399)"),
    ],
}  # fmt: skip
