"""The songwriter: a seed becomes tempo, key, chords and a form, written down bar by bar."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# Chord loops, one bar per digit: steps of the scale, 1 is the home chord.
LOOPS = {
    "major": ("1564", "1645", "6415", "1455", "2516", "1345", "4536", "1415", "1625", "4156"),
    "minor": ("1637", "1451", "1767", "1473", "1645", "1367", "6711", "1537", "4163", "1746"),
}
# Section, its share of the song, how hard the band plays. The ending bar comes on top.
FORM = (
    ("intro", 0.06, 0.7),
    ("verse", 0.19, 0.8),
    ("chorus", 0.17, 1.0),
    ("verse", 0.14, 0.85),
    ("chorus", 0.14, 1.0),
    ("break", 0.09, 0.65),
    ("chorus", 0.21, 1.0),
)
BAND = ("drums", "bass", "other", "vocals")
QUIET = {"intro": ("o", "do", "bo", "dbo", "ov"), "break": ("ov", "dv", "db", "bo", "bov", "dov")}
ENDING_S = 3.0


class Note(NamedTuple):
    """One note: when (s), how long (s), which MIDI pitch, how hard (0 to 1)."""

    start_s: float
    length_s: float
    pitch: float
    velocity: float


class Bar(NamedTuple):
    """What a player needs to know about one bar of four beats, or sixteen steps."""

    start_s: float
    step_s: float
    swing: float
    section: str
    nth: int  # bar of its section, from 0
    left: int  # bars of the section still to come
    energy: float
    players: str
    chord: tuple[int, ...]  # pitch classes, the root first
    next_root: int

    def time(self, step: int) -> float:
        """Return the time of a step in seconds; swing delays every second one."""
        return self.start_s + (step + self.swing * (step % 2)) * self.step_s


@dataclass(frozen=True)
class Score:
    """A written song: what all players share."""

    tempo_bpm: float
    key: int
    mode: str
    duration_s: float
    bars: tuple[Bar, ...]

    @property
    def key_name(self) -> str:
        """The key in words, such as "A minor"."""
        return f"{NAMES[self.key]} {self.mode}"

    def pitch(self, degree: int) -> int:
        """Return the pitch of a step of the scale, counted in semitones from C."""
        octave, step = divmod(degree, 7)
        return self.key + SCALES[self.mode][step] + 12 * octave


def compose(rng: np.random.Generator, duration_s: float) -> Score:
    """Write a song of `duration_s`: the last chord starts in time to ring out.

    Args:
        rng: the source of all decisions.
        duration_s: length of the song in seconds, at least 10.

    Returns:
        The score, with at least three bars.
    """
    if duration_s < 10:
        raise ValueError(f"duration_s is {duration_s}, expected at least 10 seconds")
    tempo_bpm = float(rng.uniform(80, 140))
    swing = float(rng.choice([0, 0, 0, 1]) * rng.uniform(0.1, 0.33))
    mode = str(rng.choice(["major", "minor"]))
    sketch = Score(tempo_bpm, int(rng.integers(12)), mode, duration_s, ())
    step_s = 15 / tempo_bpm
    loops = {name: str(rng.choice(LOOPS[mode])) for name in ("verse", "chorus")}
    size = 4 if rng.random() < 0.3 else 3  # seventh chords or triads
    form = _form(int((duration_s - ENDING_S) / (16 * step_s)), rng)
    degrees = [_degree(loops, section, nth) for section, nth, *_ in form] + [0]
    bars = [
        Bar(index * 16 * step_s, step_s, swing, *plan, _chord(sketch, degrees[index], size),
            sketch.pitch(degrees[index + 1]) % 12)
        for index, plan in enumerate(form)
    ]  # fmt: skip
    return Score(tempo_bpm, sketch.key, mode, duration_s, tuple(bars))


def _form(count: int, rng: np.random.Generator) -> list[tuple]:
    """Lay out `count` bars: (section, nth, left, energy, players) for each."""
    grid = 4 if count >= 40 else 1
    ends = np.cumsum([share for _, share, _ in FORM]) * (count - 1) / grid
    ends = [int(np.rint(end)) * grid for end in ends[:-1]] + [count - 1]
    plan, start = [], 0
    for (section, _, energy), end in zip(FORM, ends, strict=True):
        players = str(rng.choice(QUIET.get(section, ("dbov",))))
        for bar in range(start, end):
            if section == "verse" and (bar - start) % 4 == 0:
                players = "".join(one for one in "dbov" if rng.random() > 0.06)
            plan.append((section, bar - start, end - bar - 1, energy, players))
        start = max(start, end)
    return [*plan, ("ending", 0, 0, 0.9, "dbov")]


def _degree(loops: dict[str, str], section: str, nth: int) -> int:
    loop = loops["chorus" if section == "chorus" else "verse"]
    return 0 if section == "ending" else int(loop[nth % 4]) - 1


def _chord(score: Score, degree: int, size: int) -> tuple[int, ...]:
    return tuple(score.pitch(degree + 2 * third) % 12 for third in range(size))
