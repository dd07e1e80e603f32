/** Owns: pages that no feed speaks of: as often as `data-refresh` says, in seconds, and while somebody looks. */
import { refresh } from "./page.ts";

let lastAt = performance.now();

export function startRefreshing(): void {
  setInterval(look, 1000);
  document.addEventListener("visibilitychange", look);
}

function look(): void {
  const seconds = Number(document.querySelector<HTMLElement>("[data-refresh]")?.dataset["refresh"] ?? 0);
  if (seconds === 0 || document.hidden || performance.now() - lastAt < seconds * 1000) return;
  lastAt = performance.now();
  void refresh();
}
