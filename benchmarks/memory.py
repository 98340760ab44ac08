"""Measure the peak memory of `separate_file` for a short and a long song, with the demo model.

    python benchmarks/memory.py [--minutes 1 60]

Each song runs in a process of its own; the figure is the process's peak resident memory.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import soundfile

SEPARATE = """
import resource, sys
import hdsep_tutorial as hd
from hdsep_tutorial.separation import separate_file
separate_file(hd.get_bundle("demo").get_model(), sys.argv[1], sys.argv[2], progress=False)
unit = 1 if sys.platform == "darwin" else 1024  # bytes
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""


def main() -> None:
    """Print one row for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 60])
    print(f"{'song':>8}{'peak memory':>14}{'wall time':>12}{'real time':>11}")
    for minutes in parser.parse_args().minutes:
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
