/** Compares what the journals say with what the ledger saw; every sentence it makes names the guarantee that is broken. */
import type { Client, Entry, RunView } from "../outside/client.ts";
import type { Effect, Ledger } from "../outside/ledger.ts";
import type { Sight } from "./drive.ts";
import type { Op } from "./plan.ts";

export type Told = Entry & {
  readonly undo?: boolean;
  readonly held?: boolean;
  readonly child?: { readonly id: string };
};

/** A run as it has ended. */
export type Ended = { readonly view: RunView; readonly entries: readonly Told[]; readonly effects: readonly Effect[] };

/** Reads everything there is of a run. @throws when it does not end within the wait */
export async function read(client: Client, ledger: Ledger, id: string): Promise<Ended> {
  const view = await client.end(id);
  return { view, entries: await client.history(id), effects: ledger.of(id) };
}

/** What is wrong with a run that nobody planned by itself: a child, a firing. */
export function auditRun({ view, entries, effects }: Ended): string[] {
  const first = entries[0]?.seq ?? 0;
  return [
    ...(isOver(view) ? [] : [`(4) is ${view.status} and does not end: ${view.reason}`]),
    ...(entries.every(({ seq }, index) => seq === first + index) ? [] : ["(8) its history has gaps"]),
    ...auditSteps(entries, effects),
    ...auditUndo(view, entries),
    ...auditSignals(entries),
  ];
}

/** What is wrong with a run that was planned and driven. */
export function auditPlanned(sight: Sight, ended: Ended): string[] {
  if (hasCrashed(ended)) return [...auditRun(ended), ...auditCrash(ended)];
  const { plan } = sight;
  const { view, entries, effects } = ended;
  const expected = ends[plan.input.end];
  return [
    ...sight.wrong,
    ...auditRun(ended),
    ...(view.status === expected ? [] : [`(8) it is to be ${expected} and is ${view.status}: ${view.error?.message}`]),
    ...(isPrefix(sight.seen, entries) || plan.input.rounds > 0 ? [] : ["(1) what was shown of it is gone"]),
    ...auditFailures(plan.input.ops, entries, view),
    ...auditUpdates(sight, effects),
    ...(view.status === "completed" ? auditHeard(view, entries) : []),
    ...(view.status === "completed" ? auditSent(sight, entries) : []),
    ...auditRounds(plan.input.rounds, effects, view),
    ...auditVersion(view, effects),
  ];
}

/** A step was held to have killed its process, in this run or in a child's. */
export function hasCrashed({ view }: Ended): boolean {
  return JSON.stringify(view.error ?? {}).includes('"step_crashed"');
}

/** Rightly so only where it was at work in five deaths in a row that came with no deployment. */
function auditCrash({ view, entries }: Ended): string[] {
  if (view.error?.code !== "step_crashed") return [];
  const { step } = view.error;
  const held = entries.filter(
    (entry) => entry.kind === "step.interrupted" && entry.step === step && entry.held === true,
  );
  return held.length >= 5 ? [] : [`(4) ${step} is said to have crashed after ${held.length} deaths`];
}

const ends = { return: "completed", throw: "failed", bail: "cancelled", park: "cancelled" } as const;

function isOver({ status }: RunView): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** `s3#2`, and `s3:undo` where it was undone, out of an Idempotency-Key. */
function stepOf(effect: Effect): string {
  const life = lifeOf(effect);
  const step = effect.key.slice(effect.run.length + life.length + 2);
  return life.endsWith(".undo") ? `${step}:undo` : step;
}

/** When the run was created, and which of what is done under one name it is. */
function lifeOf({ run, key }: Effect): string {
  const rest = key.slice(run.length + 1);
  return rest.slice(0, rest.indexOf(":"));
}

/** The steps of the run's present life: a run that went on as new has those of its last creation only. */
function auditSteps(entries: readonly Told[], effects: readonly Effect[]): string[] {
  const wrong: string[] = [];
  for (const own of groups(effects, ({ key }) => key).values()) {
    const first = own[0] as Effect;
    const step = stepOf(first);
    const lives = groups(own, ({ attempt, life }) => `${attempt} in life ${life}`);
    // Only the journal knows which attempt a courier made: each after the first is of one that failed.
    const most = first.attempt === 0 ? 1 + failuresOf(entries, step) : 1;
    for (const [attempt, same] of lives) {
      if (same.length > most) wrong.push(`(2) ${step} attempt ${attempt} was made ${same.length} times`);
    }
    // Whether a later attempt had begun when its time had come, only the ledger knows.
    const again = Math.max(0, own.filter(({ attempt }) => attempt === 1).length - 1);
    const { current, marks } = marksOf(entries, step, lifeOf(first));
    if (current && again > marks)
      wrong.push(`(8) ${step} was made again ${again} times, its journal has ${marks} marks`);
  }
  for (const [step, done] of groups(entries.filter(isCompletion), ({ step }) => step ?? "")) {
    if (done.length > 1) wrong.push(`(2) ${step} completed ${done.length} times`);
    const result = valueOf(done[0] as Told);
    if (typeof result !== "number") continue;
    const own = effects.filter((effect) => stepOf(effect) === step);
    // The request of an attempt that timed out may come after that of the next.
    if (own[0]?.attempt === 0 && failuresOf(entries, step) > 0 && own.some(({ value }) => value === result)) continue;
    // A later effect would have a larger value.
    if (own.at(-1)?.value !== result)
      wrong.push(`(2) ${step} has ${result} on record, its last effect ${own.at(-1)?.value}`);
  }
  return wrong;
}

function failuresOf(entries: readonly Told[], step: string): number {
  return entries.filter(({ kind, step: of }) => kind === "step.attempt_failed" && of === step).length;
}

/** What the ledger gave the step, by its result: of a request that a courier made that is a whole answer. */
function valueOf({ result }: Told): unknown {
  const { body } = (result ?? {}) as { readonly body?: { readonly value?: unknown } };
  return body === undefined ? result : body.value;
}

/** How often the journal says that the step was interrupted; what it was before it went on as new is not on record. */
function marksOf(entries: readonly Told[], step: string, life: string): { current: boolean; marks: number } {
  const created = entries.find(({ kind }) => kind === "run.created");
  const name = step.replace(/:undo$/, "");
  const kinds = step.endsWith(":undo") ? undoMarks : stepMarks;
  const marks = entries.filter((entry) => kinds.has(entry.kind) && entry.step === name).length;
  const birth = created === undefined ? "" : Date.parse(created.at).toString(36);
  return { current: life.split(".")[0] === birth, marks };
}

const stepMarks: ReadonlySet<string> = new Set(["step.interrupted", "step.attempt_started"]);
const undoMarks: ReadonlySet<string> = new Set(["undo.interrupted", "undo.attempt_started"]);

function isCompletion({ kind }: Told): boolean {
  return kind === "step.completed";
}

/** Steps that can be undone are, in reverse order, where the run failed or was cancelled; and nothing else is. */
function auditUndo({ status }: RunView, entries: readonly Told[]): string[] {
  const done = entries.filter((entry) => isCompletion(entry) && entry.undo === true).map(({ step }) => step);
  const undone = entries.filter(({ kind }) => kind === "undo.completed").map(({ step }) => step);
  const expected = status === "failed" || status === "cancelled" ? done.toReversed() : [];
  return same(undone, expected) ? [] : [`(8) undone is ${undone.join(", ")}, not ${expected.join(", ")}`];
}

function auditSignals(entries: readonly Told[]): string[] {
  const wrong: string[] = [];
  for (const [name, all] of groups(entries.filter(isSignal), ({ name }) => name ?? "")) {
    const received = all.filter(({ kind }) => kind === "signal.received");
    const keys = received.map(({ key }) => key);
    const consumed = all.filter(({ kind }) => kind === "signal.consumed").map(({ signal }) => signal);
    const order = received.map(({ seq }) => seq).slice(0, consumed.length);
    if (new Set(keys).size !== keys.length) wrong.push(`(5) a signal ${name} was received twice: ${keys.join(", ")}`);
    if (!same(consumed, order))
      wrong.push(`(5) of ${name} were consumed ${consumed.join(", ")}, not ${order.join(", ")}`);
  }
  return wrong;
}

function isSignal({ kind }: Told): boolean {
  return kind === "signal.received" || kind === "signal.consumed";
}

/** Every signal that was answered is there, in the order in which they were answered. */
function auditSent({ plan }: Sight, entries: readonly Told[]): string[] {
  const sent = plan.acts.flatMap(({ do: act }) => (act.t === "signal" ? [`${plan.id}/${act.number}`] : []));
  const there = entries.filter(({ kind, name }) => kind === "signal.received" && name === "approval");
  const keys = there.map(({ key }) => key);
  return same(keys, sent) ? [] : [`(1) of the signals ${sent.join(", ")} there are ${keys.join(", ")}`];
}

/** Attempts fail as often as they were planned to, whatever died meanwhile. */
function auditFailures(ops: readonly Op[], entries: readonly Told[], { status }: RunView): string[] {
  return ops.flatMap((op) => {
    if (op.t !== "step") return [];
    const own = entries.filter(({ step }) => step === op.name);
    const failed = own.filter(({ kind }) => kind === "step.attempt_failed").length;
    const complete = status === "completed" || own.some(isCompletion);
    const right = complete ? failed === op.fails : failed <= op.fails;
    return right ? [] : [`(2) ${op.name} failed ${failed} times, not ${op.fails}`];
  });
}

function auditUpdates({ plan, updates }: Sight, effects: readonly Effect[]): string[] {
  return [...updates].flatMap(([number, result]) => {
    const value = effects.findLast(({ step }) => step === `add-${number}`)?.value;
    const expected = JSON.stringify({ number, value });
    const given = JSON.stringify(result);
    return given === expected ? [] : [`(1) update ${number} of ${plan.id} was answered ${given}, not ${expected}`];
  });
}

/** The handler heard of outcomes in the order of the journal, and of the winner of a race that the journal names. */
function auditHeard({ output }: RunView, entries: readonly Told[]): string[] {
  const heard = (output as { heard: readonly (readonly [string, unknown])[] }).heard;
  const done = new Map(entries.filter(isCompletion).map((entry) => [entry.step ?? "", valueOf(entry)]));
  const steps = heard.filter(([name, value]) => typeof value === "number" && done.has(name));
  const told = steps.map(([name]) => name);
  const order = [...done.keys()].filter((step) => told.includes(step));
  const wrong = same(told, order) ? [] : [`(3) heard ${told.join(", ")}, on record ${order.join(", ")}`];
  wrong.push(
    ...steps.flatMap(([name, value]) => (done.get(name) === value ? [] : [`(2) ${name} was told ${String(value)}`])),
  );
  for (const [name, value] of heard) {
    if (Array.isArray(value)) wrong.push(...auditMap(name, value, done));
    const racers = [...done.keys()].filter((step) => step === `${name}-0` || step === `${name}-1`);
    if (typeof value === "string" && value !== racers[0])
      wrong.push(`(3) ${name} was won by ${value}, not ${racers[0]}`);
  }
  return wrong;
}

function auditMap(name: string, values: readonly unknown[], done: ReadonlyMap<string, unknown>): string[] {
  const recorded = values.map((_value, index) => done.get(index === 0 ? name : `${name}#${index + 1}`));
  return same(values, recorded)
    ? []
    : [`(2) the map ${name} was told ${values.join(", ")}, not ${recorded.join(", ")}`];
}

/** Each round does everything once, and is told apart by its key. */
function auditRounds(rounds: number, effects: readonly Effect[], { status }: RunView): string[] {
  if (rounds === 0 || status !== "completed") return [];
  const wrong: string[] = [];
  for (const [step, own] of groups(effects, stepOf)) {
    const keys = new Set(own.map(({ key }) => key)).size;
    if (keys !== rounds + 1 && !/-\d+$/.test(step)) wrong.push(`(2) ${step} had ${keys} keys`);
  }
  return wrong;
}

/** A run is pinned to the version it was created with. */
function auditVersion({ version }: RunView, effects: readonly Effect[]): string[] {
  const played = new Set(effects.flatMap(({ step }) => /^code-(\d)$/.exec(step)?.[1] ?? []));
  return [...played].every((each) => each === version)
    ? []
    : [`(7) of version ${version} it played ${[...played].join(", ")}`];
}

function isPrefix(seen: readonly Entry[], entries: readonly Entry[]): boolean {
  return JSON.stringify(seen) === JSON.stringify(entries.slice(0, seen.length));
}

/**
 * Effects of one lane (the note of the effect) that were at work at the same time, though no more than `limit` runs may
 * be. What has lost a race and goes on as its run ends is left to itself, and holds no slot.
 */
export function auditLanes(effects: readonly Effect[], limit: number): string[] {
  const wrong: string[] = [];
  const laned = effects.filter(({ note }) => /^[a-z]+$/.test(note ?? ""));
  for (const [name, own] of groups(laned, ({ note, life }) => `${note} in life ${life}`)) {
    const ended = new Map(own.filter(({ step }) => step === "end").map(({ run, at }) => [run, at]));
    for (const { at, value } of own) {
      const isAtWork = (one: Effect): boolean =>
        one.at <= at && at < Math.min(one.at + one.ms, ended.get(one.run) ?? Infinity);
      const beside = own.filter(isAtWork);
      const runs = new Set(beside.map(({ run }) => run));
      if (runs.size > limit) wrong.push(`lane ${name} held ${[...runs].join(", ")} at effect ${value}`);
    }
  }
  return wrong;
}

/** Runs that one firing started. */
export function auditFirings(effects: readonly Effect[]): string[] {
  const firings = groups(
    effects.filter(({ slotAt }) => slotAt !== null),
    ({ slotAt }) => String(slotAt),
  );
  return [...firings].flatMap(([slot, own]) => {
    const runs = new Set(own.map(({ run }) => run));
    return runs.size === 1 ? [] : [`(6) the firing of ${slot} started ${[...runs].join(", ")}`];
  });
}

function groups<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const all = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const known = all.get(key);
    if (known === undefined) all.set(key, [item]);
    else known.push(item);
  }
  return all;
}

function same(one: readonly unknown[], other: readonly unknown[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
