"""Lesson 13: songs for training and songs for validation, without a leak."""

from .checking import NotYet, ask, describe, exercise

ALBUMS = (dict.fromkeys(range(10), 5), {"a": 12, "b": 1, "c": 7, "d": 3, "e": 9}, None)


@exercise
def check_13(*, split=None) -> str:
    """Check an exercise of lesson 13.

    Args:
        split: takes excerpts [(song, start_s), ...] and returns two lists of them, for training
            and for validation.

    Lesson: 13_train_your_own
    """
    for album in ALBUMS:
        album = album or _random_album()
        excerpts = [(song, 4 * n) for n in range(99) for song, count in album.items() if n < count]
        given = f"{len(excerpts)} excerpts of {len(album)} songs"
        _check_groups(ask(split, excerpts, name="split"), excerpts, given)
    return "split kept every song on one side, three times, and lost no excerpt"


def _random_album() -> dict[int, int]:
    import random

    draw = random.Random(13)
    return {draw.randrange(10_000): draw.randrange(1, 9) for _ in range(40)}


def _check_groups(answer: object, excerpts: list, given: str) -> None:
    """Raise NotYet unless the two groups are complete, apart, and of sensible size."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotYet(f"split returned {describe(answer)}, expected two lists")
    try:
        training, validation = (list(map(tuple, group)) for group in answer)
    except TypeError:
        raise NotYet("split returned something else than (song, start_s) in its lists") from None
    lost = len(set(excerpts) - set(training) - set(validation))
    if lost:
        raise NotYet(f"{lost} of {given} are in neither list")
    if len(training) + len(validation) > len(excerpts):
        raise NotYet(f"of {given} some came back twice")
    songs, kept = {song for song, _ in training}, {song for song, _ in validation}
    if songs & kept:
        raise NotYet(f"{len(songs & kept)} songs of {given} are on both sides: that is the leak")
    if not 0.1 <= len(kept) / len(songs | kept) <= 0.34:
        raise NotYet(f"validation got {len(kept)} of {len(songs | kept)} songs, expected a fifth")
