/**
 * Owns: new rows that would move the others away from the pointer or the focus. They are held back until the button is
 * pressed, or the pointer has left the table.
 */
import { beforeDrawn, refresh } from "./page.ts";

let isShowing = false;
let waiting = 0;

export function startArrivals(): void {
  beforeDrawn(holdBack);
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest("[data-show-fresh]") !== null) void showFresh();
  });
  document.addEventListener("pointerover", ({ target }) => {
    const isAway = !(target instanceof Element && target.closest(".runs-card") !== null);
    if (waiting > 0 && isAway && !isBusy()) void showFresh();
  });
}

async function showFresh(): Promise<void> {
  isShowing = true;
  await refresh();
  isShowing = false;
}

function isBusy(): boolean {
  const rows = document.querySelector("[data-arrivals]");
  return rows !== null && (rows.matches(":hover") || rows.contains(document.activeElement));
}

/** Removes new rows from the top of the page that is about to be drawn, while the table has the pointer or the focus. */
function holdBack(fresh: Element): void {
  const [rows, next] = [document.querySelector("[data-arrivals]"), fresh.querySelector("[data-arrivals]")];
  waiting = 0;
  if (rows === null || next === null || isShowing || !isBusy()) return;
  const known = new Set([...rows.children].map((row) => row.getAttribute("data-key")));
  for (const row of [...next.children]) {
    if (known.has(row.getAttribute("data-key"))) break;
    row.remove();
    waiting++;
  }
  const button = fresh.querySelector<HTMLElement>("[data-show-fresh]");
  if (button === null || waiting === 0) return;
  button.hidden = false;
  button.textContent = waiting === 1 ? "1 new run" : `${waiting} new runs`;
}
