"""Typical wrong answers to the exercises of lesson 00, and what the check says to each."""

WRONG = {
    "device": [
        ("device = ...", "still empty"),
        ("device = 'gpu'", "device is 'gpu', expected cpu, cuda"),
        ("device = torch.cuda.is_available()", "answers yes or no"),
        ("device = 'cuda:99'", "is not on this machine"),
        ("device = 1", "expected a name in quotes"),
    ],
    "rate_of": [
        ("def rate_of(waveform, seconds):\n    return 44_100", "not every sound has 44100"),
        ("def rate_of(waveform, seconds):\n    return waveform.numel() / seconds",
         "counts both channels"),
        ("def rate_of(waveform, seconds):\n    return len(waveform) / seconds",
         "the first axis of (2, time)"),
        ("def rate_of(waveform, seconds):\n    return seconds / waveform.shape[-1]",
         "turn the fraction over"),
        ("def rate_of(waveform, seconds):\n    return waveform.shape[-1]", "of one second"),
        ("def rate_of(waveform, seconds):\n    return waveform / seconds", "expected a number"),
        ("def rate_of(waveform, seconds):\n    waveform.shape[-1] / seconds", "returned nothing"),
    ],
}  # fmt: skip
