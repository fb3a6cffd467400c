// A reader at the microbleeds through time: new, there before or gone at each follow-up. Controls stand
// in the list of changes, beside the badge of each follow-up; the markup is in review.html.
(() => {
  "use strict";
  const { bar } = cmbBar;
  const { CHANGES, NONE, tracked, now, keyOf } = cmbReading;
  const template = bar.querySelector(".review-change");

  const controls = tracked.flatMap((place) => {
    const badge = [...document.querySelectorAll(".track .badge")]
      .find(({ dataset: d }) => d.track === place.track && d.session === place.session);
    if (!badge) return [];
    const part = template.content.cloneNode(true).firstElementChild;
    const session = place.session === NONE ? "" : ` in ${place.session}`;
    part.querySelector("legend").textContent = `Your reading of microbleed ${place.track}${session}`;
    for (const radio of part.querySelectorAll("input")) radio.name = keyOf(place);
    part.addEventListener("change", ({ target }) => cmbReading.decide(place, target.value));
    badge.parentElement.after(part);
    return [{ part, place }];
  });

  // What was counted stands: of that the candidates decide, and these words would contradict them.
  const against = (value, { counts, before }) => (value === "new" && before) || (value === "gone" && counts);

  const said = ({ decision, note }) => (CHANGES[decision] ?? decision) + (note ? `, ${note}` : "");

  // rows: those of the tracks as the page counts them.
  function show({ detail: rows }) {
    const disputes = new Map(cmbReading.disputed().map((one) => [keyOf(one), one]));
    const present = new Map(rows.map((row) => [`${row.session} ${row.track}`, row.state === "present"]));
    for (const { part, place } of controls) {
      const at = (session) => present.get(`${session} ${place.track}`);
      const earlier = cmbReading.compared.slice(0, cmbReading.compared.indexOf(place.session));
      const known = { counts: at(place.session), before: earlier.some(at) };
      const found = now.decisions.get(keyOf(place));
      const dispute = disputes.get(keyOf(place));
      for (const radio of part.querySelectorAll("input")) {
        radio.checked = radio.value === found?.decision;
        radio.disabled = now.locked || against(radio.value, known);
      }
      part.hidden = known.counts === undefined || (cmbReading.adjudicating() && !dispute);
      part.querySelector(".review-said").textContent = [
        ...(dispute?.words ?? []).map((word) => `${word.reader}: ${said(word)}`),
        ...(found ? [`${now.reader}: ${said(found)}`] : []),
      ].join("; ");
      // A disagreement must not be overlooked where nothing changed.
      if (dispute && part.closest("details")) part.closest("details").open = true;
    }
  }

  document.addEventListener("cmb:followed", show);
})();
