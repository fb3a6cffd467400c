// Export of a reading, going on from an earlier one, and the exports of readers who do not agree.
const cmbFile = (() => {
  "use strict";
  const { bar, find, say, plural } = cmbBar;
  const { WORDS, CHANGES, NONE, READ, SAME_PLACE, participant, sessions, cards, now } = cmbReading;
  const { keyOf, placeOf, distance } = cmbReading;

  const { sessions: told } = JSON.parse(document.getElementById("page-data").textContent).reading;

  // What was read in keeps its mode and its outputs until it is decided anew.
  function table() {
    cmbReading.spend();
    const seconds = (d) => (d.lesion === NONE || d.agreed ? NONE : (now.seconds[keyOf(d)] ?? 0).toFixed(1));
    const order = (d) => cards.findIndex((card) => keyOf(card.dataset) === keyOf(d)) + 1 || Infinity;
    const rows = [...now.decisions.values()].sort((a, b) => order(a) - order(b) || 0);
    return cmbRatings.write(rows.map((d) => [participant, d.session, now.reader, d.lesion, d.decision,
      d.x, d.y, d.z, d.note, d.date, bar.dataset.version,
      d.mode ?? now.mode, seconds(d), d.outputs ?? told[d.session].outputs, d.track]));
  }

  function save() {
    if (!now.reader) return cmbReading.open();
    if (!now.decisions.size) return say("There is nothing to export yet.");
    const wanted = cmbReading.toRate();
    const left = wanted.length - cmbReading.ratedOf(wanted);
    const notRated = left ? ` ${plural(left, cmbReading.adjudicating() ? "place" : "candidate")} not rated yet.` : "";
    // What was shown cannot be unseen.
    if (left && cmbReading.blinded()) {
      return say(`${notRated.trim()} The export ends the blinded reading.`, ["Export and see", () => write("")]);
    }
    write(notRated);
  }

  function write(notRated) {
    const session = sessions.length === 1 && sessions[0] !== NONE ? `_${sessions[0]}` : "";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([table()], { type: "text/tab-separated-values" }));
    const role = cmbReading.adjudicating() ? "adjudicator" : "rater";
    link.download = `${participant}${session}_${role}-${now.reader.replace(/[^\p{L}\p{N}]/gu, "")}_ratings.tsv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    cmbReading.exported();
    say(`Saved as ${link.download}.${notRated}${now.locked ? " Your decisions are locked." : ""}`);
  }

  function isHere(d) {
    if (!sessions.includes(d.session)) return false;
    if (d.track) return Object.hasOwn(CHANGES, d.decision) && cmbReading.isTracked(d);
    if (d.decision === READ) return d.lesion === NONE;
    if (!Object.hasOwn(WORDS, d.decision)) return false;
    if (d.lesion === NONE) return [d.x, d.y, d.z].every((mm) => Number.isFinite(parseFloat(mm)));
    return cards.some(({ dataset: c }) => c.session === d.session
      && c.lesion === d.lesion && distance(c, d) <= SAME_PLACE);
  }

  // The reader of an export, the mode, the decisions that are of this page, and what was not usable.
  async function parse(file) {
    let rows;
    try { rows = cmbRatings.read(await file.text()); } catch (error) {
      throw new Error(`${file.name} cannot be read: ${error.message}.`);
    }
    const raters = [...new Set(rows.map((row) => row.rater))];
    if (raters.length !== 1) throw new Error(`${file.name} is not the export of one reader.`);
    const mode = [cmbReading.ADJUDICATED, "blinded"].find((one) => rows.some((row) => row.mode === one)) ?? "aided";
    const found = rows.filter((row) => row.participant_id === participant).map((row) => ({
      session: row.session_id, lesion: row.lesion_id, decision: row.decision,
      track: [undefined, NONE].includes(row.track_id) ? undefined : row.track_id,
      x: row.x, y: row.y, z: row.z, note: row.note === NONE ? "" : row.note, date: row.date,
      mode: row.mode ?? NONE, outputs: row.outputs ?? NONE, seconds: row.seconds,
    }));
    const own = found.filter(isHere).map((d) => {
      const card = cards.find(({ dataset: c }) => c.session === d.session && c.lesion === d.lesion);
      return card ? { ...d, ...placeOf(card.dataset) } : d;
    });
    const left = rows.length - own.length;
    const older = own.filter((d) => ![NONE, told[d.session].outputs].includes(d.outputs)).length;
    const unused = [left ? `${left} left out (from other results, or damaged)` : "",
      older ? `${older} of them made on different outputs` : ""].filter(Boolean);
    return { reader: raters[0], mode, own, unused };
  }

  async function readIn(file) {
    let read;
    try { read = await parse(file); } catch (error) { return say(error.message); }
    const { reader, mode, own, unused } = read;
    if (now.reader && now.reader.toLowerCase() !== reader.toLowerCase()) {
      return say(`${file.name} is from ${reader}, but you are reading as ${now.reader}.`);
    }
    if (!now.reader && mode === cmbReading.ADJUDICATED) {
      return say("To continue an adjudication, start it with the exports of the readers.");
    }
    if (now.reader && mode !== now.mode) return say(`${file.name} was read ${mode}, but you are reading ${now.mode}.`);
    if (!now.reader) cmbReading.start(reader, mode);
    if (!cmbReading.open()) return;
    cmbReading.change(() => {
      for (const { seconds, ...d } of own) {
        const key = keyOf(d);
        if (!((now.decisions.get(key)?.date ?? "") > d.date)) now.decisions.set(key, d);
        if (Number(seconds)) now.seconds[key] = Math.max(now.seconds[key] ?? 0, Number(seconds));
      }
    });
    // The export has shown everything.
    if (mode === "blinded") cmbReading.exported();
    say([`${plural(own.length, "decision")} read in`, ...unused].join("; ") + ".");
  }

  // What the readers say, of the exports of two of them or more, and what of that cannot be used.
  // Of one reader's decisions on a place the last one holds.
  async function sidesOf(files) {
    const sides = new Map();
    const unused = [];
    for (const file of files) {
      const read = await parse(file);
      if (read.mode === cmbReading.ADJUDICATED) throw new Error(`${file.name} is already an adjudication.`);
      const side = sides.get(read.reader.toLowerCase()) ?? { reader: read.reader, latest: new Map() };
      sides.set(read.reader.toLowerCase(), side);
      for (const d of read.own) {
        if (!((side.latest.get(keyOf(d))?.date ?? "") > d.date)) side.latest.set(keyOf(d), d);
      }
      unused.push(...read.unused.map((what) => `${file.name}: ${what}`));
    }
    if (sides.size < 2) throw new Error("Choose the exports of two or more readers.");
    return { unused, sides: [...sides.values()].map(({ reader, latest }) => ({ reader, decisions: [...latest.values()] })) };
  }

  find(".review-export").addEventListener("click", save);
  find("[type=file]").addEventListener("change", async ({ target }) => {
    await readIn(target.files[0]);
    target.value = "";
  });

  return { sidesOf };
})();
