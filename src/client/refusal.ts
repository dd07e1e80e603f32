/**
 * Owns: what a call of the API throws, made of its answer (RFC 9457).
 * Does not own: whether the call is made again (connection).
 */
import type { ErrorCode } from "../core/code.ts";
import { reviveError } from "../core/error.ts";
import type { Issue, StoredError } from "../core/error.ts";

/** A call that was refused, or that nobody answered. `code` is stable, `message` is for people. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** One of the API's, such as `input_invalid`; `unreachable` where there was no answer of Holdfast's. */
  readonly code: ErrorCode | "unreachable" | (string & {});
  /** Of the answer; null where there was none. */
  readonly status: number | null;
  /** Problems in what was sent; `path` is a JSON pointer (RFC 6901). */
  readonly issues: readonly Issue[] | undefined;
  /** When it is worth asking again, where that was said. */
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

type Problem = {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly Issue[];
  readonly error?: StoredError;
};

/**
 * What to throw for an answer that is none of 2xx: what a function of the workflow's threw, where that is what the
 * call failed of, else an ApiError.
 */
export function refusalOf(response: Response, text: string): Error {
  const problem = readProblem(response, text);
  if (problem === null) return strange(response, text);
  if (problem.error !== undefined) return reviveError(problem.error);
  const about = { status: response.status, issues: problem.errors, retryAfterMs: pauseOf(response) };
  return new ApiError(problem.code, problem.detail, about);
}

/** The answer of somebody between here and Holdfast. */
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
    // Others speak RFC 9457 as well, which has no codes.
    return typeof problem?.code === "string" ? problem : null;
  } catch {
    return null;
  }
}

/** Whole seconds, as Holdfast and Cloudflare write it. */
function pauseOf({ headers }: Response): number | undefined {
  const seconds = headers.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}

/** It may be otherwise in a moment: nobody was there, or had no time. */
export function isTransient(error: unknown): error is ApiError {
  if (!(error instanceof ApiError)) return false;
  const { code, status } = error;
  if (code !== "unreachable") return code === "overloaded" || code === "unavailable";
  return status === null || status >= 500;
}
