/**
 * Owns: the addresses that are told of ends of runs: which those of a start are, what NOTIFY_SECRET and NOTIFY_HOSTS
 * say of them, one call of one of them, and what its answer means.
 * Does not own: which addresses may be called (core/subscriber), what is told, and when again (notice).
 *
 * Invariant 1: nothing of what an address answers is kept but its status: it may repeat what it was sent.
 */
import { Webhook } from "standardwebhooks";
import { fromBase64 } from "../core/bytes.ts";
import type { Definition } from "../core/definition.ts";
import { HoldfastError, messageOf } from "../core/error.ts";
import { readRetryAfter } from "../core/retry.ts";
import { checkSubscribers, parseHosts } from "../core/subscriber.ts";
import type { AllowedHost } from "../core/subscriber.ts";
import { decode } from "../core/value.ts";
import type { Stored } from "../core/value.ts";
import { variable } from "./address.ts";
import { inTime } from "./patience.ts";

/** How long an address may take. */
const patienceMs = 20_000;
/** Standard Webhooks asks for this many random bytes. */
const secretBytes = { least: 24, most: 64 } as const;
const prefix = "whsec_";

/** `taken`; `gone`: it wants to hear no more; `failed`: worth another try, after `waitMs` where the answer says. */
export type Delivery =
  | { readonly kind: "taken"; readonly status: number }
  | { readonly kind: "gone" }
  | { readonly kind: "failed"; readonly why: string; readonly waitMs: number };

/**
 * The addresses of a start and of its workflow, each once.
 * @throws HoldfastError notify_invalid; config_invalid where they could not be told
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

/** Without a schema the input may be anything, also what the workflow's own function has not thought of. */
function named(workflow: string, notify: NonNullable<Definition["notify"]>, input: Stored): readonly unknown[] {
  try {
    const urls: unknown = notify(decode(input) as never) ?? [];
    return Array.isArray(urls) ? urls : [urls];
  } catch (cause) {
    const message = `notify of ${workflow} cannot be made from this input: ${messageOf(cause)}`;
    throw new HoldfastError("notify_invalid", message, { cause });
  }
}

/** Whether what is set can be read; nothing need be. @throws HoldfastError config_invalid */
export function checkNotify(): void {
  allowedHosts();
  if ((variable("NOTIFY_SECRET") ?? "").trim() !== "") findSecrets();
}

/** @throws HoldfastError config_invalid */
export function allowedHosts(): readonly AllowedHost[] {
  return parseHosts(variable("NOTIFY_HOSTS") ?? "");
}

/** @throws HoldfastError config_invalid, which says which secret is wrong and never what it is */
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
 * One call, signed as Standard Webhooks 1.0 has it, with every secret.
 * @param id the same in every attempt @param at of this attempt, epoch ms
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
      // Where a redirect leads was not checked.
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
