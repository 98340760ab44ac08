"""Typical wrong answers to the exercises of lesson 02, and what the check says to each."""

_PREDICT = "def predict(length, sample_rate, frequency_hz, n_fft, hop_length):\n    return "
_BIN = "round(frequency_hz * n_fft / sample_rate)"
_LEVELS = "def levels(piece):\n    window = torch.hann_window(len(piece))\n    return "

WRONG = {
    "predict": [
        (f"{_PREDICT}length // hop_length, {_BIN}", "the column of the first sample counts"),
        (f"{_PREDICT}1 + (length - n_fft) // hop_length, {_BIN}", "windows are centred"),
        (f"{_PREDICT}1 + length // n_fft, {_BIN}", "the step between columns is the hop"),
        (f"{_PREDICT}1 + length // hop_length, int(frequency_hz * n_fft / sample_rate)",
         "round, do not cut"),
        (f"{_PREDICT}1 + length // hop_length, round(frequency_hz * 2 * n_fft / sample_rate)",
         "not to half of it"),
        (f"{_PREDICT}1 + length // hop_length, 1 + {_BIN}", "has the number 0"),
        (f"{_PREDICT}1 + length // hop_length, frequency_hz", "how far apart are two bins"),
        (f"{_PREDICT}{_BIN}, 1 + length // hop_length", "count the steps by hand"),
        (f"{_PREDICT}1 + length // hop_length", "expected the pair"),
    ],
    "levels": [
        (f"{_LEVELS}hd.level_db(torch.fft.rfft(piece * window))", "divide by the sum of the"),
        (f"{_LEVELS}hd.level_db(torch.fft.rfft(piece * window) / window.sum())",
         "a factor 2 is missing"),
        (f"{_LEVELS}hd.level_db(torch.fft.rfft(piece * window) / len(piece))",
         "instead of its length"),
        (f"{_LEVELS}hd.level_db(torch.fft.rfft(piece) * 2 / len(piece))", "fades in and out"),
        (f"{_LEVELS}hd.level_db(torch.fft.rfft(piece * window) * 2 / window.sum()) / 2",
         "magnitudes take 20 log10"),
        (f"{_LEVELS}(lambda x: x - x.max())(hd.level_db(torch.fft.rfft(piece * window)))",
         "the loudest bin is not always 0 dB"),
        (f"{_LEVELS}hd.level_db(torch.fft.rfft(piece * window) / 1024)", "whatever its length"),
        (f"{_LEVELS}torch.fft.rfft(piece * window) * 2 / window.sum()", "complex numbers"),
        (f"{_LEVELS}hd.stft(piece).abs()", "expected (769,)"),
    ],
}  # fmt: skip
