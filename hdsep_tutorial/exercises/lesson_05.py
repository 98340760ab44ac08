"""Lesson 05: cut a song, fade the pieces into each other, and mend a loop that does it wrong."""

import torch
from torch import Tensor

from .checking import NotYet, ask, describe, exercise, expect_tensor, noise

LENGTHS = range(1, 400, 2)
EXACT = 1e-5  # in full scale, for noise up to 1
STEEPEST = 3.0  # of a step of a window, in steps of a straight ramp; half a cosine takes 1.6


@exercise
def check_05(*, cut_and_fade=None, join=None) -> str:
    """Check an exercise of lesson 05.

    Args:
        cut_and_fade: two functions: one takes length, segment and overlap in samples and returns
            (start, stop) of each chunk; one takes length and overlap and returns a window.
        join: takes a model, a song (2, time), segment and overlap; returns what the model makes
            of the song, chunk by chunk.

    Lesson: 05_chunks
    """
    return _check_cut_and_fade(cut_and_fade) if cut_and_fade is not None else _check_join(join)


def _settings() -> list[tuple[int, int, int]]:
    """Return 200 triples of length, segment and overlap, the last third of them random."""
    draw = noise(5, 2)
    segment = 30 + int(15 * draw[0].abs())
    random = (segment, 5 + int(8 * draw[1].abs()))
    cuts = [(40, 12), (25, 0), random]
    return [(n, *cuts[min(2, 3 * at // len(LENGTHS))]) for at, n in enumerate(LENGTHS)]


def _check_cut_and_fade(pair) -> str:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise NotYet(f"cut_and_fade is {describe(pair)}, expected the two functions (cut, fade)")
    cut, fade = pair
    _check_window(fade)
    for length, segment, overlap in sorted(_settings(), key=lambda setting: -setting[0]):
        given = f"length {length}, segment {segment}, overlap {overlap}"
        chunks = _chunks(ask(cut, length, segment, overlap, name="cut"), given)
        _check_plan(chunks, length, segment, overlap, given)
        song, joined, total = noise(length, length), torch.zeros(length), torch.zeros(length)
        for start, stop in chunks:
            window = _window(fade, stop - start, overlap)
            joined[start:stop] += window * song[start:stop]
            total[start:stop] += window
        if not ((joined / total - song).abs().max() < EXACT and total.min() > 0):
            raise NotYet(f"for {given} the windows add up to 0 at sample {int(total.argmin())}")
    return f"{len(LENGTHS)} lengths came back as they went in, one setting of three at random"


def _window(fade, length: int, overlap: int) -> Tensor:
    given = f"length {length}, overlap {overlap}"
    answer = ask(fade, length, overlap, name="fade")
    window = expect_tensor(answer, (length,), name="fade", given=given).float()
    if window.min() < 0:
        raise NotYet(f"fade goes below 0 for {given}")
    return window


def _check_window(fade) -> None:
    """Raise NotYet unless the window of a long chunk fades in and out without a jump."""
    for length, overlap in ((40, 12), (300, 100)):
        window, given = _window(fade, length, overlap), f"length {length}, overlap {overlap}"
        if window[0] == 0 or window[-1] == 0:
            raise NotYet(f"fade is 0 at an end for {given}: at the ends of the song that is 0 / 0")
        if window[0] >= window.max():
            raise NotYet(f"fade starts at its highest value for {given}: a hard join")
        steps = torch.nn.functional.pad(window / window.max(), (1, 1)).diff().abs()
        if steps.max() > STEEPEST / (overlap + 1):
            at = int(steps.argmax())
            raise NotYet(f"fade jumps by {steps.max():.2f} at sample {at} for {given}: a click")


def _chunks(answer: object, given: str) -> list[tuple[int, int]]:
    try:
        return [(int(start), int(stop)) for start, stop in answer]
    except (TypeError, ValueError):
        raise NotYet(f"cut returned {describe(answer)} for {given}, expected (start, stop) pairs")\
            from None  # fmt: skip


def _check_plan(chunks: list, length: int, segment: int, overlap: int, given: str) -> None:
    """Raise NotYet unless the chunks cover the song, share enough, and keep their context."""
    if not chunks or chunks[0][0] != 0:
        raise NotYet(f"no chunk of {given} starts at 0")
    if max(stop for _, stop in chunks) < length:
        lost = length - max(stop for _, stop in chunks)
        raise NotYet(f"the last {lost} samples of {given} are in no chunk")
    for number, (start, stop) in enumerate(chunks):
        if not 0 <= start < stop <= length:
            raise NotYet(f"chunk {number} of {given} is {start} to {stop}, outside of the song")
        if stop - start != min(segment, length):
            raise NotYet(
                f"chunk {number} of {given} has {stop - start} samples, expected "
                f"{min(segment, length)}: move it back, so that it keeps its context"
            )
        shared = chunks[number - 1][1] - start if number else overlap
        if shared < overlap:
            raise NotYet(f"chunks {number - 1} and {number} of {given} share {shared} samples")
    if len(chunks) > 2 + length // (segment - overlap):
        raise NotYet(f"{given} gave {len(chunks)} chunks, more than it takes: mind the step")


def _check_join(join) -> str:
    """Run the loop with a network whose answer is known: the cube of each sample."""
    for length, segment, overlap in sorted(_settings(), key=lambda setting: -setting[0]):
        given, longest = f"length {length}, segment {segment}, overlap {overlap}", []

        def cube(chunk, longest=longest):
            longest.append(chunk.shape[-1])
            return chunk**3

        song = noise(length, 2, length)
        answer = ask(join, cube, song, segment, overlap, name="join")
        answer = expect_tensor(answer, (2, length), name="join", given=given)
        if max(longest, default=0) > segment:
            raise NotYet(f"the model got {max(longest)} samples at once for {given}")
        if (answer - song**3).abs().max() > EXACT:
            raise NotYet(f"join is wrong for {given}: {_what_is_wrong(answer, song, overlap)}")
    return f"join is exact for {len(LENGTHS)} lengths, one setting of three at random"


def _what_is_wrong(answer: Tensor, song: Tensor, overlap: int) -> str:
    """Guess from the output which faults are left in the loop."""
    right = (answer - song**3).abs().amax(dim=0) < EXACT
    silent = ~answer.any(dim=0)
    lost = len(silent) - int((~silent).nonzero().max()) - 1 if answer.any() else len(silent)
    if lost:
        return f"its last {lost} samples are silent"
    if right.float().mean() < 0.1:  # some samples are next to nothing and always right
        return "nothing is as the model made it, does join add what model returned?"
    ratio = answer / song**3
    same = (ratio[0] - ratio[1]).abs() < 1e-2 * ratio[0].abs()
    inside = ratio[0, ~right & same]
    if len(inside) and inside.max() > 1.01:
        return f"up to {inside.max():.1f} times too loud where chunks meet, divide by the sum"
    if overlap and not right[0]:
        return "too quiet near the ends of chunks, the model must hear the music before it is faded"
    if len(inside) and inside.max() < 1:
        return "too quiet where chunks meet, add a piece to what is there, do not replace it"
    return f"{int((~right).sum())} samples differ from what the model makes of them"
