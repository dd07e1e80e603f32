/**
 * Owns: calls of the API over HTTP, made again for as long as that can help.
 * Does not own: what is asked and answered (client, run).
 *
 * 1. A call that changes something has a key, so that one whose answer was lost is not carried out twice.
 * 2. A refusal is final; no answer, and the answers of who had no time, are not.
 */
import { toMs } from "../core/duration.ts";
import type { Duration } from "../core/duration.ts";
import { HoldfastError } from "../core/error.ts";
import { nextDelayMs, resolveRetry } from "../core/retry.ts";
import { ApiError, isPassing, refusalOf, strange } from "./refusal.ts";

export type ClientOptions = {
  /** Where the Worker answers: scheme, host, and a path where it is mounted under one. */
  readonly url: string | URL;
  /** Its role decides what may be called; none for a Worker that asks for none. */
  readonly token?: string | undefined;
  /** Who is behind the calls, as the history names them; the token's role unless given. */
  readonly actor?: string;
  /** How long a call is made again that nobody answers; 30 seconds unless given, 0 for never. */
  readonly patience?: Duration;
  /** Makes the calls; that of a service binding is `(request) => env.HOLDFAST.fetch(request)`. */
  readonly fetch?: (request: Request) => Promise<Response>;
};

export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

export type CallOptions = {
  /** JSON; none unless given. */
  readonly body?: unknown;
  /** The same key again is the same call; one is made up for a call that changes something. */
  readonly idempotencyKey?: string | undefined;
  readonly traceparent?: string | null | undefined;
  /** Ends the call, which then throws the signal's reason. What was asked for may have been done. */
  readonly signal?: AbortSignal | undefined;
};

const known = ["url", "token", "actor", "patience", "fetch"];
const retry = resolveRetry({ limit: Infinity, delay: 100, maxDelay: "5 s" });
/** The longest that the API waits before it answers, and time for the way. */
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
    if (!URL.canParse(url)) throw refused(`needs a url such as https://orders.example.com, not ${String(url)}`);
    this.#url = String(url).replace(/\/+$/, "");
    this.#headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(actor === undefined ? {} : { "holdfast-actor": encodeURIComponent(actor) }),
    };
    this.#patienceMs = toMs(patience, "patience");
    this.#fetch = fetch;
  }

  /** The JSON of the answer, undefined where it has none. @throws ApiError; what a function of the workflow's threw */
  async call(method: Method, path: string, options: CallOptions = {}): Promise<unknown> {
    const key = method === "GET" ? undefined : (options.idempotencyKey ?? crypto.randomUUID());
    return await this.#insist(options.signal, async () => {
      const signal = both(options.signal, AbortSignal.timeout(longestAnswerMs));
      const response = await this.#ask(method, path, { ...options, idempotencyKey: key, signal }, {});
      const text = await response.text().catch(unanswered);
      return text === "" ? undefined : parse(text, response);
    });
  }

  /** An answer whose body is read as it comes. @param headers besides those of every call @throws ApiError */
  async open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    return await this.#insist(signal, () => this.#ask("GET", path, { signal }, headers));
  }

  async #insist<Answer>(signal: AbortSignal | undefined, ask: () => Promise<Answer>): Promise<Answer> {
    const giveUpAt = Date.now() + this.#patienceMs;
    for (let attempt = 1; ; attempt++) {
      try {
        return await ask();
      } catch (error) {
        signal?.throwIfAborted();
        if (!isPassing(error)) throw error;
        const pauseMs = error.retryAfterMs ?? nextDelayMs(retry, error, attempt, Math.random) ?? 0;
        if (Date.now() + pauseMs > giveUpAt) throw error;
        await pause(pauseMs, signal);
      }
    }
  }

  async #ask(method: Method, path: string, options: CallOptions, more: Readonly<Record<string, string>>) {
    const { body, idempotencyKey, traceparent, signal } = options;
    const headers = {
      ...this.#headers,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
      ...(typeof traceparent === "string" ? { traceparent } : {}),
      ...more,
    };
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const request = new Request(`${this.#url}${path}`, signal === undefined ? init : { ...init, signal });
    const response = await this.#fetch(request).catch(unanswered);
    if (!response.ok) throw refusalOf(response, await response.text().catch(unanswered));
    return response;
  }
}

/** What the runtimes throw, each in words of its own. */
function unanswered(cause: unknown): never {
  const told = cause instanceof Error ? cause.message : String(cause);
  throw new ApiError("unreachable", `nobody answered: ${told}`, { cause });
}

function parse(text: string, response: Response): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw strange(response, text);
  }
}

function both(one: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return one === undefined ? other : AbortSignal.any([one, other]);
}

/** @throws the signal's reason, at once */
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
