/**
 * Every object of a deployment, ended or evicted at every await of all that is asked of it: each operation is told
 * once as it is, which lists its awaits, and then once for each of them and each way to end there.
 *
 * By default a sample of the list; FAULT_COUNT=all for all of it, FAULT_SEED for another sample.
 */
import { describe, it } from "vitest";
import { countOf, hush, report, someCases, tryCases, tryStorms } from "./campaign.ts";
import type { Fault } from "./injector.ts";
import { operations } from "./operation.ts";

const deaths: ReadonlySet<Fault> = new Set(["dies", "survives", "evicted"]);
const limitMs = 3_600_000;

hush();

describe("an object that ends, at any await of any operation", () => {
  it("leaves every guarantee as it is (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("deaths", await tryCases(await someCases(operations, deaths, countOf(9))));
  });

  it("again and again, among many others (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("storms of deaths", await tryStorms(operations, Math.min(countOf(3), 2000), deaths, 0.05));
  });
});
