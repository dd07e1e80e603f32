/** One call of the handler in the model: what it waits for, when that may come, and how its attempts may end. */
import { Given, claim, near, same } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";
import type { Deed, How } from "./player.ts";
import { isLost } from "./race.ts";
import type { Scope } from "./race.ts";

export type Plan = {
  readonly deed: (attempt: number) => Deed;
  readonly how: How;
  /** How long a sleep or a wait lasts; null for ever. */
  readonly ms: number | null;
};

/** Of calls that are no steps. */
export const simple: Plan = {
  deed: () => ({ path: "", ms: 0, end: { value: "" } }),
  how: {
    ...{ limit: 0, delayMs: 0, backoff: "constant", maxDelayMs: 0, timeoutMs: 0 },
    ...{ once: false, pauses: false, undo: null },
  },
  ms: null,
};

/** How often an attempt may have taken place, by {@link placeOf}. */
export type Deeds = Map<string, Count>;

/** Of `least`, so many were `cutOff` by their timeout. */
type Count = { least: number; most: number; cutOff: number };

/** @param times how often what it did was undone, and done again */
export function placeOf(path: string, attempt: number, times: number): string {
  return `${path} ${attempt} ${times}`;
}

/** What a call was settled with. */
export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** How exact the times of a run are. */
export type Clock = {
  /** How late anything may come; Infinity where time is real. */
  readonly slackMs: number;
  /**
   * By how much its entries may be ahead of the world: a life that begins at the instant of the one before is put a
   * moment behind it.
   */
  aheadMs: number;
};

type Settle = { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void };

const graceMs = 30_000;
/** Where time is real, a moment may pass between the reckoning of a deadline and its entry. */
export const momentMs = 100;

export class Call {
  /** A webhook is two: its address, and its call. */
  readonly kind: "run" | "undo" | "sleep" | "wait" | "child" | "address" | "webhook";
  readonly id: string;
  readonly name: string;
  readonly scope: Scope | null;
  /** How often what it does was undone before, and is done again. */
  readonly times: number;
  readonly plan: Plan;
  state: "called" | "flying" | "resting" | "exhausted" | "waiting" | "over" = "called";
  attempt = 1;
  /** Attempts that were forgiven by somebody who had it tried again. */
  forgiven = 0;
  /** That nobody waits for it any more is on record. */
  isWithdrawn = false;
  /** It was told to stop, and has a while to do so. */
  stopped = false;
  /** What the handler is told instead of its result: the run was cancelled while it was in flight. */
  refusal: unknown = null;
  /** Whether its attempt is under way: it fell due at the instant of something else, or a death may have cut it off. */
  unsure = false;
  /** When it was last marked as cut off, or as begun. */
  markedAt = 0;
  /** A death cut it off, and a pause holds it back since. */
  #isCutOff = false;
  /** When what it waits for may come, and when it must have come. */
  earliest: number;
  latest: number;
  /** By so much `earliest` is too early: in real time nobody knows to the millisecond how long a pause was. */
  #leewayMs = 0;
  /** When that was fixed. */
  fixedAt: number;
  readonly madeAt: number;
  child: string | null = null;
  /** By an entry; null while there was none. */
  outcome: Outcome | null = null;
  /** What it was doing when nobody waited for it any more. */
  #lostAs: Call["state"] | null = null;
  readonly #settle: Settle;
  readonly #deeds: Deeds;
  readonly #slackMs: number;
  readonly #clock: Clock;

  constructor(
    identity: Pick<Call, "kind" | "id" | "name" | "scope" | "times">,
    plan: Plan,
    at: number,
    settle: Settle,
    deeds: Deeds,
    clock: Clock,
  ) {
    const { kind, id, name, scope, times } = identity;
    [this.kind, this.id, this.name, this.scope, this.times, this.plan] = [kind, id, name, scope, times, plan];
    [this.earliest, this.latest, this.fixedAt, this.madeAt] = [at, kind === "child" ? Infinity : at, at, at];
    [this.#settle, this.#deeds, this.#slackMs, this.#clock] = [settle, deeds, clock.slackMs, clock];
  }

  /** By how much times may differ that should be the same. */
  get fuzzMs(): number {
    return this.#slackMs === Infinity ? momentMs : this.#clock.aheadMs;
  }

  get key(): string {
    return `${this.kind} ${this.id}`;
  }

  /** What comes by then is in time. */
  get lastMoment(): number {
    return this.earliest + this.#leewayMs;
  }

  /** What it waits for may have come by then. */
  isDue(at: number): boolean {
    return at >= this.earliest - this.#clock.aheadMs;
  }

  /** Nobody waits for it any more. */
  lose(): void {
    if (this.state !== "over") [this.#lostAs, this.state] = [this.state, "over"];
  }

  get isLost(): boolean {
    return this.#lostAs !== null && this.state === "over";
  }

  /** The run had ended and is retried: it is as it was before nobody waited for it. */
  reopen(): void {
    this.state = this.#lostAs ?? this.state;
  }

  /** A handler that has begun anew makes the same call; a child was stopped with the run, and is started anew. */
  resume(before: Call, at: number): void {
    const { state, plan, kind } = before;
    [this.attempt, this.forgiven] = [before.attempt, before.forgiven];
    if (state === "exhausted") this.forgiven = this.attempt++;
    if (state === "waiting" && kind !== "child") {
      [this.state, this.fixedAt, this.#leewayMs] = [state, before.fixedAt, before.#leewayMs];
      [this.earliest, this.latest] = [before.earliest, Math.max(before.latest, at)];
    }
    // Its mark is on record: it is not made again.
    else if (state === "flying" && plan.how.once) [this.state, this.earliest, this.latest] = [state, 0, Infinity];
    // It failed before, and the next attempt is due now.
    else if (kind === "run" && this.attempt > 1) this.fallDue();
  }

  /** An attempt begins, unless it does so by an entry of its own. */
  begin(at: number, marked = false): void {
    const { how } = this.plan;
    if ((this.kind !== "run" && this.kind !== "undo") || (how.once && !marked)) return;
    [this.state, this.unsure] = ["flying", false];
    this.earliest = this.latest = at + Math.min(this.#now.ms, how.timeoutMs);
    this.#count.most++;
  }

  /** By its mark an attempt begins, or begins again; once the pause is over, if there is one. */
  mark(entry: Seen, held: boolean, ending: boolean): void {
    if (entry.kind.endsWith("attempt_started")) same(entry["attempt"], this.attempt, `the attempt of ${this.id}`);
    claim(!this.plan.how.once || this.state !== "flying", `${this.id} runs at most once`);
    this.markedAt = entry.at;
    this.begin(entry.at, true);
    // What runs at most once begins by its mark, which a pause may have overtaken.
    if (held && this.plan.how.once) this.latest = Infinity;
    else if (held) [this.state, this.#isCutOff] = ["called", true];
    // On the way to the end it must be known how it ends, in a pause too, and it is told to stop at once.
    if (ending && this.plan.how.undo !== null) {
      this.beginAgain(entry.at);
      this.stopped = true;
    }
    if (this.stopped) this.earliest = 0;
  }

  stop(at: number): void {
    this.stopped = true;
    [this.earliest, this.latest] = [0, this.unsure ? Infinity : Math.min(this.latest, at + graceMs)];
  }

  /** What a sleep or a wait is on record with. */
  wait({ at }: Seen, until: unknown): void {
    const { ms } = this.plan;
    claim(
      this.state === "called" || (this.state === "over" && at <= this.fixedAt + Math.max(this.fuzzMs, this.#slackMs)),
      `${this.id} waits already`,
    );
    // A webhook's counts from its call, and is on record once the address has been signed, which takes real time.
    const isSigned = this.kind === "webhook" || this.kind === "address";
    const isEarly = isSigned && this.#slackMs === Infinity && (until as number) < at + (ms ?? 0);
    if (ms === null) same(until, null, `the deadline of ${this.id}`);
    else if (!isEarly) near(until as number, at + ms, this.fuzzMs, `the deadline of ${this.id}`);
    if (this.state === "over") this.#lostAs = "waiting";
    else this.state = "waiting";
    this.fixedAt = at;
    this.earliest = this.latest = ms === null ? Infinity : (until as number);
  }

  /** It was taken for removed, and is on record once more: it keeps its deadline. */
  waitAgain(until: unknown): void {
    claim(this.state === "waiting" || this.isLost, `${this.id} does not wait`);
    same(until, this.earliest === Infinity ? null : this.earliest, `the deadline of ${this.id}`);
  }

  /** The child it waits for was started, or has ended. */
  hear(verb: string, { child, output, error }: Seen): void {
    const { id } = child as { readonly id: string };
    if (verb === "started") [this.state, this.child] = ["waiting", id];
    else same(id, this.child, "the child that has ended");
    if (verb === "completed") this.settle(output);
    if (verb !== "failed") return;
    const cause = Object.assign(new Given(), (error as { readonly cause?: object }).cause);
    this.reject(Object.assign(new Given(), { code: "child_failed", step: this.id, cause }));
  }

  /** A pause that began at this instant is over. */
  shift(at: number, pausedAt: number): void {
    if (this.state === "called") {
      [this.fixedAt, this.earliest] = [at, at];
      if (this.kind !== "child") this.latest = at;
      this.fallDue();
      return this.beginAgain(at);
    }
    const shiftMs = at - Math.max(pausedAt, this.fixedAt);
    if (this.state === "waiting" || this.state === "resting") {
      const leewayMs = this.#slackMs === Infinity ? momentMs : 0;
      this.earliest += shiftMs - leewayMs;
      this.#leewayMs += leewayMs;
    }
    this.doubt();
    if (this.state !== "flying") this.latest = Math.max(at, this.latest + shiftMs);
  }

  /** A death may have cut it off in the pause that is over; suspects begin again one after another. */
  doubt(): void {
    if (this.state === "flying" && this.#slackMs > 0) [this.latest, this.unsure] = [Infinity, true];
  }

  /** What a death cut off is held back no longer; others that died with it may begin before it. */
  beginAgain(at: number): void {
    if (!this.#isCutOff) return;
    this.#isCutOff = false;
    this.begin(at);
    [this.latest, this.unsure] = [Infinity, true];
  }

  /** A step that had no attempt left has all of them again. */
  release(at: number): void {
    if (this.state !== "exhausted") return;
    this.forgiven = this.attempt++;
    [this.earliest, this.latest, this.fixedAt] = [at, at, at];
    this.fallDue();
  }

  /** Its attempt may begin at this instant, at which there may be another pause before it does. */
  fallDue(): void {
    if ((this.kind === "run" || this.kind === "undo") && !this.plan.how.once) this.state = "resting";
    else this.state = "called";
  }

  /** An attempt has succeeded. */
  complete({ at, result }: Seen): void {
    const { end, ms } = this.#now;
    const inTime = this.#isLoose || ms <= this.plan.how.timeoutMs;
    claim(this.state === "flying" && this.isDue(at) && inTime, `${this.id} cannot be over yet`);
    claim("value" in end, `attempt ${this.attempt} of ${this.id} does not succeed`);
    const value = "value" in end ? end.value : null;
    if (this.kind === "run") same(result, value, `the result of ${this.id}`);
    this.settle(value);
  }

  /** An attempt has failed: another is to come, or a person decides, or the step has failed. */
  fail(entry: Seen): void {
    const code = (entry["error"] as { code?: unknown }).code;
    const left = this.#claimFailure(code, entry.at);
    if (!entry.kind.endsWith("attempt_failed")) {
      claim(left === 0 || this.stopped, `${this.id} has ${left} attempts left`);
      claim(this.stopped || !this.#pauses, `${this.id} pauses the run rather than fails`);
      return this.reject(this.#failure(code));
    }
    claim(this.refusal === null, `${this.id} is tried again though its run was cancelled`);
    if (entry["retryAt"] !== null) return this.#rest(left, entry.at, entry["retryAt"] as number);
    claim(this.#pauses && left === 0, `${this.id} has attempts left, or fails`);
    this.state = "exhausted";
  }

  settle(value: unknown): void {
    if (this.state === "flying") this.#count.least++;
    this.end(this.refusal === null ? { value } : { error: this.refusal });
  }

  reject(error: unknown): void {
    this.end({ error });
  }

  end(outcome: Outcome): void {
    [this.state, this.outcome] = ["over", outcome];
    if ("value" in outcome) this.#settle.resolve(outcome.value);
    else this.#settle.reject(outcome.error);
  }

  /** Nobody waits for a step of a branch that lost its race, so nobody is asked about it. */
  get #pauses(): boolean {
    return this.plan.how.pauses && !isLost(this.scope);
  }

  get #now(): Deed {
    return this.plan.deed(this.attempt);
  }

  /** Where time is real, an attempt may take longer than it says, and be cut off later than is due. */
  get #isLoose(): boolean {
    return this.#slackMs === Infinity && this.plan.how.timeoutMs < 10_000;
  }

  get #count(): Count {
    const place = placeOf(this.#now.path, this.attempt, this.times);
    const known = this.#deeds.get(place) ?? { least: 0, most: 0, cutOff: 0 };
    this.#deeds.set(place, known);
    return known;
  }

  /** @returns how many attempts are left */
  #claimFailure(code: unknown, at: number): number {
    const { end, ms } = this.#now;
    const { how } = this.plan;
    const codes = new Set<unknown>(this.#isLoose || ms >= how.timeoutMs ? ["step_timeout"] : []);
    const isFailure = this.#isLoose || ms <= how.timeoutMs;
    if (isFailure && "lasting" in end) codes.add(end.lasting ? "non_retryable" : "step_failed");
    if (how.once && this.state === "flying") codes.add("step_interrupted");
    if (this.stopped) codes.add("step_timeout").add("step_failed");
    const told = `attempt ${this.attempt} of ${this.id} fails with ${[...codes].join(" or ")}, not ${String(code)}`;
    claim(codes.has(code), told);
    const isDue = code === "step_interrupted" || this.isDue(at);
    claim(this.state === "flying" && isDue, `${this.id} cannot have failed yet`);
    if (code === "step_interrupted") return 0;
    this.#count.least++;
    if (code === "step_timeout") this.#count.cutOff++;
    return code === "non_retryable" ? 0 : Math.max(0, how.limit + 1 - (this.attempt - this.forgiven));
  }

  #rest(left: number, at: number, retryAt: number): void {
    claim(left > 0, `${this.id} has no attempt left`);
    const { delayMs, backoff, maxDelayMs } = this.plan.how;
    const failed = this.attempt - this.forgiven;
    const factor = { constant: 1, linear: failed, exponential: 2 ** (failed - 1) }[backoff];
    const wanted = Math.min(delayMs * factor, maxDelayMs);
    near(retryAt - at, wanted, wanted * 0.2 + 1 + this.fuzzMs, `how long ${this.id} rests`);
    this.state = "resting";
    this.attempt++;
    [this.earliest, this.latest, this.fixedAt] = [retryAt, retryAt, at];
  }

  #failure(code: unknown): Error {
    const { end } = this.#now;
    const name = "lasting" in end && end.lasting ? "NonRetryableError" : "TypeError";
    const thrown = "message" in end ? { name, message: end.message } : {};
    return Object.assign(new Given(), { ...thrown, code, step: this.id, attempts: this.attempt });
  }
}
