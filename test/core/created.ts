/** What a run has on record first, as tests begin with it: changed in what a test is about. */
import type { Fact } from "../../src/core/history/entry.ts";
import { encode } from "../../src/core/value/value.ts";

export const createdFact = {
  ...{ kind: "run.created", id: "run-1", workflow: "flow", version: "1", input: encode({}, "the input"), labels: {} },
  ...{ parent: null, schedule: null, startAt: null, notAfter: null, origin: null, by: "test" },
} as const satisfies Fact;
