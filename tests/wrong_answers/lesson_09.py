"""Typical wrong answers to the exercises of lesson 09, and what the check says to each."""


def _shapes(frames="-(-samples // 1024)", fifth="1", last="-(-t // 2)", growth="2**i"):
    return (
        "def layer_shapes(samples, channels):\n"
        f"    t = {frames}\n"
        f"    out = [(channels * {growth}, 2048 // 4 ** (i + 1), t) for i in range(4)]\n"
        f"    out.append((16 * channels, {fifth}, t))\n"
        f"    return [*out, (32 * channels, 1, {last})]"
    )


def _count(formula):
    return f"def layer_parameters(inputs, outputs):\n    return {formula}"


WRONG = {
    "layer_shapes": [
        (_shapes(fifth="2"), "takes all 8 frequencies at once"),
        (_shapes().replace("4 ** (i + 1)", "4 ** i"), "divides them by 4"),
        (_shapes(last="t"), "layer 6 halves the frames"),
        (_shapes(last="t // 2"), "layer 6 is (512, 1, 50)"),
        (_shapes(frames="1 + samples // 1024"), "103424 samples and 16 channels, but 101 frames"),
        (_shapes(frames="samples // 1024"), "layer 1 is (48, 512, 473)"),
        (_shapes(growth="1"), "they double from layer to layer"),
        ("def layer_shapes(samples, channels):\n"
         "    return [(channels, 512, samples // 1024)]", "returned 1 shapes"),
        ("def layer_shapes(samples, channels):\n    return 6", "expected six shapes"),
    ],
    "layer_parameters": [
        (_count("8 * inputs * outputs + 2 * outputs**2"), "each output channel also has a bias"),
        (_count("8 * inputs * outputs + outputs + 2 * outputs**2"), "has biases too"),
        (_count("8 * inputs * outputs + outputs"), "the rewriting convolution is missing"),
        (_count("8 * inputs * outputs + 2 * outputs + outputs**2"), "twice as many channels"),
        (_count("4 * inputs * outputs + 3 * outputs + 2 * outputs**2"), "4 is its stride"),
        (_count("64 * inputs * outputs + 3 * outputs + 2 * outputs**2"), "not 8 × 8"),
        (_count("inputs * outputs"), "expected 6"),
    ],
}  # fmt: skip
