/**
 * Every object of a deployment, ended or evicted at every await of all that is asked of it: each operation is told
 * once as it is, which lists its awaits, and then once for each of them and each way to end there.
 *
 * By default a sample of the list; FAULT_COUNT=all for all of it, FAULT_SEED for another sample.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { casesOf, countOf, sample, seed, tryCases, tryStorms } from "./campaign.ts";
import type { Case, Tried } from "./campaign.ts";
import type { Fault } from "./injector.ts";
import { operations } from "./operation.ts";

const deaths: ReadonlySet<Fault> = new Set(["dies", "survives"]);
const limitMs = 3_600_000;

beforeAll(() => {
  for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
});
afterAll(() => void vi.restoreAllMocks());

function report(what: string, { cases, met, failures }: Tried): void {
  console.info(`${what}: ${cases} cases, ${met} faults met, seed ${seed}`);
  expect(failures).toEqual([]);
}

describe("an object that ends, at any await of any operation", () => {
  it("leaves every guarantee as it is (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    const all: Case[] = [];
    for (const operation of operations) all.push(...(await casesOf(operation, deaths)));
    report(`deaths at ${new Set(all.map(({ operation, at }) => operation.title + at)).size} awaits`, await tryCases(sample(all, countOf(60), "deaths")));
  });

  it("again and again, among many others (guarantees 1 to 6)", { timeout: limitMs }, async () => {
    report("storms of deaths", await tryStorms(operations, Math.min(countOf(44), 10_000), deaths, 0.05));
  });
});
