/**
 * Owns: a time that stands still until it is set.
 * Does not own: when it is set (stage).
 * Invariant 1: its turns are turns of the real event loop, also where somebody has put false timers into the world.
 */
import type { Clock } from "../engine/clock.ts";

/** Those of the world as they were when this was loaded. */
const { setTimeout, Response } = globalThis;
const { setImmediate, navigator } = globalThis as {
  setImmediate?: (then: () => void) => unknown;
  navigator?: { readonly userAgent: string };
};
const later: (then: () => void) => unknown = setImmediate ?? setTimeout;

/** In workerd: turns from one timer's to the next. A message to oneself is no turn there: it overtakes others. */
const turnsAtOnce = 200;
let turnsMade = 0;

/**
 * Every timer of workerd takes a millisecond, `setImmediate` as well; the body of a response comes through the
 * event loop in microseconds, after all that is ready. While such turns follow each other the runtime looks at no
 * socket, so that now and then one is a timer's.
 */
function soonInWorkerd(then: () => void): void {
  if (++turnsMade % turnsAtOnce === 0) later(then);
  else void new Response("turn").text().then(then);
}

const soon = navigator?.userAgent === "Cloudflare-Workers" ? soonInWorkerd : later;

export class ManualClock implements Clock {
  at: number;
  /** How many turns were asked for. */
  turns = 0;
  #asked = 0;
  #timers: { readonly at: number; readonly ring: () => void }[] = [];

  constructor(at: number) {
    this.at = at;
  }

  now(): number {
    return this.at;
  }

  turn(): Promise<void> {
    this.turns++;
    this.#asked++;
    return new Promise((resolve) => {
      soon(() => {
        this.#asked--;
        resolve();
      });
    });
  }

  /** Resolves once the clock has been set that much later; immediate where `ms` is 0. */
  after(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((ring) => {
      this.#timers.push({ at: this.at + ms, ring });
    });
  }

  get nextAt(): number {
    return this.#timers.reduce((first, { at }) => Math.min(first, at), Infinity);
  }

  /** Sets the clock; rings what is due. */
  set(at: number): void {
    this.at = at;
    const due = this.#timers.filter((timer) => timer.at <= at).sort((one, other) => one.at - other.at);
    this.#timers = this.#timers.filter((timer) => timer.at > at);
    for (const timer of due) timer.ring();
  }

  /** Resolves when nothing goes on: every microtask has run, and nobody waits for a turn. */
  async idle(): Promise<void> {
    do await new Promise<void>((resolve) => soon(resolve));
    while (this.#asked > 0);
  }
}

/** A pause of the real time. */
export function nap(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
