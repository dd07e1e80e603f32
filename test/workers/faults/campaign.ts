/** Stories told again and again, each time with other faults, many side by side. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, expect, vi } from "vitest";
import { createRandom } from "../../../src/core/random.ts";
import type { Random } from "../../../src/core/random.ts";
import { pause } from "./client.ts";
import { faultsOf, lay, onEviction } from "./injector.ts";
import type { Event, Fault, Kind, Plan } from "./injector.ts";
import { checkRuns } from "./invariant.ts";
import type { Operation } from "./operation.ts";
import { settings } from "../settings.ts";

/** What decides about all that is random here. */
const seed = settings["FAULT_SEED"] || "1";
/** Part of the title of the operations, or of the case, that are to be tried alone. */
const only = settings["FAULT_ONLY"] ?? "";
/** How many cases are tried of each list; `Infinity` for all of it. `usual` unless FAULT_COUNT says another. */
export function countOf(usual: number): number {
  const text = settings["FAULT_COUNT"] ?? "";
  return text === "" ? usual : text === "all" ? Infinity : Number(text);
}

/** Stories that are told at a time. */
const atOnce = 24;
/** A story that takes longer is named, so that one that hangs is known. */
const slowMs = 60_000;

/** There is time for tests of minutes. */
export const isLong = (settings["FAULT_COUNT"] ?? "") === "all";

let told = 0;

/** A name that no other story has. */
export function newKey(): string {
  return `flt${++told}-${Math.floor(createRandom(`${seed} ${told}`).next() * 36 ** 5).toString(36)}`;
}

onEviction(leave);

const bindings = {
  run: "RUNS",
  register: "RUNS",
  courier: "RUNS",
  shard: "DIRECTORY",
  scheduler: "SCHEDULER",
  lane: "LANES",
  roll: "LANES",
} as const;

/** Objects that are to leave memory; looked at by the tests themselves, since an object can evict nobody. */
const leaving: { readonly kind: Kind; readonly object: string }[] = [];

function leave(kind: Kind, object: string): void {
  leaving.push({ kind, object });
}

/** Evicts what is to be evicted, until it is told to stop. */
async function sweep(stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    for (const { kind, object } of leaving.splice(0)) {
      const namespace = (env as unknown as Record<string, DurableObjectNamespace>)[bindings[kind]];
      // One that is at work, or left by itself, is not evicted.
      if (namespace !== undefined) await evictDurableObject(namespace.getByName(object)).catch(() => {});
    }
    await pause(5);
  }
}

const isOneOfMany: ReadonlySet<Kind> = new Set(["shard", "register", "courier"]);

/** The event as every telling of the story has it. */
function nameOf(key: string, { kind, object, what, of }: Event): string {
  // Which shard it is follows from the id, and which courier from who has room.
  const shared = isOneOfMany.has(kind) ? "" : object.replaceAll(key, "*");
  const own = shared.replaceAll(/\.[0-9a-z]{8}\./g, ".life.").replaceAll(/[0-9]{8}T[0-9]{6}Z|[0-9a-f]{20,}/g, "…");
  return `${kind} ${own} ${what} ${of}`;
}

/** Counts equal events. */
class Tally {
  readonly #counts = new Map<string, number>();

  next(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return `${name} (${count})`;
  }
}

/** The events of a story without faults, in order. */
async function eventsOf({ play }: Operation): Promise<Map<string, Event>> {
  const key = newKey();
  const events = new Map<string, Event>();
  const tally = new Tally();
  lay(key, (event) => {
    events.set(tally.next(nameOf(key, event)), event);
    return null;
  });
  await play(key);
  lay(key, null);
  return events;
}

/** One fault at one event. */
export type Case = { readonly operation: Operation; readonly at: string; readonly fault: Fault };

async function casesOf(operation: Operation, faults: ReadonlySet<Fault>): Promise<Case[]> {
  if (only !== "" && only !== operation.title) return [];
  const events = await eventsOf(operation);
  return [...events].flatMap(([at, { what }]) =>
    faultsOf[what].filter((fault) => faults.has(fault)).map((fault) => ({ operation, at, fault })),
  );
}

export type Tried = { readonly cases: number; readonly met: number; readonly failures: readonly string[] };

/**
 * So many cases of these faults, by chance; those of a few operations where they are few, so that not all of the
 * stories have to be told for their list.
 */
export async function someCases(
  operations: readonly Operation[],
  faults: ReadonlySet<Fault>,
  count: number,
): Promise<Case[]> {
  const what = [...faults].join(" ");
  const told = sample(operations, Math.ceil(count / 3), what);
  const all = await Promise.all(told.map((operation) => casesOf(operation, faults)));
  return sample(all.flat(), count, what);
}

/** Says how much was tried, and refuses what went wrong. */
export function report(what: string, { cases, met, failures }: Tried): void {
  // oxlint-disable-next-line no-console -- the figures of docs/reliability.md
  console.info(`${what}: ${cases} cases, ${met} faults met, seed ${seed}`);
  expect(failures).toEqual([]);
}

/** What the objects have to say of their faults is not for the log of the tests. */
export function hush(): void {
  beforeAll(() => {
    for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  });
  afterAll(() => void vi.restoreAllMocks());
}

/** Tells the story of each case with its fault; what goes wrong is answered in words. */
export async function tryCases(cases: readonly Case[], width = atOnce): Promise<Tried> {
  let met = 0;
  const failures = await sideBySide(cases, width, async ({ operation, at, fault }) => {
    const key = newKey();
    const tally = new Tally();
    let isMet = false;
    const plan: Plan = (event) => {
      if (isMet || tally.next(nameOf(key, event)) !== at) return null;
      isMet = true;
      met++;
      return fault;
    };
    const failure = await tell(operation, key, plan);
    return failure;
  });
  return { cases: cases.length, met, failures };
}

/** Each story with so many faults, wherever they hit. */
export async function tryStorms(
  operations: readonly Operation[],
  count: number,
  faults: ReadonlySet<Fault>,
  share: number,
): Promise<Tried> {
  let met = 0;
  const storms = Array.from({ length: count }, (_, index) => index).filter((index) => {
    return only === "" || only === String(index) || operations[index % operations.length]?.title === only;
  });
  const failures = await sideBySide(storms, atOnce, async (index) => {
    const operation = operations[index % operations.length];
    if (operation === undefined) return null;
    const key = newKey();
    const random = createRandom(`${seed} storm ${index}`);
    // Whoever has had so many has had enough: the story must come to its end.
    let left = 12;
    const failure = await tell(operation, key, ({ what }) => {
      if (left === 0 || random.next() >= share) return null;
      const fault = pick(
        random,
        faultsOf[what].filter((one) => faults.has(one)),
      );
      if (fault === null) return null;
      left--;
      met++;
      return fault;
    });
    return failure === null ? null : `storm ${index} of seed ${seed}: ${failure}`;
  });
  return { cases: count, met, failures };
}

function pick<Value>(random: Random, from: readonly Value[]): Value | null {
  return from[Math.floor(random.next() * from.length)] ?? null;
}

async function tell({ title, play }: Operation, key: string, plan: Plan): Promise<string | null> {
  const begunAt = Date.now();
  const faults: string[] = [];
  lay(key, (event) => {
    const fault = plan(event);
    if (fault !== null) faults.push(`${Date.now() - begunAt} ms ${nameOf(key, event)}: ${fault}`);
    return fault;
  });
  const slow = setTimeout(() => {
    // oxlint-disable-next-line no-console -- so that it is known which one hangs
    console.info(`slow: ${title}, ${key}, ${faults.join("; ")}`);
  }, slowMs);
  try {
    const ids = await play(key);
    lay(key, () => null);
    await checkRuns(ids);
    return null;
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? ` (${String(error.cause)})` : "";
    const after = Date.now() - begunAt;
    return `${title}, ${key}: ${String(error)}${cause} after ${after} ms and ${faults.join("; ")}`.slice(0, 3000);
  } finally {
    clearTimeout(slow);
    lay(key, null);
  }
}

async function sideBySide<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<string | null>,
): Promise<string[]> {
  const stop = new AbortController();
  const sweeping = sweep(stop.signal);
  const failures: string[] = [];
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      const failure = await work(item);
      if (failure !== null) failures.push(failure);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  stop.abort();
  await sweeping;
  return failures;
}

/** So many of them, by chance, each operation's in turn; all of them where there are no more. */
function sample<Item>(items: readonly Item[], count: number, what: string): Item[] {
  if (items.length <= count) return [...items];
  const random = createRandom(`${seed} ${what}`);
  const left = [...items];
  return Array.from({ length: count }, () => left.splice(Math.floor(random.next() * left.length), 1)).flat();
}
