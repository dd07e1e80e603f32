/** What holds of the processes of one run, each of which begins where the one before died or was evicted. */
import { expect } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { decode } from "../../src/core/value/value.ts";
import type { Run } from "../../src/engine/run.ts";
import { checkEffects, checkSignals } from "./effects.ts";
import type { Progress } from "./effects.ts";
import { isRestart } from "./lives.ts";
import type { ManualClock } from "./memory.ts";
import type { Life, Surroundings } from "./player.ts";
import { checkQuestions } from "./question.ts";
import type { Question } from "./question.ts";
import { checkSecrets } from "./values.ts";

/** What happened in one, and the number of entries that it began with; a closed journal is one of a dead process. */
export type Lived = {
  readonly life: Life;
  readonly earlier: number;
  readonly journal: { readonly closed: boolean };
  readonly questions: readonly Question[];
};

/** How long a schema may take, less than it has. */
const lags: readonly number[] = [0, 0, 1, 300, 20_000];

/** What a handler is surrounded by in a process; what a dead one does comes behind everything. */
export function surroundingsOf(
  process: () => { readonly clock: ManualClock; readonly journal: Lived["journal"] },
  progress: () => Progress,
  random: { next(): number },
): Surroundings {
  return {
    after: (ms) => (process().journal.closed ? new Promise(() => {}) : process().clock.after(ms)),
    turn: () => process().clock.turn(),
    lag: () => lags[Math.floor(random.next() * lags.length)] ?? 0,
    outcome: () => (process().journal.closed ? Infinity : progress().outcome),
    episode: () => progress().episode,
    round: () => progress().life,
  };
}

/** What one process saw, the next one sees (guarantee 3), and what it did is not done again (guarantee 2). */
export function checkProcesses(entries: readonly Entry[], lived: readonly Lived[]): void {
  checkSecrets(entries);
  for (const [i, { life, earlier, journal, questions }] of lived.entries()) {
    const { life: next, earlier: until = entries.length } = lived[i + 1] ?? {};
    checkQuestions(questions, life, entries.slice(0, until), journal.closed || entries.some(isCut));
    // What a dead process did counts for nothing.
    const effects = life.effects.filter(({ outcome }) => outcome < Infinity);
    checkEffects(entries, effects, earlier);
    checkSignals(entries.slice(0, until), effects, journal.closed);
    const [first] = next?.handlers ?? [];
    if (next === undefined || first === undefined) continue;
    const handler = life.handlers.findLastIndex((each) => each.episode === first.episode && each.round === first.round);
    const seen = life.trace.filter((note) => note.handler === handler && note.outcome < Infinity);
    const again = next.trace.filter((note) => note.handler === 0);
    // It may have died itself before it came so far, or have been terminated.
    const { length } = i + 2 < lived.length || entries.some(isCut) ? again : seen;
    expect(again.slice(0, seen.length).map(({ text }) => text)).toEqual(seen.slice(0, length).map(({ text }) => text));
  }
}

/** What a handler published is on record, each once and in its order, whichever of its processes it was in. */
export function checkPublished(lives: readonly (readonly Entry[])[], { handlers, trace }: Life, run: Run): void {
  const own = handlers.length - 1;
  const entries = lives.at(-1) ?? [];
  const { status, output } = run.snapshot();
  // What is done once more says it once more.
  const isRetried = entries.some(({ kind }) => kind === "run.retried");
  if (own < 0 || status !== "completed" || output === null || isRetried) return;
  // A handler returns how much there was by then; a branch that it left behind says nothing more.
  const notes = trace.slice(0, (decode(output) as { notes: number }).notes).flatMap(({ handler, text }) => {
    return handler === own && / (log|progress)$/.test(text) ? [text] : [];
  });
  const published = entries.flatMap((entry) => {
    if (entry.kind === "log.written") return [`${entry.message} log`];
    return entry.kind === "progress.published" ? [`${String(decode(entry.value))} progress`] : [];
  });
  expect(published).toEqual(notes);
}

function isCut(entry: Entry): boolean {
  return isRestart(entry) || (entry.kind === "run.cancelled" && entry.error.code === "terminated");
}
