"use strict";
{
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const filter = document.getElementById("filter");
  const boxes = all(".outcomes input");
  document.querySelector("search").hidden = false;

  // A check is shown when its outcome is wanted and it has every word that was typed.
  const checks = all("details.check").map((element) => ({
    element, outcomes: element.dataset.outcome.split(" "), text: element.textContent.toLowerCase(),
  }));
  const rows = all(".matrix tbody tr").map((row) => {
    const heads = all("thead th", row.closest("table"));
    return {
      row,
      cells: [...row.cells].slice(1).filter((cell) => cell.dataset.outcome).map((cell) => ({
        cell,
        outcomes: cell.dataset.outcome.split(" "),
        text: `${row.cells[0].textContent} ${heads[cell.cellIndex].textContent}`.toLowerCase(),
      })),
    };
  });

  function narrow() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const everything = words.length === 0 && wanted.size === boxes.length;
    const fits = ({ outcomes, text }) =>
      outcomes.some((one) => wanted.has(one)) && words.every((word) => text.includes(word));
    for (const check of checks) (check.element.closest(".to-fix > li") ?? check.element).hidden = !fits(check);
    let count = 0;
    for (const { row, cells } of rows) {
      const shown = cells.filter(fits);
      count += shown.length;
      row.hidden = shown.length === 0;
      for (const one of cells) one.cell.classList.toggle("dimmed", !shown.includes(one));
    }
    document.getElementById("matches").textContent =
      everything ? "" : `${count} check${count === 1 ? "" : "s"} of the matrix shown`;
  }
  filter.addEventListener("input", narrow);
  for (const box of boxes) box.addEventListener("change", narrow);

  function unfold(target) {
    for (let up = target; up; up = up.parentElement) if (up.localName === "details") up.open = true;
  }
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      filter.value = "";
      for (const box of boxes) box.checked = true;
      narrow();
    }
    unfold(target);
    target.focus({ preventScroll: true });
    (target.closest("details") ?? target).scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  // The same cell again changes no address.
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash) reveal();
  });
  reveal();

  // Arrows move between the cells of a matrix; / goes to the filter.
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && !event.target.closest("input")) {
      event.preventDefault();
      filter.focus();
    } else if (event.key === "Escape" && event.target === filter) {
      filter.value = "";
      narrow();
    }
    const cell = event.target.closest(".matrix td");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!cell || !step) return;
    event.preventDefault();
    const lines = all("tr", cell.closest("tbody"));
    let [line, column] = [lines.indexOf(cell.parentElement), cell.cellIndex];
    for (;;) {
      line += step[0];
      column += step[1];
      const next = lines[line]?.cells[column];
      if (!next) return;
      const link = !lines[line].hidden && next.querySelector("a");
      if (link) return link.focus();
    }
  });

  for (const button of all(".command button")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  addEventListener("beforeprint", () => { for (const one of all("details")) one.open = true; });
}
