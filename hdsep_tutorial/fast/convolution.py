"""A convolution whose weights lie in memory as oneDNN's loops want them, before the first chunk.

`F.conv2d` lays the weights out anew in each call, and a function of its output is one more trip
through memory. oneDNN, which does the work on x86, takes weights that are laid out already, and
applies a sigmoid before the output leaves the processor's registers. (With the other steps in
place, this saves 5 % of a chunk's time in bfloat16 and 4 % in float32; 14 % with one thread, for
which torch by itself keeps small matrices from oneDNN.)
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution(nn.Module):
    """A convolution with fixed weights, in one precision, and at most a sigmoid behind it.

    Args:
        weight: (out, in, rows, columns), or (out, in, columns) for signals of one axis.
        bias: (out,).
        dtype: precision of weights, input and output.
        sigmoid: apply it to the output.
        steps: `stride`, `padding` and `dilation` as for `F.conv2d`, for each axis.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        dtype: torch.dtype,
        *,
        sigmoid: bool = False,
        **steps: tuple[int, ...],
    ):
        super().__init__()
        self.sigmoid, self.axes, self.outputs = sigmoid, weight.ndim - 2, len(weight)
        weight = weight.detach().to(dtype, copy=True)
        weight = weight if self.axes == 2 else weight[:, :, None]
        self.steps = {  # an axis that is not there is one sample long
            name: [*[default] * (2 - self.axes), *steps.get(name, [default] * self.axes)]
            for name, default in (("padding", 0), ("stride", 1), ("dilation", 1))
        }
        self.register_buffer("bias", bias.detach().to(dtype, copy=True))
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))

    @property
    def packed(self) -> bool:
        """Whether the weights lie as oneDNN wants them, which they do from the first run on."""
        return self.weight.is_mkldnn

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in, rows, columns) to (batch, out, …), or (batch, in, columns) likewise."""
        x = x if self.axes == 2 else x[:, :, None]
        if not self.packed and can_be_packed(self.weight):
            self._pack(x.shape)
        if self.packed:
            then = "sigmoid" if self.sigmoid else "none"
            x = torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, *self.steps.values(), 1, then, [], "none"
            )
        else:
            x = F.conv2d(x, self.weight, self.bias, **self.steps)
            x = x.sigmoid_() if self.sigmoid else x
        return x if self.axes == 2 else x[:, :, 0]

    def _pack(self, shape: torch.Size) -> None:
        """Lay the weights out for inputs of about this shape; others are right too, but slower."""
        opaque, lay_out = self.weight.contiguous().to_mkldnn(), torch._C._nn
        del self.weight  # what oneDNN lays out is opaque to torch, and no buffer
        arguments = (opaque, *self.steps.values(), 1, list(shape))
        self.weight = lay_out.mkldnn_reorder_conv2d_weight(*arguments)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Tell the weights as numbers, whatever their layout: they say which network this is."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.packed:
            destination[f"{prefix}weight"] = self.weight.to_dense(self.bias.dtype)


def can_be_packed(weight: Tensor) -> bool:
    """Say whether oneDNN lays out weights like these here: on x86, where it was tried."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


def convolve(x: Tensor, operation: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a convolution to (batch, rows, columns, channel), without a copy.

    Two views tell torch that it holds torch's own layout, channels last in memory.
    """
    return operation(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
