"""What a player plays: sounds that fit together, at one gain, in few bytes."""

from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from ..listening import checked, encoded, kind_of

MOST_STEMS = 8  # one per colour that everybody can tell apart, and per key
BYTES_PER_S = {"flac": 90_000, "ogg": 13_000}  # of stereo music at 44.1 kHz, as measured


def check_tracks(
    stems: dict[str, Tensor], references: dict[str, Tensor], sample_rate: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return stems and references as (channels, time) on the CPU.

    Args:
        stems: stem → (2, time), or mono, 1 to 8 of them, all of one length.
        references: the same for stems whose truth is known.
        sample_rate: in Hz, 8,000 to 96,000.

    Raises:
        ValueError: they do not fit together, or one of them is no sound.

    Lesson: 04_first_separation
    """
    if not 1 <= len(stems) <= MOST_STEMS:
        raise ValueError(f"got {len(stems)} stems, expected 1 to {MOST_STEMS}: choose some")
    if not 8_000 <= sample_rate <= 96_000:
        raise ValueError(f"sample_rate is {sample_rate}, expected 8000 to 96000 Hz: resample first")
    strangers = [name for name in references if name not in stems]
    if strangers:
        raise ValueError(f"references has {strangers[0]!r}, but stems has {', '.join(stems)} only")
    stems = {name: checked(name, sound) for name, sound in stems.items()}
    truths = {f: checked(f"reference {f}", references[f]) for f in stems if f in references}
    lengths = {sound.shape[-1] for sound in (*stems.values(), *truths.values())}
    if len(lengths) > 1:
        seconds = " and ".join(f"{length / sample_rate:.3f}" for length in sorted(lengths))
        raise ValueError(
            f"the sounds last {seconds} s, expected one length: cut the same seconds of all, "
            "at one sample rate"
        )
    return stems, truths


def mix(stems: dict[str, Tensor]) -> Tensor:
    """Add the stems; one that is called mixture is their sum already and is left out.

    >>> import torch
    >>> mix({"a": torch.ones(1, 2), "b": torch.ones(1, 2), "mixture": torch.ones(1, 2)})
    tensor([[2., 2.]])

    Lesson: 01_song_is_a_sum
    """
    parts = [sound for name, sound in stems.items() if name != "mixture"]
    return sum(parts[1:], parts[0]) if parts else stems["mixture"]


def common_gain(stems: dict[str, Tensor], references: dict[str, Tensor]) -> float:
    """Return the factor, at most 1, with which neither a stem nor their sum clips.

    Lesson: 04_first_separation
    """
    sounds = [*stems.values(), *references.values(), mix(stems), mix({**stems, **references})]
    peak = max(sound.abs().max().item() for sound in sounds)
    return 0.99 / peak if peak > 0.99 else 1.0


def forecast_mb(duration_s: float, sounds: int) -> float:
    """Forecast how many megabytes a player sends to the browser.

    Args:
        duration_s: length of each sound in seconds.
        sounds: how many, stems and references together.

    Returns:
        Megabytes of 44.1 kHz stereo; quiet or mono sounds need less.

    >>> round(forecast_mb(5, sounds=5), 2), round(forecast_mb(171, sounds=5), 1)
    (2.25, 11.1)

    Lesson: 04_first_separation
    """
    return duration_s * sounds * BYTES_PER_S[kind_of(duration_s)] / 1e6


def encode(sounds: list[Tensor], sample_rate: int, *, gain: float, kind: str) -> list[bytes]:
    """Encode sounds as FLAC of 16 bit or OGG Vorbis, two at a time."""
    with ThreadPoolExecutor(2) as pool:  # libsndfile works without Python's lock
        return list(pool.map(lambda sound: encoded(gain * sound, sample_rate, kind), sounds))
