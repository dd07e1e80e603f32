/**
 * Owns: finding the object that answers, and checking what is sent to it against the code.
 * Does not own: what the objects do with it; routes and handles, which call this.
 */
import type { Definition } from "../core/definition.ts";
import type { ScheduleFiring } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import { checkName, checkRunId, newRunId } from "../core/name.ts";
import { runStatuses } from "../core/run.ts";
import type { RunSnapshot, RunStatus } from "../core/run.ts";
import { toJsonSchema, validate } from "../core/schema.ts";
import type { Runs, ScheduleInfo, Service, SignalRequest, StartRequest, WorkflowInfo } from "../core/service.ts";
import { decode, encode } from "../core/value.ts";
import type { Stored } from "../core/value.ts";
import { runObject, schedulerObject } from "./address.ts";
import { unwrap } from "./answer.ts";
import { broadcast } from "./broadcast.ts";
import type { Catalog } from "./catalog.ts";
import { countRuns, listRuns } from "./listing.ts";
import { unpack } from "./parcel.ts";
import type { CheckedStart } from "./rpc.ts";
import { verifyToken } from "./token.ts";

export type Start = Omit<StartRequest, "workflow"> & { readonly schedule?: ScheduleFiring };

export function createService(catalog: Catalog): Service {
  return {
    workflows: {
      list: () => describeAll(catalog),
      find: (name) => describe(catalog, name),
    },
    runs: createRuns(catalog),
    signals: {
      send: sendSignal,
      broadcast: broadcastSignal,
    },
    schedules: {
      list: async () => [...(await schedulerObject().list())],
      tick: () => schedulerObject().tick(),
    },
    hooks: {
      receive: async (token, request) => {
        const { runId, ...address } = await verifyToken(token);
        return unwrap(await runObject(runId).hook(address, request));
      },
    },
  };
}

function createRuns(catalog: Catalog): Runs {
  return {
    start: ({ workflow, ...start }) => startRun(catalog.current(workflow), start),
    read: async (id, waitMs = 0) => unpack(unwrap(await runObject(checkRunId(id)).read(waitMs))),
    history: async (id, after, limit) => unwrap(await runObject(checkRunId(id)).history(after, limit)),
    list: (query) => listRuns(query),
    act: async (id, action) => unpack(unwrap(await runObject(checkRunId(id)).act(action))),
  };
}

/** @throws HoldfastError input_invalid, id_invalid, label_invalid, value_too_large, run_exists, idempotency_conflict */
export async function startRun(definition: Definition, start: Start): Promise<{ run: RunSnapshot; created: boolean }> {
  const { name, version } = definition;
  const sent = start.input;
  const value = await validate(definition.input, decode(sent), "input_invalid", `the input of ${name}`);
  const input = definition.input === undefined ? sent : encode(value, `the input of ${name}`);
  const checked: CheckedStart = {
    ...start,
    id: await runId(start),
    workflow: name,
    version,
    input,
    ...(input === sent ? {} : { sent }),
    labels: checkLabels({ ...labelsOf(definition, input), ...start.labels }),
    parent: null,
    schedule: start.schedule ?? null,
  };
  const { run, created } = unwrap(await runObject(checked.id).start(checked));
  return { run: await unpack(run), created };
}

/** @throws HoldfastError run_not_found, run_ended, signal_invalid, name_invalid, idempotency_conflict, value_too_large */
export async function sendSignal(id: string, signal: SignalRequest): Promise<{ duplicate: boolean }> {
  return unwrap(await runObject(checkRunId(id)).signal(checkSignal(signal), false));
}

/** @throws HoldfastError signal_invalid, name_invalid, idempotency_conflict, value_too_large */
export async function broadcastSignal(signal: SignalRequest): Promise<{ delivered: number; buffered: boolean }> {
  return await broadcast(checkSignal(signal));
}

function checkSignal(signal: SignalRequest): SignalRequest {
  checkName(signal.name, "signal");
  const payload = decode(signal.payload);
  if (payload === null) throw new HoldfastError("signal_invalid", "the payload of a signal cannot be null");
  return payload === undefined ? { ...signal, payload: encode({}, "the payload") } : signal;
}

/** The caller's id; else one made of the key, so that the same key finds the same run; else a new one. */
async function runId({ id, key }: Start): Promise<string> {
  if (key === undefined)
    return id === undefined ? newRunId(Date.now(), crypto.getRandomValues(new Uint8Array(10))) : checkRunId(id);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  const keyId = `key-${Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  if (id === undefined || id === keyId) return keyId;
  unwrap(await runObject(keyId).bind(checkRunId(id)));
  return id;
}

/** Without a schema the input may be anything, also what the workflow's own function has not thought of. */
function labelsOf({ name, labels }: Definition, input: Stored): Readonly<Record<string, string>> {
  try {
    return labels?.(decode(input) as never) ?? {};
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError("label_invalid", `the labels of ${name} cannot be made from this input: ${why}`, { cause });
  }
}

function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [label, value] of Object.entries(labels)) {
    if (typeof value === "string" && label !== "" && label.length <= 256 && value.length <= 1024) continue;
    throw new HoldfastError(
      "label_invalid",
      `label ${JSON.stringify(label)} must be text of at most 1024 characters, under a key of 1 to 256`,
    );
  }
  return labels;
}

async function describeAll(catalog: Catalog): Promise<WorkflowInfo[]> {
  const [schedules, counts] = await Promise.all([schedulerObject().list(), countRuns()]);
  return catalog.names().map((name) => info(catalog, name, schedules, counts));
}

async function describe(catalog: Catalog, name: string): Promise<WorkflowInfo> {
  catalog.current(name);
  const [schedules, counts] = await Promise.all([schedulerObject().list(), countRuns()]);
  return info(catalog, name, schedules, counts);
}

function info(
  catalog: Catalog,
  name: string,
  schedules: readonly ScheduleInfo[],
  counts: ReadonlyMap<string, Readonly<Record<RunStatus, number>>>,
): WorkflowInfo {
  const current = catalog.current(name);
  return {
    name,
    versions: catalog.versions(name).map(({ version }) => version),
    version: current.version,
    input: toJsonSchema(current.input),
    signals: Object.fromEntries(
      Object.entries(current.signals).map(([signal, schema]) => [signal, toJsonSchema(schema)]),
    ),
    schedules: schedules.filter(({ workflow }) => workflow === name),
    counts: counts.get(name) ?? noRuns,
  };
}

const noRuns = Object.fromEntries(runStatuses.map((status) => [status, 0])) as Record<RunStatus, number>;
