/** The programs of the model, performed with the tools of the engine: the workflow `modelled`. */
import { NonRetryableError } from "../../src/core/error.ts";
import type { AttemptContext, RunOptions } from "../../src/core/definition/options.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Delivery } from "../../src/core/webhook/webhook.ts";
import { perform } from "./player.ts";
import type { Deed, How, Tools } from "./player.ts";
import type { Input } from "./program.ts";

/** What an attempt did to the world. */
export type Effect = {
  readonly run: string;
  readonly path: string;
  readonly attempt: number;
  readonly key: string;
  readonly ms: number;
};

/** Takes note of an effect, and resolves after its time: to how often the run had failed and was retried, if it knows. */
export type World = (effect: Effect) => Promise<number | void>;

export const workflow = "modelled";

export async function performWith(step: Step, input: Input, world: World, wait: Wait = realTime): Promise<unknown> {
  return await perform(toolsOf(step, world, wait), input);
}

/** Resolves after so long. */
type Wait = (ms: number) => Promise<void>;

const realTime: Wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function toolsOf(step: Step, world: World, wait: Wait): Tools {
  const act = async (
    deed: (episode: number) => Deed,
    { attempt, idempotencyKey: key }: AttemptContext,
  ): Promise<string> => {
    const { path, ms } = deed(0);
    const { end } = deed((await world({ run: step.info.id, path, attempt, key, ms })) ?? 0);
    if ("value" in end) return end.value;
    throw end.lasting ? new NonRetryableError(end.message) : new TypeError(end.message);
  };
  const optionsOf = (how: How): RunOptions<string> => {
    const { limit, backoff, delayMs, maxDelayMs, timeoutMs, once, pauses, undo } = how;
    const undone = async (_result: string, context: AttemptContext): Promise<void> => {
      if (undo !== null) await act(() => undo(context.attempt), context);
    };
    return {
      retry: { limit, backoff, delay: delayMs, maxDelay: maxDelayMs, jitter: 0.2 },
      timeout: timeoutMs,
      atMostOnce: once,
      onExhausted: pauses ? "pause" : "fail",
      ...(undo === null ? {} : { undo: undone }),
    };
  };
  return {
    run: (name, deed, how) =>
      step.run<Promise<string>>(
        name,
        (context) => act((episode) => deed(context.attempt, episode), context),
        optionsOf(how),
      ),
    sleep: (name, ms) => step.sleep(name, ms),
    waitFor: (name, timeoutMs) => step.waitFor(name, timeoutMs === null ? {} : { timeout: timeoutMs }),
    webhook: async (name, timeoutMs, judgingMs) => {
      const verify = async ({ body }: Delivery): Promise<boolean> => {
        await wait(judgingMs);
        return (body as { good: boolean }).good;
      };
      const hook = await step.webhook(name, { verify, ...(timeoutMs === null ? {} : { timeout: timeoutMs }) });
      return { received: async () => (await hook.received())?.body ?? null };
    },
    listen: (name, fn) => step.onSignal(name, fn),
    map: async (name, items, deed, { width, tolerate, settled, ...how }) => {
      const list = Array.from({ length: items }, (_, item) => item);
      const options = { ...optionsOf(how), concurrency: width };
      const doItem = (item: number, context: AttemptContext) => act((episode) => deed(item, episode), context);
      if (!settled) {
        const results = await step.map(name, list, doItem, { ...options, tolerate });
        return results.map((each) => each ?? null);
      }
      const results = await step.map(name, list, doItem, { ...options, settled: true });
      return results.map((each) => (each.status === "fulfilled" ? each : { status: each.status }));
    },
    race: async (branches) => ({ key: (await step.race(branches)).key }),
    invoke: (input) => step.invoke(workflow, input),
    renew: (input) => step.continueAsNew(input),
    update: (name, fn) => step.update(name, null, fn),
    log: (line) => step.log.info(line),
    // Both leave the handler by throwing, and a handler that has left has no more say.
    bail: async (reason) => step.bail(reason),
    fail: async (error) => step.fail(error),
  };
}
