// The volume viewer: NiiVue, unpacked and started when it is asked for or comes into sight; a pane
// per session, kept once it is open, two of them side by side where sessions are compared.
// Events, detail {session, x, y, z} in world mm of the T2*w: it listens to "cmb:show" (detail.both:
// beside another session; detail.with: which; detail.from: the button, to which the reader returns),
// "cmb:added" (detail: places of added lesions) and "cmb:blinded", and sends "cmb:place" where the crosshair goes (detail.asked: the reader moved it;
// detail.region) and "cmb:regions" (detail: places of added lesions, each with its region).
(() => {
  "use strict";
  const root = document.getElementById("viewer");
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const screen = root.querySelector(".viewer-screen");
  const message = root.querySelector(".viewer-message");
  const tool = (name) => root.querySelector(`[name=${name}]`);
  const number = (name) => Number(tool(name).value);
  // 0.5-99.5 % of the brain are far apart on T1w, and microbleeds need the dark end of T2*w.
  const WINDOWS = { T2starw: [25, 215], T1w: [20, 250] };
  const CLOSE = 4;  // zoom at which a microbleed is compared

  const boxes = [...screen.querySelectorAll(".pane")];
  const panes = new Map(data.sessions.map((one, k) => [one.key, new cmbPanes.Pane(one, boxes[k])]));
  const placed = data.sessions.filter((one) => one.to_first).map((one) => one.key);
  let windows = structuredClone(WINDOWS);
  let Niivue = null;
  let active = null;  // the pane that was shown or touched last
  let pair = null;  // keys of two sessions side by side, the earlier one first
  let alone = null;  // the one of the pair that is flipped to
  let beside = null;  // the session that the reader wants others to be shown with
  let opener = null;  // the button that put two sessions side by side
  let queue = null;  // loading goes one after the other
  let last = null;  // the place that was asked for
  let following = false;
  let blinded = false;  // outlines and regions tell what the algorithm made of a candidate

  const visible = () => (pair && !alone ? pair : [active?.session.key])
    .map((key) => panes.get(key)).filter((pane) => pane?.nv);

  function say(text) {
    message.hidden = !text;
    message.textContent = text;
  }

  function ready(keys) {
    queue ??= start(keys).catch(fail);
    return queue;
  }

  // Opens the sessions that are asked for, else the first one at its first candidate.
  async function start(keys) {
    const lacking = !document.createElement("canvas").getContext("webgl2") ? "WebGL2"
      : typeof DecompressionStream === "undefined" ? "DecompressionStream" : "";
    if (lacking) {
      throw new Error(`The volume viewer needs ${lacking}, which this browser does not have. The pictures show every candidate.`);
    }
    say("Opening the volume…");
    ({ Niivue } = await cmbPanes.code());
    await turn(keys ?? [data.sessions[0].key]);
    if (!keys) go(document.querySelector(`.card[data-session="${active.session.key}"]`)?.dataset);
  }

  function fail(error) {
    lay(false);
    say(error.message);
    for (const control of root.querySelectorAll(".viewer-tools :is(input, select, button)")) control.disabled = true;
    active = null;
  }

  async function opened(key) {
    const pane = panes.get(key);
    if (pane.nv) return pane;
    say("Opening the volume…");
    pane.box.hidden = false;
    await pane.open(Niivue, data.looks);
    pane.nv.onLocationChange = () => told(pane);
    tellRegions(pane);
    return pane;
  }

  // Two sessions stand over the page, which makes room for them above its content; what is on the
  // screen stays there.
  function lay(both) {
    const gallery = root.previousElementSibling;
    const { top } = gallery.getBoundingClientRect();
    root.classList.toggle("both", both);
    scrollBy({ top: gallery.getBoundingClientRect().top - top, behavior: "instant" });
  }

  // Shows one session, or two side by side; the last one is the active one.
  async function turn(keys) {
    const here = active?.place();
    const focused = boxes.some((box) => box.contains(document.activeElement));
    const both = keys.length > 1;
    lay(both);
    for (const pane of panes.values()) pane.box.hidden = !keys.includes(pane.session.key);
    const shown = [];
    for (const key of keys) shown.push(await opened(key));
    pair = both ? keys : null;
    alone = null;
    if (!both) opener = null;
    active = shown.at(-1);
    await shown[0].sliceLike(null);
    if (both) await active.sliceLike(shown[0]);
    paint();
    for (const pane of shown) {
      pane.planes(number("planes"));
      pane.nv.resizeListener();
      if (here) pane.go(here);
      pane.zoom(number("zoom"), tool("crosshair").checked);
    }
    if (focused) active.canvas.focus({ preventScroll: true });
    settle();
    say("");
  }

  // What is around the canvases.
  function settle() {
    const { key } = active.session;
    tool("session").value = key;
    for (const option of tool("with").options) option.disabled = option.value === key || !placed.includes(option.value);
    tool("with").value = partner(key) ?? "";
    tool("both").setAttribute("aria-pressed", String(Boolean(pair)));
    root.dataset.session = key;
    root.dataset.shown = visible().map((pane) => pane.session.key).join(" ");
    tool("blend").disabled = !active.layers.T1w;
    tool("flip").disabled = placed.length < 2;
    root.querySelector(".viewer-note").textContent = active.session.note;
    told(active);
  }

  // The other one of two sessions in the same place of the screen.
  async function flip() {
    const two = pair ?? pairOf(active.session.key);
    if (!two) return;
    if (!pair) return turn([two.find((key) => key !== active.session.key)]);
    alone = alone === two[0] ? two[1] : two[0];
    for (const key of two) panes.get(key).box.hidden = key !== alone;
    active = panes.get(alone);
    active.nv.resizeListener();
    zoom();
    paint();
    settle();
  }

  // One session again, and the reader where the two were asked for.
  async function close() {
    const back = opener;
    await turn([active.session.key]);
    back?.focus({ preventScroll: true });
    back?.scrollIntoView({ block: "center" });
  }

  // With which session another one is shown: the one the reader chose, else the one before it; if the
  // page has no volume of that one, with any other.
  function partner(key) {
    if (pair?.includes(key)) return pair.find((one) => one !== key);
    return [beside, panes.get(key).session.beside, ...placed].find((one) => one !== key && placed.includes(one));
  }

  // A session and another one, in the order of time.
  function pairOf(key, other = partner(key)) {
    const two = placed.filter((one) => one === key || one === other);
    return two.length === 2 ? two : null;
  }

  // Painting: every control is read anew.
  function paint() {
    for (const pane of visible()) {
      pane.paint({ look: blinded ? "" : tool("regions").value, opacity: number("opacity"), blend: number("blend"), windows,
        outlines: tool("outlines").checked && !blinded, ruler: tool("ruler").checked });
    }
  }

  function zoom() {
    for (const pane of visible()) pane.zoom(number("zoom"), tool("crosshair").checked);
  }

  // Where the crosshair is, and bringing it somewhere.
  function told(pane, asked = false) {
    if (following || !pane.nv || !pane.layers.outlines) return;
    following = true;
    for (const other of visible()) if (other !== pane) other.follow(pane);
    following = false;
    for (const one of visible()) one.rule();
    const own = pane.own();
    const [x, y, z] = own.map((mm) => mm.toFixed(1));
    const label = pane.region();
    const region = blinded ? "" : data.regions[label];
    tool("place").textContent = `x ${x}, y ${y}, z ${z} mm` + (region ? `, ${region}` : "")
      + visible().map((one) => `; ${visible().length > 1 ? `${one.session.key} ` : ""}${one.slice()}`).join("");
    send(pane, own, label, asked);
  }

  function send({ session: { key } }, [x, y, z], region, asked) {
    document.dispatchEvent(new CustomEvent("cmb:place", { detail: { session: key, x, y, z, region, asked } }));
  }

  // Where the lesions lie that the reader added.
  function tellRegions(pane) {
    if (!pane.layers.outlines || !pane.added.length) return;
    const detail = pane.added.map(([x, y, z]) =>
      ({ session: pane.session.key, x, y, z, region: pane.nearestRegion(pane.shared([x, y, z])) }));
    document.dispatchEvent(new CustomEvent("cmb:regions", { detail }));
  }

  async function show({ session: key, both, with: other, from, first, ...where }) {
    if (!panes.has(key)) return;
    const wanted = both ? pairOf(key, other) : null;
    if (wanted && from) {
      tool("zoom").value = Math.max(number("zoom"), CLOSE);
      lay(true);
      from.parentElement.scrollIntoView({ block: "start" });
    }
    await ready(wanted ?? [key]);
    if (!Niivue) return;
    queue = queue.then(async () => {
      if (wanted) {
        if (String(wanted) !== String(pair) || alone) await turn(wanted);
        active = panes.get(key);
        opener = from ?? opener;
      } else if (pair?.includes(key) && !alone) active = panes.get(key);
      else if (active?.session.key !== key || pair) await turn([key]);
    }).catch(fail);
    await queue;
    if (active) go({ session: key, first, ...where });
  }

  // first: the place is in the world of the first session.
  function go(where) {
    last = where;
    if (where) {
      const pane = panes.get(where.session);
      const place = [where.x, where.y, where.z].map(Number);
      active.go(where.first ? place : pane.shared(place));
    }
    zoom();
    settle();
  }

  document.addEventListener("cmb:show", ({ detail }) => show(detail));
  document.addEventListener("cmb:added", ({ detail }) => {
    for (const [key, pane] of panes) {
      const own = detail.filter((one) => one.session === key).map(({ x, y, z }) => [x, y, z]);
      if (String(own) === String(pane.added)) continue;
      pane.added = own;
      pane.ring();
      tellRegions(pane);
    }
    if (active) paint();
  });

  document.addEventListener("cmb:blinded", ({ detail }) => {
    blinded = detail;
    for (const name of ["outlines", "regions", "opacity"]) tool(name).disabled = blinded;
    if (!active) return;
    paint();
    told(active);
  });

  // Candidates, one after the other, in the order of their cards.
  function walk(step) {
    const cards = [...document.querySelectorAll(".card[data-lesion]")];
    const here = cards.findIndex(({ dataset: d }) => d.session === last?.session && d.x == last.x
      && d.y == last.y && d.z == last.z);
    const card = cards.at((here + step) % cards.length);
    card?.scrollIntoView({ block: "nearest" });
    if (card) show({ session: card.dataset.session, x: card.dataset.x, y: card.dataset.y, z: card.dataset.z, both: Boolean(pair) });
  }

  const moves = {
    ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
    PageUp: [0, 0, 1], PageDown: [0, 0, -1],
  };
  function pressed(pane, event) {
    if (!active || event.ctrlKey || event.metaKey || event.altKey) return;
    const slider = { "+": 0.5, "=": 0.5, "-": -0.5 }[event.key];
    const candidate = { "[": -1, "]": 1 }[event.key];
    const key = event.key.toLowerCase();
    if (moves[event.key]) {
      pane.nv.moveCrosshairInVox(...moves[event.key]);
      told(pane, true);
    } else if (slider) { tool("zoom").value = number("zoom") + slider; zoom(); }
    else if (candidate) walk(candidate);
    else if (key === "f") flip();
    else if (key === "x") tool("crosshair").click();
    else if (key === "escape" && pair) close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // A canvas: the first click gives it the focus and moves the crosshair, and offers nothing.
  for (const pane of panes.values()) {
    let focused = false;
    pane.canvas.addEventListener("pointerdown", () => {
      focused = document.activeElement === pane.canvas;
      active = pane.nv && (!pair || pair.includes(pane.session.key)) ? pane : active;
    }, { capture: true });
    pane.canvas.addEventListener("click", () => { if (active && pane.nv) told(pane, focused); });
    pane.canvas.addEventListener("pointermove", ({ buttons }) => { if (buttons && pane.nv) told(pane); });
    pane.canvas.addEventListener("keydown", (event) => pressed(pane, event), { capture: true });
  }

  // The wheel belongs to the page until the reader clicks into the volume.
  screen.addEventListener("wheel", (event) => {
    if (!boxes.some((box) => box.contains(document.activeElement))) event.stopPropagation();
  }, { capture: true });

  // Controls.
  const first = [...root.querySelectorAll(".sliders input[type=range]")].map((input) => [input, input.value]);
  function fromWindow() {
    [tool("black").value, tool("white").value] = windows[tool("contrast").value];
  }
  root.addEventListener("input", ({ target: { name, value } }) => {
    if (!active) return;
    if (name === "session") show({ session: value, both: Boolean(pair), first: true, ...origin() });
    else if (name === "with") {
      beside = value;
      if (pair) show({ session: active.session.key, with: value, both: true, first: true, ...origin() });
    }
    else if (name === "planes") visible().forEach((pane) => pane.planes(number("planes")));
    else if (name === "zoom" || name === "crosshair") zoom();
    else if (name === "contrast") fromWindow();
    else {
      if (name === "black" || name === "white") windows[tool("contrast").value] = [number("black"), number("white")];
      paint();
    }
    told(active);
  });
  // The same place of the head; of a session that could not be registered, of the scanner.
  function origin() {
    const [x, y, z] = active.place();
    return { x, y, z };
  }
  const acts = {
    open: () => ready(), previous: () => walk(-1), next: () => walk(1), flip,
    both: () => {
      if (pair) return close();
      const wanted = pairOf(active.session.key);
      return wanted && turn(wanted);
    },
    reset: () => {
      for (const [input, value] of first) input.value = value;
      windows = structuredClone(WINDOWS);
      fromWindow();
      paint();
      zoom();
    },
  };
  root.addEventListener("click", ({ target }) => {
    const act = target.closest("button") && acts[target.closest("button").name];
    if (act && (active || act === acts.open)) act();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && pair && !event.defaultPrevented && !document.querySelector("dialog[open]")) close();
  });

  new IntersectionObserver((entries, observer) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      ready();
    }
  }, { threshold: 0.4 }).observe(screen);
})();
