/**
 * The reference model of a run: what may be observed of it, by the contract. It never dies, so it knows no
 * journal, no replay and no storage: it performs the handler once, holds what the handler waits for, and is
 * told the run's history entry by entry. An entry that may not come now, or not with this content, is a
 * {@link Disagreement}; so is one that should have come by now. Nothing of the engine is used here.
 */
import { Call } from "./call.ts";
import type { Clock, Deeds, Plan } from "./call.ts";
import { Disagreement, Given, claim, near, same } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";
import type { How, Tools } from "./program.ts";
import { isLost, map, race, scopes } from "./race.ts";

type Ending = {
  readonly ends: "completed" | "failed" | "cancelled";
  readonly told: Readonly<Record<string, unknown>>;
};

const cancelled: Ending = { ends: "cancelled", told: { code: "cancelled" } };
const simple: Plan = {
  deed: () => ({ path: "", ms: 0, end: { value: "" } }),
  how: {
    ...{ limit: 0, delayMs: 0, backoff: "constant", maxDelayMs: 0, timeoutMs: 0 },
    ...{ once: false, pauses: false, undo: null },
  },
  ms: null,
};
const outcomes = /^((step|undo|child)\.(completed|failed)|timer\.fired|wait\.timed_out|signal\.consumed|update\.accepted)$/;
/** What does not begin or fire while the run is paused. */
const held = /^(timer\.|wait\.(started|timed_out)|signal\.consumed)/;

export class Model {
  /** What attempts there may have been, by path and number: at least, and at most, how often. */
  readonly deeds: Deeds = new Map();
  /** The run's end, once it is on record. */
  end: Ending | null = null;
  readonly #clock: Clock;
  readonly #turn: () => Promise<void>;
  readonly #calls: Call[] = [];
  readonly #counts = new Map<string, number>();
  /** Signals that nobody consumed. */
  readonly #inbox: Seen[] = [];
  readonly #functions = new Map<string, (argument: unknown) => unknown>();
  readonly #updates = new Map<unknown, unknown>();
  readonly #unsaid: unknown[] = [];
  readonly #undoable: string[] = [];
  readonly #undone: string[] = [];
  #toUndo: string[] | null = null;
  #at = 0;
  #pausedAt: number | null = null;
  #resumedAt = 0;
  #cancelled: Given | null = null;
  /** It was cancelled while it was on its way to another end. */
  #isLate = false;
  /** How the handler wants the run to end; it has no more say. */
  #wanted: Ending | null = null;

  /** @param turn resolves once no microtask is left */
  constructor(clock: Clock, turn: () => Promise<void>) {
    this.#clock = clock;
    this.#turn = turn;
  }

  /** Takes the next entry of the history. @throws Disagreement */
  async see(entry: Seen, handler: (tools: Tools) => Promise<unknown>): Promise<void> {
    const { kind, at } = entry;
    claim(this.end === null, `${kind} after the end`);
    claim(at >= this.#at, "time runs backwards");
    this.#begins(entry);
    this.#overdue(at);
    this.#at = at;
    const isUnsaid = this.#unsaid.length > 0 && this.#cancelled === null;
    claim(!isUnsaid || !outcomes.test(kind), `"${String(this.#unsaid[0])}" should have been said`);
    claim(this.#pausedAt === null || !held.test(kind), `${kind} while the run is paused`);
    if (kind === "run.started") this.#perform(handler);
    else this.#apply(entry);
    await this.#turn();
  }

  /** How the run looks between two entries; null where that is a matter of a moment. */
  look(now: number): { readonly status: string; readonly waitingFor: readonly string[] } | null {
    if (this.end !== null) return { status: this.end.ends, waitingFor: [] };
    // On its way to its end, or where a death may have cut something off, it is not what it will be.
    const isPassing = this.#wanted !== null && this.#toUndo === null;
    if (now <= this.#at || isPassing || (this.#pausedAt !== null && this.#clock.slackMs > 0)) return null;
    const open = this.#open.filter(({ kind }) => this.#toUndo === null || kind === "undo");
    const isMoving = ({ state, latest }: Call): boolean => state === "called" || (state !== "flying" && latest <= now);
    if (open.length === 0 || open.some(isMoving)) return null;
    const waits = open.flatMap(({ kind, id, name, state, child }) => {
      if (state === "resting") return [`retry ${id}`];
      if (state !== "waiting") return [];
      return [kind === "wait" ? `signal ${name}` : kind === "sleep" ? `timer ${name}` : `run ${child}`];
    });
    const isBusy = waits.length === 0 || open.some(({ state }) => state === "flying");
    return { status: this.#pausedAt !== null ? "paused" : isBusy ? "running" : "waiting", waitingFor: waits.toSorted() };
  }

  #perform(handler: (tools: Tools) => Promise<unknown>): void {
    const run: Tools["run"] = (name, deed, how) => this.#call("run", name, { deed, how });
    const withdraw = (): void => {
      for (const call of this.#open) if (call.kind !== "run" && isLost(call.scope)) call.state = "over";
    };
    const tools: Tools = {
      run,
      sleep: (name, ms) => this.#call("sleep", name, { ms }),
      waitFor: (name, ms) => this.#call("wait", name, { ms }),
      invoke: () => this.#call("child", "modelled", {}),
      map: (name, items, deed, how) => map(name, items, deed, how, (one) => run(name, one, how)),
      race: (branches) => race(branches, withdraw),
      update: (name, fn) => void this.#functions.set(name, fn),
      log: (line) => void (this.#wanted === null && this.#unsaid.push(line)),
      bail: (message) => this.#leave({ ends: "cancelled", told: { code: "bailed", message } }),
      fail: ({ name, message }) => this.#leave({ ends: "failed", told: { code: "handler_failed", name, message } }),
    };
    handler(tools).then(
      // As it is now: a handler that has returned may yet change what it returned.
      (output) => this.#leave({ ends: "completed", told: { output: structuredClone(output) } }),
      (error: Error & Record<"code" | "step" | "attempts", unknown>) => {
        const { name, message, code, step, attempts } = error;
        const own = code === "step_failed" || code === "non_retryable" ? { name, message, attempts } : {};
        const given = { code, ...(step === undefined ? {} : { step }), ...own };
        return this.#leave({ ends: "failed", told: error instanceof Given ? given : { code: "handler_failed", name } });
      },
    );
  }

  /** The handler has no more say; what it did that can be undone and is under way is waited for. */
  #leave(wanted: Ending): Promise<never> {
    if (this.#wanted === null) {
      this.#wanted = this.#cancelled === null ? wanted : cancelled;
      for (const call of this.#awaited) call.stop(this.#at);
    }
    return new Promise(() => {});
  }

  #call(kind: Call["kind"], name: string, plan: Partial<Plan>): Promise<unknown> {
    const count = (this.#counts.get(`${kind} ${name}`) ?? 0) + 1;
    this.#counts.set(`${kind} ${name}`, count);
    const id = kind === "undo" || (count === 1 && !/#\d+$/.test(name)) ? name : `${name}#${count}`;
    const scope = kind === "undo" ? null : (scopes.getStore() ?? null);
    if ((this.#wanted !== null && kind !== "undo") || (isLost(scope) && this.#cancelled === null)) return new Promise(() => {});
    if (this.#cancelled !== null && kind !== "run" && kind !== "undo") return Promise.reject(this.#cancelled);
    if (isLost(scope)) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const whole = { ...simple, ...plan };
      const call = new Call({ kind, id, name, scope }, whole, this.#at, { resolve, reject }, this.deeds, this.#clock);
      this.#calls.push(call);
      if (this.#pausedAt === null) call.begin(this.#at);
    });
  }

  /** Attempts whose time had come by this entry have begun; nothing is written of that. */
  #begins({ at, step }: Seen): void {
    for (const call of this.#pausedAt === null ? this.#open : []) {
      const isDue = call.latest < at || (call.latest === at && call.id === step);
      if (call.state === "resting" && isDue) call.begin(call.latest);
    }
  }

  /** What must have come by now and has not. */
  #overdue(at: number): void {
    for (const call of this.#open) {
      const { kind, id, state, latest } = call;
      // What a death cut off begins again once the pause is over.
      if (this.#pausedAt !== null && (state !== "flying" || this.#clock.slackMs > 0)) continue;
      if (this.#wanted !== null && kind !== "undo" && !call.stopped) continue;
      const signal = this.#firstWait(call.name) === call ? this.#signalOf(call) : undefined;
      const due = signal === undefined ? latest : Math.max(signal.at, call.fixedAt, this.#resumedAt);
      const isLate = state !== "exhausted" && at > due + this.#clock.slackMs;
      claim(!isLate || isLost(call.scope), `${kind} ${id} (${state}) should have gone on at ${due}`);
    }
  }

  #apply(entry: Seen): void {
    const [noun = "", verb = ""] = entry.kind.split(".");
    switch (noun) {
      case "step":
      case "undo":
        return verb === "started" ? this.#startUndo(entry) : this.#stepped(noun === "step" ? "run" : "undo", verb, entry);
      case "child":
        return verb === "stopped" ? undefined : this.#childed(verb, entry);
      case "timer":
      case "wait":
        return verb === "withdrawn" ? undefined : this.#timed(noun === "timer" ? "sleep" : "wait", verb, entry);
      case "signal":
        return verb === "received" ? void this.#inbox.push(entry) : this.#consumed(entry);
      case "update":
        return this.#updated(verb, entry);
      case "log": {
        // In which order the branches of a cancelled handler clean up, nobody says.
        const place = this.#cancelled === null ? 0 : this.#unsaid.indexOf(entry["message"]);
        return place < 0 ? undefined : same(entry["message"], this.#unsaid.splice(place, 1)[0], "what is said next");
      }
      case "run":
        return this.#moved(verb, entry);
      default:
        return claim(noun === "listener", `no such entry was expected: ${entry.kind}`);
    }
  }

  #stepped(kind: "run" | "undo", verb: string, entry: Seen): void {
    const call = this.#find(kind, entry["step"]);
    if (verb === "interrupted" || verb === "attempt_started") {
      return call.mark(entry, this.#pausedAt !== null, this.#wanted !== null);
    }
    same(entry["attempt"], call.attempt, `the attempt of ${call.id}`);
    if (verb === "completed") call.complete(entry);
    else call.fail(entry);
    if (verb === "completed" && call.plan.how.undo !== null) this.#undoable.push(call.id);
    if (verb === "completed" && kind === "undo") this.#undone.push(call.id);
    if (kind === "undo" && call.state === "over") this.#undoNext();
  }

  #timed(kind: "sleep" | "wait", verb: string, entry: Seen): void {
    const id = entry["call"];
    if (verb === "set" || verb === "started") {
      // Also what was called in the very turn in which it was given up.
      const made = this.#calls.find((each) => each.kind === kind && each.id === id);
      return (made ?? this.#find(kind, id)).wait(entry, kind === "sleep" ? entry["wakeAt"] : entry["until"]);
    }
    const call = this.#find(kind, id);
    const isOver = call.state === "waiting" ? entry.at >= call.earliest : call.plan.ms === 0;
    claim(isOver, `${kind} ${call.id} is over too early`);
    const isFirst = this.#firstWait(call.name) === call && call.state === "waiting";
    const isMissed = isFirst && (this.#signalOf(call)?.at ?? Infinity) < call.earliest;
    claim(!isMissed, `${call.id} has a signal and does not time out`);
    call.settle(null);
  }

  /** Signals go to the wait that was called first. */
  #firstWait(name: string): Call | undefined {
    return this.#open.find((call) => call.kind === "wait" && call.name === name && !isLost(call.scope));
  }

  #signalOf(call: Call): Seen | undefined {
    return this.#inbox.find((signal) => signal["name"] === call.name);
  }

  #consumed(entry: Seen): void {
    const call = this.#find("wait", entry["call"]);
    claim(this.#firstWait(call.name) === call, `${call.id} is not next to get a signal`);
    const signal = this.#signalOf(call);
    same(entry["signal"], signal?.seq, `the oldest signal ${call.name}`);
    if (signal === undefined) return;
    this.#inbox.splice(this.#inbox.indexOf(signal), 1);
    claim(call.state === "called" || signal.at <= call.earliest, `the signal came after ${call.id} was over`);
    call.settle(signal["payload"]);
  }

  #childed(verb: string, entry: Seen): void {
    const step = String(entry["step"]);
    const call = this.#calls.find(({ kind, id }) => kind === "child" && id === step);
    claim(call !== undefined || step.endsWith("#0"), `nobody called ${step}`);
    // What nobody waits for any more may yet be told of.
    if (call === undefined || call.state === "over") return;
    const { id } = entry["child"] as { id: string };
    if (verb === "started") [call.state, call.child] = ["waiting", id];
    else same(id, call.child, "the child that has ended");
    if (verb === "completed") call.settle(entry["output"]);
    if (verb !== "failed") return;
    const cause = Object.assign(new Given(), (entry["error"] as { cause?: object }).cause);
    call.reject(Object.assign(new Given(), { code: "child_failed", step, cause }));
  }

  #updated(verb: string, { name, update, argument, result, error }: Seen): void {
    const fn = this.#functions.get(String(name));
    if (verb !== "accepted") {
      const seen = verb === "completed" ? { result } : { message: (error as Error).message };
      return same(seen, this.#updates.get(update), "the answer to an update");
    }
    claim(fn !== undefined && this.#wanted === null && this.#pausedAt === null, "nobody takes updates now");
    try {
      this.#updates.set(update, { result: fn?.(argument) });
    } catch (thrown) {
      this.#updates.set(update, { message: (thrown as Error).message });
    }
  }

  #moved(verb: string, entry: Seen): void {
    const { at } = entry;
    switch (verb) {
      case "paused": {
        const isExhausted = this.#open.some(({ state }) => state === "exhausted");
        claim(entry["by"] === "engine" ? isExhausted : this.#pausedAt === null, "nobody paused the run, or twice");
        this.#pausedAt ??= at;
        return;
      }
      case "resumed": {
        const fuzzMs = this.#clock.slackMs === Infinity ? 100 : 0;
        near(entry["shiftMs"] as number, at - (this.#pausedAt ?? at), fuzzMs, "the length of the pause");
        return this.#resume();
      }
      case "retried":
        return this.#retry();
      case "cancel_requested":
        return this.#cancel(entry["awaited"] as readonly string[]);
      case "completed":
      case "failed":
      case "cancelled":
        return this.#ended(verb, entry);
      case "interrupted":
        // Whatever was due while nobody was there is due now.
        for (const call of this.#open) call.latest = call.state === "flying" ? Infinity : Math.max(call.latest, at);
        return;
      default:
        return claim(["created", "recovered"].includes(verb), `no such entry was expected: run.${verb}`);
    }
  }

  #resume(): void {
    for (const call of this.#open) call.shift(this.#at, this.#pausedAt ?? this.#at);
    [this.#pausedAt, this.#resumedAt] = [null, this.#at];
    for (const call of this.#open) call.release(this.#at);
  }

  #retry(): void {
    const open = this.#open;
    const resting = open.filter(({ state }) => state === "resting");
    const isAgain = open.some(({ state, attempt }) => state === "flying" && attempt > 1);
    const isExhausted = open.some(({ state }) => state === "exhausted");
    claim(isExhausted || isAgain || resting.length > 0, "nothing is there to be tried again");
    // A step without an attempt left had it paused for this decision, which ends the pause.
    if (isExhausted) this.#resume();
    for (const call of resting) call.earliest = call.latest = call.fixedAt = this.#at;
  }

  #cancel(awaited: readonly string[]): void {
    claim(this.#cancelled === null && this.#toUndo === null, "cancelled though it is on its way to its end");
    this.#cancelled = Object.assign(new Given(), { code: "cancelled" });
    // What a death cut off in a pause is not in flight any more.
    const flying = this.#awaited.filter(({ id }) => this.#clock.slackMs === 0 || awaited.includes(id));
    same(awaited.toSorted(), flying.map(({ id }) => id).toSorted(), "the steps that are waited for");
    for (const call of flying) call.stop(this.#at);
    this.#isLate = this.#wanted !== null;
    // Whoever is told to end may clean up at once.
    this.#pausedAt = null;
    for (const call of this.#open) if (!flying.includes(call)) call.reject(this.#cancelled);
  }

  /** A cancellation that came just as the handler ended may count, or not. */
  #yield(ends: unknown): void {
    if (this.#isLate && ends === "cancelled") this.#wanted = cancelled;
  }

  #startUndo(entry: Seen): void {
    claim(this.#wanted !== null && this.#toUndo === null, "undone before its end");
    claim(this.#awaited.length === 0, "undone while a step may yet have to be undone");
    this.#yield(entry["ends"]);
    same(entry["ends"], this.#wanted?.ends, "the end it is undone for");
    same(entry["steps"], this.#undoable.toReversed(), "the steps that are undone");
    for (const call of this.#open) call.state = "over";
    this.#toUndo = this.#undoable.toReversed();
    this.#undoNext();
  }

  #undoNext(): void {
    const step = this.#toUndo?.shift();
    const done = this.#calls.find(({ kind, id }) => kind === "run" && id === step);
    if (done === undefined) return;
    const how: How = { ...done.plan.how, once: false, pauses: false, undo: null };
    this.#call("undo", done.id, { deed: done.plan.how.undo ?? simple.deed, how }).catch(() => {});
  }

  #ended(ends: Ending["ends"], entry: Seen): void {
    const error = (entry["error"] ?? {}) as Readonly<Record<string, unknown>>;
    const told = { ...error, output: entry["output"] } as Readonly<Record<string, unknown>>;
    this.end = { ends, told };
    // Attempts that fell due in this very instant may have begun.
    for (const call of this.#open) if (call.state === "resting" && call.latest <= this.#at) call.begin(this.#at);
    if (error["code"] === "terminated") return;
    this.#yield(ends);
    claim(this.#wanted !== null, `${ends} before the handler has ended`);
    same(ends, this.#wanted?.ends, "how the run ends");
    for (const [name, value] of Object.entries(this.#wanted?.told ?? {})) same(told[name], value, `${name} of the end`);
    claim(this.#unsaid.length === 0 || this.#cancelled !== null, `"${String(this.#unsaid[0])}" was not said`);
    if (ends === "completed") return;
    claim(!this.#open.some(({ kind }) => kind === "undo"), "not all is undone");
    claim(this.#toUndo !== null || this.#undoable.length === 0, "nothing is undone");
    same(error["undone"] ?? [], this.#undone, "what was undone");
  }

  get #open(): Call[] {
    return this.#calls.filter(({ state }) => state !== "over");
  }

  /** Steps in flight whose end must be known first, because they may have to be undone. */
  get #awaited(): Call[] {
    if (this.#wanted?.ends === "completed") return [];
    return this.#open.filter(({ kind, state, plan }) => kind === "run" && state === "flying" && plan.how.undo !== null);
  }

  #find(kind: Call["kind"], id: unknown): Call {
    const call = this.#open.find((each) => each.kind === kind && each.id === id);
    if (call === undefined) throw new Disagreement(`no open ${kind} ${String(id)}`);
    return call;
  }
}
