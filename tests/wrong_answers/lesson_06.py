"""Typical wrong answers to the exercises of lesson 06, and what the check says to each."""

_TIME = "def time_needed(first_s, chunk_s, song_s, segment_s, overlap_s):\n    return "
_MEMORY = (
    "def memory_needed(network_mb, song_s, sample_rate, sources):\n"
    "    song_mb = 2 * 4 * song_s * sample_rate / 1e6\n    return "
)

WRONG = {
    "time_needed": [
        (f"{_TIME}chunk_s * song_s / segment_s", "so there are more of them"),
        (f"{_TIME}first_s * song_s / (segment_s - overlap_s)", "only the first run"),
        (f"{_TIME}chunk_s * song_s / (segment_s + overlap_s)", "more chunks, not fewer"),
        (f"{_TIME}song_s / (segment_s - overlap_s)", "that is the number of chunks"),
        (f"{_TIME}chunk_s * song_s / (segment_s - overlap_s) / 60", "that is minutes"),
        (f"{_TIME}chunk_s * song_s", "a chunk for each second"),
        (f"{_TIME}[chunk_s] * 67", "expected a number"),
    ],
    "memory_needed": [
        (f"{_MEMORY}network_mb + song_mb", "every stem is as long as the song"),
        (f"{_MEMORY}network_mb + sources * song_mb", "the song itself is in memory too"),
        (f"{_MEMORY}(1 + sources) * song_mb", "the network needs memory as well"),
        (f"{_MEMORY}network_mb + (1 + sources) * song_mb / 2", "two channels of 4 bytes"),
        (f"{_MEMORY}network_mb * song_s / 9 + (1 + sources) * song_mb", "the same memory again"),
        (f"{_MEMORY}1e6 * (network_mb + (1 + sources) * song_mb)", "that is bytes"),
        (f"{_MEMORY}network_mb", "calculate it by hand"),
    ],
}  # fmt: skip
