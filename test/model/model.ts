/**
 * The reference model of a run: what may be observed of it, by the contract. It never dies, so it knows no
 * journal, no replay and no storage: it performs the handler once, holds what the handler waits for, and is
 * told the run's history entry by entry. An entry that may not come now, or not with this content, is a
 * {@link Disagreement}; so is one that should have come by now. Nothing of the engine is used here.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Deed, Fan, How, Tools } from "./program.ts";

/** An entry of a history; its instants are epoch ms. */
export type Seen = { readonly seq: number; readonly at: number; readonly kind: string; readonly [field: string]: unknown };

export class Disagreement extends Error {}

/** An error that `step` gives the handler. */
class Given extends Error {}

type Scope = { readonly parent: Scope | null; lost: boolean };

type Call = {
  readonly kind: "run" | "undo" | "sleep" | "wait" | "child";
  readonly id: string;
  readonly name: string;
  readonly deed: (attempt: number) => Deed;
  readonly how: How;
  /** How long a sleep or a wait lasts; null for ever. */
  readonly ms: number | null;
  readonly scope: Scope | null;
  readonly settle: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void };
  state: "called" | "flying" | "resting" | "exhausted" | "waiting" | "over";
  attempt: number;
  /** Attempts that were forgiven by somebody who had it tried again. */
  forgiven: number;
  /** It was told to stop, and has a while to do so. */
  stopped: boolean;
  /** When what it waits for may come, and when it must have come. */
  earliest: number;
  latest: number;
  /** When that was fixed. */
  fixedAt: number;
  child: string | null;
};

type Ending = { readonly ends: "completed" | "failed" | "cancelled"; readonly told: Readonly<Record<string, unknown>>; };

const noHow: How = {
  ...{ limit: 0, delayMs: 0, backoff: "constant", maxDelayMs: 0, timeoutMs: 0 },
  ...{ once: false, pauses: false, undo: null },
};
const noDeed = (): Deed => ({ path: "", ms: 0, end: { value: "" } });
const outcomes = /^(step|undo|child)\.(completed|failed)$|^(timer\.fired|wait\.timed_out|signal\.consumed|update\.accepted)$/;
/** What does not begin or fire while the run is paused. */
const held = /^(timer\.|wait\.(started|timed_out)|signal\.consumed)/;

export class Model {
  /** What attempts there may have been, by path and number: at least, and at most, how often. */
  readonly deeds = new Map<string, { least: number; most: number }>();
  /** The run's end, once it is on record. */
  end: Ending | null = null;
  readonly #slackMs: number;
  readonly #turn: () => Promise<void>;
  readonly #scopes = new AsyncLocalStorage<Scope>();
  readonly #calls: Call[] = [];
  readonly #counts = new Map<string, number>();
  readonly #inbox: { readonly seq: number; readonly at: number; readonly name: string; readonly payload: unknown }[] = [];
  readonly #functions = new Map<string, (argument: unknown) => unknown>();
  readonly #updates = new Map<unknown, { readonly result: unknown } | { readonly message: string }>();
  readonly #unsaid: string[] = [];
  readonly #undoable: string[] = [];
  readonly #undone: { readonly step: string; readonly failed: boolean }[] = [];
  #toUndo: string[] | null = null;
  #at = 0;
  #paused: number | null = null;
  #resumedAt = 0;
  #cancelled: Given | null = null;
  /** It was cancelled while it was on its way to another end. */
  #late = false;
  /** How the handler wants the run to end; it has no more say. */
  #wanted: Ending | null = null;

  /**
   * @param slackMs how late anything may come
   * @param turn resolves once no microtask is left
   */
  constructor(slackMs: number, turn: () => Promise<void>) {
    this.#slackMs = slackMs;
    this.#turn = turn;
  }

  /** Takes the next entry of the history. @throws Disagreement */
  async see(entry: Seen, handler: (tools: Tools) => Promise<unknown>): Promise<void> {
    this.#claim(this.end === null, `${entry.kind} after the end`);
    this.#claim(entry.at >= this.#at, "time runs backwards");
    this.#begins(entry);
    this.#overdue(entry.at);
    this.#at = entry.at;
    if (outcomes.test(entry.kind) && this.#cancelled === null) this.#claim(this.#unsaid.length === 0, `"${this.#unsaid[0]}" should have been said`);
    if (this.#paused !== null) this.#claim(!held.test(entry.kind), `${entry.kind} while the run is paused`);
    if (entry.kind === "run.started") this.#perform(handler);
    else this.#apply(entry);
    await this.#turn();
  }

  /** How the run looks between two entries; null where that is a matter of a moment. */
  look(now: number): { readonly status: string; readonly waitingFor: readonly string[] } | null {
    if (this.end !== null) return { status: this.end.ends, waitingFor: [] };
    // On its way to its end, or where a death may have cut something off, it is not what it will be.
    if (now <= this.#at || (this.#wanted !== null && this.#toUndo === null)) return null;
    if (this.#paused !== null && this.#slackMs > 0) return null;
    const open = this.#open().filter(({ kind }) => this.#toUndo === null || kind === "undo");
    if (open.length === 0 || open.some(({ state, latest }) => state === "called" || (state !== "flying" && latest <= now))) return null;
    const waits = open.flatMap(({ kind, id, name, state, child }) => {
      if (state === "resting") return [`retry ${id}`];
      if (state !== "waiting") return [];
      return [kind === "wait" ? `signal ${name}` : kind === "sleep" ? `timer ${name}` : `run ${child}`];
    });
    const busy = open.some(({ state }) => state === "flying");
    const status = this.#paused !== null ? "paused" : busy || waits.length === 0 ? "running" : "waiting";
    return { status, waitingFor: waits.toSorted() };
  }

  #perform(handler: (tools: Tools) => Promise<unknown>): void {
    const tools: Tools = {
      run: (name, deed, how) => this.#call("run", name, { deed, how }),
      sleep: (name, ms) => this.#call("sleep", name, { ms }),
      waitFor: (name, ms) => this.#call("wait", name, { ms }),
      invoke: () => this.#call("child", "modelled", {}),
      map: (name, items, deed, how) => this.#map(name, items, deed, how),
      race: (branches) => this.#race(branches),
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
        if (!(error instanceof Given)) return this.#leave({ ends: "failed", told: { code: "handler_failed", name } });
        const own = code === "step_failed" || code === "non_retryable" ? { name, message, attempts } : {};
        return this.#leave({ ends: "failed", told: { code, ...(step === undefined ? {} : { step }), ...own } });
      },
    );
  }

  /** The handler has no more say; what it did that can be undone and is under way is waited for. */
  #leave(wanted: Ending): Promise<never> {
    if (this.#wanted === null) {
      this.#wanted = this.#cancelled === null ? wanted : { ends: "cancelled", told: { code: "cancelled" } };
      for (const call of this.#open()) if (this.#isAwaited(call)) this.#stop(call);
    }
    return new Promise(() => {});
  }

  #stop(call: Call): void {
    call.stopped = true;
    [call.earliest, call.latest] = [0, Math.min(call.latest, this.#at + 30_000)];
  }

  #isAwaited({ kind, state, how }: Call): boolean {
    return this.#wanted?.ends !== "completed" && kind === "run" && state === "flying" && how.undo !== null;
  }

  #call(kind: Call["kind"], name: string, more: Partial<Pick<Call, "deed" | "how" | "ms">>): Promise<unknown> {
    const count = (this.#counts.get(`${kind} ${name}`) ?? 0) + 1;
    this.#counts.set(`${kind} ${name}`, count);
    const id = kind === "undo" || (count === 1 && !/#\d+$/.test(name)) ? name : `${name}#${count}`;
    if (this.#wanted !== null && kind !== "undo") return new Promise(() => {});
    if (this.#cancelled !== null && kind !== "run" && kind !== "undo") return Promise.reject(this.#cancelled);
    const scope = kind === "undo" ? null : (this.#scopes.getStore() ?? null);
    if (isLost(scope)) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const { deed = noDeed, how = noHow, ms = null } = more;
      const times = { earliest: this.#at, latest: kind === "child" ? Infinity : this.#at, fixedAt: this.#at };
      const call: Call = {
        ...{ kind, id, name, deed, how, ms, scope, settle: { resolve, reject }, state: "called", attempt: 1 },
        ...{ forgiven: 0, stopped: false, child: null, ...times },
      };
      this.#calls.push(call);
      if (this.#paused === null) this.#fly(call);
    });
  }

  /** An attempt begins, unless it does so by an entry of its own. */
  #fly(call: Call, at = this.#at, marked = false): void {
    if ((call.kind !== "run" && call.kind !== "undo") || (call.how.once && !marked)) return;
    const { ms } = call.deed(call.attempt);
    call.state = "flying";
    call.earliest = call.latest = at + Math.min(ms, call.how.timeoutMs);
    const deed = this.#deed(call);
    deed.most++;
  }

  /** By its mark an attempt begins, or begins again; once the pause is over, if there is one. */
  #marked(call: Call): void {
    this.#fly(call, this.#at, true);
    if (this.#paused !== null) call.state = "called";
    // One that begins on the way to the end is told to stop at once.
    if (this.#wanted !== null && call.how.undo !== null) call.stopped = true;
    if (call.stopped) call.earliest = 0;
  }

  #deed({ deed, attempt }: Call): { least: number; most: number } {
    const place = `${deed(attempt).path} ${attempt}`;
    const known = this.deeds.get(place) ?? { least: 0, most: 0 };
    this.deeds.set(place, known);
    return known;
  }

  /** Attempts whose time had come by this entry have begun; nothing is written of that. */
  #begins({ at, step }: Seen): void {
    if (this.#paused !== null) return;
    for (const call of this.#open()) {
      const isDue = call.latest < at || (call.latest === at && call.id === step);
      if (call.state === "resting" && isDue && !call.how.once) this.#fly(call, call.latest);
    }
  }

  /** What must have come by now and has not. */
  #overdue(at: number): void {
    for (const call of this.#open()) {
      const { kind, id, state, latest } = call;
      // What a death cut off begins again once the pause is over.
      if (this.#paused !== null && (state !== "flying" || this.#slackMs > 0)) continue;
      if (this.#wanted !== null && kind !== "undo" && !call.stopped) continue;
      const signal = this.#firstWait(call.name) === call ? this.#inbox.find(({ name }) => name === call.name) : undefined;
      const due = signal === undefined ? latest : Math.max(signal.at, call.fixedAt, this.#resumedAt);
      const isLate = state !== "exhausted" && at > due + this.#slackMs;
      this.#claim(!isLate || isLost(call.scope), `${kind} ${id} (${state}) should have gone on at ${due}`);
    }
  }

  #apply(entry: Seen): void {
    const { kind, at } = entry;
    const [noun = "", verb = ""] = kind.split(".");
    switch (noun) {
      case "step":
      case "undo":
        return verb === "started" ? this.#startUndo(entry) : this.#stepped(noun === "step" ? "run" : "undo", verb, entry);
      case "child":
        return this.#childed(verb, entry);
      case "timer":
      case "wait":
        return verb === "withdrawn" ? undefined : this.#timed(noun === "timer" ? "sleep" : "wait", verb, entry);
      case "signal":
        return verb === "received" ? void this.#inbox.push({ seq: entry.seq, at, name: String(entry["name"]), payload: entry["payload"] }) : this.#consumed(entry);
      case "update":
        return this.#updated(verb, entry);
      case "log": {
        // In which order the branches of a cancelled handler clean up, nobody says.
        const place = this.#cancelled === null ? 0 : this.#unsaid.indexOf(String(entry["message"]));
        if (place < 0) return;
        return this.#same(entry["message"], this.#unsaid.splice(place, 1)[0], "what is said next");
      }
      case "run":
        return this.#moved(verb, entry);
      default:
        return this.#claim(noun === "listener", `no such entry was expected: ${kind}`);
    }
  }

  #stepped(kind: "run" | "undo", verb: string, entry: Seen): void {
    const { at } = entry;
    const call = this.#find(kind, entry["step"]);
    if (verb === "interrupted" || verb === "attempt_started") {
      if (verb === "attempt_started") this.#same(entry["attempt"], call.attempt, `the attempt of ${call.id}`);
      return this.#marked(call);
    }
    this.#same(entry["attempt"], call.attempt, `the attempt of ${call.id}`);
    const { end, ms } = call.deed(call.attempt);
    // Where time is real, an attempt may take longer than it says, and be cut off later than is due.
    const isLoose = this.#slackMs === Infinity && call.how.timeoutMs < 10_000;
    const isCut = isLoose || ms >= call.how.timeoutMs;
    if (verb === "completed") {
      this.#claim(call.state === "flying" && at >= call.earliest && (isLoose || ms <= call.how.timeoutMs), `${call.id} cannot be over yet`);
      this.#claim("value" in end, `attempt ${call.attempt} of ${call.id} does not succeed`);
      if (kind === "run") this.#same(entry["result"], "value" in end ? end.value : null, `the result of ${call.id}`);
      if (call.how.undo !== null) this.#undoable.push(call.id);
      return this.#over(call, "value" in end ? end.value : null, null);
    }
    const code = (entry["error"] as { code?: unknown }).code;
    const left = this.#claimFailure(call, code, isCut, at);
    if (verb === "attempt_failed" && entry["retryAt"] === null) {
      this.#claim(call.how.pauses && left === 0, `${call.id} has attempts left, or fails`);
      call.state = "exhausted";
    } else if (verb === "attempt_failed") this.#rest(call, left, entry["retryAt"] as number);
    else {
      this.#claim(left === 0 || call.stopped, `${call.id} has ${left} attempts left`);
      this.#claim(call.stopped || !call.how.pauses, `${call.id} pauses the run rather than fails`);
      this.#over(call, null, failure(call, code, end));
    }
  }

  /** @returns how many attempts are left */
  #claimFailure(call: Call, code: unknown, isCut: boolean, at: number): number {
    const { end } = call.deed(call.attempt);
    const isLasting = "lasting" in end && end.lasting;
    const codes = new Set<unknown>(isCut ? ["step_timeout"] : []);
    if ((isCut || call.deed(call.attempt).ms <= call.how.timeoutMs) && !("value" in end)) codes.add(isLasting ? "non_retryable" : "step_failed");
    if (call.how.once && call.state === "flying") codes.add("step_interrupted");
    if (call.stopped) codes.add("step_timeout").add("step_failed");
    this.#claim(codes.has(code), `attempt ${call.attempt} of ${call.id} fails with ${[...codes].join(" or ")}, not ${String(code)}`);
    this.#claim(call.state === "flying" && (code === "step_interrupted" || at >= call.earliest), `${call.id} cannot have failed yet`);
    if (code !== "step_interrupted") this.#deed(call).least = 1;
    if (code === "step_interrupted" || code === "non_retryable") return 0;
    return Math.max(0, call.how.limit + 1 - (call.attempt - call.forgiven));
  }

  #rest(call: Call, left: number, retryAt: number): void {
    this.#claim(left > 0, `${call.id} has no attempt left`);
    const { delayMs, backoff, maxDelayMs } = call.how;
    const failed = call.attempt - call.forgiven;
    const plain = backoff === "constant" ? delayMs : backoff === "linear" ? delayMs * failed : delayMs * 2 ** (failed - 1);
    const [wanted, delay] = [Math.min(plain, maxDelayMs), retryAt - this.#at];
    this.#claim(delay >= wanted * 0.8 - 1 - this.#fuzzMs && delay <= wanted * 1.2 + 1, `${call.id} rests ${delay} ms, not about ${wanted}`);
    call.state = "resting";
    call.attempt++;
    call.earliest = call.latest = retryAt;
    call.fixedAt = this.#at;
  }

  #over(call: Call, value: unknown, error: Error | null): void {
    if (call.state === "flying" && error === null) this.#deed(call).least = 1;
    call.state = "over";
    if (error === null) call.settle.resolve(value);
    else call.settle.reject(error);
    if (call.kind !== "undo") return;
    this.#undone.push({ step: call.id, failed: error !== null });
    this.#undoNext();
  }

  #timed(kind: "sleep" | "wait", verb: string, entry: Seen): void {
    const { at } = entry;
    // What was called in the very turn in which it was given up may be on record.
    const given = verb === "fired" || verb === "timed_out" ? undefined : this.#calls.find((each) => each.kind === kind && each.id === entry["call"]);
    const call = given ?? this.#find(kind, entry["call"]);
    const until = kind === "sleep" ? entry["wakeAt"] : entry["until"];
    if (verb === "set" || verb === "started") {
      this.#claim(call.state === "called" || (call.state === "over" && at === call.fixedAt), `${call.id} waits already`);
      if (call.ms === null) this.#same(until, null, `the deadline of ${call.id}`);
      else this.#near(until as number, at + call.ms, `the deadline of ${call.id}`);
      if (call.state === "over") return;
      call.state = "waiting";
      call.fixedAt = at;
      call.earliest = call.latest = call.ms === null ? Infinity : (until as number);
      return;
    }
    const isOver = call.state === "waiting" ? at >= call.earliest : call.ms === 0;
    this.#claim(isOver, `${kind} ${call.id} is over too early`);
    const isFirst = this.#firstWait(call.name) === call && call.state === "waiting";
    const isMissed = kind === "wait" && isFirst && this.#inbox.some(({ name, at: came }) => name === call.name && came < call.earliest);
    this.#claim(!isMissed, `${call.id} has a signal and does not time out`);
    this.#over(call, null, null);
  }

  #firstWait(name: string): Call | undefined {
    return this.#open().find((call) => call.kind === "wait" && call.name === name && !isLost(call.scope));
  }

  #consumed(entry: Seen): void {
    const call = this.#find("wait", entry["call"]);
    this.#claim(this.#firstWait(call.name) === call, `${call.id} is not next to get a signal`);
    const place = this.#inbox.findIndex(({ name }) => name === call.name);
    const [signal] = this.#inbox.splice(place, place < 0 ? 0 : 1);
    this.#same(entry["signal"], signal?.seq, `the oldest signal ${call.name}`);
    this.#claim(call.state === "called" || (signal?.at ?? Infinity) <= call.earliest, `the signal came after ${call.id} was over`);
    this.#over(call, signal?.payload, null);
  }

  #childed(verb: string, entry: Seen): void {
    if (verb === "stopped") return;
    const call = this.#calls.find(({ kind, id }) => kind === "child" && id === entry["step"]);
    // What nobody waits for any more may yet be told of.
    if (call === undefined || call.state === "over") return this.#claim(call !== undefined || /#0$/.test(String(entry["step"])), `nobody called ${String(entry["step"])}`);
    const { id } = entry["child"] as { id: string };
    if (verb === "started") [call.state, call.child] = ["waiting", id];
    else {
      this.#same(id, call.child, "the child that has ended");
      const { cause } = (entry["error"] ?? {}) as { cause?: object };
      const error = Object.assign(new Given(), { code: "child_failed", step: call.id, cause: Object.assign(new Given(), cause) });
      this.#over(call, entry["output"], verb === "completed" ? null : error);
    }
  }

  #updated(verb: string, entry: Seen): void {
    const fn = this.#functions.get(String(entry["name"]));
    if (verb === "accepted") {
      this.#claim(fn !== undefined && this.#wanted === null && this.#paused === null, "nobody takes updates now");
      try {
        this.#updates.set(entry["update"], { result: fn?.(entry["argument"]) });
      } catch (error) {
        this.#updates.set(entry["update"], { message: (error as Error).message });
      }
      return;
    }
    const known = this.#updates.get(entry["update"]);
    this.#updates.delete(entry["update"]);
    const seen = verb === "completed" ? { result: entry["result"] } : { message: (entry["error"] as Error).message };
    this.#same(seen, known, "the answer to an update");
  }

  #moved(verb: string, entry: Seen): void {
    const { at } = entry;
    switch (verb) {
      case "paused":
        this.#claim(entry["by"] !== "engine" || this.#open().some(({ state }) => state === "exhausted"), "nobody paused the run");
        this.#claim(entry["by"] === "engine" || this.#paused === null, "paused twice");
        this.#paused ??= at;
        return;
      case "resumed":
        this.#near(entry["shiftMs"] as number, at - (this.#paused ?? at), "the length of the pause");
        this.#resume();
        return this.#release();
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
        for (const call of this.#open()) call.latest = call.state === "flying" ? Infinity : Math.max(call.latest, at);
        return;
      default:
        return this.#claim(["created", "recovered"].includes(verb), `no such entry was expected: run.${verb}`);
    }
  }

  #resume(): void {
    for (const call of this.#open()) {
      // In real time a deadline may have been reckoned a moment before its entry.
      const shift = this.#at - this.#fuzzMs - Math.max(this.#paused ?? this.#at, call.fixedAt);
      if (call.state === "called") [call.fixedAt, call.earliest] = [this.#at, this.#at];
      if (call.state === "waiting" || call.state === "resting") call.earliest += shift;
      if (call.state === "flying" && this.#slackMs > 0) call.latest = Math.max(call.latest, this.#at);
      if (call.state !== "flying" && call.kind !== "child") call.latest = call.state === "called" ? this.#at : call.latest + shift;
    }
    this.#paused = null;
    this.#resumedAt = this.#at;
    for (const call of this.#open()) if (call.state === "called") this.#fly(call);
  }

  #retry(): void {
    const open = this.#open();
    const isExhausted = open.some(({ state }) => state === "exhausted");
    const resting = open.filter(({ state }) => state === "resting");
    const again = open.some(({ state, attempt }) => state === "flying" && attempt > 1);
    this.#claim(isExhausted || again || resting.length > 0, "nothing is there to be tried again");
    // It was paused for this decision, which ends the pause.
    if (isExhausted && this.#paused !== null) this.#resume();
    this.#release();
    for (const call of resting) call.earliest = call.latest = call.fixedAt = this.#at;
  }

  /** Steps that had no attempt left have all of them again. */
  #release(): void {
    for (const call of this.#open()) {
      if (call.state !== "exhausted") continue;
      call.forgiven = call.attempt++;
      [call.state, call.latest, call.fixedAt] = ["called", this.#at, this.#at];
      this.#fly(call);
    }
  }

  #cancel(awaited: readonly string[]): void {
    this.#claim(this.#cancelled === null && this.#toUndo === null, "cancelled though it is on its way to its end");
    const error = Object.assign(new Given(), { code: "cancelled" });
    this.#cancelled = error;
    const flying = this.#open().filter((call) => this.#isAwaited(call));
    // What a death cut off in a pause is not in flight any more.
    const ids = flying.map(({ id }) => id).filter((id) => this.#slackMs === 0 || awaited.includes(id));
    this.#same(awaited.toSorted(), ids.toSorted(), "the steps that are waited for");
    for (const call of flying) this.#stop(call);
    // Whoever is told to end may clean up at once.
    this.#paused = null;
    this.#late = this.#wanted !== null;
    for (const call of this.#open()) if (!awaited.includes(call.id) || call.kind !== "run") this.#over(call, null, error);
  }

  /** Where time is real, a moment may pass between the reckoning of a deadline and its entry. */
  get #fuzzMs(): number {
    return this.#slackMs === Infinity ? 100 : 0;
  }

  /** A cancellation that came just as the handler ended may count, or not. */
  #bow(): void {
    if (this.#late) this.#wanted = { ends: "cancelled", told: { code: "cancelled" } };
  }

  #startUndo(entry: Seen): void {
    this.#claim(this.#wanted !== null && this.#toUndo === null, "undone before its end");
    this.#claim(!this.#open().some((call) => this.#isAwaited(call)), "undone while a step may yet have to be undone");
    if (entry["ends"] === "cancelled") this.#bow();
    this.#same(entry["ends"], this.#wanted?.ends, "the end it is undone for");
    this.#same(entry["steps"], this.#undoable.toReversed(), "the steps that are undone");
    for (const call of this.#open()) call.state = "over";
    this.#toUndo = this.#undoable.toReversed();
    this.#undoNext();
  }

  #undoNext(): void {
    const step = this.#toUndo?.shift();
    const done = this.#calls.find(({ kind, id }) => kind === "run" && id === step);
    if (done === undefined) return;
    const how: How = { ...done.how, once: false, pauses: false, undo: null };
    this.#call("undo", done.id, { deed: done.how.undo ?? noDeed, how }).catch(() => {});
  }

  #ended(ends: Ending["ends"], entry: Seen): void {
    const error = (entry["error"] ?? {}) as Record<string, unknown>;
    const told: Record<string, unknown> = { ...error, ...(ends === "completed" ? { output: entry["output"] } : {}) };
    this.end = { ends, told };
    // Attempts that fell due in this very instant may have begun.
    for (const call of this.#open()) if (call.state === "resting" && call.latest <= this.#at) this.#fly(call);
    if (error["code"] === "terminated") return;
    if (ends === "cancelled") this.#bow();
    this.#claim(this.#wanted !== null, `${ends} before the handler has ended`);
    this.#same(ends, this.#wanted?.ends, "how the run ends");
    for (const [field, value] of Object.entries(this.#wanted?.told ?? {})) this.#same(told[field], value, `${field} of the end`);
    this.#claim(this.#unsaid.length === 0 || this.#cancelled !== null, `"${this.#unsaid[0]}" was not said before the end`);
    if (ends === "completed") return;
    this.#claim((this.#toUndo ?? []).length === 0 && !this.#open().some(({ kind }) => kind === "undo"), "not all is undone");
    this.#claim(this.#toUndo !== null || this.#undoable.length === 0, "nothing is undone");
    const undone = this.#undone.filter(({ failed }) => !failed).map(({ step }) => step);
    this.#same(error["undone"] ?? [], undone, "what was undone");
  }

  async #map(name: string, items: number, deed: (item: number, attempt: number) => Deed, how: How & Fan): Promise<unknown> {
    const results: unknown[] = Array.from({ length: items }, () => null);
    const errors: unknown[] = [];
    let [next, failed] = [0, 0];
    const work = async (): Promise<void> => {
      while (next < items && (how.settled || failed <= how.tolerate)) {
        const item = next++;
        try {
          const value = await this.#call("run", name, { deed: (attempt) => deed(item, attempt), how });
          results[item] = how.settled ? { status: "fulfilled", value } : value;
        } catch (error) {
          if ((error as { code?: unknown }).code === "cancelled") throw error;
          failed++;
          errors[item] = error;
          if (how.settled) results[item] = { status: "rejected" };
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(how.width, items) }, work));
    if (how.settled || failed <= how.tolerate) return results;
    throw Object.assign(new Given(), { code: "map_failed", step: name, errors });
  }

  #race(branches: Readonly<Record<string, () => Promise<void>>>): Promise<{ readonly key: string }> {
    return new Promise((resolve, reject) => {
      const parent = this.#scopes.getStore() ?? null;
      const runners = Object.entries(branches).map(([key, run]) => ({ key, run, scope: { parent, lost: false } }));
      let isOver = false;
      const settle = (winner: Scope, tell: () => void): void => {
        if (isOver) return;
        isOver = true;
        for (const { scope } of runners) scope.lost = scope !== winner;
        for (const call of this.#open()) if (call.kind !== "run" && isLost(call.scope)) call.state = "over";
        tell();
      };
      for (const { key, run, scope } of runners) {
        this.#scopes.run(scope, run).then(
          () => settle(scope, () => resolve({ key })),
          (error: unknown) => settle(scope, () => reject(error)),
        );
      }
    });
  }

  #open(): Call[] {
    return this.#calls.filter(({ state }) => state !== "over");
  }

  #find(kind: Call["kind"], id: unknown): Call {
    const call = this.#open().find((each) => each.kind === kind && each.id === id);
    if (call === undefined) throw new Disagreement(`no open ${kind} ${String(id)}`);
    return call;
  }

  #claim(holds: boolean, otherwise: string): void {
    if (!holds) throw new Disagreement(otherwise);
  }

  #near(seen: number, wanted: number, what: string): void {
    this.#claim(Math.abs(seen - wanted) <= this.#fuzzMs, `${what}: the run has ${seen}, the model ${wanted}`);
  }

  #same(seen: unknown, wanted: unknown, what: string): void {
    const [one, other] = [JSON.stringify(seen), JSON.stringify(wanted)];
    this.#claim(one === other, `${what}: the run has ${one}, the model ${other}`);
  }
}

function isLost(scope: Scope | null): boolean {
  return scope !== null && (scope.lost || isLost(scope.parent));
}

function failure({ id, attempt }: Call, code: unknown, end: Deed["end"]): Error {
  const thrown = "message" in end ? { name: end.lasting ? "NonRetryableError" : "TypeError", message: end.message } : {};
  return Object.assign(new Given(), { ...thrown, code, step: id, attempts: attempt });
}
