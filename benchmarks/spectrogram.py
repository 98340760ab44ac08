"""Draw the hop-4 spectrogram twice: the source tutorial's way and ours.

    python benchmarks/spectrogram.py               one picture of each kind
    python benchmarks/spectrogram.py --pictures 5  the five of the source tutorial: 10 GB, minutes

The source tutorial transforms both channels of 5 s with hop_length=4 and hands all 55,126 columns
to `imshow`. Ours averages the frames of a column before there is a picture. Each way runs in a
process of its own, one after the other, on one thread (threads that wait would count as CPU time).
CPU time, time and memory are those of transform, picture and PNG; imports are done before the clock
starts, and their memory is shown as "at start".
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE_RATE, SECONDS, N_FFT, HOP = 44_100, 5, 4_096, 4


def make_clip(number: int):
    """Make 5 s of stereo noise and a tone, from a seed."""
    import torch

    generator = torch.Generator().manual_seed(number)
    seconds = torch.arange(SECONDS * SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    tone = torch.sin(2 * torch.pi * 220 * 2**number * seconds).float()
    return 0.05 * torch.randn(2, len(tone), generator=generator) + 0.5 * tone


def draw_source(clip, path: Path) -> None:
    """Follow the source tutorial: every frame of both channels, every column to the picture."""
    import torch
    from matplotlib import pyplot

    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(clip, N_FFT, HOP, window=window, return_complex=True)[0]
    level = 20 * torch.log10(spectrum.abs() + 1e-8)
    figure, ax = pyplot.subplots()
    ax.imshow(level.numpy(), cmap="viridis", vmin=-60, vmax=0, origin="lower", aspect="auto")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def draw_ours(clip, path: Path) -> None:
    """Call the package."""
    from matplotlib import pyplot

    from hdsep_tutorial import plot_spectrogram

    ax, _ = plot_spectrogram(clip, SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP)
    ax.figure.savefig(path)
    pyplot.close(ax.figure)


WAYS = {"source": draw_source, "ours": draw_ours}


def peak_mb() -> float:
    """Return the most memory this process has held, in MB; Windows does not say."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(way: str, pictures: int) -> dict[str, float]:
    """Draw in this process and return what it cost."""
    import matplotlib
    import torch

    matplotlib.use("agg")
    import matplotlib.pyplot

    import hdsep_tutorial.spectrogram  # noqa: F401

    torch.set_num_threads(1)
    clips = [make_clip(number) for number in range(pictures)]
    start_mb, cpu_s, wall_s = peak_mb(), time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            WAYS[way](clip, Path(folder) / "picture.png")
    return {
        "CPU time (s)": time.process_time() - cpu_s,
        "time (s)": time.perf_counter() - wall_s,
        "peak memory (MB)": peak_mb(),
        "at start (MB)": start_mb,
    }


def main() -> None:
    """Run both ways in turn and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1, help="of each kind (source: 5)")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.pictures)))
        return
    costs = {}
    for way in WAYS:
        command = [sys.executable, __file__, "--way", way, "--pictures", str(options.pictures)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        costs[way] = json.loads(output.splitlines()[-1])
    print(f"{options.pictures} picture(s) of {SECONDS} s, hop {HOP}, on {platform.machine()}")
    print(f"{'':18}{'source':>10}{'ours':>10}{'ratio':>8}")
    for name, source in costs["source"].items():
        ours = costs["ours"][name]
        print(f"{name:18}{source:10.1f}{ours:10.1f}{source / ours:8.1f}")


if __name__ == "__main__":
    main()
