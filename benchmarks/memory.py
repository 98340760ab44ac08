"""Measure the peak memory of `separate_file` for a short and a long song, with the demo model.

    python benchmarks/memory.py [--minutes 1 60]
    python benchmarks/memory.py --forecast     what `separate_sources` takes, and was said to take

Each song runs in a process of its own; the figure is the process's peak resident memory, and for
`--forecast` (Linux only) what the peak is above the memory held before.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import soundfile
from record import machine, record, table

SEPARATE = """
import resource, sys
import hdsep_tutorial as hd
from hdsep_tutorial.separation import separate_file
separate_file(hd.get_bundle("demo").get_model(), sys.argv[1], sys.argv[2], progress=False)
unit = 1 if sys.platform == "darwin" else 1024  # bytes
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""

FORECAST = """
import sys
import psutil
from record import forget_peak, peak_mb
from separation import make_model, make_signal
from hdsep_tutorial.runtime import forecast
from hdsep_tutorial.separation import separate_sources
channels, length_s, segment_s = map(int, sys.argv[1:4])
model, song = make_model(channels), make_signal(length_s)
options = {"segment_s": segment_s, "precision": sys.argv[4]}
forget_peak()
held_mb, said = psutil.Process().memory_info().rss / 1e6, forecast(model, length_s, **options)
separate_sources(model, song, device="cpu", progress=False, **options)
print(said / 1e6, peak_mb() - held_mb, held_mb)
"""


def report_forecast() -> None:
    """Write what songs of several lengths take in memory beside what was forecast."""
    rows = []
    for channels in (16, 48):
        for precision in ("float32", "bfloat16"):
            for length_s, segment_s in ((4, 10), (30, 10), (40, 20), (180, 10)):
                case = [*map(str, (channels, length_s, segment_s)), precision]
                command = [sys.executable, "-c", FORECAST, *case]
                run = subprocess.run(
                    command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent
                )
                said, took, held = map(float, run.stdout.split())
                what = f"{channels} channels, {precision}, {length_s} s in chunks of {segment_s} s"
                off = f"{said / took - 1:+.0%}"
                peak_off = f"{(held + said) / (held + took) - 1:+.0%}"
                rows.append([what, f"{said:.0f}", f"{took:.0f}", off, peak_off])
    head = ["network and song", "forecast (MB)", "took (MB)", "off by", "peak off by"]
    text = f"{table(head, rows)}\n\n{machine()}"
    record("`python benchmarks/memory.py --forecast`: memory of `separate_sources`", text)


def main() -> None:
    """Print one row for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 60])
    parser.add_argument("--forecast", action="store_true", help="of separate_sources instead")
    options = parser.parse_args()
    if options.forecast:
        return report_forecast()
    print(f"{'song':>8}{'peak memory':>14}{'wall time':>12}{'real time':>11}")
    for minutes in options.minutes:
        with tempfile.TemporaryDirectory() as folder:
            song = Path(folder, "song.flac")
            write_song(song, minutes)
            began = perf_counter()
            peak = subprocess.run(
                [sys.executable, "-c", SEPARATE, str(song), folder],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            seconds = perf_counter() - began
        speed = 60 * minutes / seconds
        print(f"{minutes:>4} min{int(peak) / 1e6:>11.0f} MB{seconds:>10.0f} s{speed:>9.1f} ×")


def write_song(path: Path, minutes: int) -> None:
    """Write the demo song over and over until it lasts so many minutes."""
    from hdsep_tutorial.songs import load_song

    song = load_song("demo")
    with soundfile.SoundFile(path, "w", song.sample_rate, 2) as file:
        left = 60 * minutes * song.sample_rate
        while left > 0:
            file.write(song.mixture[:, :left].T.numpy())
            left -= song.mixture.shape[-1]


if __name__ == "__main__":
    main()
