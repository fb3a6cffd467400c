// The dialog at the beginning: who reads, and whether what the algorithm found is shown.
// "cmb:blinded" (detail: true or false) tells the page when that changes; while nobody has said
// anything the page is covered.
(() => {
  "use strict";
  const { find, say, plural } = cmbBar;
  const { now } = cmbReading;
  const dialog = document.getElementById("review-start");
  const form = dialog.querySelector("form");
  const { reader: name, mode: modes, exports } = form.elements;
  const why = dialog.querySelector("[role=alert]");
  let shown = false;  // what the algorithm found was on the screen since the page was opened
  let dark = null;  // what the page was told last

  // Covers or shows what the algorithm thinks.
  function cover() {
    const blinded = cmbReading.blinded();
    if (blinded !== dark) document.dispatchEvent(new CustomEvent("cmb:blinded", { detail: blinded }));
    dark = blinded;
    shown ||= !blinded;
    document.body.classList.toggle("blinded", blinded);
    document.body.classList.toggle("adjudicating", cmbReading.adjudicating());
    document.documentElement.classList.remove("starting");
  }

  // Why this reader cannot read blinded any more; empty where it is possible.
  function seen(reader) {
    if (cmbReading.kept(reader, "blinded")?.locked) return "";
    if (cmbReading.kept(reader, "aided")) return `${reader} has already read this participant in aided mode.`;
    if (cmbReading.kept(reader, cmbReading.ADJUDICATED)) return `${reader} has already adjudicated this participant.`;
    if (!shown) return "";
    cmbReading.leave();
    return "The results of the algorithm were shown on this screen. Reload the page to read blinded.";
  }

  function ask() {
    name.value = now.reader || (cmbStore.get("cmb_bidsapp reader") ?? "");
    modes.value = now.mode || (cmbStore.get("cmb_bidsapp mode") ?? "aided");
    why.textContent = "";
    exports.value = "";
    offer();
    if (!dialog.open) dialog.showModal();
    name.select();
  }

  const offer = () => { exports.closest("label").hidden = modes.value !== cmbReading.ADJUDICATED; };

  function begin(event) {
    event.preventDefault();
    const reader = name.value.trim().replace(/\s+/g, " ");
    if (!reader) {
      why.textContent = "Enter your name or initials.";
      return name.focus();
    }
    const mode = modes.value;
    const going = mode === now.mode && reader.toLowerCase() === now.reader.toLowerCase();
    why.textContent = mode === "blinded" && !going ? seen(reader) : "";
    if (why.textContent) return;
    if (mode === cmbReading.ADJUDICATED && (exports.files.length || !cmbReading.kept(reader, mode))) {
      return adjudicate(reader);
    }
    dialog.close();
    if (going) return;
    const own = now.mode === mode && !now.locked && now.decisions.size ? cmbReading.text() : "";
    cmbReading.start(reader, mode);
    greet(own);
    begun();
  }

  // What readers disagree on is decided by this one.
  async function adjudicate(reader) {
    let read;
    try { read = await cmbFile.sidesOf(exports.files); } catch (error) {
      why.textContent = error.message;
      return;
    }
    cmbReading.start(reader, cmbReading.ADJUDICATED, read.sides);
    dialog.close();
    say([`${read.sides.map((side) => side.reader).join(" and ")} disagree on ${plural(cmbReading.disputed().length, "place")}`,
      ...read.unused].join("; ") + ".");
    begun();
  }

  const begun = () => document.dispatchEvent(new CustomEvent("cmb:begun"));

  // own: decisions of another name that may be this reader's.
  function greet(own = "") {
    const size = now.decisions.size;
    if (now.locked) say(`${plural(size, "decision")} of ${now.reader}, exported blinded: locked.`);
    else if (size) say(`${plural(size, "decision")} of ${now.reader}, from before.`);
    else if (own) {
      say("Decisions under the other name are kept there.", [`They are ${now.reader}'s`,
        () => cmbReading.change(() => cmbReading.restore(own))]);
    } else say("");
  }

  form.addEventListener("submit", begin);
  form.addEventListener("change", offer);
  // Who only looks goes on as before.
  dialog.querySelector("[type=button]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    cover();
    if (!now.reader) say("To start reading, enter your name, then rate the candidates.");
  });
  find(".review-who").addEventListener("click", ask);
  document.addEventListener("cmb:who", ask);
  document.addEventListener("cmb:reading", () => {
    find(".review-who").textContent = now.reader ? `${now.reader}, ${now.mode}` : "Start reading";
    if (now.reader) cover();
  });

  // A page that somebody is reading goes on.
  const going = cmbReading.last();
  if (going) {
    cmbReading.start(going.reader, going.mode);
    greet();
  } else {
    document.dispatchEvent(new CustomEvent("cmb:reading"));
    ask();
  }
})();
