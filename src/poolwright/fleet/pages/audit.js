"use strict";
(() => {
  const { columns, rows, filters } = JSON.parse(document.getElementById("data").textContent);
  const place = Object.fromEntries(columns.map((name, number) => [name, number]));
  const body = document.querySelector("#pools tbody");
  const count = document.getElementById("count");
  const more = document.getElementById("more");
  const form = document.querySelector("form.filters");
  const STEP = 500;
  let sorted = { column: null, down: false };
  let shown = STEP;

  const wanted = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = filters.map((name) => [place[name], form.elements[name].value]).filter(([, value]) => value !== "");
    let found = rows.filter(
      (row) =>
        chosen.every(([column, value]) => String(row[column] ?? "unknown") === value) &&
        words.every((word) => row.some((cell) => String(cell ?? "").toLowerCase().includes(word))),
    );
    if (sorted.column !== null) {
      const column = place[sorted.column];
      const compare = (one, other) => {
        const [a, b] = [one[column], other[column]];
        if (a === b) return 0;
        if (a === null || a === "") return 1;
        if (b === null || b === "") return -1;
        const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
        return sorted.down ? -order : order;
      };
      found = [...found].sort(compare);
    }
    return found;
  };

  const cell = (row, name) => {
    const element = document.createElement("td");
    const value = row[place[name]];
    if (name === "generation") {
      element.className = `generation ${value ?? ""}`;
      element.textContent = (value ?? "unknown") + (row[place.confidence] === "likely" ? " (likely)" : "");
    } else {
      if (typeof value === "number") element.className = "number";
      if (typeof value === "string" && value.length > 40) element.className = "wordy";
      element.textContent = value ?? "–";
    }
    return element;
  };

  const draw = (all = false) => {
    const found = wanted();
    const heads = [...document.querySelectorAll("#pools thead th")];
    const lines = document.createDocumentFragment();
    for (const row of found.slice(0, all ? found.length : shown)) {
      const line = document.createElement("tr");
      for (const head of heads) line.append(cell(row, head.dataset.column));
      lines.append(line);
    }
    body.replaceChildren(lines);
    for (const head of heads) {
      const here = head.dataset.column === sorted.column;
      head.setAttribute("aria-sort", here ? (sorted.down ? "descending" : "ascending") : "none");
    }
    const machines = found.reduce((sum, row) => sum + row[place.count], 0);
    count.textContent = `${found.length} of ${rows.length} node pools, ${machines} machines`;
    more.hidden = all || found.length <= shown;
  };

  form.addEventListener("input", () => { shown = STEP; draw(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { shown = STEP; draw(); }));
  more.addEventListener("click", () => { shown += 5 * STEP; draw(); });
  document.querySelector("#pools thead").addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head) return;
    const column = head.dataset.column;
    sorted = { column, down: sorted.column === column && !sorted.down };
    draw();
  });
  // Paper has no button for more: every node pool that the filters leave is printed.
  addEventListener("beforeprint", () => draw(true));
  addEventListener("afterprint", () => draw());
  draw();
})();
