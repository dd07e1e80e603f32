/** docs/scale.md says what the kept figures come to, and the figures are what the formulas take for granted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Figures } from "../../bench/scale/figures.ts";
import { expectedUnevenness, pageShare, unevenness } from "../../bench/scale/shards.ts";
import { fill } from "../../bench/scale/table.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const figures = JSON.parse(read("bench/scale/counted.json")) as Figures;

const sum = (counts: readonly number[]): number => counts.reduce((one, other) => one + other, 0);

describe("docs/scale.md", () => {
  it("has the tables that the kept figures make; `npm run scale -- --print` writes them", () => {
    const document = read("docs/scale.md");
    expect(fill(document, figures)).toBe(document);
  });

  it("says when and how they were counted", () => {
    expect(read("docs/scale.md")).toContain(`Counted on ${figures.at.slice(0, 10)} by \`npm run scale\``);
  });
});

describe("the kept figures", () => {
  it("have a step cost one row: five quick steps are four rows more than one", () => {
    const rows = (name: string) => figures.shapes.find((shape) => shape.name === name)?.taken.run?.rowsWritten ?? NaN;
    expect(Math.round(rows("5 steps") - rows("1 step"))).toBe(4);
  });

  it.each(figures.loads)("take as many calls and rows a run with $shards shards as with one", (load) => {
    const [one] = figures.loads;
    const aRun = (counts: readonly number[], { runs }: { runs: number }) => sum(counts) / runs;
    if (one === undefined) throw new Error("no load was counted");
    // A run that is at work for a quarter of a second is told of once more: on a busy machine some are.
    expect(aRun(load.calls, load)).toBeGreaterThan(0);
    expect(aRun(load.calls, load)).toBeLessThan(aRun(one.calls, one) + 0.5);
    expect(aRun(load.registerRows, load)).toBeCloseTo(1, 2);
    expect(sum(load.registerCalls)).toBeLessThanOrEqual(load.runs);
  });

  it.each(figures.loads)("spread over $shards shards no worse than chance does", ({ registerRows, runs, shards }) => {
    expect(unevenness(registerRows)).toBeLessThanOrEqual(expectedUnevenness(runs, shards));
  });

  it.each(figures.loads)("read for a page over $shards shards what the formula says", ({ asked, shards }) => {
    for (const limit of [50, 200]) {
      const page = asked.find(({ what }) => what === `a page of ${limit} runs`);
      const sent = shards * pageShare(limit, shards);
      expect(page?.calls).toBe(shards);
      // A shard that has lost its memory reads some rows to begin with.
      expect(page?.rowsRead).toBeGreaterThanOrEqual(sent);
      expect(page?.rowsRead).toBeLessThanOrEqual(sent + 15 * shards);
    }
  });
});
