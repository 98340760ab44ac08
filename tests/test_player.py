"""The player's Python side: what it sends is what was given, and bad input gets a sentence."""

import base64
import html.parser
import io
import json
import math
import re

import nbformat
import pytest
import soundfile
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output

from hdsep_tutorial import player as room
from hdsep_tutorial.export import WIDGET, page_from_notebook, strip_on_save, strip_widgets
from hdsep_tutorial.player import COLOURS, StemPlayer, forecast_mb
from hdsep_tutorial.player.sounds import MOST_STEMS

RATE = 8_000
STEP = 1 / 32_768


def noise(seed=0, seconds=1.0, level=0.1):
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn(2, round(seconds * RATE), generator=generator)


def make(stems=None, rate=RATE, **options):
    stems = {"drums": noise(1), "bass": noise(2)} if stems is None else stems
    return StemPlayer(stems, rate, **{"spectrogram": "", **options})


def decoded(data):
    return torch.from_numpy(soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].T)


class Page(html.parser.HTMLParser):
    """Collects the tags of a page, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("level", [0.05, 1.0])
def test_stems_and_references_arrive_exactly_at_one_gain(level):
    stems = {"drums": noise(1, level=level), "bass": noise(2, level=level / 9)}
    references = {"bass": noise(3, level=level)}
    player = make(stems, references=references)
    sent = [decoded(data) for data in player.audio]
    assert [stem["has_reference"] for stem in player.song["stems"]] == [False, True]
    for sound, heard in zip([*stems.values(), *references.values()], sent, strict=True):
        assert (heard - player.gain * sound).abs().max() <= 0.501 * STEP
    assert (player.gain == 1) == (level == 0.05)


def test_neither_a_stem_nor_the_sum_clips():
    stems = {name: torch.full((2, 800), 0.6) for name in ("a", "b")}
    assert make(stems).gain == pytest.approx(0.99 / 1.2)
    assert make({"a": stems["a"]}, references={"a": 3 * stems["a"]}).gain == pytest.approx(0.55)
    both = make(stems, references={"b": 2 * stems["b"]})
    assert both.gain == pytest.approx(0.99 / 1.8), "the estimate of a and the reference of b"
    assert "turned down together by 5.2 dB" in repr(both)


def test_a_mixture_among_the_stems_starts_muted_and_counts_once():
    stems = {"mixture": torch.full((2, 800), 0.8), "a": torch.full((2, 800), 0.8)}
    player = make(stems)
    assert player.muted == ["mixture"]
    assert player.gain == 1
    assert make({"mixture": stems["mixture"]}).muted == []


def test_long_sounds_travel_as_ogg_of_the_same_length_and_level():
    sound = noise(4, seconds=31)
    player = make({"long": sound})
    heard = decoded(player.audio[0])
    assert player.audio[0].startswith(b"OggS")
    assert make().audio[0].startswith(b"fLaC")
    assert heard.shape == sound.shape
    level_db = 20 * math.log10(heard.square().mean().sqrt() / sound.square().mean().sqrt())
    assert abs(level_db) < 0.5
    assert "OGG" in repr(player)


def test_the_forecast_is_of_the_right_size():
    rate, seconds = 44_100, 5
    generator = torch.Generator().manual_seed(0)
    # Music is redder than white noise, which no codec can shrink.
    red = torch.randn(2, seconds * rate, generator=generator).cumsum(1)
    sound = 0.3 * red / red.abs().max()
    sent = len(make({"a": sound}, rate=rate).audio[0]) / 1e6
    assert sent / 2 < forecast_mb(seconds, sounds=1) < sent * 2
    assert forecast_mb(171, sounds=5) == pytest.approx(5 * forecast_mb(171, sounds=1))


@pytest.mark.parametrize("spectrogram", ["mixture", "bass"])
def test_the_picture_has_no_margin_and_the_sentence_says_what_it_is(spectrogram):
    player = make(spectrogram=spectrogram, start_s=150)
    picture = player.song["picture"]
    data = base64.b64decode(picture["url"].partition("base64,")[2])
    from matplotlib.image import imread

    pixels = imread(io.BytesIO(data))
    edge = torch.tensor(pixels)[:, [0, -1], :3]
    assert not (edge == 1).all(dim=-1).any(), "no white column left or right"
    assert picture["text"].startswith(f"{spectrogram} (mid), 150 to 151 s")
    heights = [height for _, height in picture["ticks"]]
    assert heights == sorted(heights)
    assert 0 < heights[0] < heights[-1] < 1
    assert make(spectrogram="").song["picture"] == ""


BAD = [
    ({}, {}, "got 0 stems, expected 1 to 8"),
    ({f"{n}": noise(n) for n in range(9)}, {}, "got 9 stems"),
    ({"a": noise(), "b": noise(seconds=2)}, {}, "last 1.000 and 2.000 s, expected one length"),
    ({"a": noise()}, {"references": {"a": noise(seconds=2)}}, "expected one length"),
    ({"a": noise()}, {"references": {"b": noise()}}, "references has 'b', but stems has a only"),
    ({"a": noise() * math.nan}, {}, "a holds NaN or inf"),
    ({"a": noise()}, {"references": {"a": noise() * math.inf}}, "reference a holds NaN or inf"),
    ({"a": torch.zeros(2, 0)}, {}, r"a has shape \(2, 0\)"),
    ({"a": torch.zeros(3, 8)}, {}, r"a has shape \(3, 8\)"),
    ({"a": noise()}, {"spectrogram": "piano"}, "spectrogram is 'piano', expected one of mixture"),
    ({"a": noise()}, {"rate": 0}, "sample_rate is 0, expected 8000 to 96000 Hz"),
]


@pytest.mark.parametrize(("stems", "options", "message"), BAD)
def test_bad_input_gets_one_sentence(stems, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(stems, **options)
    assert "\n" not in str(caught.value)


def test_eight_stems_have_eight_colours():
    assert len(set(COLOURS)) == len(COLOURS) == MOST_STEMS
    player = make({f"{n}": noise(n) for n in range(8)})
    assert [stem["color"] for stem in player.song["stems"]] == COLOURS
    colours = {
        stem["name"]: stem["color"]
        for stem in make({"mixture": noise(), "a": noise()}).song["stems"]
    }
    assert colours == {"mixture": COLOURS[-1], "a": COLOURS[0]}, "a stem keeps its colour"


@pytest.mark.parametrize("sound", [noise()[0], noise()[:1], noise().double(), noise()])
def test_mono_and_other_types_play_and_stay_as_they_are(sound):
    before = sound.clone()
    assert decoded(make({"a": sound}).audio[0]).shape == torch.atleast_2d(sound).shape
    assert torch.equal(sound, before)


def test_python_sets_what_the_learner_sees():
    player = make(start_s=150, references={"drums": noise()})
    assert player.gains_db == {"drums": 0, "bass": 0}
    player.gains_db = {"bass": -6}
    assert player.gains_db == {"drums": 0, "bass": -6}
    player.loop_s, player.position_s = [150.2, 150.4], 150.3
    player.soloed = ["drums"]
    state = json.loads(Page(player.page_html()).scripts[0])["state"]
    assert state == {
        "gains_db": {"drums": 0, "bass": -6},
        "muted": [],
        "soloed": ["drums"],
        "on_reference": [],
        "loop_s": [150.2, 150.4],
        "position_s": 150.3,
    }


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("gains_db", {"piano": 0}, "gains_db has 'piano', expected one of drums, bass"),
        ("gains_db", {"bass": 13}, "gains_db of bass is 13.0, expected -60 to 12 dB"),
        ("gains_db", {"bass": math.nan}, "gains_db of bass is nan"),
        ("muted", ["piano"], "muted has 'piano'"),
        ("soloed", ["piano"], "soloed has 'piano'"),
        ("on_reference", ["piano"], "on_reference has 'piano'"),
        ("loop_s", [150.5], "expected \\[\\] or \\[start, stop\\] within 150 to 151 s"),
        ("loop_s", [150.5, 150.2], "loop_s is"),
        ("loop_s", [149.0, 150.2], "loop_s is"),
        ("position_s", 3.0, "position_s is 3, expected 150 to 151 s"),
        ("position_s", math.nan, "position_s is nan"),
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(trait, value, message):
    player = make(start_s=150)
    before = getattr(player, trait)
    with pytest.raises(ValueError, match=message):
        setattr(player, trait, value)
    assert getattr(player, trait) == before


def test_a_notebook_gets_widget_text_and_a_page():
    player = make(title="Take one", spectrogram="mixture", start_s=150)
    data, _ = player._repr_mimebundle_()
    assert data[WIDGET]["model_id"] == player.model_id
    assert data["text/plain"] == repr(player)
    assert repr(player).startswith(
        "Take one, drums, bass: 150 to 151 s, at their true level, 0.1 MB"
    )
    page = Page(data["text/html"])
    assert [row["aria-label"] for row in page.all("audio")] == ["drums", "bass"]
    assert page.all("img")[0]["alt"].startswith("mixture")
    sent = [base64.b64decode(row["src"].partition("base64,")[2]) for row in page.all("audio")]
    assert sent == player.audio


def test_the_page_asks_for_nothing_and_can_leave_out_the_module():
    whole, bare = make().page_html(), make().page_html(inline_module=False)
    for text in (whole, bare):
        for tag, attributes in Page(text).tags:
            for name in ("src", "href"):
                assert attributes.get(name, "data:").startswith("data:"), tag
    assert "mountAll();" in whole
    assert "mountAll" not in bare
    assert whole.startswith(bare)
    module = room.MODULE.read_text(encoding="utf-8")
    assert not re.search(r"https?://|\bimport\s*\(|^import ", module, re.M)
    assert "</script" not in module


def test_a_name_with_html_in_it_stays_a_name():
    evil = "</script><img src=x onerror=alert(1)>\"'&"
    page = Page(make({evil: noise()}, references={evil: noise()}, title=evil).page_html())
    assert not page.all("img")
    assert [row["aria-label"] for row in page.all("audio")] == [evil, f"{evil} (reference)"]
    assert json.loads(page.scripts[0])["stems"][0]["name"] == evil


def test_what_a_notebook_keeps_of_many_sounds_is_small(monkeypatch):
    monkeypatch.setattr(room, "SAVED_BYTES", 60_000)
    stems = {f"{n}": noise(n, seconds=4) for n in range(2)}
    text = make(stems)._repr_mimebundle_()[0]["text/html"]
    rows = [row["src"] for row in Page(text).all("audio")]
    assert all(row.startswith("data:audio/ogg;") for row in rows)
    assert sum(map(len, rows)) < 60_000
    fits_s = 60_000 * 3 / 4 / 2 / 13_000
    heard = decoded(base64.b64decode(rows[0].partition("base64,")[2]))
    assert heard.shape[1] / RATE == pytest.approx(fits_s, abs=1e-3)
    assert json.loads(Page(text).scripts[0])["duration_s"] == pytest.approx(fits_s, abs=1e-3)
    assert "saved as OGG, 2 of 4 s: run the cell for all" in text


def a_notebook():
    data, metadata = make()._repr_mimebundle_()
    data = json.loads(json.dumps(data))
    cell = new_code_cell("player", outputs=[new_output("display_data", data, metadata=metadata)])
    return new_notebook(cells=[cell], metadata={"widgets": {"state": "megabytes"}})


def test_stripped_notebooks_keep_the_rows_only():
    notebook = strip_widgets(a_notebook())
    assert "widgets" not in notebook.metadata
    assert set(notebook.cells[0].outputs[0].data) == {"text/plain", "text/html"}
    model = {"type": "notebook", "content": a_notebook()}
    strip_on_save(model, path="a.ipynb", contents_manager=None)
    assert WIDGET not in json.dumps(model)
    strip_on_save({"type": "file", "content": "text"})
    strip_on_save({"type": "notebook", "content": None})


@pytest.mark.slow
def test_an_exported_notebook_holds_the_player_and_no_address(tmp_path):
    nbformat.write(a_notebook(), tmp_path / "lesson.ipynb")
    text = page_from_notebook(tmp_path / "lesson.ipynb")
    page = Page(text)
    assert len(page.all("audio")) == 2
    assert "mountAll();" in text
    assert all(script.get("src") is None for script in page.all("script"))
    with pytest.raises(FileNotFoundError, match="expected a notebook"):
        page_from_notebook(tmp_path / "none.ipynb")
