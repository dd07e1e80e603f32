/** Runs that travel: with something of everything, a wait to be exported at, and effects that are counted. */
import { defineWorkflow } from "../../../src/index.ts";

/** Effects by step and run, in order. */
export const effects: string[] = [];

const wanderer = defineWorkflow<
  { readonly hook?: boolean; readonly secret?: string; readonly fail?: boolean },
  unknown
>("wanderer", {
  retries: 0,
  handler: async ({ hook = false, secret, fail = false }, step) => {
    const first = await step.run("first", ({ idempotencyKey }) => {
      effects.push(`first ${step.info.id}`);
      return { at: new Date(0), key: idempotencyKey, map: new Map([["a", 1n]]) };
    });
    const drawn = [step.random(), step.uuid()];
    const hidden =
      secret === undefined
        ? null
        : await step.run(
            "hidden",
            () => {
              effects.push(`hidden ${step.info.id}`);
              return secret;
            },
            { sensitive: true },
          );
    step.progress({ half: true });
    step.log.info("on its way");
    step.query("where", () => "on its way");
    const webhook = hook ? await step.webhook("call") : null;
    const call = webhook === null ? null : await webhook.received();
    const said = await step.waitFor<{ readonly go: string }>("go", { timeout: "1 hour" });
    await step.run("last", () => {
      effects.push(`last ${step.info.id}`);
      if (fail) throw new Error("it broke");
    });
    return {
      first,
      drawn,
      again: [step.random(), step.uuid()],
      hidden: hidden?.length ?? null,
      said,
      call: call?.body,
    };
  },
});

/** As many steps as it is told. */
const longWalk = defineWorkflow<{ readonly steps: number }, number>("long-walk", {
  handler: async ({ steps }, step) => {
    let sum = 0;
    for (let at = 0; at < steps; at++) sum += (await step.run("step", () => ({ n: at }))).n;
    await step.waitFor("go");
    return sum;
  },
});

const guide = defineWorkflow("guide", {
  handler: async (_input, step) => {
    await step.start("wanderer", {}, { id: `${step.info.id}-away` });
    await step.invoke("wanderer", {}, { id: `${step.info.id}-led` });
  },
});

const gatedWanderer = defineWorkflow("gated-wanderer", {
  concurrency: 1,
  handler: async (_input, step) => await step.waitFor("go"),
});

export const travelWorkflows = [wanderer, longWalk, guide, gatedWanderer];
