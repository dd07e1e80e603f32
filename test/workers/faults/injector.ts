/**
 * Faults for the objects under test, at the very call where a test wants them: every call of an object's storage,
 * and every call that arrives at an object, is an event. A test that has laid a plan for a key is told of the
 * events of every object whose name holds the key, and of what other objects do about a call whose arguments hold
 * it, and may answer each event with a fault.
 *
 * Everything between two events of an object is done in its memory alone: a process that ends there leaves what one
 * that ended at the event before it left. So faults at all events are faults at every await.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { toClock, toReal } from "./clock.ts";

export type Kind = "run" | "register" | "courier" | "shard" | "scheduler" | "lane" | "roll";

/**
 * `read`, `write`: a statement or a key of the storage; `alarm`: one is set or removed; `sync`: the object waits until
 * all it wrote is safe; `call`: another object, or the Worker, calls it; `ring`: its alarm does.
 */
export type What = "read" | "write" | "alarm" | "sync" | "call" | "ring";

export type Event = {
  readonly object: string;
  readonly kind: Kind;
  readonly what: What;
  /** The statement, or the method. */
  readonly of: string;
};

/**
 * Of any event. `dies`: the process of the object ends in this turn, whose writes never happened. `survives`: it ends
 * as soon as they are safe. `evicted`: the object is dropped from memory as soon as it rests.
 * Of storage. `full`, `broken`: the call throws, or rejects. `slow`: what can wait takes 200 ms.
 * Of calls. `unsent`: it never arrives. `hangs`: and its caller hears of that late. `unanswered`: it is done, and the caller hears of an error. `twice`: it arrives
 * twice at once. `again`: and once more half a second later. `late`: the caller gives up first.
 */
export type Fault =
  | "dies"
  | "survives"
  | "evicted"
  | "full"
  | "broken"
  | "slow"
  | "unsent"
  | "hangs"
  | "unanswered"
  | "twice"
  | "again"
  | "late";

/** Which faults an event can have. */
export const faultsOf: Readonly<Record<What, readonly Fault[]>> = {
  read: ["dies", "broken"],
  write: ["dies", "survives", "evicted", "full", "broken"],
  alarm: ["dies", "survives", "full", "broken"],
  sync: ["dies", "slow", "broken"],
  call: ["dies", "evicted", "unsent", "unanswered", "twice", "again", "late"],
  ring: ["dies", "evicted", "twice", "again", "late"],
};

export type Plan = (event: Event) => Fault | null;

type Method = (...given: unknown[]) => unknown;
type Victim = { readonly ctx: DurableObjectState; alive: boolean };

const lateMs = 400;
const slowMs = 200;
const hangMs = 2500;
const keyForm = /flt[0-9]+-[a-z0-9]+/;

const plans = new Map<string, Plan>();
const calling = new AsyncLocalStorage<string>();
const victims = new Map<string, Victim>();
/** What is done when an object has ended by a fault. */
const mourners = new Set<(object: string) => void>();
/** Brings about what only a test can do: the object of this kind and name leaves memory. */
let evict: (kind: Kind, object: string) => void = () => {};

/** From now on events of this key are the plan's; null for none. */
export function lay(key: string, plan: Plan | null): void {
  if (plan === null) plans.delete(key);
  else plans.set(key, plan);
}

/** Told of the name of every object that a fault ends. */
export function mourn(how: (object: string) => void): void {
  mourners.add(how);
}

export function onEviction(how: typeof evict): void {
  evict = how;
}

/** Ends the process of the object of this name, if it is there; its unsafe writes are lost. */
function strike(object: string): void {
  const victim = victims.get(object);
  if (victim === undefined || !victim.alive) return;
  victim.alive = false;
  for (const told of mourners) told(object);
  victim.ctx.abort("ended by the test");
}

function kindOf(binding: "run" | "shard" | "scheduler" | "lane", name: string): Kind {
  if (binding === "run")
    return name.startsWith(".register-") ? "register" : name.startsWith(".courier-") ? "courier" : "run";
  if (binding === "lane") return name === "roll" ? "roll" : "lane";
  return binding;
}

/** The key that the text holds, if a plan is laid for it. */
function keyIn(text: string): string | null {
  if (plans.size === 0) return null;
  const key = keyForm.exec(text)?.[0];
  return key !== undefined && plans.has(key) ? key : null;
}

/** To be called before the object opens its storage. */
export function inject(binding: "run" | "shard" | "scheduler" | "lane", ctx: DurableObjectState): void {
  const object = ctx.id.name ?? "";
  const kind = kindOf(binding, object);
  const victim: Victim = { ctx, alive: true };
  victims.set(object, victim);
  const meet = (what: What, of: string): Fault | null => {
    if (plans.size === 0 || !victim.alive) return null;
    const key = keyIn(object) ?? calling.getStore() ?? (plans.has(kind) ? kind : null);
    const fault = key === null ? null : (plans.get(key)?.({ object, kind, what, of }) ?? null);
    if (fault === "dies") strike(object);
    if (fault === "survives") void strikeOnceSafe(victim, object);
    if (fault === "evicted") evict(kind, object);
    return fault;
  };
  watchStatements(ctx.storage, meet);
  watchCalls(ctx.storage, meet);
}

async function strikeOnceSafe(victim: Victim, object: string): Promise<void> {
  await Promise.resolve();
  await Reflect.apply(syncOf(victim.ctx.storage), victim.ctx.storage, []);
  if (victim.alive) strike(object);
}

function syncOf(storage: DurableObjectStorage): () => Promise<void> {
  return (Reflect.getPrototypeOf(storage) as DurableObjectStorage).sync;
}

type Meet = (what: What, of: string) => Fault | null;

function refusal(fault: Fault | null): Error | null {
  if (fault === "full") return new Error("database or disk is full: SQLITE_FULL");
  if (fault === "broken") return new Error("disk I/O error: SQLITE_IOERR");
  return null;
}

function watchStatements(storage: DurableObjectStorage, meet: Meet): void {
  const { sql, kv } = storage;
  const exec = sql.exec.bind(sql);
  sql.exec = <Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: unknown[]) => {
    const statement = query.trim();
    const error = refusal(meet(/^(SELECT|WITH)/i.test(statement) ? "read" : "write", statement.slice(0, 60)));
    if (error !== null) throw error;
    return exec<Row>(query, ...bindings);
  };
  for (const method of ["get", "put", "delete"] as const) {
    const own = kv[method].bind(kv) as Method;
    const value = (...given: unknown[]): unknown => {
      const error = refusal(meet(method === "get" ? "read" : "write", `${method} ${String(given[0])}`));
      if (error !== null) throw error;
      return own(...given);
    };
    Object.defineProperty(kv, method, { value, configurable: true });
  }
}

function watchCalls(storage: DurableObjectStorage, meet: Meet): void {
  const [get, set] = [storage.getAlarm.bind(storage), storage.setAlarm.bind(storage)];
  storage.setAlarm = (at, options) => set(toReal(Number(at)), options);
  storage.getAlarm = async (options) => {
    const at = await get(options);
    return at === null ? null : toClock(at);
  };
  const methods = { setAlarm: "alarm", deleteAlarm: "alarm", deleteAll: "write", sync: "sync" } as const;
  for (const [method, what] of Object.entries(methods)) {
    const own = (Reflect.get(storage, method) as Method).bind(storage);
    const value = async (...given: unknown[]): Promise<unknown> => {
      const fault = meet(what, method);
      const error = refusal(fault);
      if (error !== null) throw error;
      const done = own(...given);
      if (fault === "slow") await scheduler.wait(slowMs);
      return await done;
    };
    Object.defineProperty(storage, method, { value, configurable: true });
  }
}

/** What arrives at the objects of this class passes here first. */
export function intercept(binding: "run" | "shard" | "scheduler" | "lane", prototype: object): void {
  for (const method of methodsOf(prototype)) {
    const own = Reflect.get(prototype, method) as Method;
    const value = async function (this: { readonly ctx: DurableObjectState }, ...sent: unknown[]): Promise<unknown> {
      const given = method === "alarm" ? onClock(sent) : sent;
      if (plans.size === 0) return await Reflect.apply(own, this, given);
      const object = this.ctx.id.name ?? "";
      const key = keyIn(object) ?? keyIn(JSON.stringify(given).slice(0, 4000)) ?? givenKind(kindOf(binding, object));
      const plan = key === null ? undefined : plans.get(key);
      if (key === null || plan === undefined) return await Reflect.apply(own, this, given);
      const what = method === "alarm" ? "ring" : "call";
      const fault = plan({ object, kind: kindOf(binding, object), what, of: method });
      const act = (): Promise<unknown> => calling.run(key, async () => await Reflect.apply(own, this, given));
      return await withFault(fault, act, this.ctx, binding);
    };
    Object.defineProperty(prototype, method, { value, configurable: true, writable: true });
  }
}

/** An alarm says for when it was set. */
function onClock(given: readonly unknown[]): unknown[] {
  const [info, ...rest] = given as [AlarmInvocationInfo | undefined];
  return info === undefined ? [...given] : [{ ...info, ...timesOf(info) }, ...rest];
}

function timesOf({ isRetry, retryCount, scheduledTime }: AlarmInvocationInfo): AlarmInvocationInfo {
  return { isRetry, retryCount, scheduledTime: toClock(scheduledTime) };
}

/** Objects that all share may have a plan of their kind's. */
function givenKind(kind: Kind): string | null {
  return plans.has(kind) ? kind : null;
}

async function withFault(
  fault: Fault | null,
  act: () => Promise<unknown>,
  ctx: DurableObjectState,
  binding: "run" | "shard" | "scheduler" | "lane",
): Promise<unknown> {
  const object = ctx.id.name ?? "";
  switch (fault) {
    case "dies":
      strike(object);
      throw lost();
    case "evicted":
      evict(kindOf(binding, object), object);
      return await act();
    case "unsent":
      throw lost();
    case "hangs":
      await scheduler.wait(hangMs);
      throw lost();
    case "unanswered":
      await act();
      throw lost();
    case "twice":
      return (await Promise.all([act(), act()]))[0];
    case "again":
      ctx.waitUntil(
        scheduler
          .wait(lateMs)
          .then(act)
          .catch(() => {}),
      );
      return await act();
    case "late":
      ctx.waitUntil(
        scheduler
          .wait(lateMs)
          .then(act)
          .catch(() => {}),
      );
      throw lost();
    default:
      return await act();
  }
}

function lost(): Error {
  return Object.assign(new Error("Network connection lost."), { retryable: true });
}

/** `list` is how the tests look at what goes on; it changes nothing. */
const untouched: ReadonlySet<string> = new Set(["constructor", "fetch", "list"]);

/** Own and inherited, down to the platform's class. */
function methodsOf(prototype: object): string[] {
  const names = new Set<string>();
  for (let at: object | null = prototype; at !== null && !isPlatforms(at); at = Reflect.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) {
      const { value } = Object.getOwnPropertyDescriptor(at, name) ?? {};
      if (typeof value === "function" && !untouched.has(name)) names.add(name);
    }
  }
  return [...names];
}

function isPlatforms(prototype: object): boolean {
  const { name } = prototype.constructor;
  return name === "DurableObject" || name === "Object";
}
