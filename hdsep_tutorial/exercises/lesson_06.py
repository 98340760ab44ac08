"""Lesson 06: how long a song will take, and how much memory, before it is separated."""

import torch

from ..separation import separate_sources
from .checking import NotYet, ask, exercise, expect_number, noise

WITHIN = 0.2  # of the truth
SAME = 0.025  # how near a forecast must be to that of a slip to be called by it
RATE = 20  # Hz, at which the chunks of a long song are counted in no time


@exercise
def check_06(*, time_needed=None, memory_needed=None) -> str:
    """Check an exercise of lesson 06.

    Args:
        time_needed: takes first_s and chunk_s, the times of the first and of a later run of a
            chunk, song_s, segment_s and overlap_s; returns the seconds that the song will take.
        memory_needed: takes network_mb, song_s, sample_rate and the number of sources; returns
            the megabytes that `separate_sources` will take.

    Lesson: 06_whole_song
    """
    return _check_time(time_needed) if time_needed is not None else _check_memory(memory_needed)


def _check_time(time_needed) -> str:
    draw = noise(6, 3).abs()
    random = (4.0, 1 + float(draw[0]), 300 + int(600 * draw[1]), 8.0, 1 + int(3 * draw[2]))
    for case in ((5.0, 2.0, 600, 10.0, 1.0), (3.6, 1.5, 200, 10.0, 5.0), random):
        first_s, chunk_s, song_s, segment_s, overlap_s = case
        given = f"{song_s} s in chunks of {segment_s:g} s with {overlap_s:g} s of overlap"
        answer = expect_number(
            ask(time_needed, *case, name="time_needed"), name="time_needed", given=given
        )
        count = _count_chunks(song_s, segment_s, overlap_s)
        right = first_s + (count - 1) * chunk_s
        _compare(answer, right, "time_needed", "s", given, {
            first_s * count: "only the first run of a chunk is that slow",
            chunk_s * song_s / segment_s: "chunks overlap, so there are more of them",
            chunk_s * song_s / (segment_s + overlap_s): "overlap makes more chunks, not fewer",
            chunk_s * song_s: "that is a chunk for each second of the song",
            count: "that is the number of chunks, how long does each take?",
            chunk_s * count / 60: "that is minutes",
        })  # fmt: skip
    return "time_needed was within 20 % for three songs, one of them random"


def _count_chunks(song_s: float, segment_s: float, overlap_s: float) -> int:
    """Count what the loop itself gives to a network, at a rate that makes it quick."""
    calls = []

    class Counter(torch.nn.Module):
        sources = ("all",)

        def forward(self, chunks):
            calls.append(len(chunks))
            return chunks[:, None]

    cuts = {"segment_s": segment_s, "overlap_s": overlap_s, "progress": False}
    separate_sources(Counter(), torch.ones(2, round(song_s * RATE)), sample_rate=RATE, **cuts)
    return sum(calls)


def _check_memory(memory_needed) -> str:
    random = int(200 + 300 * noise(7, 1).abs())
    for case in ((500, 600, 44_100, 4), (100, 3600, 44_100, 2), (random, 240, 48_000, 6)):
        network_mb, song_s, rate, sources = case
        given = f"{song_s} s at {rate} Hz, {sources} sources, {network_mb} MB for the network"
        answer = expect_number(
            ask(memory_needed, *case, name="memory_needed"), name="memory_needed", given=given
        )
        song_mb = torch.empty(2, song_s * rate, device="meta").nbytes / 1e6
        right = network_mb + (1 + sources) * song_mb
        _compare(answer, right, "memory_needed", "MB", given, {
            network_mb + song_mb: "every stem is as long as the song",
            network_mb + sources * song_mb: "the song itself is in memory too",
            (1 + sources) * song_mb: "the network needs memory as well",
            network_mb + (1 + sources) * song_mb / 2: "two channels of 4 bytes each",
            network_mb + (1 + sources) * song_mb / 4: "a sample has 4 bytes, a sound 2 channels",
            network_mb * song_s / 9 + (1 + sources) * song_mb: "the network has one chunk at a "
            "time, and uses the same memory again",
            right * 1e6: "that is bytes",
        })  # fmt: skip
    return "memory_needed was within 20 % for three songs, one network at random"


def _compare(
    answer: float, right: float, name: str, unit: str, given: str, slips: dict[float, str]
) -> None:
    """Raise NotYet unless the answer is near, with the slip that explains it."""
    if abs(answer - right) <= WITHIN * right:
        return
    said = f"{name} forecasts {answer:,.0f} {unit} for {given}, it took {right:,.0f}"
    for value, why in slips.items():
        if abs(answer - value) <= SAME * value:
            raise NotYet(f"{said}: {why}")
    raise NotYet(f"{said}: calculate it by hand for a short song")
