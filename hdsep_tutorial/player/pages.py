"""A player as HTML, for pages that no kernel answers: saved notebooks, exports, reports."""

import base64
import html
import io
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ..spectrogram import TICKS_HZ, hz_to_mel, plot_spectrogram

MODULE = Path(__file__).with_name("player.js")
STYLE = Path(__file__).with_name("player.css")


def player_html(song: dict[str, Any], urls: list[str], *, inline_module: bool) -> str:
    """Write a player as HTML: a picture, a line and <audio> rows, which a script makes a desk.

    Where scripts may not run the rows play by themselves.

    Args:
        song: what the desk needs to know, see `StemPlayer.song`.
        urls: data URLs of the stems in order, then of the references.
        inline_module: whether to add the script and its style; once per page is enough.

    Lesson: 04_first_separation
    """
    names = [stem["name"] for stem in song["stems"]]
    names += [f"{stem['name']} (reference)" for stem in song["stems"] if stem["has_reference"]]
    rows = "".join(map(_row, names, urls))
    picture, figure = song["picture"], ""
    if picture:
        figure = f'<img src="{picture["url"]}" alt="{html.escape(picture["text"])}" width="100%">'
        song = {**song, "picture": {**picture, "url": ""}}  # the script finds it in the figure
    facts = json.dumps(song).replace("<", "\\u003c")  # no name can end the script
    page = (
        f'<div class="stem-player-page"><p>{html.escape(song["text"])}</p>{figure}'
        f"<table><tbody>{rows}</tbody></table>"
        f'<script type="application/json">{facts}</script></div>'
    )
    return page + (_module() if inline_module else "")


def picture_of(name: str, sound: Tensor, sample_rate: int, *, start_s: float) -> dict[str, Any]:
    """Draw a spectrogram without margins, so that its width is the time, and what it needs."""
    from matplotlib.figure import Figure
    from PIL import Image  # matplotlib brings it

    figure, buffer = Figure(figsize=(8, 1.5), dpi=100), io.BytesIO()
    ax = figure.add_axes((0, 0, 1, 1))
    look = {"scale": "mel", "columns": 800, "rows": 150, "colorbar": False}
    text = plot_spectrogram(sound, sample_rate, title=name, start_s=start_s, ax=ax, **look)[1]
    ax.set_facecolor("#440154")  # viridis at its darkest, where no frame reaches the very end
    ax.set(xticks=[], yticks=[], frame_on=True)
    ax.spines[:].set_visible(False)
    figure.savefig(buffer, format="png")
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(128).save(small, "png", optimize=True)
    top = hz_to_mel(sample_rate / 2)
    hertz = [hz for hz in TICKS_HZ["mel"] if 0 < hz < sample_rate / 2]
    return {
        "url": data_url("image/png", small.getvalue()),
        "text": text,
        "label": name,
        "ticks": [[f"{hz / 1000:g} kHz", hz_to_mel(hz) / top] for hz in hertz],
        "duration_s": sound.shape[-1] / sample_rate,
    }


def data_url(mime: str, data: bytes) -> str:
    """Write bytes into an address, so that a page needs no other file."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _row(name: str, url: str) -> str:
    label = html.escape(name)
    player = f'<audio controls preload="metadata" aria-label="{label}" src="{url}"></audio>'
    return f'<tr><th scope="row">{label}</th><td>{player}</td></tr>'


def _module() -> str:
    style, code = (path.read_text(encoding="utf-8") for path in (STYLE, MODULE))
    return f'<style>{style}</style><script type="module">{code}mountAll();</script>'
