/**
 * A drip campaign that never ends by itself: a letter, a pause, and the next. Each round continues the run as new, so
 * that its history stays short however many years it goes on.
 */
import { defineWorkflow } from "holdfast";
import * as z from "zod";
import { mail } from "./mail.ts";

const dripInput = z.object({
  email: z.email(),
  pause: z.string().default("7 days"),
  letters: z.array(z.string()).min(1),
  /** The index of the next letter. */
  next: z.int().min(0).default(0),
});

export const drip = defineWorkflow("drip", {
  input: dripInput,
  labels: (input) => ({ email: input.email }),
  // One campaign for each address.
  singleton: { key: (input) => input.email, mode: "skip" },
  handler: async (input, step) => {
    const subject = input.letters[input.next % input.letters.length] ?? "Hello";
    await step.run("send", (context) => mail().send({ to: input.email, subject, text: subject }, context));
    // A signal that comes while a letter is being sent is found here, or in the next round.
    const left = await step.waitFor("unsubscribe", { timeout: input.pause });
    if (left !== null) return { letters: input.next + 1 };
    return await step.continueAsNew({ ...input, next: input.next + 1 });
  },
});
