/** Observes the writes of run objects without calling them, and kills their process at a write that a test chooses. */
import type { Entry } from "../../src/core/history/entry.ts";
import { decode } from "../../src/core/value/value.ts";

/**
 * When to kill the process. At the commit with the entry `at`: "lost" kills it in the same turn, so that the write is lost;
 * "kept" kills it when the write is durable. "wake" kills a later life when it opens the journal.
 */
export type CrashPoint = { readonly at: number; readonly how: "lost" | "kept" } | { readonly at: "wake" };

type ObservedRun = {
  /** The entries as written; those that were lost are removed when the next process reads the journal. */
  readonly entries: Entry[];
  /** When each life of the run began, the first one and those continued as new. */
  readonly births: number[];
  /** The crash points that were not reached yet, in order. */
  blows: readonly CrashPoint[];
  /** The object has nothing to do by itself now. */
  resting: boolean;
  /** Its process was killed, and the next one has not read yet which entries are left. */
  unsure: boolean;
  /** The object has had nothing to do by itself in its present life. */
  idle: boolean;
  lives: number;
  /** Its answers to queries, with the number of entries at that time. */
  readonly answers: { readonly length: number; readonly answer: string }[];
};

const runs = new Map<string, ObservedRun>();
/** Killed objects: what they still do in the same turn has no effect. */
const killed = new WeakSet<DurableObjectState>();

export function watched(id: string): ObservedRun {
  const known = runs.get(id);
  if (known !== undefined) return known;
  const run: ObservedRun = {
    entries: [],
    births: [],
    blows: [],
    resting: false,
    unsure: false,
    idle: true,
    lives: 0,
    answers: [],
  };
  runs.set(id, run);
  return run;
}

/** The mails in the development outbox, where each is a run, in order of arrival. */
export function mails(): { to: string; subject: string }[] {
  const created = [...runs.values()].flatMap(({ entries: [entry] }) => (entry?.kind === "run.created" ? [entry] : []));
  return created
    .filter(({ workflow }) => workflow === "outbox")
    .map(({ input }) => decode(input) as { to: string; subject: string });
}

/** To be called in the constructor of the run object; runs that no test watches are left alone. */
export function watch(ctx: DurableObjectState): void {
  const name = ctx.id.name ?? "";
  const run = /^(mail|model)-/.test(name) ? watched(name) : runs.get(name);
  if (run === undefined) return;
  run.resting = false;
  run.idle = true;
  run.lives++;
  watchWork(ctx, run);
  watchJournal(ctx, run);
}

function watchWork(ctx: DurableObjectState, run: ObservedRun): void {
  const waitUntil = ctx.waitUntil.bind(ctx);
  ctx.waitUntil = (work) => {
    run.resting = false;
    run.idle = false;
    void work.then(() => {
      run.resting = true;
    });
    waitUntil(work);
  };
}

function watchJournal(ctx: DurableObjectState, run: ObservedRun): void {
  const { sql } = ctx.storage;
  const exec = sql.exec.bind(sql);
  sql.exec = <Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: unknown[]) => {
    if (/^\s*SELECT\b.*\bFROM journal\b/s.test(query)) {
      if (run.blows[0]?.at === "wake") strike(ctx, run);
      const { data } = exec<{ data: string }>("SELECT data FROM journal ORDER BY row DESC LIMIT 1").one();
      run.entries.length = (JSON.parse(data) as Entry[]).at(-1)?.seq ?? 0;
      const first = exec<{ data: string }>("SELECT data FROM journal ORDER BY row LIMIT 1").one();
      run.unsure = false;
      run.births.length = countOf((JSON.parse(first.data) as Entry[])[0]) + 1;
    }
    const cursor = exec<Row>(query, ...bindings);
    if (query.includes("INSERT INTO journal")) written(ctx, run, JSON.parse(String(bindings[1])) as Entry[]);
    return cursor;
  };
}

/** How often the run that begins with this entry went on as new before. */
function countOf(entry: Entry | undefined): number {
  return entry?.kind === "run.created" ? (entry.continuation?.count ?? 0) : 0;
}

function written(ctx: DurableObjectState, run: ObservedRun, entries: readonly Entry[]): void {
  const [first] = entries;
  if (first === undefined || killed.has(ctx)) return;
  if (run.unsure && first.seq > 1) throw new Error("a journal was read and the test did not see it");
  run.unsure = false;
  if (first.kind === "run.created") run.births[countOf(first)] = first.at;
  run.entries.length = first.seq - 1;
  run.entries.push(...entries);
  const [blow] = run.blows;
  if (blow === undefined || blow.at === "wake" || blow.at > run.entries.length) return;
  if (blow.how === "lost") strike(ctx, run);
  else void strikeOnceSafe(ctx, run, blow);
}

/** Nothing that was written is lost, so that all that can be seen of the run is true. */
async function strikeOnceSafe(ctx: DurableObjectState, run: ObservedRun, blow: CrashPoint): Promise<void> {
  for (let safe = 0; safe < run.entries.length;) {
    safe = run.entries.length;
    await ctx.storage.sync();
  }
  if (run.blows[0] === blow) strike(ctx, run, false);
}

function strike(ctx: DurableObjectState, run: ObservedRun, unsure = true): void {
  run.blows = run.blows.slice(1);
  killed.add(ctx);
  run.unsure = unsure;
  run.resting = false;
  ctx.abort("struck by the test");
}
