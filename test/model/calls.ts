/** The calls that a handler has made in the model: which are open, what is due of them, and how a pause moves it. */
import { momentMs } from "./call.ts";
import type { Call, Clock } from "./call.ts";
import { Disagreement, claim, near } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";
import { Listeners } from "./listener.ts";
import { isLost } from "./race.ts";

/** `besides`: what was open when it had failed and was retried, and its handler has not come to again. */
export type Looks = {
  readonly status: string;
  readonly waitingFor: readonly string[];
  readonly besides: readonly string[];
};

export type Called = { readonly call: string; readonly id: string };

export class Calls {
  /** In the order in which they were made. */
  readonly made: Call[] = [];
  /** The instant of the newest entry. */
  at = 0;
  pausedAt: number | null = null;
  isCancelled = false;
  /** A step without an attempt left has paused the run, whether or not anybody waits for it by now. */
  #isExhausted = false;
  /** When the newest pause was over. */
  resumedAt = 0;
  readonly listeners: Listeners;
  readonly #counts = new Map<string, number>();
  readonly #clock: Clock;
  /** Those of earlier handlers that nothing came of yet, by key: a handler that makes them goes on with them. */
  readonly #known = new Map<string, Call>();

  /** @param before those of the handler before, where the run had ended and is retried */
  constructor(clock: Clock, before: Calls | null = null) {
    this.#clock = clock;
    this.listeners = new Listeners(before?.listeners ?? null);
    if (before === null) return;
    [this.at, this.pausedAt] = [before.at, before.pausedAt];
    [this.#isExhausted, this.resumedAt] = [before.#isExhausted, before.at];
    for (const [key, call] of before.#known) this.#known.set(key, call);
    for (const call of before.made) {
      call.reopen();
      if (call.outcome === null) this.#known.set(call.key, call);
    }
    // The step without an attempt left had it paused for this decision, which ends the pause.
    if (this.pausedAt !== null && this.#isExhausted) this.resume(this.at - this.pausedAt);
  }

  /** Nobody waits for them while the steps of the run are undone; they stay open, for a retry. */
  leave(): void {
    for (const call of this.open) call.lose();
  }

  make(call: Call): void {
    const before = this.#known.get(call.key);
    this.#known.delete(call.key);
    if (before !== undefined) call.resume(before, this.at);
    this.made.push(call);
  }

  /** Attempts whose time had come by this entry have begun; nothing is written of that. Once the handler is over, undoings alone. */
  begin({ at, step }: Seen, isEnding: boolean): void {
    for (const call of this.pausedAt === null ? this.open : []) {
      const isDue = call.latest < at || (call.latest === at && call.id === step);
      if (call.state !== "resting" || !isDue || (isEnding && call.kind !== "undo")) continue;
      call.begin(call.latest);
      // Where time is real, its alarm may be yet to come.
      if (this.#clock.slackMs === Infinity) [call.latest, call.unsure] = [Infinity, true];
    }
  }

  /** What must have come by now and has not. */
  overdue(at: number, isEnding: boolean, inbox: readonly Seen[]): void {
    // Of what came in a pause that a cancellation ended nobody says when it is heard.
    if (!isEnding && !this.isCancelled) this.listeners.overdue(at, this, this.#clock.slackMs, inbox);
    for (const call of this.open) {
      const { kind, id, state, latest } = call;
      // What a death cut off begins again once the pause is over.
      if (this.pausedAt !== null && (state !== "flying" || this.#clock.slackMs > 0)) continue;
      if (isEnding && kind !== "undo" && (!call.stopped || state === "resting")) continue;
      const isFirst = this.firstWait(call.name) === call;
      const signal = isFirst ? inbox.find((each) => each["name"] === call.name) : undefined;
      const due = signal === undefined ? latest : Math.max(signal.at, call.fixedAt, call.madeAt, this.resumedAt);
      const isLate = state !== "exhausted" && at > due + this.#clock.slackMs;
      claim(!isLate || isLost(call.scope), `${kind} ${id} (${state}) should have gone on at ${due}`);
    }
  }

  /** Signals go to the wait that was called first. */
  firstWait(name: string): Call | undefined {
    if (this.listeners.hears(name)) return undefined;
    return this.open.find((call) => call.kind === "wait" && call.name === name && !isLost(call.scope));
  }

  /** Attempts that fell due in this very instant may have begun, or begin when they may. */
  tie(): void {
    const tied = this.open.filter(({ state, latest }) => state === "resting" && latest <= this.at);
    for (const call of tied) call.begin(call.latest);
    for (const call of tied) [call.latest, call.unsure] = [Infinity, true];
  }

  /** A step was cut off by a death: so were others, which begin again with it, or after it. */
  doubt(at: number): void {
    for (const call of this.open)
      if (call.state === "flying" && call.markedAt !== at) [call.latest, call.unsure] = [Infinity, true];
  }

  /** The run is to end: how what can be undone ends must be known, though a pause holds it back after a death. */
  unwind(): void {
    for (const call of this.open) {
      if (call.plan.how.undo !== null) call.beginAgain(this.at);
      if (this.pausedAt !== null) call.doubt();
    }
  }

  /** The id of a call that is being made. */
  identify(kind: Call["kind"], name: string): string {
    const count = (this.#counts.get(`${kind} ${name}`) ?? 0) + 1;
    this.#counts.set(`${kind} ${name}`, count);
    return kind === "undo" || (count === 1 && !/#\d+$/.test(name)) ? name : `${name}#${count}`;
  }

  pause(byEngine: boolean): void {
    const isExhausted = this.open.some(({ state }) => state === "exhausted");
    claim(byEngine ? isExhausted : this.pausedAt === null, "nobody paused the run, or twice");
    this.tie();
    this.pausedAt ??= this.at;
    this.#isExhausted ||= byEngine;
  }

  /** That nobody waits for these any more is on record. */
  withdraw(calls: readonly Called[]): void {
    for (const { call, id } of calls) {
      const lost = this.made.find((each) => each.kind === call && each.id === id);
      if (lost !== undefined) lost.isWithdrawn = true;
    }
  }

  /**
   * The pause is over, and steps that had no attempt left have all of them again.
   * @param inVain the run goes on as new now, and nothing begins
   */
  resume(shiftMs: number, inVain = false): void {
    const fuzzMs = this.#clock.slackMs === Infinity ? momentMs : this.#clock.aheadMs;
    near(shiftMs, this.at - (this.pausedAt ?? this.at), fuzzMs, "the length of the pause");
    const held = [...this.open, ...this.#known.values()];
    for (const call of held) if (!inVain) call.shift(this.at, this.pausedAt ?? this.at);
    for (const call of this.made) {
      if (!call.isLost || call.isWithdrawn) continue;
      call.reopen();
      call.shift(this.at, this.pausedAt ?? this.at);
      call.lose();
    }
    [this.pausedAt, this.resumedAt, this.#isExhausted] = [null, this.at, false];
    for (const call of held) call.release(this.at);
  }

  /** Somebody has what waits for its next attempt, or has none left, tried now. */
  retry(): void {
    const open = this.open;
    // Also one that the handler has not come to again.
    const resting = [...open, ...this.#known.values()].filter(({ state }) => state === "resting");
    const isAgain = [...open, ...this.#known.values()].some(({ state, attempt }) => state === "flying" && attempt > 1);
    // One that runs at most once has not begun again at the instant at which a pause ended.
    const isNext = open.some(({ state, attempt }) => state === "called" && attempt > 1);
    const isExhausted = this.pausedAt !== null && this.#isExhausted;
    claim(isExhausted || isAgain || isNext || resting.length > 0, "nothing is there to be tried again");
    // A step without an attempt left had it paused for this decision, which ends the pause.
    if (isExhausted) this.resume(this.at - (this.pausedAt ?? this.at));
    for (const call of resting) call.earliest = call.latest = call.fixedAt = this.at;
  }

  /** What they make the run look like; null where that is a matter of a moment. */
  look(now: number, isUndoing: boolean): Looks | null {
    const open = this.open.filter(({ kind }) => !isUndoing || kind === "undo");
    const isMoving = ({ state, latest }: Call): boolean => state === "called" || (state !== "flying" && latest <= now);
    if (open.length === 0 || open.some((call) => call.unsure || isMoving(call))) return null;
    const heard = isUndoing ? [] : [...this.listeners.recorded].map((name) => `signal ${name}`);
    const waits = [...open.flatMap(waitOf), ...heard];
    const besides = isUndoing ? [] : [...this.#known.values()].flatMap((call) => [...waitOf(call), `retry ${call.id}`]);
    const isBusy = waits.length === 0 || open.some(({ state }) => state === "flying");
    return { status: isBusy ? "running" : "waiting", waitingFor: waits.toSorted(), besides };
  }

  get open(): Call[] {
    return this.made.filter(({ state }) => state !== "over");
  }

  /** Steps in flight that may have to be undone. */
  get undecided(): Call[] {
    return this.open.filter(({ kind, state, plan }) => kind === "run" && state === "flying" && plan.how.undo !== null);
  }

  /** @throws Disagreement */
  find(kind: Call["kind"], id: unknown): Call {
    const call = this.open.find((each) => each.kind === kind && each.id === id);
    if (call === undefined) throw new Disagreement(`no open ${kind} ${String(id)}`);
    return call;
  }
}

function waitOf({ kind, id, name, state, child }: Call): string[] {
  if (state === "resting") return [`retry ${id}`];
  if (state !== "waiting") return [];
  if (kind === "webhook") return [`webhook ${name}`];
  return [kind === "wait" ? `signal ${name}` : kind === "sleep" ? `timer ${name}` : `run ${child}`];
}
