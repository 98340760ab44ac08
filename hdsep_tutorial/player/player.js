// Stems on one clock: the sound (class Mixer), its desk (function mount) and its two entrances:
// a notebook calls `render` through anywidget, a page without a kernel calls `mountAll`.
// One ES module without libraries, so that it can be read, and inlined into a page as it is.

const LEAD_S = 0.03; // all sources get one start time a little ahead, so that none comes late
const FADE_S = 0.005; // of a start or a jump: too slow to click, too fast to notice
const RAMP_S = 0.008; // time constant of a gain
const TRIALS = 10;
const QUIETEST_DB = -60;
const SHARED = ["gains_db", "muted", "soloed", "on_reference", "loop_s", "position_s"];
const KEYS = [
  ["Space", "play or pause"], ["← →", "one second back or on"], ["Home End", "to the start or end"],
  ["1 – 8", "mute a stem"], ["Shift 1 – 8", "solo a stem"], ["x", "A/B: estimate or reference"],
  ["l", "loop on or off"], ["[ ]", "loop from here, to here"], ["?", "show or hide this list"],
];

const dB = (amplitude) => 20 * Math.log10(Math.max(amplitude, 1e-6));
const signed = (number) => `${number > 0 ? "+" : ""}${number.toFixed(1)}`.replace("-", "−");

/** Plays tracks of an estimate and perhaps a reference, in any audio context, also an offline one.
 *  Times are seconds of the clip. Sources start together and never restart one by one; muting, solo
 *  and A/B only move gains, so they cannot shift anything in time. */
export class Mixer {
  constructor(context, tracks) {
    this.context = context;
    this.tracks = tracks; // [{sides: [AudioBuffer of the estimate, of the reference if any]}]
    this.duration = tracks[0].sides[0].duration;
    Object.assign(this, { loop: null, playing: false, offset: 0, startedAt: 0, voices: [] });
    this.output = context.createGain();
    this.output.connect(context.destination);
    this.faders = tracks.map(({ sides }) => sides.map(() => this.fader()));
    this.buses = this.faders.map((faders) => {
      const bus = this.fader();
      faders.forEach((fader) => fader.connect(bus));
      bus.connect(this.output);
      return bus;
    });
  }

  fader() {
    // Stereo throughout: a mono stem sounds left and right.
    return new GainNode(this.context, { channelCount: 2, channelCountMode: "explicit" });
  }

  get position() {
    if (!this.playing) return this.offset;
    let at = this.offset + Math.max(0, this.context.currentTime - this.startedAt);
    if (this.loop) {
      const [start, stop] = this.loop;
      if (at >= stop) at = start + ((at - start) % (stop - start));
    }
    return Math.min(at, this.duration);
  }

  /** Sets gains as factors: a list per track, of a number per side. */
  setGains(gains) {
    const now = this.context.currentTime;
    gains.forEach((sides, track) => sides.forEach((gain, side) => {
      const param = this.faders[track][side].gain;
      param.cancelScheduledValues(now);
      if (this.playing) param.setTargetAtTime(gain, now, RAMP_S);
      else param.setValueAtTime(gain, now); // nobody hears the step
    }));
  }

  /** Starts or jumps: new sources fade in while old ones fade out, all on whole samples. */
  play(at = this.offset) {
    const rate = this.context.sampleRate;
    const whole = (seconds) => Math.round(seconds * rate) / rate;
    const when = whole(this.context.currentTime + LEAD_S);
    if (this.loop && (at < this.loop[0] || at >= this.loop[1])) at = this.loop[0];
    if (at >= this.duration) at = 0;
    this.hush(when);
    this.voices = this.tracks.flatMap(({ sides }, track) => sides.map((buffer, side) => {
      const source = new AudioBufferSourceNode(this.context, { buffer });
      const fade = new GainNode(this.context, { gain: 0 });
      source.connect(fade).connect(this.faders[track][side]);
      fade.gain.setValueAtTime(0, when);
      fade.gain.linearRampToValueAtTime(1, when + FADE_S);
      if (this.loop) [source.loop, source.loopStart, source.loopEnd] = [true, ...this.loop];
      source.start(when, whole(at));
      return { source, fade };
    }));
    Object.assign(this, { playing: true, offset: whole(at), startedAt: when });
    const first = this.voices[0];
    first.source.onended = () => first === this.voices[0] && this.end();
  }

  hush(when) {
    for (const { source, fade } of this.voices) {
      fade.gain.setValueAtTime(1, when);
      fade.gain.linearRampToValueAtTime(0, when + FADE_S);
      source.stop(when + 2 * FADE_S);
    }
    this.voices = [];
  }

  pause() {
    this.offset = this.position;
    this.playing = false;
    this.hush(this.context.currentTime);
  }

  end() {
    Object.assign(this, { voices: [], playing: false, offset: 0 }); // a fade could still be heard
    this.ended?.();
  }

  seek(at) {
    at = Math.max(0, Math.min(at, this.duration));
    if (this.playing) this.play(at);
    else this.offset = at;
  }

  setLoop(loop) {
    const at = this.position;
    this.loop = loop;
    if (this.playing) this.play(at); // sources that loop would otherwise not agree on the moment
  }

  /** Returns a function that measures the peaks, left and right, of what leaves a node. */
  meter(node) {
    const split = new ChannelSplitterNode(this.context, { numberOfOutputs: 2 });
    const samples = new Float32Array(2048);
    const analysers = [0, 1].map((channel) => {
      const analyser = new AnalyserNode(this.context, { fftSize: samples.length });
      split.connect(analyser, channel);
      return analyser;
    });
    node.connect(split);
    return () => analysers.map((analyser) => {
      analyser.getFloatTimeDomainData(samples);
      return samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
    });
  }

  close() {
    this.ended = null;
    this.pause();
    setTimeout(() => this.output.disconnect(), 100);
  }
}

/** Decodes at the song's own rate: a context at another rate would resample. */
function decode(bytes, rate) {
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  return new OfflineAudioContext(2, 1, rate).decodeAudioData(copy); // which takes its buffer away
}

/** One context per page and rate, made at the first click as browsers want it. Notebooks load this
 *  module once per widget, so it cannot be a variable of the module. */
function sharedContext(rate) {
  const contexts = (globalThis.stemPlayerContexts ??= {});
  return (contexts[rate] ??= new AudioContext({ sampleRate: rate }));
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children); // strings become text, never HTML
  return made;
}

/** Finds the largest sample of each column of a waveform's picture. */
function peaksOf(buffer, columns = 1000) {
  const peaks = new Float32Array(columns);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) {
      const column = Math.floor((i * columns) / samples.length);
      if (Math.abs(samples[i]) > peaks[column]) peaks[column] = Math.abs(samples[i]);
    }
  }
  return peaks;
}

/** Counts how often guessing gets at least this many of ten right: the tail of a fair coin. */
function byGuessing(right) {
  let [ways, tail] = [1, 0];
  for (let k = 0; k <= TRIALS; k++) {
    if (k >= right) tail += ways;
    ways = (ways * (TRIALS - k)) / (k + 1);
  }
  return tail / 2 ** TRIALS;
}

/** Builds a player in `root`. `song` is what Python knows, `sounds` the encoded estimates and then
 *  the references, `remote` (optional) gets and sets the shared state in Python. */
export function mount(root, song, sounds, remote = null) {
  const { stems, start_s: startS, duration_s: durationS } = song;
  const withReference = stems.filter((stem) => stem.has_reference).map((stem) => stem.name);
  const state = { ...song.state, playing: false };
  for (const name of SHARED) state[name] = remote?.get(name) ?? state[name];
  const lastS = startS + durationS; // a saved page may hold fewer seconds than were set
  state.position_s = Math.min(state.position_s, lastS);
  if (state.loop_s[1] > lastS + 1e-6) state.loop_s = [];
  let [mixer, meters, peaks, blind, loudest, pushedAt] = [null, [], [], null, 0, 0];

  const button = (text, label, onclick, extra = {}) =>
    element("button", { type: "button", title: label, "aria-label": label, onclick, ...extra }, text);
  const play = button("▶ Play", "Play or pause (space)", () => toggle(), { class: "play", disabled: "" });
  const loop = button("⟲ Loop", "Loop on or off (l)", () => toggleLoop());
  const side = button("A/B", "All stems: estimate or reference (x)", () => toggleSide(), { class: "side" });
  const test = button("Blind test", "Blind test: A/B/X of what sounds now", () => startBlind());
  const help = button("?", "Show the keys (?)", () => (keys.hidden = !keys.hidden), { class: "help" });
  const clock = element("span", { class: "clock" });
  const status = element("span", { class: "status", role: "status" }, "loading …");
  const level = element("span", { class: "level", title: "peak of the output since the start" });
  const panel = element("div", { class: "blind", role: "group", "aria-label": "Blind test" });
  const keys = element("dl", { class: "keys" },
    ...KEYS.map(([key, does]) => element("div", {}, element("dt", {}, key), element("dd", {}, does))));
  keys.hidden = panel.hidden = true;
  const bar = element("div", { class: "bar" }, play, loop);
  if (withReference.length) bar.append(side, test);
  bar.append(clock, status, level, help);

  const percent = (at) => `${(100 * at) / durationS}%`;
  const seconds = (at) => (at + startS).toFixed(durationS > 60 ? 1 : 2);
  const timeline = element("div", { class: "timeline", role: "slider", tabindex: 0,
    "aria-label": "Position in the song, in seconds", "aria-valuemin": startS,
    "aria-valuemax": lastS });
  const region = element("div", { class: "region" });
  const cursor = element("div", { class: "cursor" });
  timeline.append(region, cursor);
  const lanes = element("div", { class: "lanes" }, element("span", { class: "head" }), ruler());
  if (song.picture) lanes.append(...pictureLane());
  const rows = stems.map((stem, index) => stemLane(stem, index));
  lanes.append(timeline);
  const name = song.title || "Stem player";
  const desk = element("div", { class: "stem-player", role: "group", "aria-label": name,
    "data-lm-suppress-shortcuts": "true" }); // JupyterLab takes single keys for its own commands
  if (song.title) desk.append(element("div", { class: "title" }, song.title));
  desk.append(bar, panel, keys, lanes);
  if (song.note) desk.append(element("div", { class: "note" }, song.note));
  root.replaceChildren(desk);

  function ruler() {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120];
    const step = steps.find((width) => durationS / width <= 10) ?? 300;
    const lane = element("div", { class: "lane ruler", "aria-hidden": "true" });
    for (let at = Math.ceil(startS / step) * step; at < lastS; at += step) {
      const tick = element("span", {}, `${+at.toFixed(1)}${lane.childElementCount ? "" : " s"}`);
      tick.style.left = percent(at - startS);
      lane.append(tick);
    }
    return lane;
  }

  function pictureLane() {
    const { url, text, label, ticks, duration_s: pictureS } = song.picture;
    const image = element("img", { src: url, alt: text, draggable: "false" });
    image.style.width = percent(pictureS); // a page may hold fewer seconds
    const head = element("div", { class: "head axis" }, element("span", {}, label));
    for (const [hertz, height] of ticks) {
      const tick = element("span", { class: "tick" }, hertz);
      tick.style.bottom = `${100 * height}%`;
      head.append(tick);
    }
    return [head, element("div", { class: "lane picture" }, image)];
  }

  function stemLane(stem, index) {
    const { name } = stem;
    const flip = (list) => () => change({ [list]: flipped(state[list], name) });
    const key = index + 1;
    const mute = button("M", `Mute ${name} (${key})`, flip("muted"), { class: "mute" });
    const solo = button("S", `Solo ${name} (shift ${key})`, flip("soloed"), { class: "solo" });
    const swap = button("A", "", flip("on_reference"), { class: "swap" });
    const gain = element("input", { type: "range", min: QUIETEST_DB, max: 12, step: 0.5,
      "aria-label": `Volume of ${name} in dB`, title: "double click: 0 dB",
      oninput: () => change({ gains_db: { ...state.gains_db, [name]: +gain.value } }),
      ondblclick: () => change({ gains_db: { ...state.gains_db, [name]: 0 } }) });
    const shown = element("span", { class: "decibel" });
    const bars = [element("i"), element("i")];
    const meter = element("span", { class: "meter", "aria-hidden": "true" }, ...bars);
    const label = element("span", { class: "name", title: name }, name);
    const head = element("div", { class: "head stem", "data-stem": name }, label, mute, solo);
    if (stem.has_reference) head.append(swap);
    head.append(gain, shown, meter);
    const canvas = element("canvas", { width: 1000, height: 96, role: "img",
      "aria-label": `Waveform of ${name}` });
    const lane = element("div", { class: "lane wave" }, canvas);
    head.style.setProperty("--stem", stem.color);
    lanes.append(head, lane);
    return { ...stem, index, head, lane, mute, solo, swap, gain, shown, bars, canvas, drawn: -1 };
  }

  // The state: one way in, from a click, a key or Python; one way out, to sound, desk and Python.

  function flipped(list, name) {
    return list.includes(name) ? list.filter((other) => other !== name) : [...list, name];
  }

  function change(news) {
    Object.assign(state, news);
    if (mixer && "loop_s" in news) mixer.setLoop(loopOfClip());
    if (mixer && "position_s" in news) mixer.seek(state.position_s - startS);
    mixer?.setGains(gains());
    push();
    show();
  }

  const loopOfClip = () => (state.loop_s.length ? state.loop_s.map((at) => at - startS) : null);
  const position = () => mixer?.position ?? state.position_s - startS;

  function audible(name) {
    return state.soloed.length ? state.soloed.includes(name) : !state.muted.includes(name);
  }

  function sideOf({ name, has_reference: hasReference }) {
    if (!hasReference) return 0;
    if (!blind) return +state.on_reference.includes(name);
    return { A: 0, B: 1, X: blind.x }[blind.heard];
  }

  function gains() {
    return stems.map((stem) => {
      const gain = audible(stem.name) ? 10 ** (state.gains_db[stem.name] / 20) : 0;
      return (stem.has_reference ? [0, 1] : [0]).map((side) => (side === sideOf(stem) ? gain : 0));
    });
  }

  function push() {
    state.position_s = startS + position();
    pushedAt = performance.now();
    if (!remote) return;
    const news = SHARED.filter((name) => JSON.stringify(remote.get(name)) !== JSON.stringify(state[name]));
    if (news.length) remote.set(Object.fromEntries(news.map((name) => [name, state[name]])));
  }

  const stopListening = remote?.on((name) => {
    if (JSON.stringify(remote.get(name)) !== JSON.stringify(state[name])) {
      change({ [name]: remote.get(name) });
    }
  });

  // What the desk does.

  async function toggle() {
    if (!peaks.length) return;
    if (state.playing) return pause();
    document.dispatchEvent(new CustomEvent("stem-player-plays", { detail: desk }));
    document.querySelectorAll("audio").forEach((other) => other.pause());
    mixer ?? connect();
    await mixer.context.resume(); // a context sleeps until a click
    mixer.play();
    [state.playing, loudest] = [true, 0];
    show();
    requestAnimationFrame(tick);
  }

  function connect() {
    mixer = new Mixer(sharedContext(song.sample_rate), tracks);
    meters = [...mixer.buses, mixer.output].map((node) => mixer.meter(node));
    mixer.ended = () => {
      pause();
      if (blind) toggle(); // a clip is often shorter than a decision
    };
    mixer.setLoop(loopOfClip());
    mixer.seek(state.position_s - startS);
    mixer.setGains(gains());
  }

  function pause() {
    mixer?.pause();
    state.playing = false;
    push();
    show();
  }

  const seek = (at) => change({ position_s: startS + Math.max(0, Math.min(at, durationS)) });

  function setLoop(start, stop) {
    const [a, b] = [Math.max(0, start), Math.min(durationS, stop)];
    change({ loop_s: b - a > 0.02 ? [startS + a, startS + b] : [] });
  }

  function toggleLoop() {
    if (state.loop_s.length) change({ loop_s: [] });
    else setLoop(Math.min(position(), durationS - 1), position() + 2);
  }

  function toggleSide() {
    if (blind) return hear({ A: "B", B: "X", X: "A" }[blind.heard]);
    const all = withReference.every((name) => state.on_reference.includes(name));
    change({ on_reference: all ? [] : withReference });
  }

  // Blind A/B/X: A is the estimate, B the reference, X one of them. Nothing tells until the end.

  const coin = () => Math.floor(2 * Math.random());

  function startBlind() {
    blind = blind ? null : { heard: "A", x: coin(), answers: [] };
    if (blind && !state.playing) toggle();
    showBlind();
  }

  function hear(heard) {
    blind.heard = heard;
    if (!state.playing) toggle();
    showBlind();
  }

  function answer(said) {
    const answers = [...blind.answers, said === blind.x];
    blind = { heard: "A", x: coin(), answers };
    if (answers.length < TRIALS) return showBlind();
    blind = null;
    showBlind();
    showResult(answers);
  }

  function showBlind() {
    change({});
    panel.hidden = !blind;
    if (!blind) return;
    const listen = ["A", "B", "X"].map((which) => button(which, `Hear ${which}`,
      () => hear(which), { "aria-pressed": blind.heard === which, "data-hear": which }));
    const say = ["A", "B"].map((which, index) =>
      button(`X is ${which}`, `X is ${which}`, () => answer(index), { "data-say": which }));
    panel.replaceChildren(element("b", {}, `Trial ${blind.answers.length + 1} of ${TRIALS}`),
      "A: estimate, B: reference, X: one of them. Hear", ...listen, "and decide:", ...say);
  }

  function showResult(answers) {
    const right = answers.filter(Boolean).length;
    const chance = Math.max(1, Math.round(100 * byGuessing(right)));
    panel.hidden = false;
    panel.replaceChildren(element("b", {}, `${right} of ${TRIALS} right`),
      `Guessing gets as many in ${chance} of 100 tests.`,
      `Trials: ${answers.map((good, i) => `${i + 1} ${good ? "right" : "wrong"}`).join(", ")}.`,
      button("Close", "Close the blind test", () => (panel.hidden = true)));
  }

  // What the desk shows.

  function tick() {
    if (!state.playing || !desk.isConnected) return state.playing && pause();
    if (performance.now() - pushedAt > 250) push(); // Python need not know every frame
    showTime();
    showLevels();
    requestAnimationFrame(tick);
  }

  function show() {
    play.textContent = state.playing ? "❚❚ Pause" : "▶ Play";
    loop.setAttribute("aria-pressed", state.loop_s.length > 0);
    const onReference = withReference.filter((name) => state.on_reference.includes(name)).length;
    const mixed = onReference && onReference < withReference.length;
    side.textContent = `A/B: ${blind ? "blind" : mixed ? "both" : onReference ? "reference" : "estimate"}`;
    side.setAttribute("aria-label", `${side.textContent}, of all stems (x)`);
    test.setAttribute("aria-pressed", Boolean(blind));
    desk.classList.toggle("is-blind", Boolean(blind)); // meters and colours would tell
    timeline.setAttribute("aria-valuenow", state.position_s.toFixed(2)); // not with every frame:
    timeline.setAttribute("aria-valuetext", `${seconds(position())} seconds`); // readers speak it
    for (const row of rows) showRow(row);
    showTime();
    showLevels();
  }

  function showRow(row) {
    const { name } = row;
    const which = blind ? 0 : sideOf(row);
    row.mute.setAttribute("aria-pressed", state.muted.includes(name));
    row.solo.setAttribute("aria-pressed", state.soloed.includes(name));
    const heard = which ? "B: reference" : "A: estimate";
    row.swap.textContent = which ? "B" : "A";
    row.swap.title = `${name}, ${heard}; press for the other`;
    row.swap.setAttribute("aria-label", row.swap.title);
    row.swap.setAttribute("aria-pressed", which === 1);
    row.swap.disabled = Boolean(blind);
    row.gain.value = state.gains_db[name];
    row.shown.textContent = `${signed(state.gains_db[name])} dB`;
    for (const part of [row.head, row.lane]) part.classList.toggle("silent", !audible(name));
    if (peaks.length && row.drawn !== which) drawWave(row, which);
  }

  function drawWave(row, which) {
    row.drawn = which;
    const { canvas } = row;
    const [pen, middle] = [canvas.getContext("2d"), canvas.height / 2];
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = row.color;
    const tallest = Math.max(...peaks.flat().map((wave) => Math.max(...wave)), 1e-3); // one scale
    peaks[row.index][which].forEach((peak, column) => {
      const height = Math.max(1, (peak / tallest) * canvas.height * 0.96);
      pen.fillRect(column, middle - height / 2, 1, height);
    });
  }

  function showTime() {
    cursor.style.left = percent(position());
    clock.textContent = `${seconds(position())} s`;
    if (!pressed) showRegion(loopOfClip()); // else it follows the pointer
  }

  function showRegion(ends) {
    region.hidden = !ends;
    if (ends) Object.assign(region.style, { left: percent(ends[0]), width: percent(ends[1] - ends[0]) });
  }

  function showLevels() {
    const heights = (peaks) => peaks.map((peak) =>
      `${state.playing ? Math.max(0, 100 * (1 - dB(peak) / QUIETEST_DB)) : 0}%`);
    rows.forEach((row, index) => heights(meters[index]?.() ?? [0, 0]).forEach((height, channel) => {
      row.bars[channel].style.height = height;
    }));
    if (state.playing) loudest = Math.max(loudest, ...meters[rows.length]());
    const over = loudest > 1;
    level.classList.toggle("over", over);
    const text = loudest ? `${over ? "CLIPS: " : "peak "}${signed(dB(loudest))} dBFS` : "";
    if (level.textContent !== text) level.textContent = text;
  }

  // Pointer and keys. Where a region is dragged, it loops; a click seeks, outside it leaves the loop.

  let pressed = null;
  const timeAt = (event) => {
    const box = timeline.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * durationS;
  };
  const pulled = (event) => [pressed.at, timeAt(event)].sort((a, b) => a - b);
  timeline.addEventListener("pointerdown", (event) => {
    timeline.setPointerCapture(event.pointerId);
    pressed = { at: timeAt(event), x: event.clientX, dragged: false };
  });
  timeline.addEventListener("pointermove", (event) => {
    if (!pressed) return;
    pressed.dragged ||= Math.abs(event.clientX - pressed.x) > 4;
    if (pressed.dragged) showRegion(pulled(event));
  });
  timeline.addEventListener("pointerup", (event) => {
    if (!pressed) return;
    const [ends, { at, dragged }, loop] = [pulled(event), pressed, loopOfClip()];
    pressed = null;
    if (dragged) return setLoop(...ends);
    if (loop && (at < loop[0] || at > loop[1])) change({ loop_s: [] });
    seek(at);
  });
  timeline.addEventListener("pointercancel", () => (pressed = null));
  desk.addEventListener("click", (event) => event.detail && timeline.focus({ preventScroll: true }));

  desk.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // Ctrl+S belongs to JupyterLab
    if (event.key !== "Tab") event.stopPropagation();
    const digit = /^(?:Digit|Numpad)([1-8])$/.exec(event.code)?.[1];
    const row = digit && rows[digit - 1];
    const { tagName } = event.target;
    const own = { BUTTON: [" ", "Enter"], INPUT: ["ArrowLeft", "ArrowRight", "Home", "End"] }[tagName];
    const act = {
      " ": toggle, ArrowLeft: () => seek(position() - 1), ArrowRight: () => seek(position() + 1),
      Home: () => seek(0), End: () => seek(durationS - 0.01), x: () => withReference.length && toggleSide(),
      l: toggleLoop, "[": () => setLoop(position(), loopOfClip()?.[1] ?? durationS),
      "]": () => setLoop(loopOfClip()?.[0] ?? 0, position()), "?": () => help.click(),
    }[event.key.length > 1 ? event.key : event.key.toLowerCase()];
    if (own?.includes(event.key)) return;
    if (row) (event.shiftKey ? row.solo : row.mute).click();
    else if (act) act();
    else return;
    event.preventDefault();
  });

  const pauseForOther = (event) => event.detail !== desk && state.playing && pause();
  document.addEventListener("stem-player-plays", pauseForOther);

  // Sounds arrive one after the other, so that a long song never exists twice.

  const tracks = stems.map(() => ({ sides: [] }));
  async function load() {
    const owners = [...stems.keys(), ...stems.keys()].filter((owner, i) =>
      i < stems.length || stems[owner].has_reference);
    for (const [number, owner] of owners.entries()) {
      status.textContent = `loading ${stems[owner].name} …`;
      tracks[owner].sides.push(await decode(sounds[number], song.sample_rate));
    }
    peaks = tracks.map(({ sides }) => sides.map((buffer) => peaksOf(buffer)));
    play.disabled = false;
    status.textContent = remote || !root.closest(".jp-NotebookPanel") ? "" :
      "saved sound: run the cell to connect it to Python";
    show();
    desk.dataset.ready = "yes";
  }
  const ready = load().catch((error) => {
    desk.dataset.ready = "failed";
    status.textContent = `This browser cannot decode the sound (${error.message}): run the cell again`;
  });

  show();
  const close = () => {
    mixer?.close();
    document.removeEventListener("stem-player-plays", pauseForOther);
    stopListening?.();
  };
  desk.player = { state, tracks, ready, gains, close, get mixer() { return mixer; } }; // for the tests
  return desk.player;
}

/** Mounts what a page holds: rows of <audio>, which play without this module too, become players. */
export function mountAll() {
  for (const page of document.querySelectorAll(".stem-player-page:not([data-mounted])")) {
    page.dataset.mounted = "yes";
    const song = JSON.parse(page.querySelector("script[type='application/json']").textContent);
    if (song.picture) song.picture.url = page.querySelector("img").src; // it is in the page once
    const sounds = [...page.querySelectorAll("audio")].map((audio) => {
      const text = atob(audio.getAttribute("src").split(",")[1]);
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
      return bytes;
    });
    mount(page, song, sounds);
  }
}

export default {
  render({ model, el }) {
    const remote = {
      get: (name) => model.get(name),
      set: (news) => {
        for (const [name, value] of Object.entries(news)) model.set(name, value);
        model.save_changes();
      },
      on: (listener) => {
        const listeners = SHARED.map((name) => [`change:${name}`, () => listener(name)]);
        for (const pair of listeners) model.on(...pair);
        return () => listeners.forEach((pair) => model.off(...pair));
      },
    };
    return mount(el, model.get("song"), model.get("audio"), remote).close;
  },
};
