/**
 * The program of golden journal 001. It asks for every kind of call there is today; the journal next
 * to it was written once, by the first version of the format, and must replay to the same end for ever.
 */
import { NonRetryableError } from "../../src/core/error.ts";
import type { Step } from "../../src/core/definition/step.ts";

/** Names of the steps whose functions ran. */
export const ran: string[] = [];

/** What differed while the journal was recorded: steps failed and died, and the first code was older. */
type World = { readonly die: () => Promise<unknown>; readonly repaired: () => boolean; readonly older: boolean };

export const golden =
  (world: World) =>
  async (input: { readonly order: string }, step: Step): Promise<unknown> => {
    const work = async <Result>(name: string, fn: (attempt: number) => Result): Promise<Awaited<Result>> =>
      await step.run(
        name,
        ({ attempt }) => {
          ran.push(name);
          return fn(attempt);
        },
        { retry: { limit: 1, delay: 1000, jitter: 0 } },
      );
    step.log.info("begun", { order: input.order });
    const charge = await work("charge", (attempt) => {
      if (attempt === 1) throw new TypeError("card reader busy", { cause: new Error("cable") });
      return { at: new Date(0), parts: new Map([["a", 1n]]), bytes: new Uint8Array([1, 2, 3]) };
    });
    if (world.older) void step.waitFor("dropped");
    const added = world.older ? null : await work("added", () => "by newer code");
    const refused = await work("refuse", () => {
      throw new NonRetryableError("not today");
    }).catch((error: Error & { code?: string }) => [error.name, error.message, error.code]);
    step.progress(0.5);
    const again = await Promise.all([work("charge", () => "second"), work("odd#7", () => undefined)]);
    await step.sleep("1 day");
    const early = await step.waitFor("approval");
    const late = await step.waitFor("approval", { timeout: "2 h" });
    const race = await Promise.race([step.waitFor("never"), step.sleep("short", 5000).then(() => "timer")]);
    const hook = await step.webhook("paid", { timeout: "1 h" });
    const paid = await hook.received();
    const unpaid = await (await step.webhook("unpaid", { timeout: 60_000 })).received();
    await work("fragile", () => (world.repaired() ? "repaired" : Promise.reject(new RangeError("broken"))));
    const killer = await work("killer", () => (world.repaired() ? "lived" : world.die()));
    return { charge, added, refused, again, early, late, race, url: hook.url, paid, unpaid, killer, now: step.now(), random: step.random(), uuid: step.uuid() };
  };
