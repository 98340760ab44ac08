"""The sentences of the checks in the lesson's language.

A check speaks English. `chinese.json` has a Chinese pattern for each English one, so that the
checks need not know of it; tests find a sentence that has none.
"""

import functools
import json
import os
import re
from pathlib import Path

LANGUAGES = ("en", "zh")
# A {part} of a pattern is a sentence of its own, and is translated in turn.
PARTS = ("said", "given", "why", "what", "name", "error")
# What a {hole} may hold: any text, numbers, a few words, a list of names, a word.
HOLES = {
    **dict.fromkeys(("said", "why", "answer", "error", "message"), ".*?"),
    **dict.fromkeys(("shape", "right_shape"), r"[\d, ()]*?"),
    **dict.fromkeys(("given", "what", "name", "shares", "gains", "sizes"), "[^:]*?"),
    "names": "(?:(?! and )[^:])*?",
    "kind": r"\w+?",
}
ANY_OTHER = r"[^\s:]*?"
WESTERN, CHINESE = r"[A-Za-z0-9()'%+\-\[\]]", "[\u4e00-\u9fff]"
TOUCHING = re.compile(f"(?<={CHINESE})(?={WESTERN})|(?<={WESTERN})(?={CHINESE})")


def language() -> str:
    """Return the language of the lesson that is running, "en" or "zh".

    The environment's HDSEP_LANGUAGE says it; without it, the name of the working folder, which
    is that of the notebook: `notebooks/zh` holds the Chinese lessons.

    Raises:
        ValueError: HDSEP_LANGUAGE is neither.
    """
    asked = os.environ.get("HDSEP_LANGUAGE")
    if asked and asked not in LANGUAGES:
        raise ValueError(f"HDSEP_LANGUAGE is {asked!r}, expected one of {', '.join(LANGUAGES)}")
    return asked or ("zh" if Path.cwd().name == "zh" else "en")


def in_language(sentence: str, language: str) -> str:
    """Say what a check says, which is English, in "en" or "zh".

    Names, numbers and what has no translation stay as they are.
    """
    return TOUCHING.sub(" ", _in_chinese(sentence)) if language == "zh" else sentence


def _in_chinese(sentence: str) -> str:
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(sentence)
        if found:
            parts = found.groupdict()
            said = {name: _in_chinese(part) for name, part in parts.items() if name in PARTS}
            return chinese.format(**parts | said)
    return sentence


@functools.cache
def _patterns() -> list[tuple[re.Pattern, str]]:
    """Read the sentences; the one with the most words of its own comes first."""
    path = Path(__file__).with_name("chinese.json")
    found = []
    for english, chinese in json.loads(path.read_text(encoding="utf-8")).items():
        words = re.split(r"\{(\w+)\}", english)
        length = sum(map(len, words[::2]))
        words[::2] = map(re.escape, words[::2])
        words[1::2] = [f"(?P<{hole}>{HOLES.get(hole, ANY_OTHER)})" for hole in words[1::2]]
        found.append((length, re.compile("".join(words)), chinese))
    found.sort(key=lambda entry: -entry[0])
    return [(pattern, chinese) for _, pattern, chinese in found]
