/**
 * The program of golden journal 003. It asks for what 001 does not: children, requests of couriers, races, updates,
 * listeners, patches, slots of lanes, undoing. The journal next to it was written by an earlier version, in workerd.
 */
import { z } from "zod";
import type { Step } from "../../src/core/definition/step.ts";

/** Names of the steps whose functions ran, and of the undos. */
export const ran: string[] = [];

type World = {
  readonly undo: (step: string, key: string) => unknown;
  /** Told what the handler has got, once that is all of it. */
  readonly tell: (got: unknown) => void;
};

/** Longer than a label may be since then. */
const label = "the second signature of the board ".repeat(10);

/** A schema that takes its time: what it makes is on record. */
const slow = z.object({ by: z.string().transform(async (by) => await Promise.resolve(`${by}!`)) });

export const golden =
  ({ undo, tell }: World) =>
  async (input: { readonly url: string }, step: Step): Promise<unknown> => {
    const work = <Result>(name: string, fn: () => Result): Promise<Awaited<Result>> =>
      step.run(
        name,
        () => {
          ran.push(name);
          return fn();
        },
        { retry: { limit: 3, delay: "1 hour", jitter: 0 }, undo: (_result, { idempotencyKey }) => undo(name, idempotencyKey) },
      );
    const heard: unknown[] = [];
    let sum = 0;
    step.onSignal("note", (payload) => heard.push(payload));
    step.update("add", z.object({ by: z.number() }), async ({ by }) => {
      await work("added", () => by);
      return (sum += by);
    });
    const patched = step.patched("first");
    const child = await step.invoke("part", {});
    const refused: unknown = await step
      .invoke("part", { fail: true })
      .catch((error: Error & { code?: string }) => [error.code, error.message]);
    const detached = await step.start("part", {});
    const far = await step.fetch<{ far: number }>("far", { url: input.url, method: "POST", body: {} });
    const raced = await step.race({
      signal: () => step.waitFor("never"),
      child: () => step.invoke("part", { wait: true }),
      nap: () => step.sleep("short", 50),
    });
    const mapped = await step.map("items", [1, 2, 3], (item) => item * 2, { concurrency: 2 });
    const charged = await work("charge", () => "paid");
    const hook = await step.webhook("paid");
    await step.waitFor("updated");
    const signed = await step.waitFor("go", { label });
    const judged = await step.waitFor<{ by: string }>("judged", { schema: slow });
    const late = await step.waitFor("go", { label, timeout: 100 });
    const paid = await hook.received();
    const drawn = [step.now(), step.random(), step.uuid()];
    const got = { sum, heard, patched, child, refused, detached, far, raced, mapped, charged, signed, judged, late, paid, drawn };
    tell(got);
    await work("last", () => got);
    return step.fail(new RangeError("over"));
  };
