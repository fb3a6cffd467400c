// A reading: who reads, in which mode, and what was decided; kept by the browser, taken back step by
// step. Each reader has one of each mode on a page. The rules by which the group level uses it are in
// docs/review.md. After each change "cmb:reading" goes to the document.
const cmbReading = (() => {
  "use strict";
  const WORDS = { "definite": "definite", "possible": "possible", "not-cmb": "not a CMB" };
  const CHANGES = { "new": "new", "there-before": "there before", "gone": "gone", "not-sure": "not sure" };
  const ADJUDICATED = "adjudicated";
  const NONE = "n/a";
  const READ = "read";  // decision on a session that has no candidate to rate
  const SAME_PLACE = 0.5;  // mm: farther apart, a rating is of other results
  const { bar, say } = cmbBar;

  const cards = [...document.querySelectorAll(".card[data-lesion]")]
    .filter((card) => card.querySelector(".review"));
  const { participant } = bar.dataset;
  const { compared, tracks } = JSON.parse(document.getElementById("page-data").textContent).reading;
  // Microbleeds at follow-ups, each with its place in the world of the first session.
  const tracked = tracks.flat().filter(({ session, at }) => at && compared.indexOf(session) > 0)
    .map(({ track, session, at: [x, y, z] }) =>
      ({ session, lesion: NONE, track: String(track), x: String(x), y: String(y), z: String(z) }));
  const sessions = [...new Set([...bar.dataset.sessions.split(" ").filter(Boolean),
    ...cards.map((card) => card.dataset.session)])];

  // decisions: by place {session, lesion, decision, x, y, z, note, date}, all text; of added lesions
  // also region, the number of the MARS region where the volume has told it; of a microbleed at a
  // follow-up also track, its number.
  // seconds: by key of the candidate, while its card was the current one and the page in sight.
  // sides: what the readers said between whom this one decides, as [{reader, decisions}].
  const now = { reader: "", mode: "", decisions: new Map(), exported: true, locked: false, seconds: {}, sides: [] };
  const past = [];  // earlier decisions, for undo

  const keyOf = ({ session, lesion, track, decision, x, y, z }) => [session, lesion, ...(track ? ["track", track]
    : decision === READ ? [READ] : lesion === NONE ? [x, y, z] : [])].join(" ");
  const placeOf = ({ session, lesion, track, x, y, z }) => ({ session, lesion, track, x, y, z });
  const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
  const isAdded = ({ lesion, track, decision }) => lesion === NONE && !track && decision !== READ;
  const added = () => [...now.decisions.values()].filter(isAdded);
  // Of another page's microbleeds nothing is known here.
  const isTracked = (d) => tracked.some((one) => keyOf(one) === keyOf(d) && distance(one, d) <= SAME_PLACE);
  const decided = (card) => now.decisions.get(keyOf(card.dataset));
  const ratedOf = (places) => places.filter((place) => now.decisions.has(keyOf(place))).length;

  // Who adjudicates sees what readers disagree on, and decides on that alone.
  const adjudicating = () => now.mode === ADJUDICATED;
  const isKept = (card) => card.querySelector(".review").dataset.status === "kept";
  let places = [];
  const compare = () => {
    const all = cards.map((card) => ({ ...placeOf(card.dataset), kept: isKept(card) }));
    places = cmbDisputes.find(all, now.sides);
  };
  const disputed = () => places.filter(({ agreed }) => agreed === null);

  // Nothing of the algorithm is shown; so all its candidates are to be rated, whatever it made of them.
  const blinded = () => now.mode === "blinded" && !now.locked;
  const toRate = () => adjudicating() ? disputed()
    : cards.filter((card) => blinded() || isKept(card)).map((card) => placeOf(card.dataset));

  // What the browser keeps: an entry for each page, with its candidates, reader and mode.
  const page = [participant, location.pathname,
    ...cards.map(({ dataset: d }) => `${d.session} ${d.lesion} ${d.x} ${d.y} ${d.z}`)].join("\n");
  const entry = (reader, mode) => `cmb_bidsapp review\n${reader.toLowerCase()}\n${mode}\n${page}`;
  const kept = (reader, mode) => JSON.parse(cmbStore.get(entry(reader, mode)) ?? "null");
  // The next who opens the page is asked, in place of going on with this reading.
  const leave = () => cmbStore.set(`cmb_bidsapp reading\n${page}`, "null");
  const last = () => JSON.parse(cmbStore.get(`cmb_bidsapp reading\n${page}`) ?? "null");
  const text = () => JSON.stringify([...now.decisions.values()]);
  const restore = (json) => {
    now.decisions = new Map(JSON.parse(json).filter((d) => !d.track || isTracked(d)).map((d) => [keyOf(d), d]));
  };

  function keep() {
    if (!now.reader) return;
    spend();
    const { exported, locked, seconds, sides } = now;
    const all = { exported, locked, seconds, sides, decisions: text() };
    cmbStore.set(entry(now.reader, now.mode), JSON.stringify(all));
  }

  const clock = { key: null, since: 0 };
  function spend() {
    const { key, since } = clock;
    clock.since = performance.now();
    if (key && now.reader && !now.locked) now.seconds[key] = (now.seconds[key] ?? 0) + (clock.since - since) / 1000;
  }
  // The reader is at this card.
  function turn(card) {
    spend();
    clock.key = keyOf(card.dataset);
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) keep();
    else clock.since = performance.now();
  });

  const show = () => document.dispatchEvent(new CustomEvent("cmb:reading"));

  // What readers agree on stands, and what was decided between them where they still do not agree.
  function settle() {
    compare();
    const own = new Map(disputed().map((place) => [keyOf(place), now.decisions.get(keyOf(place))]));
    const agreed = places.filter((place) => place.agreed !== null)
      .map((place) => ({ ...placeOf(place), decision: place.agreed, date: place.date, agreed: true,
        note: `agreed: ${place.words.map(({ reader }) => reader).join(", ")}` }));
    const looked = now.sides.flatMap(({ decisions }) => decisions.filter((d) => d.decision === READ));
    now.decisions = new Map([...looked, ...agreed].map((d) => [keyOf(d), d]));
    for (const [key, d] of own) if (d) now.decisions.set(key, d);
    now.exported = false;
  }

  // Begins a reading, or goes on with it. Sides are those of an adjudication that begins.
  function start(reader, mode, sides = null) {
    cmbStore.set("cmb_bidsapp reader", reader);
    cmbStore.set("cmb_bidsapp mode", mode);
    cmbStore.set(`cmb_bidsapp reading\n${page}`, JSON.stringify({ reader, mode }));
    const before = kept(reader, mode) ?? {};
    const { decisions = "[]", exported = true, locked = false, seconds = {} } = before;
    Object.assign(now, { reader, mode, exported, locked, seconds, sides: sides ?? before.sides ?? [] });
    clock.since = performance.now();
    past.length = 0;
    restore(decisions);
    compare();
    if (sides) settle();
    keep();
    show();
  }

  // Every change goes through here: it can be undone, is kept, and is shown.
  function change(alter, message = "") {
    past.push(text());
    alter();
    now.exported = false;
    keep();
    show();
    say(message || (cmbStore.fleeting() ? "This browser cannot save your reading. Export it before you leave." : ""));
  }

  // Whether decisions can be made; says why not, and takes back what a radio button shows.
  function open() {
    if (now.reader && !now.locked) return true;
    show();
    if (now.locked) say("This blinded reading was exported and is locked. To read again, start an aided reading.");
    else document.dispatchEvent(new CustomEvent("cmb:who"));
    return false;
  }

  function undo() {
    if (!open()) return;
    if (!past.length) return say("Nothing to undo.");
    restore(past.pop());
    now.exported = false;
    say("Undone.");
    keep();
    show();
  }

  function decide(place, decision) {
    if (!open()) return false;
    const key = keyOf({ ...place, decision });
    const { note = "", region } = now.decisions.get(key) ?? {};
    const date = new Date().toISOString();
    change(() => now.decisions.set(key, { ...placeOf(place), decision, note, date, region }));
    return true;
  }

  function annotate(place, note) {
    if (!open()) return;
    const key = keyOf(place);
    const date = new Date().toISOString();
    change(() => now.decisions.set(key, { ...now.decisions.get(key), note, date }));
  }

  function exported() {
    spend();
    now.exported = true;
    if (now.mode === "blinded") {
      now.locked = true;
      past.length = 0;
    }
    keep();
    show();
  }

  document.addEventListener("cmb:regions", ({ detail }) => {
    const told = detail.filter((one) => {
      const d = now.decisions.get(keyOf({ ...one, lesion: NONE }));
      return d && d.region !== one.region && Object.assign(d, { region: one.region });
    });
    if (!told.length) return;
    keep();
    show();
  });

  addEventListener("beforeunload", (event) => { if (!now.exported) event.preventDefault(); });

  return { WORDS, CHANGES, compared, tracked, isTracked, isAdded, NONE, READ, ADJUDICATED, SAME_PLACE, participant, sessions, cards, now, past, keyOf, placeOf,
    distance, added, decided, ratedOf, adjudicating, disputed, blinded, toRate, kept, last, leave, text, restore, start, change, open, undo, decide,
    annotate, exported, spend, turn };
})();
