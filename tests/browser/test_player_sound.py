"""What comes out of the player in a real browser: exact, in time, and without clicks."""

import math

import numpy as np
import pytest
import torch

from hdsep_tutorial.player import MODULE, StemPlayer

pytestmark = pytest.mark.slow

RATE = 44_100
SECONDS = 2
LEAD_S, FADE_S, RAMP_S = 0.03, 0.005, 0.008  # of player.js
# 16 bit rounds each of n sounds by up to half a step, 0.29 steps as a level.
STEP = 1 / 32_768
RENDER = """async ([code, steps, seconds]) => {
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const { Mixer } = await import(url);
  const { tracks } = document.querySelector(".stem-player").player;
  const context = new OfflineAudioContext(2, seconds * 44100, 44100);
  const mixer = new Mixer(context, tracks);
  const gains = (muted, side) => tracks.map(({ sides }, track) =>
    sides.map((_, which) => +(track !== muted && which === Math.min(side, sides.length - 1))));
  mixer.setGains(gains(-1, 0));
  const acts = {
    play: (at) => mixer.play(at), seek: (at) => mixer.seek(at), loop: (ends) => mixer.setLoop(ends),
    pause: () => mixer.pause(), mute: (track) => mixer.setGains(gains(track, 0)),
    side: (which) => mixer.setGains(gains(-1, which)),
  };
  const positions = [];
  for (const [at, act, value] of steps) {
    const run = () => { acts[act](value); positions.push(mixer.position); };
    if (at) context.suspend(at).then(run).then(() => context.resume());
    else run();
  }
  const sound = await context.startRendering();
  return { positions, sound: [0, 1].map((channel) => [...sound.getChannelData(channel)]) };
}"""

METER = """() => {
  const { mixer } = document.querySelector(".stem-player").player;
  globalThis.meter = new AnalyserNode(mixer.context, { fftSize: 8192 });
  mixer.output.connect(globalThis.meter);
}"""


def noise(seed, level=0.1, seconds=SECONDS):
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn(2, seconds * RATE, generator=generator)


def sine(hertz, level):
    return level * torch.sin(2 * math.pi * hertz * torch.arange(SECONDS * RATE) / RATE).repeat(2, 1)


def show(page, tmp_path, player):
    path = tmp_path / "player.html"
    path.write_text(f"<meta charset=utf-8>{player.page_html()}", encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector(".stem-player[data-ready=yes]")


def rendered(page, steps, seconds=3):
    """Act on the player's mixer at given times of an offline context; return the sound."""
    code = MODULE.read_text(encoding="utf-8")
    made = page.evaluate(RENDER, [code, steps, seconds])
    return np.array(made["sound"], dtype=np.float32), made["positions"]


def level_db(sound):
    return 20 * math.log10(max(float(np.sqrt(np.mean(np.square(sound)))), 1e-12))


def part(sound, start_s, stop_s):
    return sound[:, round(start_s * RATE) : round(stop_s * RATE)]


def same(got, expected):
    """Allow half a step of 16 bit, and Chromium's scale: 32,767 above zero, 32,768 below."""
    return (np.abs(got - expected) <= (0.51 + np.abs(expected)) * STEP).all()


def test_stems_that_sum_to_zero_are_silent_after_every_act(page, tmp_path):
    stems = {f"stem {seed}": noise(seed) for seed in range(4)}
    stems["minus"] = -sum(stems.values())
    show(page, tmp_path, StemPlayer(stems, RATE, spectrogram=""))
    steps = [
        (0, "play", 0.0),
        (0.5, "seek", 1.3),
        (0.8, "loop", [0.21, 0.4567]),
        (1.4, "mute", 4),
        (1.7, "mute", -1),
        (2.0, "loop", None),
        (2.2, "pause", None),
        (2.4, "play", 0.7),
    ]
    sound, positions = rendered(page, steps)
    heard = {"play": (0, 0.5), "seek": (0.5, 0.8), "loop": (0.8, 1.4), "un-mute": (1.9, 2.0)}
    heard |= {"no loop": (2.0, 2.4), "again": (2.4, 3.0)}
    for act, (start_s, stop_s) in heard.items():
        level = level_db(part(sound, start_s, stop_s))
        assert level < -90, f"after {act}: {level:.1f} dBFS"
        assert level > -120, "and it is no silence: 16 bit leave their rounding"
    assert level_db(part(sound, 1.5, 1.7)) > -25, "a muted stem leaves the others"
    assert 0.21 <= positions[3] < 0.4567, "it looped"


def test_every_sample_comes_out_as_it_was(page, tmp_path):
    stem = noise(7)
    player = StemPlayer({"noise": stem}, RATE, spectrogram="")
    show(page, tmp_path, player)
    sound, _ = rendered(page, [(0, "play", 0.0)])
    start = round(LEAD_S * RATE)
    fade = round(FADE_S * RATE) + 1
    expected = player.gain * stem.numpy()
    got = sound[:, start : start + expected.shape[1]]
    assert same(got[:, fade:], expected[:, fade:])
    assert not sound[:, :start].any()
    assert not sound[:, start + expected.shape[1] + 1 :].any()


def test_a_loop_repeats_to_the_sample(page, tmp_path):
    stem = noise(3)
    show(page, tmp_path, StemPlayer({"noise": stem}, RATE, spectrogram=""))
    start, length = 22_050, 11_025
    steps = [(0, "loop", [start / RATE, (start + length) / RATE]), (0, "play", 0.0)]
    sound, _ = rendered(page, steps)
    first = round(LEAD_S * RATE) + length  # the second turn has no fade
    for turn in range(4):
        got = sound[:, first + turn * length : first + (turn + 1) * length]
        assert same(got, stem[:, start : start + length].numpy())


@pytest.mark.parametrize("act", ["side", "mute", "seek", "pause"])
def test_nothing_clicks(page, tmp_path, act):
    level, hertz = 0.5, 200
    stems, truth = {"tone": sine(hertz, level)}, {"tone": sine(hertz, -level)}
    show(page, tmp_path, StemPlayer(stems, RATE, references=truth, spectrogram=""))
    value = {"side": 1, "mute": 0, "seek": 0.3012, "pause": None}[act]
    sound, _ = rendered(page, [(0, "play", 0.0), (0.5, act, value)])
    around = part(sound, 0.4, 0.9)
    # A click is a corner: its second difference. The tone's own, plus that of the ramp's ends.
    tone = level * (2 * math.pi * hertz / RATE) ** 2
    step = 2 * level
    ramp = step / (FADE_S * RATE) if act in ("seek", "pause") else step / (RAMP_S * RATE)
    slope = 2 * (2 * math.pi * hertz / RATE) * step / (min(FADE_S, RAMP_S) * RATE)
    corner = np.abs(np.diff(around, n=2)).max()
    assert corner <= tone + ramp + slope
    assert corner < 0.02 * step, "a bare switch would be a corner of the whole step"


def test_a_and_b_are_at_the_same_position(page, tmp_path):
    stem = noise(5)
    show(
        page, tmp_path, StemPlayer({"a": stem}, RATE, references={"a": 0.5 * stem}, spectrogram="")
    )
    sound, positions = rendered(page, [(0, "play", 0.0), (0.5, "side", 1), (1.0, "side", 0)])
    start = round(LEAD_S * RATE)
    for start_s, stop_s, factor in ((0.1, 0.5, 1.0), (0.7, 1.0, 0.5), (1.2, 1.9, 1.0)):
        got, expected = part(sound[:, start:], start_s, stop_s - LEAD_S), stem.numpy()
        expected = factor * part(expected, start_s, stop_s - LEAD_S)
        assert same(got, expected)
    assert positions[1] == pytest.approx(0.5 - LEAD_S, abs=128 / RATE)


def test_the_real_output_is_silent_too(page, tmp_path):
    stems = {f"stem {seed}": noise(seed) for seed in range(3)}
    stems["minus"] = -sum(stems.values())
    player = StemPlayer(stems, RATE, spectrogram="")
    player.loop_s = [0.5, 1.9]  # so that a busy machine does not reach the end
    show(page, tmp_path, player)
    page.click(".play")
    page.evaluate(METER)
    assert -120 < output_db(page) < -90
    page.keyboard.press("ArrowRight")
    assert -120 < output_db(page) < -90, "after a jump"
    page.keyboard.press("1")
    assert output_db(page) > -30, "without one of them"
    page.keyboard.press("1")
    assert -120 < output_db(page) < -90, "after un-mute"
    page.locator("[data-stem=minus] .solo").click()
    assert output_db(page) > -30
    page.locator("[data-stem=minus] .solo").click()
    assert -120 < output_db(page) < -90, "after solo"


def output_db(page):
    page.wait_for_timeout(400)
    return level_db(
        page.evaluate("""() => {
      const samples = new Float32Array(8192);
      globalThis.meter.getFloatTimeDomainData(samples);
      return [...samples];
    }""")
    )
