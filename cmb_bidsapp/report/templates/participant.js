// What a page does without the viewer: enlarge pictures, order cards, slide between images.
(() => {
  "use strict";
  const enlarged = document.getElementById("enlarged");
  const zooms = () => [...document.querySelectorAll(".zoom")].filter((b) => b.offsetParent !== null);
  let shown = null;

  function enlarge(button) {
    const image = button.querySelector("img");
    const large = enlarged.querySelector("img");
    shown = button;
    large.src = image.src;
    large.alt = image.alt;
    large.parentElement.style.cssText = button.style.cssText;
    large.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight);
    const about = button.closest(".card")?.querySelector("header p") ?? button.parentElement.querySelector("figcaption");
    // Neither controls, nor what who reads blinded is not to see.
    const words = [...about.childNodes].map((node) => node.nodeType === Node.TEXT_NODE ? node.textContent
      : node.matches("fieldset, button") || !node.checkVisibility() ? "" : node.innerText);
    const number = button.closest(".card")?.querySelector("h4").innerText ?? "";
    const told = words.map((word) => word.replace(/\s+/g, " ").trim()).filter(Boolean);
    enlarged.querySelector("p").textContent = `${number} ${told.join(about.matches("figcaption") ? "; " : " ")}`.trim();
    if (!enlarged.open) enlarged.showModal();
  }

  document.addEventListener("click", ({ target }) => {
    const zoom = target.closest(".zoom");
    if (zoom) enlarge(zoom);
    if (target === enlarged) enlarged.close();
    const button = target.closest(".show");
    if (button) {
      const { session, x, y, z, first } = button.closest("[data-x]").dataset;
      const detail = { session, first: first !== undefined, x: Number(x), y: Number(y), z: Number(z) };
      // Two sessions stand over the page, wherever it is.
      if ("both" in button.dataset) Object.assign(detail, { both: true, with: button.dataset.with, from: button });
      else document.getElementById("viewer").scrollIntoView({ block: "nearest" });
      document.dispatchEvent(new CustomEvent("cmb:show", { detail }));
    }
  });

  // What is below the head of the page knows its height, which grows with what it holds.
  const head = document.querySelector(".top");
  new ResizeObserver(() => document.documentElement.style.setProperty("--top", `${head.offsetHeight}px`)).observe(head);

  enlarged.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = zooms();
    enlarge(all[(all.indexOf(shown) + step + all.length) % all.length]);
  });
  enlarged.addEventListener("close", () => shown?.focus());

  // A picture of which a card has several parts is in the page once.
  for (const image of document.querySelectorAll(".part img:not([src])")) {
    image.src = image.closest(".zoom").querySelector("img").src;
  }

  const order = document.getElementById("order");
  // The number of a card is that of its heading: through all sessions; without one, of the candidate.
  const numbered = (a, b) => (a.number ?? Infinity) - (b.number ?? Infinity) || a.lesion - b.lesion;
  const RANKS = {
    lesion: (a, b) => a.lesion - b.lesion,  // of who reads blinded, and sees no other
    number: numbered,
    turn: (a, b) => ("turn" in b) - ("turn" in a) || numbered(a, b),
    region: (a, b) => a.region.localeCompare(b.region) || numbered(a, b),
  };
  let blind = false;
  function sort() {
    const by = blind ? "lesion" : order.value;
    const rank = RANKS[by] ?? ((a, b) => b[by] - a[by] || numbered(a, b));
    for (const list of document.querySelectorAll(".cards")) {
      list.append(...[...list.children].sort((a, b) => rank(a.dataset, b.dataset)));
    }
  }
  order?.addEventListener("change", sort);
  if (order) sort();

  // Columns of changes that say nothing of any session are left out, until a decision fills them.
  const RARE = ["already_there", "open", "below_threshold", "gone", "not_covered", "not_comparable"];
  function leaveOut(table) {
    const full = [...table.rows].filter((row) => row.cells.length === table.rows[0].cells.length).slice(1);
    if (!full.length) return;
    const empty = [...full[0].cells].map((cell, k) => RARE.includes(cell.dataset.n)
      && full.every((row) => row.cells[k].textContent.trim() === "0"));
    for (const row of [table.rows[0], ...full]) empty.forEach((out, k) => { row.cells[k].hidden = out; });
    for (const cell of table.querySelectorAll("td[colspan]")) {
      cell.colSpan = table.rows[0].cells.length - 3 - empty.filter(Boolean).length;
    }
  }
  const changes = document.querySelector("#changes table");
  if (changes) {
    leaveOut(changes);
    new MutationObserver(() => leaveOut(changes)).observe(changes, { childList: true, subtree: true });
  }

  // Who reads blinded sees one list of a session's candidates, whatever the algorithm made of them.
  const homes = [...document.querySelectorAll(".cards")].map((list) => [list, [...list.children]]);
  document.addEventListener("cmb:blinded", ({ detail: blinded }) => {
    blind = blinded;
    for (const [list, cards] of homes) {
      (blinded ? document.querySelector(`.cards[data-of="${list.dataset.of}"]`) : list).append(...cards);
    }
    sort();
  });

  for (const pair of document.querySelectorAll(".pair:has(.over)")) {
    const slider = pair.querySelector("input");
    const cut = (percent) => pair.style.setProperty("--cut", `${percent}%`);
    slider.addEventListener("input", () => cut(slider.value));
    pair.addEventListener("pointermove", (event) => {
      if (event.target === slider) return;
      const { left, width } = pair.getBoundingClientRect();
      slider.value = 100 * (event.clientX - left) / width;
      cut(slider.value);
    });
    cut(slider.value);
  }
})();
