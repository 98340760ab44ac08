"""The outer layers of Hybrid Demucs with the channels side by side in memory.

Each function is an identity, held to rounding errors by a test; each layer is built from one of
torchaudio's and takes (batch, rows, columns, channel). The rows of a spectrogram are its frames
and its columns are frequencies; a waveform is one row.
"""

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .convolution import Convolution, convolve

gelu_ = torch.ops.aten.gelu_  # in place; `F.gelu` offers it not


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance over the rows of (batch, rows, columns, channel).

    Both are (batch, 1, columns, channel) float32. A batch norm has the quickest loops for it: to
    it each column of each channel is a channel, and each row an example. A waveform is one column
    of very many rows; 64 of them are laid side by side, and zeros fill the last line.
    """
    rows, side = x.shape[1], 64 if x.shape[2] == 1 else 1
    missing = -rows % side
    x = F.pad(x, (0, 0, 0, 0, 0, missing)) if missing else x
    lines = x.unflatten(1, (-1, side)).flatten(2)
    float32 = lines.new_zeros(lines.shape[2], dtype=torch.float32)  # in which it is to count
    found = [torch.batch_norm_update_stats(one, float32, float32, 0.0) for one in lines]
    mean, variance = (
        torch.stack(part).view(len(x), side, *x.shape[2:]) for part in zip(*found, strict=True)
    )
    real = (rows + missing) / rows
    square = (variance + mean.square()).mean(1, keepdim=True) * real
    mean = mean.mean(1, keepdim=True) * real
    return mean, square - mean.square()


def normalise(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Normalise each column of (batch, rows, columns, channel) over rows and channels.

    The channels of a column agree on one mean and one variance; a batch norm applies them.
    (With a group norm, to which each column is a group, a chunk takes 4 % longer.)
    """
    mean, variance = moments(x)
    centre = mean.mean(-1, keepdim=True)
    spread = (variance + (mean - centre).square()).mean(-1, keepdim=True)
    centre, spread = (part.expand_as(mean).flatten(1) for part in (centre, spread))
    affine = (norm.weight.repeat(x.shape[2]), norm.bias.repeat(x.shape[2]))
    rows = [
        F.batch_norm(example, one_centre, one_spread, *affine, eps=norm.eps)
        for example, one_centre, one_spread in zip(x.flatten(2), centre, spread, strict=True)
    ]
    return torch.stack(rows).view_as(x) if len(rows) > 1 else rows[0].view_as(x)


def energy_weight(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Find a smaller layer whose outputs have the same sum of squares, for any input.

    [W b] = QR, and Q changes no length, so |W h + b| = |R [h 1]|. With it the variance of a wide
    layer's output is known without the output. (Saves 5 % of a chunk's time.)

    Args:
        weight: W, (out, in) with out > in.
        bias: b, (out,).

    Returns:
        weight (in + 1, in) and bias (in + 1,), float64.

    Example:
        >>> weight, bias = energy_weight(torch.tensor([[3.0], [4.0]]), torch.zeros(2))
        >>> round(abs(weight[0, 0].item()), 6)
        5.0

    Lesson: 12_making_it_fast
    """
    r = torch.linalg.qr(torch.cat([weight, bias[:, None]], 1).double()).R
    return r[:, :-1], r[:, -1]


class Gated(nn.Module):
    """A layer and the gated linear unit behind it, as two layers of half the size.

    `F.glu` of the last axis goes number by number. Halves that lie apart are gated by whole
    vectors, in place. (Saves 3 % of a chunk's time.) A matrix is applied as a convolution of one
    sample, which adds the bias on its way; `F.linear` copies it to all outputs first. (3 % in
    bfloat16, 9 % in float32.)
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, **steps):
        super().__init__()
        weight = weight if weight.ndim == 4 else weight[:, :, None, None]
        (value, gate), (value_bias, gate_bias) = weight.chunk(2), bias.chunk(2)
        self.value = Convolution(value, value_bias, dtype, **steps)
        self.gate = Convolution(gate, gate_bias, dtype, sigmoid=True, **steps)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the matrix or the convolution to (batch, rows, columns, channel), and gate it."""
        return convolve(x, self.value).mul_(convolve(x, self.gate))


class Residual(nn.Module):
    """One dilated layer of a residual branch, which reaches along the frames or the samples."""

    def __init__(self, layer: nn.Sequential, along_rows: bool, dtype: torch.dtype):
        super().__init__()
        narrow, norm, _, widen, norm2, _, scale = layer
        self.along_rows, self.norm, self.eps = along_rows, copy.deepcopy(norm), norm2.eps
        reach = narrow.dilation[0]
        kernel = narrow.weight[..., None] if along_rows else narrow.weight[:, :, None]
        padding, dilation = ((reach, 0), (reach, 1)) if along_rows else ((0, reach), (1, reach))
        self.narrow = Convolution(kernel, narrow.bias, dtype, padding=padding, dilation=dilation)
        weight, bias = widen.weight.detach()[..., 0], widen.bias.detach()
        self.register_buffer("mean_weight", weight.float().mean(0))
        self.register_buffer("mean_bias", bias.float().mean())
        energy, energy_bias = energy_weight(weight, bias)
        self.energy = Convolution(energy[:, :, None, None], energy_bias, dtype)
        # norm2(W h + b) = [γW, γb, −γ] · [r h, r, r μ] + β with mean μ and r = 1 / deviation;
        # the layer scale goes into the rows that make values.
        gamma = norm2.weight[:, None]
        scales = torch.cat([scale.scale, torch.ones_like(scale.scale)])
        whole = torch.cat([gamma * weight, gamma * bias[:, None], -gamma], 1)
        self.widen = Gated(scales[:, None] * whole, scales * norm2.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to (batch, rows, columns, channel)."""
        h = convolve(x, self.narrow)
        h = h if self.along_rows else h.transpose(1, 2)  # one column of samples
        h = gelu_(normalise(h, self.norm))
        mean, variance = self.output_moments(h)
        r = (variance + self.eps).rsqrt()
        scales = torch.cat([r.expand(-1, -1, -1, h.shape[3]), r, r * mean], -1).to(h.dtype)
        h = F.pad(h, (0, 2), value=1.0)
        h = h.flatten(2).mul_(scales.flatten(2)).view_as(h)  # a row at a time, not a column
        return self.widen(h).view(x.shape).add_(x)

    def output_moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance that each column of W h + b has, (batch, 1, columns, 1)."""
        outputs = 2 * self.widen.value.outputs
        mean = moments(h)[0] @ self.mean_weight + self.mean_bias
        energy, variance = moments(convolve(h, self.energy))
        square = (energy.square() + variance).sum(3) / outputs
        return mean[..., None], (square - mean.square())[..., None].clamp_min(0)


class Encoder(nn.Module):
    """An outer encoder, along frequency or along time: one column remains of each `stride`."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.stride = layer.stride
        weight = layer.conv.weight.flatten(2)[:, :, None]
        steps = {"stride": (1, layer.stride), "padding": (0, layer.pad)}
        self.conv = Convolution(weight, layer.conv.bias, dtype, **steps)
        residuals = (Residual(part, bool(layer.freq), dtype) for part in layer.dconv.layers)
        self.residuals = nn.Sequential(*residuals)
        self.rewrite = Gated(layer.rewrite.weight.flatten(1), layer.rewrite.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, rows, columns, in) to (batch, rows, ⌈columns / stride⌉, out)."""
        missing = -x.shape[2] % self.stride
        x = F.pad(x, (0, 0, 0, missing)) if missing else x
        return self.rewrite(self.residuals(gelu_(convolve(x, self.conv))))


class Decoder(nn.Module):
    """An outer decoder, along frequency or along time: `stride` columns come out of each."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.last, self.steps = layer.last, {"stride": (1, layer.stride), "padding": (0, layer.pad)}
        kernel, around = layer.rewrite.weight, layer.rewrite.padding
        if layer.freq:  # (out, in, frequency, time), and as far to all sides
            kernel = kernel.transpose(2, 3)
        else:  # (out, in, time)
            kernel, around = kernel[:, :, None], (0, *around)
        self.rewrite = Gated(kernel, layer.rewrite.bias, dtype, padding=around)
        weight = layer.conv_tr.weight.detach().flatten(2)[:, :, None].to(dtype, copy=True)
        weight = weight.contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", layer.conv_tr.bias.detach().to(dtype, copy=True))

    def forward(self, x: Tensor, skip: Tensor, columns: int) -> Tensor:
        """Map (batch, rows, n, in) and its skip connection to (batch, rows, columns, out).

        The skip connection, which nobody needs any more, becomes the sum of both.
        """
        spread = partial(F.conv_transpose2d, weight=self.weight, bias=self.bias, **self.steps)
        x = convolve(self.rewrite(skip.add_(x)), spread)
        x = x if self.last else gelu_(x)
        return x[:, :, :columns]
