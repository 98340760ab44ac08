"""One song as one page: sound, pictures, levels, scores and what made them, in a single file."""

import html
import io
import os
from contextlib import suppress
from pathlib import Path
from string import Template

import torch
import torchaudio
from torch import Tensor

from . import __version__
from .audio import clip
from .bundles import Bundle
from .comparison import Comparison, compare_stems
from .player import StemPlayer
from .remix import remix, true_peak_db
from .scores import ScoreTable, written
from .songs import Song
from .spectrogram import level_db, plot_spectrogram

TEMPLATE = Path(__file__).with_name("report.html")
SEGMENT_S = (150.0, 155.0)  # of the source tutorial; a song that ends before gives its middle
LEFT_OVER, SILENT_DB = "mixture − sum of stems", -120.0
NO_SCORES = "<p>The true stems of this song are not known, so no score can be given.</p>"
Grid = list[list[tuple[str, Tensor]]]  # rows of titles and waveforms


def write_report(
    path: str | Path,
    song: Song,
    estimates: dict[str, Tensor],
    *,
    bundle: Bundle | None = None,
    settings: dict[str, object] | None = None,
    segment_s: tuple[float, float] | None = None,
) -> Path:
    """Write all that is to be heard, seen and measured of a separated song into one HTML file.

    The page needs no network and no server, and prints on A4 without the player.

    Args:
        path: of the page, ends in .html; its folder is made if it is missing.
        song: mixture, title, licence and, where they are known, references.
        estimates: stem → (2, time), as `separate_sources` gives them.
        bundle: the model, for the page to name it.
        settings: name → value of how it ran, e.g. {"segment_s": 10.0}.
        segment_s: (start, stop) of what is played and shown closely, in seconds of the song;
            None takes 150 to 155, or five seconds of the middle. Each second adds about 1 MB.

    Returns:
        The path.

    Raises:
        ValueError: another suffix, stems that do not fit the song, or a segment outside of it.
        OSError: the file cannot be written; an older one is then still whole.

    Lesson: 11_your_song
    """
    path = Path(path)
    if path.suffix.lower() != ".html":
        raise ValueError(f"{path} does not end in .html, which a browser needs: rename it")
    parts = _parts(song, estimates, *(segment_s or _segment(song.duration_s)))
    parts["made"] = _pairs(_made(bundle, settings or {}))
    _write_whole(path, Template(TEMPLATE.read_text(encoding="utf-8")).substitute(parts))
    return path


def _parts(
    song: Song, estimates: dict[str, Tensor], start_s: float, stop_s: float
) -> dict[str, str]:
    """Make the parts of the page; every name that comes from outside is escaped."""
    rest = remix({"all": song.mixture} | {f"-{name}": -stem for name, stem in estimates.items()})
    place = {"sample_rate": song.sample_rate, "start_s": start_s, "stop_s": stop_s}
    truth = song.reference_clip(start_s, stop_s) if song.references else {}
    known = {name: stem for name, stem in estimates.items() if name in truth}
    compared = compare_stems(known, truth, mixture=song.mixture, **place) if known else None
    whole = {"mixture": song.mixture, **estimates}
    cut = {
        name: clip(sound, start_s, stop_s, sample_rate=song.sample_rate)
        for name, sound in whole.items()
    }
    references = compared.references if compared else None
    player = StemPlayer(cut, song.sample_rate, references=references, start_s=start_s)
    levels = {
        name: _levels(sound, song.sample_rate) for name, sound in {**whole, LEFT_OVER: rest}.items()
    }
    return {
        "title": html.escape(song.title),
        "licence": html.escape(song.licence),
        "facts": f"{song.duration_s:.1f} s, stereo, {song.sample_rate:,} Hz",
        "seconds": f"{round(start_s, 1):g} to {round(stop_s, 1):g} s",
        "key": _pairs(_key_figures(levels, compared), "<div>{}</div>"),
        "player": player.page_html(),
        "segment_picture": _picture(_beside(cut, compared), song.sample_rate, start_s),
        "song_picture": _picture([[pair] for pair in whole.items()], song.sample_rate, 0.0),
        "levels": ScoreTable(levels)._repr_html_(),
        "scores": _scores(song, known, compared) if compared else NO_SCORES,
    }


def _segment(duration_s: float) -> tuple[float, float]:
    """Choose the seconds to look at: the source tutorial's, or five of the middle."""
    start_s, stop_s = SEGMENT_S
    if duration_s >= stop_s:
        return SEGMENT_S
    length_s = min(stop_s - start_s, duration_s)
    start_s = round((duration_s - length_s) / 2, 1)
    return start_s, min(start_s + length_s, duration_s)


def _beside(cut: dict[str, Tensor], compared: Comparison | None) -> Grid:
    """Lay estimates beside their references and errors, where these are known."""
    if compared is None:
        return [[pair] for pair in cut.items()]
    kinds = ("estimate", "reference", "error")
    return [
        [(f"{stem}, {kind}", getattr(compared, f"{kind}s")[stem]) for kind in kinds]
        for stem in compared.estimates
    ]


def _picture(grid: Grid, sample_rate: int, start_s: float) -> str:
    """Draw spectrograms on one scale of levels, as a vector picture in the colours of the page."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure((10, 1.5 * len(grid) + 0.5), layout="constrained", facecolor="none")
    axes = figure.subplots(len(grid), len(grid[0]), sharex=True, sharey=True, squeeze=False)
    look = {"scale": "mel", "columns": 840 // len(grid[0]), "rows": 130, "colorbar": False}
    pairs = [pair for row in grid for pair in row]
    texts = []
    for ax, (title, sound) in zip(axes.flat, pairs, strict=True):
        place = {"start_s": start_s, "title": title, "ax": ax}
        texts.append(plot_spectrogram(sound, sample_rate, **look, **place)[1])
        ax.set_title(title.replace("$", r"\$"), fontsize=10)  # a $ would begin a formula
        ax.label_outer()
    figure.get_layout_engine().set(wspace=0.06)  # the last second of one, the first of the next
    figure.colorbar(axes[0, 0].images[0], ax=axes, label="level (dBFS)", fraction=0.03, pad=0.01)
    text = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(text, format="svg", dpi=130, metadata={"Date": None})
    drawing = text.getvalue().partition("<svg")[2].replace("#000000", "currentColor")
    caption = html.escape(" ".join(texts))
    return f'<figure><svg role="img" aria-label="{caption}"{drawing}</figure>'


def _levels(sound: Tensor, sample_rate: int) -> dict[str, float]:
    """Measure RMS and peak in dBFS, and true peak in dBTP."""
    rms, peak = level_db(torch.stack([sound.square().mean().sqrt(), sound.abs().max()])).tolist()
    return {"RMS": rms, "peak": peak, "true peak": true_peak_db(sound, sample_rate)}


def _scores(song: Song, known: dict[str, Tensor], compared: Comparison) -> str:
    """Write the score tables of the segment and, where its references are whole, of the song."""
    tables = [compared]
    if {stem.shape for stem in song.references.values()} == {song.mixture.shape}:
        place = {"sample_rate": song.sample_rate, "start_s": 0.0, "stop_s": song.duration_s}
        tables.append(compare_stems(known, song.references, mixture=song.mixture, **place))
    return "".join(f"<div>{table._repr_html_()}</div>" for table in tables)


def _key_figures(
    levels: dict[str, dict[str, float]], compared: Comparison | None
) -> dict[str, str]:
    """Choose what an engineer wants to know first."""
    silent = levels["mixture"]["RMS"] <= SILENT_DB
    null = None if silent else levels[LEFT_OVER]["RMS"] - levels["mixture"]["RMS"]
    figures = {
        "null test: what is left of the mixture": f"{written(null)} dB",
        "true peak of the mixture": f"{levels['mixture']['true peak']:.1f} dBTP",
    }
    for name in ("SDR", "improvement") if compared else ():
        scores = [row[name] for row in compared.scores.rows.values() if row[name] is not None]
        mean = sum(scores) / len(scores) if scores else None
        figures[f"mean {name} of the segment"] = f"{written(mean)} dB"
    return figures


def _made(bundle: Bundle | None, settings: dict[str, object]) -> dict[str, object]:
    """List the model, its settings and the versions of what ran it."""
    model = {"model": "not told"}
    if bundle is not None:
        model = {
            "model": f"{bundle.title} ({bundle.name})",
            "trained on": bundle.trained_on,
            "licence of the model": bundle.licence,
        }
    versions = f"hdsep_tutorial {__version__}, torch {torch.__version__}"
    return {**model, **settings, "versions": f"{versions}, torchaudio {torchaudio.__version__}"}


def _pairs(facts: dict[str, object], around: str = "{}") -> str:
    """Write a description list, escaped."""
    pairs = ((html.escape(name), html.escape(str(fact))) for name, fact in facts.items())
    return "".join(around.format(f"<dt>{name}</dt><dd>{fact}</dd>") for name, fact in pairs)


def _write_whole(path: Path, page: str) -> None:
    """Write beside the path first, so that a page is there whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        why = f"{path} cannot be written ({error.strerror})"
        raise type(error)(f"{why}: make room or use another folder") from None
    finally:
        with suppress(OSError):
            part.unlink()
