/** Owns: the feed a page names in `data-live`: its events mean that the page is to be drawn anew. */
import { onDrawn, refresh } from "./page.ts";

/** Events of one burst are one refresh. */
const burstMs = 250;
/** However much happens, the page is drawn no more often than this. */
const restMs = 1000;
const pollMs = 10_000;
/** A page that nobody looks at for so long lets go of its feed; a browser has few connections to spend. */
const idleMs = 30_000;
const maxRetryMs = 15_000;

type State = "connecting" | "live" | "offline" | "ended";

const words: Readonly<Record<State, string>> = {
  connecting: "connecting",
  live: "live",
  offline: "reconnecting",
  ended: "at rest",
};

/** Kinds of the entry that ends a run; others may come behind it. */
const ends: readonly string[] = ["run.completed", "run.failed", "run.cancelled"];

let source: EventSource | null = null;
/** The feed that has come to its end, if one has. */
let ended: string | null = null;
/** Whether the feed has told of the end of its run, and of no retry since: when it closes, there is no more. */
let isOver = false;
let retryMs = 1000;
let isDue = false;
let drawnAt = 0;
let missed = false;
let idle: ReturnType<typeof setTimeout> | undefined;

export function startLive(): void {
  // What has ended may go on: a run that is retried has another feed.
  onDrawn(() => {
    const url = feed();
    if (url !== null && (source === null || (ended !== null && ended !== url))) connect(url);
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(idle);
    if (document.hidden) {
      idle = setTimeout(() => source?.close(), idleMs);
      return;
    }
    reconnect();
    if (!missed) return;
    missed = false;
    void refresh();
  });
  // Should the feed be out of reach, the page is still never older than this.
  setInterval(() => {
    if (source !== null && source.readyState !== EventSource.OPEN && ended === null) changed();
  }, pollMs);
}

function feed(): string | null {
  return document.querySelector<HTMLElement>("main[data-live]")?.dataset["live"] ?? null;
}

function reconnect(): void {
  const url = feed();
  if (url !== null && source?.readyState === EventSource.CLOSED && ended === null) connect(url);
}

function connect(url: string): void {
  const opened = new EventSource(url);
  source?.close();
  source = opened;
  ended = null;
  isOver = false;
  show("connecting");
  opened.addEventListener("open", () => {
    retryMs = 1000;
    show("live");
  });
  for (const name of ["run", "removed", "ready"]) opened.addEventListener(name, () => changed());
  opened.addEventListener("message", ({ data }: MessageEvent<string>) => {
    const { kind } = JSON.parse(data) as { kind: string };
    isOver = ends.includes(kind) || (isOver && kind !== "run.retried");
    changed();
  });
  opened.addEventListener("error", () => {
    if (ended !== null || source !== opened) return;
    if (isOver) return end(opened, url);
    show("offline");
    // The browser tries again by itself, unless it was refused.
    if (opened.readyState !== EventSource.CLOSED) return;
    setTimeout(reconnect, retryMs);
    retryMs = Math.min(2 * retryMs, maxRetryMs);
  });
}

/** The browser would come back for what comes next, and there is nothing. */
function end(opened: EventSource, url: string): void {
  opened.close();
  ended = url;
  show("ended");
  changed();
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
  sign.hidden = false;
  sign.dataset["state"] = state;
  if (word.textContent !== words[state]) word.textContent = words[state];
}
