/** Children in random workflows: how they are started, and their programs; and signals between runs. */
import type { ChildPolicy } from "../../src/core/run/origin.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Carried } from "./player.ts";
import type { Node } from "./program.ts";
import { payloadOf } from "./values.ts";

/** The program of a child, for each of its lives. */
export type ChildProgram = { readonly body: Node; readonly next: readonly Node[] };

/** A call that starts a child, with or without waiting for it, or one child for each item of a map. */
export type ChildNode = {
  readonly t: "kin";
  readonly how: "invoke" | "start" | "map";
  readonly born: ChildProgram;
  readonly timeoutMs: number | null;
  readonly policy: ChildPolicy | null;
  /** Where its id comes from: derived, given and unique, or given and shared with other calls. */
  readonly id: "derived" | "own" | "shared";
};

/** @returns the output of the child, or its id */
export async function makeChild(
  step: Step,
  { how, born, timeoutMs, policy, id }: ChildNode,
  path: string,
): Promise<unknown> {
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

/** A signal to another run of the family, or to itself. */
export type TellNode = {
  readonly t: "tell";
  readonly to: "root" | "parent" | "shared" | "self";
  readonly name: string;
};

/** @returns why it could not be sent, if so */
export async function tell(step: Step, { to, name }: TellNode, path: string): Promise<unknown> {
  const { id, parent } = step.info;
  const ids = { root: "root", parent: parent?.id ?? "nobody", shared: "shared", self: id };
  return await step
    .signal(ids[to], name, payloadOf(`told at ${path}`))
    .catch((error: { readonly code: string }) => error.code);
}
