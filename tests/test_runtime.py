"""Device and precision are checked in words; the allocator setting works and is undone."""

import ctypes
import platform
import sys

import psutil
import pytest
import torch

from hdsep_tutorial.runtime import autocast, keep_memory, pick_device


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
