/**
 * Owns: when something is due for a handler's open calls.
 * Does not own: waiting for it; whoever drives the run does.
 */
import { callKey } from "../core/state.ts";
import type { RunState } from "../core/state.ts";
import type { Attempts } from "./attempts.ts";
import type { Bell } from "./bell.ts";
import { isAttempted, recordKind } from "./call.ts";
import type { Pending } from "./call.ts";
import type { Children } from "./children.ts";

export class Deadlines {
  readonly #state: RunState;
  readonly #pending: ReadonlyMap<string, Pending>;
  readonly #attempts: Attempts;
  readonly #children: Children;
  /** Nothing may begin or fire now. */
  readonly #held: () => boolean;
  /** Rings when there is something to wait for sooner than was answered. */
  readonly #sooner: Bell;
  #answered = Infinity;

  constructor(
    state: RunState,
    pending: ReadonlyMap<string, Pending>,
    attempts: Attempts,
    children: Children,
    held: () => boolean,
    sooner: Bell,
  ) {
    this.#state = state;
    this.#pending = pending;
    this.#attempts = attempts;
    this.#children = children;
    this.#held = held;
    this.#sooner = sooner;
  }

  /** There is something to do at this instant. */
  expect(at: number): void {
    if (at < this.#answered) this.#sooner.ring();
  }

  /** The next one; Infinity when nothing but the world can move the run. */
  soonest(): number {
    let soonest = this.#attempts.timeoutAt;
    if (!this.#held()) {
      for (const pending of this.#pending.values()) soonest = Math.min(soonest, this.of(pending));
    }
    this.#answered = soonest;
    return soonest;
  }

  /** The calls whose time has come, the earliest first. */
  due(now: number): Pending[] {
    return [...this.#pending.values()]
      .map((pending) => ({ pending, at: this.of(pending) }))
      .filter(({ at }) => at <= now)
      .sort((one, other) => one.at - other.at)
      .map(({ pending }) => pending);
  }

  of(pending: Pending): number {
    if (!pending.begun || pending.plan.kind === "webhook") return Infinity;
    if (this.#attempts.isRunning(pending.key)) return this.#attempts.dueAt(pending.key);
    if (pending.plan.kind === "child") return this.#children.dueAt(pending);
    const call = this.#state.calls.get(callKey(recordKind(pending.plan), pending.id));
    if (call === undefined) return Infinity;
    return (isAttempted(pending.plan) ? call.retryAt : call.until) ?? Infinity;
  }
}
