"""Measure how long each explorer takes from a moved slider to a new picture.

    python benchmarks/explorers.py

Every control of every explorer is moved back and forth on five seconds of stereo (30 s for the
chunk plan), on one thread. Time and CPU time are those of the Python side: transform, drawing and
PNG; the way to the browser adds what one message and an image of 50 kB take. On a machine that is
busy with other work the CPU time says more. The target is a median of 350 ms.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Iterator

SAMPLE_RATE, SECONDS, TARGET_MS = 44_100, 5, 350
MOVES = {
    "spectrogram": {
        "stem": ["bass", "drums"],
        "range_s": [(151, 154), (150, 155)],
        "n_fft": [512, 8192, 4096],
        "hop_length": [256, 1024],
        "scale": ["log", "linear", "mel"],
        "floor_db": [-60, -90],
    },
    "comparison": {"part": ["error", "reference"], "range_s": [(151, 153), (150, 155)]},
    "chunks": {"segment_s": [5, 2.5, 10], "overlap_s": [0, 2, 1]},
    "remix": {"drums (dB)": [6, 0], "bass (dB)": [-12, 3]},
}


def make_views() -> dict:
    """Build the explorers on noise and tones, from a seed."""
    import torch

    from hdsep_tutorial import compare_stems, explorer

    seconds = torch.arange(SECONDS * SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    generator = torch.Generator().manual_seed(0)
    stems = {
        "drums": 0.1 * torch.randn(2, len(seconds), generator=generator),
        "bass": 0.3 * torch.sin(2 * torch.pi * 55 * seconds).float().repeat(2, 1),
    }
    guess = {name: 0.9 * stem for name, stem in stems.items()}
    place = {"sample_rate": SAMPLE_RATE, "start_s": 150, "stop_s": 155}
    return {
        "spectrogram": explorer.spectrogram(stems, SAMPLE_RATE, start_s=150),
        "comparison": explorer.comparison(compare_stems(guess, stems, **place)),
        "chunks": explorer.chunks(30.0),
        "remix": explorer.remix(stems, SAMPLE_RATE, start_s=150),
    }


def moves(name: str, rounds: int) -> Iterator[tuple[str, object]]:
    for _ in range(rounds):
        for control, values in MOVES[name].items():
            for value in values:
                yield control, value


def main() -> None:
    """Move every control and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    print(f"milliseconds from a control to its picture, on {platform.machine()}")
    print(f"{'explorer':13}{'moves':>6}{'median':>8}{'most':>7}{'CPU, median':>13}")
    slow = []
    for name, view in make_views().items():
        times = []
        for control, value in moves(name, options.rounds):
            wall, cpu = time.perf_counter(), time.process_time()
            setattr(view, control, value)
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        walls, cpus = ([1000 * value for value in column] for column in zip(*times, strict=True))
        median, cpu = statistics.median(walls), statistics.median(cpus)
        print(f"{name:13}{len(times):6}{median:8.0f}{max(walls):7.0f}{cpu:13.0f}")
        slow += [name] if median > TARGET_MS else []
    print(f"slower than {TARGET_MS} ms: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
