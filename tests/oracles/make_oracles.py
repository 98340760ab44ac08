"""Make oracles.json: what mir_eval 0.8.2 and museval 0.4.1 say about arrays from a seed.

The tests of the metrics make the same arrays with `make_stems` and compare. Neither library is
needed to run them. To make the file again, outside the repository:

    python -m venv oracle-venv
    oracle-venv/bin/pip install numpy==2.4.6 scipy==1.17.1 mir_eval==0.8.2 museval==0.4.1
    oracle-venv/bin/python tests/oracles/make_oracles.py

museval is imported only where `ffmpeg` and `ffprobe` are found on PATH; it calls neither here.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

SAMPLE_RATE = 8_000
STEMS = ("drums", "bass", "other", "vocals")
SCORES = ("SDR", "ISR", "SIR", "SAR")
SILENT_FRAME = slice(SAMPLE_RATE, 2 * SAMPLE_RATE)


def make_stems(length: int = 28_000, seed: int = 7) -> tuple[dict, dict]:
    """Make full-band stereo references and estimates, each (2, length) float32, from a seed.

    An estimate is its reference through a 3-tap filter, plus leakage and noise; stems differ in
    how much of each. RandomState, because numpy promises that its stream never changes (NEP 19);
    the sums are elementwise, so that every machine rounds alike.
    """
    generator = np.random.RandomState(seed)
    white = generator.standard_normal((len(STEMS), 2, length)) * 0.1
    references = white.copy()
    references[:, 1] += 0.5 * white[:, 0]  # the two channels of a stem have much in common
    references[:, :, 1:] += 0.6 * references[:, :, :-1]
    references *= np.array([1.0, 0.5, 0.25, 0.7])[:, None, None]
    mixture = references[0] + references[1] + references[2] + references[3]
    noise = generator.standard_normal(references.shape) * 0.003
    estimates = 0.9 * references + noise
    estimates[:, :, 2:] += 0.1 * references[:, :, 1:-1] - 0.05 * references[:, :, :-2]
    for stem, leakage in enumerate((0.02, 0.05, 0.1, 0.2)):
        estimates[stem] += leakage * (mixture - references[stem])
    return tuple(
        dict(zip(STEMS, part.astype(np.float32), strict=True)) for part in (references, estimates)
    )


def fingerprint(references: dict, estimates: dict) -> str:
    """Tell whether two machines made the same arrays."""
    data = b"".join(part[name].tobytes() for part in (references, estimates) for name in STEMS)
    return hashlib.sha256(data).hexdigest()


def rounded(values: np.ndarray) -> list:
    """Keep 1e-9 dB; NaN becomes null."""
    return [None if np.isnan(value) else round(float(value), 9) for value in values]


def museval_figures(references: dict, estimates: dict, window: float) -> dict:
    """Run BSS Eval v4 (filters of the whole clip, frames of `window` samples)."""
    from museval.metrics import bss_eval

    true, guess = (
        np.stack([part[name].T for name in STEMS]).astype(float) for part in (references, estimates)
    )
    figures = bss_eval(true, guess, window=window, hop=window)[:4]
    return {
        name: {key: rounded(rows[i]) for key, rows in zip(SCORES, figures, strict=True)}
        for i, name in enumerate(STEMS)
    }


def mir_eval_figures(references: dict, estimates: dict) -> dict:
    """Run BSS Eval v3 on the channels of each stem, as the official tutorial does."""
    from mir_eval.separation import bss_eval_sources

    figures = {}
    for name in STEMS:
        ratios, *_, order = bss_eval_sources(references[name], estimates[name])
        assert list(order) == [0, 1]
        figures[name] = round(float(np.mean(ratios)), 9)
    return figures


def main() -> None:
    """Write oracles.json beside this script."""
    references, estimates = make_stems()
    gap = {name: stem.copy() for name, stem in references.items()}
    gap["vocals"][:, SILENT_FRAME] = 0
    figures = {
        "sha256": fingerprint(references, estimates),
        "museval_whole": museval_figures(references, estimates, np.inf),
        "museval_frames": museval_figures(references, estimates, SAMPLE_RATE),
        "museval_frames_with_gap": museval_figures(gap, estimates, SAMPLE_RATE),
        "mir_eval_v3": mir_eval_figures(references, estimates),
    }
    text = json.dumps(figures, indent=1)
    Path(__file__).with_name("oracles.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
