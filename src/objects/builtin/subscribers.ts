/**
 * Owns: the addresses that get notices of ends of runs: those of a start, the variables NOTIFY_SECRET and NOTIFY_HOSTS, one
 * call of an address, and the meaning of its response.
 * Does not own: which addresses are allowed (core/notice/subscriber), the content of notices and retries (notice).
 *
 * Invariant 1: only the status of a response is kept, because its body may repeat the request.
 */
import { Webhook } from "standardwebhooks";
import { fromBase64 } from "../../core/bytes.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { HoldfastError, messageOf } from "../../core/error.ts";
import { readRetryAfter } from "../../core/definition/retry.ts";
import { checkSubscribers, parseHosts } from "../../core/notice/subscriber.ts";
import type { AllowedHost } from "../../core/notice/subscriber.ts";
import { decode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import { variable } from "../address.ts";
import { inTime } from "../patience.ts";

/** The timeout of a call. */
const patienceMs = 20_000;
/** The length of a secret in Standard Webhooks. */
const secretBytes = { least: 24, most: 64 } as const;
const prefix = "whsec_";

/** `taken`; `gone`: the address wants no more notices; `failed`: can be retried, after `waitMs` if the response says so. */
export type Delivery =
  | { readonly kind: "taken"; readonly status: number }
  | { readonly kind: "gone" }
  | { readonly kind: "failed"; readonly why: string; readonly waitMs: number };

/**
 * The distinct addresses of a start and of its workflow.
 * @throws HoldfastError notify_invalid; config_invalid if they could not be called
 */
export function subscribersOf(
  { name, notify }: Definition,
  input: Stored,
  given: readonly string[] = [],
): { readonly notify?: readonly string[] } {
  const own = notify === undefined ? [] : named(name, notify, input);
  if (own.length + given.length === 0) return {};
  const urls = checkSubscribers([...given, ...own], allowedHosts());
  findSecrets();
  return { notify: urls };
}

/** Handles errors of the workflow's function, because without a schema the input may be anything. */
function named(workflow: string, notify: NonNullable<Definition["notify"]>, input: Stored): readonly unknown[] {
  try {
    const urls: unknown = notify(decode(input) as never) ?? [];
    return Array.isArray(urls) ? urls : [urls];
  } catch (cause) {
    const message = `notify of ${workflow} cannot be made from this input: ${messageOf(cause)}`;
    throw new HoldfastError("notify_invalid", message, { cause });
  }
}

/** Checks the variables, which are optional. @throws HoldfastError config_invalid */
export function checkNotify(): void {
  allowedHosts();
  if ((variable("NOTIFY_SECRET") ?? "").trim() !== "") findSecrets();
}

/** @throws HoldfastError config_invalid */
export function allowedHosts(): readonly AllowedHost[] {
  return parseHosts(variable("NOTIFY_HOSTS") ?? "");
}

/** @throws HoldfastError config_invalid, with the position of the invalid secret, never its value */
function findSecrets(): readonly string[] {
  const items = (variable("NOTIFY_SECRET") ?? "").split(",").map((item) => item.trim());
  const secrets = items.filter((item) => item !== "");
  const advice = `write ${prefix} and base64 of ${secretBytes.least} to ${secretBytes.most} random bytes`;
  if (secrets.length === 0) {
    throw new HoldfastError(
      "config_invalid",
      `NOTIFY_SECRET is not set, so nobody can be told of a run's end: ${advice}`,
    );
  }
  for (const [index, secret] of secrets.entries()) {
    const bytes = secret.startsWith(prefix) ? (fromBase64(secret.slice(prefix.length))?.length ?? 0) : 0;
    if (bytes >= secretBytes.least && bytes <= secretBytes.most) continue;
    throw new HoldfastError("config_invalid", `NOTIFY_SECRET, secret ${index + 1}: ${advice}`);
  }
  return secrets;
}

/**
 * Makes one call, signed with all secrets by Standard Webhooks 1.0.
 * @param id the same in all attempts @param at the time of this attempt, epoch ms
 * @throws HoldfastError config_invalid
 */
export async function post(url: string, id: string, body: string, at: number, stop: AbortSignal): Promise<Delivery> {
  const signatures = findSecrets().map((secret) => new Webhook(secret).sign(id, new Date(at), body));
  const headers = {
    "content-type": "application/json",
    "user-agent": "Holdfast",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": signatures.join(" "),
  };
  return await inTime(stop, patienceMs, async (signal) => {
    try {
      // The target of a redirect was not checked.
      const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
      await response.body?.cancel();
      return read(response, at);
    } catch (error) {
      if (stop.aborted) throw error;
      const why = signal.aborted ? `no answer within ${patienceMs / 1000} s` : "it could not be reached";
      return { kind: "failed", why, waitMs: 0 };
    }
  });
}

function read({ ok, status, headers }: Response, at: number): Delivery {
  if (ok) return { kind: "taken", status };
  if (status === 410) return { kind: "gone" };
  const why =
    status >= 300 && status < 400 ? `it answered ${status}, and redirects are not followed` : `it answered ${status}`;
  return { kind: "failed", why, waitMs: readRetryAfter(headers.get("retry-after"), at) ?? 0 };
}
