"""What every benchmark needs: the machine in words, the cost of a process, a place to write."""

import datetime
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """Describe processor, memory, system, versions and date in one line."""
    import psutil
    import torch

    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or "processor"
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{package} {version(package)}" for package in ("torch", "torchaudio"))
    return (
        f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB, {platform.platform(terse=True)}, "
        f"Python {platform.python_version()}, {packages}, {datetime.date.today()}"
    )


def forget_peak() -> None:
    """Start the process's peak memory anew; Linux only."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Return the most memory that this process has held since `forget_peak`, in MB."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
        return int(status.split()[0]) * 1024 / 1e6
    import psutil

    info = psutil.Process().memory_info()
    return getattr(info, "peak_wset", info.rss) / 1e6


def usage() -> tuple[float, int]:
    """Return the CPU seconds (user and system) and the page faults of this process so far."""
    try:
        import resource
    except ImportError:  # Windows
        return sum(os.times()[:2]), 0
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_minflt


def table(head: list[str], rows: list[list]) -> str:
    """Lay out rows as Markdown; the first column holds words, the others figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def record(title: str, text: str, path: Path = RESULTS) -> None:
    """Print a section, and put it into the results, in place of the one of the same title."""
    section = f"## {title}\n\n{text.strip()}\n"
    print(section, flush=True)
    parts = path.read_text(encoding="utf-8").split("\n## ") if path.exists() else ["# Measured\n"]
    kept = [part.rstrip("\n") for part in parts if not part.startswith(f"{title}\n")]
    path.write_text("\n\n## ".join([*kept, section[3:]]), encoding="utf-8")
