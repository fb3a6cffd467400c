// What a reading is apart from the page: its table as text, what the browser keeps of it, and what is
// counted by it.

// Tabs between cells, quotes where a cell holds some (RFC 4180).
const cmbRatings = (() => {
  "use strict";
  const COLUMNS = ["participant_id", "session_id", "rater", "lesion_id", "decision",
    "x", "y", "z", "note", "date", "version"];
  const MORE = ["mode", "seconds", "outputs", "track_id"];  // earlier exports do not have them

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
      if (end === undefined) throw new Error("it is not a table");
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

// What several readers agree on and what they do not, apart from the page.
const cmbDisputes = (() => {
  "use strict";
  const COUNTED = ["definite", "possible"];
  const SAME_LESION = 5;  // mm: lesions that two readers added are one, as at the group level

  const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y, a.z - b.z);
  const mean = (places, axis) => places.reduce((sum, one) => sum + Number(one[axis]), 0) / places.length;
  const middle = (places) => Object.fromEntries([..."xyz"].map((axis) => [axis, mean(places, axis)]));

  // The lesions that readers added, those of several at one place together.
  function addedBy(sides) {
    const groups = [];
    for (const { reader, decisions } of sides) {
      for (const d of decisions.filter((one) => one.lesion === "n/a" && COUNTED.includes(one.decision))) {
        const near = groups
          .filter((group) => group[0].session === d.session && group.every((one) => one.reader !== reader))
          .map((group) => ({ group, away: distance(middle(group), d) }))
          .filter(({ away }) => away <= SAME_LESION)
          .sort((a, b) => a.away - b.away)[0];
        if (near) near.group.push({ ...d, reader });
        else groups.push([{ ...d, reader }]);
      }
    }
    return groups;
  }

  // Every place that a reader has said something of: what each said, and their decision where it is one.
  // A candidate that the algorithm rejected is none to those who let it pass.
  function find(candidates, sides) {
    const readers = sides.map(({ reader }) => reader);
    const place = (where, said, silence) => {
      const words = readers.map((reader) => {
        const { decision = silence, note = "" } = said.find((one) => one.reader === reader) ?? {};
        return { reader, decision, note };
      });
      const [first, ...others] = words.map(({ decision }) => decision);
      const agreed = others.every((one) => one === first) ? first : null;
      const date = said.map((one) => one.date).sort().at(-1);
      return { ...where, words, agreed, date };
    };
    const rated = candidates.flatMap(({ kept, ...where }) => {
      const said = sides.flatMap(({ reader, decisions }) => decisions
        .filter((d) => d.session === where.session && d.lesion === where.lesion).map((d) => ({ ...d, reader })));
      return said.length ? [place(where, said, kept ? "not rated" : "not-cmb")] : [];
    });
    const changes = sides.flatMap(({ reader, decisions }) =>
      decisions.filter(({ track }) => track).map((d) => ({ ...d, reader })));
    const isOf = (one) => (other) => one.session === other.session && one.track === other.track;
    const judged = changes.filter((one, k) => changes.findIndex(isOf(one)) === k)
      .map(({ session, lesion, track, x, y, z, ...one }) =>
        place({ session, lesion, track, x, y, z }, changes.filter(isOf({ session, track })), "not rated"));
    const added = addedBy(sides).map((group) => {
      const at = Object.entries(middle(group)).map(([axis, mm]) => [axis, String(Number(mm.toFixed(2)))]);
      return place({ session: group[0].session, lesion: "n/a", ...Object.fromEntries(at) }, group, "not added");
    });
    return [...rated, ...added, ...judged];
  }

  return { find };
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

  const place = ({ x, y, z }) => [x, y, z].map(Number);

  // The microbleeds of a session by a reader's words on it, and what is not counted.
  function read(session, said, places) {
    const words = new Map(said.filter((d) => d.lesion !== "n/a").map((d) => [d.lesion, d]));
    const made = { found: [], denied: [], "below-size": 0, macro: 0, rejected: session.rejected, unrated: 0, nowhere: 0 };
    for (const one of candidatesOf(session)) {
      const d = words.get(String(one.lesion));
      const word = d?.decision;
      if (COUNTED.includes(word)) {
        made.found.push({ ...one, grade: word, chance: 1, at: place(d) });
        made.rejected -= !one.kept;
      } else if (word) {
        made.denied.push({ lesion: one.lesion, at: place(d) });
        made.rejected += one.kept;
      }
      else if (one.kept) {
        made.unrated += 1;
        if (COUNTED.includes(one.grade)) made.found.push(one);
        else made[one.grade] += 1;
      }
    }
    for (const d of said) {
      if (d.lesion !== "n/a" || !COUNTED.includes(d.decision)) continue;
      const [group, region, side] = places[d.region] ?? [NOWHERE, NOWHERE, NOWHERE];
      made.nowhere += group === NOWHERE;
      made.found.push({ lesion: null, grade: d.decision, group, region, side, border: false, chance: 1, at: place(d) });
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
  function summarize({ found, ...rest }, session, { classes, sure }) {
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

  return { COUNTED, candidatesOf, read, summarize, form, category, lobarOnly, isDeep, number, classOf };
})();

// Microbleeds through time by a reader's words: a place that is found in no session is none.
const cmbTracks = (() => {
  "use strict";
  const THERE = ["present", "below-threshold"];
  const UNSEEN = ["not-covered", "not-comparable"];
  const BEFORE = { "not-yet": "new", "below-threshold": "already-there" };  // the first one decides
  const UNKNOWN = "unknown";  // the page does not look at images: what only the reader counts was not looked for

  // Places of a session in the world of the first one; null where the way is not known.
  const carry = (way, at) => way && at
    ? [0, 4, 8].map((k) => way[k] * at[0] + way[k + 1] * at[1] + way[k + 2] * at[2] + way[k + 3]) : null;

  // What lies at the same place, the nearest first and each at most once: pairs of known and own.
  function pairs(known, own, reach) {
    const near = known.flatMap((one) => own.map((other) => ({ one, other,
      away: one.at && other.at ? Math.hypot(...one.at.map((mm, k) => mm - other.at[k])) : Infinity })))
      .filter(({ away }) => away < reach).sort((a, b) => a.away - b.away);
    const taken = new Set();
    return near.filter(({ one, other }) => !taken.has(one) && !taken.has(other) && taken.add(one).add(other));
  }

  // The tracks with what only the reader says of their places, and new ones of what lies at none of them.
  function place({ tracks, compared, ways, reach }, found, denied) {
    const all = tracks.map((track) => track.map((row) => ({ ...row })));
    const followed = new Set(all.flat().filter((row) => row.lesion !== null).map((row) => `${row.session} ${row.lesion}`));
    const loose = (given, session) => (given.get(session) ?? [])
      .filter((one) => one.lesion === null || !followed.has(`${session} ${one.lesion}`))
      .map((one) => ({ ...one, at: carry(ways[session], one.at) }));
    const open = (session) => all.flat().filter((row) => row.session === session && !isFound(row, found));
    const made = [];
    for (const session of compared) {
      const own = loose(found, session);
      const met = pairs(open(session), own, reach);
      for (const { one } of met) one.met = true;
      const left = own.filter((lesion) => !met.some(({ other }) => other === lesion));
      const again = pairs(made.map((track) => track.findLast((row) => row.met)), left, reach);
      for (const { one, other } of again) {
        Object.assign(made.find((track) => track.includes(one)).find((row) => row.session === session), other, { met: true });
      }
      for (const lesion of left.filter((one) => !again.some(({ other }) => other === one))) {
        const number = Math.max(0, ...[...all, ...made].map((track) => track[0].track)) + 1;
        made.push(compared.map((name) => ({ ...lesion, track: number, session: name, state: UNKNOWN, lesion: null,
          alone: true, met: name === session })));
      }
    }
    all.push(...made);
    for (const session of compared) {
      for (const { one } of pairs(open(session), loose(denied, session), reach)) one.denied = true;
    }
    return all;
  }

  const isFound = ({ session, lesion, met }, found) => met || (lesion !== null
    && (found.get(session) ?? []).some((one) => one.lesion === lesion));

  // Whether sessions have a microbleed by the reader's words on it at follow-ups, as far as they say so.
  // An earlier follow-up knows better what was before it.
  function toldThere(track, compared, judged) {
    const there = new Map();
    compared.forEach((session, n) => {
      const word = judged.get(`${session} ${track}`);
      if (!word || word === "not-sure") return;
      for (const one of word === "gone" ? [] : compared.slice(0, n)) {
        if (!there.has(one)) there.set(one, word === "there-before");
      }
      there.set(session, word !== "gone");
    });
    return there;
  }

  // The rows of a track as they are when only microbleeds of found (by session) are present.
  function rows(track, compared, found, judged) {
    const has = (row) => isFound(row, found);
    if (!track.some(has)) return [];
    const there = toldThere(track[0].track, compared, judged);
    const before = [];
    let since = null;
    return track.map((row) => {
      if (!compared.includes(row.session)) return { ...row, change: null };
      const known = before.includes("present");
      // A place that the reader decided against is seen, and nothing is there.
      const said = there.get(row.session);
      const seen = said === false || row.denied || row.state === "present" || row.state === "gone" || row.state === "not-yet";
      const state = has(row) ? "present" : said ? "below-threshold" : seen ? (known ? "gone" : "not-yet") : row.state;
      const change = state !== "present" ? null : !before.length ? "baseline" : known ? "persistent"
        : BEFORE[before.find((one) => one in BEFORE)] ?? "open";
      before.push(state);
      since ??= THERE.includes(state) ? row.session : null;
      return { ...row, state, change, since, known };
    });
  }

  // What the changes say of each session that was compared, and the rows that it rests on.
  // found, denied: by session the lesions that count, and those that the reader says are none.
  // judged: by session and number of the track what the reader says of it there.
  function follow(data, found, denied = new Map(), judged = new Map()) {
    const { compared, classes } = data;
    const all = place(data, found, denied).map((track) => rows(track, compared, found, judged));
    const counts = new Map(compared.map((session) => {
      const here = all.flat().filter((row) => row.session === session);
      const of = (name, value) => here.filter((row) => row[name] === value);
      const known = here.filter((row) => THERE.includes(row.state)
        || (row.known && [...UNSEEN, UNKNOWN].includes(row.state)));
      const since = known.filter((row) => (row.state === "present" || row.known) && all.some((track) =>
        track.some((one) => one.track === row.track && one.session === compared[0] && one.state === "not-yet")));
      return [session, {
        persistent: of("change", "persistent").length, new: of("change", "new").length,
        already_there: of("change", "already-there").length,
        open: of("change", "open").length,
        below_threshold: of("state", "below-threshold").length, gone: of("state", "gone").length,
        ...Object.fromEntries(UNSEEN.map((state) => [state.replace("-", "_"),
          of("state", state).filter((row) => row.known).length])),
        new_since_baseline: since.length, aria_h: cmbCounts.classOf(classes.new, since.length),
        known: known.length, known_category: cmbCounts.category(known),
        known_boston_lobar: cmbCounts.lobarOnly(known), known_boston_deep: known.some(cmbCounts.isDeep),
        known_boston_cerebellar: cmbCounts.number(known, "cerebellum"),
        alone: of("change", "open").filter((row) => row.alone).length,
      }];
    }));
    return { counts, rows: all.flat() };
  }

  // A badge in a word or two, as the page has them.
  function badge({ session, state, change, since }) {
    if (state !== "present") return state.replace("-", " ");
    const hidden = since && since !== session ? `; below the threshold in ${since}` : "";
    return { "new": `new${hidden}`, "already-there": `since ${since}, below threshold until now`, "open": "new or not: open",
      "persistent": `since ${since}` }[change] ?? "baseline";
  }

  return { follow, badge };
})();
