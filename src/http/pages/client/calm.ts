/**
 * Owns: rows that would push others away from under the pointer or the focus: they wait until they are asked
 * for, or until the reader has turned elsewhere.
 */
import { beforeDrawn, refresh } from "./page.ts";

let isShowing = false;
let waiting = 0;

export function startCalm(): void {
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
  const calm = document.querySelector("[data-calm]");
  return calm !== null && (calm.matches(":hover") || calm.contains(document.activeElement));
}

/** Takes rows out of what is about to be drawn that would come in above those that somebody is at. */
function holdBack(fresh: Element): void {
  const [calm, next] = [document.querySelector("[data-calm]"), fresh.querySelector("[data-calm]")];
  waiting = 0;
  if (calm === null || next === null || isShowing || !isBusy()) return;
  const known = new Set([...calm.children].map((row) => row.getAttribute("data-key")));
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
