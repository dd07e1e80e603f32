/**
 * Owns: letting the process of a rehearsal die after each of its commits, and reporting where that made a difference.
 * Does not own: a single death (stage).
 */
import { dequal } from "dequal";
import type { Entry } from "../core/history/entry.ts";
import { HoldfastError, messageOf } from "../core/error.ts";
import { fold } from "../core/state/fold.ts";
import { RunState } from "../core/state/state.ts";
import { sentenceOf } from "../core/sentence/sentence.ts";
import { encode, isSame } from "../core/value/value.ts";
import { idempotencyKeyOf } from "../engine/attempt/record.ts";
import { difference } from "./difference.ts";
import { RehearsalError } from "./error.ts";
import { Stage } from "./stage.ts";
import type { Commit } from "./stage.ts";

/** A call of the rehearsal by the test. All of its effects are recorded within the first `upTo` commits. */
export type Interaction = {
  readonly at: number;
  upTo: number;
  /** The error that it was refused with the first time. */
  refusal: Error | null;
  readonly perform: (stage: Stage) => Promise<unknown>;
};

/**
 * @param view returns what has to be the same after every death
 * @throws RehearsalError
 * @returns how many deaths there were
 */
export async function crashEverywhere(
  reference: Stage,
  interactions: readonly Interaction[],
  view: (stage: Stage) => unknown,
): Promise<number> {
  const expected = view(reference);
  // A copy: the reference may go on meanwhile.
  const log = [...reference.log];
  const known = new Set([...facts(log)].map(({ id, entry }) => markOf(id, entry)));
  let deaths = 0;
  for (let kept = 1; kept <= log.length; kept++) {
    const past = log.slice(0, kept);
    if (isOnce(past)) continue;
    deaths++;
    const where = describe(past, log.length);
    const stage = await revive(reference, interactions, past).catch((error: unknown) => {
      throw new RehearsalError(`${where}: ${messageOf(error)}`, { cause: error });
    });
    const seen = view(stage);
    checkRepeats(stage, past, where);
    checkReplay(stage, known, where);
    if (isEqual(expected, seen)) continue;
    throw new RehearsalError(`${where}, it came to something else: ${difference(seen, expected)}`);
  }
  return deaths;
}

/** Continues from these commits, and repeats the interactions that came after them. */
async function revive(reference: Stage, interactions: readonly Interaction[], past: readonly Commit[]) {
  const stage = new Stage(reference.script, past.at(-1)?.at ?? 0, past);
  await stage.settle();
  for (const { at, upTo, perform, refusal } of interactions) {
    if (upTo <= past.length) continue;
    await stage.pass(at);
    await perform(stage).catch((error: unknown) => {
      // It was refused the first time as well, or its effects are recorded already.
      if (error instanceof HoldfastError || isAlike(error, refusal)) return;
      throw error;
    });
  }
  await stage.pass(reference.clock.at);
  return stage;
}

/** Compares the errors of an update's function by name; the messages may differ each time. */
function isAlike(error: unknown, refusal: Error | null): boolean {
  return error instanceof Error && error.name === refusal?.name;
}

/** @throws RehearsalError if a step was done again that had been completed */
function checkRepeats(stage: Stage, past: readonly Commit[], where: string): void {
  const done = new Map([...facts(past)].flatMap(({ entry, key }) => (key === null ? [] : [[key, entry]])));
  for (const call of stage.life.calls) {
    const entry = done.get(call);
    if (entry !== undefined) throw new RehearsalError(`${where}, a step was done again: ${sentenceOf(entry)}`);
  }
}

/** @throws RehearsalError if a replay did not make the recorded calls. @param known the marks that there were before */
function checkReplay(stage: Stage, known: ReadonlySet<string | null>, where: string): void {
  for (const { id, entry } of facts(stage.log)) {
    const strangeness = markOf(id, entry);
    if (strangeness === null || known.has(strangeness)) continue;
    const why =
      "a handler has to ask for the same steps whenever it is run again (no clock, chance or world outside a step)";
    throw new RehearsalError(`${where}, the handler did not do what it had done: ${sentenceOf(entry)}; ${why}`);
  }
}

/** As stored values are compared, which may hold themselves; what cannot be stored, as it is. */
function isEqual(one: unknown, other: unknown): boolean {
  try {
    return isSame(encode(one, "what is compared"), encode(other, "what is compared"));
  } catch {
    return dequal(one, other);
  }
}

/** Of an entry that marks a step as added or removed, a text that identifies it; null for others. */
function markOf(id: string, entry: Entry): string | null {
  if (entry.kind !== "step.added" && entry.kind !== "step.removed") return null;
  return `${id} ${entry.kind} ${entry.call} ${entry.step}`;
}

type RecordedFact = { readonly id: string; readonly entry: Entry; readonly key: string | null };

/** All entries in order; with the end of a step, its idempotency key. */
function* facts(log: readonly Commit[]): Generator<RecordedFact> {
  const states = new Map<string, RunState>();
  for (const { id, texts } of log) {
    for (const entry of texts.flatMap((text) => JSON.parse(text) as Entry[])) {
      // A run that goes on as new begins with a new state.
      const known = entry.kind === "run.created" ? undefined : states.get(id);
      const state = known ?? new RunState();
      if (known === undefined) states.set(id, state);
      fold(state, entry);
      yield { id, entry, key: entry.kind === "step.completed" ? idempotencyKeyOf(state, "run", entry.step)() : null };
    }
  }
}

/** Whether a step that runs at most once is in flight: a death at this point fails it, as intended. */
function isOnce(past: readonly Commit[]): boolean {
  const open = new Set<string>();
  for (const { id, entry } of facts(past)) {
    if (entry.kind === "step.attempt_started") open.add(`${id} ${entry.step}`);
    else if ("step" in entry) open.delete(`${id} ${entry.step}`);
  }
  return open.size > 0;
}

function describe(past: readonly Commit[], all: number): string {
  const [text = "[]"] = past.at(-1)?.texts.slice(-1) ?? [];
  const last = (JSON.parse(text) as Entry[]).at(-1);
  const what = last === undefined ? "nothing" : sentenceOf(last);
  return `when the process died after commit ${past.length} of ${all} (${what})`;
}
