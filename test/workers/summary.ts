/** Summaries as runs report them. */
import { noUsage } from "../../src/core/run/usage.ts";
import type { RunSummary, Waiting } from "../../src/core/run/run.ts";

export function summaryOf(id: string, over: Partial<RunSummary> = {}): RunSummary {
  return {
    id,
    workflow: "pay",
    version: "1",
    status: "running",
    error: null,
    labels: {},
    parent: null,
    schedule: null,
    fork: null,
    createdAt: 1000,
    startedAt: 1001,
    updatedAt: 1002,
    finishedAt: null,
    waitingFor: [],
    reason: null,
    steps: { completed: 0, failed: 0, running: 0 },
    seq: 1,
    usage: noUsage,
    tallies: {},
    trace: "",
    ...over,
  };
}

export function waitFor(name: string): Waiting {
  return { kind: "signal", name, since: 1, until: null };
}
