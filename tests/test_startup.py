"""A misfit of the installation is one sentence with the pip line that mends it."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

import hdsep_tutorial
from hdsep_tutorial.startup import check_installation

CUDA_ERROR = "Detected that PyTorch and TorchAudio were compiled with different CUDA versions."


def _pretend(monkeypatch, torch, torchaudio):
    def import_module(name):
        found = {"torch": torch, "torchaudio": torchaudio}[name]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(importlib, "import_module", import_module)


def _torch(version, cuda):
    return SimpleNamespace(__version__=version, version=SimpleNamespace(cuda=cuda))


@pytest.mark.parametrize(
    ("torch", "torchaudio", "words"),
    [
        (_torch("2.15.0+cu132", "13.2"), RuntimeError(CUDA_ERROR), "torch 2.15.0"),
        (_torch("2.13.0+cpu", None), OSError("libc10_cuda.so: not found"), "is a CPU build"),
        (ImportError("No module named 'torch'"), None, "torch cannot be imported"),
        (_torch("2.11.0+cu130", "13.0"), ImportError("No module named 'torchaudio'"), "torchaudio"),
    ],
)
def test_a_misfit_is_one_sentence_with_the_pip_line(monkeypatch, torch, torchaudio, words):
    _pretend(monkeypatch, torch, torchaudio)
    with pytest.raises(ImportError, match=words) as caught:
        check_installation()
    message = str(caught.value)
    assert "\n" not in message
    assert "pip install" in message
    assert "torch==2.11.0" in message


def test_python_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(ImportError, match=r"Python 3\.9 runs here"):
        check_installation()


def test_importing_the_package_imports_nothing_heavy():
    heavy = [
        "torch",
        "torchaudio",
        "matplotlib",
        "av",
        "soxr",
        "soundfile",
        "ipywidgets",
        "IPython",
    ]
    code = f"import sys, hdsep_tutorial; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_every_public_name_can_be_had_and_an_unknown_one_is_named():
    assert len(hdsep_tutorial.__all__) <= 25
    for name in hdsep_tutorial.__all__:
        assert callable(getattr(hdsep_tutorial, name)), name
    assert set(hdsep_tutorial.__all__) <= set(dir(hdsep_tutorial))
    with pytest.raises(AttributeError, match="no 'separate'"):
        hdsep_tutorial.separate  # noqa: B018
