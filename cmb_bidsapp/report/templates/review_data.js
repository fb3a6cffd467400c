// What outlasts the page: the ratings table as text, and what the browser keeps.

// Tabs between cells, quotes where a cell holds some (RFC 4180).
const cmbRatings = (() => {
  "use strict";
  const COLUMNS = ["participant_id", "session_id", "rater", "lesion_id", "decision",
    "x", "y", "z", "note", "date", "version"];

  const cell = (value) => {
    const flat = String(value || "n/a").replace(/[\t\r\n]+/g, " ");
    return flat.includes('"') ? `"${flat.replaceAll('"', '""')}"` : flat;
  };

  // Text of a table; rows are arrays in the order of the columns.
  const write = (rows) =>
    [COLUMNS, ...rows].map((row) => row.map(cell).join("\t") + "\n").join("");

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
