"""The bassist: roots, fifths and octaves, picked, synthetic or a sub."""

import numpy as np

from .filters import high_pass, low_pass, random_eq, studio
from .instrument import Instrument, overdrive
from .score import Bar, Note, Score
from .sound import log_uniform, pan

# (first step, length in steps, which tone): r root, 5 fifth, 8 octave, 3 third, a approach
RIFFS = (
    "0 2 r, 2 2 r, 4 2 r, 6 2 r, 8 2 r, 10 2 r, 12 2 r, 14 2 r",
    "0 6 r, 6 2 r, 8 6 5, 14 2 a",
    "0 3 r, 3 3 r, 6 2 5, 8 3 r, 11 3 8, 14 2 5",
    "0 4 r, 4 4 3, 8 4 5, 12 4 a",
    "0 16 r",
    "0 8 r, 8 8 5",
    "0 2 r, 2 2 8, 4 2 r, 6 2 8, 8 2 r, 10 2 8, 12 2 r, 14 2 8",
    "0 3 r, 6 2 r, 10 4 r, 14 2 5",
    "2 2 r, 6 2 r, 10 2 r, 14 2 r",
)
LOWEST = 28  # the E string


def play_bass(score: Score, rng: np.random.Generator) -> np.ndarray:
    """Play the bass of a score: (2, time)."""
    kind = str(rng.choice(["pick", "pick", "synth", "synth", "epiano", "sub"]))
    instrument = Instrument(rng, kind, cutoff_hz=(200, 700))
    instrument.ratio = float(rng.choice([1, 1, 2, 0.5]))
    instrument.slope += 0.4  # thick strings ring less bright,
    instrument.pluck_at += 0.1  # and are plucked further from the bridge
    track = instrument.play(write_riffs(score, rng), rng, score.duration_s)
    if rng.random() < 0.3:
        track = overdrive(track, rng.uniform(0.5, 2))
    tone, cabinet_hz = random_eq(rng, 0.4), log_uniform(rng, 220, 450)
    track = studio(track, lambda hz: tone(hz) * high_pass(hz, 32) * low_pass(hz, cabinet_hz, 3))
    return pan(track, rng.normal(0, 0.05))


def write_riffs(score: Score, rng: np.random.Generator) -> list[Note]:
    """Write the bass line: one riff for the verses, one for the choruses."""
    verse, chorus = rng.choice(RIFFS, size=2)
    notes = []
    for bar in score.bars:
        if "b" not in bar.players:
            continue
        riff = chorus if bar.section == "chorus" else verse
        for event in ("0 24 r" if bar.section == "ending" else str(riff)).split(","):
            step, length, tone = event.split()
            late_s = abs(rng.normal(0, 0.003))
            length_s = int(length) * bar.step_s * rng.uniform(0.75, 0.98)
            velocity = bar.energy * rng.uniform(0.75, 1)
            notes.append(
                Note(bar.time(int(step)) + late_s, length_s, _tone(bar, tone, rng), velocity)
            )
    return notes


def _tone(bar: Bar, name: str, rng: np.random.Generator) -> int:
    root = LOWEST + (bar.chord[0] - LOWEST) % 12
    third = (bar.chord[1] - bar.chord[0]) % 12
    if name == "a":  # one or two semitones beside the next root
        return LOWEST + (bar.next_root - LOWEST) % 12 + int(rng.choice([-1, 1, 2, -2]))
    return root + {"r": 0, "3": third, "5": 7, "8": 12}[name]
