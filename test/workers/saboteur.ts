/**
 * Sees what run objects write from beside them, without ever calling them, and ends their process at
 * the very write a test names.
 */
import type { Entry } from "../../src/core/entry.ts";
import { decode } from "../../src/core/value.ts";

/**
 * When the entry `at` is written, or a commit that holds it: "lost" ends the process in the same
 * turn, so that the write never happened; "kept" ends it as soon as the write is safe. A blow at
 * "wake" ends a later life as it opens the journal.
 */
export type Blow = { readonly at: number; readonly how: "lost" | "kept" } | { readonly at: "wake" };

type Watched = {
  /** As written; what was lost with its process goes when its successor looks. */
  readonly entries: Entry[];
  /** When the run began, at first and each time as new. */
  readonly births: number[];
  /** Blows to come, in their order. */
  blows: readonly Blow[];
  /** The object has nothing more to do by itself. */
  resting: boolean;
  /** Its process was ended, and what of its entries is left will be known once its successor looks. */
  unsure: boolean;
  /** In its present life the object had nothing to do by itself yet. */
  idle: boolean;
  lives: number;
  /** What it answered when it was asked, and how many entries there were. */
  readonly answers: { readonly length: number; readonly answer: string }[];
};

const runs = new Map<string, Watched>();
/** What their objects still do in the turn that ended them never happened. */
const struck = new WeakSet<DurableObjectState>();

export function watched(id: string): Watched {
  const known = runs.get(id);
  if (known !== undefined) return known;
  const run: Watched = {
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

/** What the development outbox took, where each mail is a run, in order of arrival. */
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

function watchWork(ctx: DurableObjectState, run: Watched): void {
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

function watchJournal(ctx: DurableObjectState, run: Watched): void {
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

function written(ctx: DurableObjectState, run: Watched, entries: readonly Entry[]): void {
  const [first] = entries;
  if (first === undefined || struck.has(ctx)) return;
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
async function strikeOnceSafe(ctx: DurableObjectState, run: Watched, blow: Blow): Promise<void> {
  for (let safe = 0; safe < run.entries.length;) {
    safe = run.entries.length;
    await ctx.storage.sync();
  }
  if (run.blows[0] === blow) strike(ctx, run, false);
}

function strike(ctx: DurableObjectState, run: Watched, unsure = true): void {
  run.blows = run.blows.slice(1);
  struck.add(ctx);
  run.unsure = unsure;
  run.resting = false;
  ctx.abort("struck by the test");
}
