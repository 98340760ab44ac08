"""The installation is checked before the first room opens, and a misfit is one sentence."""

import importlib
import sys

_OLDEST_PYTHON = (3, 11)
_PIP_LINE = '"torch==2.11.0" "torchaudio==2.11.0"'


def check_installation() -> None:
    """Import torch and torchaudio once, and say how to mend the two known misfits.

    Raises:
        ImportError: Python is too old, a package is missing, or torch and torchaudio were built
            for different CUDA versions. The message is one sentence with the pip line that helps.
    """
    if sys.version_info[:2] < _OLDEST_PYTHON:
        version = ".".join(map(str, sys.version_info[:2]))
        raise ImportError(
            f"Python {version} runs here, hdsep_tutorial needs 3.11 or newer: "
            "make a new environment with `python3.11 -m venv .venv`"
        )
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(
            f"torch cannot be imported ({_first_line(error)}): run `pip install {_PIP_LINE}`"
        ) from None
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(_torchaudio_sentence(torch, error)) from None


def _torchaudio_sentence(torch: object, error: Exception) -> str:
    version = torch.__version__
    if "+cpu" in version or torch.version.cuda is None:
        number = version.split("+")[0]
        return (
            f"torch {version} is a CPU build and torchaudio is a CUDA build: "
            f"run `pip install --force-reinstall {_PIP_LINE}`, or take both {number} CPU builds "
            "from the PyTorch index as the README shows"
        )
    return (
        f"torchaudio does not fit torch {version} ({_first_line(error)}): run `pip install "
        f"--force-reinstall {_PIP_LINE}`"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:120]
