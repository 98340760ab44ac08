"""Measure what a learner waits for: import, loading the model, and the first separated sound.

    python benchmarks/startup.py [--rounds 5]

Each step runs in fresh processes; the figures are medians.
"""

import argparse
import subprocess
import sys
from statistics import median

from record import machine, record, table

STEPS = {
    "python itself": "pass",
    "import torch": "import torch",
    "import hdsep_tutorial": "import hdsep_tutorial",
    "import torch, hdsep_tutorial": "import torch, hdsep_tutorial",
    "the demo model": "import hdsep_tutorial as hd; hd.get_bundle('demo').get_model()",
    "the first sound (5 s separated)": """
import hdsep_tutorial as hd
from hdsep_tutorial.assets import shipped
clip, rate = hd.load_audio(shipped("demo_song/segment/mixture.flac"))
stems = hd.separate_sources(hd.get_bundle("demo").get_model(), clip, progress=False)
""",
}
CLOCK = """
import time
wall, cpu = time.perf_counter(), time.process_time()
{step}
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


def measure(step: str) -> list[float]:
    """Return wall and CPU seconds of a piece of Python in a new process."""
    command = [sys.executable, "-c", CLOCK.format(step=step)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(word) for word in output.split()[-2:]]


def main() -> None:
    """Run the steps in turn and print one row for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    times = [{name: measure(step) for name, step in STEPS.items()} for _ in range(rounds)]
    rows = [
        [name, *(f"{median(turn[name][column] for turn in times):.2f}" for column in (0, 1))]
        for name in STEPS
    ]
    text = table(["from the start of Python to", "wall (s)", "CPU (s)"], rows)
    record("`python benchmarks/startup.py`: start-up", f"{text}\n\n{machine()}")


if __name__ == "__main__":
    main()
