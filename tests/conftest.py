"""What every test shares: models without weights, and a song made of noise."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))  # for `execute`
sys.path.insert(0, str(Path(__file__).parent / "browser"))

from fixtures import browser, lab, lab_page, page, watch  # noqa: F401

SOURCES = ["drums", "bass", "other", "vocals"]


class IdentityModel(nn.Module):
    """Each of its four stems is the mixture, so a perfect chunker returns its input four times."""

    sources = SOURCES

    def forward(self, mixture):
        """Repeat (batch, 2, time) as (batch, 4, 2, time)."""
        return mixture[:, None].repeat(1, len(self.sources), 1, 1)


class RecordingModel(IdentityModel):
    """The identity, which remembers the shapes of its inputs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.shapes = []

    def forward(self, mixture):
        """Note the shape and act as the identity."""
        self.shapes.append(tuple(mixture.shape))
        return super().forward(mixture * self.weight)


@pytest.fixture(scope="module")
def one_thread():
    """Keep torch's threads from waiting for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def identity():
    return IdentityModel()


@pytest.fixture
def recording():
    return RecordingModel()


@pytest.fixture
def noise():
    """Return a function: length in samples -> (2, length) noise of unit variance."""

    def make(length, seed=0):
        return torch.randn(2, length, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture(scope="session")
def tiny_hdemucs():
    """Return a Hybrid Demucs of 4 channels with seeded weights: real structure, no training."""
    from torchaudio.models import HDemucs

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return HDemucs(sources=SOURCES, audio_channels=2, channels=4, nfft=4096, depth=6).eval()
