/** Owns: refreshing pages without an event stream, every `data-refresh` seconds while they are visible. */
import { showReach } from "./live.ts";
import { refresh } from "./page.ts";

let lastAt = performance.now();

export function startRefreshing(): void {
  setInterval(refreshIfDue, 1000);
  document.addEventListener("visibilitychange", refreshIfDue);
}

function refreshIfDue(): void {
  const seconds = Number(document.querySelector<HTMLElement>("[data-refresh]")?.dataset["refresh"] ?? 0);
  if (seconds === 0 || document.hidden || performance.now() - lastAt < seconds * 1000) return;
  lastAt = performance.now();
  void refresh().then(showReach);
}
