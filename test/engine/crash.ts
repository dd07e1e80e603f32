/** The crash property: what must hold of a run however and whenever its process dies. */
import { expect } from "vitest";
import type { Entry } from "../../src/core/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { Order } from "../../src/core/order.ts";
import { createRandom } from "../../src/core/random.ts";
import { receiveHook } from "../../src/engine/hook.ts";
import type { Run } from "../../src/engine/run.ts";
import { act, signal, startAt } from "./host.ts";
import type { Host } from "./host.ts";
import { define, MemoryJournal } from "./memory.ts";
import { Post, answered } from "./post.ts";
import type { Reply } from "./post.ts";
import { interpret } from "./program.ts";
import type { Life, Program } from "./program.ts";

const outcomeKinds: ReadonlySet<string> = new Set([
  "step.completed",
  "step.failed",
  "timer.fired",
  "wait.timed_out",
  "signal.consumed",
  "webhook.created",
  "webhook.received",
  "undo.started",
  "undo.completed",
  "undo.failed",
  "run.cancel_requested",
]);

/** How long a schema may take, less than it has. */
const spans: readonly number[] = [0, 0, 1, 300, 20_000];

/** One life of a program, hosted. */
export type Hosted = { readonly host: Host; readonly life: Life };

export function hostProgram(
  program: Program,
  commits: readonly string[],
  at: number,
  cold = commits.length > 0,
): Hosted {
  const life: Life = { trace: [], effects: [] };
  let outcome = 0;
  const notice = (entries: readonly Entry[]) => {
    for (const { kind, seq } of entries) if (outcomeKinds.has(kind)) outcome = seq;
  };
  const after = (ms: number): Promise<void> => (host.dead ? new Promise(() => {}) : host.clock.after(ms));
  const lags = createRandom(`lags ${program.seed} ${commits.length}`);
  const lag = (): number => spans[Math.floor(lags.next() * spans.length)] ?? 0;
  const around = { after, turn: () => host.clock.turn(), lag, outcome: () => outcome };
  const reply: Reply = (order) => {
    const sent = host.entries("step.dispatched").find(({ seq }) => seq === order.id.seq);
    const attempt = sent?.attempt ?? 0;
    life.effects.push({ path: String(order.request.body), key: order.key, attempt, outcome });
    return replyTo(order, attempt);
  };
  const { host }: Post = new Post(define(interpret(program, life, around)), reply, { commits, at, cold });
  notice(host.journal.entries);
  host.journal.onAppend = notice;
  for (const { at: offset, name, payload, key } of program.signals) {
    host.plan(Math.max(at, startAt + offset), (run) => {
      signal(run, name, payload, key);
      // The same request again, as a client sends it that got no answer.
      signal(run, name, payload, key);
    });
  }
  for (const { at: offset, ms } of program.pauses) {
    host.plan(Math.max(at, startAt + offset), (run) => act(run, "pause"));
    host.plan(Math.max(at, startAt + offset + ms), (run) => act(run, "resume"));
  }
  for (const { at: offset, webhook } of program.calls) {
    host.plan(Math.max(at, startAt + offset), (run) => callTwice(run, webhook, { offset }));
  }
  const { cancelAt } = program;
  if (cancelAt !== null) host.plan(Math.max(at, startAt + cancelAt), (run) => act(run, "cancel"));
  return { host, life };
}

/** What a request comes to, as its address says: so long, and refused so often. */
function replyTo({ request }: Order, attempt: number): ReturnType<Reply> {
  const [ms = 0, fails = 0] = new URL(request.url).pathname.slice(1).split("/").map(Number);
  const refused = { kind: "refused", status: 503, begins: "", waitMs: null } as const;
  return { end: attempt > fails ? answered("told") : refused, ms };
}

/** As a sender does that got no answer; what it is told, a run tells each time anew. */
async function callTwice(run: Run, webhook: string, body: unknown): Promise<void> {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const request = { method: "POST", headers: { "content-type": "application/json" }, query: {}, body: bytes };
  for (let i = 0; i < 2; i++) {
    await receiveHook(run, webhook, request).catch((error: unknown) => {
      if (!(error instanceof HoldfastError)) throw error;
    });
  }
}

/** Drives to the end; a run that is parked on signals for ever is given one, an hour later. */
export async function finish({ host }: Hosted): Promise<void> {
  for (let fed = 0; ; fed++) {
    await host.drive();
    if (host.run.state.end !== null || host.dead) return;
    if (host.status === "paused") {
      // Somebody looks at a step without an attempt left, and has it tried again.
      void act(host.run, "retry");
      continue;
    }
    const waited = host.snapshot.waitingFor.find(({ kind, until }) => kind === "signal" && until === null);
    const hook = [...host.run.state.open].find(({ kind, until }) => kind === "webhook" && until === null);
    if (waited === undefined && hook !== undefined && fed <= 200) {
      host.plan(host.clock.at + 3_600_000, (run) => callTwice(run, hook.id, { fed }));
      continue;
    }
    if (waited === undefined || fed > 200) throw new Error(`stranded: ${JSON.stringify(host.snapshot)}`);
    host.signalAt(host.clock.at + 3_600_000, waited.name, `fed ${host.journal.commits.length}`);
  }
}

/** The reference run, and every crash of it. */
export async function checkProgram(program: Program, every = 1): Promise<number> {
  const reference = hostProgram(program, [], startAt);
  await finish(reference);
  const { commits } = reference.host.journal;
  // What comes behind the end, a late call, moves no handler.
  const end = commits.findLastIndex((text) => !text.includes('"webhook.rejected"'));
  let crashes = 0;
  for (let keep = 1 + (program.seed % every); keep <= end; keep += every) {
    await checkCrash(program, reference, keep);
    crashes++;
  }
  await checkEnded(program, reference);
  return crashes;
}

async function checkCrash(program: Program, reference: Hosted, keep: number): Promise<void> {
  const commits = reference.host.journal.commits.slice(0, keep);
  const { entries } = new MemoryJournal(commits);
  const hosted = hostProgram(program, commits, entries.at(-1)?.at ?? startAt);
  await finish(hosted);
  checkSame(reference, entries, hosted, program.tame);
  expect(hosted.host.journal.commits.slice(0, keep)).toEqual(commits);
}

function checkSame(before: Hosted, entries: readonly Entry[], now: Hosted, tame: boolean): void {
  const known = entries.findLast(({ kind }) => outcomeKinds.has(kind))?.seq ?? 0;
  const seen = before.life.trace.filter(({ outcome }) => outcome <= known);
  expect(now.life.trace.slice(0, seen.length).map(({ text }) => text)).toEqual(seen.map(({ text }) => text));
  const done = new Set(
    entries.flatMap((entry) => {
      if (entry.kind === "step.completed" || entry.kind === "step.failed") return [entry.step];
      return entry.kind === "undo.completed" || entry.kind === "undo.failed" ? [`${entry.step}:undo`] : [];
    }),
  );
  // An attempt of a step that runs at most once was put on record before it was made.
  const begun = new Set(entries.flatMap((entry) => (entry.kind === "step.attempt_started" ? [attemptOf(entry)] : [])));
  const again = now.life.effects.filter(({ key, attempt }) => begun.has(attemptOf({ step: stepOf(key), attempt })));
  expect(again.filter(({ key }) => stepOf(key).startsWith("once"))).toEqual([]);
  expect(now.life.effects.filter(({ key }) => done.has(stepOf(key)))).toEqual([]);
  const keys = new Map(now.life.effects.map(({ path, key }) => [path, key]));
  for (const { path, key, outcome } of before.life.effects) {
    if (outcome <= known && keys.has(path)) expect(keys.get(path)).toBe(key);
  }
  checkJournal(now.host.journal.entries);
  if (!tame) return;
  expect(now.host.status).toBe(before.host.status);
  // Of several steps that failed for good beside each other, time decides which one the handler throws, and with it
  // what of them it had heard of by then.
  const failed = before.host.journal.entries.filter(({ kind }) => kind === "step.failed").length;
  if (failed < 2) expect(now.host.snapshot.error?.code).toBe(before.host.snapshot.error?.code);
  if (failed < 2 || before.host.status === "completed") expect(logs(now)).toEqual(logs(before));
}

function attemptOf({ step, attempt }: { readonly step: string; readonly attempt: number }): string {
  return `${step} ${attempt}`;
}

/** The step an idempotency key belongs to. */
function stepOf(key: string): string {
  const [, undo, step] = /^run-1:[^:.]+(?:\.\d+)?(\.undo)?:([^:]+)$/.exec(key) ?? [];
  if (step === undefined) throw new Error(`an idempotency key of an unknown form: ${key}`);
  return undo === undefined ? step : `${step}:undo`;
}

function logs({ host }: Hosted): string[] {
  return host.journal.entries.flatMap((entry) => (entry.kind === "log.written" ? [entry.message] : [])).sort();
}

/** What holds of every journal: places and times, no outcome twice, each signal consumed once, an end. */
export function checkJournal(entries: readonly Entry[]): void {
  const outcomes = new Set<string>();
  const consumed = new Set<number>();
  let last = 0;
  for (const [i, entry] of entries.entries()) {
    expect(entry.seq).toBe(i + 1);
    expect(entry.at).toBeGreaterThanOrEqual(last);
    last = entry.at;
    if (outcomeKinds.has(entry.kind)) {
      const id =
        "step" in entry
          ? `${entry.kind.startsWith("undo") ? "undo" : "run"} ${entry.step}`
          : `${entry.kind.split(".")[0]} ${"call" in entry ? entry.call : ""}${entry.kind === "webhook.created" ? " address" : ""}`;
      const place = id.replace(/^signal/, "wait");
      expect({ place, again: outcomes.has(place) }).toEqual({ place, again: false });
      outcomes.add(place);
    }
    if (entry.kind === "signal.consumed") {
      expect(consumed.has(entry.signal)).toBe(false);
      expect(entries[entry.signal - 1]).toMatchObject({ kind: "signal.received", name: entry.name });
      for (const earlier of entries.slice(0, entry.signal - 1)) {
        if (earlier.kind === "signal.received" && earlier.name === entry.name)
          expect(consumed.has(earlier.seq)).toBe(true);
      }
      consumed.add(entry.signal);
    }
  }
  // A call that comes after the end is on record behind it.
  const end = entries.findLast(({ kind }) => kind !== "webhook.rejected");
  expect(end?.kind).toMatch(/^run\.(completed|failed|cancelled)$/);
}

/** An ended run stays as it is. */
async function checkEnded(program: Program, { host }: Hosted): Promise<void> {
  const again = hostProgram(program, host.journal.commits, host.clock.at);
  await again.host.drive();
  expect(again.host.journal.commits).toEqual(host.journal.commits);
  expect({ ...again.host.snapshot, updatedAt: 0 }).toEqual({ ...host.snapshot, updatedAt: 0 });
  expect(again.life.effects).toEqual([]);
}

/** Several deaths in a row, each after a random number of further commits. */
export async function checkDeaths(program: Program, next: (limit: number) => number): Promise<void> {
  let hosted = hostProgram(program, [], startAt);
  for (let deaths = 0; ; deaths++) {
    const { host } = hosted;
    const dieAt = host.journal.commits.length + 1 + next(6);
    const { onAppend } = host.journal;
    host.journal.onAppend = (entries) => {
      onAppend?.(entries);
      if (deaths < 6 && host.journal.commits.length >= dieAt) host.dead = true;
    };
    await finish(hosted);
    if (!host.dead) break;
    const commits = host.journal.commits.slice(0, dieAt);
    hosted = hostProgram(program, commits, host.clock.at + next(3) * 1000);
  }
  checkJournal(hosted.host.journal.entries);
  expect(hosted.host.status).toMatch(/^(completed|failed|cancelled)$/);
}
