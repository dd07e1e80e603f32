/**
 * Owns: starting a run that begins with the history of another: what it is started with, and fetching
 * that history.
 * Does not own: what of the history goes along (core/fork), or writing it down (engine/run).
 *
 * Invariants
 * 1. The run that is forked is read and never written.
 * 2. The new run's object has all of the history before it writes any of it: a death in between leaves
 *    no half of a run behind.
 */
import { authorOf } from "../core/author.ts";
import type { Definition } from "../core/definition.ts";
import type { Entry, EntryOf } from "../core/entry.ts";
import { planFork } from "../core/fork.ts";
import { HoldfastError } from "../core/error.ts";
import { givenLabels } from "../core/label.ts";
import { defined } from "../core/record.ts";
import type { Made } from "../core/run.ts";
import type { ForkRequest } from "../core/service.ts";
import type { Stored } from "../core/value.ts";
import { runObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import type { StartRun } from "./children.ts";
import { digestOf } from "./digest.ts";
import type { Branch } from "./rpc/start.ts";

/**
 * @param made what the run's own version makes its labels with
 * @param history every entry of the run `created`, oldest first
 * @throws HoldfastError fork_invalid, workflow_not_found, and what a start throws
 */
export async function forkRun(
  startRun: StartRun,
  created: EntryOf<"run.created">,
  made: Definition["labels"],
  history: Iterable<Entry>,
  request: ForkRequest,
): Promise<Made> {
  const { input, id, key, origin } = request;
  const branch = await branchOf(created, history, request);
  // What started a run that went on as new since is not what this life of it took.
  const own = created.continuation === undefined ? (created.sent ?? created.input) : created.input;
  return await startRun(created.workflow, {
    input: input ?? own,
    labels: input === undefined ? created.labels : givenLabels(created, made),
    ...authorOf(request),
    fork: input === undefined ? { ...branch, input: created.input } : branch,
    ...(created.schedule === null ? {} : { schedule: created.schedule }),
    ...defined({ id, key, origin }),
  });
}

async function branchOf(
  { id, at, seed, continuation }: EntryOf<"run.created">,
  history: Iterable<Entry>,
  { from, results, reason }: ForkRequest,
): Promise<Branch> {
  const { copied, given } = planFork(history, { from, given: [...results.keys()] });
  return {
    ...{ id, createdAt: at, step: from, copied, given, results, reason },
    // Its random numbers and UUIDs are those of the run it comes from.
    seed: seed ?? `${id}:${at}`,
    continued: continuation?.count ?? 0,
    ...(results.size === 0 ? {} : { print: await printOf(results) }),
  };
}

/** The entries of the history that go along. @throws HoldfastError run_not_found: the run is gone */
export async function fetchHistory({ id, createdAt, copied }: Branch): Promise<Entry[]> {
  const wanted = new Set(copied);
  const last = copied.at(-1) ?? 0;
  const entries: Entry[] = [];
  for (let after = 0; after < last;) {
    const page = unwrap(await runObject(id).copy(createdAt, after));
    const end = page.at(-1);
    if (end === undefined) throw new HoldfastError("run_not_found", "the history of the run that is forked is gone");
    for (const entry of page) if (wanted.has(entry.seq)) entries.push(entry);
    after = end.seq;
  }
  return entries;
}

function printOf(results: ReadonlyMap<string, Stored>): Promise<string> {
  return digestOf(JSON.stringify([...results].toSorted(([one], [other]) => (one < other ? -1 : 1))), 16);
}
