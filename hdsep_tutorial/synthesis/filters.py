"""Filters: what a sound keeps of each frequency, and the rooms it is heard in.

A filter is a function of frequency in hertz that returns a gain. `studio` applies it to the whole
spectrum at once, without a shift of phase: short to write, and exactly what one draws.
"""

from collections.abc import Callable

import numpy as np

from .sound import SAMPLE_RATE, gain, log_uniform, seconds


def low_pass(hz, cutoff_hz, order=2):
    """Return the gain of a Butterworth low-pass at the frequencies `hz`."""
    return 1 / np.sqrt(1 + (hz / cutoff_hz) ** (2 * order))


def high_pass(hz, cutoff_hz, order=2):
    """Return the gain of a Butterworth high-pass at the frequencies `hz`."""
    return low_pass(cutoff_hz, np.maximum(hz, 1.0), order)


def band(low_hz=0.0, high_hz=np.inf, order: int = 2) -> Callable:
    """Return a band-pass as a function of frequency in Hz."""
    return lambda hz: high_pass(hz, low_hz, order) * low_pass(hz, high_hz, order)


def bell(hz, centre_hz, q, gain_db):
    """Return the gain of one bell of an equaliser: `gain_db` at the centre, 0 dB far away."""
    distance = q * (hz / centre_hz - centre_hz / np.maximum(hz, 1.0))
    return 1 + (gain(gain_db) - 1) / (1 + distance**2)


def random_eq(rng: np.random.Generator, amount: float = 1.0) -> Callable:
    """Draw an equaliser of three bells and a tilt: a function of frequency in Hz."""
    tilt = rng.normal(0, 0.06 * amount)
    bells = [
        (log_uniform(rng, 80, 9000), rng.uniform(0.5, 1.5), rng.normal(0, 3 * amount))
        for _ in range(3)
    ]

    def curve(hz):
        response = (np.maximum(hz, 20.0) / 1000) ** tilt
        for centre_hz, q, gain_db in bells:
            response = response * bell(hz, centre_hz, q, gain_db)
        return response

    return curve


def noise(rng: np.random.Generator, length: int, curve: Callable) -> np.ndarray:
    """Return white noise, shaped by a function of frequency, with a peak of 1."""
    size = 1 << int(np.ceil(np.log2(max(length, 16))))
    spectrum = np.fft.rfft(rng.standard_normal(size))
    shaped = np.fft.irfft(spectrum * curve(np.fft.rfftfreq(size, 1 / SAMPLE_RATE)))[:length]
    return shaped / (np.abs(shaped).max() + 1e-9)


def room(rng: np.random.Generator, t60_s: float, bright_hz: float, predelay_s=0.01) -> np.ndarray:
    """Return the echo of a room, (2, time): noise that falls by 60 dB in `t60_s`; energy 1."""
    times = seconds(0.9 * t60_s)
    hall = [noise(rng, len(times), lambda hz: low_pass(hz, bright_hz, 1)) for _ in range(2)]
    hall = np.stack(hall) * 10 ** (-3 * times / t60_s) * (times > predelay_s)
    return hall / np.sqrt((hall**2).sum(axis=-1, keepdims=True))


def studio(sound: np.ndarray, curve: Callable, hall=None, wet: float = 0.0) -> np.ndarray:
    """Send a sound through an equaliser and, if there is a `hall`, add its echo times `wet`."""
    length = sound.shape[-1]
    wanted = length + (4096 if hall is None else hall.shape[-1])
    # NumPy's FFT is several times slower for lengths with large prime factors.
    size = min(odd << int(np.ceil(np.log2(wanted / odd))) for odd in (1, 3, 5, 9, 15))
    response = curve(np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float32))
    if hall is not None:
        response = response * (1 + wet * np.fft.rfft(hall.astype(np.float32), size))
    spectrum = np.fft.rfft(sound.astype(np.float32, copy=False), size)
    return np.fft.irfft(spectrum * response, size)[..., :length]
