"""Sound: notes to hertz, decibels to factors, places, levels.

Sounds are NumPy arrays (time,) or (2, time) at 44.1 kHz.
"""

import numpy as np

SAMPLE_RATE = 44_100


def hertz(pitch):
    """Return the frequency of a MIDI pitch in Hz: 69 is the A of 440 Hz, 12 is an octave."""
    return 440.0 * 2.0 ** ((np.asarray(pitch, dtype=float) - 69) / 12)


def gain(level_db):
    """Return the factor that changes a level by `level_db`."""
    return 10.0 ** (level_db / 20)


def seconds(length_s: float) -> np.ndarray:
    """Return the times of the samples of a sound of `length_s`, in seconds."""
    return np.arange(int(length_s * SAMPLE_RATE)) / SAMPLE_RATE


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform: as many octaves below the middle as above."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def pan(sound: np.ndarray, position: float) -> np.ndarray:
    """Place a mono sound between left (−1) and right (1) with constant power: (2, time)."""
    angle = (position + 1) * np.pi / 4
    return np.stack([np.cos(angle) * sound, np.sin(angle) * sound]) * np.sqrt(2)


def add_at(track: np.ndarray, start_s: float, sound: np.ndarray) -> None:
    """Add `sound` to `track` from `start_s` on, in place; what hangs over the end is dropped."""
    start = max(0, int(start_s * SAMPLE_RATE))
    length = min(sound.shape[-1], track.shape[-1] - start)
    if length > 0:
        track[..., start : start + length] += sound[..., :length]


def frame_rms(sound: np.ndarray, frame_s: float = 0.05) -> np.ndarray:
    """Return the RMS of (2, time) in frames of `frame_s`, over both channels."""
    frame = int(frame_s * SAMPLE_RATE)
    frames = sound[:, : sound.shape[1] // frame * frame].reshape(2, -1, frame)
    return np.sqrt((frames**2).mean(axis=(0, 2)))


def compressor(sound: np.ndarray, threshold_db: float, ratio: float) -> np.ndarray:
    """Return the gain, (time,), that holds loud passages of (2, time) down.

    Above the threshold the level rises only 1 dB for every `ratio` dB. The gain follows the level
    within about 30 ms, so that attacks keep their punch.
    """
    level_db = 20 * np.log10(frame_rms(sound, 0.01) + 1e-6)
    reduction_db = np.maximum(level_db - threshold_db, 0) * (1 / ratio - 1)
    reduction_db = np.convolve(
        np.pad(reduction_db, 4, mode="edge"), np.hanning(11)[1:-1] / 5, "valid"
    )
    centres = (np.arange(len(level_db)) + 0.5) * 0.01 * SAMPLE_RATE
    return gain(np.interp(np.arange(sound.shape[1]), centres, reduction_db))
