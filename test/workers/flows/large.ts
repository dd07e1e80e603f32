/** Workflows whose values are as large as calls between objects can just carry, or larger. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

/** One character beyond Latin-1 makes two bytes of every other, also of the base64 that the bytes are stored as. */
function scan(): { name: string; bytes: Uint8Array } {
  return { name: "契約.pdf", bytes: new Uint8Array(13_000_000).fill(7) };
}

/** Keeps it and returns it. */
const kept = defineWorkflow("large-kept", {
  handler: async (_input: unknown, step) => await step.run("scan", scan),
});

/** Gives and takes it: to a child, from a child, in a signal. */
const family = defineWorkflow("large-family", {
  handler: async (input: { to: string }, step) => {
    const { bytes } = await step.invoke<{ bytes: Uint8Array }>("large-kept", scan());
    await step.signal(input.to, "scan", scan());
    return bytes.length;
  },
});

const text = z.object({ text: z.string() });
/** A copy, which is stored beside what was sent. */
const copied = text.transform(({ text }) => ({ text: `${text}!` }));

const receiver = defineWorkflow("large-receiver", {
  signals: { copied },
  handler: async (_input: unknown, step) => {
    step.update("copy", copied, () => null);
    step.update("echo", text, (given) => given);
    return (await step.waitFor<{ bytes: Uint8Array }>("scan")).bytes.length;
  },
});

/** Fails with more than one call carries. */
const failing = defineWorkflow("large-failing", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    const errors = Array.from({ length: 255 }, () => new Error("→".repeat(70_000)));
    await step.run("fail", () => Promise.reject(new AggregateError(errors, "all of them")));
  },
});

export const largeWorkflows = [kept, family, receiver, failing];
