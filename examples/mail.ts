/** Mail as a port: an HTTP provider where one is configured, the development outbox on the laptop. */
import { NonRetryableError, RetryAfterError } from "holdfast";
import { keepMail } from "./outbox.ts";
import { hasOutbox, settings } from "./settings.ts";

export type Message = { readonly to: string; readonly subject: string; readonly text: string };

export type Sending = {
  /** The same key is the same mail: a step passes its own, so a repeated attempt sends nothing twice. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
};

export interface Mail {
  /** @throws NonRetryableError when the provider refuses the message, RetryAfterError when it asks for patience. */
  send(message: Message, sending: Sending): Promise<void>;
}

/** The mail service of this deployment. @throws NonRetryableError when there is none. */
export function mail(): Mail {
  const { MAIL_URL, MAIL_TOKEN } = settings();
  if (MAIL_URL) return httpMail(MAIL_URL, MAIL_TOKEN);
  if (hasOutbox()) return outboxMail;
  throw new NonRetryableError("No mail service: set MAIL_URL and MAIL_TOKEN (the outbox is for AUTH=none only)");
}

const outboxMail: Mail = {
  async send(message, { idempotencyKey, signal }) {
    signal.throwIfAborted();
    await keepMail(message, idempotencyKey);
  },
};

/** Posts `{ to, subject, text }` as JSON with `Idempotency-Key`; `token` goes as a bearer token. */
function httpMail(url: string, token: string | undefined): Mail {
  return {
    async send(message, { idempotencyKey, signal }) {
      const headers = new Headers({ "Content-Type": "application/json", "Idempotency-Key": idempotencyKey });
      if (token) headers.set("Authorization", `Bearer ${token}`);
      const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(message), signal });
      await response.body?.cancel();
      refuse(response, "the mail service");
    },
  };
}

/**
 * Turns an unsuccessful answer into the error that says what a retry may hope for: 408, 429 and 5xx
 * pass, other 4xx never do.
 */
export function refuse(response: Response, who: string): void {
  if (response.ok) return;
  const text = `${who} answered ${response.status}`;
  const patience = retryAfterMs(response.headers.get("Retry-After"));
  if ((response.status === 408 || response.status === 429 || response.status === 503) && patience !== null) {
    throw new RetryAfterError(text, patience);
  }
  if (response.status === 408 || response.status === 429 || response.status >= 500) throw new Error(text);
  throw new NonRetryableError(text);
}

/** `Retry-After` is seconds or an HTTP date; at most an hour is honoured. */
function retryAfterMs(header: string | null): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : null;
}
