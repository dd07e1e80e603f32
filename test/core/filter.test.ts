/** Which runs a filter means. That the listing means the same: test/workers/events-directory.test.ts. */
import { describe, expect, it } from "vitest";
import { fits, mayHaveFitted } from "../../src/core/listing/filter.ts";
import { outline } from "../../src/core/listing/cause.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import type { RunFilter } from "../../src/core/service/directory.ts";
import { causes, someFilter, someRun } from "./filters.ts";

/** Each condition by itself, as text says it. */
const conditions: Readonly<Record<keyof RunFilter, (run: RunSummary, filter: RunFilter) => boolean>> = {
  workflow: (run, { workflow }) => run.workflow === workflow,
  status: (run, { status = [] }) => status.length === 0 || new Set(status).has(run.status),
  labels: (run, { labels = {} }) => {
    const given = new Set(Object.entries(run.labels).map((pair) => JSON.stringify(pair)));
    return Object.entries(labels).every((pair) => given.has(JSON.stringify(pair)));
  },
  createdAfter: (run, { createdAfter = 0 }) => !(run.createdAt < createdAfter),
  createdBefore: (run, { createdBefore = 0 }) => !(run.createdAt >= createdBefore),
  idPrefix: (run, { idPrefix = "" }) => run.id.slice(0, idPrefix.length) === idPrefix,
  errorCode: (run, { errorCode }) => run.error !== null && run.error.code === errorCode,
  cause: ({ workflow, status, error }, { cause = "" }) => {
    const { message = "", code, step } = error ?? {};
    const told = causes.get(cause);
    return (
      status === "failed" &&
      workflow === told?.workflow &&
      code === told.error?.code &&
      step?.split("#")[0] === told.error?.step?.split("#")[0] &&
      outline(message) === outline(told.error?.message ?? "")
    );
  },
};

const given = (filter: RunFilter): (keyof RunFilter)[] => Object.keys(filter) as (keyof RunFilter)[];

describe("a filter", () => {
  it("means the runs that meet all its conditions", () => {
    const runs = Array.from({ length: 300 }, (_, index) => someRun(index));
    for (let round = 0; round < 500; round++) {
      const filter = someFilter();
      const expected = runs.filter((run) => given(filter).every((name) => conditions[name](run, filter)));
      expect(
        runs.filter((run) => fits(run, filter)),
        `filter ${JSON.stringify(filter)}`,
      ).toEqual(expected);
    }
  });

  it("may have meant a run that it does not mean now, by what can change of it: status, labels, error", () => {
    const steady = new Set<keyof RunFilter>(["workflow", "createdAfter", "createdBefore", "idPrefix"]);
    for (let round = 0; round < 500; round++) {
      const [run, filter] = [someRun(round), someFilter()];
      const expected = given(filter).every((name) => !steady.has(name) || conditions[name](run, filter));
      expect([filter, mayHaveFitted(run, filter)]).toEqual([filter, expected]);
    }
  });
});
