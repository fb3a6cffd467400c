// The volume viewer: NiiVue, unpacked and started when it is asked for or comes into sight.
// It listens to "cmb:show" and sends "cmb:place" where the reader clicks: {session, x, y, z},
// world mm of the T2*w.
(() => {
  "use strict";
  const root = document.getElementById("viewer");
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const canvas = root.querySelector("canvas");
  const screen = root.querySelector(".viewer-screen");
  const message = root.querySelector(".viewer-message");
  const tool = (name) => root.querySelector(`[name=${name}]`);
  const number = (name) => Number(tool(name).value);

  const CROSSHAIR_MM = 0.5;
  let nv = null;
  let session = null;  // what is shown: an entry of data.sessions
  let layers = {};  // its volumes by name
  let queue = null;  // loading goes one after the other
  let last = null;  // the place that was asked for

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const unpack = (element) => new Response(new Blob([bytes(element.textContent)]).stream()
    .pipeThrough(new DecompressionStream("gzip")));

  function say(text) {
    message.hidden = !text;
    message.textContent = text;
  }

  // Starting.
  async function start() {
    const lacking = !document.createElement("canvas").getContext("webgl2") ? "WebGL2"
      : typeof DecompressionStream === "undefined" ? "DecompressionStream" : "";
    if (lacking) {
      throw new Error(`This browser has no ${lacking}, which the volume needs. The pictures show every place.`);
    }
    say("Opening the volume…");
    const code = await unpack(document.getElementById("viewer-script")).blob();
    const { Niivue } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    nv = new Niivue({
      logLevel: "error", loadingText: "", dragAndDropEnabled: false, isRadiologicalConvention: true,
      sagittalNoseLeft: true, multiplanarShowRender: 0, crosshairColor: [0.94, 0.89, 0.26, 0.6],
      crosshairWidth: CROSSHAIR_MM, crosshairWidthUnit: "mm", crosshairGap: 12, fontColor: [0.8, 0.8, 0.8, 1],
      fontSizeScaling: 0.3, dragMode: 4, viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
    });
    await nv.attachToCanvas(canvas);
    nv.onLocationChange = told;
    // Grey that covers what lies below, so that half of one image and half of another is a blend.
    nv.addColormap("plain", { R: [0, 255], G: [0, 255], B: [0, 255], A: [255, 255], I: [0, 255] });
    await load(data.sessions[0]);
  }

  function ready() {
    queue ??= start().catch(fail);
    return queue;
  }

  function fail(error) {
    say(error.message);
    for (const control of root.querySelectorAll(".viewer-tools :is(input, select, button)")) control.disabled = true;
    nv = null;
  }

  async function load(wanted) {
    if (wanted === session) return;
    say("Opening the volume…");
    while (nv.volumes.length) nv.removeVolume(nv.volumes[0]);
    layers = {};
    for (const name of wanted.volumes) {
      const element = document.querySelector(`[data-volume="${name}"][data-of="${wanted.key}"]`);
      await nv.loadFromArrayBuffer(await unpack(element).arrayBuffer(), `${name}.nii`);
      layers[name] = nv.volumes.at(-1);
    }
    session = wanted;
    tool("session").value = wanted.key;
    tool("blend").disabled = !layers.T1w;
    root.querySelector(".viewer-note").textContent = wanted.note;
    for (const name of ["T2starw", "T1w"]) if (layers[name]) layers[name].colormap = "plain";
    layers.outlines.setColormapLabel(lookup(data.looks.outlines));
    planes();
    paint();
    go(document.querySelector(`.card[data-session="${wanted.key}"]`)?.dataset);
    root.dataset.session = wanted.key;
    say("");
  }

  // Painting: every control is read anew.
  function lookup(colours) {
    const entries = [[0, "#000000"], ...Object.entries(colours)];
    const part = (from) => entries.map(([, colour]) => parseInt(colour.slice(from, from + 2), 16));
    return { R: part(1), G: part(3), B: part(5), A: entries.map(([, c], k) => (k ? 255 : 0)), I: entries.map(([n]) => Number(n)) };
  }

  function paint() {
    const look = tool("regions").value;
    const black = Math.min(number("black"), number("white") - 1);
    for (const name of ["T2starw", "T1w"]) {
      if (layers[name]) Object.assign(layers[name], { cal_min: black, cal_max: number("white") });
    }
    if (layers.T1w) layers.T1w.opacity = number("blend");
    if (look) layers.regions.setColormapLabel(lookup(data.looks[look]));
    layers.regions.opacity = look ? number("opacity") : 0;
    layers.outlines.opacity = tool("outlines").checked ? 1 : 0;
    nv.updateGLVolume();
  }

  // One plane, or a large axial one with the two others beside it.
  function planes() {
    const [axial, coronal, sagittal, all] = [0, 1, 2, 3];
    const tile = (sliceType, ...position) => ({ sliceType, position });
    nv.setSliceType(number("planes"));
    if (number("planes") !== all) nv.clearCustomLayout();
    else nv.setCustomLayout([tile(axial, 0, 0, 0.6, 1), tile(coronal, 0.6, 0, 0.4, 0.5), tile(sagittal, 0.6, 0.5, 0.4, 0.5)]);
  }

  // Zooming keeps the crosshair in the middle.
  function zoom() {
    const factor = number("zoom");
    const middle = nv.frac2mm([0.5, 0.5, 0.5]);
    const here = nv.frac2mm(nv.scene.crosshairPos);
    const pan = factor === 1 ? [0, 0, 0] : [0, 1, 2].map((axis) => middle[axis] - factor * here[axis]);
    nv.opts.crosshairWidth = CROSSHAIR_MM / factor;
    nv.setPan2Dxyzmm([...pan, factor]);
  }

  // Places: where the crosshair is, and bringing it somewhere.
  const place = () => [...nv.frac2mm(nv.scene.crosshairPos, 0, true)].slice(0, 3);

  function told({ values }) {
    const of = (name) => values.find((value) => value.id === layers[name]?.id)?.value;
    const [x, y, z] = place().map((mm) => mm.toFixed(1));
    const region = data.regions[Math.round(of("regions") ?? 0)];
    tool("place").textContent = `x ${x}, y ${y}, z ${z} mm` + (region ? `, ${region}` : "");
  }

  async function show({ session: key, x, y, z }) {
    await ready();
    const wanted = data.sessions.find((one) => one.key === key);
    if (!nv || !wanted) return;
    queue = queue.then(() => load(wanted)).catch(fail);
    await queue;
    if (nv) go({ session: key, x, y, z });
  }

  function go(where) {
    last = where;
    if (where) nv.scene.crosshairPos = nv.mm2frac([where.x, where.y, where.z].map(Number), 0, true);
    zoom();
    nv.createOnLocationChange();
  }

  document.addEventListener("cmb:show", ({ detail }) => show(detail));

  canvas.addEventListener("click", () => {
    if (!nv || !session) return;
    const [x, y, z] = place();
    document.dispatchEvent(new CustomEvent("cmb:place", { detail: { session: session.key, x, y, z } }));
  });

  // The wheel belongs to the page until the reader clicks into the volume.
  screen.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) event.stopPropagation();
  }, { capture: true });

  // Candidates, one after the other, in the order of their cards.
  function walk(step) {
    const cards = [...document.querySelectorAll(".card[data-lesion]")];
    const here = cards.findIndex(({ dataset: d }) => d.session === last?.session && d.x == last.x
      && d.y == last.y && d.z == last.z);
    const card = cards.at((here + step) % cards.length);
    card?.scrollIntoView({ block: "nearest" });
    if (card) show(card.dataset);
  }

  const moves = {
    ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
    PageUp: [0, 0, 1], PageDown: [0, 0, -1],
  };
  canvas.addEventListener("keydown", (event) => {
    if (!nv || !session || event.ctrlKey || event.metaKey || event.altKey) return;
    const slider = { "+": 0.5, "=": 0.5, "-": -0.5 }[event.key];
    const candidate = { "[": -1, "]": 1 }[event.key];
    if (moves[event.key]) nv.moveCrosshairInVox(...moves[event.key]);
    else if (slider) { tool("zoom").value = number("zoom") + slider; zoom(); }
    else if (candidate) walk(candidate);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });

  // Controls.
  const first = [...root.querySelectorAll(".sliders input")].map((input) => [input, input.value]);
  root.addEventListener("input", ({ target }) => {
    if (!nv || !session) return;
    if (target.name === "session") show({ session: target.value, ...origin() });
    else if (target.name === "planes") planes();
    else if (target.name === "zoom") zoom();
    else paint();
  });
  // Another session of the same head: about the same place, if only in the scanner.
  function origin() {
    const [x, y, z] = place();
    return { x, y, z };
  }
  root.addEventListener("click", ({ target }) => {
    if (target.name === "open") ready();
    if (target.name === "previous") walk(-1);
    if (target.name === "next") walk(1);
    if (target.name === "reset" && nv && session) {
      for (const [input, value] of first) input.value = value;
      paint();
      zoom();
    }
  });

  new IntersectionObserver((entries, observer) => {
    if (entries.some((entry) => entry.isIntersecting)) {
      observer.disconnect();
      ready();
    }
  }, { threshold: 0.4 }).observe(screen);
})();
