"""The players: what is decoded is what was given, times one gain."""

import base64
import html.parser
import io
import math
import re

import pytest
import soundfile
import torch

from hdsep_tutorial import listen

RATE = 44_100
STEP = 1 / 32_768  # of 16 bit; rounding is off by half of it


def decoded(url: str) -> torch.Tensor:
    data = base64.b64decode(url.partition("base64,")[2], validate=True)
    return torch.from_numpy(soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].T)


def noise(length: int = RATE) -> torch.Tensor:
    return torch.randn(2, length, generator=torch.Generator().manual_seed(0)).clamp(-4, 4)


class Tags(html.parser.HTMLParser):
    """Collects (tag, attributes) and text, and checks that tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.words, self.depth = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.depth += 1

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("loudness", [0.1, 1.0])
def test_two_stems_keep_their_levels_to_16_bit(loudness):
    sounds = {"loud": loudness * noise(), "quiet": 0.01 * loudness * noise().flip(1)}
    players = listen(sounds, RATE)
    assert players.gain == (1.0 if loudness == 0.1 else pytest.approx(0.99 / 4, rel=1e-6))
    for label, sound in sounds.items():
        heard = decoded(players.sources[label])
        assert heard.shape == sound.shape
        assert (heard - players.gain * sound).abs().max() <= 0.501 * STEP  # 0.1 % for float32
        assert heard.abs().max() < 1.0


@pytest.mark.parametrize("peak", [0.5, 0.99, 0.9901, 1.0, 37.0])
def test_gain_never_turns_up_and_never_clips(peak):
    sound = torch.tensor([[peak, -peak, 0.0]]).repeat(2, 100)
    players = listen(sound, RATE)
    assert players.gain <= 1
    heard = decoded(players.sources["sound"])
    assert heard.abs().max().item() == pytest.approx(min(peak, 0.99), abs=STEP)
    assert heard[0, 0] == -heard[0, 1]


def test_silence_stays_silence():
    players = listen({"silence": torch.zeros(2, 100)}, RATE)
    assert players.gain == 1
    assert not decoded(players.sources["silence"]).any()


def test_the_text_names_the_gain_and_the_seconds():
    assert repr(listen(0.5 * torch.ones(2, RATE), RATE, start_s=150)) == (
        "sound: 150 to 151 s, at their true level"
    )
    assert repr(listen({"a": torch.ones(2, 9), "b": 1.98 * torch.ones(2, RATE)}, RATE)) == (
        "a, b: 0 to 1 s, turned down together by 6.0 dB"
    )


def test_html_is_a_row_per_sound_that_a_screen_reader_can_name():
    players = listen({"drums": noise(100), "bass": noise(100)}, RATE, start_s=2)
    page = Tags(players._repr_html_())
    audio = [attributes for tag, attributes in page.tags if tag == "audio"]
    assert [row["aria-label"] for row in audio] == ["drums, 2 to 2 s", "bass, 2 to 2 s"]
    assert all("controls" in row for row in audio)
    assert [row["src"] for row in audio] == [*players.sources.values()]
    assert [attributes for tag, attributes in page.tags if tag == "th"] == [{"scope": "row"}] * 2
    assert repr(players) in page.words
    assert page.depth == 0


def test_labels_are_escaped():
    label = "\"><script>alert('&')</script>"
    page = Tags(listen({label: noise(100)}, RATE)._repr_html_())
    assert "script" not in [tag for tag, _ in page.tags]
    assert label in page.words
    assert [a["aria-label"] for tag, a in page.tags if tag == "audio"] == [f"{label}, 0 to 0 s"]


def test_a_long_sound_is_vorbis_of_the_same_length_and_level():
    rate = 8_000
    long = 0.3 * torch.sin(torch.arange(40 * rate) * 0.3).repeat(2, 1)
    players = listen({"long": long, "short": long[:, :rate]}, rate)
    kinds = [re.match("data:audio/(flac|ogg);", url)[1] for url in players.sources.values()]
    assert kinds == ["ogg", "flac"]
    heard = decoded(players.sources["long"])
    assert heard.shape == long.shape
    level_db = 20 * math.log10(heard.square().mean().sqrt() / long.square().mean().sqrt())
    assert abs(level_db) < 0.1  # lossy, but not by a level that can be heard


@pytest.mark.parametrize("sound", [noise(50)[0], noise(50)[:1]])
def test_mono_plays_as_mono(sound):
    assert decoded(listen(0.1 * sound, RATE).sources["sound"]).shape == (1, 50)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_is_refused_and_named(value):
    bad = noise(100)
    bad[1, 50] = value
    with pytest.raises(ValueError, match="bass holds NaN or inf"):
        listen({"drums": noise(100), "bass": bad}, RATE)


@pytest.mark.parametrize("shape", [(2, 0), (3, 100), (1, 2, 100)])
def test_what_is_no_sound_is_refused(shape):
    with pytest.raises(ValueError, match=r"sound has shape .* expected \(2, time\)"):
        listen(torch.zeros(*shape), RATE)
    with pytest.raises(ValueError, match="at least one waveform"):
        listen({}, RATE)


def test_what_was_given_stays_as_it_is():
    sound = 3 * noise(100)
    before = sound.clone()
    listen(sound, RATE)
    assert torch.equal(sound, before)
