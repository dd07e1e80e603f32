/** Runs that tell others of their end. */
import { defineWorkflow } from "../../../src/index.ts";

export type ToldInput = {
  readonly urls?: readonly string[];
  readonly outcome?: "wait" | "fail";
  readonly output?: unknown;
};

/** Runs, by id, whose failing step succeeds from now on. */
export const repaired = new Set<string>();

export const told = defineWorkflow<ToldInput, unknown>("told", {
  retries: 0,
  notify: ({ urls }) => urls,
  handler: async ({ outcome, output }, step) => {
    if (outcome === "wait") await step.waitFor("go");
    if (outcome === "fail") {
      await step.run("break", () => {
        if (!repaired.has(step.info.id)) throw new Error("it broke");
        return "mended";
      });
    }
    return output;
  },
});

/** The newest input's addresses count. */
const toldOnce = defineWorkflow<ToldInput, unknown>("told-once", {
  debounce: { period: "1 hour" },
  notify: ({ urls }) => urls,
  handler: ({ output }) => output,
});

export const toldWorkflows = [told, toldOnce];
