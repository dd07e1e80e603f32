/**
 * Random handlers that get queries, updates, signals and actions while they run, generated from a seed; and what must hold for
 * them after any death of their process.
 */
import { expect } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";
import type { UpdateAnswer } from "../../src/core/service/service.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { receiveUpdate } from "../../src/engine/ask/update.ts";
import { Host, act, signal, startAt } from "./host.ts";

/** What a function that is asked, or told, does before it answers. */
type Manner = "at once" | "step" | "failing step" | "sleep" | "throw" | "open" | "own promise";

type Move = { readonly t: "run" | "sleep" | "gate" | "wait" | "spread" | "late"; readonly ms: number };

type Message = {
  readonly at: number;
  readonly to: "update" | "listener";
  readonly name: string;
  readonly value: string;
};

export type RequestProgram = {
  readonly seed: number;
  readonly moves: readonly Move[];
  readonly updates: readonly Manner[];
  readonly listeners: readonly Manner[];
  readonly messages: readonly Message[];
  readonly pauses: readonly { readonly at: number; readonly ms: number }[];
};

const spans: readonly number[] = [0, 0, 1, 500, 60_000, 3_600_000, 3 * 86_400_000];

export function makeRequestProgram(seed: number): RequestProgram {
  const random = createRandom(`inquiry ${seed}`);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item;
  const many = <Item>(limit: number, make: () => Item): Item[] => Array.from({ length: 1 + below(limit) }, make);
  const manners = (of: readonly Manner[]) => many(3, () => pick(of));
  const updates = manners(["at once", "step", "failing step", "sleep", "throw", "open", "own promise"]);
  const listeners = manners(["at once", "step", "sleep", "open", "own promise"]);
  const message = (): Message => {
    const to = pick(["update", "listener"] as const);
    const name = `${to}${below(to === "update" ? updates.length : listeners.length)}`;
    return { at: below(3) === 0 ? 0 : pick(spans) + below(3), to, name, value: `m${below(1000)}` };
  };
  return {
    seed,
    moves: many(5, () => ({ t: pick(["run", "run", "sleep", "gate", "wait", "spread", "late"]), ms: pick(spans) })),
    updates,
    listeners,
    messages: many(8, message),
    pauses: below(4) === 0 ? many(2, () => ({ at: pick(spans), ms: pick(spans) })) : [],
  };
}

type Trace = { readonly text: string; readonly outcome: number }[];

/** The handler: everything it hears and learns is noted in its order, and is its output. */
function perform({ moves, updates, listeners }: RequestProgram, trace: Trace, outcome: () => number) {
  return async (_input: never, step: Step): Promise<string[]> => {
    const told: string[] = [];
    const note = (text: string): number => {
      trace.push({ text, outcome: outcome() });
      return told.push(text);
    };
    let openings = 0;
    let opened = (): void => {};
    const open = (): void => {
      openings++;
      opened();
    };
    const gate = async (): Promise<void> => {
      if (openings === 0) await new Promise<void>((resolve) => (opened = resolve));
      openings--;
    };
    const hear = (who: string, manner: Manner) => (value: string) =>
      answer(step, `${who} ${value}`, manner, note, open);
    step.query("told", () => told);
    for (const [i, manner] of updates.entries()) step.update(`update${i}`, null, hear(`update${i}`, manner));
    for (const [i, manner] of listeners.entries()) step.onSignal(`listener${i}`, hear(`listener${i}`, manner));
    step.onSignal("open", open);
    for (const { t, ms } of moves) {
      if (t === "run") note(`ran ${await step.run("move", () => step.now())}`);
      else if (t === "sleep") note(`slept ${String(await step.sleep(ms))}`);
      else if (t === "gate") note(`through ${String(await gate())}`);
      else if (t === "wait") note(`got ${String(await step.waitFor("go", { timeout: ms }))}`);
      else if (t === "spread") note(`both ${String(await Promise.all([step.run("left", () => "l"), step.sleep(ms)]))}`);
      else step.onSignal("listener0", hear("late", "at once"));
    }
    await gate();
    return told;
  };
}

async function answer(
  step: Step,
  what: string,
  manner: Manner,
  note: (text: string) => number,
  open: () => void,
): Promise<string> {
  const count = note(what);
  switch (manner) {
    case "at once":
      break;
    case "step":
      note(`${what} did ${await step.run("asked", () => what)}`);
      break;
    case "failing step":
      await step.run("fails", ({ attempt }) => Promise.reject(new RangeError(`${attempt}`)), { retry: { limit: 1 } });
      break;
    case "sleep":
      await step.sleep(700);
      note(`${what} slept`);
      break;
    case "throw":
      throw new TypeError(what);
    case "open":
      open();
      break;
    case "own promise":
      for (let i = 0; i < 3; i++) await Promise.resolve();
      note(`${what} on its own`);
      break;
    default:
      return manner satisfies never;
  }
  return `${what} as ${count}`;
}

const outcomeKinds: ReadonlySet<Entry["kind"]> = new Set([
  "step.completed",
  "step.failed",
  "timer.fired",
  "wait.timed_out",
  "signal.consumed",
  "update.accepted",
]);

type Life = { readonly host: Host; readonly trace: Trace; readonly answers: Map<string, unknown> };

function live(program: RequestProgram, commits: readonly string[], at: number, cold = commits.length > 0): Life {
  const trace: Trace = [];
  const answers = new Map<string, unknown>();
  let outcome = 0;
  const notice = (entries: readonly Entry[]): void => {
    for (const { kind, seq } of entries) if (outcomeKinds.has(kind)) outcome = seq;
  };
  const host = new Host(
    perform(program, trace, () => outcome),
    { commits, at, cold },
  );
  notice(host.journal.entries);
  host.journal.onAppend = notice;
  for (const [i, { at: offset, to, name, value }] of program.messages.entries()) {
    host.plan(Math.max(at, startAt + offset), (run) => {
      if (to === "listener") signal(run, name, value, `key-${i}`);
      else void ask(host, name, value, `key-${i}`).then((said) => answers.set(`key-${i}`, said));
    });
  }
  for (const { at: offset, ms } of program.pauses) {
    host.plan(Math.max(at, startAt + offset), (run) => act(run, "pause"));
    host.plan(Math.max(at, startAt + offset + ms), (run) => act(run, "resume"));
  }
  return { host, trace, answers };
}

/** Asks until there is an answer: a paused run is asked again later. */
async function ask(host: Host, name: string, value: string, key: string): Promise<unknown> {
  try {
    const request = { name, argument: encode(value, "a value"), key, by: "test" };
    const { end } = await receiveUpdate(host.run, request, () => !host.dead);
    return read(await end);
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
}

function read(said: UpdateAnswer): unknown {
  if (said.kind === "completed") return decode(said.result);
  return said.kind === "failed" ? `${said.error.name} ${said.error.message}` : said.kind;
}

/** Drives to the end; a handler that waits to be let through is let through, an hour later. */
async function finish({ host }: Life): Promise<void> {
  for (let fed = 0; ; fed++) {
    await host.drive();
    if (host.run.state.end !== null || host.dead) return;
    if (fed > 50) throw new Error(`stranded: ${JSON.stringify(host.snapshot)}`);
    host.signalAt(host.clock.at + 3_600_000, "open", "fed");
  }
}

/** The reference run, and every crash of it; answers how many. */
export async function checkRequestProgram(program: RequestProgram): Promise<number> {
  const first = live(program, [], startAt);
  await finish(first);
  // Whoever is asked later runs the handler too, and leaves its trace.
  const reference = { ...first, trace: [...first.trace] };
  await checkStory(first);
  const { commits } = reference.host.journal;
  for (let keep = 1; keep < commits.length; keep++) await checkCrash(program, reference, keep);
  return commits.length - 1;
}

async function checkCrash(program: RequestProgram, reference: Life, keep: number): Promise<void> {
  const commits = reference.host.journal.commits.slice(0, keep);
  const entries = commits.flatMap((text) => JSON.parse(text) as Entry[]);
  const later = live(program, commits, entries.at(-1)?.at ?? startAt, keep % 3 > 0);
  await finish(later);
  const known = entries.findLast(({ kind }) => outcomeKinds.has(kind))?.seq ?? 0;
  const seen = reference.trace.filter(({ outcome }) => outcome <= known).map(({ text }) => text);
  expect(later.trace.slice(0, seen.length).map(({ text }) => text)).toEqual(seen);
  for (const entry of entries) {
    if (entry.kind === "update.completed") expect(ends(later)).toContainEqual(entry);
  }
  await checkStory(later);
}

/** Several deaths in a row, each after a random number of further commits. */
export async function checkDeaths(program: RequestProgram, next: (limit: number) => number): Promise<void> {
  let life = live(program, [], startAt);
  for (let deaths = 0; ; deaths++) {
    const { host } = life;
    const dieAt = host.journal.commits.length + 1 + next(8);
    const { onAppend } = host.journal;
    host.journal.onAppend = (entries) => {
      onAppend?.(entries);
      if (deaths < 5 && host.journal.commits.length >= dieAt) host.dead = true;
    };
    await finish(life);
    // A process that dies right behind the end leaves nothing to do.
    if (host.journal.kinds.at(-1) === "run.completed") host.dead = false;
    if (!host.dead) return await checkStory(life);
    life = live(program, host.journal.commits.slice(0, dieAt), host.clock.at + next(3) * 1000);
  }
}

function ends({ host }: Life): Entry[] {
  return host.journal.entries.filter(({ kind }) => kind === "update.completed" || kind === "update.failed");
}

/** What holds of every such run, once it has ended. */
async function checkStory(life: Life): Promise<void> {
  const { host, answers } = life;
  const { entries } = host.journal;
  expect(host.status).toBe("completed");
  const accepted = host.entries("update.accepted");
  expect(new Set(accepted.map(({ key }) => key)).size).toBe(accepted.length);
  // Each has one end, and what its caller was told is what is on record.
  expect(
    ends(life)
      .map((entry) => "update" in entry && entry.update)
      .toSorted(),
  ).toEqual(accepted.map(({ update }) => update).toSorted());
  for (const { key = "", name, argument } of accepted) {
    const again = await ask(host, name, decode(argument) as string, key);
    if (answers.has(key)) expect(answers.get(key)).toEqual(again);
  }
  checkSignals(entries);
  // The handler was told everything once, and another one is told the same in the same order.
  const told = life.trace.map(({ text }) => text);
  const output = host.output as string[];
  expect(told.slice(0, output.length)).toEqual(output);
  const heard = entries.filter((entry) => entry.kind === "signal.consumed" && entry.listener && entry.name !== "open");
  expect(told.filter((text) => /^(update\d|listener\d|late) m\d+$/.test(text))).toHaveLength(
    accepted.length + heard.length,
  );
  const { commits } = host.journal;
  expect(await host.run.replica().answer("told")).toEqual({ kind: "answered", result: encode(told, "told") });
  expect(host.journal.commits).toEqual(commits);
}

function checkSignals(entries: readonly Entry[]): void {
  const received = new Map<string, number[]>();
  for (const entry of entries) {
    if (entry.kind === "signal.received") received.set(entry.name, [...(received.get(entry.name) ?? []), entry.seq]);
    if (entry.kind === "signal.consumed") expect(entry.signal).toBe(received.get(entry.name)?.shift());
  }
  const listened = entries
    .filter(({ kind }) => kind === "listener.added")
    .map((entry) => "name" in entry && entry.name);
  expect(new Set(listened).size).toBe(listened.length);
}
