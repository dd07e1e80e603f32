/**
 * Owns: what a client of a Holdfast offers: workflows to start, runs by their ids, lists, and whatever else the API can.
 * Does not own: what is done with one run (run), how a call is made (connection).
 */
import { toInstant } from "../core/duration.ts";
import type { Instant } from "../core/duration.ts";
import { HoldfastError } from "../core/error.ts";
import type { RunHandle, SignalOptions, StartOptions as OwnOptions } from "../core/handle.ts";
import { checkSegment } from "../core/name.ts";
import type { RunStatus } from "../core/run.ts";
import type { SignalTypes } from "../core/step.ts";
import { Connection } from "./connection.ts";
import type { CallOptions, ClientOptions, Method } from "./connection.ts";
import { createRun, message } from "./run.ts";
import type { ClientRun } from "./run.ts";
import { segment, sent } from "./value.ts";
import { viewListed } from "./view.ts";
import type { ListedRun, RunJson } from "./view.ts";

export type StartOptions = Omit<OwnOptions, "notAfter"> & {
  /** The same key again finds the same run; one is made up for a start without an `id`. */
  readonly idempotencyKey?: string;
};

export type RunFilter = {
  readonly workflow?: string;
  readonly status?: RunStatus | readonly RunStatus[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Inclusive. */
  readonly createdAfter?: Instant;
  /** Exclusive. */
  readonly createdBefore?: Instant;
  /** What the ids begin with. */
  readonly idPrefix?: string;
  /** The code of the run's error. */
  readonly errorCode?: string;
  /** The `id` of a cause of failures, as `request("GET", "/v1/directory/causes")` answers it. */
  readonly cause?: string;
};

/** The least that a definition is: what `defineWorkflow` makes, or one of which nothing is known. */
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

/** A workflow of the Worker. */
export interface ClientWorkflow<Of> {
  readonly name: string;
  /**
   * Starts a run, or finds the one with the same `id`, workflow and input.
   * @throws ApiError workflow_not_found, input_invalid, id_invalid, label_invalid, duration_invalid, run_exists,
   * idempotency_conflict, rate_limited (its `retryAfterMs` says when it is worth another try)
   */
  start(...args: Starting<Of>): Promise<RunOf<Of>>;
  /** The handle of a run by its id; nothing is asked of it yet. @throws HoldfastError id_invalid */
  get(id: string): RunOf<Of>;
}

export interface Client {
  /** `client.workflow<typeof approveOrder>("approve-order")` has the types of the definition, and none of its code. */
  workflow<Of extends Defined = Unknown>(name: string): ClientWorkflow<Of>;
  /** The handle of a run by its id; nothing is asked of it yet. @throws HoldfastError id_invalid */
  getRun<Output = unknown, Signals extends SignalTypes = SignalTypes>(id: string): ClientRun<Output, Signals>;
  /** Runs as the directory lists them, newest first, read as they are asked for. */
  runs(filter?: RunFilter): AsyncIterable<ListedRun>;
  /** To every run that waits for the name now; kept for the next that does, for a day, if none does. */
  signal(
    name: string,
    payload?: unknown,
    options?: SignalOptions,
  ): Promise<{ readonly delivered: number; readonly buffered: boolean }>;
  /**
   * Any other call of the API, such as `request("POST", "/v1/schedules", { body })`: made again like the others, it
   * answers the JSON as it comes.
   * @throws ApiError
   */
  request(method: Method, path: string, options?: CallOptions): Promise<unknown>;
}

/** A client of the Holdfast that answers there; it asks nothing yet. @throws HoldfastError options_invalid, duration_invalid */
export function createClient(options: ClientOptions): Client {
  const connection = new Connection(options);
  return {
    workflow: <Of extends Defined>(name: string) => bindWorkflow<Of>(connection, checkSegment(name, "workflow")),
    getRun: (id) => createRun(connection, id),
    runs: (filter = {}) => listRuns(connection, filter),
    signal: async (name, payload, given) => {
      const path = `/v1/signals/${segment(name, "signal")}`;
      const answer = await connection.call("POST", path, message(name, payload, given));
      return answer as { delivered: number; buffered: boolean };
    },
    request: (method, path, asked) => connection.call(method, path, asked),
  };
}

function bindWorkflow<Of>(connection: Connection, name: string): ClientWorkflow<Of> {
  return {
    name,
    start: async (...args) => {
      const [input, options] = args as [input?: unknown, options?: StartOptions];
      return createRun(connection, await startRun(connection, name, input, options)) as RunOf<Of>;
    },
    get: (id) => createRun(connection, id) as RunOf<Of>,
  };
}

async function startRun(
  connection: Connection,
  name: string,
  input: unknown,
  options: StartOptions = {},
): Promise<string> {
  const { startAt, signal, idempotencyKey, traceparent, ...rest } = options;
  const body = {
    ...rest,
    ...(input === undefined ? {} : { input: sent(input, `the input of ${name}`) }),
    ...(startAt === undefined ? {} : { startAt: toText(startAt) }),
    ...(signal === undefined ? {} : { signal: toBrought(signal) }),
  };
  const path = `/v1/workflows/${segment(name, "workflow")}/runs`;
  const asked = { body, idempotencyKey: idempotencyKey ?? (isKnownById(options) ? null : undefined), traceparent };
  return ((await connection.call("POST", path, asked)) as RunJson).id as string;
}

/**
 * An id of the caller's choice is enough to find the run again, and spares the Worker an object that stands for the
 * key; but what a start brings would come twice. One of our own is none: by a key alone is a start known that another
 * run has answered, for its singleton's or its debounce's sake.
 */
function isKnownById({ id, signal }: StartOptions): boolean {
  return id !== undefined && signal === undefined;
}

function toBrought({ name, payload }: NonNullable<StartOptions["signal"]>): object {
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
