for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], first = [...body.rows];
  const text = (row, column) => row.cells[column].textContent.trim();
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      // Numbers begin with the largest one, words with the first; a third click undoes it.
      const numeric = first.some(row => text(row, column).match(/^[▲ ]*[0-9.]+$/));
      const ways = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
      const way = ways[ways.indexOf(head.ariaSort) + 1] ?? null;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      if (way) head.ariaSort = way;
      const value = row => numeric ? parseFloat(text(row, column).replace(/^[▲ ]+/, "")) : text(row, column);
      const sign = way === "descending" ? -1 : 1;
      const compare = (a, b) => numeric
        ? (Number.isNaN(a) - Number.isNaN(b)) || sign * (a - b) || 0
        : sign * a.localeCompare(b, "en", {numeric: true});
      body.append(...(way ? first.toSorted((a, b) => compare(value(a), value(b))) : first));
    });
  });
}
