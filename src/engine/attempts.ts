/**
 * Owns: the attempts in flight: when one may start, what the end of one means.
 * Does not own: delivering outcomes (execution), retry arithmetic (core/retry).
 * Invariant 1: a step whose process died under it begins again only after a durable mark, so that
 * a step that kills its process is counted and at last fails with step_crashed (guarantee 4).
 * Invariant 2: from the third death in a row on, suspects run one at a time: the innocent finish.
 */
import type { Fact } from "../core/entry.ts";
import { HoldfastError, isNonRetryable, storeError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import { createRandom } from "../core/random.ts";
import { nextDelayMs } from "../core/retry.ts";
import type { RunState } from "../core/state.ts";
import { encode } from "../core/value.ts";
import { Attempt } from "./attempt.ts";
import type { AttemptEnd } from "./attempt.ts";
import type { Pending, Plan } from "./call.ts";
import type { Ledger } from "./ledger.ts";
import type { World } from "./world.ts";

/** Deaths in a row under a step after which the step is held to be their cause. */
const crashLimit = 5;
/** The same where every death came with a deploy: generous, but not without end. */
const interruptionLimit = 20;
/** Deaths after which suspects run one at a time. */
const suspicionLimit = 2;

type RunPlan = Extract<Plan, { kind: "run" }>;

export class Attempts {
  readonly #ledger: Ledger;
  readonly #world: World;
  /** Puts something that happened in the execution's queue. */
  readonly #post: (event: () => void) => void;
  /** Appends the fact and delivers the outcome it makes, if it makes one. */
  readonly #record: (fact: Fact) => void;
  readonly #inFlight = new Map<string, Attempt>();
  readonly #suspects: Pending[] = [];
  readonly #suspicious = new Set<string>();
  #suspect: string | null = null;

  constructor(ledger: Ledger, world: World, post: (event: () => void) => void, record: (fact: Fact) => void) {
    this.#ledger = ledger;
    this.#world = world;
    this.#post = post;
    this.#record = record;
  }

  get running(): number {
    // A pause holds suspects back like everything that has not begun.
    return this.#inFlight.size + (this.#ledger.state.paused === null ? this.#suspects.length : 0);
  }

  /** The pause is over. */
  resume(): void {
    this.#startSuspect();
  }

  isRunning(key: string): boolean {
    return this.#inFlight.has(key);
  }

  /**
   * Of these calls, the steps that were at work when the last life ended: marks them, durably. So are
   * retries that fell due before this life began marked: whether they had begun, nothing tells.
   */
  async mark(open: readonly Pending[]): Promise<void> {
    const facts: Fact[] = [];
    const { calls } = this.#ledger.state;
    const now = this.#world.clock.now();
    let suspects = 0;
    for (const { id, key, plan } of open) {
      const { retryAt = null, interruptions = 0, attempts = 0 } = calls.get(key) ?? {};
      if (plan.kind !== "run" || (retryAt !== null && retryAt > now)) continue;
      if (retryAt !== null) facts.push({ kind: "step.attempt_started", step: id, attempt: attempts + 1 });
      else if (interruptions < suspicionLimit) facts.push(this.#interruption(id));
      else suspects = this.#suspicious.add(key).size;
    }
    if (facts.length > 0) this.#ledger.append(...facts);
    if (facts.length + suspects > 0) await this.#ledger.durable();
  }

  /** Starts the next attempt of a step, or fails the step if it keeps killing its process. */
  begin(pending: Pending, plan: RunPlan): void {
    const call = this.#ledger.state.calls.get(pending.key);
    if (call !== undefined && (call.crashes >= crashLimit || call.interruptions >= interruptionLimit)) {
      this.#post(() => this.#crashed(pending, call.attempts + 1 + call.interruptions));
    } else if (this.#suspicious.has(pending.key)) {
      this.#suspects.push(pending);
      this.#startSuspect();
    } else {
      this.#start(pending, plan);
    }
  }

  /** Ends the attempts whose time is up. */
  expire(now: number): void {
    for (const attempt of [...this.#inFlight.values()]) if (attempt.timeoutAt <= now) attempt.expire();
  }

  /** When the first attempt in flight times out; Infinity when none does. */
  get timeoutAt(): number {
    let first = Infinity;
    for (const attempt of this.#inFlight.values()) first = Math.min(first, attempt.timeoutAt);
    return first;
  }

  abandon(reason: Error): void {
    for (const attempt of this.#inFlight.values()) attempt.abandon(reason);
    this.#inFlight.clear();
    this.#suspects.length = 0;
  }

  /** In its turn: failures of steps held to have killed the process are on record before the next may kill it. */
  #startSuspect(): void {
    const failed = (error: unknown) =>
      this.#post(() => {
        throw error;
      });
    this.#post(() => void this.#nextSuspect().catch(failed));
  }

  async #nextSuspect(): Promise<void> {
    if (this.#suspect !== null || this.#ledger.state.paused !== null) return;
    const pending = this.#suspects[0];
    if (pending === undefined || pending.plan.kind !== "run") return;
    this.#suspect = pending.key;
    this.#ledger.append(this.#interruption(pending.id));
    await this.#ledger.durable();
    // Abandoned meanwhile: the list was emptied.
    if (this.#suspects.shift() === pending) this.#start(pending, pending.plan);
  }

  #start(pending: Pending, plan: RunPlan): void {
    const { state } = this.#ledger;
    const attempt = new Attempt(
      {
        step: pending.id,
        number: (state.calls.get(pending.key)?.attempts ?? 0) + 1,
        idempotencyKey: idempotencyKey(state, pending.id),
        startedAt: this.#world.clock.now(),
        timeoutMs: plan.timeoutMs,
        fn: plan.fn,
      },
      (end) => this.#post(() => this.#conclude(pending, plan, attempt, end)),
    );
    this.#inFlight.set(pending.key, attempt);
    attempt.start();
  }

  #conclude(pending: Pending, plan: RunPlan, attempt: Attempt, end: AttemptEnd): void {
    if (this.#inFlight.get(pending.key) !== attempt) return;
    this.#inFlight.delete(pending.key);
    if (this.#suspect === pending.key) {
      this.#suspect = null;
      this.#suspicious.delete(pending.key);
      this.#startSuspect();
    }
    const { number, startedAt } = attempt;
    const stored = end.ok ? kept(end.value, pending.id) : end;
    if (stored.ok) {
      const result = stored.value;
      this.#record({ kind: "step.completed", step: pending.id, attempt: number, startedAt, result });
      return;
    }
    const { error, delayMs } = this.#judge(pending, plan, stored.error, number);
    if (delayMs === null) {
      this.#record({ kind: "step.failed", step: pending.id, attempt: number, startedAt, error });
    } else {
      const retryAt = this.#ledger.now() + delayMs;
      this.#record({ kind: "step.attempt_failed", step: pending.id, attempt: number, startedAt, error, retryAt });
    }
  }

  /** What the failure is called, and when the next attempt begins; null when there is none. */
  #judge(
    pending: Pending,
    plan: RunPlan,
    thrown: unknown,
    attempt: number,
  ): { error: StoredError; delayMs: number | null } {
    const error = stepError(thrown, pending.id, attempt);
    if (error.code !== "step_failed" && error.code !== "step_timeout") return { error, delayMs: null };
    const random = createRandom(`${this.#ledger.state.created?.id}:${pending.id}:${attempt}`);
    try {
      return { error, delayMs: nextDelayMs(plan.retry, thrown, attempt, () => random.next()) };
    } catch (bad) {
      // The delay that the workflow asked for is no duration; its message says so, the cause is the failure.
      return { error: stepError(bad, pending.id, attempt), delayMs: null };
    }
  }

  #crashed(pending: Pending, attempts: number): void {
    const message = `step ${pending.id} was at work in each of the last ${attempts} deaths of its process`;
    const error = { ...storeError(new HoldfastError("step_crashed", message)), step: pending.id, attempts };
    const startedAt = this.#world.clock.now();
    this.#record({ kind: "step.failed", step: pending.id, attempt: attempts, startedAt, error });
  }

  #interruption(step: string): Fact {
    const { deployment } = this.#world;
    return { kind: "step.interrupted", step, held: this.#ledger.openedUnder === deployment, deployment };
  }
}

function kept(
  value: unknown,
  step: string,
): { ok: true; value: ReturnType<typeof encode> } | { ok: false; error: unknown } {
  try {
    return { ok: true, value: encode(value, `the result of step ${step}`) };
  } catch (error) {
    return { ok: false, error };
  }
}

/** The codes that our own errors bring with them into a step's failure. */
const ownCodes: ReadonlySet<string> = new Set([
  "step_timeout",
  "value_uncloneable",
  "value_too_large",
  "duration_invalid",
]);

function stepError(thrown: unknown, step: string, attempts: number): StoredError {
  const own = thrown instanceof HoldfastError && ownCodes.has(thrown.code) ? thrown.code : null;
  const code = own ?? (isNonRetryable(thrown) ? "non_retryable" : "step_failed");
  return { ...storeError(thrown), code, step, attempts };
}

/**
 * Printable ASCII, because it travels in HTTP headers; the same for every attempt of the step. The
 * instant of creation is in it because a run's id is free again once the run was deleted.
 */
function idempotencyKey({ created }: RunState, step: string): string {
  const plain = step.replace(/[^\x21-\x24\x26-\x7e]/gu, (char) => encodeURIComponent(char));
  return `${created?.id}:${created?.at.toString(36)}:${plain}`;
}
