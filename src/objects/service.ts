/**
 * Owns: finding the object that answers, and checking what is sent to it against the code.
 * Does not own: what the objects do with it; routes and handles, which call this.
 */
import { authorOf } from "../core/author.ts";
import type { Definition } from "../core/definition.ts";
import type { ParentRun, Reply, ScheduleFiring } from "../core/origin.ts";
import { HoldfastError } from "../core/error.ts";
import { limitsOf } from "../core/flow.ts";
import { checkName, checkRunId, newRunId } from "../core/name.ts";
import { fitPayload } from "../core/payload.ts";
import { runStatuses } from "../core/run.ts";
import type { RunSnapshot, RunStatus } from "../core/run.ts";
import { toJsonSchema, validate } from "../core/schema.ts";
import { termsOf } from "../core/terms.ts";
import type {
  ForkRequest,
  QueryAnswer,
  Runs,
  Service,
  SignalRequest,
  StartRequest,
  Started,
  UpdateAnswer,
  UpdateRequest,
  WorkflowInfo,
} from "../core/service.ts";
import type { ScheduleInfo } from "../core/timetable.ts";
import { decode, encode } from "../core/value.ts";
import type { Stored } from "../core/value.ts";
import { runObject, schedulerObject, shardCount } from "./address.ts";
import { admit } from "./admission.ts";
import { unwrap } from "./answer.ts";
import { broadcast } from "./broadcast.ts";
import { bulk, bulkStart } from "./bulk.ts";
import type { Catalog } from "./catalog.ts";
import { idOfKey } from "./digest.ts";
import { createLanes } from "./lanes.ts";
import { subscribersOf } from "./outlet.ts";
import { followDirectory } from "./feed.ts";
import { followRun } from "./follow.ts";
import { countGroups, countMatching, countRuns, listCauses, listRuns } from "./listing.ts";
import { unpack } from "./parcel.ts";
import { asTheyStand } from "./place.ts";
import type { Branch, CheckedStart } from "./rpc.ts";
import { rebuild, rebuildStart } from "./rebuild.ts";
import { rekey, rekeyStart } from "./rekey.ts";
import { createSchedules } from "./schedules.ts";
import { createStatistics } from "./statistics.ts";
import { readStory, readTimeline } from "./timeline.ts";
import { createHooks } from "./hooks.ts";
import { exportRun, importRun } from "./transfer.ts";
import type { Triggers } from "./webhook.ts";

export type Start = Omit<StartRequest, "workflow"> & {
  readonly schedule?: ScheduleFiring;
  readonly parent?: ParentRun;
  readonly reply?: Reply;
  readonly fork?: Branch;
};

export function createService(catalog: Catalog, triggers: Triggers = new Map()): Service {
  const lanes = createLanes(catalog.limits);
  const hooks = createHooks(triggers, (workflow, start) => startRun(catalog.current(workflow), start));
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
    asks: {
      query: askQuery,
      update: makeUpdate,
    },
    schedules: createSchedules(({ workflow, ...start }) => startRun(catalog.current(workflow), start)),
    lanes,
    directory: {
      count: (filter, groupBy) => countGroups(filter, groupBy),
      causes: (filter) => listCauses(filter),
      follow: async (filter) => followDirectory(filter),
      rebuild: async (request) => (await startRun(rebuild, rebuildStart(request))).run,
      rekey: async (request) => (await startRun(rekey, rekeyStart(request))).run,
    },
    stats: createStatistics(catalog, lanes),
    hooks,
  };
}

function createRuns(catalog: Catalog): Runs {
  return {
    start: ({ workflow, ...start }) => startRun(catalog.current(workflow), start),
    read: async (id, waitMs = 0) => unpack(unwrap(await runObject(checkRunId(id)).read(waitMs))),
    history: async (id, after, limit) => unwrap(await runObject(checkRunId(id)).history(after, limit)),
    follow: async (id, after) => followRun(checkRunId(id), after),
    timeline: async (id, ...which) => readTimeline(checkRunId(id), ...which),
    story: async (id, key) => readStory(checkRunId(id), key),
    list: async (query) => {
      const { runs, cursor } = await listRuns(query);
      return { runs: await asTheyStand(runs), cursor };
    },
    act: async (id, action) => unpack(unwrap(await runObject(checkRunId(id)).act(action))),
    fork: forkRun,
    export: exportRun,
    import: importRun,
    previewFork: async (id, cut) => unwrap(await runObject(checkRunId(id)).previewFork(cut)),
    bulk: async (request) => (await startRun(bulk, bulkStart(request))).run,
    count: (filter) => countMatching(filter, bulk.name),
  };
}

/** @throws HoldfastError run_not_found, fork_invalid, and what a start throws */
export async function forkRun(id: string, request: ForkRequest): Promise<{ run: RunSnapshot; created: boolean }> {
  if (request.id !== undefined) checkRunId(request.id);
  const { run, created } = unwrap(await runObject(checkRunId(id)).fork(request));
  return { run: await unpack(run), created };
}

/**
 * @throws HoldfastError input_invalid, id_invalid, label_invalid, value_too_large, run_exists,
 * idempotency_conflict, rate_limited
 */
export async function startRun(definition: Definition, start: Start): Promise<Started> {
  const { name, version } = definition;
  const sent = start.input;
  // What a fork has of the run it comes from was taken before.
  const input = start.fork?.input ?? (await accept(definition, sent));
  const { lanes, gates } = limitsOf(definition, input);
  const { signal: _sent, waitMs = 0, ...rest } = start;
  const signal = await broughtSignal(definition, start);
  if (start.update !== undefined) checkName(start.update.name, "update");
  const checked: CheckedStart = {
    ...rest,
    // The end is waited for once the update was made.
    waitMs: start.update === undefined ? waitMs : 0,
    ...(signal === undefined ? {} : { signal }),
    id: await runId(start),
    workflow: name,
    version,
    input,
    ...(input === sent ? {} : { sent }),
    labels: checkLabels({ ...labelsOf(definition, input), ...start.labels }),
    ...subscribersOf(definition, input, start.notify),
    parent: start.parent ?? null,
    schedule: start.schedule ?? null,
    shards: shardCount(),
    ...(lanes.length === 0 ? {} : { lanes }),
  };
  // A history can be no part of another run.
  const passed = start.fork === undefined ? gates : { ...gates, debounce: null };
  const { run, created } = await admit(checked, passed, start.id === undefined && start.key === undefined);
  // A limit of the workflow's had another run answer: what was brought is for that one.
  if (signal !== undefined && run.id !== checked.id) unwrap(await runObject(run.id).signal(signal, false));
  if (start.update === undefined) return { run: await unpack(run), created };
  const update = await makeUpdate(run.id, { ...start.update, ...keyOf(start), ...authorOf(start) });
  return { run: await unpack(unwrap(await runObject(run.id).read(waitMs))), created, update };
}

function keyOf({ key }: Pick<Start, "key">): { readonly key?: string } {
  return key === undefined ? {} : { key };
}

/** The signal that comes with a start, with what the workflow's schema makes of it. @throws signal_invalid, name_invalid */
async function broughtSignal(definition: Definition, start: Start): Promise<CheckedStart["signal"]> {
  if (start.signal === undefined) return undefined;
  const signal = checkSignal({ ...start.signal, ...keyOf(start), ...authorOf(start) });
  return { ...signal, fitted: await fitPayload(definition, signal.name, signal.payload) };
}

/** @throws HoldfastError run_not_found, query_not_found, query_timeout, version_missing, name_invalid */
export async function askQuery(id: string, name: string): Promise<QueryAnswer> {
  return unwrap(await runObject(checkRunId(id)).query(checkName(name, "query")));
}

/**
 * @throws HoldfastError run_not_found, update_not_found, update_invalid, update_failed, run_paused, run_ended,
 * version_missing, idempotency_conflict, name_invalid, value_too_large
 */
export async function makeUpdate(id: string, update: UpdateRequest): Promise<UpdateAnswer> {
  checkName(update.name, "update");
  return unwrap(await runObject(checkRunId(id)).update(update));
}

/** What the workflow's schema makes of what was sent. @throws HoldfastError input_invalid, value_too_large */
async function accept({ name, input }: Definition, sent: Stored): Promise<Stored> {
  if (input === undefined) return sent;
  const what = `the input of ${name}`;
  return encode(await validate(input, decode(sent), "input_invalid", what), what);
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
  const keyId = await idOfKey(key);
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
  const [schedules, counts] = await Promise.all([schedulerObject().list().then(unwrap), countRuns()]);
  return catalog.names().map((name) => info(catalog, name, schedules, counts));
}

async function describe(catalog: Catalog, name: string): Promise<WorkflowInfo> {
  catalog.current(name);
  const [schedules, counts] = await Promise.all([schedulerObject().list().then(unwrap), countRuns()]);
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
    terms: termsOf(current),
    counts: counts.get(name) ?? noRuns,
  };
}

const noRuns = Object.fromEntries(runStatuses.map((status) => [status, 0])) as Record<RunStatus, number>;
