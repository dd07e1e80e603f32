/**
 * Owns: getting the timeline of a run, on both sides of the call of its object.
 * Does not own: making a timeline (core/timeline).
 * Invariant 1: the run is only read, and nothing is cached, so a parked run is not changed.
 */
import { timelineOf } from "../../core/timeline/chart.ts";
import type { Present } from "../../core/timeline/chart.ts";
import { HoldfastError } from "../../core/error.ts";
import type { Journal } from "../../core/history/journal.ts";
import { storyOf } from "../../core/timeline/story.ts";
import type { Story, Timeline, Window } from "../../core/timeline/timeline.ts";
import type { Stored } from "../../core/value/value.ts";
import { idempotencyKeyOf } from "../../engine/attempt/record.ts";
import type { Run } from "../../engine/run.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import { maxTogether, unpack } from "../packing.ts";

/** @throws HoldfastError run_not_found */
export async function readTimeline(id: string, window: Window): Promise<Timeline> {
  return unwrap(await runObject(id).timeline(window));
}

/**
 * With the input of a child, which is in the child's journal, and one that did not fit into the answer.
 * @throws HoldfastError run_not_found, step_not_found
 */
export async function readStory(id: string, key: string): Promise<Story> {
  const story = unwrap(await runObject(id).story(key));
  const { child, kind, firstSeq } = story.bar;
  if (child !== null) return { ...story, input: await inputOf(child.id) };
  if (kind !== "update" || story.input !== null) return story;
  const [accepted] = unwrap(await runObject(id).history(firstSeq - 1, 1)).entries;
  return accepted?.kind === "update.accepted" ? { ...story, input: accepted.sent ?? accepted.argument } : story;
}

/** Null if the child was removed. */
async function inputOf(id: string): Promise<Stored | null> {
  const read = await runObject(id).read(0);
  return read.ok ? (await unpack(read.value)).input : null;
}

export function drawTimeline(run: Run, journal: Journal, window: Window): Timeline {
  return timelineOf(journal.read(), presentOf(run), window);
}

/** @throws HoldfastError step_not_found */
export function tellStory(run: Run, journal: Journal, key: string): Story {
  const story = storyOf(journal.read(), presentOf(run), key);
  if (story === null) throw new HoldfastError("step_not_found", `nothing on record of this run is called ${key}`);
  const { kind, name } = story.bar;
  const { input, output } = story;
  // Both may be too large for one answer.
  const isLarge = (input?.length ?? 0) + (output?.length ?? 0) > maxTogether;
  return {
    ...story,
    input: isLarge ? null : input,
    idempotencyKey: kind === "run" || kind === "undo" ? idempotencyKeyOf(run.state, kind, name)() : null,
  };
}

function presentOf(run: Run): Present {
  return { underway: run.snapshot().active, now: run.now() };
}
