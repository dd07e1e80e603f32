/**
 * Owns: calls of the API over HTTP, made again for as long as that can help.
 * Does not own: what is asked and answered (client, run).
 *
 * 1. A call that changes something is known by a key, or a start by the id that it was given, so that one whose answer
 *    was lost is not carried out twice.
 * 2. A refusal is final; no answer, and the answers of who had no time, are not.
 */
import { toMs } from "../core/duration.ts";
import type { Duration } from "../core/duration.ts";
import { HoldfastError, messageOf } from "../core/error.ts";
import { ApiError, isTransient, refusalOf, strange } from "./refusal.ts";

export type ClientOptions = {
  /** Where the Worker answers: scheme, host, and a path where it is mounted under one. */
  readonly url: string | URL;
  /** Its role decides what may be called; none for a Worker that asks for none. */
  readonly token?: string | undefined;
  /** Who is behind the calls, as the history names them; the token's role unless given. */
  readonly actor?: string;
  /** How long after it first failed a call is made again that nobody answers; 30 seconds unless given, 0 for never. */
  readonly patience?: Duration;
  /** Makes the calls, and ends them by their signals; that of a service binding is `(request) => env.HOLDFAST.fetch(request)`. */
  readonly fetch?: (request: Request) => Promise<Response>;
};

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

export type CallOptions = {
  /** JSON; none unless given. */
  readonly body?: unknown;
  /** The same key again is the same call; one is made up for a call that changes something. Null: its body tells it. */
  readonly idempotencyKey?: string | null | undefined;
  readonly traceparent?: string | null | undefined;
  /** Ends the call, which then throws the signal's reason. What was asked for may have been done. */
  readonly signal?: AbortSignal | undefined;
};

type Asked = CallOptions & { readonly signal: AbortSignal };

const known = ["url", "token", "actor", "patience", "fetch"];
const longestPauseMs = 5000;
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
    if (actor?.isWellFormed() === false) throw refused("needs an actor of well-formed text");
    this.#url = baseOf(url);
    this.#headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(actor === undefined ? {} : { "holdfast-actor": encodeURIComponent(actor) }),
    };
    this.#patienceMs = toMs(patience, "patience");
    this.#fetch = fetch;
  }

  /** The JSON of the answer, undefined where it has none. @throws ApiError; what a function of the workflow's threw */
  async call(method: Method, path: string, options: CallOptions = {}): Promise<unknown> {
    const { idempotencyKey = method === "GET" ? null : crypto.randomUUID() } = options;
    return await this.#insist(options.signal, async (signal) => {
      const response = await this.#ask(method, path, { ...options, idempotencyKey, signal }, {});
      const text = await response.text().catch(unanswered);
      return text === "" ? undefined : parse(text, response);
    });
  }

  /** Events, read as they come. @param headers besides those of every call @throws ApiError */
  async open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    return await this.#insist(signal, async (within) => {
      const response = await this.#ask("GET", path, { signal: within }, headers);
      if (response.headers.get("content-type")?.startsWith("text/event-stream") === true) return response;
      throw strange(response, await response.text().catch(unanswered));
    });
  }

  async #insist<Answer>(signal: AbortSignal | undefined, ask: (within: AbortSignal) => Promise<Answer>) {
    // An answer may be long in coming by rights: patience is with what fails.
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

  async #ask(method: Method, path: string, asked: Asked, more: Readonly<Record<string, string>>): Promise<Response> {
    // Else it would be a part of the host's name, and the token somebody else's.
    if (!path.startsWith("/")) throw new HoldfastError("options_invalid", "a path begins with /, as /v1/lanes does");
    const { body, idempotencyKey, traceparent, signal } = asked;
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
  // A query, a user and a place on the page would come to stand before the path of a call.
  if (/^https?:/.test(base) && base === url?.href) return base.replace(/\/+$/, "");
  throw refused("needs a url such as https://orders.example.com: scheme, host and path, and nothing else");
}

/** @throws HoldfastError options_invalid: a key, a token or a value of which no request can be made */
function toRequest(url: string, init: RequestInit, body: unknown): Request {
  try {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    // Whoever follows makes a GET of a POST, and takes a page on which to sign in for the answer.
    return new Request(url, { ...init, ...sent, redirect: "manual" });
  } catch (cause) {
    const told = messageOf(cause);
    throw new HoldfastError("options_invalid", `the call cannot be made: ${told}`, { cause });
  }
}

/** From a tenth of a second on, doubled with each failure, a fifth more or less by chance. */
function backoff(failures: number): number {
  return Math.min(longestPauseMs, 50 * 2 ** failures) * (0.8 + 0.4 * Math.random());
}

/** Asks, and leaves no timer behind: in a Durable Object it would be paid for. */
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
 * What the runtimes throw, each in words of its own; Node says why in a cause of what it throws, which says nothing but
 * in errors of its own where the host has several addresses.
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
