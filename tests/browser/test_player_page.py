"""The player in a page without kernel, server or network: every button and key."""

import re

import numpy as np
import pytest
import torch
from laboratory import LOCAL

from hdsep_tutorial import player as room
from hdsep_tutorial.export import page_from_notebook
from hdsep_tutorial.player import StemPlayer

pytestmark = pytest.mark.slow

RATE = 22_050
START_S, SECONDS = 150, 20  # a busy machine does not reach the end
NAMES = ["drums", "bass", "vocals"]
FRAGMENT = '<!doctype html><html lang="en"><meta charset="utf-8"><title>player</title>{}'
STATE = """(which) => {
  const { mixer, state } = document.querySelectorAll(".stem-player")[which].player;
  const { context, faders, position, playing, loop } = mixer;
  return {
    clock: context.currentTime, context: context.state, position, playing, loop, shared: state,
    gains: faders.map((sides) => sides.map((fader) => fader.gain.value)),
  };
}"""


def tone(hertz, level=0.2, seconds=SECONDS):
    time = torch.arange(seconds * RATE) / RATE
    return level * torch.sin(2 * np.pi * hertz * time).repeat(2, 1)


def a_player(**options):
    stems = {name: tone(200 * number) for number, name in enumerate(NAMES, 1)}
    references = {name: 0.5 * sound for name, sound in stems.items()}
    options = {"references": references, "start_s": START_S, "title": "Three tones", **options}
    return StemPlayer(stems, RATE, **options)


@pytest.fixture(scope="module")
def fragment():
    return a_player().page_html()


def show(page, tmp_path, *fragments):
    path = tmp_path / "player.html"
    path.write_text(FRAGMENT.format("".join(fragments)), encoding="utf-8")
    page.goto(path.as_uri())
    for number in range(len(fragments)):
        page.locator(".stem-player").nth(number).and_(page.locator("[data-ready=yes]")).wait_for()


def state_of(page, which=0):
    return page.evaluate(STATE, which)


def settled(page, which=0):
    page.wait_for_timeout(150)  # 18 time constants of a gain
    return state_of(page, which)


def heard(page):
    """Return the gains of (estimate, reference) per stem, to two digits."""
    return [[round(gain, 2) for gain in sides] for sides in settled(page)["gains"]]


def press(page, *keys):
    page.locator(".timeline").first.focus()
    for key in keys:
        page.keyboard.press(key)


def drag(page, start, stop, selector=".timeline", y=0.5):
    box = page.locator(selector).first.bounding_box()
    x = [box["x"] + share * box["width"] for share in (start, stop)]
    height = box["y"] + y * box["height"]
    page.mouse.move(x[0], height)
    page.mouse.down()
    page.mouse.move(x[1], height, steps=4)
    page.mouse.up()


def test_play_moves_the_audio_clock_and_the_cursor(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.click(".play")
    before = settled(page)
    page.wait_for_timeout(500)
    after = settled(page)
    assert after["context"] == "running"
    passed = after["clock"] - before["clock"]
    assert passed > 0.3
    assert after["position"] - before["position"] == pytest.approx(passed, abs=0.01)
    seconds = float(page.locator(".clock").text_content().split()[0])
    assert START_S < seconds < START_S + SECONDS
    page.click(".play")
    paused = settled(page)
    assert not paused["playing"]
    assert settled(page)["position"] == paused["position"]
    cursor = page.locator(".cursor").bounding_box()["x"]
    lane = page.locator(".lane.picture").bounding_box()
    share = (cursor - lane["x"]) / lane["width"]
    assert share == pytest.approx(paused["position"] / SECONDS, abs=0.005)
    spoken = page.locator(".timeline").get_attribute("aria-valuetext")
    assert spoken == f"{START_S + paused['position']:.2f} seconds"


@pytest.mark.parametrize("place", [".lane.picture", ".lane.wave"])
def test_a_click_on_picture_or_waveform_seeks(page, tmp_path, fragment, place):
    show(page, tmp_path, fragment)
    box = page.locator(place).first.bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    assert page.locator(".clock").text_content() == "166.00 s"
    page.click(".play")
    page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    assert 4 <= settled(page)["position"] < 14


def test_a_drag_makes_a_loop_that_repeats_and_a_click_outside_leaves_it(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.click(".play")
    drag(page, 0.4, 0.42)
    loop = settled(page)["shared"]["loop_s"]
    assert loop == pytest.approx([START_S + 8, START_S + 8.4], abs=0.06)
    for _ in range(5):
        page.wait_for_timeout(170)
        assert 7.94 <= state_of(page)["position"] <= 8.46
    drag(page, 0.8, 0.8)
    state = settled(page)
    assert not state["shared"]["loop_s"]
    assert state["position"] >= 15.9


def test_mute_solo_volume_and_side_move_gains_only(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.click(".play")
    drums, bass = page.locator("[data-stem=drums]"), page.locator("[data-stem=bass]")
    assert heard(page) == [[1, 0], [1, 0], [1, 0]]
    drums.locator(".mute").click()
    assert heard(page) == [[0, 0], [1, 0], [1, 0]]
    assert drums.locator(".mute").get_attribute("aria-pressed") == "true"
    bass.locator(".solo").click()
    assert heard(page) == [[0, 0], [1, 0], [0, 0]]
    bass.locator("input").fill("-6")
    bass.locator(".swap").click()
    assert heard(page) == [[0, 0], [0, 0.5], [0, 0]]
    assert "B: reference" in bass.locator(".swap").get_attribute("aria-label")
    bass.locator(".solo").click()
    drums.locator(".mute").click()
    page.click(".side")
    assert heard(page) == [[0, 1], [0, 0.5], [0, 1]]
    assert page.locator(".side").text_content() == "A/B: reference"
    bass.locator("input").dblclick()
    assert heard(page)[1] == [0, 1]


def test_a_b_switch_does_not_move_the_clock(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.click(".play")
    before = settled(page)
    press(page, "x", "x", "x")
    after = settled(page)
    passed = after["clock"] - before["clock"]
    assert after["position"] - before["position"] == pytest.approx(passed, abs=0.01)


def test_keys(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "play"
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid", "the focus can be seen"
    press(page, " ")
    assert settled(page)["playing"]
    press(page, " ")
    assert not settled(page)["playing"]
    press(page, "Home", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight")
    assert settled(page)["position"] == 2
    press(page, "l")
    assert settled(page)["shared"]["loop_s"] == [START_S + 2, START_S + 4]
    press(page, "l", "End")
    assert settled(page)["position"] == pytest.approx(SECONDS - 0.01)
    assert settled(page)["shared"]["loop_s"] == []
    press(page, "2", "3", "3", "Shift+Digit1")
    shared = settled(page)["shared"]
    assert (shared["muted"], shared["soloed"]) == (["bass"], ["drums"])
    press(page, "x")
    assert settled(page)["shared"]["on_reference"] == NAMES
    press(page, "Home", "ArrowRight", "[", "ArrowRight", "]")
    assert settled(page)["shared"]["loop_s"] == [START_S + 1, START_S + 2]
    assert not page.locator(".keys").is_visible()
    press(page, "?")
    assert page.locator(".keys").is_visible()
    before = settled(page)["shared"]
    press(page, "9", "4", "q")
    assert settled(page)["shared"] == before, "other keys do nothing"


def test_keys_work_after_a_click_and_sliders_keep_their_own(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.locator("[data-stem=drums] .mute").click()
    page.keyboard.press(" ")  # plays: it does not press the button again
    assert settled(page)["playing"]
    assert settled(page)["shared"]["muted"] == ["drums"]
    page.locator("[data-stem=bass] input").focus()
    page.keyboard.press("ArrowLeft")
    state = settled(page)["shared"]
    assert state["gains_db"]["bass"] == -0.5


def test_every_control_has_a_name(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    named = page.evaluate("""() => [...document.querySelectorAll(
      ".stem-player button, .stem-player input, .stem-player [role], .stem-player img")].map(
      (one) => one.getAttribute("aria-label") || one.alt || one.getAttribute("role"))""")
    assert all(named)
    assert page.get_by_role("slider", name="Position in the song").count() == 1
    assert page.get_by_role("button", name="Mute bass").count() == 1
    assert page.get_by_role("slider", name="Volume of vocals").count() == 1
    assert page.get_by_role("group", name="Three tones").count() == 1
    assert page.locator(".lane.picture img").get_attribute("alt").startswith("mixture (mid), 150")


def test_the_meters_show_the_level_and_the_output_clips_in_words(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    page.click(".play")
    page.wait_for_timeout(400)
    heights = page.evaluate("""() => [...document.querySelectorAll("[data-stem=drums] .meter i")]
      .map((bar) => parseFloat(bar.style.height))""")
    expected = 100 * (1 + 20 * np.log10(0.2) / 60)  # of 60 dB
    assert heights == pytest.approx([expected, expected], abs=1)
    peak = page.locator(".level")
    loudest = sum(tone(200 * number) for number in (1, 2, 3)).max().item()
    assert peak.text_content() == f"peak −{-20 * np.log10(loudest):.1f} dBFS"
    page.locator("[data-stem=drums] input").fill("12")
    page.locator("[data-stem=bass] input").fill("12")
    page.wait_for_timeout(300)
    assert peak.text_content().startswith("CLIPS: +")
    page.click(".play")
    page.wait_for_timeout(100)
    assert page.locator("[data-stem=drums] .meter i").first.bounding_box()["height"] == 0


@pytest.mark.parametrize(("said", "right", "chance"), [("A", 10, 1), ("B", 0, 100)])
def test_blind_test_reveals_after_ten_trials(page, tmp_path, fragment, said, right, chance):
    show(page, tmp_path, fragment)
    page.evaluate("Math.random = () => 0.3")  # X is always A, the estimate
    page.get_by_role("button", name="Blind test").click()
    assert settled(page)["playing"]
    assert page.locator("[data-stem=drums] .swap").is_disabled()
    assert not page.locator(".meter i").first.is_visible(), "meters would tell"
    assert heard(page) == [[1, 0]] * 3
    page.locator("[data-hear=B]").click()
    assert heard(page) == [[0, 1]] * 3
    page.locator("[data-hear=X]").click()
    assert heard(page) == [[1, 0]] * 3
    press(page, "x", "x")
    assert heard(page) == [[0, 1]] * 3
    for trial in range(1, 11):
        assert f"Trial {trial} of 10" in page.locator(".blind").text_content()
        assert "right" not in page.locator(".blind").text_content()
        page.locator(f"[data-say={said}]").click()
    result = page.locator(".blind").text_content()
    assert f"{right} of 10 right" in result
    assert f"in {chance} of 100 tests" in result
    assert heard(page) == [[1, 0]] * 3


def test_a_blind_test_goes_on_where_the_clip_ends(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    press(page, "End")
    page.get_by_role("button", name="Blind test").click()
    page.wait_for_function(
        "() => { const { state, mixer } = document.querySelector('.stem-player').player;"
        " return state.playing && mixer.position > 0.1 && mixer.position < 10; }"
    )
    page.click(".play")
    assert not settled(page)["playing"]
    page.locator("[data-hear=B]").click()
    assert settled(page)["playing"], "nobody can judge silence"
    assert heard(page) == [[0, 1]] * 3


def test_two_players_pause_each_other_and_plain_audio(page, tmp_path, fragment):
    row = re.search("<audio.*?</audio>", fragment)[0]
    show(page, tmp_path, fragment, fragment)
    page.evaluate("(row) => document.body.insertAdjacentHTML('beforeend', row)", row)
    page.evaluate("document.querySelector('body > audio').play()")
    page.locator(".play").nth(0).click()
    assert settled(page, 0)["playing"]
    assert page.evaluate("document.querySelector('body > audio').paused")
    page.locator(".play").nth(1).click()
    assert settled(page, 1)["playing"]
    assert not settled(page, 0)["playing"]
    contexts = "new Set([...document.querySelectorAll('.stem-player')].map((desk) => \
        desk.player.mixer.context)).size"
    assert page.evaluate(contexts) == 1


def test_it_stops_at_the_end_and_starts_again(page, tmp_path, fragment):
    show(page, tmp_path, fragment)
    press(page, "End")
    page.click(".play")
    page.wait_for_function("() => !document.querySelector('.stem-player').player.state.playing")
    assert settled(page)["position"] == 0
    page.click(".play")
    assert settled(page)["playing"]


def test_a_name_with_html_in_it_is_text(page, tmp_path):
    evil = '"><img src=x onerror=alert(1)></script><script>globalThis.hacked = 1</script>'
    stems = {evil: tone(300), "<b>&amp;": tone(500)}
    player = StemPlayer(stems, RATE, references={evil: tone(300)}, spectrogram=evil, title=evil)
    page.on("dialog", lambda dialog: pytest.fail("a name ran"))
    show(page, tmp_path, player.page_html())
    assert page.evaluate("globalThis.hacked") is None
    assert page.locator(".stem .name").all_text_contents() == [evil, "<b>&amp;"]
    assert page.locator(".title").text_content() == evil


def test_a_sound_that_is_none_says_so(page, tmp_path, fragment, watch):
    broken = re.sub(r"(data:audio/flac;base64,).*?\"", r'\1AAAA"', fragment)
    path = tmp_path / "broken.html"
    path.write_text(FRAGMENT.format(broken), encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector("[data-ready=failed]")
    assert "cannot decode" in page.locator(".status").text_content()
    assert page.locator(".play").is_disabled()


def test_a_saved_page_with_fewer_seconds_plays_what_it_has(page, tmp_path, monkeypatch):
    player = a_player()
    player.position_s, player.loop_s = START_S + 19, [START_S + 18, START_S + 19]
    monkeypatch.setattr(room, "SAVED_BYTES", 6 * 13_000 * 4 // 3 * 2)  # 2 s of six sounds
    show(page, tmp_path, player._repr_mimebundle_()[0]["text/html"])
    state = page.evaluate("document.querySelector('.stem-player').player.state")
    assert (state["position_s"], state["loop_s"]) == (pytest.approx(START_S + 2, abs=0.01), [])
    picture, lane = (page.locator(f".lane.picture{part}").bounding_box() for part in (" img", ""))
    assert picture["width"] == pytest.approx(SECONDS / 2 * lane["width"], rel=0.01)
    press(page, "Home", " ")
    assert settled(page)["playing"]


def test_without_script_the_rows_play(browser, tmp_path, fragment):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    (tmp_path / "plain.html").write_text(FRAGMENT.format(fragment), encoding="utf-8")
    page.goto((tmp_path / "plain.html").as_uri())
    assert page.locator("audio[controls]").count() == 6
    assert page.locator(".stem-player-page img").is_visible()
    assert "drums, bass, vocals: 150 to 170 s" in page.locator("p").text_content()
    context.close()


def test_an_exported_notebook_plays_without_a_network(page, tmp_path):
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    data, metadata = a_player()._repr_mimebundle_()
    shown = new_output("display_data", data, metadata=metadata)
    cells = [new_markdown_cell("# Formula $x^2$"), new_code_cell("player", outputs=[shown])]
    nbformat.write(new_notebook(cells=cells), tmp_path / "lesson.ipynb")
    html = page_from_notebook(tmp_path / "lesson.ipynb")
    (tmp_path / "lesson.html").write_text(html, encoding="utf-8")
    page.goto((tmp_path / "lesson.html").as_uri())
    page.wait_for_selector(".stem-player[data-ready=yes]")
    page.click(".play")
    before = settled(page)["clock"]
    page.wait_for_timeout(300)
    assert settled(page)["clock"] > before + 0.2
    page.locator("[data-stem=drums] .mute").click()
    assert heard(page) == [[0, 0], [1, 0], [1, 0]]
    assert not [url for url in re.findall(r'src="([^"]{1,40})', html) if not url.startswith(LOCAL)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_ground(browser, tmp_path, fragment, scheme):
    context = browser.new_context(color_scheme=scheme, offline=True)
    page = context.new_page()
    text = f"<style>:root{{color-scheme:light dark}}</style>{fragment}"
    (tmp_path / "theme.html").write_text(FRAGMENT.format(text), encoding="utf-8")
    page.goto((tmp_path / "theme.html").as_uri())
    page.wait_for_selector(".stem-player[data-ready=yes]")
    colours = page.evaluate("""() => {
      const style = getComputedStyle(document.querySelector(".stem-player"));
      return [style.color, style.backgroundColor];
    }""")
    ink, paper = (luminance(colour) for colour in colours)
    assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 7  # WCAG 2.2, AAA
    assert (ink > paper) == (scheme == "dark")
    context.close()


def luminance(colour):
    """Source: WCAG 2.2, relative luminance."""
    channels = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
