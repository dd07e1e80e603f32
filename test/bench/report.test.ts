import { describe, expect, it } from "vitest";
import { atMost, figure, limit } from "../../bench/budget.ts";
import type { Figure } from "../../bench/budget.ts";
import { toJson, toMarkdown } from "../../bench/report.ts";

const report = (figures: readonly Figure[]) => ({
  title: "Bench",
  figures,
  seconds: 12.4,
  isQuick: false,
  notMeasured: ["the moon"],
});

const rowsOf = (figures: readonly Figure[]): string[] =>
  toMarkdown(report(figures))
    .split("\n")
    .filter((line) => line.startsWith("| "));

describe("the table", () => {
  it("has a column for each system that was measured, and its ratio", () => {
    const one = figure("one", "ms", { holdfast: [3], floorA: [2] }, [atMost(1.25, "floorA")]);
    const two = figure("two", "", { holdfast: [150.4], hosted: [1000] }, []);
    expect(rowsOf([one, two])).toEqual([
      "| what | holdfast | floor a | hosted | × floor a | × hosted | budget |  |",
      "| --- | --- | --- | --- | --- | --- | --- | --- |",
      "| one, ms | 3 | 2 | – | 1.50 | – | ≤ 1.25 × floor a | ✗ |",
      "| two | 150 | – | 1000 | – | 0.15 |  |  |",
    ]);
  });

  it("has the slow end in brackets, and no ratio to nothing", () => {
    const samples = Array.from({ length: 40 }, (_, index) => (index + 1) / 10);
    const [, , row] = rowsOf([figure("slow", "ms", { holdfast: samples, floorA: [0] }, [limit(2, "ms")])]);
    expect(row).toBe("| slow, ms | 2 (3.80) | 0 | – | ≤ 2 ms | ✓ |");
  });

  it("ends with what was met, what was missed and what was not measured", () => {
    const good = figure("good", "", { holdfast: [1] }, [limit(1, "")]);
    const bad = figure("bad", "", { holdfast: [2] }, [limit(1, "")]);
    expect(toMarkdown(report([good]))).toContain("\nAll 1 budgets are met.\n");
    expect(toMarkdown(report([good, bad]))).toContain("\nOf 2 budgets 1 are met and 1 missed:\n\n- bad: ≤ 1\n");
    expect(toMarkdown(report([]))).toMatch(/\nNot measured:\n\n- the moon$/);
  });
});

describe("the file", () => {
  it("holds every sample, and the verdict on each figure and on all", () => {
    const figures = [
      figure("a", "ms", { holdfast: [5, 3], floorA: [1] }, [limit(4, "ms"), atMost(2, "floorA")]),
      figure("b", "", { holdfast: [1] }, []),
    ];
    const { budgets, results, seconds } = JSON.parse(toJson(report(figures))) as Record<string, unknown>;
    expect(budgets).toEqual({ met: 1, missed: [{ what: "a", budget: "≤ 2 × floor a" }] });
    expect(seconds).toBe(12.4);
    expect(results).toMatchObject([
      { what: "a", values: { holdfast: 3, floorA: 1 }, met: false, samples: { holdfast: [5, 3], floorA: [1] } },
      { what: "b", met: null, budgets: [] },
    ]);
  });
});
