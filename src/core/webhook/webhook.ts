/** The types of `step.webhook`: its options, its calls, how they are verified, and their responses. */
import type { Duration } from "../duration.ts";

export type WebhookCall = {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly query: Record<string, string>;
  /** Parsed JSON, a form's fields (a file as `{ name, type, bytes }`), text, bytes, or null when there was no body. */
  readonly body: unknown;
};

/** A call to be verified: `raw` is the unparsed body, `at` the time of arrival in epoch ms. */
export type Delivery = WebhookCall & { readonly raw: Uint8Array; readonly at: number };

/** Returns whether the call is authentic; an error counts as false. */
export type Verify = (call: Delivery) => boolean | Promise<boolean>;

export type WebhookOptions = {
  /** Counts from the call of `webhook`. */
  readonly timeout?: Duration;
  /** Refuses a call by returning false or throwing; `verify` has functions for known senders. */
  readonly verify?: Verify;
  /** Makes the response to the caller; 202 `{ "accepted": true, "duplicate": false }` unless set. */
  readonly respond?: (call: WebhookCall) => WebhookReply | Promise<WebhookReply>;
};

/** The response to a caller: plain data, or the platform's `Response`. */
export type WebhookReply = WebhookResponse | Response;

export type WebhookResponse = {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
};

export type Webhook = {
  readonly url: string;
  /** The first accepted call, which may have come before; null on timeout. */
  received(): Promise<WebhookCall | null>;
};

/** A `verify` function for a known sender (objects/webhook/verify), which also gives reasons and recognizes repeated calls. */
export interface Verifier {
  (call: Delivery): Promise<boolean>;
  /** Its name in lists of webhooks. */
  readonly preset: string;
  /** Why the call is refused, in words that reveal no secret; null if it is accepted. */
  judge(call: Delivery): Promise<string | null>;
  /**
   * Identifies the delivery by authenticated parts of it, so that a repetition by the sender, or a replay by an
   * eavesdropper, has the same identity. Null if the sender has nothing of that kind.
   */
  identify(call: Delivery): string | Uint8Array | null;
  /** The header that contains the credential itself. It is removed after the verification, because its readers could call. */
  readonly credential?: string;
}

export function isVerifier(verify: unknown): verify is Verifier {
  const isSomething = typeof verify === "function" || (typeof verify === "object" && verify !== null);
  return isSomething && "judge" in verify && "identify" in verify;
}
