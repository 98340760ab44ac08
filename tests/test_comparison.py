"""Estimate beside reference: the right seconds, the right error, lag, table, picture and sound."""

import html.parser
import io
import math

import matplotlib
import numpy as np
import pytest
import torch

from hdsep_tutorial import compare_stems, output_results, plot_comparison, sdr, si_sdr
from hdsep_tutorial.scores import ScoreTable, find_lag, score_stems

matplotlib.use("agg")
RATE = 1000
NAMES = ("drums", "bass", "other", "vocals")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def noise(length: int = 12 * RATE, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, length, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def truth() -> dict[str, torch.Tensor]:
    return {name: 0.1 * noise(seed=seed) for seed, name in enumerate(NAMES)}


@pytest.fixture
def guess(truth) -> dict[str, torch.Tensor]:
    mixture = sum(truth.values())
    return {name: 0.9 * stem + 0.1 * mixture for name, stem in truth.items()}


def compare(estimates, references, **options):
    return compare_stems(
        estimates, references, **{"sample_rate": RATE, "start_s": 5, "stop_s": 10} | options
    )


# Which seconds


def test_whole_songs_are_cut_in_song_time(truth, guess):
    found = compare(guess, truth, mixture=sum(truth.values()))
    for name in NAMES:
        assert torch.equal(found.estimates[name], guess[name][:, 5000:10_000])
        assert torch.equal(found.references[name], truth[name][:, 5000:10_000])
        assert torch.equal(found.errors[name], found.references[name] - found.estimates[name])
    assert torch.equal(found.mixture, sum(truth.values())[:, 5000:10_000])
    assert (found.start_s, found.stop_s, found.sample_rate) == (5, 10, RATE)
    assert list(found.estimates) == list(NAMES)


def test_clips_of_the_right_length_are_taken_as_they_are(truth, guess):
    clips = {name: stem[:, 5000:10_000] for name, stem in truth.items()}
    found = compare(guess, clips, mixture=sum(truth.values()))
    assert found.scores.rows == compare(guess, truth, mixture=sum(truth.values())).scores.rows


def test_the_default_is_the_clip_of_the_source_tutorial():
    stems = {"bass": torch.arange(160.0 * 100).repeat(2, 1)}
    found = compare_stems(stems, stems, sample_rate=100)
    assert found.references["bass"][0, [0, -1]].tolist() == [15_000, 15_499]


def test_a_song_that_is_too_short_says_how_long_it_is(truth, guess):
    with pytest.raises(ValueError, match=r"estimate is 12\.0 s long .* between 0 and 12\.0"):
        compare_stems(guess, truth, sample_rate=RATE)
    with pytest.raises(ValueError, match=r"reference is 2\.0 s long"):
        compare(guess, {name: stem[:, :2000] for name, stem in truth.items()})
    for start_s, stop_s in ((-1, 2), (3, 3), (4, 2)):
        with pytest.raises(ValueError, match=f"no part {start_s} to {stop_s} s"):
            compare(guess, truth, start_s=start_s, stop_s=stop_s)


def test_stems_without_reference_are_named_and_others_are_not_needed(truth, guess):
    assert list(compare({"bass": guess["bass"]}, truth).scores.rows) == ["bass"]
    with pytest.raises(ValueError, match="no reference for piano, there are drums, bass"):
        compare(guess | {"piano": guess["bass"]}, truth)
    with pytest.raises(ValueError, match="no reference for anything"):
        compare({}, truth)


# Lag


@pytest.mark.parametrize("lag", [0, 1, -1, 441, -3000])
@pytest.mark.parametrize("sign", [1, -1])
def test_lag_is_found_whatever_the_sign(lag, sign):
    true = noise()
    late = sign * true.roll(lag, dims=1) + 0.5 * noise(seed=1)
    assert find_lag(true, late, max_lag=4000) == lag


def test_lag_is_the_peak_of_the_plain_sum():
    true, guess = noise(300), 0.3 * noise(300, seed=1)
    guess[:, 20:] -= true[:, :-20]
    channels = zip(true.numpy(), guess.numpy(), strict=True)
    sums = sum(np.correlate(late, early, "full") for early, late in channels)
    expected = np.abs(sums).argmax() - 299
    assert find_lag(true, guess, max_lag=100) == expected == 20


def test_blocks_of_the_lag_search_add_up():
    true = noise(5000)
    for lag in (-10, 9):  # many blocks of 41 samples
        assert find_lag(true, true.roll(lag, dims=1), max_lag=10) == lag


def test_no_lag_without_likeness():
    silence = torch.zeros(2, 5000)
    assert find_lag(noise(5000), noise(5000, seed=1)) == 0
    assert find_lag(noise(5000), silence) == find_lag(silence, silence) == 0
    opposite = torch.stack([noise(5000)[0], torch.zeros(5000)])
    assert find_lag(opposite, opposite.flip(0)) == 0
    with pytest.raises(ValueError, match="clip both alike"):
        find_lag(noise(10), noise(11))


def test_leakage_into_a_low_tone_is_no_lag():
    time = torch.arange(44_100) / 44_100
    bass = torch.sin(2 * math.pi * 50 * time).repeat(2, 1)
    leaky = bass + 0.05 * torch.sin(2 * math.pi * 50 * time + 1).repeat(2, 1) + 0.5 * noise(44_100)
    assert find_lag(bass, leaky) == 0  # the leak moves the peak by some samples, for 0.01 dB
    assert find_lag(bass, bass.roll(30, dims=1)) == 30


# The table


def test_scores_are_those_of_the_metrics(truth, guess):
    mixture = sum(truth.values())
    for name, row in score_stems(guess, truth, mixture).rows.items():
        assert row == {
            "SDR": sdr(truth[name], guess[name]),
            "mixture SDR": sdr(truth[name], mixture),
            "improvement": sdr(truth[name], guess[name]) - sdr(truth[name], mixture),
            "SI-SDR": si_sdr(truth[name], guess[name]),
        }
    assert list(score_stems(guess, truth).rows["bass"]) == ["SDR", "SI-SDR"]


def test_a_lag_gets_a_column_and_a_sentence(truth, guess):
    table = score_stems(guess | {"bass": guess["bass"].roll(-7, dims=1)}, truth)
    assert [row["lag"] for row in table.rows.values()] == [0, -7, 0, 0]
    text = str(table)
    assert "lag (samples)" in text
    assert text.splitlines()[-1].startswith("bass comes 7 samples early: line it up")
    assert "bass comes 7 samples early" in table._repr_html_()
    assert "lag" not in str(score_stems(guess, truth))


TABLE = ScoreTable(
    {
        "drums": {"SDR": 12.345, "improvement": -0.04, "lag": 3},
        "<i>bass</i>": {"SDR": None, "improvement": math.inf, "lag": 0},
        "other": {"SDR": -math.inf, "improvement": 100.04, "lag": -12},
    },
    ("one & two",),
)


def test_text_is_aligned():
    assert str(TABLE) == (
        "stem         SDR (dB)  improvement (dB)  lag (samples)\n"
        "drums            12.3               0.0              3\n"
        "<i>bass</i>       n/a              >100              0\n"
        "other           <-100              >100            -12\n"
        "one & two"
    )


def test_html_is_a_table_with_scopes():
    class Cells(html.parser.HTMLParser):
        def __init__(self):
            super().__init__()
            self.rows, self.scopes, self.tags = [], [], set()

        def handle_starttag(self, tag, attributes):
            self.tags.add(tag)
            if tag == "tr":
                self.rows.append([])
            self.scopes += [value for key, value in attributes if key == "scope"]

        def handle_data(self, data):
            self.rows[-1].append(data)

    page = Cells()
    page.feed(TABLE._repr_html_())
    assert page.rows[0] == ["stem", "SDR (dB)", "improvement (dB)", "lag (samples)"]
    assert page.rows[2] == ["<i>bass</i>", "n/a", ">100", "0"]
    assert page.scopes == ["col"] * 4 + ["row"] * 3
    assert page.tags == {"table", "tr", "th", "td", "p"}


def test_improvement_exists_only_where_both_scores_do(truth):
    silence = torch.zeros_like(truth["bass"])
    rows = score_stems({"a": silence, "b": truth["bass"]}, {"a": silence, "b": truth["bass"]}).rows
    assert rows == {"a": {"SDR": None, "SI-SDR": None}, "b": {"SDR": math.inf, "SI-SDR": math.inf}}
    only = score_stems({"bass": truth["bass"]}, {"bass": truth["bass"]}, truth["bass"])
    assert only.rows["bass"]["improvement"] is None  # the mixture is the stem: nothing to improve
    found = compare({"a": silence}, {"a": silence}, mixture=silence)
    assert str(found).splitlines()[0] == "5 to 10 s"
    assert str(found).splitlines()[-1].split() == ["a", "n/a", "n/a", "n/a", "n/a"]
    assert found._repr_html_().startswith("<p>5 to 10 s</p><table>")


# Picture and sound


def test_three_rows_share_one_scale_and_one_colourbar(truth, guess):
    comparison = compare(guess, truth)
    figure, text = plot_comparison(comparison, "vocals", scale="linear")
    *rows, bar = figure.axes
    assert [ax.get_title() for ax in rows] == [
        "vocals, estimate",
        "vocals, reference",
        "vocals, error = reference - estimate",
    ]
    assert bar.get_ylabel() == "level (dBFS)"
    assert {ax.images[0].get_clim() for ax in rows} == {(-90, 0)}
    assert {ax.get_xlim() for ax in rows} == {(5, 10)}
    assert {ax.get_ylim() for ax in rows} == {(0, RATE / 2)}
    estimate, reference, error = (ax.images[0].get_array().mean() for ax in rows)
    # Estimate and reference are alike; error = 0.1 × the three others, 20 - 4.8 dB below.
    assert abs(estimate - reference) < 1
    assert reference - error == pytest.approx(15.2, abs=1)
    score = f"{comparison.scores.rows['vocals']['SDR']:.1f}"
    start = f"SDR {score} dB; vocals, error = reference - estimate (mid), 5 to 10 s: strongest at "
    assert text.startswith(start)
    with pytest.raises(ValueError, match="no stem 'piano', expected one of drums, bass"):
        plot_comparison(comparison, "piano")


def test_the_picture_fits_a_notebook():
    true = {"noise": 0.1 * noise(5 * 44_100)}
    found = compare_stems({"noise": true["noise"] + 0.01 * noise(5 * 44_100, seed=1)}, true)
    png = io.BytesIO()
    plot_comparison(found, "noise")[0].savefig(png, format="png", bbox_inches="tight")
    assert len(png.getvalue()) < 120_000


def test_output_results_shows_score_picture_and_level_true_sound(truth, guess):
    reference, estimate = (4 * part["bass"][:, :5000] for part in (truth, guess))
    results = output_results(reference, estimate, "bass", sample_rate=RATE, start_s=150)
    assert results.score_db == sdr(reference, estimate)
    assert repr(results) == results.text
    start = f"SDR {results.score_db:.1f} dB; bass, error = reference - estimate (mid), 150 to 155 s"
    assert results.text.startswith(start)
    assert list(results.sound.sources) == ["reference", "estimate"]
    peak = max(reference.abs().max(), estimate.abs().max()).item()
    assert results.sound.gain == pytest.approx(0.99 / peak)
    assert results._repr_html_().count("<audio") == 2
    assert results.figure.axes[0].get_xlim() == (150, 155)
    with pytest.raises(ValueError, match="clip both alike"):
        output_results(reference, estimate[:, 1:], "bass", sample_rate=RATE)
