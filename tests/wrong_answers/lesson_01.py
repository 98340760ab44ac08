"""Typical wrong answers to the exercises of lesson 01, and what the check says to each."""

WRONG = {
    "residual": [
        ("def residual(mixture, stems):\n    return sum(stems.values()) - mixture", "wrong sign"),
        ("def residual(mixture, stems):\n    return mixture - stems['vocals']",
         "still holds drums, bass, other,"),
        ("def residual(mixture, stems):\n    names = ('drums', 'bass', 'other')\n"
         "    return mixture - sum(stems[name] for name in names)", "still holds vocals,"),
        ("def residual(mixture, stems):\n    return mixture - sum(stems.values()) / len(stems)",
         "still holds drums, bass, other, vocals,"),
        ("def residual(mixture, stems):\n    return mixture.abs() - sum(stems.values()).abs()",
         "off by up to"),
        ("def residual(mixture, stems):\n    return (mixture - sum(stems.values())).mean(dim=0)",
         "expected (2, 500)"),
        ("def residual(mixture, stems):\n    for s in stems.values():\n        mixture -= s\n"
         "    return mixture", "changed its input"),
        ("def residual(mixture, stems):\n    ...", "returned nothing"),
    ],
    "left_out": [
        ("def left_out(mixture, stems):\n    return 'drums'", "whatever the mixture is"),
        ("def left_out(mixture, stems):\n"
         "    return min(stems, key=lambda n: (mixture - stems[n]).abs().sum())",
         "quietest for a loud stem"),
        ("def left_out(mixture, stems):\n    return min(stems, key=lambda n: stems[n].norm())",
         "a quiet stem may well be in"),
        ("def left_out(mixture, stems):\n    rest = mixture - sum(stems.values())\n"
         "    return min(stems, key=lambda n: (rest - stems[n]).norm())", "mind the sign"),
        ("def left_out(mixture, stems):\n    return list(stems).index('bass')", "returned 1"),
        ("def left_out(mixture, stems):\n    return max(stems, key=lambda n: stems[n].norm())",
         "a loud stem may well be left out"),
        ("def left_out(mixture, stems):\n    rest = mixture - sum(stems.values())\n"
         "    right = min(stems, key=lambda n: (rest + stems[n]).norm())\n"
         "    return {'bass': 'drums'}.get(right, right)", "makes the residual vanish?"),
    ],
}  # fmt: skip
