/** Owns: the feed a page names in `data-live`: its events mean that the page is to be drawn anew. */
import { refresh } from "./page.ts";

/** Events of one burst are one refresh. */
const burstMs = 250;
/** However much happens, the page is drawn no more often than this. */
const restMs = 1000;
const pollMs = 10_000;
const maxRetryMs = 15_000;

type State = "connecting" | "live" | "offline" | "ended";

const words: Readonly<Record<State, string>> = {
  connecting: "connecting",
  live: "live",
  offline: "reconnecting",
  ended: "at rest",
};

let source: EventSource | null = null;
let retryMs = 1000;
let isDue = false;
let drawnAt = 0;
let missed = false;

export function startLive(): void {
  const url = feed();
  if (url === null) return;
  connect(url);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !missed) return;
    missed = false;
    void refresh();
  });
  // Should the feed be out of reach, the page is still never older than this.
  setInterval(() => {
    if (source?.readyState !== EventSource.OPEN && !hasEnded) changed();
  }, pollMs);
}

let hasEnded = false;

function feed(): string | null {
  return document.querySelector<HTMLElement>("main[data-live]")?.dataset["live"] ?? null;
}

function connect(url: string): void {
  show("connecting");
  source = new EventSource(url);
  source.addEventListener("open", () => {
    retryMs = 1000;
    show("live");
  });
  for (const name of ["message", "run", "removed", "ready"]) source.addEventListener(name, () => changed());
  source.addEventListener("end", () => {
    hasEnded = true;
    source?.close();
    show("ended");
    changed();
  });
  source.addEventListener("error", () => {
    if (hasEnded) return;
    show("offline");
    // The browser tries again by itself, unless it was refused.
    if (source?.readyState !== EventSource.CLOSED) return;
    setTimeout(() => connect(feed() ?? url), retryMs);
    retryMs = Math.min(2 * retryMs, maxRetryMs);
  });
}

function changed(): void {
  if (document.hidden) {
    missed = true;
    return;
  }
  if (isDue) return;
  isDue = true;
  setTimeout(
    () => {
      isDue = false;
      drawnAt = Date.now();
      void refresh();
    },
    Math.max(burstMs, drawnAt + restMs - Date.now()),
  );
}

function show(state: State): void {
  const sign = document.querySelector<HTMLElement>("#live");
  const word = sign?.querySelector(".word");
  if (sign === null || word === null || word === undefined) return;
  sign.dataset["state"] = state;
  if (word.textContent !== words[state]) word.textContent = words[state];
}
