/** What a child is in a random workflow: how it is started, and what it does. */
import type { ChildPolicy } from "../../src/core/origin.ts";
import type { Step } from "../../src/core/step.ts";
import type { Carried, Node } from "./program.ts";

/** What a child does, in each of its lives. */
export type Born = { readonly body: Node; readonly next: readonly Node[] };

/** A child that is waited for, or only started; or one for each item of a map. */
export type Kin = {
  readonly t: "kin";
  readonly how: "invoke" | "start" | "map";
  readonly born: Born;
  readonly timeoutMs: number | null;
  readonly policy: ChildPolicy | null;
  /** Whether its id is given: one that it has for itself, or one that others ask for, too. */
  readonly id: "derived" | "own" | "shared";
};

/** @returns what the child came to, or what it is called */
export async function bear(step: Step, { how, born, timeoutMs, policy, id }: Kin, path: string): Promise<unknown> {
  const input: Carried = { round: 0, sum: 0, born };
  const given =
    id === "own" ? { id: `${step.info.id}:own:${path.replaceAll(/[^A-Za-z0-9]/g, "-")}` } : { id: "shared" };
  const options = { ...(id === "derived" ? {} : given), ...(policy === null ? {} : { onParentEnd: policy }) };
  const timely = timeoutMs === null ? {} : { timeout: timeoutMs };
  switch (how) {
    case "start":
      return (await step.start("flow", input, options)).id;
    case "invoke":
      return await step.invoke("flow", input, { ...options, ...timely });
    case "map": {
      const fan = { concurrency: 1, tolerate: path.length % 2, ...timely };
      const plain = policy === null ? {} : { onParentEnd: policy };
      return await step.map("brood", [input, input], "flow", { ...plain, ...fan });
    }
    default:
      return how satisfies never;
  }
}
