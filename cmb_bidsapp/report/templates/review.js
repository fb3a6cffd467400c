// A reader at the cards of this page: decisions by mouse and by keys, missed lesions, what is shown of
// it all. The markup is in review.html.
(() => {
  "use strict";
  const { bar, find, say, told, plural, measure } = cmbBar;
  const { WORDS, NONE, READ, SAME_PLACE, sessions, cards, now, past } = cmbReading;
  const { keyOf, distance, added, decided, ratedOf, decide, undo, change } = cmbReading;
  const form = find(".review-add");
  let current = null;  // the card the reader is at
  let led = null;  // the card that the page led the reader to, who has not touched it yet

  const inWords = ({ x, y, z }) => [x, y, z].map((mm) => Number(mm).toFixed(1)).join(", ") + " mm";
  const ofSession = (session) => sessions.length > 1 ? ` of ${session}` : "";

  // Showing: the page is drawn anew from the decisions after each change.
  function show() {
    const disputes = new Map(cmbReading.disputed().map((place) => [keyOf(place), place]));
    for (const card of cards) {
      const found = decided(card);
      const dispute = disputes.get(keyOf(card.dataset));
      fill(card.querySelector(".review"), found);
      card.querySelector(".review-said").textContent =
        [...between(dispute), ...(found ? [`${now.reader}: ${said(found)}`] : [])].join("; ");
      card.classList.toggle("agreed", cmbReading.adjudicating() && !dispute);
    }
    showAdded();
    document.dispatchEvent(new CustomEvent("cmb:added", { detail: [...placed().values()] }));
    for (const update of sessionItems) update();
    const wanted = cmbReading.toRate();
    const own = added().filter(({ agreed }) => !agreed).length;
    const rated = ratedOf(wanted);
    const judged = [...now.decisions.values()].filter(({ track, agreed }) => track && !agreed).length;
    find("progress").max = wanted.length || 1;
    find("progress").value = wanted.length ? rated : 1;
    find(".review-count").textContent = `${rated} of ${wanted.length} rated`
      + (own && !cmbReading.adjudicating() ? `, ${own} added` : "")
      + (judged && !cmbReading.adjudicating() ? `, ${plural(judged, "change")}` : "");
    find(".review-undo").disabled = !past.length;
    find(".review-export").classList.toggle("review-due", !now.exported);
    find(".review-summary").textContent = now.decisions.size
      ? [`Read by ${now.reader}, ${now.mode}: ${find(".review-count").textContent}.`,
        ...added().map((d) => `Added at ${inWords(d)}${ofSession(d.session)}: ${said(d)}.`)].join(" ")
      : "Not read.";
  }

  const said = ({ decision, note }) => (WORDS[decision] ?? decision) + (note ? `, ${note}` : "");
  // What the readers say of a place that they do not agree on.
  const between = (dispute) => (dispute?.words ?? []).map((word) => `${word.reader}: ${said(word)}`);

  function fill(controls, found) {
    for (const radio of controls.querySelectorAll("[type=radio]")) {
      radio.checked = radio.value === found?.decision;
      radio.disabled = now.locked;
    }
    controls.hidden = false;
    controls.querySelector(".review-note").hidden = !found;
    controls.querySelector(".review-note input").value = found?.note ?? "";
    controls.querySelector(".review-note input").disabled = now.locked;
  }

  // Items stay where they are while they are in use, so that the keyboard's focus does.
  const items = new Map();

  // Lesions that were added, by this reader or by those between whom this one decides.
  const placed = () => new Map([...cmbReading.disputed().filter(cmbReading.isAdded), ...added()]
    .map((d) => [keyOf(d), d]));

  function showAdded() {
    const present = placed();
    for (const [key, item] of items) {
      if (!present.has(key)) {
        item.remove();
        items.delete(key);
      }
    }
    for (const [key, place] of present) {
      if (!items.has(key)) items.set(key, addedItem(place));
      const item = items.get(key);
      fill(item, now.decisions.get(key));
      item.hidden = Boolean(place.agreed);
      const dispute = cmbReading.disputed().find((one) => keyOf(one) === key);
      item.querySelector(".review-between").textContent = between(dispute).join("; ");
    }
  }

  function addedItem(place) {
    const item = find(".review-lesion").content.cloneNode(true).firstElementChild;
    item.querySelector("b").textContent = inWords(place) + ofSession(place.session);
    item.querySelector("button").onclick = () => send(place);
    for (const radio of item.querySelectorAll("[type=radio]")) radio.name = keyOf(place);
    listen(item, place);
    find(".review-added").append(item);
    return item;
  }

  // A line for each session; returns what brings it up to date.
  function sessionItem(session) {
    const title = session === NONE ? "This session" : session;
    const place = { session, lesion: NONE, decision: READ, x: NONE, y: NONE, z: NONE };
    const item = document.createElement("li");
    const line = document.createElement("span");
    const box = Object.assign(document.createElement("input"), { type: "checkbox" });
    box.onchange = () => {
      if (box.checked) decide(place, READ);
      else if (cmbReading.open()) change(() => now.decisions.delete(keyOf(place)));
    };
    const label = Object.assign(document.createElement("label"), { className: "review-check" });
    label.append(box, ` ${title} has no candidate; I have checked the whole scan`);
    item.append(line, label);
    find(".review-sessions").append(item);
    return () => {
      const own = cmbReading.toRate().filter((one) => one.session === session);
      line.textContent = `${title}: ${ratedOf(own)} of ${own.length} rated`;
      line.hidden = !own.length;
      label.hidden = own.length > 0 || cmbReading.adjudicating();
      box.checked = now.decisions.has(keyOf(place));
      box.disabled = now.locked;
    };
  }

  function listen(controls, place) {
    controls.addEventListener("change", ({ target }) => {
      led = null;
      if (target.type === "radio") decide(place, target.value);
      else cmbReading.annotate(place, target.value.trim());
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
    // Its controls, at its foot, come to lie at the same place as those of the card before.
    measure();
    card.scrollIntoView({ block: "end" });
    // Beside the first card the volume may lie as low as the page has it, with its last controls
    // under the bar; it comes up as far as the card stays below the head of the page.
    const viewer = document.getElementById("viewer");
    if (viewer && !viewer.matches(".both") && viewer.getBoundingClientRect().left >= card.getBoundingClientRect().right) {
      const clear = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop);
      const low = viewer.getBoundingClientRect().bottom + 8 - bar.getBoundingClientRect().top;
      scrollBy(0, Math.max(0, Math.min(low, card.getBoundingClientRect().top - clear)));
    }
  }

  function walk(step) {
    // In the order of the page, which may have changed; what is folded away is passed over.
    const open = [...document.querySelectorAll(".card")]
      .filter((card) => cards.includes(card) && card.checkVisibility());
    if (!open.length) return;
    const at = open.indexOf(current);
    // Who is led to a card and asks for the next has not read it yet.
    if (current === led) step = 0;
    led = null;
    turnTo(open[at < 0 ? 0 : Math.min(Math.max(at + step, 0), open.length - 1)]);
  }

  // Who sees nothing but cards begins at the first, once the head of the page is as low as it then is.
  document.addEventListener("cmb:begun", () => {
    if (!cmbReading.blinded() && !cmbReading.adjudicating()) return;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      walk(0);
      led = current;
    }));
  });

  const rate = (decision) => {
    if (!current?.contains(document.activeElement)) return;
    led = null;
    decide(current.dataset, decision);
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
    card.addEventListener("pointerdown", () => { led = null; });
    card.addEventListener("focusin", () => {
      if (card === current) return;
      current?.classList.remove("review-current");
      current = card;
      cmbReading.turn(card);
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
      return say(`Candidate ${card.dataset.lesion} is already there. Rate that one.`);
    }
    if (added().some((d) => d.session === spot.session && distance(d, spot) <= SAME_PLACE)) {
      return say("You already added a lesion there.");
    }
    if (decide(spot, grade)) say(`Added at ${inWords(spot)}: ${WORDS[grade]}.`);
  }

  const GRADES = ["definite", "possible"].map((grade) => [`Add as ${grade}`, () => add(grade)]);

  document.addEventListener("cmb:place", ({ detail }) => {
    for (const axis of "xyz") form.elements[axis].value = Number(detail[axis]).toFixed(2);
    form.elements.session.value = detail.session;
    // What was offered was offered for another place.
    if (told.ofPlace) say("");
    if (!detail.asked) return;
    const spot = place();
    const card = candidateAt(spot);
    if (card) say(`Candidate ${card.dataset.lesion} lies there.`, ["Rate it", () => turnTo(card)]);
    else say(`No candidate at ${inWords(spot)}${ofSession(spot.session)}. A missed lesion?`, ...GRADES);
    told.ofPlace = true;
  });

  function more(open) {
    find(".review-panel").hidden = !open;
    find(".review-more").setAttribute("aria-expanded", String(open));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (place()) say("Its grade?", ...GRADES);
    else say("Give x, y and z in mm.");
  });
  find(".review-undo").addEventListener("click", undo);
  find(".review-more").addEventListener("click", () => more(find(".review-panel").hidden));
  // The keys that follow are those of the cards.
  document.getElementById("review-start").addEventListener("close", () => {
    if (cmbReading.disputed().some(cmbReading.isAdded)) more(true);
    if (current && now.reader) turnTo(current);
  });
  document.addEventListener("cmb:reading", show);

  const sessionItems = sessions.map(sessionItem);
  form.elements.session.append(...sessions.map((session) => new Option(session)));
  find(".review-session").hidden = sessions.length < 2;
  bar.hidden = false;
})();
