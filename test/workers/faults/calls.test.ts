/**
 * Calls between objects, and from the Worker to them, that are lost, unanswered, doubled and late, and alarms that
 * are: at every call of all that is asked of a deployment.
 *
 * By default a sample of the list; FAULT_COUNT=all for all of it, FAULT_SEED for another sample.
 */
import { describe, it } from "vitest";
import { countOf, hush, report, someCases, tryCases, tryStorms } from "./campaign.ts";
import type { Fault } from "./injector.ts";
import { operations } from "./operation.ts";

const troubles: ReadonlySet<Fault> = new Set(["unsent", "unanswered", "twice", "again", "late"]);
const limitMs = 3_600_000;

hush();

describe("a call that is lost, doubled or late, at any boundary", () => {
  it("is made good, and done once (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("calls", await tryCases(await someCases(operations, troubles, countOf(9))));
  });

  it("again and again (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("storms of calls", await tryStorms(operations, Math.min(countOf(3), 2000), troubles, 0.1));
  });
});
