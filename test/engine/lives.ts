/** What holds of every journal, and of a run from one of its lives to the next. */
import { expect } from "vitest";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import { isOutcome } from "./effects.ts";

/** Each life by itself, what goes along, and an end. */
export function checkLives(lives: readonly (readonly Entry[])[]): void {
  for (const [i, life] of lives.entries()) {
    checkRecord(life);
    checkListeners(life);
    const next = lives[i + 1];
    if (next !== undefined && !isRestart(createdIn(next))) checkRenewal(life, next);
  }
  checkUpdates(lives);
  // A call that comes after the end is on record behind it.
  const end = lives.at(-1)?.findLast(({ kind }) => kind !== "webhook.rejected");
  expect(end?.kind).toMatch(/^run\.(completed|failed|cancelled)$/);
}

/** What holds of every journal of a run that has ended. */
export function checkJournal(entries: readonly Entry[]): void {
  checkLives([entries]);
}

/** Places and times, no outcome twice but after a retry, each signal received once under its key and consumed once. */
function checkRecord(entries: readonly Entry[]): void {
  const outcomes = new Set<string>();
  const consumed = new Set<number>();
  const keys = new Set<string>();
  const before = (entries[0]?.seq ?? 1) - 1;
  let last = 0;
  for (const [i, entry] of entries.entries()) {
    expect(entry.seq).toBe(before + i + 1);
    expect(entry.at).toBeGreaterThanOrEqual(last);
    last = entry.at;
    if (entry.kind === "run.retried") {
      // What was undone, is being done again.
      for (const step of entry.cleared) for (const kind of ["run", "child"]) outcomes.delete(`${kind} ${step}`);
      for (const place of outcomes) if (place.startsWith("undo ")) outcomes.delete(place);
    }
    if (isOutcome(entry)) {
      const place = placeOf(entry);
      expect({ place, again: outcomes.has(place) }).toEqual({ place, again: false });
      outcomes.add(place);
    }
    if (entry.kind === "signal.received" && entry.key !== undefined) {
      const { key } = entry;
      expect({ key, again: keys.has(key) }).toEqual({ key, again: false });
      keys.add(key);
    }
    if (entry.kind === "signal.consumed") {
      expect(consumed.has(entry.signal)).toBe(false);
      expect(entries[entry.signal - before - 1]).toMatchObject({ kind: "signal.received", name: entry.name });
      for (const earlier of entries.slice(0, entry.signal - before - 1)) {
        if (earlier.kind === "signal.received" && earlier.name === entry.name)
          expect(consumed.has(earlier.seq)).toBe(true);
      }
      consumed.add(entry.signal);
    }
  }
}

/** From where it is heard on, no wait takes a signal of that name, until a retry has the handler begin anew. */
function checkListeners(entries: readonly Entry[]): void {
  const [known, heard] = [new Set<string>(), new Set<string>()];
  for (const entry of entries) {
    if (entry.kind === "listener.added") for (const names of [known, heard]) names.add(entry.name);
    if (entry.kind === "run.retried") heard.clear();
    if (entry.kind !== "signal.consumed") continue;
    const { name, listener = false } = entry;
    expect({ name, listener }).toEqual({ name, listener: listener ? known.has(name) : heard.has(name) });
  }
}

function placeOf(entry: Entry): string {
  if (entry.kind === "update.accepted") return entry.update;
  if (entry.kind === "signal.consumed" && entry.listener === true) return `heard ${entry.signal}`;
  if (entry.kind.startsWith("child") && "step" in entry) return `child ${entry.step}`;
  const id =
    "step" in entry
      ? `${entry.kind.startsWith("undo") ? "undo" : "run"} ${entry.step}`
      : `${entry.kind.split(".")[0]} ${"call" in entry ? entry.call : ""}${entry.kind === "webhook.created" ? " address" : ""}`;
  return id.replace(/^signal/, "wait");
}

/** Signals that nobody consumed go along in their order, keys are known for good, and nothing holds it back. */
function checkRenewal(before: readonly Entry[], after: readonly Entry[]): void {
  const [was, is] = [createdIn(before), createdIn(after)];
  const { count = 0, createdAt = was.at } = was.continuation ?? {};
  expect(is.continuation).toMatchObject({ count: count + 1, createdAt });
  expect(is.at).toBeGreaterThan(was.at);
  expect(is.seq).toBe((before.at(-1)?.seq ?? 0) + 1);
  const consumed = new Set(before.flatMap((entry) => (entry.kind === "signal.consumed" ? [entry.signal] : [])));
  const left = before.filter(({ kind, seq }) => kind === "signal.received" && !consumed.has(seq)).map(plain);
  const along = after.filter(({ kind }) => kind === "signal.received").slice(0, left.length);
  expect(along.map(plain)).toEqual(left);
  expect([...keysOf(after)]).toEqual(expect.arrayContaining([...keysOf(before)]));
  const held = before.findLast(({ kind }) => /^run\.(paused|resumed|retried|cancel_requested)$/.test(kind));
  expect(held?.kind ?? "").not.toMatch(/paused|cancel_requested/);
}

function createdIn([first]: readonly Entry[]): EntryOf<"run.created"> {
  if (first?.kind !== "run.created") throw new Error("a life begins with run.created");
  return first;
}

/** A person had the run begin once more: what came to it is over, but for what it keeps. */
export function isRestart(entry: Entry): boolean {
  return entry.kind === "run.created" && entry.continuation?.restarted !== undefined;
}

function plain({ seq: _seq, at: _at, used: _used, ...entry }: Entry): unknown {
  return entry;
}

/** Of signals that came in this life, or before. */
function keysOf(life: readonly Entry[]): Set<string> {
  const known = createdIn(life).continuation?.keys.map(({ key }) => key) ?? [];
  const came = life.flatMap((entry) => (entry.kind === "signal.received" ? [entry.key] : []));
  return new Set([...known, ...came].filter((key) => key !== undefined));
}

/** An update that was answered is not taken once more, in whichever life it comes again. */
function checkUpdates(lives: readonly (readonly Entry[])[]): void {
  const answered = new Set<string>();
  for (const life of lives) {
    // What came before the step that a person has it begin from, it has once more.
    if (isRestart(createdIn(life))) answered.clear();
    const keys = new Map<string, string>();
    for (const entry of life) {
      if (entry.kind === "update.accepted" && entry.key !== undefined) {
        expect({ key: entry.key, again: answered.has(entry.key) }).toEqual({ key: entry.key, again: false });
        keys.set(entry.update, entry.key);
      }
      if (entry.kind === "update.completed" || entry.kind === "update.failed") {
        answered.add(keys.get(entry.update) ?? "");
      }
    }
  }
  answered.delete("");
}
