/**
 * Whoever uses Holdfast while faults go on: makes each call until it is answered, and looks at a run from beside it,
 * by what it told the directory, so that nobody but itself keeps it going.
 */
import type { Entry } from "../../../src/core/history/entry.ts";
import { HoldfastError } from "../../../src/core/error.ts";
import { isEnded } from "../../../src/core/run/run.ts";
import type { RunSnapshot, RunSummary } from "../../../src/core/run/run.ts";
import type { BulkRequest, RunAction, StartRequest } from "../../../src/core/service/service.ts";
import { decode, encode } from "../../../src/core/value/value.ts";
import { directoryOf } from "../../../src/objects/address.ts";
import { Catalog } from "../../../src/objects/deployment/catalog.ts";
import { createService } from "../../../src/objects/service.ts";
import { faultWorkflows } from "../flows/faults.ts";

export const service = createService(new Catalog(faultWorkflows.map(({ definition }) => definition)));

const pollMs = 40;
/** Longer than anything may take that goes on after a fault. */
const patienceMs = 120_000;

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What the call answers at last: an error that is no refusal says nothing, and the same is asked again. */
export async function persist<Value>(what: string, call: () => Promise<Value>): Promise<Value> {
  const until = Date.now() + patienceMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof HoldfastError && !passing.has(error.code)) throw error;
      if (Date.now() > until) throw new Error(`${what}: still not answered`, { cause: error });
    }
    await pause(pollMs);
  }
}

/** Refusals that are about the moment. */
const passing: ReadonlySet<string> = new Set(["storage_full", "query_timeout"]);

/** What it answers once it is not null. */
export async function until<Value>(what: string, look: () => Promise<Value | null>): Promise<Value> {
  const by = Date.now() + patienceMs;
  for (;;) {
    const seen = await look().catch(() => null);
    if (seen !== null) return seen;
    if (Date.now() > by) throw new Error(`${what}: it did not come to that`);
    await pause(pollMs);
  }
}

export type StartOptions = Partial<Omit<StartRequest, "workflow" | "input" | "id" | "by">>;

export async function start(
  workflow: string,
  id: string,
  input: object,
  more: StartOptions = {},
): Promise<RunSnapshot> {
  const request = { workflow, id, input: encode(input, "the input"), by: "test", ...more };
  return (await persist(`the start of ${id}`, () => service.runs.start(request))).run;
}

export function signal(id: string, name: string, payload: object): Promise<unknown> {
  const key = `${id}-${name}-${JSON.stringify(payload)}`;
  const request = { name, payload: encode(payload, "the payload"), key, by: "test" };
  return persist(`signal ${name} to ${id}`, () => service.signals.send(id, request));
}

/** With a key, so that it is done once; a run that has ended of it by now has heard it. */
export function act(id: string, kind: RunAction["kind"]): Promise<unknown> {
  const action = { kind, by: "test", reason: null, key: `${id}-${kind}` };
  return persist(`${kind} ${id}`, () => service.runs.act(id, action).catch(unless(gone[kind])));
}

const gone: Readonly<Record<RunAction["kind"], string>> = {
  cancel: "run_ended",
  terminate: "run_ended",
  pause: "run_ended",
  resume: "run_ended",
  retry: "not_retryable",
  delete: "run_not_found",
};

export function bulk(request: Omit<BulkRequest, "by" | "reason"> & { readonly key: string }): Promise<RunSnapshot> {
  return persist(`bulk ${request.action}`, () => service.runs.bulk({ ...request, by: "test", reason: null }));
}

export async function update(id: string, name: string, argument: unknown, key: string): Promise<unknown> {
  const request = { name, argument: encode(argument, "the argument"), key, by: "test" };
  const answer = await persist(`update ${name} of ${id}`, async () => {
    const answer = await service.asks.update(id, request);
    if (answer.kind === "open") throw new Error("it is under way");
    return answer;
  });
  return answer.kind === "completed" ? decode(answer.result) : answer;
}

function unless(code: string): (error: unknown) => null {
  return (error) => {
    if (error instanceof HoldfastError && error.code === code) return null;
    throw error;
  };
}

/** The run as the directory has it; null where it has none of that id. */
export async function listed(id: string): Promise<RunSummary | null> {
  const runs = await directoryOf(id).list({ idPrefix: id, limit: 200 }, null);
  return runs.find((run) => run.id === id) ?? null;
}

/** The run once the directory says that it has ended. */
export function ended(id: string): Promise<RunSummary> {
  return until(`the end of ${id}`, async () => {
    const run = await listed(id);
    return run !== null && isEnded(run.status) ? run : null;
  });
}

/** The run once the directory says that it waits for this. */
export function waiting(id: string, name: string): Promise<RunSummary> {
  return until(`${id} waiting for ${name}`, async () => {
    const run = await listed(id);
    return run?.waitingFor.some((wait) => wait.name === name) === true ? run : null;
  });
}

export async function history(id: string): Promise<Entry[]> {
  const { entries } = await persist(`the history of ${id}`, () => service.runs.history(id, 0, 10_000));
  return [...entries];
}

export function read(id: string): Promise<RunSnapshot> {
  return persist(`a look at ${id}`, () => service.runs.read(id));
}

export async function output(id: string): Promise<unknown> {
  const run = await read(id);
  return run.output === null ? run.error : decode(run.output);
}
