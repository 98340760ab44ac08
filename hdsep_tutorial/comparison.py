"""Set an estimate beside its reference: the same seconds, error, picture, score and sound."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from .audio import clip
from .listening import Players, listen
from .scores import ScoreTable, score_stems, written
from .spectrogram import plot_spectrogram

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Comparison:
    """The same seconds of estimates and references, their errors and their scores.

    Clips are (2, time); `errors` are reference - estimate; times are seconds of the song.
    """

    estimates: dict[str, Tensor]
    references: dict[str, Tensor]
    errors: dict[str, Tensor]
    mixture: Tensor | None
    sample_rate: int
    start_s: float
    stop_s: float
    scores: ScoreTable

    def __repr__(self) -> str:
        """Say which seconds, then print the scores."""
        return f"{round(self.start_s, 1):g} to {round(self.stop_s, 1):g} s\n{self.scores}"

    def _repr_html_(self) -> str:
        seconds = repr(self).partition("\n")[0]
        return f"<p>{seconds}</p>{self.scores._repr_html_()}"


@dataclass(frozen=True, repr=False)
class Results:
    """What `output_results` returns: figure, sentence, SDR in dB, players of both sounds."""

    figure: "Figure"
    text: str
    score_db: float | None
    sound: Players

    def __repr__(self) -> str:
        """Print the sentence; a notebook shows the figure by itself."""
        return self.text

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.text)}</p>{self.sound._repr_html_()}"


def compare_stems(
    estimates: dict[str, Tensor],
    references: dict[str, Tensor],
    *,
    sample_rate: int = 44_100,
    start_s: float = 150.0,
    stop_s: float = 155.0,
    mixture: Tensor | None = None,
) -> Comparison:
    """Cut the same seconds out of estimates and references, and score every stem.

    Args:
        estimates: stem → (2, time): the whole song, or just the clip.
        references: the same for the true stems; may hold more of them.
        sample_rate: in Hz.
        start_s: where in the song the clip starts, in seconds.
        stop_s: where it ends.
        mixture: (2, time); adds the SDR of the mixture taken as estimate, and the improvement.

    Returns:
        The clips, their errors and their scores.

    Raises:
        ValueError: a stem without reference, or a song that does not reach the clip.

    >>> import torch
    >>> truth = {"bass": torch.ones(2, 8)}
    >>> compare_stems({"bass": truth["bass"] / 2}, truth, sample_rate=8, start_s=0, stop_s=1)
    0 to 1 s
    stem  SDR (dB)  SI-SDR (dB)
    bass       6.0         >100

    Lesson: 07_against_the_truth
    """
    missing = [stem for stem in estimates if stem not in references]
    if missing or not estimates:
        raise ValueError(
            f"no reference for {', '.join(missing) or 'anything'}, there are "
            f"{', '.join(references) or 'none'}: name the stems alike"
        )
    place = {"sample_rate": sample_rate, "start_s": start_s, "stop_s": stop_s}
    guess = {stem: _clip_of(sound, "estimate", **place) for stem, sound in estimates.items()}
    true = {stem: _clip_of(references[stem], "reference", **place) for stem in estimates}
    mixture = None if mixture is None else _clip_of(mixture, "mixture", **place)
    scores = score_stems(guess, true, mixture)
    errors = {stem: true[stem] - guess[stem] for stem in guess}
    return Comparison(guess, true, errors, mixture, **place, scores=scores)


def plot_comparison(
    comparison: Comparison, stem: str, *, scale: str = "mel"
) -> tuple["Figure", str]:
    """Draw estimate, reference and error of one stem, all on one scale of levels.

    Args:
        comparison: from `compare_stems`.
        stem: which stem.
        scale: frequency axis: "linear", "log" or "mel".

    Returns:
        The figure, and one sentence that says what is to be seen.

    Raises:
        ValueError: there is no such stem or scale.

    Lesson: 07_against_the_truth
    """
    from matplotlib import pyplot

    if stem not in comparison.estimates:
        raise ValueError(f"no stem {stem!r}, expected one of {', '.join(comparison.estimates)}")
    figure, axes = pyplot.subplots(3, sharex=True, figsize=(10, 7), dpi=80, layout="constrained")
    stems = (comparison.estimates, comparison.references, comparison.errors)
    titles = ("estimate", "reference", "error = reference - estimate")
    place = {"start_s": comparison.start_s, "scale": scale, "columns": 280, "colorbar": False}
    for ax, clips, part in zip(axes, stems, titles, strict=True):
        title = f"{stem}, {part}"
        text = plot_spectrogram(clips[stem], comparison.sample_rate, title=title, ax=ax, **place)[1]
        ax.label_outer()
    figure.colorbar(axes[0].images[0], ax=axes, label="level (dBFS)", fraction=0.03, pad=0.01)
    return figure, f"SDR {written(comparison.scores.rows[stem]['SDR'])} dB; {text}"


def output_results(
    reference: Tensor, estimate: Tensor, name: str, *, sample_rate: int = 44_100, start_s: float = 0
) -> Results:
    """Show one stem against the truth: picture, score, and both sounds at one gain.

    Args:
        reference: true stem, (2, time).
        estimate: separated stem, same shape.
        name: what to call it.
        sample_rate: in Hz.
        start_s: where in the song the clips start, in seconds.

    Returns:
        Figure, sentence, score and players; as the last line of a cell it shows all four.

    Raises:
        ValueError: the shapes differ, or a sample is NaN.

    Lesson: 07_against_the_truth
    """
    truth, guess = {name: reference}, {name: estimate}
    scores = score_stems(guess, truth)
    place = (sample_rate, start_s, start_s + reference.shape[-1] / sample_rate)
    errors = {name: reference - estimate}
    comparison = Comparison(guess, truth, errors, None, *place, scores)
    figure, text = plot_comparison(comparison, name)
    sound = listen({"reference": reference, "estimate": estimate}, sample_rate, start_s=start_s)
    return Results(figure, text, scores.rows[name]["SDR"], sound)


def _clip_of(
    waveform: Tensor, what: str, *, sample_rate: int, start_s: float, stop_s: float
) -> Tensor:
    """Cut the clip out of a whole song; a waveform of exactly its length is the clip already."""
    start, stop = round(start_s * sample_rate), round(stop_s * sample_rate)
    length_s = waveform.shape[-1] / sample_rate
    if waveform.shape[-1] == stop - start:
        return waveform
    if not 0 <= start < stop <= waveform.shape[-1]:
        raise ValueError(
            f"{what} is {length_s:.1f} s long and has no part {start_s:g} to {stop_s:g} s: "
            f"pass start_s and stop_s between 0 and {length_s:.1f}"
        )
    return clip(waveform, start_s, stop_s, sample_rate=sample_rate)
