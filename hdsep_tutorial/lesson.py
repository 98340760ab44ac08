"""What the first cell of every lesson calls: the profile, and the source of a function."""

import inspect
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torchaudio

from .bundles import Bundle, get_bundle
from .songs import Song, load_song

PROFILES = {
    "demo": ("demo", "demo"),
    "official": ("HDEMUCS_HIGH_MUSDB_PLUS", "nightowl"),
}


@dataclass(frozen=True)
class Profile:
    """A model and a song that belong together; nothing is loaded before it is asked for.

    Attributes:
        name: "demo" (shipped, offline) or "official" (fetched once, research use).
        bundle_name: the model, as `get_bundle` knows it.
        song_name: the song, as `load_song` knows it.
    """

    name: str
    bundle_name: str
    song_name: str

    @cached_property
    def bundle(self) -> Bundle:
        """The model's bundle."""
        return get_bundle(self.bundle_name)

    @cached_property
    def song(self) -> Song:
        """The song with its reference stems."""
        return load_song(self.song_name)

    def __str__(self) -> str:
        return (
            f"profile {self.name}: model {self.bundle_name}, song {self.song_name}; "
            f"torch {_release(torch)}, torchaudio {_release(torchaudio)}"
        )


def load_profile(name: str | None = None) -> Profile:
    """Choose what the lessons run on: the shipped pair, or the official model and song.

    Args:
        name: "demo" or "official"; None takes the environment's HDSEP_PROFILE, else "demo".

    Raises:
        ValueError: there is no such profile.

    Example:
        >>> load_profile("demo").bundle_name
        'demo'

    Lesson: all
    """
    name = name or os.environ.get("HDSEP_PROFILE") or "demo"
    if name not in PROFILES:
        raise ValueError(f"profile is {name!r}, expected one of {', '.join(PROFILES)}")
    return Profile(name, *PROFILES[name])


@dataclass(frozen=True)
class Source:
    """Python source that a notebook shows with colours, and a terminal as text."""

    text: str

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}```"

    def __repr__(self) -> str:
        return self.text


def show_source(function: Callable) -> Source:
    """Show how a function of this package is written.

    Args:
        function: any function or class written in Python.

    Raises:
        ValueError: it has no Python source.

    Lesson: all
    """
    try:
        return Source(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        raise ValueError(
            f"{function!r} has no Python source to show: pass one of this package's functions"
        ) from None


def _release(package: object) -> str:
    return package.__version__.split("+")[0]
