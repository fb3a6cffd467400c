// What a reading is apart from the page: its table as text, what the browser keeps of it, and what is
// counted by it.

// Tabs between cells, quotes where a cell holds some (RFC 4180).
const cmbRatings = (() => {
  "use strict";
  const COLUMNS = ["participant_id", "session_id", "rater", "lesion_id", "decision",
    "x", "y", "z", "note", "date", "version"];
  const MORE = ["mode", "seconds", "outputs"];  // earlier exports do not have them

  const cell = (value) => {
    const flat = String(value || "n/a").replace(/[\t\r\n]+/g, " ");
    return flat.includes('"') ? `"${flat.replaceAll('"', '""')}"` : flat;
  };

  // Text of a table; rows are arrays in the order of the columns.
  const write = (rows) =>
    [[...COLUMNS, ...MORE], ...rows].map((row) => row.map(cell).join("\t") + "\n").join("");

  // Rows of a table as objects; throws where it is none, or lacks columns.
  function read(content) {
    const part = /(?:"((?:[^"]|"")*)"|([^\t\r\n]*))(\t|\r?\n|$)/y;
    const text = content.replace(/^\uFEFF/, "");
    const rows = [[]];
    while (part.lastIndex < text.length) {
      const [, quoted, plain, end] = part.exec(text) ?? [];
      if (end === undefined) throw new Error("it is no table");
      rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end !== "\t" && part.lastIndex < text.length) rows.push([]);
    }
    const [header, ...body] = rows;
    if (!COLUMNS.every((column) => header.includes(column))) throw new Error("columns are missing");
    return body.map((cells) =>
      Object.fromEntries(header.map((column, i) => [column, cells[i] ?? ""])));
  }

  return { write, read };
})();

// The browser's storage. Some refuse it to pages from disk; then it lasts until the page is left.
const cmbStore = (() => {
  "use strict";
  const memory = new Map();
  return {
    get(key) {
      try { return localStorage.getItem(key) ?? memory.get(key); } catch { return memory.get(key); }
    },
    set(key, value) {
      try { localStorage.setItem(key, value); } catch { memory.set(key, value); }
    },
    fleeting: () => memory.size > 0,
  };
})();

// Counting from decisions, apart from the page, by the rules of docs/review.md. What it starts from
// is told by report/reading.py; what it makes of it is called as in the tables.
const cmbCounts = (() => {
  "use strict";
  const COUNTED = ["definite", "possible"];
  const NOWHERE = "unassigned";
  const SIDES = ["right", "left", NOWHERE];

  const candidatesOf = (session) => session.candidates
    .flatMap(({ lesions, ...one }) => lesions.map((lesion) => ({ lesion, ...one })));

  // The microbleeds of a session by a reader's words on it, and what is not counted.
  function read(session, said, places) {
    const words = new Map(said.filter((d) => d.lesion !== "n/a").map((d) => [d.lesion, d.decision]));
    const made = { found: [], "below-size": 0, macro: 0, rejected: session.rejected, unrated: 0, nowhere: 0 };
    for (const one of candidatesOf(session)) {
      const word = words.get(String(one.lesion));
      if (COUNTED.includes(word)) {
        made.found.push({ ...one, grade: word, chance: 1 });
        made.rejected -= !one.kept;
      } else if (word) made.rejected += one.kept;
      else if (one.kept) {
        made.unrated += 1;
        if (COUNTED.includes(one.grade)) made.found.push(one);
        else made[one.grade] += 1;
      }
    }
    for (const { lesion, decision, region: number } of said) {
      if (lesion !== "n/a" || !COUNTED.includes(decision)) continue;
      const [group, region, side] = places[number] ?? [NOWHERE, NOWHERE, NOWHERE];
      made.nowhere += group === NOWHERE;
      made.found.push({ lesion: null, grade: decision, group, region, side, border: false, chance: 1 });
    }
    return made;
  }

  const isDeep = ({ group, region }) => group === "deep" || region === "brainstem";
  const number = (found, name) => found.filter((one) => one.group === name || one.region === name).length;
  const lobarOnly = (found) => (found.some(isDeep) ? 0 : number(found, "lobar"));

  function category(found) {
    if (!found.length) return "none";
    if (number(found, "lobar")) return found.some(isDeep) ? "mixed" : "strictly lobar";
    if (number(found, "deep")) return "strictly deep";
    return number(found, "infratentorial") ? "infratentorial only" : "undetermined";
  }

  // Probability of so many or more of independent events; null where one is not known.
  function atLeast(chances, least) {
    if (chances.includes(null)) return null;
    let spread = [1];
    for (const p of chances) {
      spread = [...spread, 0].map((same, k) => same * (1 - p) + (k ? spread[k - 1] * p : 0));
    }
    return Math.min(1, spread.slice(least).reduce((sum, p) => sum + p, 0));
  }

  function cutoff(found, least, sure) {
    const chances = (some) => some.map((one) => one.chance);
    const crossed = least === null ? lobarOnly(found) >= 2 : found.length >= least;
    let chance = atLeast(chances(found), least);
    if (least === null) {
      const lobar = atLeast(chances(found.filter(({ group }) => group === "lobar")), 2);
      const deep = atLeast(chances(found.filter(isDeep)), 1);
      chance = lobar === null || deep === null ? null : lobar * (1 - deep);
    }
    if (chance !== null && 1 - sure < chance && chance < sure) return { answer: "uncertain", chance };
    return { answer: !crossed ? "no" : chance !== null && chance < sure ? "unlikely" : "yes", chance };
  }

  const classOf = (names, count) => names[Math.min(count, names.length - 1)];

  // What the summary says of a session that was read.
  function summarise({ found, ...rest }, session, { classes, sure }) {
    const groups = ["lobar", "deep", "infratentorial", "brainstem", "cerebellum"];
    return {
      count: found.length,
      ...Object.fromEntries(groups.map((name) => [name, number(found, name)])),
      unassigned: found.filter(({ group }) => group === NOWHERE).length,
      ...Object.fromEntries(COUNTED.map((grade) => [grade, found.filter((one) => one.grade === grade).length])),
      below_size: rest["below-size"], macro: rest.macro, rejected: rest.rejected,
      unrated: rest.unrated, nowhere: rest.nowhere,
      category: category(found), burden: classOf(classes.burden, found.length),
      aria_h_baseline: classOf(classes.baseline, found.length),
      boston_lobar: lobarOnly(found), boston_deep: found.some(isDeep), boston_cerebellar: number(found, "cerebellum"),
      border: found.filter((one) => one.border).length,
      cutoffs: session.cutoffs.map((least) => cutoff(found, least, sure)),
    };
  }

  // Lines of the MARS form: regions of each group with a sub-total, unassigned, total.
  function form(found, regions) {
    const line = (group, region, own, abbreviation = null) => {
      const cell = (grade, side) => own.filter((one) => one.grade === grade && (!side || one.side === side)).length;
      return { group, region, abbreviation, total: own.length, definite: cell("definite"), possible: cell("possible"),
        ...Object.fromEntries(COUNTED.flatMap((grade) => SIDES.map((side) =>
          [`${side === NOWHERE ? "unsided" : side}_${grade}`, cell(grade, side)]))) };
    };
    const lines = [];
    for (const group of new Set(regions.map((one) => one.group))) {
      const within = found.filter((one) => one.group === group);
      for (const { region, abbreviation } of regions.filter((one) => one.group === group)) {
        lines.push(line(group, region, within.filter((one) => one.region === region), abbreviation));
      }
      const nameless = within.filter((one) => one.region === NOWHERE);
      if (nameless.length) lines.push(line(group, NOWHERE, nameless));
      lines.push(line(group, "sub-total", within));
    }
    return [...lines, line(NOWHERE, NOWHERE, found.filter(({ group }) => group === NOWHERE)),
      line("total", "total", found)];
  }

  return { COUNTED, candidatesOf, read, summarise, form, category, lobarOnly, isDeep, number, classOf };
})();

// Microbleeds through time by a reader's words: a place that is found in no session is none.
const cmbTracks = (() => {
  "use strict";
  const THERE = ["present", "below-threshold"];
  const UNSEEN = ["not-covered", "not-comparable"];

  // The rows of a track as they are when only microbleeds of found (by session) are present.
  function rows(track, compared, found) {
    const has = ({ session, lesion }) => lesion !== null
      && (found.get(session) ?? []).some((one) => one.lesion === lesion);
    if (!track.some(has)) return [];
    const before = [];
    let since = null;
    return track.map((row) => {
      if (!compared.includes(row.session)) return { ...row, change: null };
      const known = before.includes("present");
      // A place that the reader decided against is seen, and nothing is there.
      const seen = row.state === "present" || row.state === "gone" || row.state === "not-yet";
      const state = has(row) ? "present" : seen ? (known ? "gone" : "not-yet") : row.state;
      const change = state !== "present" ? null : !before.length ? "baseline" : known ? "persistent"
        : before.includes("below-threshold") ? "already-there" : before.includes("not-yet") ? "new" : "open";
      before.push(state);
      since ??= THERE.includes(state) ? row.session : null;
      return { ...row, state, change, since, known };
    });
  }

  // What the changes say of each session that was compared, and the rows that it rests on.
  function follow({ tracks, compared, classes }, found) {
    const all = tracks.map((track) => rows(track, compared, found));
    const followed = new Set(tracks.flat().filter((row) => row.lesion !== null)
      .map((row) => `${row.session} ${row.lesion}`));
    const counts = new Map(compared.map((session) => {
      const here = all.flat().filter((row) => row.session === session);
      // What the tracks do not know, because the algorithm did not count it: nobody looked for it elsewhere.
      const alone = (found.get(session) ?? []).filter((one) => !followed.has(`${session} ${one.lesion}`));
      const of = (name, value) => here.filter((row) => row[name] === value);
      const known = [...here.filter((row) => THERE.includes(row.state) || (row.known && UNSEEN.includes(row.state))),
        ...alone];
      const since = here.filter((row) => row.state === "present" && all.some((track) =>
        track.some((one) => one.track === row.track && one.session === compared[0] && one.state === "not-yet")));
      const first = session === compared[0];
      return [session, {
        persistent: of("change", "persistent").length, new: of("change", "new").length,
        already_there: of("change", "already-there").length,
        open: of("change", "open").length + (first ? 0 : alone.length),
        below_threshold: of("state", "below-threshold").length, gone: of("state", "gone").length,
        ...Object.fromEntries(UNSEEN.map((state) => [state.replace("-", "_"),
          of("state", state).filter((row) => row.known).length])),
        new_since_baseline: since.length, aria_h: cmbCounts.classOf(classes.new, since.length),
        known: known.length, known_category: cmbCounts.category(known),
        known_boston_lobar: cmbCounts.lobarOnly(known), known_boston_deep: known.some(cmbCounts.isDeep),
        known_boston_cerebellar: cmbCounts.number(known, "cerebellum"), alone: first ? 0 : alone.length,
      }];
    }));
    return { counts, rows: all.flat() };
  }

  // A badge in a word or two, as the page has them.
  function badge({ state, change, since }) {
    if (state !== "present") return state.replace("-", " ");
    return { "new": "new", "already-there": `since ${since}, below threshold until now`, "open": "new or not: open",
      "persistent": `since ${since}` }[change] ?? "baseline";
  }

  return { follow, badge };
})();
