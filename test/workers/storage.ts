/** The object of a run as tests get hold of it: what it keeps, and having it leave memory. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { objectName } from "../../src/core/run/key.ts";

function objectOf(id: string) {
  return env.RUNS.getByName(objectName(id));
}

/** Acts in the object of the run. */
export function inRun<Value>(id: string, act: (ctx: DurableObjectState) => Value | Promise<Value>): Promise<Value> {
  return runInDurableObject(objectOf(id), (_object, ctx) => act(ctx));
}

/** When the object is woken next, if it is. */
export function alarmOf(id: string): Promise<number | null> {
  return inRun(id, ({ storage }) => storage.getAlarm());
}

/**
 * The object leaves memory; rejects where it is in none. While it has much to do, the runtime does not look at its
 * clock: an eviction that is asked for then may be told at once that its half minute is over, and the next one is not.
 */
export async function evict(id: string): Promise<void> {
  const object = objectOf(id);
  await evictDurableObject(object).catch(() => evictDurableObject(object));
}

/** The object is in no memory any more, if it was. */
export async function forget(id: string): Promise<void> {
  await evict(id).catch(() => undefined);
}

/** What is due in so long happens now, by the object's alarm: until then a test may take as long as the machine needs. */
export async function passTime(id: string, ms: number): Promise<void> {
  // The clock goes on from there, or what the object does next at some instant would never come.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms, shouldAdvanceTime: true });
  try {
    await runDurableObjectAlarm(objectOf(id));
  } finally {
    vi.useRealTimers();
  }
}

/** A row of a journal. */
export type Row = { readonly row: number; readonly data: string };

export function rowsOf(id: string): Promise<Row[]> {
  return inRun(id, ({ storage }) => storage.sql.exec<Row>("SELECT row, data FROM journal ORDER BY row").toArray());
}

/** What the storage of the run's object has in it. */
export function contentOf(id: string): Promise<{ tables: unknown[]; keys: string[]; alarm: number | null }> {
  return inRun(id, async ({ storage }) => ({
    tables: storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
    keys: [...storage.kv.list()].map(([key]) => key),
    alarm: await storage.getAlarm(),
  }));
}

/** That of an object which keeps nothing. */
export const nothing = { tables: [], keys: [], alarm: null };
