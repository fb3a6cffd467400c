// Export of a reading, and going on from an earlier one.
(() => {
  "use strict";
  const { bar, find, say, plural } = cmbBar;
  const { WORDS, NONE, READ, SAME_PLACE, participant, sessions, cards, now } = cmbReading;
  const { keyOf, placeOf, distance, decided } = cmbReading;

  const { sessions: told } = JSON.parse(document.getElementById("page-data").textContent).reading;

  // What was read in keeps its mode and its outputs until it is decided anew.
  function table() {
    cmbReading.spend();
    const seconds = (d) => (d.lesion === NONE ? NONE : (now.seconds[keyOf(d)] ?? 0).toFixed(1));
    const order = (d) => cards.findIndex((card) => keyOf(card.dataset) === keyOf(d)) + 1 || Infinity;
    const rows = [...now.decisions.values()].sort((a, b) => order(a) - order(b) || 0);
    return cmbRatings.write(rows.map((d) => [participant, d.session, now.reader, d.lesion, d.decision,
      d.x, d.y, d.z, d.note, d.date, bar.dataset.version,
      d.mode ?? now.mode, seconds(d), d.outputs ?? told[d.session].outputs]));
  }

  function save() {
    if (!now.reader) return cmbReading.open();
    if (!now.decisions.size) return say("There is nothing to export yet.");
    const left = cmbReading.toRate().filter((card) => !decided(card)).length;
    const notRated = left ? ` ${plural(left, "candidate")} not rated yet.` : "";
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
    link.download = `${participant}${session}_rater-${now.reader.replace(/[^\p{L}\p{N}]/gu, "")}_ratings.tsv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    cmbReading.exported();
    say(`Saved as ${link.download}.${notRated}${now.locked ? " Your decisions are locked." : ""}`);
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
    if (now.reader && now.reader.toLowerCase() !== raters[0].toLowerCase()) {
      return say(`${file.name} is of ${raters[0]}, and you read as ${now.reader}.`);
    }
    const mode = rows.some((row) => row.mode === "blinded") ? "blinded" : "aided";
    if (now.reader && mode !== now.mode) return say(`${file.name} is of a reading that was ${mode === "aided" ? "not " : ""}blinded.`);
    if (!now.reader) cmbReading.start(raters[0], mode);
    if (!cmbReading.open()) return;
    const found = rows.filter((row) => row.participant_id === participant).map((row) => ({
      session: row.session_id, lesion: row.lesion_id, decision: row.decision,
      x: row.x, y: row.y, z: row.z, note: row.note === NONE ? "" : row.note, date: row.date,
      mode: row.mode ?? NONE, outputs: row.outputs ?? NONE, seconds: row.seconds,
    }));
    const own = found.filter(isHere);
    cmbReading.change(() => {
      for (const { seconds, ...d } of own) {
        const card = cards.find(({ dataset: c }) => c.session === d.session && c.lesion === d.lesion);
        const placed = card ? { ...d, ...placeOf(card.dataset) } : d;
        const key = keyOf(placed);
        if (!((now.decisions.get(key)?.date ?? "") > d.date)) now.decisions.set(key, placed);
        if (Number(seconds)) now.seconds[key] = Math.max(now.seconds[key] ?? 0, Number(seconds));
      }
    });
    // The export has shown everything.
    if (mode === "blinded") cmbReading.exported();
    const left = rows.length - own.length;
    const older = own.filter((d) => ![NONE, told[d.session].outputs].includes(d.outputs)).length;
    say([`${plural(own.length, "decision")} read in`,
      left ? `${left} of other results or broken, left out` : "",
      older ? `${older} of them made on other outputs` : ""].filter(Boolean).join("; ") + ".");
  }

  find(".review-export").addEventListener("click", save);
  find("[type=file]").addEventListener("change", async ({ target }) => {
    await readIn(target.files[0]);
    target.value = "";
  });
})();
