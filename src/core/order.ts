/**
 * Requests that a run has made elsewhere, so that it can rest meanwhile: what one asks for, what may come of it,
 * and when a run whose answer does not come looks after it.
 */
import { readBody } from "./body.ts";
import { HoldfastError, NonRetryableError, RetryAfterError } from "./error.ts";
import { readRetryAfter } from "./retry.ts";
import { utf8Length } from "./size.ts";
import type { Stored } from "./value.ts";
import { encode } from "./value.ts";

/** What is sent, checked; plain data. */
export type OrderRequest = {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Uint8Array | null;
  /** Statuses that are answers, besides 200 to 299. */
  readonly accepted: readonly number[];
};

/** Which attempt of which run: `seq` is that of its `step.dispatched`, `createdAt` tells lives of the id apart. */
export type OrderId = { readonly runId: string; readonly createdAt: number; readonly seq: number };

/** A request with all that whoever makes it has to know. */
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
  /** A status that is no answer; `begins` is the beginning of its body, `waitMs` what Retry-After asks for. */
  | { readonly kind: "refused"; readonly status: number; readonly begins: string; readonly waitMs: number | null }
  /** There was no answer, or only a part of one. */
  | { readonly kind: "failed"; readonly message: string }
  /** An answer that no step can have as its result. */
  | { readonly kind: "unusable"; readonly code: "value_too_large" | "value_uncloneable"; readonly message: string };

/** A part of what a call has on record: its attempt is under way elsewhere. */
export type Dispatch = {
  readonly seq: number;
  readonly attempt: number;
  readonly startedAt: number;
  /** Which courier has it. */
  readonly courier: number;
};

/** How much of it there is to hold. */
export function bodyBytes({ body }: OrderRequest): number {
  return typeof body === "string" ? utf8Length(body) : (body?.byteLength ?? 0);
}

/** The platform keeps an object awake for a request for fifteen minutes; one is left for bringing the answer back. */
export const longestOrderMs = 14 * 60_000;

export function isAnswer(status: number, accepted: readonly number[]): boolean {
  return (status >= 200 && status < 300) || accepted.includes(status);
}

/** Statuses that say themselves that another attempt may go better. */
const passing: ReadonlySet<number> = new Set([408, 425, 429]);

/** What the attempt fails with. @param sensitive what was answered is not shown, nor a part of it */
export function orderError({ request, step }: Order, end: Exclude<OrderEnd, { kind: "answered" }>, sensitive: boolean) {
  const asked = `${request.method} to ${new URL(request.url).host}`;
  switch (end.kind) {
    case "refused": {
      const { status, begins, waitMs } = end;
      const words = sensitive || begins === "" ? "" : `: ${begins}`;
      const message = `${asked} was answered ${status}${words}`;
      // What tells statuses apart in code: nothing need ever parse a message.
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

/** What it goes out with: its key, unless it brings one. */
export function headersOf({ request, key }: Order): Headers {
  const headers = new Headers(request.headers.map(([name, value]): [string, string] => [name, value]));
  if (!headers.has("idempotency-key")) headers.set("idempotency-key", key);
  return headers;
}

/** Of a body that is no result so much is told, to say what was wrong. */
export const beginningBytes = 1024;

/** Of a status that is no answer. @param body at least its beginning @param at when it came, epoch ms */
export function refusedEnd({ status, headers }: Response, body: Uint8Array, at: number): OrderEnd {
  const begins = new TextDecoder().decode(body.subarray(0, beginningBytes)).trim();
  return { kind: "refused", status, begins, waitMs: readRetryAfter(headers.get("retry-after"), at) };
}

/** Of an answer, as far as it may be a result. @param body all of it */
export function answeredEnd({ step }: Order, { status, headers }: Response, bytes: Uint8Array): OrderEnd {
  try {
    const body = readBody(headers.get("content-type") ?? "", bytes);
    const value = encode({ status, headers: Object.fromEntries(headers), body }, `the answer of step ${step}`);
    return { kind: "answered", value };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const { code, message } = error;
    if (code === "value_too_large" || code === "value_uncloneable") return { kind: "unusable", code, message };
    // A body that is not what it says broke off, perhaps.
    return { kind: "failed", message };
  }
}

const firstLookMs = 60_000;

/**
 * When a run asks after a request of which it has not heard, strictly later than `after`: a minute after it went
 * out, then after two more, four, and so on: its courier brings the answer, and asking is for the case that it
 * cannot. Epoch ms.
 */
export function nextLookAt(startedAt: number, after: number): number {
  let spanMs = firstLookMs;
  let at = startedAt + spanMs;
  for (; at <= after; at += spanMs) spanMs *= 2;
  return at;
}
