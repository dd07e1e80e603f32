/**
 * Counts the billed usage of the objects of a Worker: calls, rows written and read, time awake. The tallies are kept outside of
 * the objects, by name, so that they survive evictions.
 */
import { DurableObject } from "cloudflare:workers";

export type Tally = {
  /** Calls received, including alarms, by method. */
  readonly calls: Record<string, number>;
  rowsWritten: number;
  rowsRead: number;
  /** The total time in which any call was in progress. */
  awakeMs: number;
};

type Cursor = { readonly rowsWritten: number; readonly rowsRead: number };

class Counter {
  readonly tally: Tally = { calls: {}, rowsWritten: 0, rowsRead: 0, awakeMs: 0 };
  /** Their rows are counted after they were used. */
  #cursors: Cursor[] = [];
  #inFlight = 0;
  #awakeFrom = 0;

  wrote(rows: number): void {
    this.tally.rowsWritten += rows;
  }

  read(rows: number): void {
    this.tally.rowsRead += rows;
  }

  opened(cursor: Cursor): void {
    this.#cursors.push(cursor);
  }

  take<Value>(method: string, call: () => Value): Value {
    const { calls } = this.tally;
    calls[method] = (calls[method] ?? 0) + 1;
    return this.hold(call);
  }

  /** Measures work that keeps the object awake until it settles. */
  hold<Value>(work: () => Value): Value {
    if (this.#inFlight++ === 0) this.#awakeFrom = Date.now();
    let value: Value;
    try {
      value = work();
    } catch (error) {
      this.#end();
      throw error;
    }
    if (value instanceof Promise) {
      const end = (): void => this.#end();
      void value.then(end, end);
    } else this.#end();
    return value;
  }

  #end(): void {
    for (const { rowsWritten, rowsRead } of this.#cursors.splice(0)) {
      this.wrote(rowsWritten);
      this.read(rowsRead);
    }
    if (--this.#inFlight === 0) this.tally.awakeMs += Math.max(0, Date.now() - this.#awakeFrom);
  }
}

const counters = new Map<string, Counter>();

/** `BINDING/name` → the usage of that object since the last call of this function. */
export function takeTallies(): Record<string, Tally> {
  const busy = [...counters].filter(([, { tally }]) => !isEmpty(tally));
  const tallies = Object.fromEntries(busy.map(([name, { tally }]) => [name, structuredClone(tally)]));
  for (const { tally } of counters.values()) {
    for (const method of Object.keys(tally.calls)) delete tally.calls[method];
    Object.assign(tally, { rowsWritten: 0, rowsRead: 0, awakeMs: 0 });
  }
  return tallies;
}

function isEmpty({ calls, rowsWritten, rowsRead, awakeMs }: Tally): boolean {
  return Object.keys(calls).length === 0 && rowsWritten + rowsRead + awakeMs === 0;
}

type ObjectClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => DurableObject;

/** The class with counting. It gets a method `databaseSize`, which is not counted. */
export function counted(binding: string, base: ObjectClass): ObjectClass {
  const counterOf = new WeakMap<object, Counter>();
  class Counted extends base {
    readonly #storage: DurableObjectStorage;

    constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
      const counter = counterNamed(`${binding}/${ctx.id.name ?? ""}`);
      watch(ctx, counter);
      super(ctx, env);
      this.#storage = ctx.storage;
      counterOf.set(this, counter);
    }

    async databaseSize(): Promise<number> {
      return this.#storage.sql.databaseSize;
    }
  }
  for (const [name, method] of methodsOf(base)) {
    const value = function (this: object, ...args: unknown[]): unknown {
      const call = (): unknown => method.apply(this, args);
      return counterOf.get(this)?.take(name, call) ?? call();
    };
    Object.defineProperty(Counted.prototype, name, { value, writable: true, configurable: true });
  }
  return Counted;
}

function counterNamed(name: string): Counter {
  const known = counters.get(name) ?? new Counter();
  counters.set(name, known);
  return known;
}

type Method = (this: object, ...args: unknown[]) => unknown;

/** The methods of the class and of its base classes, except for the platform's. */
function methodsOf(base: ObjectClass): Map<string, Method> {
  const methods = new Map<string, Method>();
  for (let at: object = base.prototype; at !== DurableObject.prototype; at = Object.getPrototypeOf(at) as object) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name !== "constructor" && typeof value === "function" && !methods.has(name))
        methods.set(name, value as Method);
    }
  }
  return methods;
}

function watch(ctx: DurableObjectState, counter: Counter): void {
  const { storage } = ctx;
  replace(storage.sql, "exec", (exec) => (...args) => {
    const cursor = exec(...args) as Cursor;
    // The local runtime stores the object's name in a table that does not exist in production.
    if (!String(args[0]).includes("__miniflare_")) counter.opened(cursor);
    return cursor;
  });
  replace(storage, "setAlarm", (setAlarm) => (...args) => {
    counter.wrote(1);
    return setAlarm(...args);
  });
  replace(ctx, "waitUntil", (waitUntil) => (work) => {
    void counter.hold(async () => await work).catch(() => undefined);
    return waitUntil(work);
  });
  // Each key is a row of a hidden table.
  for (const name of ["put", "delete"]) {
    replace(storage.kv, name, (write) => (...args) => {
      counter.wrote(1);
      return write(...args);
    });
  }
  replace(storage.kv, "get", (get) => (...args) => {
    counter.read(1);
    return get(...args);
  });
  replace(storage.kv, "list", (list) => (...args) => {
    const listed = [...(list(...args) as Iterable<unknown>)];
    counter.read(listed.length);
    return listed;
  });
}

type Function = (...args: unknown[]) => unknown;

function replace(target: object, name: string, wrap: (original: Function) => Function): void {
  const original = (Reflect.get(target, name) as Function).bind(target);
  Object.defineProperty(target, name, { value: wrap(original), configurable: true });
}
