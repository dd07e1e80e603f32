/**
 * Owns: steps that were at work when the process died: marking them, and beginning one at a time those that were at work in
 * several deaths in a row.
 * Does not own: attempts, counting deaths (core/state), which step is held to be their cause (attempts).
 * Invariant 1: from the third death in a row on, suspects run one at a time, each behind a durable mark: the
 * innocent finish (guarantee 4).
 */
import { added, emptyMap, emptySet, put } from "../../core/empty.ts";
import type { Fact } from "../../core/history/entry.ts";
import { canBeUndone, isAttempted } from "../call/call.ts";
import type { Pending, RunPlan } from "../call/call.ts";
import { wasCutOff } from "../../core/state/step.ts";
import type { Course } from "../turn/course.ts";
import { interruption, startMark } from "./record.ts";

/** Deaths after which suspects run one at a time. */
const suspicionLimit = 2;

export class Suspects {
  readonly #course: Course;
  readonly #start: (pending: Pending<RunPlan>) => void;
  #keys: Set<string> = emptySet;
  /** Suspects that are to begin, by key, in order. */
  #waiting: Map<string, Pending<RunPlan>> = emptyMap;
  /** The suspect that has begun, or is about to. */
  #current: string | null = null;
  /** The run is to end: nothing holds back those whose ends must be known. */
  #isEnding = false;

  constructor(course: Course, start: (pending: Pending<RunPlan>) => void) {
    this.#course = course;
    this.#start = start;
  }

  /** How many are to begin. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** How many of them nothing holds back but each other. */
  get ready(): number {
    return this.#isHeld ? 0 : this.#waiting.size;
  }

  /** A pause holds them back like everything that has not begun. */
  get #isHeld(): boolean {
    return this.#course.held && !this.#isEnding;
  }

  /** Of these calls, marks the steps that were at work when the last life ended, durably; suspects as they begin. */
  async mark(open: readonly Pending[]): Promise<void> {
    const facts: Fact[] = [];
    for (const pending of open) {
      if (!isAttempted(pending) || !this.mayHaveBegun(pending)) continue;
      const { id, key, plan } = pending;
      const {
        retryAt = null,
        interruptions = 0,
        attempts = 0,
        exhausted = false,
      } = this.#course.state.calls.get(key) ?? {};
      // A step that runs at most once, or is a request, has marks of its own.
      if (plan.atMostOnce || plan.request !== undefined || exhausted) continue;
      if (retryAt !== null) facts.push(startMark(plan, id, attempts + 1));
      else if (interruptions < suspicionLimit) facts.push(interruption(this.#course, plan, id));
      else this.#keys = added(this.#keys, key);
    }
    if (facts.length === 0) return;
    this.#course.ledger.append(...facts);
    await this.#course.durable();
  }

  /**
   * It may have been at work when the last life ended: also a retry that fell due before this one began. What was called while
   * the run was held had not begun, nor what an earlier life marked meanwhile.
   */
  mayHaveBegun(pending: Pending): boolean {
    const { id, key, plan, seenSeq } = pending;
    const { calls, paused } = this.#course.state;
    const { retryAt = null, interruptions = 0, markedSeq = 0 } = calls.get(key) ?? {};
    // A retry that falls due in a pause does not begin in it.
    const now = paused?.at ?? this.#course.world.clock.now();
    if (this.#course.live || !isAttempted(pending) || (retryAt !== null && retryAt > now)) return false;
    if (Math.max(seenSeq, markedSeq) > this.#course.ledger.openedHeldSeq) return false;
    // One that waited for its slot had not begun, but a suspect among them begins behind a mark all the same.
    return plan.kind !== "run" || interruptions >= suspicionLimit || !this.#course.limiter.isQueued(id);
  }

  /** It was, by the record, or a cancellation waits for its end, which is not on record. */
  wasCutOff({ key, id }: Pending): boolean {
    const { state } = this.#course;
    const isAwaited = state.cancelling?.awaited.includes(id) === true && state.calls.get(key)?.done !== true;
    return isAwaited || wasCutOff(state, key);
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** It is to begin, and waits for those before it. */
  isWaiting(key: string): boolean {
    return this.#waiting.has(key);
  }

  begin(pending: Pending<RunPlan>): void {
    this.#waiting = put(this.#waiting, pending.key, pending);
    this.startNext();
  }

  /** Starts the next in its turn, behind failures that are about to go on record, because it may kill the process again. */
  startNext(): void {
    this.#course.post(() => void this.#next().catch((error: unknown) => this.#course.failInTurn(error)));
  }

  /** Its attempt has ended, and the process is alive: it is no suspect any more. */
  acquit(key: string): void {
    if (this.#current !== key) return;
    this.#current = null;
    this.#keys.delete(key);
    this.startNext();
  }

  /** Its attempt was abandoned: it stays a suspect. */
  abandon(key: string): void {
    if (this.#current === key) this.#current = null;
  }

  clear(): void {
    this.#waiting.clear();
  }

  /** None is to begin any more, but for those that can be undone, because their ends must be known: these are returned. */
  stop(): Pending<RunPlan>[] {
    this.#isEnding = true;
    for (const [key, pending] of [...this.#waiting]) {
      if (canBeUndone(pending)) continue;
      this.#waiting.delete(key);
      this.abandon(key);
    }
    this.startNext();
    return [...this.#waiting.values()];
  }

  async #next(): Promise<void> {
    if (this.#current !== null || this.#isHeld) return;
    const [pending] = this.#waiting.values();
    if (pending === undefined) return;
    this.#current = pending.key;
    this.#course.ledger.append(interruption(this.#course, pending.plan, pending.id));
    await this.#course.ledger.durable();
    // Abandoned meanwhile: nothing is waiting any more.
    if (this.#waiting.get(pending.key) !== pending) return;
    this.#waiting.delete(pending.key);
    this.#start(pending);
  }
}
