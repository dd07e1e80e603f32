/**
 * Owns: calls of the API over HTTP, and retrying them.
 * Does not own: their contents (client, run).
 *
 * 1. A call that changes something has an idempotency key, or, for a start, the id that was given, so that a retry after a
 *    lost response does not carry it out twice.
 * 2. A refusal is final; a call without a response, or with one that says to try later, is retried.
 */
import { backoffMs } from "../core/backoff.ts";
import { toMs } from "../core/duration.ts";
import type { Duration } from "../core/duration.ts";
import { HoldfastError, messageOf } from "../core/error.ts";
import { ApiError, isTransient, refusalOf, strange } from "./refusal.ts";

export type ClientOptions = {
  /** The URL of the Worker: scheme, host, and the path that it is mounted under, if any. */
  readonly url: string | URL;
  /** The role of the token decides what may be called; absent for a Worker that asks for none. */
  readonly token?: string | undefined;
  /** The author of the calls, as the history names them; the token's role unless given. */
  readonly actor?: string;
  /** For how long after its first failure a call is retried; 30 seconds unless given, 0 for never. */
  readonly patience?: Duration;
  /** Makes the requests, and aborts them by their signals; for a service binding `(request) => env.HOLDFAST.fetch(request)`. */
  readonly fetch?: (request: Request) => Promise<Response>;
};

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

export type CallOptions = {
  /** JSON; none unless given. */
  readonly body?: unknown;
  /** The same key again is the same call; generated for a call that changes something. Null: none, the body identifies it. */
  readonly idempotencyKey?: string | null | undefined;
  readonly traceparent?: string | null | undefined;
  /** Aborts the call, which then throws the signal's reason. It may have been carried out. */
  readonly signal?: AbortSignal | undefined;
};

type RequestOptions = CallOptions & { readonly signal: AbortSignal };

const known = ["url", "token", "actor", "patience", "fetch"];
const longestPauseMs = 5000;
/** The longest that the API waits before it responds, and some time for the network. */
const longestAnswerMs = 90_000;

export class Connection {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #patienceMs: number;
  readonly #fetch: (request: Request) => Promise<Response>;

  /** @throws HoldfastError options_invalid, duration_invalid */
  constructor(options: ClientOptions) {
    const { url, token, actor, patience = "30 s", fetch = (request) => globalThis.fetch(request), ...rest } = options;
    for (const option of Object.keys(rest)) throw refused(`has no option "${option}"; it has ${known.join(", ")}`);
    if (actor?.isWellFormed() === false) throw refused("needs an actor of well-formed text");
    this.#url = baseOf(url);
    this.#headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(actor === undefined ? {} : { "holdfast-actor": encodeURIComponent(actor) }),
    };
    this.#patienceMs = toMs(patience, "patience");
    this.#fetch = fetch;
  }

  /**
   * The JSON of the response, undefined for an empty one.
   * @param check throws for an answer that tells of a failure; the call is repeated if that may pass
   * @throws ApiError; the error that the workflow's function threw
   */
  async call(
    method: Method,
    path: string,
    options: CallOptions = {},
    check: (answer: unknown) => void = () => {},
  ): Promise<unknown> {
    const { idempotencyKey = method === "GET" ? null : crypto.randomUUID() } = options;
    return await this.#retry(options.signal, async (signal) => {
      const response = await this.#request(method, path, { ...options, idempotencyKey, signal }, {});
      const text = await response.text().catch(unanswered);
      const answer = text === "" ? undefined : parse(text, response);
      check(answer);
      return answer;
    });
  }

  /** Opens a stream of events. @param headers besides those of every call @throws ApiError */
  async open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    return await this.#retry(signal, async (within) => {
      const response = await this.#request("GET", path, { signal: within }, headers);
      if (response.headers.get("content-type")?.startsWith("text/event-stream") === true) return response;
      throw strange(response, await response.text().catch(unanswered));
    });
  }

  async #retry<Answer>(signal: AbortSignal | undefined, ask: (within: AbortSignal) => Promise<Answer>) {
    // Counted from the first failure, because a response may rightly take long.
    let giveUpAt: number | null = null;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await inTime(signal, ask);
      } catch (error) {
        signal?.throwIfAborted();
        if (!isTransient(error)) throw error;
        giveUpAt ??= Date.now() + this.#patienceMs;
        const pauseMs = Math.max(error.retryAfterMs ?? 0, backoff(attempt));
        if (Date.now() + pauseMs > giveUpAt) throw error;
        await pause(pauseMs, signal);
      }
    }
  }

  async #request(
    method: Method,
    path: string,
    options: RequestOptions,
    more: Readonly<Record<string, string>>,
  ): Promise<Response> {
    // Otherwise it could become a part of the host name, and the token would go to somebody else.
    if (!path.startsWith("/")) throw new HoldfastError("options_invalid", "a path begins with /, as /v1/lanes does");
    const { body, idempotencyKey, traceparent, signal } = options;
    const headers = {
      ...this.#headers,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(typeof idempotencyKey === "string" ? { "idempotency-key": idempotencyKey } : {}),
      ...(typeof traceparent === "string" ? { traceparent } : {}),
      ...more,
    };
    const request = toRequest(`${this.#url}${path}`, { method, headers, signal }, body);
    const response = await this.#fetch(request).catch(unanswered);
    if (!response.ok) throw refusalOf(response, await response.text().catch(unanswered));
    return response;
  }
}

/** @throws HoldfastError options_invalid */
function baseOf(given: string | URL): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  const base = url === null ? "" : url.origin + url.pathname;
  // Refuses a URL with a query, a user or a fragment, to which no path can be appended.
  if (/^https?:/.test(base) && base === url?.href) return base.replace(/\/+$/, "");
  throw refused("needs a url such as https://orders.example.com: scheme, host and path, and nothing else");
}

/** @throws HoldfastError options_invalid: a key, a token or a value of which no request can be made */
function toRequest(url: string, init: RequestInit, body: unknown): Request {
  try {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    // Following redirects would turn a POST into a GET, and take a sign-in page for the response.
    return new Request(url, { ...init, ...sent, redirect: "manual" });
  } catch (cause) {
    const told = messageOf(cause);
    throw new HoldfastError("options_invalid", `the call cannot be made: ${told}`, { cause });
  }
}

/** A tenth of a second, doubled with each failure, with a jitter of a fifth. */
function backoff(failures: number): number {
  return backoffMs(failures, 100, longestPauseMs) * (0.8 + 0.4 * Math.random());
}

/** Limits the time of a request, and leaves no timer behind, which would be billed in a Durable Object. */
async function inTime<Answer>(
  given: AbortSignal | undefined,
  ask: (within: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error("it took too long")), longestAnswerMs);
  try {
    return await ask(given === undefined ? late.signal : AbortSignal.any([given, late.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Throws the ApiError for what a runtime threw. Node gives the reason in the error's cause, or, where the host has several
 * addresses, in the members of that cause.
 */
function unanswered(cause: unknown): never {
  const inner: unknown = cause instanceof Error ? cause.cause : undefined;
  const reasons: readonly unknown[] = inner instanceof AggregateError ? inner.errors : [inner];
  const why = reasons.filter((each) => each instanceof Error).map(({ message }) => message);
  const told = why.length === 0 ? messageOf(cause) : `${messageOf(cause)}: ${why.join(", ")}`;
  throw new ApiError("unreachable", `nobody answered: ${told}`, { cause });
}

function parse(text: string, response: Response): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw strange(response, text);
  }
}

/** Waits. @throws the signal's reason, at once when it aborts */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function refused(why: string): HoldfastError {
  return new HoldfastError("options_invalid", `createClient ${why}`);
}
