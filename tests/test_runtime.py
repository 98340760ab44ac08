"""Device and precision are checked in words; memory is foretold; what is set is undone."""

import ctypes
import platform
import subprocess
import sys

import psutil
import pytest
import torch

from hdsep_tutorial.runtime import (
    autocast,
    forecast,
    keep_memory,
    lend,
    pick_device,
    pick_precision,
)


def test_without_a_name_the_device_is_one_that_exists():
    assert pick_device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("name", "words"), [("tpu9", "expected cpu, cuda"), ("cuda:7", "not on this machine")]
)
def test_a_device_that_is_not_there_is_refused_in_words(name, words):
    with pytest.raises(ValueError, match=words):
        pick_device(name)


def test_precision_changes_the_arithmetic_only_inside_its_context():
    a = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    with autocast(torch.device("cpu"), "bfloat16"):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), "float32"):
        assert (a @ a).dtype == torch.float32
    with pytest.raises(ValueError, match="precision is 'int3', expected one of"):
        autocast(torch.device("cpu"), "int3")


@pytest.mark.parametrize(
    ("has", "expected"), [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"),
                          ({"avx2": True, "avx512_bf16": False}, "float32"), ({}, "float32")]
)  # fmt: skip
def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch, has, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert pick_precision("cpu") == expected
    assert pick_precision("cpu", "float32") == "float32"
    assert pick_precision("cpu", "bfloat16") == "bfloat16"
    assert pick_precision("mps") == "float32"


def test_an_unknown_precision_is_refused_in_words():
    with pytest.raises(ValueError, match="precision is 'half', expected one of auto, float32, bf"):
        pick_precision("cpu", "half")


SEPARATE = """
import sys, torch
from pathlib import Path
from hdsep_tutorial.bundles import get_bundle
from hdsep_tutorial.runtime import forecast
from hdsep_tutorial.separation import separate_sources

def held(what):
    return int(Path("/proc/self/status").read_text().split(what)[1].split()[0]) * 1024

torch.set_num_threads(1)
length_s, segment_s, precision = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
model, song = get_bundle("demo").get_model(), torch.randn(2, int(length_s * 44_100))
options = {"segment_s": segment_s, "precision": precision}
Path("/proc/self/clear_refs").write_text("5")
start, extra = held("VmRSS:"), forecast(model, length_s, **options)
separate_sources(model, song, progress=False, **options)
print(start, extra, held("VmHWM:"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak since a moment")
@pytest.mark.parametrize("case", [(4, 10, "float32"), (30, 20, "float32"), (9, 4, "bfloat16")])
def test_the_forecast_of_memory_is_right_within_20_percent(case):
    command = [sys.executable, "-c", SEPARATE, *map(str, case)]  # length, segment, precision
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    start, extra, peak = map(int, printed.split())
    assert 0.8 < (start + extra) / peak < 1.2
    assert 0.7 < extra / (peak - start) < 1.4  # what is there before does not flatter it


def test_the_forecast_grows_with_the_song_by_its_stems(tiny_hdemucs):
    one, two = (forecast(tiny_hdemucs, length_s) for length_s in (100, 199))  # in chunks of 10 s
    assert two - one == 99 * 44_100 * 4 * 2 * 4  # sources, channels, bytes
    uneven = forecast(tiny_hdemucs, 28, segment_s=27)  # two chunks of 14.5 s, not one of 27
    assert uneven < forecast(tiny_hdemucs, 27, segment_s=27)
    with pytest.raises(ValueError, match="overlap_s is 2, expected from 0 to below segment_s"):
        forecast(tiny_hdemucs, 100, segment_s=1, overlap_s=2)
    with pytest.raises(ValueError, match="model is Linear, expected a Hybrid Demucs"):
        forecast(torch.nn.Linear(1, 1), 10)


def test_a_model_is_lent_and_comes_back(tiny_hdemucs):
    tiny_hdemucs.train()
    tiny_hdemucs.freq_encoder.eval()
    with lend(tiny_hdemucs, torch.device("cpu")):
        assert not any(module.training for module in tiny_hdemucs.modules())
    assert tiny_hdemucs.training and not tiny_hdemucs.freq_encoder.training
    tiny_hdemucs.eval()


def _faults_of_ten_large_tensors():
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(15_000_000)  # 60 MB, above glibc's 32 MB limit
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_keep_memory_saves_page_faults_and_gives_the_memory_back():
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = psutil.Process().memory_info().rss
        outside = _faults_of_ten_large_tensors()
        with keep_memory():
            _faults_of_ten_large_tensors()  # the heap grows until freed blocks fit new ones
            inside = _faults_of_ten_large_tensors()
            held = psutil.Process().memory_info().rss
        after = psutil.Process().memory_info().rss
        assert inside < 0.4 * outside
        assert held - before > 50e6  # it really keeps a block of 60 MB ...
        assert after - before < 30e6  # ... and returns it
    else:
        with keep_memory():
            assert torch.ones(3).sum() == 3
