"use strict";

// Charts: Vega in its interpreter, so that the page's policy need not allow eval.
for (const spec of document.querySelectorAll("script.spec")) {
  const options = { ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: { disableDefaultStyle: true } };
  draw(spec.previousElementSibling, JSON.parse(spec.textContent), options).catch(error => console.error(String(error)));
}

// Maps: the value under the pointer, or under the cursor that the arrow keys move.
for (const map of document.querySelectorAll(".map")) {
  const { rows, columns, top, left, high, period } = Object.fromEntries(Object.entries(map.dataset).map(([k, v]) => [k, Number(v)]));
  const cursor = map.querySelector(".cursor"), told = map.parentElement.querySelector("output"), at = { row: 0, column: 0 };
  const values = map.dataset.values && inflate(map.dataset.values), texts = map.dataset.texts && JSON.parse(map.dataset.texts);

  const show = async (row, column) => {
    at.row = Math.min(Math.max(row, 0), rows - 1);
    at.column = Math.min(Math.max(column, 0), columns - 1);
    cursor.setAttribute("x", at.column);
    cursor.setAttribute("y", at.row);
    cursor.setAttribute("visibility", "visible");
    if (texts) { told.textContent = texts[at.row * columns + at.column]; return; }
    const value = (await values)[at.row * columns + at.column] / 65535 * high;
    const [y, x] = [at.row + top, at.column + left];
    const phase = period ? `, phase (${y % period}, ${x % period})` : "";
    told.textContent = `row ${y}, column ${x}${phase}: ${value.toPrecision(3)} × the mean`;
  };
  map.addEventListener("pointermove", event => {
    const box = map.getBoundingClientRect();
    show(Math.floor((event.clientY - box.top) / box.height * rows), Math.floor((event.clientX - box.left) / box.width * columns));
  });
  map.addEventListener("focus", () => show(at.row, at.column));
  map.addEventListener("keydown", event => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    show(at.row + step[0], at.column + step[1]);
  });
}

// Filters: rows of their table by verdict, check and text; what the page shows of a check goes with its rows.
for (const filter of document.querySelectorAll(".filter")) {
  const rows = [...document.getElementById(filter.dataset.table).tBodies[0].rows];
  const asked = name => filter.querySelector(`[name=${name}]`).value;
  const apply = () => {
    const [verdict, check, text] = [asked("verdict"), asked("check"), asked("text").trim().toLowerCase()];
    for (const row of rows) {
      const { dataset } = row;
      row.hidden = Boolean(verdict && dataset.verdict !== verdict || check && dataset.check !== check
        || text && !row.textContent.toLowerCase().includes(text));
    }
    for (const part of document.querySelectorAll("[data-of]")) {
      const mine = rows.filter(row => row.dataset.experiment === part.dataset.of);
      part.hidden = mine.length > 0 && mine.every(row => row.hidden);
    }
    filter.querySelector("output").textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} shown`;
  };
  filter.addEventListener("input", apply);
  filter.hidden = false;
  apply();
}

// Commands: copied, or selected where the browser lets no page copy.
for (const command of document.querySelectorAll(".command")) {
  const button = command.querySelector("button"), text = command.querySelector("pre"), told = command.querySelector("output");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      told.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      told.textContent = "Selected: press Ctrl+C or ⌘C to copy.";
    }
  });
  button.hidden = false;
}

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), character => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint16Array(await new Response(stream).arrayBuffer());
}
