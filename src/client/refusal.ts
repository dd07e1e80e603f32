/**
 * Owns: the error that a call of the API throws, made from its response (RFC 9457).
 * Does not own: retries (connection).
 */
import type { ErrorCode } from "../core/code.ts";
import { reviveError } from "../core/error.ts";
import type { Issue, StoredError } from "../core/error.ts";

/** A call was refused, or got no response. `code` is stable, `message` is for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** A code of the API, such as `input_invalid`; `unreachable` without a response from Holdfast. */
  readonly code: ErrorCode | "unreachable" | (string & {});
  /** The HTTP status; null without a response. */
  readonly status: number | null;
  /** Problems in the request; `path` is a JSON pointer (RFC 6901). */
  readonly issues: readonly Issue[] | undefined;
  /** When to try again, if the response says so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, about: About = {}) {
    super(message, "cause" in about ? { cause: about.cause } : undefined);
    this.code = code;
    this.status = about.status ?? null;
    this.issues = about.issues;
    this.retryAfterMs = about.retryAfterMs;
  }
}

type About = {
  readonly cause?: unknown;
  readonly status?: number;
  readonly issues?: readonly Issue[] | undefined;
  readonly retryAfterMs?: number | undefined;
};

/** A refusal, as the API describes it. */
export type Problem = {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly Issue[];
  readonly error?: StoredError;
};

/**
 * The error for a response that is not 2xx: the error that a function of the workflow threw, if that is the cause, else an
 * ApiError.
 */
export function refusalOf(response: Response, text: string): Error {
  const problem = readProblem(response, text);
  if (problem === null) return strange(response, text);
  if (problem.error !== undefined) return reviveError(problem.error);
  return errorOf({ ...problem, status: response.status }, pauseOf(response));
}

/** The error for a refusal. */
export function errorOf({ code, detail, status, errors }: Problem, retryAfterMs: number | undefined): ApiError {
  return new ApiError(code, detail, { status, issues: errors, retryAfterMs });
}

/** The error for a response that is not from Holdfast, but from a proxy in between. */
export function strange(response: Response, text: string): ApiError {
  const { status } = response;
  const what = response.ok ? "no JSON, as Holdfast's would be" : "not from Holdfast";
  const told = `the answer is ${status} and ${what}: ${text.slice(0, 200)}`;
  return new ApiError("unreachable", told, { status, retryAfterMs: pauseOf(response) });
}

function readProblem(response: Response, text: string): Problem | null {
  if (response.headers.get("content-type")?.startsWith("application/problem+json") !== true) return null;
  try {
    const problem = JSON.parse(text) as Problem | null;
    // Problems without a code are not from Holdfast.
    return typeof problem?.code === "string" ? problem : null;
  } catch {
    return null;
  }
}

/** `Retry-After` in whole seconds, as Holdfast and Cloudflare write it. */
function pauseOf({ headers }: Response): number | undefined {
  const seconds = headers.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

/** Whether a retry may succeed: there was no response, or one that says to try later. */
export function isTransient(error: unknown): error is ApiError {
  if (!(error instanceof ApiError)) return false;
  const { code, status } = error;
  if (code !== "unreachable") return code === "overloaded" || code === "unavailable";
  return status === null || status >= 500;
}
