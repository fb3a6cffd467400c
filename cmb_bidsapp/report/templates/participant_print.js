// Printing: a clinical page for each session, with all of it that a chart needs; the rest of the page
// where it is asked for, a form alone, or, while somebody reads blinded, what is on the screen.
(() => {
  "use strict";
  const participant = document.querySelector(".top h1").textContent;
  const everything = document.querySelector("[name=everything]");
  const main = document.querySelector("main");

  function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...content);
    return made;
  }

  // A copy without what has to be the only one of its name.
  function copy(part) {
    const made = part.cloneNode(true);
    made.removeAttribute("id");
    for (const one of made.querySelectorAll("[id]")) one.removeAttribute("id");
    for (const one of made.querySelectorAll("button, .sign")) one.remove();
    return made;
  }

  // Its row of changes, as a list: that table is wider than paper.
  function changes(session) {
    const row = document.querySelector(`#changes tr[data-counts="${CSS.escape(session)}"]`);
    if (!row) return "";
    const heads = [...row.closest("table").querySelectorAll("th")].map((head) => head.textContent);
    const list = element("dl", { class: "paper-changes" });
    if (row.cells.length < heads.length) return element("p", { class: "bad" }, row.textContent);
    [...row.cells].forEach((cell, k) => {
      if (!k || cell.hidden || cell.innerText === "n/a") return;
      list.append(element("div", {}, element("dt", {}, heads[k]), element("dd", {}, cell.innerText)));
    });
    list.prepend(element("h4", {}, "Changes"));
    return list;
  }

  function pictures(session) {
    const counted = [...document.querySelectorAll(".card.counted")].filter((card) => card.dataset.session === session);
    return element("div", { class: "paper-pictures" }, ...counted.map((card) => {
      const about = card.querySelector("header p").cloneNode(true);
      const name = card.querySelector("h4 [data-verdict]") ?? card.querySelector("h4");
      const said = card.querySelector(".review-said").textContent;
      // What the reader says of it takes the place of what the algorithm says.
      if (said) for (const one of about.querySelectorAll("[data-verdict]:not(:has(.badge))")) one.remove();
      const words = `${said && `${said}.`} ${about.textContent}`.replace(/\s+/g, " ").trim();
      const zoom = card.querySelector(".zoom");
      // Of its picture the axial row alone, so that more of them fit on a sheet.
      return element("figure", { style: zoom?.getAttribute("style") ?? "" }, zoom?.firstElementChild.cloneNode(true) ?? "",
        element("figcaption", {}, element("b", {}, name.textContent), ` ${words}`));
    }));
  }

  // The page of a session; its head is on each sheet that it needs.
  function paper(summary) {
    const session = summary.dataset.counts ?? "";
    const who = [participant, session === "n/a" ? "" : session].filter(Boolean).join(", ");
    const about = `Cerebral microbleeds on T2*w. Printed ${new Date().toISOString().slice(0, 10)}.`;
    const form = document.querySelector(`.form[data-counts="${CSS.escape(session)}"]`);
    const read = document.querySelector(".review-summary")?.textContent ?? "";
    const sign = element("p", { class: "sign" }, `${read} Signature ____________________ \u2003 Date ____________`);
    const body = [copy(summary), ...(form ? [changes(session), copy(form), pictures(session), sign] : [])];
    return element("table", { class: "paper" },
      element("thead", {}, element("tr", {}, element("td", {}, element("b", {}, who), ` ${about}`))),
      element("tbody", {}, element("tr", {}, element("td", {}, ...body))));
  }

  for (const button of document.querySelectorAll(".print")) {
    button.addEventListener("click", () => {
      button.closest(".form").classList.add("chosen");
      document.body.classList.add("one-form");
      window.print();
    });
  }
  document.querySelector(".print-page").addEventListener("click", () => window.print());

  addEventListener("beforeprint", () => {
    const { classList } = document.body;
    const covered = document.querySelector(".starting, .blinded");
    if (!classList.contains("one-form") && !covered) {
      main.before(...[...document.querySelectorAll("main article:is(.summary, .failed)")].map(paper));
      classList.add("papers");
      classList.toggle("papers-only", !everything.checked);
    }
    // A closed part is not printed.
    for (const part of document.querySelectorAll("details:not([open])")) {
      part.open = true;
      part.dataset.closed = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const part of document.querySelectorAll("details[data-closed]")) {
      part.open = false;
      delete part.dataset.closed;
    }
    for (const one of document.querySelectorAll(".paper")) one.remove();
    document.body.classList.remove("one-form", "papers", "papers-only");
    document.querySelector(".form.chosen")?.classList.remove("chosen");
  });
})();
