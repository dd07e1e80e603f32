/**
 * The reference model of a run: what may be observed of it, by the contract. It never dies, so it knows no
 * journal and no storage, and no replay but that of a failed run that is retried: it performs the handler, holds
 * what the handler waits for, and is told the run's history entry by entry. An entry that may not come now, or not with this content, is a
 * {@link Disagreement}; so is one that should have come by now. Nothing of the engine is used here. Long because all that an entry may mean stands here once.
 */
import { Call, simple } from "./call.ts";
import type { Clock, Deeds, Plan } from "./call.ts";
import { Calls } from "./calls.ts";
import type { Called, Looks } from "./calls.ts";
import { Disagreement, Given, claim, same } from "./disagreement.ts";
import type { Seen } from "./disagreement.ts";
import { cancelled, failed } from "./ending.ts";
import type { Ending } from "./ending.ts";
import { acceptedBy, refusedBy } from "./hook.ts";
import type { Hook, How, Tools } from "./player.ts";
import { Past } from "./past.ts";
import type { Told } from "./past.ts";
import { isLost, map, race, scopes } from "./race.ts";
import type { Input } from "./program.ts";
import { Renewal } from "./renewal.ts";
import { Replay } from "./replay.ts";
import { Updates } from "./update.ts";

type Handler = (tools: Tools, input: Input) => Promise<unknown>;

const outcomes =
  /^((step|undo|child)\.(completed|failed)|timer\.fired|wait\.timed_out|signal\.consumed|update\.accepted|webhook\.(created|received))$/;
/** Those that come at the same time may be on record together, before the handler has heard of the first. */
const ended = /^(step|undo)\.completed$/;
/** What does not begin or fire while the run is paused. */
const held = /^(timer\.|wait\.(started|timed_out)|signal\.consumed)/;

/** In which order those that are told of a cancellation hear of it. */
export type Order = (told: readonly (() => void)[]) => readonly (() => void)[];

export class Model {
  /** What attempts there may have been, by path and number: at least, and at most, how often. */
  readonly deeds: Deeds = new Map();
  /** The run's end, once it is on record. */
  end: Ending | null = null;
  readonly #clock: Clock;
  readonly #turn: () => Promise<void>;
  readonly #order: Order | null;
  #calls: Calls;
  #past = new Past();
  readonly #renewal = new Renewal();
  /** What this life of the run was begun with. */
  #input: Input | null = null;
  /** How often the run had failed and was retried. */
  #episode = 0;
  #replay: Replay;
  /** Open calls that were taken for removed from the code, by key. */
  readonly #removed = new Set<string>();
  /** Signals that nobody consumed. */
  #inbox: Seen[] = [];
  #updates = new Updates();
  /** What was heard last. */
  #heard: unknown = null;
  #unsaid: unknown[] = [];
  /** What is yet to hear of a cancellation. */
  #told: (() => void)[] = [];
  #last: Pick<Seen, "kind" | "at"> = { kind: "", at: 0 };
  #undoable: string[] = [];
  #toUndo: string[] | null = null;
  /** What is to be undone, and its handler has not come to: nobody says how. */
  #lacking: string | null = null;
  #cancelled: Given | null = null;
  /** It was cancelled while it was on its way to another end. */
  #isLate = false;
  /** How it would have ended, had it not been for its next life. */
  #left: Ending | null = null;
  /** How the handler wants the run to end; it has no more say. */
  #wanted: Ending | null = null;

  /**
   * @param turn resolves once no microtask is left
   * @param order in which the open calls hear of a cancellation, one after the other; null: all at once
   */
  constructor(clock: Clock, turn: () => Promise<void>, order: Order | null = null) {
    this.#clock = clock;
    this.#order = order;
    this.#calls = new Calls(clock);
    this.#turn = turn;
    this.#replay = this.#playback();
  }

  /** Takes the next entry of the history. @throws Disagreement */
  async see(entry: Seen, handler: Handler): Promise<void> {
    const { kind, at } = entry;
    claim(at >= this.#calls.at, "time runs backwards");
    this.#renewal.see(entry);
    if (kind === "run.created") this.#create(entry);
    this.#past.see(entry);
    if (kind === "run.retried" && this.end !== null) return await this.#retry(entry, handler);
    if (kind === "webhook.rejected") return this.#refused(entry);
    claim(this.end === null, `${kind} after the end`);
    this.#calls.begin(entry, this.#wanted !== null);
    this.#calls.overdue(at, this.#wanted !== null || this.#renewal.isAsked, this.#inbox);
    if (this.#calls.pausedAt === null && this.#wanted === null)
      this.#renewal.overdue(at, this.#calls.resumedAt, this.#clock.slackMs);
    this.#calls.at = at;
    const isUnsaid = this.#unsaid.length > 0 && this.#cancelled === null;
    const isBeside = ended.test(kind) && ended.test(this.#last.kind) && this.#last.at === at;
    claim(!isUnsaid || isBeside || !outcomes.test(kind), `"${String(this.#unsaid[0])}" should have been said`);
    this.#last = entry;
    claim(this.#calls.pausedAt === null || !held.test(kind), `${kind} while the run is paused`);
    if (kind === "run.started") this.#perform(handler);
    else this.#apply(entry);
    this.#note(entry);
    await this.#turn();
    await this.#replay.settle();
    for (let next = this.#told.shift(); next !== undefined; next = this.#told.shift()) {
      next();
      await this.#turn();
      await this.#replay.settle();
    }
  }

  /** A life of it begins, the first or another. */
  #create(entry: Seen): void {
    this.#input = entry["input"] as Input;
    if (this.#calls.at === 0) return;
    claim(this.end === null && this.#wanted === null && this.#cancelled === null, "it is on its way to its end");
    claim(this.#calls.pausedAt === null, "it goes on as new while it is paused");
    claim(this.#unsaid.length === 0, `"${String(this.#unsaid[0])}" was not said before it went on as new`);
    this.#calls.at = entry.at;
    this.#calls.tie();
    this.#input = this.#renewal.begin(entry, this.#inbox);
    [this.#calls, this.#past, this.#updates] = [new Calls(this.#clock), new Past(), new Updates()];
    this.#replay = this.#playback();
    this.#calls.at = entry.at;
    this.#clock.aheadMs++;
    this.#removed.clear();
    this.#left = null;
    [this.#episode, this.#inbox, this.#undoable] = [0, [], []];
  }

  #playback(): Replay {
    return new Replay(this.#turn, (told) => this.#give(told));
  }

  /** Whoever begins anew is to be given it. */
  #note(entry: Seen): void {
    if (!outcomes.test(entry.kind) || entry.kind.startsWith("undo")) return;
    if (entry.kind === "update.accepted") return this.#past.tell(entry, null);
    if (entry["listener"] === true) return this.#past.tell({ ...entry, payload: this.#heard }, null);
    const id = entry["step"] ?? entry["call"];
    const call = this.#calls.made.find((each) => each.kind === kindOf(entry) && each.id === id);
    if (call !== undefined) this.#past.tell(entry, call);
  }

  /** How the run looks between two entries; null where that is a matter of a moment. */
  look(now: number): Looks | null {
    if (this.end !== null) return { status: this.end.ends, waitingFor: [], besides: [] };
    // On its way to its end, or where a death may have cut something off, it is not what it will be.
    const isPassing = this.#wanted !== null && this.#toUndo === null;
    if (now <= this.#calls.at || isPassing || (this.#calls.pausedAt !== null && this.#clock.slackMs > 0)) return null;
    const looks = this.#calls.look(now, this.#toUndo !== null);
    return looks !== null && this.#calls.pausedAt !== null ? { ...looks, status: "paused" } : looks;
  }

  /** A failed run goes on: a new handler is given what is on record and not done once more. */
  async #retry(entry: Seen, handler: Handler): Promise<void> {
    claim(this.end?.ends === "failed", "retried though it has not failed");
    const repeated = this.#past.repeated(this.end?.told ?? {});
    same((entry["cleared"] as string[]).toSorted(), [...repeated].toSorted(), "what is done once more");
    this.#undoable = this.#undoable.filter((step) => !this.#past.undone.includes(step));
    this.#past.clear(repeated);
    this.#calls.at = entry.at;
    this.#begin();
    await this.#replay.play(this.#past, () => this.#perform(handler));
    this.#unsaid = this.#past.news(this.#unsaid);
    this.#goLive();
  }

  /** Where the handler has come to its end once more, nothing of it begins. */
  #goLive(): void {
    for (const call of this.#calls.open) {
      if (this.#wanted !== null) call.unsure = true;
      else if (call.state === "called" && !this.#isHeld) call.fallDue();
    }
  }

  /** Nothing is left of the handler before. */
  #begin(): void {
    this.#episode++;
    this.#calls = new Calls(this.#clock, this.#calls);
    this.#updates = new Updates();
    [this.#unsaid, this.#told, this.#toUndo, this.#wanted, this.end] = [[], [], null, null, null];
  }

  #give({ call, entry, outcome }: Told): boolean {
    if (call === null && entry.kind === "update.accepted") this.#updates.see("accepted", entry, true);
    if (call === null) return entry.kind === "update.accepted" || this.#hear(entry);
    const open = this.#calls.open.find(({ key }) => key === call.key);
    if (open?.kind === "address" && outcome !== null && "value" in outcome)
      open.end({ value: this.#address(open, null) });
    else if (outcome !== null) open?.end(outcome);
    return open !== undefined;
  }

  #perform(handler: Handler): void {
    const run: Tools["run"] = (name, deed, how) => {
      return this.#call("run", name, { deed: (attempt) => deed(attempt, this.#episode), how });
    };
    const withdraw = (): void => {
      for (const call of this.#calls.open) if (call.kind !== "run" && isLost(call.scope)) call.lose();
    };
    const tools: Tools = {
      run,
      sleep: (name, ms) => this.#call("sleep", name, { ms }),
      waitFor: (name, ms) => this.#call("wait", name, { ms }),
      webhook: (name, ms) => this.#call("address", name, { ms }) as Promise<Hook>,
      listen: (name, fn) => {
        if (this.#wanted !== null) return;
        this.#calls.listeners.register(name, { fn, at: this.#calls.at });
        this.#replay.claim(`listener ${name}`);
      },
      invoke: () => this.#call("child", "modelled", {}),
      renew: (input) => this.#renew(input),
      map: (name, items, deed, how) => map(name, items, deed, how, (one) => run(name, one, how)),
      race: (branches) => race(branches, withdraw),
      update: (name, fn) => this.#updates.register(name, fn),
      log: (line) => void (this.#wanted === null && !this.#replay.isPast && this.#unsaid.push(line)),
      bail: (message) => this.#end({ ends: "cancelled", told: { code: "bailed", message } }),
      fail: ({ name, message }) => this.#end({ ends: "failed", told: { code: "handler_failed", name, message } }),
    };
    if (this.#input === null) throw new Disagreement("it begins before it was created");
    handler(tools, this.#input).then(
      // As it is now: a handler that has returned may yet change what it returned.
      (output) => this.#leave({ ends: "completed", told: { output: structuredClone(output) } }),
      (error: Parameters<typeof failed>[0]) => this.#leave(failed(error)),
    );
  }

  /** A branch that lost its race has no say in how the run ends, nor has any once it is to go on as new. */
  #end(wanted: Ending): Promise<never> {
    const isVain = isLost(scopes.getStore() ?? null);
    if (!isVain && !this.#renewal.isAsked) return this.#leave(wanted);
    const message = isVain ? "the race was won by others" : "the run has ended";
    return Promise.reject(Object.assign(new Given(), { name: "Error", message }));
  }

  #renew(input: Input): Promise<never> {
    if (isLost(scopes.getStore() ?? null) || this.#wanted !== null) return new Promise(() => {});
    if (this.#cancelled !== null) return Promise.reject(this.#cancelled);
    return this.#renewal.ask(input, this.#calls.at);
  }

  /** The handler has no more say; what it did that can be undone and is under way is waited for. */
  #leave(wanted: Ending): Promise<never> {
    // One that is to go on as new does not end, unless it is cancelled.
    if (this.#renewal.isAsked) this.#left ??= wanted;
    else if (this.#wanted === null) {
      this.#wanted = this.#cancelled === null ? wanted : cancelled;
      this.#calls.tie();
      this.#calls.unwind();
      for (const call of this.#awaited) call.stop(this.#calls.at);
    }
    return new Promise(() => {});
  }

  /** Nothing begins now; once it is to go on as new, nothing of this life. */
  get #isHeld(): boolean {
    return this.#calls.pausedAt !== null || (this.#renewal.isAsked && this.#cancelled === null);
  }

  #call(kind: Call["kind"], name: string, plan: Partial<Plan>): Promise<unknown> {
    const id = this.#calls.identify(kind, name);
    const scope = kind === "undo" ? null : (scopes.getStore() ?? null);
    if (this.#wanted !== null && kind !== "undo") return new Promise(() => {});
    // A handler that cleans up waits for nothing, wherever it is.
    if (this.#cancelled !== null && kind !== "run" && kind !== "undo") return Promise.reject(this.#cancelled);
    if (isLost(scope)) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const whole = { ...simple, ...plan };
      const call = new Call(
        { kind, id, name, scope, times: this.#past.times.get(id) ?? 0 },
        whole,
        this.#calls.at,
        { resolve, reject },
        this.deeds,
        this.#clock,
      );
      this.#calls.make(call);
      const isHeld = this.#replay.claim(call.key) || this.#replay.isOn || this.#isHeld;
      if (!isHeld && call.state === "called") call.begin(this.#calls.at);
    });
  }

  #apply(entry: Seen): void {
    const [noun = "", verb = ""] = entry.kind.split(".");
    switch (noun) {
      case "step":
      case "undo":
        return verb === "started"
          ? this.#startUndo(entry)
          : this.#stepped(noun === "step" ? "run" : "undo", verb, entry);
      case "child":
        return verb === "stopped" ? undefined : this.#childed(verb, entry);
      case "timer":
      case "wait":
        if (verb === "withdrawn") return this.#calls.withdraw(entry["calls"] as readonly Called[]);
        return this.#timed(noun === "timer" ? "sleep" : entry["wait"] === "webhook" ? "webhook" : "wait", verb, entry);
      case "signal":
        if (verb === "received") return void this.#inbox.push(entry);
        return entry["listener"] === true ? this.#listened(entry) : this.#consumed(entry);
      case "listener":
        return this.#calls.listeners.added(String(entry["name"]));
      case "webhook":
        return verb === "created" ? this.#addressed(entry) : this.#called(entry);
      case "update":
        return this.#updates.see(verb, entry, this.#wanted === null && this.#calls.pausedAt === null);
      case "log": {
        // In which order the branches of a cancelled handler clean up, nobody says.
        const place = this.#cancelled === null ? 0 : this.#unsaid.indexOf(entry["message"]);
        return place < 0 ? undefined : same(entry["message"], this.#unsaid.splice(place, 1)[0], "what is said next");
      }
      case "run":
        return this.#moved(verb, entry);
      default:
        return claim(false, `no such entry was expected: ${entry.kind}`);
    }
  }

  #stepped(kind: "run" | "undo", verb: string, entry: Seen): void {
    if (verb === "removed" || verb === "added") return this.#marked(verb, entry);
    if (kind === "undo" && entry["step"] === this.#lacking) return this.#lacked(verb, entry);
    const call = this.#calls.find(kind, entry["step"]);
    if (verb === "interrupted" || verb === "attempt_started") {
      // In a pause that is said all the same: a cancellation may yet have to know what was cut off.
      const isVain = verb === "interrupted" && this.#renewal.isAsked && this.#calls.pausedAt === null;
      claim(!isVain, `${call.id} begins once more just to be left behind`);
      if (verb === "interrupted") this.#calls.doubt(entry.at);
      return call.mark(entry, this.#calls.pausedAt !== null, this.#wanted !== null);
    }
    same(entry["attempt"], call.attempt, `the attempt of ${call.id}`);
    if (verb === "abandoned") return claim(call.state === "flying", `${call.id} is left behind and was not at work`);
    if (verb === "completed") call.complete(entry);
    else call.fail(entry);
    if (verb === "completed" && call.plan.how.undo !== null) this.#undoable.push(call.id);
    if (verb === "completed" && kind === "undo") this.#past.undone.push(call.id);
    if (kind === "undo" && call.state === "over") this.#undoNext();
  }

  /** A handler that a retry has had begin anew may go another way, and leave behind what was open. */
  #marked(verb: string, entry: Seen): void {
    const key = `${String(entry["call"])} ${String(entry["step"])}`;
    claim(this.#episode > 0, `the code of ${key} is as it was`);
    if (verb === "added") return claim(this.#removed.delete(key), `${key} was never taken for removed`);
    claim(!this.#calls.open.some((call) => call.key === key && !isLost(call.scope)), `${key} is waited for`);
    this.#removed.add(key);
  }

  #timed(kind: "sleep" | "wait" | "webhook", verb: string, entry: Seen): void {
    const id = entry["call"];
    if (verb === "set" || verb === "started") {
      // Also what was called in the very turn in which it was given up.
      const made = this.#calls.made.find((each) => each.kind === kind && each.id === id);
      const waiting = made ?? this.#calls.find(kind, id);
      const until = kind === "sleep" ? entry["wakeAt"] : entry["until"];
      if (this.#removed.delete(`${kind} ${String(id)}`)) return waiting.waitAgain(until);
      return waiting.wait(entry, until);
    }
    const call = this.#calls.find(kind, id);
    const isOver = call.state === "waiting" ? call.isDue(entry.at) : call.plan.ms === 0;
    claim(isOver, `${kind} ${call.id} is over too early`);
    const isFirst = this.#calls.firstWait(call.name) === call && call.state === "waiting";
    const isMissed = isFirst && (this.#signalOf(call)?.at ?? Infinity) < call.earliest;
    claim(!isMissed, `${call.id} has a signal and does not time out`);
    call.settle(null);
  }

  #signalOf(call: Call): Seen | undefined {
    return this.#inbox.find((signal) => signal["name"] === call.name);
  }

  #consumed(entry: Seen): void {
    const call = this.#calls.find("wait", entry["call"]);
    claim(this.#calls.firstWait(call.name) === call, `${call.id} is not next to get a signal`);
    const signal = this.#signalOf(call);
    same(entry["signal"], signal?.seq, `the oldest signal ${call.name}`);
    if (signal === undefined) return;
    this.#inbox.splice(this.#inbox.indexOf(signal), 1);
    claim(call.state === "called" || signal.at <= call.lastMoment, `the signal came after ${call.id} was over`);
    call.settle(signal["payload"]);
  }

  /** A function takes every signal of its name, also before a wait that was called earlier. */
  #listened(entry: Seen): void {
    const name = String(entry["name"]);
    const signal = this.#inbox.find((each) => each["name"] === name);
    same(entry["signal"], signal?.seq, `the oldest signal ${name}`);
    claim(this.#calls.listeners.hears(name) && this.#wanted === null, `nobody hears ${name}`);
    if (signal === undefined) return;
    this.#inbox.splice(this.#inbox.indexOf(signal), 1);
    this.#heard = signal["payload"];
    this.#hear(signal);
  }

  /** False where no function hears it, or not yet. */
  #hear(signal: Seen): boolean {
    if (!this.#calls.listeners.hears(String(signal["name"]))) return false;
    this.#calls.listeners.hear(signal).catch((error: Parameters<typeof failed>[0]) => {
      // How a cancelled run ends is for its handler to say.
      if (this.#cancelled === null) void this.#leave(failed(error));
    });
    return true;
  }

  /** From here on a webhook may be called. */
  #addressed(entry: Seen): void {
    const id = entry["call"];
    const call = this.#calls.made.find((each) => each.kind === "address" && each.id === id);
    const made = call ?? this.#calls.find("address", id);
    made.wait(entry, entry["until"]);
    if (made.state === "waiting") return made.settle(this.#address(made, entry));
    // Nobody waits for it any more: who begins anew is given it.
    made.outcome = { value: this.#address(made, entry) };
    this.#calls.find("webhook", id).lose();
  }

  /** @param entry what fixes its deadline; null where that is on record */
  #address({ id, name, scope, plan }: Call, entry: Seen | null): Hook {
    const { at } = this.#calls;
    const received = new Promise((resolve, reject) => {
      const identity = { kind: "webhook", id, name, scope, times: 0 } as const;
      const call = new Call(identity, plan, at, { resolve, reject }, this.deeds, this.#clock);
      if (entry !== null) call.wait(entry, entry["until"]);
      this.#calls.make(call);
      this.#replay.claim(call.key);
    });
    received.catch(() => {});
    return { received: () => received };
  }

  #called(entry: Seen): void {
    const call = this.#calls.find("webhook", entry["call"]);
    call.settle(acceptedBy(call, entry, this.#calls.pausedAt !== null, this.#clock));
  }

  #refused(entry: Seen): void {
    const call = this.#calls.made.find(({ kind, id }) => kind === "webhook" && id === entry["call"]);
    refusedBy(call, entry, this.end !== null || this.#wanted !== null);
  }

  #childed(verb: string, entry: Seen): void {
    const step = String(entry["step"]);
    const call = this.#calls.made.find(({ kind, id }) => kind === "child" && id === step);
    claim(call !== undefined || step.endsWith("#0"), `nobody called ${step}`);
    // What nobody waits for any more may yet be told of.
    if (call === undefined || call.state === "over") return;
    call.hear(verb, entry);
  }

  #moved(verb: string, entry: Seen): void {
    const { at } = entry;
    switch (verb) {
      case "paused":
        return this.#calls.pause(entry["by"] === "engine");
      case "resumed":
        return this.#calls.resume(entry["shiftMs"] as number, this.#renewal.isAsked);
      case "retried":
        return this.#calls.retry();
      case "cancel_requested":
        return this.#cancel(entry["awaited"] as readonly string[]);
      case "action_noted":
        return claim(this.#isInVain(entry["action"]), `to ${String(entry["action"])} it would have changed something`);
      case "completed":
      case "failed":
      case "cancelled":
        return this.#ended(verb, entry);
      case "interrupted":
        // Whatever was due while nobody was there is due now; suspects begin again one after another.
        for (const call of this.#calls.open) {
          call.unsure = call.state === "flying";
          call.latest = call.unsure ? Infinity : Math.max(call.latest, at);
        }
        return;
      default:
        return claim(["created", "recovered"].includes(verb), `no such entry was expected: run.${verb}`);
    }
  }

  #cancel(awaited: readonly string[]): void {
    claim(this.#cancelled === null && this.#toUndo === null, "cancelled though it is on its way to its end");
    this.#cancelled = Object.assign(new Given(), { code: "cancelled" });
    this.#calls.tie();
    this.#calls.unwind();
    // What falls due at this instant may be in flight, or not.
    const isSure = ({ unsure }: Call): boolean => this.#clock.slackMs === 0 && !unsure;
    const flying = this.#calls.undecided.filter((call) => isSure(call) || awaited.includes(call.id));
    same(awaited.toSorted(), flying.map(({ id }) => id).toSorted(), "the steps that are waited for");
    for (const call of flying) {
      call.stop(this.#calls.at);
      call.refusal = this.#cancelled;
    }
    this.#isLate = this.#wanted !== null;
    // Whoever is told to end may clean up at once.
    this.#calls.pausedAt = null;
    this.#calls.isCancelled = true;
    const { open } = this.#calls;
    const reject = (call: Call): void => call.reject(this.#cancelled);
    const told = open.filter((call) => !flying.includes(call)).map((call) => () => reject(call));
    const refuse = (): void => {
      this.#renewal.refuse(this.#cancelled);
      if (this.#left !== null) void this.#leave(this.#left);
    };
    const all = [...told, refuse];
    if (this.#order === null) for (const tell of all) tell();
    else this.#told.push(...this.#order(all));
  }

  /** The run is as the action wants it, or on its way to its end. */
  #isInVain(action: unknown): boolean {
    if (action === "cancel") return this.#cancelled !== null || this.#wanted !== null;
    return (this.#calls.pausedAt !== null) === (action === "pause");
  }

  /** A cancellation that came just as the handler ended may count, or not. */
  #yield({ error }: Seen): void {
    if (this.#isLate && (error as { code?: unknown } | undefined)?.code === "cancelled") this.#wanted = cancelled;
  }

  #startUndo(entry: Seen): void {
    claim(this.#wanted !== null && this.#toUndo === null, "undone before its end");
    // What runs at most once has not begun where its mark was not yet durable.
    const mayHaveBegun = ({ unsure, plan }: Call): boolean => !unsure && !(plan.how.once && this.#clock.slackMs > 0);
    claim(!this.#awaited.some(mayHaveBegun), "undone while a step may yet have to be undone");
    this.#yield(entry);
    same(entry["ends"], this.#wanted?.ends, "the end it is undone for");
    same(entry["steps"], this.#undoable.toReversed(), "the steps that are undone");
    this.#calls.tie();
    this.#calls.leave();
    this.#toUndo = this.#undoable.toReversed();
    this.#undoNext();
  }

  #undoNext(): void {
    const step = this.#toUndo?.shift();
    const done = this.#calls.made.find(({ kind, id }) => kind === "run" && id === step);
    // After a retry the call of that name may be another, which says nothing of it.
    const deed = done?.plan.how.undo ?? null;
    this.#lacking = deed === null ? (step ?? null) : null;
    if (done === undefined || deed === null) return;
    const how: How = { ...done.plan.how, once: false, pauses: false, undo: null };
    this.#call("undo", done.id, { deed, how }).catch(() => {});
  }

  #lacked(verb: string, { error }: Seen): void {
    if (verb === "interrupted") return;
    same([verb, (error as { code?: unknown }).code], ["failed", "undo_missing"], "how what nobody can undo ends");
    this.#undoNext();
  }

  #ended(ends: Ending["ends"], entry: Seen): void {
    const error = (entry["error"] ?? {}) as Readonly<Record<string, unknown>>;
    const told = { ...error, output: entry["output"] } as Readonly<Record<string, unknown>>;
    this.end = { ends, told };
    this.#calls.tie();
    if (error["code"] === "terminated") return;
    this.#yield(entry);
    claim(entry["givenUp"] !== true, "the handler was given up");
    claim(this.#wanted !== null, `${ends} before the handler has ended`);
    same(ends, this.#wanted?.ends, "how the run ends");
    for (const [name, value] of Object.entries(this.#wanted?.told ?? {})) same(told[name], value, `${name} of the end`);
    claim(this.#unsaid.length === 0 || this.#cancelled !== null, `"${String(this.#unsaid[0])}" was not said`);
    if (ends === "completed") return;
    claim(!this.#calls.open.some(({ kind }) => kind === "undo"), "not all is undone");
    claim(this.#toUndo !== null || this.#undoable.length === 0, "nothing is undone");
    same(error["undone"] ?? [], this.#past.undone, "what was undone");
  }

  /** Steps in flight whose end must be known first, because they may have to be undone. */
  get #awaited(): Call[] {
    return this.#wanted?.ends === "completed" ? [] : this.#calls.undecided;
  }
}

/** Of which kind the call is that the entry settles. */
function kindOf({ kind, wait }: Seen): Call["kind"] {
  if (kind === "webhook.created") return "address";
  if (kind === "webhook.received" || wait === "webhook") return "webhook";
  if (kind.startsWith("step")) return "run";
  if (kind.startsWith("child")) return "child";
  return kind.startsWith("timer") ? "sleep" : "wait";
}
