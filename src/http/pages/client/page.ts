/** Owns: the page as the server draws it now: fetching it again, and telling who must look at what changed. */
import { morph } from "./morph.ts";

type Listener = (root: ParentNode) => void;

const listeners: Listener[] = [];

/** Called with each part of the document that was drawn anew, and at once with the whole. */
export function onDrawn(listener: Listener): void {
  listeners.push(listener);
  listener(document);
}

const preparers: ((fresh: Element) => void)[] = [];

/** Called with what is about to be drawn, which may still be changed. */
export function beforeDrawn(prepare: (fresh: Element) => void): void {
  preparers.push(prepare);
}

export function drawn(root: ParentNode): void {
  for (const listener of listeners) listener(root);
}

let running: Promise<void> | null = null;
let again = false;

/** Draws the page as it is now, without moving anything that has not changed. Calls that come while one is under way are one. */
export function refresh(): Promise<void> {
  if (running !== null) {
    again = true;
    return running;
  }
  running = once().finally(() => {
    running = null;
    if (!again) return;
    again = false;
    void refresh();
  });
  return running;
}

async function once(): Promise<void> {
  const text = await fetchHtml(location.href);
  if (text === null) return;
  const next = new DOMParser().parseFromString(text, "text/html");
  const [main, fresh] = [document.querySelector("main"), next.querySelector("main")];
  if (main === null || fresh === null) return;
  document.title = next.title;
  for (const prepare of preparers) prepare(fresh);
  morph(main, fresh);
  drawn(main);
}

/** @returns null when it could not be had; whoever was signed out meanwhile is sent to sign in */
export async function fetchHtml(url: string): Promise<string | null> {
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
      location.reload();
      return null;
    }
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}
