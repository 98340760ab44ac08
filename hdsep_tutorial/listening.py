"""Hear stems as loud as they are: audio players inside a notebook, with one gain for all.

`IPython.display.Audio` turns every clip up to full scale, so that a faint leak sounds like a stem.
"""

import base64
import html
import io
import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOSSLESS_S = 30.0  # longer sounds become OGG Vorbis, which is a seventh of the size
BLOCK = 65_536  # libsndfile crashes where a long OGG is written at once


@dataclass(frozen=True, repr=False)
class Players:
    """What `listen` returns: a notebook shows a table of players, a terminal one line of text.

    Attributes:
        sources: label → data URL of the encoded sound.
        gain: the common factor on all sounds, at most 1.
        start_s, stop_s: which seconds of the song are heard.
    """

    sources: dict[str, str]
    gain: float
    start_s: float
    stop_s: float

    def __repr__(self) -> str:
        """Say what can be heard and how loud."""
        level = f"turned down together by {-20 * math.log10(self.gain):.1f} dB"
        level = "at their true level" if self.gain == 1 else level
        return f"{', '.join(self.sources)}: {self._seconds()}, {level}"

    def _seconds(self) -> str:
        return f"{round(self.start_s, 1):g} to {round(self.stop_s, 1):g} s"

    def _repr_html_(self) -> str:
        """Show a row per sound; plain HTML, so that it plays without a kernel too."""
        rows = []
        for label, source in self.sources.items():
            name, hint = html.escape(label), html.escape(f"{label}, {self._seconds()}")
            player = (
                f'<audio controls preload="metadata" aria-label="{hint}" src="{source}"></audio>'
            )
            rows.append(f'<tr><th scope="row">{name}</th><td>{player}</td></tr>')
        caption = f"<caption>{html.escape(repr(self))}</caption>"
        return f"<table>{caption}<tbody>{''.join(rows)}</tbody></table>"


def listen(
    sounds: Tensor | dict[str, Tensor], sample_rate: int, *, start_s: float = 0.0
) -> Players:
    """Make a player per sound, all with the same gain, so that they compare by ear.

    The gain is min(1, 0.99 / peak of all): never up, and down only where something would clip.
    Up to 30 s a sound is FLAC of 16 bit, exact to half a step; longer ones are OGG Vorbis.

    Args:
        sounds: waveform (2, time), or label → waveform. Mono (time,) or (1, time) works too.
        sample_rate: in Hz.
        start_s: where in the song the sounds start, in seconds; for the label only.

    Returns:
        Players, which a notebook shows as the last line of a cell.

    Raises:
        ValueError: nothing to play, a shape that is no sound, or NaN.

    >>> listen({"tone": torch.full((2, 800), 0.5), "silence": torch.zeros(2, 800)}, 8000)
    tone, silence: 0 to 0.1 s, at their true level

    Lesson: 04_first_separation
    """
    sounds = sounds if isinstance(sounds, dict) else {"sound": sounds}
    if not sounds:
        raise ValueError("sounds is empty, expected at least one waveform")
    sounds = {label: checked(label, sound) for label, sound in sounds.items()}
    peak = max(sound.abs().max().item() for sound in sounds.values())
    gain = 0.99 / peak if peak > 0.99 else 1.0
    sources = {label: _data_url(gain * sound, sample_rate) for label, sound in sounds.items()}
    longest_s = max(sound.shape[-1] for sound in sounds.values()) / sample_rate
    return Players(sources, gain, start_s, start_s + longest_s)


def checked(label: str, sound: Tensor) -> Tensor:
    """Return a sound as (channels, time) on the CPU, or say why it is none."""
    waveform = torch.atleast_2d(sound.detach().cpu().float())
    if waveform.dim() != 2 or len(waveform) > 2 or not waveform.numel():
        raise ValueError(f"{label} has shape {tuple(sound.shape)}, expected (2, time)")
    if not waveform.isfinite().all():
        raise ValueError(f"{label} holds NaN or inf: look for the step that made them")
    return waveform


def kind_of(duration_s: float) -> str:
    """Choose how a sound travels: exact where it is short, small where it is long.

    Lesson: 04_first_separation
    """
    return "flac" if duration_s <= LOSSLESS_S else "ogg"


def encoded(waveform: Tensor, sample_rate: int, kind: str) -> bytes:
    """Encode (channels, time) as "flac" of 16 bit or as "ogg" Vorbis."""
    import soundfile

    buffer, subtype = io.BytesIO(), {"flac": "PCM_16", "ogg": "VORBIS"}[kind]
    with soundfile.SoundFile(
        buffer, "w", sample_rate, len(waveform), subtype, format=kind.upper()
    ) as file:
        for block in waveform.T.split(BLOCK):
            file.write(block.numpy())
    return buffer.getvalue()


def _data_url(waveform: Tensor, sample_rate: int) -> str:
    """Encode a waveform into text that an <audio> element plays."""
    kind = kind_of(waveform.shape[-1] / sample_rate)
    data = base64.b64encode(encoded(waveform, sample_rate, kind)).decode()
    return f"data:audio/{kind};base64,{data}"
