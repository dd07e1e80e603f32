/** The functions that hear signals, in the model. */
import { claim } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";

type Listener = { readonly fn: (payload: unknown) => Promise<unknown>; readonly at: number };

type Pauses = { readonly pausedAt: number | null; readonly resumedAt: number };

export class Listeners {
  /** On record, whether or not the handler has come to them again. */
  readonly recorded: Set<string>;
  readonly #known = new Map<string, Listener>();

  /** @param before those of the handler before, where the run had ended and is retried */
  constructor(before: Listeners | null) {
    this.recorded = new Set(before?.recorded);
  }

  register(name: string, listener: Listener): void {
    this.#known.set(name, listener);
  }

  /** They take every signal of this name; no wait does. */
  hears(name: string): boolean {
    return this.#known.has(name);
  }

  /** It is on record from here on. */
  added(name: string): void {
    claim(this.hears(name) && !this.recorded.has(name), `nobody has begun to hear ${name}`);
    this.recorded.add(name);
  }

  /** @returns what the function makes of it */
  hear({ name, payload }: Seen): Promise<unknown> {
    return this.#known.get(String(name))?.fn(payload) ?? Promise.resolve();
  }

  /** What must have been heard, or be on record, by now and has not. */
  overdue(at: number, { pausedAt, resumedAt }: Pauses, slackMs: number, inbox: readonly Seen[]): void {
    // What a death cut off goes on once the pause is over; so does what a retry in its midst has begin anew.
    if (pausedAt !== null && (slackMs > 0 || pausedAt < resumedAt)) return;
    for (const [name, listener] of this.#known) {
      const isLate = (since: number): boolean => at > Math.max(since, resumedAt) + slackMs;
      claim(this.recorded.has(name) || !isLate(listener.at), `${name} is heard, and not on record`);
      const signal = pausedAt === null ? inbox.find((each) => each["name"] === name) : undefined;
      const since = Math.max(signal?.at ?? Infinity, listener.at);
      claim(!isLate(since), `a signal ${name} should have been heard at ${since}`);
    }
  }
}
