/**
 * The development outbox: each mail is a run of this workflow, so it can be read like any run: list
 * `GET /v1/runs?workflow=outbox&label.to=ann@example.com`, newest first, and read the `input` of each.
 */
import { defineWorkflow, HoldfastError, NonRetryableError } from "holdfast";
import * as z from "zod";

const message = z.object({ to: z.email(), subject: z.string(), text: z.string() });

export const outbox = defineWorkflow("outbox", {
  input: message,
  labels: ({ to }) => ({ to }),
  // That the run exists is enough.
  handler: () => null,
});

/** Stores the mail once for each key. @throws NonRetryableError for an invalid mail, or a key used for another one */
export async function keepMail(mail: z.input<typeof message>, idempotencyKey: string): Promise<void> {
  try {
    await outbox.start(mail, { id: await toRunId(idempotencyKey) });
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const why = error.code === "run_exists" ? "its idempotency key was used for another mail" : error.message;
    throw new NonRetryableError(`The outbox refuses the mail: ${why}`, { cause: error });
  }
}

/** The same key gives the same run. A digest, because a key may hold what an id may not. */
async function toRunId(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return `mail-${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
