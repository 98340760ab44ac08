"""Score stems into a table, and notice the one that does not lie on its reference."""

import html
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from .metrics import sdr, si_sdr
from .spectrogram import one_thread

ALIKE = 0.3  # least correlation at which a lag means something: SI-SDR -10 dB
GAIN = 10**0.005  # a lag counts where undoing it raises SI-SDR by 0.05 dB, half a printed digit


@dataclass(frozen=True, repr=False)
class ScoreTable:
    """Scores per stem, which print as aligned text and show as HTML.

    Attributes:
        rows: stem → column → score in dB: None where there is none, `math.inf` for a perfect one.
            Where a stem does not lie on its reference, a column "lag" counts samples.
        notes: what to know before believing the scores, one sentence each.
    """

    rows: dict[str, dict[str, float | None]]
    notes: tuple[str, ...] = ()

    def _cells(self) -> list[list[str]]:
        """Write every cell, the header first."""
        columns = next(iter(self.rows.values()), {})
        header = [f"{name} ({'samples' if name == 'lag' else 'dB'})" for name in columns]
        body = [[stem, *map(written, row.values())] for stem, row in self.rows.items()]
        return [["stem", *header], *body]

    def __repr__(self) -> str:
        """Align the columns."""
        cells = self._cells()
        first, *others = (max(map(len, column)) for column in zip(*cells, strict=True))
        lines = [
            "  ".join([stem.ljust(first), *map(str.rjust, scores, others)])
            for stem, *scores in cells
        ]
        return "\n".join([*lines, *self.notes])

    def _repr_html_(self) -> str:
        """Write a table whose headers a screen reader announces."""
        header, *body = ([html.escape(cell) for cell in row] for row in self._cells())
        rows = ["".join(f'<th scope="col">{name}</th>' for name in header)]
        for stem, *scores in body:
            rows.append(f'<th scope="row">{stem}</th><td>{"</td><td>".join(scores)}</td>')
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>{notes}"


def score_stems(
    estimates: dict[str, Tensor], references: dict[str, Tensor], mixture: Tensor | None = None
) -> ScoreTable:
    """Score clips of one length: SDR, the mixture's SDR, the improvement, SI-SDR, the lag if any.

    Args:
        estimates: stem → (2, time).
        references: the true stems by the same names, in the same shape.
        mixture: (2, time); adds its SDR as the estimate of each stem, and the improvement on it.

    Returns:
        One row per stem, in the order of `estimates`; lags are shown when one of them is not 0.

    Raises:
        ValueError: the shapes of a pair differ, or a sample is NaN.

    Lesson: 07_against_the_truth
    """
    rows, lags = {}, {}
    for stem, estimate in estimates.items():
        row = {"SDR": sdr(references[stem], estimate)}
        if mixture is not None:
            row["mixture SDR"] = sdr(references[stem], mixture)
            row["improvement"] = _difference(*row.values())
        rows[stem] = row | {"SI-SDR": si_sdr(references[stem], estimate)}
        lags[stem] = find_lag(references[stem], estimate)
    if any(lags.values()):
        rows = {stem: row | {"lag": lags[stem]} for stem, row in rows.items()}
    advice = "line it up before you believe its scores"
    notes = [
        f"{stem} comes {abs(lag)} samples {'late' if lag > 0 else 'early'}: {advice}"
        for stem, lag in lags.items()
        if lag
    ]
    return ScoreTable(rows, tuple(notes))


def find_lag(reference: Tensor, estimate: Tensor, *, max_lag: int = 44_100) -> int:
    """Find by how many samples an estimate comes after its reference.

    The lag is where |Σ s(t) ŝ(t + lag)|, over both channels, is greatest: a sign turned round
    does not matter. The sum runs by FFT, block by block.

    Args:
        reference: true stem s, (2, time).
        estimate: separated stem ŝ, same shape.
        max_lag: furthest lag that is looked for, in samples.

    Returns:
        The lag in samples, above 0 where the estimate is late; 0 also where the two have little
        in common (silence, correlation below 0.3) or a shift would gain less than 0.05 dB SI-SDR.

    Raises:
        ValueError: the shapes differ.

    >>> click = torch.eye(2, 100)
    >>> find_lag(click, -click.roll(7, dims=1))
    7

    Lesson: 07_against_the_truth
    """
    if reference.shape != estimate.shape:
        shapes = f"{tuple(reference.shape)} and {tuple(estimate.shape)}"
        raise ValueError(f"reference and estimate have shapes {shapes}: clip both alike")
    size = 1 << (4 * max_lag + 1).bit_length()
    padded, block = pad(estimate, (max_lag, max_lag)), size - 2 * max_lag
    correlation = torch.zeros(2 * max_lag + 1, dtype=torch.float64)
    energies = torch.zeros(2, dtype=torch.float64)
    with one_thread():
        for start in range(0, reference.shape[-1], block):
            true = reference[:, start : start + block].double()
            guess = padded[:, start : start + size].double()
            product = torch.fft.rfft(true, size).conj() * torch.fft.rfft(guess, size)
            correlation += torch.fft.irfft(product.sum(dim=0), size)[: 2 * max_lag + 1]
            same = guess[:, max_lag : max_lag + true.shape[-1]]
            energies += torch.stack([true.square().sum(), same.square().sum()])
    common = correlation.square() / energies.prod().clamp_min(1e-300)
    peak = common.argmax().item()
    best, now = common[peak].item(), common[max_lag].item()
    counts = best > ALIKE**2 and best * (1 - now) > GAIN * now * (1 - best)
    return peak - max_lag if counts else 0


def _difference(score: float | None, other: float | None) -> float | None:
    """Subtract two scores, where the difference exists."""
    exists = None not in (score, other) and not score == other == math.inf
    return score - other if exists else None


def written(score: float | None) -> str:
    """Write a score, or a lag, so that another machine writes the same."""
    if score is None or isinstance(score, int):
        return "n/a" if score is None else str(score)
    if abs(score) > 100:
        return ">100" if score > 0 else "<-100"
    return f"{round(score, 1) + 0.0:.1f}"  # + 0.0 turns -0.0 into 0.0
