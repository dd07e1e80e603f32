/**
 * Owns: error responses, as application/problem+json (RFC 9457): the status of each code. Nothing of an unexpected error is
 * shown outside.
 */
import { HoldfastError } from "../core/error.ts";
import type { ErrorCode } from "../core/code.ts";
import type { Issue, StoredError } from "../core/error.ts";
import { defined } from "../core/record.ts";

type Options = {
  readonly issues?: readonly Issue[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Overrides the usual status of the code. */
  readonly status?: number;
  /** The error that a function of the workflow threw. */
  readonly error?: StoredError;
};

/** A request that the web layer itself refuses. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly code: ProblemCode;
  readonly issues: readonly Issue[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly status: number | undefined;
  readonly error: StoredError | undefined;

  constructor(code: ProblemCode, message: string, options: Options = {}) {
    super(message);
    this.code = code;
    this.issues = options.issues;
    this.headers = options.headers ?? {};
    this.status = options.status;
    this.error = options.error;
  }
}

type ProblemCode = keyof typeof statuses;

/**
 * A code of the core that is missing here does not compile. The first are those of the web layer alone; codes that only runs
 * have are 500: no route answers with them.
 */
export const statuses = {
  route_not_found: 404,
  method_not_allowed: 405,
  path_invalid: 400,
  parameter_unknown: 400,
  parameter_repeated: 400,
  parameter_invalid: 400,
  json_invalid: 400,
  field_unknown: 400,
  content_type_unsupported: 415,
  body_too_large: 413,
  body_incomplete: 400,
  idempotency_key_invalid: 400,
  header_invalid: 400,
  token_missing: 401,
  token_unknown: 401,
  role_insufficient: 403,
  auth_unconfigured: 503,
  loopback_only: 403,
  origin_refused: 403,
  too_many_failures: 429,
  access_keys_unavailable: 503,
  overloaded: 503,
  unavailable: 503,
  storage_full: 507,
  internal: 500,

  workflow_not_found: 404,
  run_not_found: 404,
  run_exists: 409,
  run_ended: 409,
  run_not_ended: 409,
  not_retryable: 409,
  singleton_held: 409,
  idempotency_conflict: 409,
  input_invalid: 422,
  signal_invalid: 422,
  id_invalid: 400,
  label_invalid: 400,
  cursor_invalid: 400,
  body_invalid: 400,
  name_invalid: 400,
  duration_invalid: 400,
  value_too_large: 413,
  value_uncloneable: 400,
  webhook_not_found: 404,
  webhook_expired: 410,
  webhook_revoked: 410,
  webhook_duplicate: 409,
  webhook_rejected: 403,
  not_waiting: 409,
  webhook_unavailable: 503,
  version_missing: 409,
  schedule_not_found: 404,
  schedule_exists: 409,
  schedule_in_code: 409,
  schedule_invalid: 422,
  schedule_limit: 409,
  backfill_too_large: 422,
  lane_not_found: 404,
  shard_invalid: 422,
  rate_limited: 429,
  query_not_found: 404,
  query_failed: 422,
  query_timeout: 503,
  update_not_found: 404,
  update_invalid: 422,
  update_failed: 422,
  run_paused: 409,
  fork_invalid: 422,
  step_not_found: 404,
  notify_invalid: 422,
  not_exportable: 409,
  import_invalid: 422,
  config_invalid: 503,
  payload_hidden: 403,
  key_missing: 503,
  journal_corrupt: 503,
  journal_newer: 503,

  step_failed: 500,
  step_timeout: 500,
  step_crashed: 500,
  step_interrupted: 500,
  non_retryable: 500,
  limit_exceeded: 500,
  map_failed: 500,
  child_failed: 500,
  handler_failed: 500,
  handler_crashed: 500,
  output_invalid: 500,
  options_invalid: 500,
  run_timeout: 500,
  start_expired: 500,
  bailed: 500,
  cancelled: 500,
  terminated: 500,
  step_kind_changed: 500,
  step_nested: 500,
  undo_missing: 500,
  query_impure: 500,
} satisfies Readonly<Record<ErrorCode, number>> & Readonly<Record<string, number>>;

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  410: "Gone",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
  507: "Insufficient Storage",
};

/** The response for anything thrown. An unexpected error is logged and not shown. */
export function problem(thrown: unknown): Response {
  const { body, headers } = describeProblem(thrown);
  return new Response(JSON.stringify(body), {
    status: body.status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}

/** The parts of that response. */
export function describeProblem(thrown: unknown) {
  if (thrown instanceof RequestError || thrown instanceof HoldfastError) return describeRefusal(thrown);
  const unavailable = unavailability(thrown);
  if (unavailable !== null) return describeRefusal(unavailable);
  // oxlint-disable-next-line no-console -- it may be shown in the Worker's log only
  console.error("holdfast: a request failed unexpectedly", thrown);
  return describeRefusal(new RequestError("internal", "Holdfast failed on this request; the Worker's log says how."));
}

function describeRefusal(error: RequestError | HoldfastError) {
  const { status = statuses[error.code], headers } = error instanceof RequestError ? error : { headers: pause(error) };
  const body = {
    type: `urn:holdfast:problem:${error.code}`,
    title: titles[status],
    status,
    detail: shorten(error.message),
    code: error.code,
    ...defined({ errors: error.issues, error: error instanceof RequestError ? error.error : undefined }),
  };
  return { body, headers };
}

/** Shortens messages, which may quote what the caller sent. */
function shorten(text: string): string {
  return text.length > 800 ? `${text.slice(0, 800).toWellFormed()}…` : text;
}

/** `Retry-After` in whole seconds, rounded up: a caller that comes back sooner would be refused again. */
function pause({ retryAfterMs }: HoldfastError): Readonly<Record<string, string>> {
  return retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(retryAfterMs / 1000)) };
}

/**
 * The refusal for an error of the platform that says, by its properties and not by its class, that the object could not be
 * reached. A caller with an Idempotency-Key may simply repeat the request.
 */
function unavailability(thrown: unknown): RequestError | null {
  if (!(thrown instanceof Error)) return null;
  if (isMarked(thrown, "overloaded")) {
    return passing("overloaded", "Too many requests are queued for this run; ask again later.", 5);
  }
  // For failing storage the platform gives only SQLite's own names.
  if (thrown.message.includes("SQLITE_FULL")) {
    const detail = "The storage of the object that keeps this is full; nothing of the request was kept.";
    return new RequestError("storage_full", detail);
  }
  if (thrown.message.includes("SQLITE_IOERR")) {
    return passing("unavailable", "The storage of the object that keeps this failed; ask again.", 1);
  }
  if (isMarked(thrown, "retryable") || isMarked(thrown, "durableObjectReset")) {
    return passing("unavailable", "The object that answers this was unavailable for a moment; ask again.", 1);
  }
  return null;
}

/** A refusal that is over after so many seconds. */
export function passing(code: ProblemCode, detail: string, seconds: number): RequestError {
  return new RequestError(code, detail, { headers: { "retry-after": String(seconds) } });
}

function isMarked(error: Error, mark: string): boolean {
  return Reflect.get(error, mark) === true;
}
