"""Everybody else: guitar, electric piano, organ, pad, arpeggio and a brass-like lead."""

import numpy as np

from .filters import high_pass, random_eq, room, studio
from .instrument import Instrument
from .score import Bar, Note, Score
from .sound import SAMPLE_RATE, gain, pan

RHYTHMS = (
    "x.......x.......", "x..x..x.x..x..x.", "x.x.x.x.x.x.x.x.", "..x...x...x...x.",
    "x...x...x...x...", "x.....x.....x...", "x...............", "x..x..x...x.x...",
)  # fmt: skip
ROLES = {  # what the role may play on
    "strum": ("pick", "pick", "driven"),
    "comp": ("epiano", "organ", "stab", "pick"),
    "pad": ("pad", "pad", "organ"),
    "arp": ("pick", "epiano", "stab"),
    "lead": ("brass", "brass", "synth"),
}
OCTAVE = {"strum": 48, "comp": 48, "pad": 48, "arp": 60}


def play_other(score: Score, rng: np.random.Generator) -> np.ndarray:
    """Play two or three more instruments of a score: (2, time)."""
    roles = rng.choice(list(ROLES), size=rng.choice([1, 2, 2, 3]), replace=False,
                       p=[0.22, 0.25, 0.23, 0.18, 0.12])  # fmt: skip
    bus = np.zeros((2, int(score.duration_s * SAMPLE_RATE)), np.float32)
    for nth, role in enumerate(roles):
        instrument = Instrument(rng, str(rng.choice(ROLES[role])), cutoff_hz=(500, 3000))
        # The second and third instrument save themselves for some of the sections.
        rests = ["verse", "intro", "break"][: rng.integers(0, 3)] if nth else []
        notes = write_part(score, str(role), rests, rng)
        track = instrument.play(notes, rng, score.duration_s)
        level = gain(rng.normal(0, 2.5)) / (np.sqrt((track**2).mean()) + 1e-6)
        bus += level * _place(track, str(role), rng)
    hall = room(rng, rng.uniform(0.4, 2.2), rng.uniform(2500, 8000))
    wet = rng.choice([0, 1, 1, 1, 1]) * rng.uniform(0.05, 0.4)
    return studio(bus, np.ones_like, hall, wet)


def _place(track: np.ndarray, role: str, rng: np.random.Generator) -> np.ndarray:
    """Give an instrument its tone and its place: a wide chorus or a point between the speakers."""
    tone = random_eq(rng)
    track = studio(track, lambda hz: tone(hz) * high_pass(hz, 120))
    if role != "pad" and rng.random() > 0.3:
        return pan(track, rng.uniform(-0.8, 0.8))
    balance = rng.uniform(-0.3, 0.3)
    return chorus(track, rng) * np.array([[1 - balance], [1 + balance]], np.float32)


def chorus(track: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a copy whose delay swings slowly, differently on the left and on the right."""
    times = np.arange(len(track))
    depth_s, rate_hz = rng.uniform(0.001, 0.004), rng.uniform(0.2, 1.2)
    swing = 2 * np.pi * rate_hz / SAMPLE_RATE * times
    delays_s = [0.012 + depth_s * np.sin(swing + start) for start in (0, np.pi / 2)]
    return np.stack(
        [track + 0.7 * np.interp(times - s * SAMPLE_RATE, times, track) for s in delays_s]
    ).astype(np.float32)


def write_part(score: Score, role: str, rests: list[str], rng: np.random.Generator) -> list[Note]:
    """Write the notes of one role for the whole song."""
    rhythm, order = str(rng.choice(RHYTHMS)), rng.permutation(4)
    eighths = score.tempo_bpm > 100 or rng.random() < 0.6
    degree, notes = 2, []
    for bar in score.bars:
        if "o" not in bar.players or bar.section in rests:
            continue
        if role == "lead" and bar.section != "ending":
            phrase, degree = _lead(score, bar, degree, rng)
        elif role in ("pad", "lead") or bar.section == "ending":
            phrase = [
                (0, 24 if bar.section == "ending" else 16, pitch)
                for pitch in _voicing(bar, OCTAVE.get(role, 60))
            ]
        elif role == "arp":
            phrase = _arpeggio(_voicing(bar, OCTAVE[role]), order, 2 if eighths else 1)
        else:
            phrase = _chords(_voicing(bar, OCTAVE[role]), rhythm, role == "strum", rng)
        notes += [
            Note(bar.time(int(step)) + (step % 1 + abs(rng.normal(0, 0.03))) * bar.step_s,
                 steps * bar.step_s * rng.uniform(0.8, 1.0), pitch,
                 bar.energy * rng.uniform(0.65, 0.95))
            for step, steps, pitch in phrase
        ]  # fmt: skip
    return notes


def _voicing(bar: Bar, octave: int) -> list[int]:
    """Put the tones of the chord into one octave from F on: neighbouring chords stay close."""
    return sorted(octave + 5 + (tone - 5) % 12 for tone in bar.chord)


def _chords(voicing, rhythm, strum, rng):
    hits = [step for step, mark in enumerate(rhythm) if mark == "x"]
    strings = voicing + [pitch + 12 for pitch in voicing[:2]] * strum
    phrase = []
    for step, following in zip(hits, [*hits[1:], 16], strict=True):
        stroke = strings if rng.random() < 0.6 else strings[::-1]
        phrase += [
            (step + 0.09 * strum * string, following - step, pitch)
            for string, pitch in enumerate(stroke)
        ]
    return phrase


def _arpeggio(voicing, order, every):
    tones = [*voicing, voicing[0] + 12]
    return [
        (step, 1.3 * every, tones[order[step // every % 4] % len(tones)])
        for step in range(0, 16, every)
    ]


def _lead(score, bar, degree, rng):
    """Improvise a bar: a bounded walk on the scale, from 60 upwards."""
    phrase, step = [], 0
    while step < 16:
        steps = int(rng.choice([2, 2, 4, 4, 6, 8]))
        if rng.random() < 0.75:
            degree = int(np.clip(degree + rng.integers(-2, 3), -2, 9))
            phrase.append((step, 0.95 * min(steps, 16 - step), 60 + score.pitch(degree)))
        step += steps
    return phrase, degree
