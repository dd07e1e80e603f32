/**
 * Storage that is full, broken or slow, at every statement of all that is asked of a deployment.
 *
 * By default a sample of the list; FAULT_COUNT=all for all of it, FAULT_SEED for another sample.
 */
import { describe, it } from "vitest";
import { countOf, hush, report, someCases, tryCases, tryStorms } from "./campaign.ts";
import type { Fault } from "./injector.ts";
import { operations } from "./operation.ts";

const failures: ReadonlySet<Fault> = new Set(["full", "broken", "slow"]);
const limitMs = 3_600_000;

hush();

describe("storage that fails, at any statement of any operation", () => {
  it("loses nothing that was answered (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("storage failures", await tryCases(await someCases(operations, failures, countOf(9))));
  });

  it("again and again (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("storms of storage failures", await tryStorms(operations, Math.min(countOf(3), 2000), failures, 0.05));
  });
});
