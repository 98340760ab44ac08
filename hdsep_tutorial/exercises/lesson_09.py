"""Lesson 09: the shapes inside Hybrid Demucs, and the parameters of a layer."""

import math

import torch
from torch import nn

from .checking import NotYet, ask, describe, exercise, expect_number

HOP = 1024
FREQUENCIES = (512, 128, 32, 8, 1, 1)


@exercise
def check_09(*, layer_shapes=None, layer_parameters=None) -> str:
    """Check an exercise of lesson 09.

    Args:
        layer_shapes: takes the samples of a mixture and the channels of the first layer; returns
            (channels, frequencies, frames) after each of the six encoder layers of the
            spectrogram branch.
        layer_parameters: takes the channels that enter an encoder layer and those that leave it;
            returns the number of weights and biases of its two outer convolutions.

    Lesson: 09_inside_the_network
    """
    given = layer_shapes is not None
    return _check_shapes(layer_shapes) if given else _check_parameters(layer_parameters)


def _check_shapes(function) -> str:
    seconds = 2 + int(torch.randint(1, 9, (1,), generator=torch.Generator().manual_seed(9)))
    for samples, channels in ((11 * 44_100, 48), (101 * HOP, 16), (seconds * 44_100 + 1, 32)):
        given = f"{samples} samples and {channels} channels"
        answer = ask(function, samples, channels, name="layer_shapes")
        try:
            shapes = [tuple(int(size) for size in shape) for shape in answer]
        except (TypeError, ValueError, OverflowError):
            raise NotYet(f"layer_shapes returned {describe(answer)} for {given}, expected six "
                         "shapes (channels, frequencies, frames)") from None  # fmt: skip
        if len(shapes) != 6 or any(len(shape) != 3 for shape in shapes):
            raise NotYet(f"layer_shapes returned {len(shapes)} shapes of sizes "
                         f"{sorted({len(shape) for shape in shapes})} for {given}, expected six of "
                         "size 3")  # fmt: skip
        for layer, shape in enumerate(shapes, start=1):
            _compare_shape(layer, shape, samples, channels, given)
    return "layer_shapes knows the six layers for three lengths and widths"


def _compare_shape(layer: int, shape: tuple, samples: int, channels: int, given: str) -> None:
    frames = math.ceil(samples / HOP)
    wanted = (channels * 2 ** (layer - 1), FREQUENCIES[layer - 1],
              frames if layer < 6 else math.ceil(frames / 2))  # fmt: skip
    said = f"layer {layer} is {shape} for {given}"
    if shape[0] != wanted[0]:
        raise NotYet(f"{said}, but it has {wanted[0]} channels: they double from layer to layer, "
                     "and the first has as many as were asked for")  # fmt: skip
    if shape[1] != wanted[1] and layer < 5:
        raise NotYet(f"{said}, but {wanted[1]} frequencies are left: each of the first four layers "
                     "divides them by 4, and 2048 enter")  # fmt: skip
    if shape[1] != wanted[1]:
        raise NotYet(f"{said}: layer 5 takes all 8 frequencies at once, and one is left")
    if shape[2] != wanted[2] and layer == 6:
        raise NotYet(f"{said}: with one frequency left, layer 6 halves the frames, rounded up")
    if shape[2] != wanted[2]:
        raise NotYet(f"{said}, but {wanted[2]} frames enter the first layer and stay: one for "
                     "each 1024 samples, the last one begun counts")  # fmt: skip


def _check_parameters(function) -> str:
    drawn = 4 * int(torch.randint(5, 50, (1,), generator=torch.Generator().manual_seed(19)))
    for inputs, outputs in ((4, 48), (48, 96), (drawn, drawn + 24)):
        given = f"{inputs} channels in, {outputs} out"
        answer = ask(function, inputs, outputs, name="layer_parameters")
        count = expect_number(answer, name="layer_parameters", given=given)
        conv = nn.Conv2d(inputs, outputs, (8, 1), (4, 1), device="meta")
        rewrite = nn.Conv2d(outputs, 2 * outputs, 1, device="meta")
        parts = [p.numel() for p in (*conv.parameters(), *rewrite.parameters())]
        weights, biases = parts[0] + parts[2], parts[1] + parts[3]
        if count == weights + biases:
            continue
        said = f"layer_parameters returned {count:.0f} for {given}"
        why = {
            weights: "the weights are right, but each output channel also has a bias",
            weights + outputs: "the rewriting convolution has biases too",
            parts[0] + parts[1]: "the rewriting convolution is missing",
            parts[0] + outputs * outputs + 2 * outputs: "the rewriting convolution makes twice as "
            "many channels, of which the gate consumes half",
            weights + biases - parts[0] // 2: "the kernel is 8 long; 4 is its stride",
            8 * parts[0] + weights - parts[0] + biases: "the kernel is 8 × 1, not 8 × 8",
        }.get(count, f"expected {weights + biases}")
        raise NotYet(f"{said}: {why}")
    return "layer_parameters counts three layers to the last bias"
