// Counts follow the reader: summary, changes and MARS form are drawn from the decisions, or are as the
// algorithm has them. A cell names what it shows (data-n) and stands in something of one session
// (data-counts); data-if is for what is there only where that is not 0, data-algorithm for what is of
// the algorithm alone.
(() => {
  "use strict";
  const { bar, plural } = cmbBar;
  const { now, cards, sessions } = cmbReading;
  const data = JSON.parse(document.getElementById("page-data").textContent).reading;
  const control = document.querySelector(".counts-by");
  let wanted = null;  // whose counts the reader has asked for

  const sessionOf = (element) => element.closest("[data-counts]").dataset.counts;
  const cells = [...document.querySelectorAll("[data-n]")]
    .map((cell) => ({ cell, own: [...cell.childNodes], session: sessionOf(cell), name: cell.dataset.n }));
  const parts = [...document.querySelectorAll("[data-if]")]
    .map((part) => ({ part, own: part.hidden, session: sessionOf(part), name: part.dataset.if }));
  const badges = [...document.querySelectorAll("[data-track]")]
    .map((badge) => ({ badge, text: badge.textContent, look: badge.className }));
  const forms = [...document.querySelectorAll(".form[data-counts]")].map((form) => ({ form,
    own: { body: form.querySelector("tbody"), heads: [...form.querySelector("thead tr:last-child").children] } }));

  const boston = (lobar, deep, cerebellar) =>
    `${lobar} strictly lobar; deep ${deep ? "present" : "absent"}; ${cerebellar} cerebellar`;

  function chance(share) {
    const shown = document.createElement("span");
    shown.className = share === null ? "soft" : "chance";
    if (share !== null) shown.style.setProperty("--share", share.toFixed(3));
    shown.textContent = share === null ? "n/a" : share.toFixed(2);
    return shown;
  }

  // What stayed as the algorithm has it, and what the page does not know.
  const asIs = ({ unrated, nowhere }) => [`By ${now.reader}, ${now.mode}`,
    unrated ? `${plural(unrated, "candidate")} not rated, as the algorithm has ${unrated === 1 ? "it" : "them"}` : "",
    nowhere ? `${plural(nowhere, "added lesion")} unassigned, because the page does not know the region` : "",
  ].filter(Boolean).join("; ") + ".";

  // Who is counted by, and how much of all sessions up to this one is not rated: a follow-up rests on them.
  function counter(session, read) {
    const own = data.compared.slice(0, data.compared.indexOf(session) + 1).filter((one) => read.has(one));
    const left = own.reduce((sum, one) => sum + read.get(one).unrated, 0);
    const all = own.flatMap((one) => cmbCounts.candidatesOf(data.sessions[one])).filter((one) => one.kept).length;
    return left ? `${now.reader}; ${left} of ${plural(all, "candidate")} unrated` : now.reader;
  }

  // Texts by the names of the cells, of a session that was read.
  function texts(sums, change) {
    const words = { ...sums, microbleeds: sums.count === 1 ? "microbleed" : "microbleeds",
      candidates: sums.rejected === 1 ? "candidate" : "candidates", says: asIs(sums),
      boston: boston(sums.boston_lobar, sums.boston_deep, sums.boston_cerebellar),
      filled: `Filled in by ${now.reader} (${now.mode}) in cmb_bidsapp ${bar.dataset.version}` };
    sums.cutoffs.forEach((one, k) => {
      words[`answer-${k}`] = one.answer;
      words[`chance-${k}`] = chance(one.chance);
    });
    if (!change) return words;
    return { ...words, ...change, unknown: "n/a", known_words: `${change.known}, ${change.known_category}`,
      known_all: `${change.known}: ${change.known_category}. Boston v2.0: `
        + `${boston(change.known_boston_lobar, change.known_boston_deep, change.known_boston_cerebellar)}.`,
      alone: change.alone ? `By ${now.reader}: ${plural(change.alone, "microbleed")} of ${change.session}, added or `
        + "counted against the algorithm: not checked in the earlier images, so open." : "" };
  }

  function element(name, text, attributes = {}) {
    const made = Object.assign(document.createElement(name), { textContent: text });
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function formBody(lines, unsided) {
    const body = document.createElement("tbody");
    const shown = lines.filter((line) => line.group !== "unassigned" || line.total);
    shown.forEach((line, k) => {
      const sum = ["sub-total", "total"].includes(line.region);
      const row = element("tr", "", { class: sum ? line.region : "region" });
      if (line.group === "total") row.append(element("th", "Total", { scope: "row", colspan: 2 }));
      else {
        if (shown[k - 1]?.group !== line.group) {
          const size = shown.filter((one) => one.group === line.group).length;
          row.append(element("th", line.group[0].toUpperCase() + line.group.slice(1), { scope: "rowgroup", rowspan: size }));
        }
        const { words = line.region, abbreviation } = data.form.find(({ region }) => region === line.region) ?? {};
        const head = element("th", words, { scope: "row" });
        if (abbreviation) head.append(" ", element("span", abbreviation, { class: "soft" }));
        row.append(head);
      }
      for (const grade of cmbCounts.COUNTED) {
        for (const side of ["right", "left", ...(unsided ? ["unsided"] : [])]) {
          const n = line[`${side}_${grade}`];
          row.append(element("td", n, n ? { class: "some" } : {}));
        }
      }
      for (const n of [line.definite, line.possible, line.total]) row.append(element("td", n, { class: n ? "sum some" : "sum" }));
      body.append(row);
    });
    return body;
  }

  function drawForm({ form, own }, lines) {
    const unsided = (lines || []).some((line) => line.unsided_definite || line.unsided_possible);
    const sides = ["right", "left", ...(unsided ? ["no side"] : [])];
    const heads = lines ? cmbCounts.COUNTED.flatMap(() => sides.map((side) => element("th", side, { scope: "col" }))) : own.heads;
    form.querySelector("tbody").replaceWith(lines ? formBody(lines, unsided) : own.body);
    form.querySelector("thead tr:last-child").replaceChildren(...heads);
    for (const head of form.querySelectorAll("[data-sides]")) head.colSpan = heads.length / 2;
  }

  // Everything anew, by the reader's decisions or as it was.
  function draw() {
    const byReader = Boolean(now.decisions.size) && wanted !== "algorithm";
    const decisions = byReader ? [...now.decisions.values()] : [];
    const read = new Map(sessions.map((session) => [session, cmbCounts.read(data.sessions[session],
      decisions.filter((d) => d.session === session), data.places)]));
    const found = new Map([...read].map(([session, one]) => [session, one.found]));
    const denied = new Map([...read].map(([session, one]) => [session, one.denied]));
    const judged = new Map(decisions.filter(({ track }) => track).map((d) => [`${d.session} ${d.track}`, d.decision]));
    const { counts, rows } = cmbTracks.follow(data, found, denied, judged);
    const said = new Map(!byReader ? [] : [...read].map(([session, one]) => [session, texts(
      cmbCounts.summarize(one, data.sessions[session], data),
      counts.has(session) ? { ...counts.get(session), session, by: counter(session, read) } : null)]));
    for (const { cell, own, session, name } of cells) {
      const text = said.get(session)?.[name];
      cell.replaceChildren(...(text === undefined ? own : [text instanceof Node ? text.cloneNode(true) : text]));
    }
    for (const { part, own, session, name } of parts) part.hidden = byReader ? !said.get(session)?.[name] : own;
    for (const { badge, text, look } of badges) {
      const row = rows.find((one) => String(one.track) === badge.dataset.track && one.session === badge.dataset.session);
      badge.textContent = !byReader ? text : row ? cmbTracks.badge(row) : "not a microbleed";
      badge.className = byReader ? `badge ${row ? row.change ?? row.state : "none"}` : look;
    }
    for (const one of forms) drawForm(one, byReader && cmbCounts.form(found.get(one.form.dataset.counts), data.form));
    for (const card of cards) card.classList.toggle("counted", counted(card.dataset, found));
    for (const part of document.querySelectorAll("[data-algorithm]")) part.classList.toggle("unsaid", byReader);
    show(byReader);
    document.dispatchEvent(new CustomEvent("cmb:followed", { detail: rows }));
  }

  const counted = ({ session, lesion }, found) => found.get(session).some((one) => String(one.lesion) === lesion);

  function show(byReader) {
    if (!control) return;
    control.hidden = !now.decisions.size;
    control.querySelector("span").textContent = now.reader;
    for (const radio of control.querySelectorAll("input")) radio.checked = (radio.value === "reader") === byReader;
  }

  control?.addEventListener("change", ({ target }) => {
    wanted = target.value;
    draw();
  });
  document.addEventListener("cmb:reading", draw);
})();
