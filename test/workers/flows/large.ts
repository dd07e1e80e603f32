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

/** Each of its two values is stored as nearly 16 MiB. */
const logging = defineWorkflow("large-logging", {
  handler: async (_input: unknown, step) => {
    step.log.info(`→${"t".repeat(11_000_000)}`, `→${"d".repeat(11_000_000)}`);
    step.log.info("after");
    return await step.run("end", () => null);
  },
});

/** As text within text, each of its quotes has four characters. */
const quoting = defineWorkflow("large-quoting", {
  handler: async (_input: unknown, step) => (await step.run("quote", () => '"'.repeat(8_388_600))).length,
});

/** Results that are recorded together. */
const together = defineWorkflow("large-together", {
  handler: async (_input: unknown, step) => {
    const all = Array.from({ length: 4 }, (_, n) => step.run(`n${n}`, () => "r".repeat(11_000_000)));
    return (await Promise.all(all)).length;
  },
});

export const largeWorkflows = [kept, family, receiver, failing, logging, quoting, together];
