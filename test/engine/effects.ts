/** What attempts did to the world, held against the journal: what is never done again, and under which key what is. */
import { expect } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import type { RunState } from "../../src/core/state/state.ts";
import type { Life } from "./player.ts";

export type Effect = Life["effects"][number];

/** How far a run has come, by all that it ever had on record. */
export class Progress {
  /** The `seq` of the newest outcome, or of the beginning of its life. */
  outcome = 0;
  /** How often it has gone on as new. */
  life = 0;
  /** How often it has failed and was retried. */
  episode = 0;
  /** When the newest retry was; null before. */
  retriedAt: number | null = null;
  #hasFailed = false;

  see(...entries: readonly Entry[]): this {
    for (const entry of entries) {
      const { kind, seq, at } = entry;
      if (isOutcome(entry) || kind === "run.created") this.outcome = seq;
      if (entry.kind === "run.created") this.life = entry.continuation?.count ?? 0;
      if (kind === "run.failed") this.#hasFailed = true;
      if (kind !== "run.retried" || !this.#hasFailed) continue;
      this.#hasFailed = false;
      this.episode++;
      this.retriedAt = at;
    }
    return this;
  }
}

const outcomeKinds: ReadonlySet<string> = new Set([
  "step.completed",
  "step.failed",
  "timer.fired",
  "wait.timed_out",
  "signal.consumed",
  "webhook.created",
  "webhook.received",
  "update.accepted",
  "undo.started",
  "undo.completed",
  "undo.failed",
  "child.completed",
  "child.failed",
  "run.cancel_requested",
]);

/** One that moves the handler: a child that nobody waits for does as it is started. */
export function isOutcome(entry: Entry): boolean {
  return outcomeKinds.has(entry.kind) || (entry.kind === "child.started" && entry.detached === true);
}

/** The deed that an idempotency key stands for: in which life, a step or its undoing, and how often it was done anew. */
type Deed = { readonly life: string; readonly step: string; readonly isUndo: boolean; readonly times: number };

function deedOf(key: string): Deed {
  const [, life = "", times = "0", undo, step] = /^.+:([^:.]+)(?:\.(\d+))?(\.undo)?:([^:]+)$/.exec(key) ?? [];
  if (step === undefined) throw new Error(`an idempotency key of an unknown form: ${key}`);
  return { life, step, isUndo: undo !== undefined, times: Number(times) };
}

function nameOf({ life, step, isUndo, times }: Deed): string {
  return `${life} ${isUndo ? "undo" : "step"} ${step} ${times}`;
}

/** What the record has of a deed. */
type Mark = { readonly kind: string; readonly attempt: number; readonly seq: number; readonly episode: number };

/** By deed; a retry that clears what was undone makes another deed of it. */
function marksOf(entries: readonly Entry[]): Map<string, Mark[]> {
  const [marks, times, progress]: [Map<string, Mark[]>, Map<string, number>, Progress] = [
    new Map(),
    new Map(),
    new Progress(),
  ];
  let [undone, life]: [string[], string] = [[], ""];
  for (const entry of entries) {
    const { episode } = progress;
    if (entry.kind === "run.created") {
      life = entry.at.toString(36);
      undone = [];
      times.clear();
    }
    if (progress.see(entry).episode > episode) {
      for (const step of undone) times.set(step, (times.get(step) ?? 0) + 1);
      undone = [];
    }
    if (entry.kind === "undo.completed") undone.push(entry.step);
    if (!/^(step|undo)\.(completed|failed|attempt_failed|attempt_started)$/.test(entry.kind)) continue;
    const { kind, step, attempt, seq } = entry as Extract<Entry, { kind: "step.completed" }>;
    const name = nameOf({ life, step, isUndo: kind.startsWith("undo"), times: times.get(step) ?? 0 });
    marks.set(name, [...(marks.get(name) ?? []), { kind, attempt, seq, episode }]);
  }
  return marks;
}

/**
 * What has succeeded is done no more, whatever dies (guarantee 2); what has failed for good, once the run is retried;
 * what runs at most once, as often as that is on record.
 * @param earlier how many of the entries are from lives before this one
 */
export function checkEffects(entries: readonly Entry[], effects: readonly Effect[], earlier = 0): void {
  const marks = marksOf(entries);
  const begun = new Set<Mark>();
  for (const effect of effects) {
    const deed = deedOf(effect.key);
    const own = marks.get(nameOf(deed)) ?? [];
    const before = own.find(({ kind, seq, episode }) => {
      const counts = kind.endsWith(".completed") || (kind.endsWith(".failed") && episode === effect.episode);
      return counts && seq <= effect.outcome;
    });
    if (before !== undefined) expect({ effect, before }).toEqual({ effect });
    if (!deed.step.startsWith("once") || deed.isUndo) continue;
    const mark = own.find((each) => {
      return (
        each.kind === "step.attempt_started" &&
        each.seq > earlier &&
        each.attempt === effect.attempt &&
        !begun.has(each)
      );
    });
    if (mark === undefined) expect({ effect, mark }).toEqual({ effect, mark: "on record" });
    else begun.add(mark);
  }
}

/**
 * A deed has the same key in every life; a retry may come to calls of one name in another order where outcomes decide
 * which of them is made first.
 */
export function checkKeys(before: readonly Effect[], now: readonly Effect[]): void {
  const placeOf = ({ path, key, episode }: Effect): string => `${path} ${deedOf(key).times} ${episode}`;
  const keys = new Map(before.map((effect) => [placeOf(effect), effect.key]));
  for (const effect of now) {
    const known = keys.get(placeOf(effect)) ?? effect.key;
    if (known !== effect.key) expect(effect.key).toBe(known);
  }
}

/**
 * Of a run that has failed or was cancelled it is known how each attempt ended of a step that can be undone, and what has succeeded is
 * named as undone or not, unless nobody could wait for that (guarantee 8).
 */
export function checkUndone(
  entries: readonly Entry[],
  effects: readonly Effect[],
  { end, created, undoable }: Pick<RunState, "end" | "created" | "undoable">,
): void {
  if (end === null || end.kind === "run.completed" || /^(terminated|handler_crashed)$/.test(end.error.code ?? ""))
    return;
  const { undone = [], notUndone = [] } = end.error;
  expect([...undone, ...notUndone.map(({ step }) => step)].sort()).toEqual([...undoable].sort());
  const marks = marksOf(entries);
  const { episode } = new Progress().see(...entries);
  for (const effect of effects) {
    const deed = deedOf(effect.key);
    const isPast = effect.outcome === Infinity || effect.episode < episode || deed.life !== created?.at.toString(36);
    if (!effect.undoable || deed.isUndo || isPast) continue;
    const ended = marks.get(nameOf(deed))?.some(({ kind, attempt, seq }) => {
      return kind !== "step.attempt_started" && attempt >= effect.attempt && seq > effect.outcome;
    });
    expect({ effect, ended }).toEqual({ effect, ended: true });
  }
}

const ends: ReadonlySet<string> = new Set(["completed", "failed", "attempt_failed"]);
/** What stops all that is at work. */
const stops = /^(run\.(created|cancel_requested|retried|completed|failed|cancelled)|undo\.started)$/;
/** What shows that the handler has not come to its end, which stops what can be undone before it is on record. */
const signs = /^(timer\.fired|wait\.timed_out|signal\.consumed)$/;

/** The run was cancelled before, and waits for the step's end: it is told to stop as it begins. */
function isAwaited(entries: readonly Entry[], { key, outcome }: Effect): boolean {
  const { step, isUndo } = deedOf(key);
  if (isUndo) return false;
  const before = entries.filter(({ seq }) => seq <= outcome);
  // What was asked of an incarnation before this one is nothing to it.
  const own = before.slice(before.findLastIndex(({ kind }) => kind === "run.created") + 1);
  return own.some((entry) => entry.kind === "run.cancel_requested" && entry.awaited.includes(step));
}

/** After so many deaths steps begin one at a time: of those that can be undone, also once their run was stopped. */
function isSuspect(entries: readonly Entry[], { key }: Effect): boolean {
  const { step } = deedOf(key);
  return entries.filter((entry) => entry.kind === "step.interrupted" && entry.step === step).length > 2;
}

/**
 * An attempt is told to stop where it has taken too long or its run was stopped, and only then.
 * @param entries up to the end of the process whose effects these are
 */
export function checkSignals(entries: readonly Entry[], effects: readonly Effect[], isDead: boolean): void {
  for (const effect of effects) {
    const { key, attempt, outcome, episode, signal } = effect;
    if (signal === null || outcome === Infinity) continue;
    const { step, isUndo } = deedOf(key);
    const { aborted } = signal;
    const told = { step, attempt, outcome, aborted };
    if (isAwaited(entries, effect)) {
      expect(told).toEqual({ ...told, aborted: true });
      continue;
    }
    const later = entries.filter(({ seq }) => seq > outcome);
    const end = later.find((entry) => {
      const [noun, verb = ""] = entry.kind.split(".");
      const isEnd = noun === (isUndo ? "undo" : "step") && ends.has(verb);
      return isEnd && "attempt" in entry && "step" in entry && entry.step === step && entry.attempt === attempt;
    });
    const stop = later.find(({ kind }) => stops.test(kind))?.seq ?? Infinity;
    if (end === undefined || stop < end.seq) {
      if (end === undefined && !isDead) expect(told).toEqual({ ...told, aborted: true });
      continue;
    }
    const isLate = "error" in end && end.error?.code === "step_timeout";
    const goesOn = later.some(({ kind, seq }) => seq > end.seq && seq < stop && signs.test(kind));
    const begins = effects.some((each) => {
      const isWithin = each.episode === episode && each.outcome >= end.seq && each.outcome < stop;
      return isWithin && each.signal !== null && !isSuspect(entries, each) && !isAwaited(entries, each);
    });
    if (isLate || goesOn || begins) expect(told).toEqual({ ...told, aborted: isLate });
  }
}
