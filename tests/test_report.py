"""The report: one whole file with everything in it, true figures, and no name that runs."""

import html.parser
import math
import os
import re

import pytest
import torch

from hdsep_tutorial import clip, compare_stems
from hdsep_tutorial.bundles import DEMO
from hdsep_tutorial.remix import true_peak_db
from hdsep_tutorial.report import write_report
from hdsep_tutorial.songs import Song

RATE = 8_000
NAMES = ("drums", "bass")
VOID = {"meta", "img", "br", "link", "input", "source", "use", "path", "image"}


SETTINGS = {"segment_s": 7.5, "overlap_s": 0.75, "device": "cpu"}


def make_noise(length, seed=0):
    return torch.randn(2, length, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def song():
    stems = {name: 0.1 * make_noise(12 * RATE, seed) for seed, name in enumerate(NAMES)}
    return Song("test", "A & B", "CC BY 4.0", RATE, sum(stems.values()), stems)


@pytest.fixture(scope="module")
def estimates(song):
    return {name: 0.9 * stem for name, stem in song.references.items()}


@pytest.fixture(scope="module")
def report(tmp_path_factory, song, estimates):
    """One report, which most tests read: its text and its parts."""
    path = tmp_path_factory.mktemp("report") / "new" / "page.html"
    made = written(path, song, estimates, bundle=DEMO, settings=SETTINGS, segment_s=(2, 4))
    assert os.listdir(path.parent) == ["page.html"]
    return made


@pytest.fixture
def no_pictures(monkeypatch):
    """Leave out what takes the time, where a test is not about it."""
    monkeypatch.setattr("hdsep_tutorial.report._picture", lambda *_: "<svg></svg>")


def unknown(song):
    """The same song without its references."""
    return Song(song.name, song.title, song.licence, RATE, song.mixture, {})


class Page(html.parser.HTMLParser):
    """Collects tags, attributes, words and table rows, and checks that tags are closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.rows, self.words = [], [], [], [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        found = dict(attributes)
        names = ("src", "href", "xlink:href", "action", "data")
        self.addresses += [found[name] for name in names if found.get(name)]
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)
        if self.open and self.open[-1] in ("td", "th") and self.rows:
            self.rows[-1].append(data)


def written(path, song, estimates, **options):
    text = write_report(path, song, estimates, **options).read_text(encoding="utf-8")
    return text, Page(text)


def test_one_file_holds_everything_and_asks_for_nothing(report):
    text, page = report
    assert page.addresses
    for address in page.addresses:
        assert address.startswith(("data:", "#")), address[:80]
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    assert "@import" not in styles
    assert not re.search(r"url\((?!['\"]?(data:|#))", styles)
    assert "<script src" not in text
    assert "link" not in page.tags
    assert not re.search(r"\$\w", re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S))


def test_song_licence_model_and_settings_are_told(report):
    words = "".join(report[1].words)
    for told in ("A & B", "CC BY 4.0", DEMO.title, DEMO.trained_on, "segment_s", "7.5", "0.75"):
        assert told in words, told
    assert "12.0 s, stereo, 8,000 Hz" in words
    assert torch.__version__ in words


def test_levels_and_null_test_are_those_of_the_sound(report, song, estimates):
    page = report[1]
    sounds = {"mixture": song.mixture, **estimates}
    sounds["mixture − sum of stems"] = song.mixture - sum(estimates.values())
    for name, sound in sounds.items():
        rms = 10 * math.log10(sound.double().square().mean().item())
        peak = 20 * math.log10(sound.abs().max().item())
        expected = [rms, peak, true_peak_db(sound, RATE)]
        row = next(row for row in page.rows if row[0] == name and len(row) == 4)
        assert [float(cell) for cell in row[1:4]] == pytest.approx(expected, abs=0.051), name
    assert "-20.0 dB" in "".join(page.words)  # a tenth of the mixture is left


def test_scores_of_segment_and_song_are_those_of_compare_stems(report, song, estimates):
    options = {"mixture": song.mixture, "sample_rate": RATE}
    page = report[1]
    tables = [row for row in page.rows if row[0] == "bass" and len(row) == 5]
    for row, (start_s, stop_s) in zip(tables, ((2, 4), (0, 12)), strict=True):
        found = compare_stems(
            estimates, song.references, start_s=start_s, stop_s=stop_s, **options
        ).scores.rows["bass"]
        scores = [found[name] for name in ("SDR", "mixture SDR", "improvement")]
        assert [float(cell) for cell in row[1:4]] == pytest.approx(scores, abs=0.051)
    assert "2 to 4 s" in "".join(page.words)


def test_without_references_there_are_no_scores_and_the_page_says_why(
    tmp_path, song, estimates, no_pictures
):
    text, page = written(tmp_path / "p.html", unknown(song), estimates)
    assert "not known" in text
    assert not [row for row in page.rows if len(row) == 5]
    assert "mean SDR" not in text


def test_references_of_a_part_of_the_song_score_that_part(tmp_path, song, estimates, no_pictures):
    part = clip(song.references, 3, 8, sample_rate=RATE)
    short = Song("s", "t", "l", RATE, song.mixture, part, references_start_s=3)
    _, page = written(tmp_path / "p.html", short, estimates, segment_s=(4, 6))
    assert len([row for row in page.rows if row[0] == "bass" and len(row) == 5]) == 1
    with pytest.raises(ValueError, match="choose a range inside"):
        write_report(tmp_path / "p.html", short, estimates, segment_s=(1, 2))


def test_pictures_share_one_scale_take_the_page_s_colour_and_say_what_they_show(report):
    text = report[0]
    labels = re.findall(r'<svg role="img" aria-label="([^"]*)"', text)
    assert len(labels) == 2
    for stem in NAMES:
        for kind in ("estimate", "reference", "error"):
            assert f"{stem}, {kind}" in labels[0]
    assert "mixture (mid), 0 to 12 s: strongest at" in labels[1]
    for drawing in re.findall(r'<svg role="img".*?</svg>', text, re.S):
        assert drawing.count("level (dBFS)") == 1
        assert "currentColor" in drawing
        assert "#000000" not in drawing


def test_both_themes_and_print_are_thought_of(report):
    text = report[0]
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert 'name="viewport"' in text


ATTACK = "<script>document.title='run'</script><img src=x onerror=alert(1)> \"' $title ${x} $a$"


def test_names_from_outside_are_shown_and_never_run(tmp_path, song):
    mixture, stem = song.mixture, 0.5 * song.mixture
    hostile = Song("x", ATTACK, ATTACK, RATE, mixture, {ATTACK: mixture})
    text, page = written(
        tmp_path / "p.html", hostile, {ATTACK: stem}, settings={ATTACK: ATTACK}, segment_s=(0, 1)
    )
    assert "document.title='run'</script>" not in text
    assert "<img src=x" not in text
    assert "x" not in page.addresses
    assert "".join(page.words).count(ATTACK) >= 4  # title, licence, setting, tables


def test_a_short_song_shows_all_of_itself(tmp_path):
    tiny = Song("t", "t", "l", RATE, 0.1 * make_noise(RATE), {})
    text, _ = written(tmp_path / "p.html", tiny, {"bass": tiny.mixture})
    assert "Listen: 0 to 1 s" in text
    assert "<-100" not in text
    assert "&lt;-100" in text  # nothing is left of the mixture


def test_silence_has_no_figures_that_are_not(tmp_path):
    silent = torch.zeros(2, RATE)
    song = Song("t", "t", "l", RATE, silent, {"bass": silent})
    text, page = written(tmp_path / "p.html", song, {"bass": silent}, segment_s=(0, 1))
    assert "nan" not in "".join(page.words).lower()
    assert "<dt>null test: what is left of the mixture</dt><dd>n/a dB</dd>" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stems: {**stems, "bass": stems["bass"][:, :99]}, r"bass \(2, 99\)"),
        (lambda stems: {**stems, "bass": stems["bass"] * math.nan}, "NaN|finite"),
    ],
)
def test_stems_that_do_not_fit_leave_no_file(tmp_path, song, estimates, change, message):
    with pytest.raises(ValueError, match=message):
        write_report(tmp_path / "p.html", song, change(estimates))
    assert not list(tmp_path.iterdir())


def test_only_a_page_is_written(tmp_path, song, estimates):
    with pytest.raises(ValueError, match=r"p\.pdf does not end in \.html"):
        write_report(tmp_path / "p.pdf", song, estimates)
    with pytest.raises(ValueError, match="20"):
        write_report(tmp_path / "p.html", song, estimates, segment_s=(10, 20))
    assert not list(tmp_path.iterdir())


def test_a_failed_write_keeps_the_older_page_and_nothing_half(
    tmp_path, song, estimates, monkeypatch, no_pictures
):
    path = tmp_path / "p.html"
    path.write_text("older")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"p\.html cannot be written \(No space left") as caught:
        write_report(path, song, estimates)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["p.html"]


def test_a_folder_in_the_way_is_one_sentence(tmp_path, song, estimates, no_pictures):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        write_report(tmp_path / "file" / "p.html", song, estimates)


def test_five_seconds_of_four_stems_stay_within_12_mb(tmp_path):
    """White noise is the worst case for FLAC: music is about half of it."""
    rate, names = 44_100, ("drums", "bass", "other", "vocals")
    stems = {name: 0.05 * make_noise(6 * rate, seed) for seed, name in enumerate(names)}
    song = Song("n", "n", "l", rate, sum(stems.values()), stems)
    path = write_report(tmp_path / "p.html", song, stems, segment_s=(0, 5))
    assert path.stat().st_size <= 12_000_000
