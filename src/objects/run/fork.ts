/**
 * Owns: starting a fork: its start, and fetching the history of the original run.
 * Does not own: which entries are copied (core/lifecycle/fork), recording them (engine/run).
 *
 * Invariants
 * 1. The original run is only read.
 * 2. The new run's object has the whole history before it writes any of it, so a death in between leaves nothing.
 */
import { authorOf } from "../../core/author.ts";
import type { Definition } from "../../core/definition/definition.ts";
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import { planFork } from "../../core/lifecycle/fork.ts";
import { HoldfastError } from "../../core/error.ts";
import { givenLabels } from "../../core/definition/label.ts";
import { defined } from "../../core/record.ts";
import type { Made } from "../../core/run/run.ts";
import type { ForkRequest } from "../../core/service/service.ts";
import type { Stored } from "../../core/value/value.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import type { StartRun } from "../start/preparation.ts";
import { digestOf } from "../deployment/digest.ts";
import type { Branch } from "../rpc/start.ts";

/**
 * @param made the `labels` function of the run's own version
 * @param history all entries of the run `created`, oldest first
 * @throws HoldfastError fork_invalid, workflow_not_found, and errors of a start
 */
export async function startFork(
  startRun: StartRun,
  created: EntryOf<"run.created">,
  made: Definition["labels"],
  history: Iterable<Entry>,
  request: ForkRequest,
): Promise<Made> {
  const { input, id, key, origin } = request;
  const branch = await branchOf(created, history, request);
  // The input of the start, unless the run was continued as new: then the input of this incarnation.
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
    // It gets the same random numbers and UUIDs as the original run.
    seed: seed ?? `${id}:${at}`,
    continued: continuation?.count ?? 0,
    ...(results.size === 0 ? {} : { print: await printOf(results) }),
  };
}

/** The entries to copy. @throws HoldfastError run_not_found: the original run was removed */
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
