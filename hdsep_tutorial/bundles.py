"""A named model: what it separates, at which rate, from what it learned, and how to load it.

A bundle offers what those of `torchaudio.pipelines` do, `sample_rate` and `get_model()`, so either
kind can be used; the names of the sources are also those of the model that it loads.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from .assets import OFFICIAL, fetch, shipped

SOURCES = ("drums", "bass", "other", "vocals")


@dataclass(frozen=True)
class Bundle:
    """A model's name and facts; `get_model` builds it."""

    name: str
    title: str
    sources: tuple[str, ...]
    sample_rate: int
    licence: str
    trained_on: str
    build: Callable[[], nn.Module] = field(repr=False)

    def get_model(self) -> nn.Module:
        """Build the network with its trained weights, which are fetched at first use.

        Returns:
            A network in evaluation mode that maps (batch, 2, time) to (batch, sources, 2, time)
            and has the list `sources`.

        Raises:
            ValueError: the file of the weights is damaged, or holds those of another network.
            OSError: the weights cannot be fetched.

        Lesson: 04_first_separation
        """
        with torch.random.fork_rng(devices=()):  # a new network draws weights, soon overwritten
            return self.build().eval()


def get_bundle(name: str = "demo") -> Bundle:
    """Find a bundle by its name.

    Args:
        name: "demo", "HDEMUCS_HIGH_MUSDB_PLUS" or "HDEMUCS_HIGH_MUSDB".

    Returns:
        The bundle; nothing is loaded before `get_model()`.

    Raises:
        ValueError: there is no such bundle.

    Example:
        >>> get_bundle("demo").sources
        ('drums', 'bass', 'other', 'vocals')

    Lesson: 04_first_separation
    """
    if name not in BUNDLES:
        raise ValueError(f"bundle is {name!r}, expected one of {', '.join(BUNDLES)}")
    return BUNDLES[name]


def _shipped_model(name: str) -> nn.Module:
    """Build a shipped network from its card and load its weights."""
    from safetensors.torch import load_file
    from torchaudio.models import HDemucs

    card = json.loads(shipped(f"{name}.json").read_text(encoding="utf-8"))
    path = shipped(f"{name}.safetensors")
    return _with_weights(HDemucs(**card["hdemucs"]), load_file(path), path)


def _official_model(name: str) -> nn.Module:
    """Build the official network and load its weights, fetched at first use."""
    from torchaudio.models import hdemucs_high

    path = fetch(OFFICIAL[name])
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, EOFError, UnpicklingError):
        raise _other_weights(path) from None
    return _with_weights(hdemucs_high(list(SOURCES)), weights, path)


def _with_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> nn.Module:
    """Copy weights into a network, converted to its float32."""
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError):  # their text is a page of names of layers
        raise _other_weights(path) from None
    return model


def _other_weights(path: Path) -> ValueError:
    """Say that a file holds something else than the weights of its network."""
    return ValueError(
        f"{path} does not hold the weights of this network: delete it, and fetch or "
        "install it again"
    )


DEMO = Bundle(
    name="demo",
    title="Small Hybrid Demucs, shipped with the course",
    sources=SOURCES,
    sample_rate=44_100,
    licence="CC BY 4.0",
    trained_on="synthetic songs made by a program, no recording, and not the demo song",
    build=partial(_shipped_model, "demo_model/hdemucs_mini16"),
)
HDEMUCS_HIGH_MUSDB_PLUS = Bundle(
    name="HDEMUCS_HIGH_MUSDB_PLUS",
    title="Hybrid Demucs of torchaudio, trained with extra data",
    sources=SOURCES,
    sample_rate=44_100,
    licence=OFFICIAL["hdemucs_high_trained.pt"].licence,
    trained_on="MUSDB18-HQ, train and test, and 150 further songs: no song of MUSDB18-HQ tests it, "
    "and the official song is one of its training songs",
    build=partial(_official_model, "hdemucs_high_trained.pt"),
)
HDEMUCS_HIGH_MUSDB = Bundle(
    name="HDEMUCS_HIGH_MUSDB",
    title="Hybrid Demucs of torchaudio",
    sources=SOURCES,
    sample_rate=44_100,
    licence=OFFICIAL["hdemucs_high_musdbhq_only.pt"].licence,
    trained_on="MUSDB18-HQ, train only: the official song is one of its training songs",
    build=partial(_official_model, "hdemucs_high_musdbhq_only.pt"),
)
BUNDLES = {bundle.name: bundle for bundle in (DEMO, HDEMUCS_HIGH_MUSDB_PLUS, HDEMUCS_HIGH_MUSDB)}
