"""Turn a knob and see what changes: one picture with controls for one idea of a lesson.

Each function returns a widget. Its settings are attributes that can be read and set
(`view.n_fft = 512` moves the slider). Its last picture and sentence stay in a saved notebook, so
that there is something to see where no kernel answers.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from .cuts import LONGEST_S, ChunkView
from .desk import RemixView
from .sight import ComparisonView, SpectrogramView

if TYPE_CHECKING:
    from ..comparison import Comparison


def spectrogram(
    stems: dict[str, Tensor], sample_rate: int, *, start_s: float = 0.0
) -> SpectrogramView:
    """Explore what window, hop, axis and floor do to the picture of a sound.

    Args:
        stems: name → (2, time), all of one length: a song or a part of it.
        sample_rate: in Hz.
        start_s: where in the song they start, in seconds.

    Returns:
        A view with the settings stem, range_s, n_fft, hop_length, scale and floor_db.

    Raises:
        ValueError: there are no stems, or they are shorter than 0.05 s.

    Lesson: 02_seeing_sound
    """
    return SpectrogramView({"stem": stems}, sample_rate, start_s)


def comparison(comparison: "Comparison") -> ComparisonView:
    """Explore estimate, reference and error of each stem, all on one scale of levels.

    Args:
        comparison: from `compare_stems`.

    Returns:
        A view as of `spectrogram`, with the setting part besides: estimate, reference or error.

    Lesson: 07_against_the_truth
    """
    names = {"estimate": "estimates", "reference": "references", "error": "errors"}
    parts = {part: getattr(comparison, name) for part, name in names.items()}
    return ComparisonView(parts, comparison.sample_rate, comparison.start_s)


def chunks(
    length_s: float = 30.0,
    *,
    model: nn.Module | None = None,
    mixture: Tensor | None = None,
    sample_rate: int = 44_100,
) -> ChunkView:
    """Explore how segment and overlap cut a song, how the cuts are joined and what they cost.

    Args:
        length_s: of the song, in seconds, where there is no mixture.
        model: as for `separate_sources`; with a mixture it adds a button that measures the error.
        mixture: (2, time), at most 60 s: it is separated in one piece too.
        sample_rate: in Hz.

    Returns:
        A view with the settings segment_s and overlap_s.

    Raises:
        ValueError: model without mixture or the reverse, or a mixture that is too long.

    Lesson: 05_chunks
    """
    length = round(length_s * sample_rate) if mixture is None else mixture.shape[-1]
    if (model is None) != (mixture is None) or (model and length > LONGEST_S * sample_rate):
        raise ValueError(
            f"got {'a' if model else 'no'} model and {length / sample_rate:g} s of mixture, "
            f"expected both and at most {LONGEST_S:g} s, or neither: clip the mixture"
        )
    return ChunkView(length, sample_rate, model, mixture)


def remix(stems: dict[str, Tensor], sample_rate: int, *, start_s: float = 0.0) -> RemixView:
    """Mix stems at a small desk, and watch level and true peak of the sum.

    Args:
        stems: name → (2, time), of one length.
        sample_rate: in Hz.
        start_s: where in the song they start, in seconds.

    Returns:
        A view with `gains_db`, which can be set, and the sum, `mixture`.

    Lesson: 10_remix
    """
    return RemixView(stems, sample_rate, start_s)
