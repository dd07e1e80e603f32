/** The part of `Service` about webhooks. */
import type { RequestMetadata } from "../author.ts";

export interface Hooks {
  /**
   * @throws webhook_not_found, webhook_expired, webhook_revoked, run_ended, webhook_rejected, body_invalid,
   * webhook_unavailable
   */
  receive(token: string, call: HookRequest): Promise<HookAnswer>;
  /** Checks that a call would find its webhook; nothing is resolved or recorded. @throws as `receive`, without the last three */
  look(token: string): Promise<void>;
  /**
   * Gives the open webhook `call` (`approve`, `approve#2`) of the run a new address, and returns it; the one before is
   * revoked.
   * @throws run_not_found, webhook_not_found, run_ended, idempotency_conflict, webhook_unavailable
   */
  revoke(id: string, call: string, request: RequestMetadata): Promise<{ readonly url: string }>;
  /** The deployment's webhooks that start runs, in the order in which they were listed. */
  list(): Promise<readonly InboundWebhookInfo[]>;
  /** @throws webhook_not_found */
  find(name: string): Promise<InboundWebhookInfo>;
  /** @throws webhook_not_found, webhook_rejected, webhook_unavailable, body_invalid, and what a start throws */
  receiveInbound(name: string, call: InboundRequest): Promise<InboundAnswer>;
}

/** A webhook that starts runs. */
export type InboundWebhookInfo = {
  readonly name: string;
  readonly workflow: string;
  readonly methods: readonly string[];
  /** The name of the known sender, `custom` for a function of the author's, `none` where anybody may call. */
  readonly verify: string;
  readonly maxBytes: number;
};

export type InboundRequest = HookRequest & {
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin: string;
  /** W3C traceparent of the request. */
  readonly trace?: string;
};

/** `ignored`: the call is valid, and starts no run. */
export type InboundAnswer = {
  readonly kind: "accepted" | "duplicate" | "ignored";
  readonly response?: NonNullable<HookAnswer["response"]>;
};

/** A call as it came in; header names are lower case. `body` is the raw bytes. */
export type HookRequest = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

export type HookAnswer = {
  readonly duplicate: boolean;
  /** What the workflow's own `respond` answered, if it has one. */
  readonly response?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
};
