"""Is this machine ready? Versions, device, memory, assets, and two seconds of separation."""

import platform
from importlib.metadata import version

import torch

from .assets import assets_folder, describe_assets, shipped
from .audio import load_audio
from .bundles import get_bundle
from .metrics import sdr
from .runtime import pick_device
from .separation import separate_sources

PACKAGES = "torch torchaudio numpy matplotlib jupyterlab ipywidgets anywidget soundfile soxr av"


def describe_machine() -> str:
    """Return versions, device, memory and fetched assets, some lines of text.

    Lesson: 00_start_here
    """
    import psutil

    memory = psutil.virtual_memory()
    return "\n".join([
        f"Python {platform.python_version()} on {platform.platform()}",
        ", ".join(f"{name} {version(name)}" for name in PACKAGES.split()),
        f"device {pick_device()}, {torch.get_num_threads()} threads, memory "
        f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
        f"fetched assets in {assets_folder()}\n{describe_assets()}",
    ])  # fmt: skip


def self_test() -> float:
    """Separate two seconds of the shipped song and return what the drums gained, in dB.

    Raises:
        ValueError: the result is no better than the mixture.

    Lesson: 00_start_here
    """
    mixture, drums = (
        load_audio(shipped(f"demo_song/segment/{name}.flac"), stop_s=2)[0]
        for name in ("mixture", "drums")
    )
    estimates = separate_sources(get_bundle("demo").get_model(), mixture, progress=False)
    gain_db = sdr(drums, estimates["drums"]) - sdr(drums, mixture)
    if gain_db < 3:
        raise ValueError(
            f"the drums gained {gain_db:.1f} dB, expected more than 3: install again with "
            "`pip install --force-reinstall -r requirements.txt`"
        )
    return gain_db
