"""The band: a seed becomes a song of four stems.

Nothing is recorded or sampled. `score` writes a song; `drums`, `bass`, `other` and `vocals` read
it and play, each with its own stream of random numbers; this file mixes. The same seed gives the
same song on every machine, up to one step of 16 bits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .bass import play_bass
from .drums import play_drums
from .other import play_other
from .score import compose
from .sound import SAMPLE_RATE, compressor, frame_rms, gain
from .vocals import play_vocals

PLAYERS = {"drums": play_drums, "bass": play_bass, "other": play_other, "vocals": play_vocals}
LEVELS_DB = {"drums": -17.3, "bass": -18.5, "other": -20.3, "vocals": -17.3}
PEAK = 0.97


@dataclass(frozen=True)
class Recording:
    """A song by the band.

    Attributes:
        seed: the number it was made from.
        tempo_bpm: beats per minute.
        key_name: such as "A minor".
        sections: (start in s, name) of each part of the form.
        stems: drums, bass, other and vocals, each (2, time) float32, multiples of 1/32768.
    """

    seed: int
    tempo_bpm: float
    key_name: str
    sections: tuple[tuple[float, str], ...]
    stems: dict[str, Tensor]
    sample_rate: int = SAMPLE_RATE

    @property
    def mixture(self) -> Tensor:
        """The exact sum of the stems, (2, time)."""
        return sum(self.stems.values())

    @property
    def title(self) -> str:
        """The song in one line."""
        return f"Seed {self.seed}: {self.tempo_bpm:.0f} bpm, {self.key_name}"


def make_song(seed: int, *, duration_s: float = 165.0, spread_db: float = 2.0) -> Recording:
    """Compose, play and mix a song.

    Args:
        seed: any integer from 0 on; it decides everything.
        duration_s: length in seconds, at least 10. Short songs have the same form in fewer bars.
        spread_db: how much the levels of the four stems differ between songs (1 sigma).

    Returns:
        The recording. Its stems hold 16-bit values, so that their sum is exact.

    Raises:
        ValueError: the song would be shorter than 10 s.

    Example:
        >>> song = make_song(7, duration_s=10)
        >>> list(song.stems), song.mixture.shape
        (['drums', 'bass', 'other', 'vocals'], torch.Size([2, 441000]))

    Lesson: 13_train_your_own
    """
    score = compose(np.random.default_rng([seed, 0]), duration_s)
    stems = {
        name: play(score, np.random.default_rng([seed, number]))
        for number, (name, play) in enumerate(PLAYERS.items(), start=1)
    }
    spread = np.random.default_rng([seed, 9]).normal(0, spread_db, len(stems))
    stems = _mix(stems, np.clip(spread, -2 * spread_db, 2 * spread_db))
    starts = [(bar.start_s, bar.section) for bar in score.bars if bar.nth == 0]
    return Recording(seed, score.tempo_bpm, score.key_name, tuple(starts), stems)


def _mix(stems: dict[str, np.ndarray], spread_db: np.ndarray) -> dict[str, Tensor]:
    """Set the levels, compress the sum, leave headroom, fade the last half second, round."""
    tracks = np.stack([
        stem * gain(LEVELS_DB[name] + offset_db) / _loudness(stem)
        for (name, stem), offset_db in zip(stems.items(), spread_db, strict=True)
    ])  # fmt: skip
    # One gain curve for all four: the stems of the compressed mixture still sum to it.
    tracks *= compressor(tracks.sum(axis=0), threshold_db=-14.0, ratio=2.0)
    tracks *= PEAK / max(np.abs(tracks).max(), np.abs(tracks.sum(axis=0)).max())
    tracks *= np.minimum(1, np.arange(tracks.shape[-1])[::-1] / (0.5 * SAMPLE_RATE))
    steps = np.rint(tracks * 32_767).astype(np.float32)
    return {
        name: torch.from_numpy(track / 32_768) for name, track in zip(stems, steps, strict=True)
    }


def _loudness(stem: np.ndarray) -> float:
    """Return the RMS of the frames that sound; infinite for a stem that never does."""
    power = frame_rms(stem) ** 2
    sounding = power[power > 1e-4 * power.max()]
    return float(np.sqrt(sounding.mean())) if sounding.size else np.inf
