/**
 * Owns: finding the object for a call, and validating the arguments with the code of the workflow.
 * Does not own: the objects; routes and handles, which call this.
 */
import { authorOf } from "../core/author.ts";
import type { Definition } from "../core/definition/definition.ts";
import { HoldfastError } from "../core/error.ts";
import { batchName, objectName } from "../core/run/key.ts";
import { checkName, checkRunId, newRunId } from "../core/name.ts";
import { checkSignal } from "../core/definition/payload.ts";
import { defined } from "../core/record.ts";
import type { Made } from "../core/run/run.ts";
import { noRuns } from "../core/run/run.ts";
import { toJsonSchema } from "../core/definition/schema.ts";
import { termsOf } from "../core/definition/terms.ts";
import type {
  BroadcastOutcome,
  ForkRequest,
  QueryAnswer,
  Runs,
  Service,
  SignalRequest,
  Started,
  UpdateAnswer,
  UpdateRequest,
  WorkflowInfo,
} from "../core/service/service.ts";
import { runObject, schedulerObject, shardCount } from "./address.ts";
import { admit, findAnswering } from "./start/admission.ts";
import { unwrap } from "./answer.ts";
import { broadcast } from "./directory/broadcast.ts";
import { bulk, bulkStart } from "./builtin/bulk.ts";
import type { Catalog } from "./deployment/catalog.ts";
import { digestOf, nameOfKey } from "./deployment/digest.ts";
import { createLanes } from "./lane/lanes.ts";
import { followDirectory } from "./follow/feed.ts";
import { signalOf, prepare, wishOf } from "./start/preparation.ts";
import type { Prepared, Start, StartRun } from "./start/preparation.ts";
import { followRun } from "./follow/follow.ts";
import { countGroups, countMatching, countRuns, listCauses, listRuns } from "./directory/listing.ts";
import { checkCarriable, unpack } from "./packing.ts";
import { withPresentState } from "./directory/place.ts";
import type { PackedRun } from "./rpc/run.ts";
import type { CheckedStart } from "./rpc/start.ts";
import { rebuild, rebuildStart } from "./builtin/rebuild.ts";
import { rekey, rekeyStart } from "./builtin/rekey.ts";
import { createSchedules } from "./schedule/schedules.ts";
import { createStatistics } from "./directory/statistics.ts";
import { readStory, readTimeline } from "./run/timeline.ts";
import { createHooks } from "./webhook/hooks.ts";
import { exportRun, importRun } from "./transfer/transfer.ts";
import type { InboundWebhooks } from "./webhook/webhook.ts";

export function createService(catalog: Catalog, webhooks: InboundWebhooks = new Map()): Service {
  const lanes = createLanes(catalog.limits);
  const start = startByName(catalog);
  return {
    workflows: {
      list: async () => catalog.names().map(await describer(catalog)),
      find: async (name) => {
        // Refused before anybody is called.
        catalog.current(name);
        return (await describer(catalog))(name);
      },
    },
    runs: createRuns(start),
    signals: {
      send: sendSignal,
      broadcast: broadcastSignal,
    },
    asks: {
      query: askQuery,
      update: makeUpdate,
    },
    schedules: createSchedules(start),
    lanes,
    directory: {
      count: countGroups,
      causes: listCauses,
      follow: async (filter) => followDirectory(filter),
      rebuild: async (request) => (await startRun(rebuild, rebuildStart(request))).run,
      rekey: async (request) => (await startRun(rekey, rekeyStart(request))).run,
    },
    stats: createStatistics(catalog, lanes),
    hooks: createHooks(webhooks, start),
  };
}

/** Starts runs of the workflows of the deployment. */
export function startByName(catalog: Catalog): StartRun {
  return (workflow, start) => startRun(catalog.current(workflow), start);
}

function createRuns(start: StartRun): Runs {
  return {
    start: ({ workflow, ...request }) => start(workflow, request),
    bindBatch: async (key, contents) => {
      const name = batchName(await digestOf(contents, 16));
      unwrap(await runObject(await nameOfKey(key)).bind(name));
    },
    read: async (id, waitMs = 0) => unpack(unwrap(await runObject(checkRunId(id)).read(waitMs))),
    history: async (id, after, limit) => unwrap(await runObject(checkRunId(id)).history(after, limit)),
    follow: async (id, after) => followRun(checkRunId(id), after),
    timeline: async (id, ...which) => readTimeline(checkRunId(id), ...which),
    story: async (id, key) => readStory(checkRunId(id), key),
    list: async (query) => {
      const { runs, cursor } = await listRuns(query);
      return { runs: await withPresentState(runs), cursor };
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

/** @throws HoldfastError run_not_found, fork_invalid, and errors of a start */
export async function forkRun(id: string, request: ForkRequest): Promise<Made> {
  if (request.id !== undefined) checkRunId(request.id);
  checkCarriable({ ...defined({ input: request.input }), fork: request });
  const { run, created } = unwrap(await runObject(checkRunId(id)).fork(request));
  return { run: await unpack(run), created };
}

/**
 * @throws HoldfastError input_invalid, id_invalid, label_invalid, value_too_large, run_exists,
 * idempotency_conflict, rate_limited
 */
export async function startRun(definition: Definition, start: Start): Promise<Started> {
  checkCarriable(start);
  // With an update, the end is waited for after the update.
  const waitMs = start.update === undefined ? (start.waitMs ?? 0) : 0;
  const asked = { ...start, ...(await wishOf(start)), waitMs, workflow: definition.name };
  const { run, created } = await prepare(definition, start).then(
    (ready) => makeRun(definition, asked, ready),
    (refusal: unknown) => findRun(asked, refusal),
  );
  if (start.update === undefined) return { run: await unpack(run), created };
  const update = await makeUpdate(run.id, { ...start.update, ...defined({ key: start.key }), ...authorOf(start) });
  return { run: await unpack(unwrap(await runObject(run.id).read(start.waitMs ?? 0))), created, update };
}

type RequestedStart = Start & Pick<CheckedStart, "workflow" | "wish" | "waitMs">;

/** @throws HoldfastError run_exists, idempotency_conflict, rate_limited, id_invalid, value_too_large, and errors of a signal */
async function makeRun(
  { version }: Definition,
  start: RequestedStart,
  { fitted, gates }: Prepared,
): Promise<Made<PackedRun>> {
  const { signal: _sent, ...rest } = start;
  const checked: CheckedStart = {
    ...rest,
    ...fitted,
    ...(await calledAs(start)),
    version,
    parent: start.parent ?? null,
    schedule: start.schedule ?? null,
    shards: shardCount(),
  };
  checkCarriable(checked);
  // A fork cannot be merged into another run.
  const passed = start.fork === undefined ? gates : { ...gates, debounce: null };
  const admitted = await admit(checked, passed, start.id === undefined && start.key === undefined);
  const { run } = admitted;
  const { signal } = fitted;
  // If a limit made another run answer, that run gets the signal.
  if (signal !== undefined && objectName(run.id) !== objectName(checked.id))
    unwrap(await runObject(run.id).signal(signal, false));
  return admitted;
}

/**
 * The run that this start created before, or that answered it: an accepted start stays accepted, even if the code or the time
 * would refuse it now. @throws the refusal, if there is no such run
 */
async function findRun(start: RequestedStart, refusal: unknown): Promise<Made<PackedRun>> {
  const { id = start.key === undefined ? undefined : await nameOfKey(start.key) } = start;
  if (!(refusal instanceof HoldfastError) || id === undefined) throw refusal;
  const { signal: _sent, ...rest } = start;
  const signal = signalOf(start);
  const asked = { ...rest, labels: start.labels ?? {} };
  const object = runObject(checkRunId(id));
  // An object of the deployment before does not have these methods.
  const late = (error: unknown): never => {
    throw error instanceof TypeError ? refusal : error;
  };
  const own = unwrap(await object.repeat(signal === undefined ? asked : { ...asked, signal }).catch(late));
  if (own !== null) return { run: own, created: false };
  const other = await findAnswering({ ...asked, id }).catch(late);
  if (other === null) throw refusal;
  if (signal !== undefined) unwrap(await runObject(other.run.id).signal(signal, false));
  return other;
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

/** @throws HoldfastError run_not_found, run_ended, signal_invalid, name_invalid, idempotency_conflict, value_too_large */
export async function sendSignal(id: string, signal: SignalRequest): Promise<{ duplicate: boolean }> {
  return unwrap(await runObject(checkRunId(id)).signal(checkSignal(signal), false));
}

/** @throws HoldfastError signal_invalid, name_invalid, idempotency_conflict, value_too_large */
export async function broadcastSignal(signal: SignalRequest): Promise<BroadcastOutcome> {
  return await broadcast(checkSignal(signal));
}

/** The given id; or the name of the key's object, so that the same key finds the same run; or a new id. */
async function calledAs({ id, key }: Start): Promise<Pick<CheckedStart, "id" | "byKey">> {
  if (id !== undefined) checkRunId(id);
  if (key === undefined) return { id: id ?? newRunId(Date.now(), crypto.getRandomValues(new Uint8Array(10))) };
  const name = await nameOfKey(key);
  if (id === undefined) return { id: name, byKey: true };
  if (objectName(id) !== name) unwrap(await runObject(name).bind(id));
  return { id };
}

/** Describes workflows by name, with their schedules and the counts of their runs as they are now. */
async function describer(catalog: Catalog): Promise<(name: string) => WorkflowInfo> {
  const [schedules, counts] = await Promise.all([schedulerObject().list().then(unwrap), countRuns()]);
  return (name) => {
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
      counts: counts.get(name) ?? noRuns(),
    };
  };
}
