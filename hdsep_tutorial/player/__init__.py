"""Hear stems on one clock: the player of the course, in a notebook and in a page without kernel.

The desk is player.js, its look player.css; what it plays is made in `sounds`, the pages in `pages`.
"""

import math
from typing import Any

import anywidget
from torch import Tensor
from traitlets import Bytes, Dict, Float, List, Unicode, validate

from ..export import page_from_notebook, strip_widgets
from ..listening import LOSSLESS_S, kind_of
from .pages import MODULE, STYLE, data_url, picture_of, player_html
from .sounds import BYTES_PER_S, check_tracks, common_gain, encode, forecast_mb, mix

__all__ = ["StemPlayer", "forecast_mb", "page_from_notebook", "strip_widgets"]

# Okabe and Ito (2008), Color Universal Design: told apart with every kind of colour vision.
COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b3a800", "#8c8c8c"]
QUIETEST_DB, LOUDEST_DB = -60.0, 12.0
SAVED_BYTES = 6_000_000  # of one player in a notebook's file


class StemPlayer(anywidget.AnyWidget):
    """Play stems on one clock, with mute, solo, volume, loop and A/B against references.

    All sounds share one gain, at most 1, so that they compare by ear. Up to 30 s they are exact to
    16 bit (FLAC); longer ones are OGG Vorbis, which is for finding a place, not for judging
    artefacts. A stem called mixture is the sum of the others and starts muted.

    What the learner sets in the browser can be read, and set, in Python. Assign whole values:
    `player.gains_db = {"drums": -6}` moves one fader and leaves the others.

    Attributes:
        gains_db: stem → volume in dB, -60 to 12.
        muted, soloed, on_reference: names of stems; solo wins over mute.
        loop_s: [start, stop] in seconds of the song, [] for none.
        position_s: of the cursor, in seconds of the song; four times a second while it plays.
        gain: the factor on all sounds.

    >>> import torch
    >>> StemPlayer({"bass": torch.zeros(2, 8000)}, 8000, spectrogram="", start_s=150)
    bass: 150 to 151 s, at their true level, 0.0 MB of FLAC

    Lesson: 04_first_separation
    """

    _esm = MODULE
    _css = STYLE
    song = Dict().tag(sync=True)
    audio = List(Bytes()).tag(sync=True)
    gains_db = Dict(value_trait=Float(), key_trait=Unicode()).tag(sync=True)
    muted = List(Unicode()).tag(sync=True)
    soloed = List(Unicode()).tag(sync=True)
    on_reference = List(Unicode()).tag(sync=True)
    loop_s = List(Float()).tag(sync=True)
    position_s = Float().tag(sync=True)

    def __init__(
        self,
        stems: dict[str, Tensor],
        sample_rate: int,
        *,
        references: dict[str, Tensor] | None = None,
        spectrogram: str = "mixture",
        start_s: float = 0.0,
        title: str = "",
    ) -> None:
        """Encode the sounds and draw the picture.

        Args:
            stems: stem → waveform (2, time) or mono, 1 to 8 of one length.
            sample_rate: in Hz, 8,000 to 96,000.
            references: the same for stems whose truth is known: the B of A/B.
            spectrogram: which picture to show: "mixture" (sum of the stems), a stem, or "".
            start_s: where in the song the stems start, in seconds.
            title: what it is.

        Raises:
            ValueError: lengths differ, a sample is NaN, or there is no such stem.
        """
        stems, references = check_tracks(stems, references or {}, sample_rate)
        sounds = {"mixture": mix(stems), **stems}
        if spectrogram and spectrogram not in sounds:
            names = ", ".join(sounds)
            raise ValueError(f"spectrogram is {spectrogram!r}, expected one of {names}, or ''")
        self.gain = common_gain(stems, references)
        self._sounds = [*stems.values(), *references.values()]
        duration_s = self._sounds[0].shape[-1] / sample_rate
        audio = encode(self._sounds, sample_rate, gain=self.gain, kind=kind_of(duration_s))
        place = {"start_s": float(start_s)}
        song = {"title": title, "sample_rate": sample_rate, "duration_s": duration_s, **place}
        colours = iter(COLOURS)  # the same for a stem whether there is a mixture or not
        song["stems"] = [
            {
                "name": name,
                "color": COLOURS[-1] if name == "mixture" else next(colours),
                "has_reference": name in references,
            }
            for name in stems
        ]
        song["picture"] = spectrogram and picture_of(
            spectrogram, sounds[spectrogram], sample_rate, **place
        )
        song["note"] = _note(song, self.gain, sum(map(len, audio)))
        song["text"] = ", ".join([title] * bool(title) + list(stems)) + f": {song['note']}"
        super().__init__(
            song=song,
            audio=audio,
            gains_db=dict.fromkeys(stems, 0.0),
            muted=["mixture"] if "mixture" in stems and len(stems) > 1 else [],
            position_s=float(start_s),
        )

    def __repr__(self) -> str:
        """Say what can be heard, how loud, and how many megabytes it is."""
        return self.song["text"]

    def page_html(self, *, inline_module: bool = True) -> str:
        """Return the player as a piece of HTML that plays without kernel and network.

        Args:
            inline_module: whether to add script and style; once per page is enough.

        Returns:
            A <div>, with the settings that the player has now.

        Lesson: 06_whole_song
        """
        kind = kind_of(self.song["duration_s"])
        return self._page(self.song, self.audio, kind, inline_module=inline_module)

    def _page(self, song: dict, audio: list[bytes], kind: str, *, inline_module: bool) -> str:
        names = ("gains_db", "muted", "soloed", "on_reference", "loop_s", "position_s")
        song = {**song, "state": {name: getattr(self, name) for name in names}}
        urls = [data_url(f"audio/{kind}", sound) for sound in audio]
        return player_html(song, urls, inline_module=inline_module)

    def _saved_html(self) -> str:
        """Return what a notebook's file keeps: OGG, and cut, where it would be large."""
        if sum(map(len, self.audio)) * 4 / 3 <= SAVED_BYTES:
            return self.page_html()
        rate, whole_s = self.song["sample_rate"], self.song["duration_s"]
        fit_s = SAVED_BYTES * 3 / 4 / len(self._sounds) / BYTES_PER_S["ogg"]
        fit_s = min(fit_s, LOSSLESS_S)  # nobody should wait for the encoding of a copy
        part = [sound[:, : round(fit_s * rate)] for sound in self._sounds]
        cut = f", saved as OGG, {min(fit_s, whole_s):.0f} of {whole_s:.0f} s: run the cell for all"
        duration_s = part[0].shape[-1] / rate
        song = {**self.song, "duration_s": duration_s, "text": self.song["text"] + cut}
        audio = encode(part, rate, gain=self.gain, kind="ogg")
        return self._page(song, audio, "ogg", inline_module=True)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Show the widget; a file that is read without a kernel shows the page."""
        bundle, metadata = super()._repr_mimebundle_(**options)
        return {**bundle, "text/plain": repr(self), "text/html": self._saved_html()}, metadata

    @validate("gains_db")
    def _check_gains(self, proposal: dict[str, Any]) -> dict[str, float]:
        """Move the faders that are named, leave the others."""
        gains = {**self.gains_db, **proposal["value"]}
        for name, gain in proposal["value"].items():
            self._check_names([name], "gains_db")
            if not QUIETEST_DB <= gain <= LOUDEST_DB:
                raise ValueError(f"gains_db of {name} is {gain}, expected -60 to 12 dB")
        return gains

    @validate("muted", "soloed", "on_reference")
    def _check_list(self, proposal: dict[str, Any]) -> list[str]:
        self._check_names(proposal["value"], proposal["trait"].name)
        return proposal["value"]

    @validate("loop_s")
    def _check_loop(self, proposal: dict[str, Any]) -> list[float]:
        loop, (first, last) = proposal["value"], self._range_s()
        if loop and not (len(loop) == 2 and first <= loop[0] < loop[1] <= last + 1e-6):
            expected = f"[] or [start, stop] within {first:g} to {last:g} s"
            raise ValueError(f"loop_s is {loop}, expected {expected}")
        return loop

    @validate("position_s")
    def _check_position(self, proposal: dict[str, Any]) -> float:
        position, (first, last) = proposal["value"], self._range_s()
        if not first <= position <= last + 1e-6:
            raise ValueError(f"position_s is {position:g}, expected {first:g} to {last:g} s")
        return position

    def _range_s(self) -> tuple[float, float]:
        return self.song["start_s"], self.song["start_s"] + self.song["duration_s"]

    def _check_names(self, names: list[str], trait: str) -> None:
        known = [stem["name"] for stem in self.song["stems"]]
        for name in names:
            if name not in known:
                raise ValueError(f"{trait} has {name!r}, expected one of {', '.join(known)}")


def _note(song: dict[str, Any], gain: float, size: int) -> str:
    """Say which seconds are heard, how loud, and in what form."""
    stop_s = song["start_s"] + song["duration_s"]
    level = f"turned down together by {-20 * math.log10(gain):.1f} dB"
    level = "at their true level" if gain == 1 else level
    kind = kind_of(song["duration_s"]).upper()
    seconds = f"{round(song['start_s'], 1):g} to {round(stop_s, 1):g} s"
    lossy = ", lossy: not for judging artefacts" if kind == "OGG" else ""
    return f"{seconds}, {level}, {size / 1e6:.1f} MB of {kind}{lossy}"
