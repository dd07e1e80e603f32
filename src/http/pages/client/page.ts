/** Owns: fetching the page again, drawing what changed, and notifying the listeners. */
import { morph } from "./morph.ts";

type Listener = (root: ParentNode) => void;

const listeners: Listener[] = [];

/** Calls the listener with the document now, and later with each part that is drawn again. */
export function onDrawn(listener: Listener): void {
  listeners.push(listener);
  listener(document);
}

const preparers: ((fresh: Element) => void)[] = [];

/** Calls the function with the new page before it is drawn; the function may change it. */
export function beforeDrawn(prepare: (fresh: Element) => void): void {
  preparers.push(prepare);
}

export function drawn(root: ParentNode): void {
  for (const listener of listeners) listener(root);
}

/** A request without an answer would hold up every refresh after it. */
const patienceMs = 30_000;

let running: Promise<boolean> | null = null;
let next: Promise<boolean> | null = null;

/**
 * Fetches and draws the page. Calls during a refresh, which may be of the address before, cause one more together.
 * @returns whether it could be had
 */
export function refresh(): Promise<boolean> {
  if (running !== null) {
    const again = (): Promise<boolean> => {
      next = null;
      return refresh();
    };
    next ??= running.then(again, again);
    return next;
  }
  running = refreshOnce().finally(() => {
    running = null;
  });
  return running;
}

async function refreshOnce(): Promise<boolean> {
  const text = await fetchHtml(location.href);
  if (text === null) return false;
  const next = new DOMParser().parseFromString(text, "text/html");
  const [main, fresh] = [document.querySelector("main"), next.querySelector("main")];
  if (main === null || fresh === null) return false;
  document.title = next.title;
  for (const prepare of preparers) prepare(fresh);
  morph(main, fresh);
  drawn(main);
  return true;
}

/** @returns null if it failed. Reloads the page if the session has ended, which leads to the sign-in page, or what it shows is gone. */
export async function fetchHtml(url: string): Promise<string | null> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), patienceMs);
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" }, signal: limit.signal });
    const isSignedOut = answer.redirected && new URL(answer.url).pathname === "/sign-in";
    if (isSignedOut || answer.status === 404) {
      // What has been typed into a dialog would be lost.
      if (document.querySelector("dialog[open]") === null) location.reload();
      return null;
    }
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
