// A reader's decisions on the candidates of this page: made, kept, taken back, exported, read in.
// The markup is in review.html, the rules by which the group level uses the export in docs/review.md.
(() => {
  "use strict";
  const WORDS = { "definite": "definite", "possible": "possible", "not-cmb": "not a CMB" };
  const NONE = "n/a";
  const READ = "read";  // decision on a session that has no kept candidate
  const SAME_PLACE = 0.5;  // mm: farther apart, a rating is of other results

  const bar = document.getElementById("review");
  const find = (selector) => bar.querySelector(selector);
  const form = find(".review-add");
  const offers = [...bar.querySelectorAll(".review-offer")];
  const name = find(".review-reader input");
  const { participant, version } = bar.dataset;
  const cards = [...document.querySelectorAll(".card[data-lesion]")]
    .filter((card) => card.querySelector(".review"));
  const kept = cards.filter((card) => card.querySelector(".review").dataset.status === "kept");
  const sessions = [...new Set([...bar.dataset.sessions.split(" ").filter(Boolean),
    ...cards.map((card) => card.dataset.session)])];

  // What the reader decided, by place: {session, lesion, decision, x, y, z, note, date}, all text.
  let decisions = new Map();
  let exported = true;
  let current = null;  // the card the reader is at
  let aboutPlace = false;  // what is said and offered is about the place of the crosshair
  const past = [];  // earlier decisions, for undo

  const keyOf = ({ session, lesion, decision, x, y, z }) =>
    [session, lesion, ...(decision === READ ? [READ] : lesion === NONE ? [x, y, z] : [])].join(" ");
  const placeOf = ({ session, lesion, x, y, z }) => ({ session, lesion, x, y, z });
  const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
  const reader = () => name.value.trim().replace(/\s+/g, " ");
  const added = () => [...decisions.values()].filter((d) => d.lesion === NONE && d.decision !== READ);
  const inWords = ({ x, y, z }) => [x, y, z].map((mm) => Number(mm).toFixed(1)).join(", ") + " mm";
  const ofSession = (session) => sessions.length > 1 ? ` of ${session}` : "";
  const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

  // What is kept: one entry for each page, with its candidates, and reader.
  const page = [participant, location.pathname,
    ...cards.map(({ dataset: d }) => `${d.session} ${d.lesion} ${d.x} ${d.y} ${d.z}`)].join("\n");
  const entry = () => `cmb_bidsapp review\n${reader().toLowerCase()}\n${page}`;
  const text = () => JSON.stringify([...decisions.values()]);
  const restore = (json) => {
    decisions = new Map(JSON.parse(json).map((d) => [keyOf(d), d]));
  };

  // Tells the reader something, and may offer buttons that do something about it: [label, action].
  function say(message, ...acts) {
    aboutPlace = false;
    find("[role=status]").textContent = message;
    offers.forEach((offer, k) => {
      const [label, action] = acts[k] ?? ["", null];
      offer.textContent = label;
      offer.onclick = action;
      offer.hidden = !action;
    });
  }

  // Every change goes through here: it can be undone, is kept, and is shown.
  function change(alter, message = "") {
    past.push(text());
    alter();
    exported = false;
    keep();
    show();
    say(message || (cmbStore.fleeting() ? "Not kept by this browser: export before you leave." : ""));
  }

  function keep() {
    if (reader()) cmbStore.set(entry(), JSON.stringify({ exported, decisions: text() }));
  }

  function undo() {
    if (!past.length) return say("There is nothing to undo.");
    restore(past.pop());
    exported = false;
    say("Undone.");
    keep();
    show();
  }

  function decide(place, decision) {
    if (!reader()) {
      show();  // takes back what the radio button shows
      say("Who is reading? Give your name, then rate.");
      return name.focus();
    }
    const key = keyOf({ ...place, decision });
    const note = decisions.get(key)?.note ?? "";
    const date = new Date().toISOString();
    change(() => decisions.set(key, { ...placeOf(place), decision, note, date }));
  }

  function annotate(place, note) {
    const key = keyOf(place);
    const date = new Date().toISOString();
    change(() => decisions.set(key, { ...decisions.get(key), note, date }));
  }

  // Showing: the page is drawn anew from the decisions after each change.
  function show() {
    for (const card of cards) {
      const found = decisions.get(keyOf(card.dataset));
      fill(card.querySelector(".review"), found);
      card.classList.toggle("review-rated", Boolean(found));
      card.querySelector(".review-said").textContent = found ? `${reader()}: ${said(found)}` : "";
    }
    showAdded();
    document.dispatchEvent(new CustomEvent("cmb:added", { detail: added() }));
    for (const update of sessionItems) update();
    const rated = ratedOf(kept);
    find("progress").max = kept.length || 1;
    find("progress").value = kept.length ? rated : 1;
    find(".review-count").textContent = `${rated} of ${kept.length} rated`
      + (added().length ? `, ${added().length} added` : "");
    find(".review-undo").disabled = !past.length;
    find(".review-export").classList.toggle("review-due", !exported);
    find(".review-summary").textContent = decisions.size
      ? [`Read by ${reader()}: ${find(".review-count").textContent}.`,
        ...added().map((d) => `Added at ${inWords(d)}${ofSession(d.session)}: ${said(d)}.`)].join(" ")
      : "Not read.";
  }

  const ratedOf = (some) => some.filter((card) => decisions.has(keyOf(card.dataset))).length;
  const said = ({ decision, note }) => WORDS[decision] + (note ? `, ${note}` : "");

  function fill(controls, found) {
    for (const radio of controls.querySelectorAll("[type=radio]")) {
      radio.checked = radio.value === found?.decision;
    }
    controls.hidden = false;
    controls.querySelector(".review-note").hidden = !found;
    controls.querySelector(".review-note input").value = found?.note ?? "";
  }

  // Items stay where they are while they are in use, so that the keyboard's focus does.
  const items = new Map();

  function showAdded() {
    const present = new Map(added().map((d) => [keyOf(d), d]));
    for (const [key, item] of items) {
      if (!present.has(key)) {
        item.remove();
        items.delete(key);
      }
    }
    for (const [key, place] of present) {
      if (!items.has(key)) items.set(key, addedItem(place));
      fill(items.get(key), place);
    }
  }

  function addedItem(place) {
    const item = find("template").content.cloneNode(true).firstElementChild;
    item.querySelector("b").textContent = inWords(place) + ofSession(place.session);
    item.querySelector("button").onclick = () => send(place);
    for (const radio of item.querySelectorAll("[type=radio]")) radio.name = keyOf(place);
    listen(item, place);
    find(".review-added").append(item);
    return item;
  }

  // A line for each session; returns what brings it up to date.
  function sessionItem(session) {
    const item = document.createElement("li");
    find(".review-sessions").append(item);
    const own = kept.filter((card) => card.dataset.session === session);
    const title = session === NONE ? "This session" : session;
    if (own.length) {
      return () => { item.textContent = `${title}: ${ratedOf(own)} of ${own.length} rated`; };
    }
    const place = { session, lesion: NONE, decision: READ, x: NONE, y: NONE, z: NONE };
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.onchange = () => {
      if (box.checked) decide(place, READ);
      else change(() => decisions.delete(keyOf(place)));
    };
    const label = Object.assign(document.createElement("label"), { className: "review-check" });
    label.append(box, ` ${title} has no candidate; I have looked at all of it`);
    item.append(label);
    return () => { box.checked = decisions.has(keyOf(place)); };
  }

  function listen(controls, place) {
    controls.addEventListener("change", ({ target }) => {
      if (target.type === "radio") decide(place, target.value);
      else annotate(place, target.value.trim());
    });
  }

  // Walking from card to card.
  function send({ session, x, y, z }) {
    const detail = { session, x: Number(x), y: Number(y), z: Number(z) };
    document.dispatchEvent(new CustomEvent("cmb:show", { detail }));
  }

  function turnTo(card) {
    for (let box = card.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    card.focus({ preventScroll: true });
    // The controls are at the foot of a card, the bar is over that of the window.
    card.scrollIntoView({ block: card.offsetHeight > innerHeight - 160 ? "end" : "center" });
  }

  function walk(step) {
    // In the order of the page, which may have changed; what is folded away is passed over.
    const open = [...document.querySelectorAll(".card")]
      .filter((card) => cards.includes(card) && card.checkVisibility());
    if (!open.length) return;
    const at = open.indexOf(current);
    turnTo(open[at < 0 ? 0 : Math.min(Math.max(at + step, 0), open.length - 1)]);
  }

  const rate = (decision) => {
    if (current?.contains(document.activeElement)) decide(current.dataset, decision);
  };
  const keys = {
    "j": () => walk(1), "k": () => walk(-1), "arrowdown": () => walk(1), "arrowup": () => walk(-1),
    "1": () => rate("definite"), "2": () => rate("possible"), "3": () => rate("not-cmb"), "u": undo,
  };

  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const card = target.closest(".card");
    if (key === "Escape" && card) return turnTo(card);
    // The viewer and what is typed have their keys; arrows move among radio buttons, and scroll
    // the page unless a card is turned to.
    const typed = target.closest("input:not([type=radio]), select, textarea, canvas");
    if (typed || (key.startsWith("Arrow") && target !== current)) return;
    const act = keys[key.toLowerCase()];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  for (const card of cards) {
    card.tabIndex = -1;
    listen(card.querySelector(".review"), card.dataset);
    card.addEventListener("focusin", () => {
      if (card === current) return;
      current?.classList.remove("review-current");
      current = card;
      card.classList.add("review-current");
      send(card.dataset);
    });
  }

  // Adding a missed lesion.
  function place() {
    const { session, x, y, z } = Object.fromEntries(new FormData(form));
    const numbers = [x, y, z].map(Number);
    if ([x, y, z].some((mm) => mm.trim() === "") || !numbers.every(Number.isFinite)) return null;
    const [px, py, pz] = numbers.map((mm) => String(Number(mm.toFixed(2))));
    return { session, lesion: NONE, x: px, y: py, z: pz };
  }

  const candidateAt = (spot) => cards.find((card) => card.dataset.session === spot.session
    && distance(card.dataset, spot) <= card.querySelector(".review").dataset.diameter / 2);

  // The place is that of the crosshair when the button is pressed; its grade is the reader's.
  function add(grade) {
    const spot = place();
    if (!spot) return say("Give x, y and z in mm.");
    const card = candidateAt(spot);
    if (card) {
      turnTo(card);
      return say(`Candidate ${card.dataset.lesion} lies there: rate that one.`);
    }
    if (added().some((d) => d.session === spot.session && distance(d, spot) <= SAME_PLACE)) {
      return say("A lesion is added there already.");
    }
    decide(spot, grade);
    if (!decisions.has(keyOf(spot))) return;  // the name was asked for
    say(`Added at ${inWords(spot)}: ${WORDS[grade]}.`);
  }

  const GRADES = ["definite", "possible"].map((grade) => [`Add as ${grade}`, () => add(grade)]);

  document.addEventListener("cmb:place", ({ detail }) => {
    for (const axis of "xyz") form.elements[axis].value = Number(detail[axis]).toFixed(2);
    form.elements.session.value = detail.session;
    // What was offered was offered for another place.
    if (aboutPlace) say("");
    if (!detail.asked) return;
    const spot = place();
    const card = candidateAt(spot);
    if (card) say(`Candidate ${card.dataset.lesion} lies there.`, ["Rate it", () => turnTo(card)]);
    else say(`No candidate at ${inWords(spot)}${ofSession(spot.session)}. A missed lesion?`, ...GRADES);
    aboutPlace = true;
  });

  // Export and import.
  function table() {
    const order = (d) => cards.findIndex((card) => keyOf(card.dataset) === keyOf(d)) + 1 || Infinity;
    const rows = [...decisions.values()].sort((a, b) => order(a) - order(b) || 0);
    return cmbRatings.write(rows.map((d) => [participant, d.session, reader(), d.lesion, d.decision,
      d.x, d.y, d.z, d.note, d.date, version]));
  }

  function save() {
    if (!reader()) {
      say("Who is reading? Give your name, then export.");
      return name.focus();
    }
    if (!decisions.size) return say("There is nothing to export yet.");
    const session = sessions.length === 1 && sessions[0] !== NONE ? `_${sessions[0]}` : "";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table()], { type: "text/tab-separated-values" }));
    link.download = `${participant}${session}_rater-${reader().replace(/[^\p{L}\p{N}]/gu, "")}_ratings.tsv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    exported = true;
    keep();
    show();
    const open = kept.filter((card) => !decisions.has(keyOf(card.dataset))).length;
    say(`Saved as ${link.download}.` + (open ? ` ${plural(open, "candidate")} not rated yet.` : ""));
  }

  function isHere(d) {
    if (!sessions.includes(d.session)) return false;
    if (d.decision === READ) return d.lesion === NONE;
    if (!Object.hasOwn(WORDS, d.decision)) return false;
    if (d.lesion === NONE) return [d.x, d.y, d.z].every((mm) => Number.isFinite(parseFloat(mm)));
    return cards.some(({ dataset: c }) => c.session === d.session
      && c.lesion === d.lesion && distance(c, d) <= SAME_PLACE);
  }

  async function readIn(file) {
    let rows;
    try { rows = cmbRatings.read(await file.text()); } catch (error) {
      return say(`${file.name} cannot be read: ${error.message}.`);
    }
    const raters = [...new Set(rows.map((row) => row.rater))];
    if (raters.length !== 1) return say(`${file.name} is not the export of one reader.`);
    if (reader() && reader().toLowerCase() !== raters[0].toLowerCase()) {
      return say(`${file.name} is of ${raters[0]}, and you read as ${reader()}.`);
    }
    if (!reader()) {
      name.value = raters[0];
      welcome();
    }
    const found = rows.filter((row) => row.participant_id === participant).map((row) => ({
      session: row.session_id, lesion: row.lesion_id, decision: row.decision,
      x: row.x, y: row.y, z: row.z, note: row.note === NONE ? "" : row.note, date: row.date,
    }));
    const own = found.filter(isHere);
    change(() => {
      for (const d of own) {
        const card = cards.find(({ dataset: c }) => c.session === d.session && c.lesion === d.lesion);
        const placed = card ? { ...d, ...placeOf(card.dataset) } : d;
        if (!((decisions.get(keyOf(placed))?.date ?? "") > d.date)) decisions.set(keyOf(placed), placed);
      }
    });
    const left = rows.length - own.length;
    say(`${plural(own.length, "decision")} read in`
      + (left ? `; ${left} of other results or broken, left out.` : "."));
  }

  // The reader: each name has its own decisions on this page.
  function welcome() {
    cmbStore.set("cmb_bidsapp reader", reader());
    past.length = 0;
    const stored = reader() ? cmbStore.get(entry()) : null;
    ({ exported } = stored ? JSON.parse(stored) : { exported: true });
    restore(stored ? JSON.parse(stored).decisions : "[]");
    show();
    if (decisions.size) say(`${plural(decisions.size, "decision")} of ${reader()}, from before.`);
    else say(reader() ? "" : "To read: give your name, then rate the candidates.");
  }

  function rename() {
    const own = text();
    const before = decisions.size;
    welcome();
    if (before && reader() && !decisions.size) {
      say("Decisions of the other name stay under it.", [`They are ${reader()}'s`,
        () => change(() => restore(own))]);
    }
  }

  function more(open) {
    find(".review-panel").hidden = !open;
    find(".review-more").setAttribute("aria-expanded", String(open));
  }

  name.addEventListener("change", rename);
  // Enter leaves the box: the keys that follow are those of the cards.
  name.addEventListener("keydown", ({ key }) => {
    if (key !== "Enter") return;
    name.blur();
    if (current && reader()) turnTo(current);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (place()) say("Its grade?", ...GRADES);
    else say("Give x, y and z in mm.");
  });
  find(".review-undo").addEventListener("click", undo);
  find(".review-export").addEventListener("click", save);
  find(".review-more").addEventListener("click", () => more(find(".review-panel").hidden));
  find(".review-blind").addEventListener("change", ({ target }) => {
    document.body.classList.toggle("review-hides", target.checked);
  });
  find("[type=file]").addEventListener("change", async ({ target }) => {
    await readIn(target.files[0]);
    target.value = "";
  });
  addEventListener("beforeunload", (event) => { if (!exported) event.preventDefault(); });

  const sessionItems = sessions.map(sessionItem);
  form.elements.session.append(...sessions.map((session) => new Option(session)));
  find(".review-session").hidden = sessions.length < 2;
  name.value = cmbStore.get("cmb_bidsapp reader") ?? "";
  bar.hidden = false;
  welcome();
})();
