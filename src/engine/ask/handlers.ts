/**
 * Owns: the functions that a handler registers for messages: for queries, for updates, and as listeners to signals; calling
 * them, and putting on record what became of an update.
 * Does not own: who asks (update, replica), the order of replay (replay), buffering signals (core/state).
 *
 * Invariant 1: a function that may change the handler's variables is called by the delivery of an outcome on
 * record, live as in replay, in a turn of its own (guarantee 3).
 * Invariant 2: a listener takes every signal of its name, one a turn, in order of arrival, each once (guarantee 5).
 * Invariant 3: an accepted update has one end on record, whatever died in between; where the run ends first, the update
 * has failed.
 * Invariant 4: a function is called in the async context in which it was registered, outside of every race.
 */
import { emptyMap, put } from "../../core/empty.ts";
import type { Fact, FactOf } from "../../core/history/entry.ts";
import { HoldfastError, storeError } from "../../core/error.ts";
import type { StoredError } from "../../core/error.ts";
import { checkName } from "../../core/name.ts";
import { isSchema } from "../../core/definition/schema.ts";
import type { Schema } from "../../core/definition/schema.ts";
import { handlerKey } from "../../core/state/state.ts";
import type { Outcome } from "../../core/state/state.ts";
import { decode, encode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { captureAsyncContext, within } from "../call/scope.ts";
import type { Scope } from "../call/scope.ts";
import { Bell } from "../turn/bell.ts";
import type { Course } from "../turn/course.ts";
import { handlerLeft } from "../errors.ts";
import type { MissedEvent } from "../turn/missed.ts";

/** The execution whose functions they are. */
export interface MessageHandlersOwner {
  /** The handler has ended, or can do nothing more: its functions are not called any more. */
  readonly silent: boolean;
  /** Its scope outside of every race. */
  readonly calls: { readonly root: Scope };
  /** A function was registered. */
  stirred(): void;
  /** A listener threw: the handler fails with that. */
  failed(error: unknown): void;
}

/** A function that was registered with `step.update`; without a schema it takes any argument. */
export type UpdateHandler = {
  readonly kind: "update";
  readonly name: string;
  readonly schema: Schema | undefined;
  readonly fn: (argument: unknown) => unknown;
};

type Listener = { readonly kind: "listener"; readonly name: string; readonly fn: (payload: unknown) => unknown };

type Question = Extract<Outcome["settle"], { kind: "update" }>;
type UpdateEnd = FactOf<"update.completed" | "update.failed">;

export class MessageHandlers {
  /** Rings when an update has its end on record. */
  readonly answered = new Bell();
  readonly #course: Course;
  readonly #owner: MessageHandlersOwner;
  #queries: Map<string, () => unknown> = emptyMap;
  /** Updates and listeners, by the key of their outcomes. */
  #handlers: Map<string, UpdateHandler | Listener> = emptyMap;
  /** Outcomes whose function is not registered yet: new code may do so later than the old did. */
  readonly #early: Outcome[] = [];
  /** Ends of updates that replay came to and that are not on record. */
  readonly #unsaid: UpdateEnd[] = [];

  constructor(course: Course, owner: MessageHandlersOwner) {
    this.#course = course;
    this.#owner = owner;
  }

  /** An update or a signal may set the handler going though it has no call open. */
  get listening(): boolean {
    return this.#handlers.size > 0;
  }

  /** The latest function of a name counts. @throws HoldfastError name_invalid, options_invalid */
  query(name: unknown, fn: unknown): void {
    const query = checkName(name, "query");
    this.#queries = put(this.#queries, query, this.#bound(fn, `query ${query}`) as () => unknown);
  }

  /** @throws HoldfastError name_invalid, options_invalid */
  update(name: unknown, schema: unknown, fn: unknown): void {
    const update = checkName(name, "update");
    const checked = checkSchema(schema, update);
    this.#register({ kind: "update", name: update, schema: checked, fn: this.#bound(fn, `update ${update}`) });
  }

  /** @throws HoldfastError name_invalid, options_invalid */
  listen(name: unknown, fn: unknown): void {
    const signal = checkName(name, "signal");
    this.#register({ kind: "listener", name: signal, fn: this.#bound(fn, `the listener to signal ${signal}`) });
    this.#hearOut(signal);
  }

  /** The handler has a say again: its listeners take what came while it had none. */
  resume(): void {
    for (const { kind, name } of this.#handlers.values()) if (kind === "listener") this.#hearOut(name);
  }

  /** Whether `onSignal` takes signals of this name. */
  listensTo(name: string): boolean {
    return this.#handlers.has(handlerKey("listener", name));
  }

  findQuery(name: string): (() => unknown) | undefined {
    return this.#queries.get(name);
  }

  findUpdate(name: string): UpdateHandler | undefined {
    const handler = this.#handlers.get(handlerKey("update", name));
    return handler?.kind === "update" ? handler : undefined;
  }

  /** The names that can be asked. */
  names(kind: "query" | "update"): string[] {
    if (kind === "query") return [...this.#queries.keys()];
    return [...this.#handlers.values()].filter((handler) => handler.kind === "update").map(({ name }) => name);
  }

  /** The refusal of one that is not registered; it names those that are. */
  notFound(kind: "query" | "update", name: string): HoldfastError {
    const known = this.names(kind);
    const has = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
    return new HoldfastError(`${kind}_not_found`, `the run has no ${kind} ${name}; ${has}`);
  }

  /** Whether a function is registered for the outcome with this key. */
  expects(key: string): boolean {
    return this.#handlers.has(key);
  }

  deliver(outcome: Outcome): void {
    if (this.#course.over) return;
    const handler = this.#handlers.get(outcome.key);
    if (handler === undefined) this.#early.push(outcome);
    else if (outcome.settle.kind === "update") this.#perform(handler, outcome.settle);
    else if (outcome.settle.kind === "signal") this.#hear(handler, outcome.settle.payload);
  }

  /** A signal is on record: hands it to its listener in its turn. */
  match(name: string): void {
    if (this.listensTo(name)) this.#course.post(() => this.#take(name));
  }

  /** The replay is over: puts listeners and ends of updates on record that are missing there. */
  goLive(): void {
    const heard = this.#owner.silent ? [] : [...this.#handlers.values()].filter(({ kind }) => kind === "listener");
    for (const { name } of heard) this.#announce(name);
    for (const end of this.#unsaid.splice(0)) this.#end(end);
  }

  /** The buffered signals that listeners take. */
  missed(): MissedEvent[] {
    const { inboxes } = this.#course.state;
    return [...this.#handlers.values()].flatMap(({ kind, name }) => {
      const inbox = kind === "listener" ? inboxes.get(name) : undefined;
      const signals = inbox?.list() ?? [];
      return signals.map(({ at, seq }): MissedEvent => ({ at, seq, handle: () => this.match(name) }));
    });
  }

  /** The run ends: what becomes of updates under way. */
  leftovers(): Fact[] {
    const open = [...this.#course.state.updates.values()].filter(({ end }) => end === null);
    if (open.length === 0) return [];
    return open.map(({ id, name }) => ({ kind: "update.failed", name, update: id, error: toError(handlerLeft) }));
  }

  #bound(fn: unknown, what: string): (value: unknown) => unknown {
    if (typeof fn !== "function") throw new HoldfastError("options_invalid", `${what} needs a function`);
    const inContext = captureAsyncContext();
    return (value) => inContext(() => within(this.#owner.calls.root, () => (fn as (value: unknown) => unknown)(value)));
  }

  #register(handler: UpdateHandler | Listener): void {
    const key = handlerKey(handler.kind, handler.name);
    this.#handlers = put(this.#handlers, key, handler);
    const early = this.#early.splice(0);
    for (const outcome of early) {
      if (outcome.key === key) this.#course.redeliver(outcome);
      else this.#early.push(outcome);
    }
    this.#owner.stirred();
  }

  /** From here on the name is listened to, and all that is buffered is taken. */
  #hearOut(name: string): void {
    // What a handler registers after it has left, in a catch or another branch, nobody is told.
    if (!this.#course.live || this.#owner.silent) return;
    this.#announce(name);
    for (let count = this.#course.state.inboxes.get(name)?.count ?? 0; count > 0; count--) this.match(name);
  }

  #announce(name: string): void {
    if (!this.#course.state.listeners.has(name)) this.#course.record({ kind: "listener.added", name });
  }

  #take(name: string): void {
    const { state, held } = this.#course;
    const signal = state.inboxes.get(name)?.first;
    if (held || this.#owner.silent || signal === undefined || !this.listensTo(name)) return;
    this.#course.record({ kind: "signal.consumed", name, call: name, signal: signal.seq, listener: true });
  }

  #hear({ fn }: Listener | UpdateHandler, payload: Stored): void {
    called(fn, payload).catch((error: unknown) => {
      // A cancellation rejects the listener's calls and the handler's: how the run ends is for the handler to say.
      if (this.#course.state.cancelling === null) this.#owner.failed(error);
    });
  }

  #perform({ fn, name }: Listener | UpdateHandler, { update, argument }: Question): void {
    called(fn, argument)
      .then((value) => encode(value, `the result of update ${name}`))
      .then(
        (result) => this.#end({ kind: "update.completed", name, update, result }),
        (error: unknown) => this.#end({ kind: "update.failed", name, update, error: toError(error) }),
      );
  }

  #end(end: UpdateEnd): void {
    const { state, live, over } = this.#course;
    const known = state.updates.get(end.update);
    if (over || known === undefined || known.end !== null) return;
    if (!live) {
      this.#unsaid.push(end);
      return;
    }
    this.#course.record(end);
    this.answered.ring();
  }
}

/** Why the update has failed. One that ended the run itself failed like one that the run's end overtook. */
function toError(thrown: unknown): StoredError {
  const ended = new HoldfastError("run_ended", "the run ended before the update did");
  return storeError(thrown === handlerLeft ? ended : thrown);
}

/** Calls the function at once; what it throws is a rejection. @throws HoldfastError: the value cannot be read */
function called(fn: (value: unknown) => unknown, value: Stored): Promise<unknown> {
  const given = decode(value);
  return new Promise((resolve) => {
    resolve(fn(given));
  });
}

function checkSchema(schema: unknown, update: string): Schema | undefined {
  if (schema === undefined || schema === null) return undefined;
  if (isSchema(schema)) return schema;
  const message = `the schema of update ${update} must be a Standard Schema, such as zod makes, or null for any argument`;
  throw new HoldfastError("options_invalid", message);
}
