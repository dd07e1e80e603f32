/**
 * Owns: the handle of a run outside its Worker: the calls of the API about one run.
 * Does not own: making calls (connection), following a run (event).
 */
import type { ForkOptions, RunHandle, SignalOptions, UpdateOptions } from "../core/definition/handle.ts";
import { checkRunId } from "../core/name.ts";
import { isEnded } from "../core/run/run.ts";
import type { SignalTypes } from "../core/definition/step.ts";
import type { Connection } from "./connection.ts";
import { followRun } from "./event.ts";
import type { FollowOptions } from "./event.ts";
import { received, segment, sent } from "./value.ts";
import { viewRun } from "./view.ts";
import type { HistoryEntry, RunJson, RunView } from "./view.ts";

/** Options of calls that may wait for long. */
export type WaitOptions = {
  /** Aborts the wait, which then throws the signal's reason. The run is not affected. */
  readonly signal?: AbortSignal | undefined;
};

/** The handle of a run, by its id. Every call is a request over HTTP, and throws an ApiError if it is refused. */
export interface ClientRun<Output = unknown, Signals extends SignalTypes = SignalTypes> extends Omit<
  RunHandle<Output, Signals>,
  "status" | "result" | "update" | "fork"
> {
  /** @throws ApiError run_not_found */
  status(): Promise<RunView<Output>>;
  /**
   * The output. Waits until the run has ended, however long that takes.
   * @throws the run's error when it failed or was cancelled, with its `code`; ApiError run_not_found
   */
  result(options?: WaitOptions): Promise<Output>;
  /**
   * The result of the function registered with `step.update`. Waits for it, however long that takes.
   * @throws what the function threw; ApiError run_not_found, update_not_found, update_invalid, run_paused, run_ended,
   * version_missing, idempotency_conflict
   */
  update<Result = unknown>(name: string, argument?: unknown, options?: UpdateOptions & WaitOptions): Promise<Result>;
  /** @throws ApiError run_not_found, fork_invalid, input_invalid, id_invalid, run_exists, rate_limited */
  fork(options?: ForkOptions): Promise<ClientRun<Output, Signals>>;
  /** Removes the run, once it has ended, and all that is stored of it. @throws ApiError run_not_found, run_not_ended */
  delete(reason?: string): Promise<void>;
  /** The history, oldest entry first; pages are read on demand. @param after begins after this `seq` */
  history(after?: number): AsyncIterable<HistoryEntry>;
  /** The history, and then each entry as it happens, until the run has ended. */
  events(options?: FollowOptions): AsyncIterable<HistoryEntry>;
}

/** How long each request waits for an end: less than the minute after which proxies close connections. */
const wait = "50s";

/** @throws HoldfastError id_invalid */
export function createRun<Output, Signals extends SignalTypes>(
  connection: Connection,
  id: string,
): ClientRun<Output, Signals> {
  const path = `/v1/runs/${checkRunId(id)}`;
  const act = async (kind: string, reason?: string): Promise<void> => {
    await connection.call("POST", `${path}/${kind}`, withReason(reason));
  };
  return {
    id,
    status: async () => viewRun<Output>((await connection.call("GET", path)) as RunJson),
    result: async ({ signal } = {}) => {
      for (;;) {
        const run = (await connection.call("GET", `${path}?wait=${wait}`, { signal })) as RunJson;
        const { status, error, output } = viewRun<Output>(run);
        if (error !== null && isEnded(status)) throw error;
        if (status === "completed") return output as Output;
      }
    },
    signal: async (name: string, payload?: unknown, options?: SignalOptions) => {
      await connection.call("POST", `${path}/signals/${segment(name, "signal")}`, message(name, payload, options));
    },
    query: async <Result>(name: string) =>
      resultOf(await connection.call("GET", `${path}/queries/${segment(name, "query")}`)) as Result,
    update: async <Result>(name: string, argument?: unknown, options?: UpdateOptions & WaitOptions) =>
      (await updateRun(connection, path, name, argument, options)) as Result,
    cancel: (reason) => act("cancel", reason),
    terminate: (reason) => act("terminate", reason),
    pause: (reason) => act("pause", reason),
    resume: (reason) => act("resume", reason),
    retry: (reason) => act("retry", reason),
    delete: async (reason) => void (await connection.call("DELETE", path, withReason(reason))),
    fork: async (options) => createRun(connection, await forkRun(connection, path, options)),
    history: (after = 0) => readHistory(connection, path, after),
    events: (options) => followRun(connection, path, options),
  };
}

/** The body of a signal, or of an update. */
export function message(name: string, value: unknown, { idempotencyKey, traceparent }: SignalOptions = {}) {
  const body = value === undefined ? {} : { body: sent(value, `what ${name} is sent`) };
  return { ...body, idempotencyKey, traceparent };
}

/** Repeats the request with its key for as long as the update is under way. */
async function updateRun(
  connection: Connection,
  path: string,
  name: string,
  argument: unknown,
  { idempotencyKey = crypto.randomUUID(), signal }: UpdateOptions & WaitOptions = {},
): Promise<unknown> {
  const options = { ...message(name, argument, { idempotencyKey }), signal };
  for (;;) {
    const answer = await connection.call("POST", `${path}/updates/${segment(name, "update")}`, options);
    if (!Object.hasOwn(answer as object, "accepted")) return resultOf(answer);
  }
}

function resultOf(answer: unknown): unknown {
  return received((answer as { readonly result: unknown }).result);
}

async function forkRun(connection: Connection, path: string, options: ForkOptions = {}): Promise<string> {
  const { idempotencyKey, results, ...rest } = options;
  const body = {
    ...rest,
    ...("input" in options ? { input: sent(options.input, "the input") } : {}),
    ...(results === undefined ? {} : { results: sentEach(results) }),
  };
  return ((await connection.call("POST", `${path}/fork`, { body, idempotencyKey })) as RunJson).id as string;
}

function sentEach(results: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(results).map(([step, value]) => [step, sent(value, `the result of ${step}`)]),
  );
}

function withReason(reason: string | undefined): { readonly body?: object } {
  return reason === undefined || reason === "" ? {} : { body: { reason } };
}

type HistoryJson = { readonly entries: readonly HistoryEntry[]; readonly next: number | null };

async function* readHistory(connection: Connection, path: string, after: number): AsyncGenerator<HistoryEntry> {
  for (let next: number | null = after; next !== null;) {
    const page = (await connection.call("GET", `${path}/history?after=${next}&limit=200`)) as HistoryJson;
    yield* page.entries;
    ({ next } = page);
  }
}
