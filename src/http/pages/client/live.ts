/** Owns: the event stream that a page names in `data-live`. Each event means that the page has to be drawn again. */
import { onDrawn, refresh } from "./page.ts";

/** Events within this time cause one refresh. */
const burstMs = 250;
/** The shortest time between two refreshes. */
const minIntervalMs = 1000;
/** The shortest and the longest time between two requests of what is refused, each of which wakes the run's object. */
const minPollMs = 10_000;
const maxPollMs = 60_000;
/** A page that is hidden for this long closes its stream, because browsers limit the connections to one host. */
const idleMs = 30_000;

type State = "connecting" | "live" | "offline" | "ended";

const words: Readonly<Record<State, string>> = {
  connecting: "connecting",
  live: "live",
  offline: "reconnecting",
  ended: "at rest",
};

const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** The kinds of entries that end a run. Further entries may follow. */
const ends: readonly string[] = ["run.completed", "run.failed", "run.cancelled"];

let source: EventSource | null = null;
/** The URL of the stream that is complete, if one is. */
let ended: string | null = null;
/** Whether the run has ended and was not retried since: when the stream closes, it is complete. */
let isOver = false;
let retryMs = 1000;
let retry: ReturnType<typeof setTimeout> | undefined;
let pollMs = minPollMs;
let poll: ReturnType<typeof setTimeout> | undefined;
let isDue = false;
let drawnAt = 0;
let missed = false;
/** Whether the last refresh failed. The stream does not repeat what caused it. */
let isStale = false;
let idle: ReturnType<typeof setTimeout> | undefined;

export function startLive(): void {
  // A run that is retried after its end has another stream.
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
    void redraw();
  });
  startPolling();
}

/** Without a stream, and after a refresh that failed, the page is refreshed by time: ever less often where both are refused. */
function startPolling(): void {
  clearTimeout(poll);
  poll = setTimeout(() => {
    const isOpen = source?.readyState === EventSource.OPEN;
    if (isStale || (source !== null && !isOpen && ended === null)) {
      changed();
      if (!isOpen) pollMs = Math.min(2 * pollMs, maxPollMs);
    }
    startPolling();
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
    // What the page shows may still be old.
    if (isStale) changed();
    else show("live");
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
    // The browser reconnects by itself, unless the server refused the request.
    if (opened.readyState !== EventSource.CLOSED) return;
    // A refresh reconnects too: each time would begin another row of attempts.
    clearTimeout(retry);
    retry = setTimeout(reconnect, retryMs);
    retryMs = Math.min(2 * retryMs, maxPollMs);
  });
}

/** Closes the stream, because the browser would reconnect, and nothing follows. */
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
      void redraw();
    },
    Math.max(burstMs, drawnAt + minIntervalMs - Date.now()),
  );
}

async function redraw(): Promise<void> {
  const isReached = await refresh();
  // Only now: another one may have failed meanwhile.
  const wasStale = isStale;
  isStale = !isReached;
  if (isReached) {
    pollMs = minPollMs;
    startPolling();
    reconnect();
  }
  if (isStale) show("offline");
  else if (wasStale && ended !== null) show("ended");
  else if (wasStale && source?.readyState === EventSource.OPEN) show("live");
}

function show(state: State): void {
  const sign = document.querySelector<HTMLElement>("#live");
  const word = sign?.querySelector(".word");
  if (sign === null || word === null || word === undefined) return;
  const shown = sign.hidden ? null : sign.dataset["state"];
  // What it lost it has only once it is live again, however often it tries.
  if (shown === state || (shown === "offline" && state === "connecting")) return;
  sign.hidden = false;
  sign.dataset["state"] = state;
  word.textContent = state === "offline" ? `${words.offline} since ${hour.format(Date.now())}` : words[state];
}

/** A page without a feed says nothing of it, unless it cannot be had: what it shows is then old. */
export function showReach(isReached: boolean): void {
  if (feed() !== null) return;
  const sign = document.querySelector<HTMLElement>("#live");
  if (!isReached) show("offline");
  else if (sign !== null) sign.hidden = true;
}
