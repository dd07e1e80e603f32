/** A webhook as an author knows it: what it is asked for with, its calls, who judges them, what they are answered. */
import type { Duration } from "./duration.ts";

export type WebhookCall = {
  readonly method: string;
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  readonly query: Record<string, string>;
  /** Parsed JSON, a form's fields (a file as `{ name, type, bytes }`), text, bytes, or null when there was no body. */
  readonly body: unknown;
};

/** A call as whoever verifies it is given it: `raw` is the body as it came, `at` when it came, epoch ms. */
export type Delivery = WebhookCall & { readonly raw: Uint8Array; readonly at: number };

/** Answers whether the call comes from whom it says; throwing is a no. */
export type Verify = (call: Delivery) => boolean | Promise<boolean>;

export type WebhookOptions = {
  /** Counts from the call of `webhook`. */
  readonly timeout?: Duration;
  /** Refuses a call by answering false or throwing; `verify` has those of known senders. */
  readonly verify?: Verify;
  /** What the caller is answered; 202 `{ "accepted": true, "duplicate": false }` unless set. */
  readonly respond?: (call: WebhookCall) => WebhookReply | Promise<WebhookReply>;
};

/** What a caller is answered: one of these, or the platform's own `Response`. */
export type WebhookReply = WebhookResponse | Response;

export type WebhookResponse = {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  /** Text goes out as it is, anything else as JSON. */
  readonly body?: unknown;
};

export type Webhook = {
  readonly url: string;
  /** The first accepted call, also one that came before this was asked; null on timeout. */
  received(): Promise<WebhookCall | null>;
};

/** Who judges a call beyond yes and no: the senders we know (objects/verify). */
export interface Verifier {
  (call: Delivery): Promise<boolean>;
  /** How it is called where webhooks are listed. */
  readonly preset: string;
  /** Why the call is refused, in words that tell nothing but what is public; null where it is not. */
  judge(call: Delivery): Promise<string | null>;
  /**
   * What tells this delivery from any other, of what the sender has signed or its credential vouches for: sent
   * once more, by the sender or by somebody who listened, it is the same. Null where there is no such thing.
   */
  identify(call: Delivery): string | Uint8Array | null;
  /** The header that is the credential itself: who has read it can call, so it goes no further than the judge. */
  readonly credential?: string;
}

export function isVerifier(verify: unknown): verify is Verifier {
  const isSomething = typeof verify === "function" || (typeof verify === "object" && verify !== null);
  return isSomething && "judge" in verify && "identify" in verify;
}
