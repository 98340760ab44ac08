"""Instruments that do not exist: a drawn spectrum, an envelope, and a timbre that darkens.

A pitched sound is two wavetables, bright and dark, each one cycle of a periodic wave. The bright
one fades faster, as on a plucked string or behind a synthesiser's filter. Electric pianos are
frequency modulation (Chowning 1973).
"""

import numpy as np

from .filters import bell, low_pass
from .score import Note
from .sound import SAMPLE_RATE, add_at, hertz, log_uniform, seconds

TABLE = 2048
# kind: attack s, decay s, sustained share, fall of the bright table s, release s (all ranges)
KINDS = {
    "pick": ((0.001, 0.006), (0.4, 2.0), (0, 0), (0.05, 0.4), (0.03, 0.15)),
    "driven": ((0.001, 0.004), (3.0, 5.0), (0, 0), (0.5, 20), (0.03, 0.1)),
    "epiano": ((0.001, 0.004), (0.6, 2.0), (0, 0), (0.3, 2.0), (0.05, 0.15)),
    "stab": ((0.001, 0.006), (0.15, 0.5), (0, 0.6), (0.05, 0.4), (0.03, 0.15)),
    "synth": ((0.005, 0.02), (1, 1), (1, 1), (0.05, 0.4), (0.03, 0.1)),
    "sub": ((0.008, 0.02), (1, 1), (1, 1), (1, 1), (0.03, 0.1)),
    "organ": ((0.005, 0.02), (1, 1), (1, 1), (20, 30), (0.03, 0.1)),
    "pad": ((0.03, 0.35), (1, 1), (1, 1), (0.5, 30), (0.1, 0.5)),
    "brass": ((0.02, 0.06), (0.2, 0.4), (0.7, 0.9), (0.3, 3.0), (0.05, 0.12)),
}
ENSEMBLE = ("stab", "synth", "pad")  # kinds of one to three voices, a little out of tune
DRAWBARS = (1, 2, 3, 4, 6, 8, 10, 12, 16)


class Instrument:
    """One instrument of the band, drawn from `rng`; it keeps the wavetables it has computed."""

    def __init__(self, rng: np.random.Generator, kind: str, cutoff_hz: tuple[float, float]):
        ranges = [rng.uniform(*limits) for limits in KINDS[kind]]
        self.attack_s, self.decay_s, self.sustain, self.bright_s, self.release_s = ranges
        self.kind = kind
        self.slope = rng.uniform(0.8, 1.9)  # harmonic k has the amplitude k ** -slope
        self.pluck_at = rng.uniform(0.06, 0.5)  # of the string's length
        self.even = rng.choice([1.0, 1.0, rng.uniform(0, 0.6)])  # a clarinet has few even harmonics
        self.body = [
            (log_uniform(rng, 250, 5000), rng.uniform(1, 4), rng.uniform(3, 12))
            for _ in range(rng.integers(0, 4))
        ]
        self.drawbars = rng.uniform(0, 1, len(DRAWBARS))
        self.cutoff_hz = log_uniform(rng, *cutoff_hz)
        self.brightness = rng.uniform(0.3, 1.0)
        self.voices = int(rng.choice([1, 2, 3])) if kind in ENSEMBLE else 1
        self.detune_cents = rng.uniform(3, 14)
        self.vibrato_hz = rng.uniform(4.5, 6.5)
        self.vibrato = rng.uniform(0.05, 0.3) if kind == "brass" else rng.uniform(0, 0.06)
        self.ratio = float(rng.choice([1, 1, 2, 3, 0.5, 7, 14]))
        self.index = rng.uniform(0.6, 3.0) if self.ratio < 5 else rng.uniform(0.1, 0.5)
        self.tables = {}

    def amplitudes(self, harmonic: np.ndarray, hz: np.ndarray) -> np.ndarray:
        """Return how strong each harmonic is in the bright table."""
        if self.kind == "sub":
            return np.where(harmonic == 1, 1.0, 0.15 / harmonic**2)
        if self.kind == "organ":
            return np.array([self.drawbars[DRAWBARS.index(k)] if k in DRAWBARS else 0
                             for k in harmonic]) + 1e-6  # fmt: skip
        strength = harmonic**-self.slope * np.where(harmonic % 2 == 0, self.even, 1.0)
        if self.kind in ("pick", "driven"):
            strength = strength * np.abs(np.sin(np.pi * harmonic * self.pluck_at))
        for centre_hz, q, gain_db in self.body:
            strength = strength * bell(hz, centre_hz, q, gain_db)
        return strength

    def wavetables(self, pitch: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the bright and the dark table of a pitch, free of aliasing."""
        if pitch not in self.tables:
            harmonic = np.arange(1, max(2, min(TABLE // 2, int(19_000 / hertz(pitch)))))
            hz = harmonic * hertz(pitch)
            bright = self.amplitudes(harmonic, hz)
            dark = bright * low_pass(hz, self.cutoff_hz)
            self.tables[pitch] = _cycle(bright), _cycle(dark)
        return self.tables[pitch]

    def note(self, note: Note, rng: np.random.Generator) -> np.ndarray:
        """Play one note, (time,), from its attack to the end of its release."""
        t = seconds(note.length_s + self.release_s).astype(np.float32)
        strength = note.velocity * self.envelope(t, note)
        hz = float(hertz(note.pitch))
        fade = np.exp(-t / np.float32(self.bright_s))
        if self.kind == "epiano":
            angle = 2 * np.pi * hz * t
            bend = self.index * note.velocity * fade * np.sin(self.ratio * angle)
            return np.sin(angle + bend) * strength
        if self.kind == "brass":  # the tone opens up after the attack
            fade = fade * np.minimum(1, t / np.float32(2.5 * self.attack_s))
        bright, dark = self.wavetables(note.pitch)
        share = self.brightness * note.velocity
        wave = 0
        for cents in np.linspace(-1, 1, self.voices) * self.detune_cents * (self.voices > 1):
            phase = hz * 2 ** (cents / 1200) * t + rng.random() + self.wobble(t, hz)
            wave = wave + _read(bright, phase) * (share * fade)
            wave = wave + _read(dark, phase) * (1 - self.brightness / 2)
        return wave * strength / np.sqrt(self.voices)

    def envelope(self, t: np.ndarray, note: Note) -> np.ndarray:
        """Return how loud the note is at each moment; high strings die away sooner."""
        decay_s = self.decay_s * (440 / hertz(note.pitch)) ** (0.4 if self.sustain == 0 else 0)
        level = self.sustain + (1 - self.sustain) * np.exp(-t / np.float32(decay_s))
        release = np.clip(1 - (t - note.length_s) / self.release_s, 0, 1)
        return np.minimum(1, t / np.float32(self.attack_s)) * level * release**2

    def wobble(self, t: np.ndarray, hz: float) -> np.ndarray:
        """Return the vibrato as a shift of phase in cycles; it sets in after a moment."""
        depth = self.vibrato * np.clip((t - 0.1) / 0.3, 0, 1)
        swing = hz * 0.0595 / (2 * np.pi * self.vibrato_hz)
        return swing * depth * np.sin(2 * np.pi * np.float32(self.vibrato_hz) * t)

    def play(self, notes: list[Note], rng: np.random.Generator, duration_s: float) -> np.ndarray:
        """Play a part of many notes, (time,)."""
        track = np.zeros(int(duration_s * SAMPLE_RATE), np.float32)
        for note in notes:
            add_at(track, note.start_s, self.note(note, rng))
        return overdrive(track, 8.0) if self.kind == "driven" else track


def overdrive(track: np.ndarray, drive: float) -> np.ndarray:
    """Push a track into a soft limit, as a guitar amplifier does."""
    rms = np.sqrt((track**2).mean()) + 1e-6
    return np.tanh(drive / 2 * track / rms)


def _cycle(amplitudes: np.ndarray) -> np.ndarray:
    """Turn harmonic amplitudes into one cycle of RMS 1; its first sample is repeated at the end."""
    harmonic = np.arange(1, len(amplitudes) + 1)
    spectrum = np.zeros(TABLE // 2 + 1, complex)
    spectrum[1 : len(amplitudes) + 1] = amplitudes * np.exp(2.399j * harmonic**2)
    wave = np.fft.irfft(spectrum)
    wave /= np.sqrt((wave**2).mean()) + 1e-9
    return np.append(wave, wave[0]).astype(np.float32)


def _read(table: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Read a wavetable at phases in cycles, with linear interpolation."""
    position = (phase % 1.0) * TABLE
    index = position.astype(np.int32)
    return table[index] + (position - index).astype(np.float32) * (table[index + 1] - table[index])
