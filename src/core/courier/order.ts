/**
 * Orders: HTTP requests that a run has a courier make, so that it can rest meanwhile. What is sent, what may come of it, and
 * when a run asks after an order that it has no answer to.
 */
import { nextPollAt } from "../backoff.ts";
import { readBody } from "./body.ts";
import { HoldfastError, NonRetryableError, RetryAfterError } from "../error.ts";
import { readRetryAfter } from "../definition/retry.ts";
import { utf8Length } from "../size.ts";
import type { Stored } from "../value/value.ts";
import { encode } from "../value/value.ts";

/** What is sent, checked; plain data. */
export type OrderRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array | null;
  /** Statuses that are answers, besides 200 to 299. */
  readonly accepted: readonly number[];
};

/** Identifies the attempt of a run: `seq` is that of its `step.dispatched`; `createdAt` tells runs of the same id apart. */
export type OrderId = { readonly runId: string; readonly createdAt: number; readonly seq: number };

/** An order as a courier gets it. */
export type Order = {
  readonly id: OrderId;
  readonly step: string;
  readonly request: OrderRequest;
  /** Sent as `Idempotency-Key` unless the request brings one: the same for every attempt of the step. */
  readonly key: string;
};

/** What came of a request. */
export type OrderEnd =
  | { readonly kind: "answered"; readonly value: Stored }
  /** A status that is not accepted; `begins` is the beginning of the body, `waitMs` the delay that Retry-After asks for. */
  | { readonly kind: "refused"; readonly status: number; readonly begins: string; readonly waitMs: number | null }
  /** There was no response, or only a part of one. */
  | { readonly kind: "failed"; readonly message: string }
  /** A response that cannot be stored as the result of a step. */
  | { readonly kind: "unusable"; readonly code: "value_too_large" | "value_uncloneable"; readonly message: string };

/** The part of a call's state that says that a courier makes its attempt. */
export type Dispatch = {
  readonly seq: number;
  readonly attempt: number;
  readonly startedAt: number;
  /** Which courier has it. */
  readonly courier: number;
};

/** The size of the request's body. */
export function bodyBytes({ body }: Pick<OrderRequest, "body">): number {
  return typeof body === "string" ? utf8Length(body) : (body?.byteLength ?? 0);
}

/** The platform keeps an object awake for a request for fifteen minutes; one is left for bringing the answer back. */
export const longestOrderMs = 14 * 60_000;

export function isAnswer(status: number, accepted: readonly number[]): boolean {
  return (status >= 200 && status < 300) || accepted.includes(status);
}

/** Statuses below 500 that are worth another attempt. */
const passing: ReadonlySet<number> = new Set([408, 425, 429]);

/** The error of the attempt. @param sensitive nothing of the response's body is shown */
export function orderError({ request, step }: Order, end: Exclude<OrderEnd, { kind: "answered" }>, sensitive: boolean) {
  const asked = `${request.method} to ${new URL(request.url).host}`;
  switch (end.kind) {
    case "refused": {
      const { status, begins, waitMs } = end;
      const words = sensitive || begins === "" ? "" : `: ${begins}`;
      const message = `${asked} was answered ${status}${words}`;
      // The status as a code, so that nobody has to parse the message.
      const cause = Object.assign(new Error(message), { code: `http_${status}` });
      if (!passing.has(status) && status < 500) return new NonRetryableError(message, { cause });
      return waitMs === null ? new Error(message, { cause }) : new RetryAfterError(message, waitMs, { cause });
    }
    case "failed":
      return new Error(`${asked} failed: ${end.message}`);
    case "unusable":
      return new HoldfastError(end.code, `step ${step}: ${end.message}`);
    default:
      return end satisfies never;
  }
}

/** The headers that are sent: those of the request, and its key unless it has one. */
export function headersOf({ request, key }: Order): Headers {
  const headers = new Headers(request.headers.map(([name, value]): [string, string] => [name, value]));
  if (!headers.has("idempotency-key")) headers.set("idempotency-key", key);
  return headers;
}

/** Bytes of a refused response's body that are shown in the error. */
export const beginningBytes = 1024;

/** The end of an order with a status that is not accepted. @param body at least its beginning @param at when it came, epoch ms */
export function refusedEnd({ status, headers }: Response, body: Uint8Array, at: number): OrderEnd {
  const begins = new TextDecoder().decode(body.subarray(0, beginningBytes)).trim();
  return { kind: "refused", status, begins, waitMs: readRetryAfter(headers.get("retry-after"), at) };
}

/** The end of an order with an accepted status. @param body all of it */
export function answeredEnd({ step }: Order, { status, headers }: Response, bytes: Uint8Array): OrderEnd {
  try {
    const body = readBody(headers.get("content-type") ?? "", bytes);
    // By name: the pairs have each `set-cookie` apart, and the last would replace the others.
    const named = Object.fromEntries([...headers.keys()].map((name) => [name, headers.get(name)]));
    const value = encode({ status, headers: named, body }, `the answer of step ${step}`);
    return { kind: "answered", value };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { code, message } = error;
    if (code === "value_too_large" || code === "value_uncloneable") return { kind: "unusable", code, message };
    // The body does not fit its content type: it may have broken off.
    return { kind: "failed", message };
  }
}

const firstLookMs = 60_000;

/**
 * When a run asks after an order that it has no answer to, strictly later than `after`, epoch ms: a minute after it was sent,
 * then after two more, four, and so on. Asking is a fallback: the courier reports the answer by itself.
 */
export function nextLookAt(startedAt: number, after: number): number {
  return nextPollAt(startedAt, after, firstLookMs, Infinity);
}
