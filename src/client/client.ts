/**
 * Owns: the client of a Holdfast: starting workflows, handles of runs, lists, and other calls of the API.
 * Does not own: the handle of a run (run), making calls (connection).
 */
import { toInstant } from "../core/duration.ts";
import type { Instant } from "../core/duration.ts";
import { HoldfastError } from "../core/error.ts";
import type { RunHandle, SignalOptions, StartOptions as OwnOptions } from "../core/definition/handle.ts";
import type { RunStatus } from "../core/run/run.ts";
import type { SignalTypes } from "../core/definition/step.ts";
import { Connection } from "./connection.ts";
import type { CallOptions, ClientOptions, Method } from "./connection.ts";
import { errorOf, isTransient } from "./refusal.ts";
import type { ApiError, Problem } from "./refusal.ts";
import { createRun, message } from "./run.ts";
import type { ClientRun } from "./run.ts";
import { segment, sent } from "./value.ts";
import { viewListed } from "./view.ts";
import type { ListedRun, RunJson } from "./view.ts";

export type StartOptions = OwnOptions & {
  /** The same key again finds the same run; generated for a start without an `id`. */
  readonly idempotencyKey?: string;
};

/** What is said once for all starts of a batch. */
export type BatchOptions = Pick<StartOptions, "idempotencyKey" | "traceparent">;

export type RunFilter = {
  readonly workflow?: string;
  readonly status?: RunStatus | readonly RunStatus[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Inclusive. */
  readonly createdAfter?: Instant;
  /** Exclusive. */
  readonly createdBefore?: Instant;
  /** The beginning of the ids. */
  readonly idPrefix?: string;
  /** The code of the run's error. */
  readonly errorCode?: string;
  /** The `id` of a cause of failures, as `request("GET", "/v1/directory/causes")` returns it. */
  readonly cause?: string;
};

/** The least that the type of a definition has: that of `defineWorkflow`, or of an unknown workflow. */
type Defined = {
  start(...args: never): Promise<RunHandle>;
  get(id: string): RunHandle;
};
type Unknown = { start(input?: unknown): Promise<RunHandle>; get(id: string): RunHandle };

type RunOf<Of> = Of extends { get(id: string): RunHandle<infer Output, infer Signals> }
  ? ClientRun<Output, Signals>
  : never;
type InputOf<Of> = Of extends { start(...args: infer Args): unknown }
  ? Args extends readonly [input?: infer Input, ...rest: unknown[]]
    ? Input
    : never
  : never;
type Starting<Of> =
  undefined extends InputOf<Of>
    ? [input?: InputOf<Of>, options?: StartOptions]
    : [input: InputOf<Of>, options?: StartOptions];

type InBatch<Of> = Omit<StartOptions, keyof BatchOptions> &
  (undefined extends InputOf<Of> ? { readonly input?: InputOf<Of> } : { readonly input: InputOf<Of> });

/** A workflow of the Worker. */
export interface ClientWorkflow<Of> {
  readonly name: string;
  /**
   * Starts a run, or finds the one with the same `id`, workflow and input.
   * @throws ApiError workflow_not_found, input_invalid, id_invalid, label_invalid, duration_invalid, run_exists,
   * idempotency_conflict, rate_limited (its `retryAfterMs` says when to try again)
   */
  start(...args: Starting<Of>): Promise<RunOf<Of>>;
  /**
   * Makes up to 100 starts with one call. Each has a result of its own, in the same order, whose `reason` is what `start`
   * would have thrown. The same key again with the same starts finds their runs, and starts those that are not there.
   * @throws ApiError workflow_not_found, body_invalid, idempotency_conflict
   */
  startMany(starts: readonly InBatch<Of>[], options?: BatchOptions): Promise<PromiseSettledResult<RunOf<Of>>[]>;
  /** The handle of a run by its id; nothing is asked of it yet. @throws HoldfastError id_invalid */
  get(id: string): RunOf<Of>;
}

export interface Client {
  /** `client.workflow<typeof approveOrder>("approve-order")` has the types of the definition, without its code. */
  workflow<Of extends Defined = Unknown>(name: string): ClientWorkflow<Of>;
  /** The handle of a run by its id; nothing is asked of it yet. @throws HoldfastError id_invalid */
  getRun<Output = unknown, Signals extends SignalTypes = SignalTypes>(id: string): ClientRun<Output, Signals>;
  /** Runs as the directory lists them, newest first; pages are read on demand. */
  runs(filter?: RunFilter): AsyncIterable<ListedRun>;
  /** Sends a signal to every run that waits for the name now; if none does, it is kept for the next waiter, for a day. */
  signal(
    name: string,
    payload?: unknown,
    options?: SignalOptions,
  ): Promise<{ readonly delivered: number; readonly buffered: boolean }>;
  /**
   * Any other call of the API, such as `request("POST", "/v1/schedules", { body })`; retried like the others. Returns the
   * JSON of the response.
   * @throws ApiError
   */
  request(method: Method, path: string, options?: CallOptions): Promise<unknown>;
}

/** A client of the Holdfast at that URL; makes no call yet. @throws HoldfastError options_invalid, duration_invalid */
export function createClient(options: ClientOptions): Client {
  const connection = new Connection(options);
  return {
    workflow: <Of extends Defined>(name: string) => bindWorkflow<Of>(connection, name),
    getRun: (id) => createRun(connection, id),
    runs: (filter = {}) => listRuns(connection, filter),
    signal: async (name, payload, given) => {
      const path = `/v1/signals/${segment(name, "signal")}`;
      const answer = await connection.call("POST", path, message(name, payload, given));
      return answer as { delivered: number; buffered: boolean };
    },
    request: (method, path, options) => connection.call(method, path, options),
  };
}

function bindWorkflow<Of>(connection: Connection, name: string): ClientWorkflow<Of> {
  const path = `/v1/workflows/${segment(name, "workflow")}`;
  return {
    name,
    start: async (...args) => {
      const [input, options = {}] = args as [input?: unknown, options?: StartOptions];
      const { idempotencyKey, traceparent, ...rest } = options;
      const call = {
        body: startBody(name, { ...rest, input }),
        idempotencyKey: keyFor(idempotencyKey, [rest]),
        traceparent,
      };
      const run = (await connection.call("POST", `${path}/runs`, call)) as RunJson;
      return createRun(connection, run.id as string) as RunOf<Of>;
    },
    startMany: async (starts, { idempotencyKey, traceparent } = {}) => {
      const runs = starts.map((start) => startBody(name, start));
      const call = { body: { runs }, idempotencyKey: keyFor(idempotencyKey, starts), traceparent };
      const results = await startBatch(connection, `${path}/batch`, call);
      return results.map((result) =>
        "problem" in result
          ? { status: "rejected", reason: errorOfStart(result) }
          : { status: "fulfilled", value: createRun(connection, result.id) as RunOf<Of> },
      );
    },
    get: (id) => createRun(connection, id) as RunOf<Of>,
  };
}

type OneStart = Omit<StartOptions, keyof BatchOptions> & { readonly input?: unknown };

function startBody(name: string, { input, startAt, notAfter, signal, ...rest }: OneStart): object {
  return {
    ...rest,
    ...(input === undefined ? {} : { input: sent(input, `the input of ${name}`) }),
    ...(startAt === undefined ? {} : { startAt: toText(startAt) }),
    ...(notAfter === undefined ? {} : { notAfter: toText(notAfter) }),
    ...(signal === undefined ? {} : { signal: toStartSignal(signal) }),
  };
}

type BatchResult = { readonly id: string } | { readonly problem: Problem; readonly retryAfter?: number };

/** Repeats the call while one of its starts may succeed if it is tried again. */
async function startBatch(connection: Connection, path: string, call: CallOptions): Promise<readonly BatchResult[]> {
  let results: readonly BatchResult[] = [];
  const check = (answer: unknown): void => {
    ({ runs: results } = answer as { readonly runs: readonly BatchResult[] });
    const passing = results.map(errorOfStart).find(isTransient);
    if (passing !== undefined) throw passing;
  };
  await connection.call("POST", path, call, check).catch((error: unknown) => {
    if (results.length === 0) throw error;
  });
  return results;
}

/** Null for a start that was made. */
function errorOfStart(result: BatchResult): ApiError | null {
  if (!("problem" in result)) return null;
  const { problem, retryAfter } = result;
  return errorOf(problem, retryAfter === undefined ? undefined : retryAfter * 1000);
}

/**
 * The key of a call; null for none. An id of the caller's choice is enough to find a run again, and saves the Worker an object
 * for the key, unless the start brings a signal, which would be sent twice. Generating an id would not do instead of a key: a
 * start that another run answered, because of a singleton or a debounce, is found again by its key only.
 */
function keyFor(given: string | undefined, starts: readonly OneStart[]): string | null | undefined {
  const areKnownById = starts.every(({ id, signal }) => id !== undefined && signal === undefined);
  return given ?? (areKnownById ? null : undefined);
}

function toStartSignal({ name, payload }: NonNullable<StartOptions["signal"]>): object {
  return { name, ...(payload === undefined ? {} : { payload: sent(payload, `the payload of signal ${name}`) }) };
}

function toText(instant: Instant): string {
  return new Date(toInstant(instant)).toISOString();
}

type Page = { readonly runs: readonly RunJson[]; readonly cursor: string | null };

async function* listRuns(connection: Connection, filter: RunFilter): AsyncGenerator<ListedRun> {
  const query = toQuery(filter);
  for (let cursor: string | null = ""; cursor !== null;) {
    if (cursor !== "") query.set("cursor", cursor);
    const page = (await connection.call("GET", `/v1/runs?${query.toString()}`)) as Page;
    yield* page.runs.map(viewListed);
    ({ cursor } = page);
  }
}

function toQuery({ status, labels = {}, createdAfter, createdBefore, ...texts }: RunFilter): URLSearchParams {
  const query = new URLSearchParams({ limit: "200" });
  for (const [name, text] of Object.entries(texts)) {
    if (!plain.has(name)) throw new HoldfastError("options_invalid", `runs are not filtered by "${name}"`);
    if (text !== undefined) query.set(name, text);
  }
  for (const [key, text] of Object.entries(labels)) query.set(`label.${key}`, text);
  if (status !== undefined) query.set("status", [status].flat().join(","));
  if (createdAfter !== undefined) query.set("createdAfter", toText(createdAfter));
  if (createdBefore !== undefined) query.set("createdBefore", toText(createdBefore));
  return query;
}

const plain: ReadonlySet<string> = new Set(["workflow", "idPrefix", "errorCode", "cause"]);
