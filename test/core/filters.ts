/** Runs and filters at random, such that every filter means some of the runs. */
import { causeOf } from "../../src/core/listing/cause.ts";
import type { Failed } from "../../src/core/listing/cause.ts";
import { createRandom } from "../../src/core/random.ts";
import { runStatuses } from "../../src/core/run/run.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import type { RunFilter } from "../../src/core/service/directory.ts";
import { summaryOf } from "../workers/summary.ts";

const random = createRandom("filter");
const pick = <Item>(...items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item;

const someFailure = (): Failed["error"] => {
  const [code, step] = [pick("step_failed", "cancelled", undefined), pick("charge", "charge#2", undefined)];
  const message = pick("no", `order ${Math.floor(random.next() * 100)}`);
  return { message, ...(code === undefined ? {} : { code }), ...(step === undefined ? {} : { step }) };
};

/** What runs may have failed of, by the id of the cause. */
export const causes: ReadonlyMap<string, Failed> = new Map(
  Array.from({ length: 200 }, () => {
    const failed = { workflow: pick("pay", "mail"), error: pick(null, someFailure(), someFailure(), someFailure()) };
    return [causeOf(failed), failed];
  }),
);

export function someRun(index: number): RunSummary {
  const error = pick(null, someFailure(), someFailure());
  return summaryOf(pick("a", "ab", "b") + index, {
    workflow: pick("pay", "mail"),
    status: pick(...runStatuses),
    createdAt: pick(1, 2, 3),
    labels: pick<RunSummary["labels"]>({}, { who: "ann" }, { who: "bob", where: "here" }, { toString: "x" }),
    error: error === null ? null : { name: "Error", ...error },
  });
}

export function someFilter(): RunFilter {
  const filter = {
    workflow: pick(undefined, undefined, "pay", "none"),
    status: pick(undefined, [], [pick(...runStatuses)], [...runStatuses]),
    labels: pick<RunFilter["labels"]>(undefined, {}, { who: "bob" }, { who: "bob", where: "here" }, { toString: "x" }),
    createdAfter: pick(undefined, 1, 2),
    createdBefore: pick(undefined, 2, 3),
    idPrefix: pick(undefined, "a", "ab", "ab1"),
    errorCode: pick(undefined, undefined, "step_failed"),
    cause: pick(undefined, undefined, undefined, pick(...causes.keys())),
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}
