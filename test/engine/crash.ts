/** The crash property: what must hold of a run however and whenever its process dies. */
import { expect } from "vitest";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import type { Order } from "../../src/core/courier/order.ts";
import { createRandom } from "../../src/core/random.ts";
import type { Schema } from "../../src/core/definition/schema.ts";
import type { Run } from "../../src/engine/run.ts";
import { act, signal, startAt } from "./host.ts";
import type { Host } from "./host.ts";
import { Archive } from "./archive.ts";
import type { Write } from "./archive.ts";
import { checkEffects, checkKeys, checkSignals, checkUndone, Progress } from "./effects.ts";
import type { Effect } from "./effects.ts";
import { checkLives } from "./lives.ts";
import { define } from "./memory.ts";
import type { ManualClock } from "./memory.ts";
import { checkSecrets, payloadOf } from "./values.ts";
import { Visitor, unlessRefused } from "./visitor.ts";
import { FakeCouriers, answered } from "./couriers.ts";
import type { Known, Reply } from "./couriers.ts";
import { checkPublished, surroundingsOf } from "./processes.ts";
import { checkQuestions, inquire } from "./question.ts";
import type { Question } from "./question.ts";
import { interpret, newLife } from "./player.ts";
import type { Life } from "./player.ts";
import type { Jolt, Program } from "./program.ts";

/** One life of a program, hosted. */
export type Hosted = {
  readonly program: Program;
  readonly host: Host;
  readonly couriers: FakeCouriers;
  readonly life: Life;
  readonly progress: Progress;
  /** With what earlier processes wrote: so many entries. */
  readonly archive: Archive;
  readonly earlier: number;
  readonly visitor: Visitor;
  readonly questions: Question[];
  readonly ask: () => Promise<void>;
};

/**
 * @param before what earlier processes wrote, if it was not all of one life
 * @param known what couriers had to tell these; half of the time they outlive them, or else they have died and forgotten all
 */
export function hostProgram(
  program: Program,
  commits: readonly string[],
  at: number,
  cold = commits.length > 0,
  before: readonly Write[] = [],
  known: readonly Known[] = [],
): Hosted {
  const life = newLife();
  const progress = new Progress();
  const lags = createRandom(`lags ${program.seed} ${commits.length}`);
  const around = surroundingsOf(
    () => host,
    () => progress,
    lags,
  );
  const { after, lag, outcome, episode } = around;
  const reply: Reply = (order) => {
    const sent = host.entries("step.dispatched").find(({ seq }) => seq === order.id.seq);
    const attempt = sent?.attempt ?? 0;
    life.effects.push({ ...requested(order), attempt, outcome: outcome(), episode: episode() });
    return replyTo(order, attempt + episode());
  };
  const { timeoutMs, steps, perStep, deployment } = program;
  const options = {
    timeoutMs,
    limits: { steps, perStep },
    input: program.judged ? slowly(async () => await after(lag())) : undefined,
  };
  const definition = define(interpret(program, life, around), options);
  const couriers: FakeCouriers = new FakeCouriers(definition, reply, { commits, at, cold, deployment });
  const { host } = couriers;
  if ((program.seed + before.length) % 2 === 0) couriers.outlive(known);
  const archive = new Archive(before);
  if (before.length === 0) archive.see(host.journal, host.journal.entries);
  progress.see(...archive.entries);
  const earlier = archive.entries.length;
  const questions: Question[] = [];
  const ask = async (): Promise<void> => {
    const own = newLife();
    const question = await inquire(host, progress.outcome, define(interpret(program, own, around), options), own);
    if (question !== null) questions.push(question);
  };
  const hosted: Hosted = {
    program,
    host,
    couriers,
    life,
    progress,
    archive,
    earlier,
    visitor: new Visitor(),
    questions,
    ask,
  };
  host.journal.onAppend = (entries) => {
    archive.see(host.journal, entries);
    progress.see(...entries);
    for (const jolt of program.jolts)
      if (jolt.write === archive.writes.length) void later(hosted, jolt.turns, () => strike(hosted, jolt));
    if ((archive.writes.length + program.seed) % 6 === 0) void later(hosted, archive.writes.length % 3, ask);
  };
  happen(hosted);
  // What came before the process died, is asked for once more.
  for (const { what, write } of program.jolts)
    if (what === "update" && write <= before.length) host.plan(at, () => hosted.visitor.update(host, write));
  return hosted;
}

/** What happens to a run, from its start on or, once more, from the newest retry on. */
function happen(hosted: Hosted): void {
  const { program, host, progress, visitor } = hosted;
  const { episode, retriedAt } = progress;
  const plan = (offset: number, act: (run: Run) => unknown): void => {
    host.plan(Math.max(host.clock.at, (retriedAt ?? startAt) + offset), act);
  };
  for (const { at, name, payload, key } of program.signals) {
    const own = episode === 0 ? key : `${key} again ${episode}`;
    plan(at, (run) => {
      signal(run, name, payloadOf(payload), own);
      // The same request again, as a client sends it that got no answer.
      signal(run, name, payloadOf(payload), own);
    });
  }
  for (const { at, ms } of program.pauses) {
    plan(at, (run) => act(run, "pause"));
    plan(at + ms, (run) => act(run, "resume"));
  }
  for (const { at, argument } of program.asks ? program.updates : []) plan(at, () => visitor.update(host, argument));
  for (const { at, webhook } of program.calls) plan(at, () => visitor.call(host, webhook, at));
  if (program.cancelAt !== null) plan(program.cancelAt, () => strike(hosted, { what: "cancel", write: 0 }));
}

/** So many turns behind what the run does now, unless it dies before. */
async function later({ host }: Hosted, turns: number, act: () => Promise<void>): Promise<void> {
  for (let turn = 0; turn <= turns; turn++) await host.clock.turn();
  if (!host.dead) await act();
}

/** Something comes in the middle of what the run does. */
async function strike({ host, visitor }: Hosted, { what, write }: Omit<Jolt, "turns">): Promise<void> {
  await unlessRefused(async () => {
    const name = what === "signal" ? "go" : "heard";
    if (what === "signal" || what === "heard") signal(host.run, name, payloadOf(`struck ${write}`), `struck ${write}`);
    else if (what === "update") await visitor.update(host, write);
    else if (what === "call") await visitor.call(host, write % 3 === 0 ? "signed" : "paid", write);
    else await act(host.run, what);
  });
  // Whoever hosts the run looks at it then; a pause does not last for ever.
  host.plan(host.clock.at + (what === "pause" ? 5000 : 0), (run) =>
    what === "pause" ? act(run, "resume") : undefined,
  );
}

/** A schema that takes its time, and anything. */
function slowly(wait: () => Promise<void>): Schema {
  const validate = async (value: unknown): Promise<{ value: unknown }> => {
    await wait();
    return { value };
  };
  return { "~standard": { version: 1, vendor: "test", validate } };
}

/** The request as an effect of the step that has it made. */
export function requested({ request, key }: Order): Pick<Effect, "path" | "key" | "signal" | "undoable"> {
  return { path: String(request.body), key, signal: null, undoable: request.url.endsWith("/undo") };
}

/** What a request comes to, as its address says: so long, and refused so often. */
export function replyTo({ request }: Order, attempt: number): NonNullable<ReturnType<Reply>> {
  const [ms = 0, fails = 0] = new URL(request.url).pathname.slice(1).split("/").map(Number);
  const refused = { kind: "refused", status: 503, begins: "", waitMs: null } as const;
  return { end: attempt > fails ? answered("told") : refused, ms };
}

/**
 * Drives to the end; a run that is parked on signals for ever is given one, an hour later.
 * @param isChanged its code may not be able to go on with its history: such a run is terminated
 */
export async function finish(hosted: Hosted, isChanged = false): Promise<void> {
  const { host, visitor } = hosted;
  for (let fed = 0; ; fed++) {
    await host.drive();
    if (host.dead) return;
    if (host.run.state.end !== null) {
      if (!retry(hosted)) return await linger(host.clock);
      continue;
    }
    if (host.status === "paused") {
      // Somebody looks at a step without an attempt left, and has it tried again; or ends a pause whose maker died.
      const isExhausted = [...host.run.state.open].some(({ exhausted }) => exhausted);
      const isStuck = isChanged && host.snapshot.error?.code === "step_kind_changed";
      void act(host.run, isStuck ? "terminate" : isExhausted ? "retry" : "resume");
      continue;
    }
    const waits = host.snapshot.waitingFor.filter(({ kind, until }) => kind === "signal" && until === null);
    const unheard = waits.filter(({ name }) => !host.run.state.listeners.has(name));
    const hooks = [...host.run.state.open].filter(({ kind, until }) => kind === "webhook" && until === null);
    // Of those that are open, one may be waited for by other code only: each has its turn.
    const turn = isChanged ? fed : 0;
    const hook = hooks[(turn >> 1) % Math.max(1, hooks.length)];
    const isHooksTurn = hook !== undefined && turn % 2 === 1;
    const waited = isHooksTurn ? undefined : unheard[(turn >> 1) % Math.max(1, unheard.length)];
    if (waited === undefined && hook !== undefined && fed <= 200) {
      host.plan(host.clock.at + 3_600_000, () => visitor.call(host, hook.id, fed));
      continue;
    }
    if (waited === undefined && waits.length > 0 && fed <= 200) {
      // What it waits for, a function hears.
      void act(host.run, "cancel");
      continue;
    }
    if (waited === undefined || fed > 200) throw new Error(`stranded: ${JSON.stringify(host.snapshot)}`);
    host.signalAt(host.clock.at + 3_600_000, waited.name, payloadOf(`fed ${host.journal.commits.length}`));
  }
}

/** What takes its time, though the run is over: no schema has longer. */
async function linger(clock: ManualClock): Promise<void> {
  const until = clock.at + 60_000;
  for (await clock.idle(); clock.nextAt <= until; await clock.idle()) clock.set(clock.nextAt);
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
  const { writes } = reference.archive;
  // What comes behind the end, a late call, moves no handler.
  const end = writes.findLastIndex(({ entries }) => entries.some(({ kind }) => kind !== "webhook.rejected"));
  let crashes = 0;
  for (let keep = 1 + (program.seed % every); keep <= end; keep += every) {
    await checkCrash(program, reference, keep);
    crashes++;
  }
  checkRetries(reference);
  checkAnswers(reference);
  checkSecrets(reference.archive.entries);
  await checkEnded(program, reference);
  return crashes;
}

async function checkCrash(program: Program, reference: Hosted, keep: number): Promise<void> {
  const before = reference.archive.writes.slice(0, keep);
  const entries = before.flatMap((write) => write.entries);
  const commits = before.at(-1)?.commits ?? [];
  const at = entries.at(-1)?.at ?? startAt;
  const hosted = hostProgram(program, commits, at, true, before, reference.couriers.known);
  if (keep % 4 === 0) await askAlone(hosted);
  await finish(hosted);
  checkSame(reference, entries, hosted);
  checkAnswers(hosted);
  const wasRenewed = hosted.archive.writes.slice(keep).some(({ anew }) => anew);
  if (!wasRenewed) expect(hosted.host.journal.commits.slice(0, commits.length)).toEqual(commits);
}

/** A query changes nothing. */
async function askAlone({ program, host: { journal }, ask }: Hosted): Promise<void> {
  const { commits } = journal;
  const answered = ask();
  // What it began with is judged in its own time.
  if (!program.judged) await answered;
  expect(journal.commits).toEqual(commits);
}

function checkAnswers(hosted: Hosted): void {
  const { visitor, questions, life, archive, host } = hosted;
  if (!host.dead) checkPublished(archive.lives, life, host.run);
  visitor.check(archive.entries);
  const isCut = host.dead || host.snapshot.error?.code === "terminated";
  checkQuestions(questions, life, archive.entries, isCut);
  checkSignals(archive.entries, life.effects, host.dead);
  if (!host.dead) checkUndone(archive.entries, life.effects, host.run.state);
  // What was done is what is undone; in a run that is retried another call may have its name.
  const undone = life.effects.filter(({ path }) => hosted.program.retries === 0 && path.includes(" undone of "));
  expect(undone).toEqual([]);
}

function checkSame(before: Hosted, entries: readonly Entry[], now: Hosted): void {
  const known = new Progress().see(...entries).outcome;
  const [first] = now.life.handlers;
  const handler = before.life.handlers.findLastIndex((each) => {
    return each.episode === first?.episode && each.round === first.round;
  });
  const seen = before.life.trace.filter((note) => note.handler === handler && note.outcome <= known);
  checkSeen(
    seen,
    now.life.trace.filter((note) => note.handler === 0),
    now.host,
  );
  checkEffects(now.archive.entries, now.life.effects, entries.length);
  checkKeys(
    before.life.effects.filter(({ outcome }) => outcome <= known),
    now.life.effects,
  );
  checkLives(now.archive.lives);
  for (const { round, answer } of now.life.patched) {
    const isAdopted = now.archive.lives[round]?.some(({ kind }) => kind === "patch.adopted");
    expect({ round, answer }).toEqual({ round, answer: isAdopted });
  }
  if (!now.program.tame) return;
  // Of several steps that fail for good beside each other, time decides which one the handler throws, and with it
  // what of them it had heard of by then; the first may keep the others from failing.
  const over = new Set([...stepsOf(before, "step.completed"), ...stepsOf(before, "step.failed")]);
  const others = stepsOf(now, "step.failed").filter((step) => !over.has(step));
  const failed = stepsOf(before, "step.failed").length + others.length;
  if (failed < 2 || now.program.retries === 0) expect(now.host.status).toBe(before.host.status);
  if (failed < 2) expect(now.host.snapshot.error?.code).toBe(before.host.snapshot.error?.code);
  if (failed < 2 || before.host.status === "completed") expect(logs(now)).toEqual(logs(before));
}

function stepsOf({ archive }: Hosted, kind: "step.completed" | "step.failed"): string[] {
  return archive.entries.flatMap((entry) => (entry.kind === kind ? [entry.step] : []));
}

/** What a handler saw before the first thing that a retry has done once more, the next one sees (guarantee 3). */
function checkRetries({ archive: { entries }, life, host }: Hosted): void {
  for (const [handler, before] of life.handlers.entries()) {
    const after = life.handlers[handler + 1];
    if (after === undefined) break;
    // Where a timeout ended it before a handler began, it was retried more than once.
    const retries = entries.filter((entry): entry is EntryOf<"run.retried"> => {
      const { episode } = new Progress().see(...entries.slice(0, entry.seq));
      return entry.kind === "run.retried" && episode > before.episode && episode <= after.episode;
    });
    const seq = retries[0]?.seq;
    if (seq === undefined) continue;
    const cleared = retries.flatMap((entry) => entry.cleared);
    const since = entries.findLast((entry) => entry.kind === "run.created" && entry.seq < seq)?.seq ?? 0;
    const first = entries.slice(since).find((entry) => {
      return /^step\.(completed|failed)$/.test(entry.kind) && "step" in entry && cleared.includes(entry.step ?? "");
    });
    const upTo = Math.min(first?.seq ?? Infinity, seq);
    const [seen, again] = [handler, handler + 1].map((own) => life.trace.filter((note) => note.handler === own));
    checkSeen(seen?.filter(({ outcome }) => outcome < upTo) ?? [], again ?? [], host);
  }
}

/** A handler that begins anew sees the same; one that is terminated in the midst of its replay, no more of it. */
function checkSeen(before: Life["trace"], again: Life["trace"], { snapshot }: Host): void {
  const isCut = snapshot.error?.code === "terminated" && again.length < before.length;
  const [seen, now] = [before, again].map((notes) => notes.slice(0, isCut ? again.length : before.length));
  expect(now?.map(({ text }) => text)).toEqual(seen?.map(({ text }) => text));
}

function logs({ archive }: Hosted): string[] {
  return archive.entries.flatMap((entry) => (entry.kind === "log.written" ? [entry.message] : [])).sort();
}

/** An ended run stays as it is. */
async function checkEnded(program: Program, { host }: Hosted): Promise<void> {
  const again = hostProgram(program, host.journal.commits, host.clock.at);
  await again.host.drive();
  expect(again.host.journal.commits).toEqual(host.journal.commits);
  expect({ ...again.host.snapshot, updatedAt: 0 }).toEqual({ ...host.snapshot, updatedAt: 0 });
  expect(again.life.effects).toEqual([]);
  await askAlone(again);
}

/**
 * Several deaths in a row, each after a random number of further commits; or each as soon as it was noted what the one before
 * cut off, so that steps come under suspicion, and the run is cancelled then.
 */
export async function checkDeaths(program: Program, next: (limit: number) => number): Promise<void> {
  let hosted = hostProgram(program, [], startAt);
  const effects: Effect[] = [];
  const isRash = next(3) === 0;
  for (let deaths = 0; ; deaths++) {
    const { host } = hosted;
    const { writes } = hosted.archive;
    const dieAt = writes.length + (isRash && deaths > 0 ? 2 + next(2) : 1 + next(6));
    const { onAppend } = host.journal;
    host.journal.onAppend = (entries) => {
      onAppend?.(entries);
      if (deaths < (isRash ? 4 : 6) && writes.length >= dieAt) host.dead = true;
    };
    if (isRash && deaths > 2) host.plan(host.clock.at + (spans[next(4)] ?? 0), (run) => act(run, "cancel"));
    await finish(hosted);
    checkAnswers(hosted);
    effects.push(...hosted.life.effects);
    if (!host.dead) break;
    const commits = writes.at(-1)?.commits ?? [];
    hosted = hostProgram(program, commits, host.clock.at + next(3) * 1000, true, writes, hosted.couriers.known);
  }
  checkLives(hosted.archive.lives);
  checkSecrets(hosted.archive.entries);
  checkUndone(hosted.archive.entries, effects, hosted.host.run.state);
  expect(hosted.host.status).toMatch(/^(completed|failed|cancelled)$/);
}

/** How long behind the last of several deaths a run is cancelled. */
const spans: readonly number[] = [0, 1, 100, 1000];

/** What the first or the last handler saw, without the time. */
export function seen({ life }: Hosted, which: "first" | "last", upTo = Infinity): string[] {
  const own = which === "first" ? 0 : life.handlers.length - 1;
  const before = life.trace.filter(({ outcome, handler }) => handler === own && outcome <= upTo);
  return before.map(({ text }) => text.replace(/ \d{13} (?=0\.)/, " "));
}

/** What the handlers logged, in all. */
export function logsOf({ host }: Hosted): string[] {
  return host
    .entries("log.written")
    .map(({ message }) => message)
    .toSorted();
}
