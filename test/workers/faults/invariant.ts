/** What is true of every run, whatever happened to it: the guarantees of README.md that can be seen on it. */
import { expect } from "vitest";
import { isEnded } from "../../../src/core/run/run.ts";
import { wrongs } from "../flows/faults.ts";
import { history, listed, read, until } from "./client.ts";
import { alarmOf } from "../storage.ts";

/** The runs must be on record, on the listing, and have an alarm where they need one. */
export async function checkRuns(ids: readonly string[]): Promise<void> {
  expect(wrongs).toEqual([]);
  await Promise.all(ids.map(checkRun));
}

async function checkRun(id: string): Promise<void> {
  await checkHistory(id);
  // The directory is equal to the run in the end.
  const same = async (): Promise<string | null> => {
    const [told, run] = [await listed(id), await read(id)];
    return told?.status === run.status && told.createdAt === run.createdAt && told.finishedAt === run.finishedAt
      ? id
      : null;
  };
  await until(`the directory is right about ${id}`, same);
  const { status, waitingFor } = await read(id);
  const onlySignals =
    waitingFor.length > 0 && waitingFor.every((wait) => wait.kind === "signal" && wait.until === null);
  if (isEnded(status) || !onlySignals) await until(`${id} (${status}) has an alarm`, () => alarmOf(id));
}

/** The journal has no gaps, never goes back in time, and tells each thing once (guarantees 2, 3, 5 and 8). */
async function checkHistory(id: string): Promise<void> {
  const entries = await history(id);
  const first = entries[0]?.seq ?? 0;
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_entry, index) => first + index));
  expect(entries.map(({ at }) => at)).toEqual(entries.map(({ at }) => at).toSorted((one, other) => one - other));
  const outcomes = entries.flatMap((entry) => {
    const once = entry.kind === "step.completed" || entry.kind === "child.completed" || entry.kind === "undo.completed";
    return once && "step" in entry ? [`${entry.kind} ${entry.step}`] : [];
  });
  expect(outcomes.toSorted()).toEqual([...new Set(outcomes)].toSorted());
  const keys = entries.flatMap((entry) =>
    entry.kind === "signal.received" && entry.key !== undefined ? [entry.key] : [],
  );
  expect(keys).toEqual([...new Set(keys)]);
  const ends = entries.filter(
    ({ kind }) => kind === "run.completed" || kind === "run.failed" || kind === "run.cancelled",
  );
  const reopened = entries.filter(({ kind }) => kind === "run.retried");
  if (ends.length > 0) expect(ends.length - reopened.length).toBeLessThanOrEqual(1);
}
