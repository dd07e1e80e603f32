/** An order as a saga: reserve, charge, ship, tell the customer; if a step fails for good, those before it are undone. */
import { defineWorkflow, NonRetryableError } from "holdfast";
import * as z from "zod";
import { mail } from "./mail.ts";

const orderInput = z.object({
  id: z.string().min(1).max(64),
  email: z.email(),
  address: z.string().min(1).max(300),
  totalCents: z.int().positive(),
  card: z.string().min(1).max(40),
  /** For trying things out: the payment provider is down for this many attempts. */
  failPayments: z.int().min(0).max(20).default(0),
  /** For trying things out: the carrier cannot deliver there. */
  undeliverable: z.boolean().default(false),
});

export const order = defineWorkflow("order", {
  input: orderInput,
  labels: (input) => ({ customer: input.email }),
  handler: async (input, step) => {
    await step.run("reserve", ({ idempotencyKey }) => reserve(input, idempotencyKey), {
      undo: (reservation, { idempotencyKey }) => release(reservation.id, idempotencyKey),
    });

    const payment = await step
      .run("charge", ({ attempt, idempotencyKey }) => charge(input, attempt, idempotencyKey), {
        retry: { limit: 6, delay: "300ms", backoff: "exponential", maxDelay: "10s" },
        timeout: "15s",
        undo: async (paid, context) => {
          refund(paid.id, context.idempotencyKey);
          await mail().send(letter(input, "was refunded"), context);
        },
      })
      .catch(async (error: unknown) => {
        // The charge failed for good; the customer is told before the run ends as failed with this error.
        await step.run("mail-declined", (context) => mail().send(letter(input, "was not paid"), context));
        throw error;
      });

    // If this fails for good, the payment is refunded and then the goods are released.
    const parcel = await step.run("ship", ({ idempotencyKey }) => ship(input, idempotencyKey), { retry: { limit: 8 } });

    const sent = letter(input, `is on its way, tracking code ${parcel.tracking}`);
    await step.run("mail-shipped", (context) => mail().send(sent, context));
    return { payment: payment.id, attempts: payment.attempts, tracking: parcel.tracking };
  },
});

type Order = z.output<typeof orderInput>;

/** A stand-in for a warehouse. */
function reserve(input: Order, idempotencyKey: string) {
  return { id: `res_${fingerprint(idempotencyKey)}`, order: input.id };
}

function release(reservation: string, idempotencyKey: string) {
  return { id: `rel_${fingerprint(idempotencyKey)}`, reservation };
}

/** A stand-in for a payment provider: down when told to be, and strict about cards. */
function charge(input: Order, attempt: number, idempotencyKey: string) {
  if (attempt <= input.failPayments) throw new Error("the payment provider answered 503");
  if (input.card === "declined") throw new NonRetryableError("the card was declined");
  return { id: `pay_${fingerprint(idempotencyKey)}`, attempts: attempt, cents: input.totalCents };
}

function ship(input: Order, idempotencyKey: string) {
  if (input.undeliverable) throw new NonRetryableError(`no carrier delivers to ${input.address}`);
  return { tracking: `HF${fingerprint(idempotencyKey).toUpperCase()}` };
}

function refund(payment: string, idempotencyKey: string) {
  return { id: `ref_${fingerprint(idempotencyKey)}`, payment };
}

function letter(input: Order, what: string) {
  const total = (input.totalCents / 100).toFixed(2);
  return {
    to: input.email,
    subject: `Your order ${input.id}`,
    text: `Your order ${input.id} of EUR ${total} ${what}.`,
  };
}

/** The same key gives the same number, as a provider that honours idempotency keys would. */
function fingerprint(key: string): string {
  let sum = 0x811c9dc5;
  for (const letter of key) sum = Math.imul(sum ^ letter.charCodeAt(0), 0x01000193);
  return (sum >>> 0).toString(36).padStart(7, "0");
}
