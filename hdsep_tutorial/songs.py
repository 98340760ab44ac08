"""A song as the course uses it: the mixture, and what its stems really sound like."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .assets import OFFICIAL, Asset, fetch, shipped
from .audio import load_audio

STEMS = ("drums", "bass", "other", "vocals")
SAMPLE_RATE = 44_100
SEGMENT_START_S = 150.0  # of the official references, in seconds of their song


@dataclass(frozen=True, eq=False)
class Song:
    """A mixture of shape (2, time), and the references of its stems where they are known.

    The references may cover a part of the song only: they begin at `references_start_s`.
    """

    name: str
    title: str
    licence: str
    sample_rate: int
    mixture: Tensor
    references: dict[str, Tensor]
    references_start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """The length of the mixture, in seconds."""
        return self.mixture.shape[-1] / self.sample_rate

    def reference_clip(self, start_s: float, stop_s: float) -> dict[str, Tensor]:
        """Cut the same seconds of the song out of each reference.

        Args:
            start_s: where the clip starts, in seconds of the song.
            stop_s: where it stops.

        Returns:
            Stems of shape (2, time).

        Raises:
            ValueError: the song has no references, or they do not reach that far.

        Lesson: 07_against_the_truth
        """
        if not self.references:
            raise ValueError(f"{self.title} has no references: only demo and nightowl have")
        length = min(stem.shape[-1] for stem in self.references.values())
        first = round((start_s - self.references_start_s) * self.sample_rate)
        last = round((stop_s - self.references_start_s) * self.sample_rate)
        if not 0 <= first < last <= length:
            end_s = self.references_start_s + length / self.sample_rate
            raise ValueError(
                f"the clip is {start_s:g} to {stop_s:g} s, but the references of {self.title} are "
                f"{self.references_start_s:g} to {end_s:.6g} s of it: choose a range inside"
            )
        return {name: stem[:, first:last] for name, stem in self.references.items()}


def load_song(name_or_path: str | Path = "demo") -> Song:
    """Load a song with its references.

    Args:
        name_or_path: "demo" (shipped), "nightowl" (the official song, fetched at first use) or the
            path of a file of your own, which has no references.

    Returns:
        The song, stereo, at 44,100 Hz.

    Raises:
        FileNotFoundError: it is neither a song's name nor a file.
        ValueError: the file is damaged or is no sound.

    Example:
        >>> song = load_song("demo")
        >>> sorted(song.references)
        ['bass', 'drums', 'other', 'vocals']

    Lesson: 04_first_separation
    """
    if name_or_path in SONGS:
        return SONGS[name_or_path]()
    path = Path(name_or_path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is neither a file nor one of the songs {', '.join(SONGS)}: check the path"
        )
    mixture, sample_rate = load_audio(path)
    return Song(path.stem, path.stem, "yours to know", sample_rate, mixture, {})


def _demo() -> Song:
    """Load the shipped song, whose mixture is the exact sum of its stems."""
    card = json.loads(shipped("demo_song/song.json").read_text(encoding="utf-8"))
    stems = {name: load_audio(shipped(f"demo_song/{name}.flac"))[0] for name in STEMS}
    title = f"{card['artist']} - {card['title']}"
    return Song("demo", title, card["licence"], SAMPLE_RATE, sum(stems.values()), stems)


def _nightowl() -> Song:
    """Load the song of the official tutorial, whose references cover 150-155 s."""
    mix = OFFICIAL["hdemucs_mix.wav"]
    mixture = _official_sound(mix)
    stems = {name: _official_sound(OFFICIAL[f"hdemucs_{name}_segment.wav"]) for name in STEMS}
    title = "A Classic Education - NightOwl"
    return Song("nightowl", title, mix.licence, SAMPLE_RATE, mixture, stems, SEGMENT_START_S)


def _official_sound(asset: Asset) -> Tensor:
    """Fetch and load an official sound, which must have the published length."""
    path = fetch(asset)
    waveform, _ = load_audio(path)
    if waveform.shape[-1] != asset.frames:
        raise ValueError(
            f"{path} lasts {waveform.shape[-1]:,} samples, expected {asset.frames:,}: delete it "
            f"and run `python -m hdsep_tutorial fetch {asset.name}`"
        )
    return waveform


SONGS = {"demo": _demo, "nightowl": _nightowl}
