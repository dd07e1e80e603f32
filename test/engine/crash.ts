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
import { checkEffects, checkKeys, outcomeKinds, Progress } from "./effects.ts";
import { define, MemoryJournal } from "./memory.ts";
import { Post, answered } from "./post.ts";
import type { Reply } from "./post.ts";
import { interpret } from "./program.ts";
import type { Life, Program } from "./program.ts";

/** How long a schema may take, less than it has. */
const spans: readonly number[] = [0, 0, 1, 300, 20_000];

/** One life of a program, hosted. */
export type Hosted = {
  readonly program: Program;
  readonly host: Host;
  readonly life: Life;
  readonly progress: Progress;
};

export function hostProgram(
  program: Program,
  commits: readonly string[],
  at: number,
  cold = commits.length > 0,
): Hosted {
  const life: Life = { handlers: [], trace: [], effects: [] };
  const progress = new Progress();
  const [outcome, episode] = [() => progress.outcome, () => progress.episode];
  const after = (ms: number): Promise<void> => (host.dead ? new Promise(() => {}) : host.clock.after(ms));
  const lags = createRandom(`lags ${program.seed} ${commits.length}`);
  const lag = (): number => spans[Math.floor(lags.next() * spans.length)] ?? 0;
  const around = { after, turn: () => host.clock.turn(), lag, outcome, episode };
  const reply: Reply = (order) => {
    const sent = host.entries("step.dispatched").find(({ seq }) => seq === order.id.seq);
    const attempt = sent?.attempt ?? 0;
    const path = String(order.request.body);
    life.effects.push({ path, key: order.key, attempt, outcome: outcome(), episode: episode() });
    return replyTo(order, attempt + episode());
  };
  const definition = define(interpret(program, life, around), { timeoutMs: program.timeoutMs });
  const { host }: Post = new Post(definition, reply, { commits, at, cold });
  progress.see(...host.journal.entries);
  host.journal.onAppend = (entries) => void progress.see(...entries);
  const hosted = { program, host, life, progress };
  happen(hosted);
  return hosted;
}

/** What happens to a run, from its start on or, once more, from the newest retry on. */
function happen({ program, host, progress }: Hosted): void {
  const { episode, retriedAt } = progress;
  const plan = (offset: number, act: (run: Run) => unknown): void => {
    host.plan(Math.max(host.clock.at, (retriedAt ?? startAt) + offset), act);
  };
  for (const { at, name, payload, key } of program.signals) {
    const own = episode === 0 ? key : `${key} again ${episode}`;
    plan(at, (run) => {
      signal(run, name, payload, own);
      // The same request again, as a client sends it that got no answer.
      signal(run, name, payload, own);
    });
  }
  for (const { at, ms } of program.pauses) {
    plan(at, (run) => act(run, "pause"));
    plan(at + ms, (run) => act(run, "resume"));
  }
  for (const { at, webhook } of program.calls) plan(at, (run) => callTwice(run, webhook, { offset: at }));
  if (program.cancelAt !== null) plan(program.cancelAt, (run) => act(run, "cancel"));
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
export async function finish(hosted: Hosted): Promise<void> {
  const { host } = hosted;
  for (let fed = 0; ; fed++) {
    await host.drive();
    if (host.dead) return;
    if (host.run.state.end !== null) {
      if (!retry(hosted)) return;
      continue;
    }
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

/** Somebody has a failed run tried again: a while later, and the next time at once. False where it has ended for good. */
function retry(hosted: Hosted): boolean {
  const { host, program, progress } = hosted;
  if (host.status !== "failed" || progress.episode >= program.retries) return false;
  if (progress.episode === 0) host.clock.set(host.clock.at + 60_000);
  void act(host.run, "retry");
  happen(hosted);
  return true;
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
  checkRetries(reference);
  await checkEnded(program, reference);
  return crashes;
}

async function checkCrash(program: Program, reference: Hosted, keep: number): Promise<void> {
  const commits = reference.host.journal.commits.slice(0, keep);
  const { entries } = new MemoryJournal(commits);
  const hosted = hostProgram(program, commits, entries.at(-1)?.at ?? startAt);
  await finish(hosted);
  checkSame(reference, entries, hosted);
  expect(hosted.host.journal.commits.slice(0, keep)).toEqual(commits);
}

function checkSame(before: Hosted, entries: readonly Entry[], now: Hosted): void {
  const known = new Progress().see(...entries).outcome;
  const [episode] = now.life.handlers;
  const handler = episode === undefined ? -1 : before.life.handlers.lastIndexOf(episode);
  const seen = before.life.trace.filter((note) => note.handler === handler && note.outcome <= known);
  const again = now.life.trace.filter((note) => note.handler === 0);
  expect(again.slice(0, seen.length).map(({ text }) => text)).toEqual(seen.map(({ text }) => text));
  checkEffects(now.host.journal.entries, now.life.effects, entries.length);
  checkKeys(
    before.life.effects.filter(({ outcome }) => outcome <= known),
    now.life.effects,
  );
  checkJournal(now.host.journal.entries);
  if (!now.program.tame) return;
  // Of several steps that failed for good beside each other, time decides which one the handler throws, and with it
  // what of them it had heard of by then.
  const failed = before.host.journal.entries.filter(({ kind }) => kind === "step.failed").length;
  if (failed < 2 || now.program.retries === 0) expect(now.host.status).toBe(before.host.status);
  if (failed < 2) expect(now.host.snapshot.error?.code).toBe(before.host.snapshot.error?.code);
  if (failed < 2 || before.host.status === "completed") expect(logs(now)).toEqual(logs(before));
}

/** What a handler saw before the first thing that a retry has done once more, the next one sees (guarantee 3). */
function checkRetries({ host, life }: Hosted): void {
  const { entries } = host.journal;
  for (const [handler, before] of life.handlers.entries()) {
    const episode = life.handlers[handler + 1];
    if (episode === undefined) break;
    const retried = entries.find((entry) => new Progress().see(...entries.slice(0, entry.seq)).episode === episode);
    if (episode === before || retried?.kind !== "run.retried") continue;
    const { seq, cleared } = retried;
    const first = entries.find((entry) => {
      return /^step\.(completed|failed)$/.test(entry.kind) && "step" in entry && cleared.includes(entry.step ?? "");
    });
    const upTo = Math.min(first?.seq ?? Infinity, seq);
    const [seen, again] = [handler, handler + 1].map((own) => life.trace.filter((note) => note.handler === own));
    const texts = seen?.filter(({ outcome }) => outcome < upTo).map(({ text }) => text);
    expect(again?.slice(0, texts?.length).map(({ text }) => text)).toEqual(texts);
  }
}

function logs({ host }: Hosted): string[] {
  return host.journal.entries.flatMap((entry) => (entry.kind === "log.written" ? [entry.message] : [])).sort();
}

/** What holds of every journal: places and times, no outcome twice but after a retry, each signal consumed once, an end. */
export function checkJournal(entries: readonly Entry[]): void {
  const outcomes = new Set<string>();
  const consumed = new Set<number>();
  let last = 0;
  for (const [i, entry] of entries.entries()) {
    expect(entry.seq).toBe(i + 1);
    expect(entry.at).toBeGreaterThanOrEqual(last);
    last = entry.at;
    if (entry.kind === "run.retried") {
      // What was undone, is being done again.
      for (const step of entry.cleared) outcomes.delete(`run ${step}`);
      for (const place of outcomes) if (place.startsWith("undo ")) outcomes.delete(place);
    }
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
