/**
 * Owns: a virtual clock, which stands still until it is set.
 * Does not own: when it is set (stage).
 * Invariant 1: its turns are turns of the real event loop, also where a test has installed fake timers.
 */
import type { Clock } from "../engine/clock.ts";

/** The real ones, from before a test can have replaced them. */
const { setTimeout, Response } = globalThis;
const { setImmediate, navigator } = globalThis as {
  setImmediate?: (then: () => void) => unknown;
  navigator?: { readonly userAgent: string };
};
const later: (then: () => void) => unknown = setImmediate ?? setTimeout;

/** In workerd: how many turns are made without a timer between two that use one. */
const turnsAtOnce = 200;
let turnsMade = 0;

/**
 * A turn of workerd's event loop. Every timer there takes a millisecond, `setImmediate` as well; reading the body of a
 * response takes a pass of the event loop in microseconds. (A message to oneself does not make a turn: it overtakes
 * others.) While such turns follow each other the runtime looks at no socket, so now and then a timer is used.
 */
function soonInWorkerd(then: () => void): void {
  if (++turnsMade % turnsAtOnce === 0) later(then);
  else void new Response("turn").text().then(then);
}

const soon = navigator?.userAgent === "Cloudflare-Workers" ? soonInWorkerd : later;

export class ManualClock implements Clock {
  at: number;
  /** How many turns were made. */
  turns = 0;
  #requested = 0;
  #timers: { readonly at: number; readonly ring: () => void }[] = [];

  constructor(at: number) {
    this.at = at;
  }

  now(): number {
    return this.at;
  }

  turn(): Promise<void> {
    this.turns++;
    this.#requested++;
    return new Promise((resolve) => {
      soon(() => {
        this.#requested--;
        resolve();
      });
    });
  }

  /** Resolves once the clock was set that much later; at once where `ms` is 0. */
  after(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((ring) => {
      this.#timers.push({ at: this.at + ms, ring });
    });
  }

  get nextAt(): number {
    return this.#timers.reduce((first, { at }) => Math.min(first, at), Infinity);
  }

  /** Sets the clock, and fires what is due. */
  set(at: number): void {
    this.at = at;
    const due = this.#timers.filter((timer) => timer.at <= at).sort((one, other) => one.at - other.at);
    this.#timers = this.#timers.filter((timer) => timer.at > at);
    for (const timer of due) timer.ring();
  }

  /** Resolves when nothing happens any more: every microtask has run, and nobody waits for a turn. */
  async idle(): Promise<void> {
    do await new Promise<void>((resolve) => soon(resolve));
    while (this.#requested > 0);
  }
}

/** Waits in real time. */
export function pauseFor(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
