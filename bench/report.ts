/** Owns: how figures are shown: a table in Markdown, and all of it as JSON. */
import { cpus, release, type } from "node:os";
import { isMet } from "./budget.ts";
import type { Figure } from "./budget.ts";
import type { SystemName } from "./sample.ts";

const notMeasured: readonly string[] = [
  "Nothing here ran at Cloudflare: it is the local runtime, on one machine, with the client on the same cores.",
  "The client's own part of a call is in every time; it is the same for all, so it brings every ratio nearer to 1.",
  "Rows the emulator writes: its objects cannot be wrapped from outside.",
  "The emulator after an eviction, and with more than 1,000 steps: not tried.",
  "How soon a run resumes whose process was killed.",
  "Large values, deep retries, many waits at once, and what a reader of history or of the directory costs.",
  "Other engines: the figures of docs/design.md were measured elsewhere and are not repeated.",
];

export function toMarkdown(figures: readonly Figure[], seconds: number, isQuick: boolean): string {
  const lines = [
    "# Holdfast bench",
    "",
    `${machine()}; ${seconds.toFixed(0)} s${isQuick ? "; --quick: few samples, read as a smoke test" : ""}.`,
    "Medians, in brackets the 95th percentile; × is holdfast by the other.",
    "",
    "| what | holdfast | floor a | floor b | emulator | × floor a | × floor b | × emulator | budget | |",
    "|---|---|---|---|---|---|---|---|---|---|",
    ...figures.map(row),
    "",
    "Not measured:",
    "",
    ...notMeasured.map((line) => `- ${line}`),
  ];
  return lines.join("\n");
}

function row(figure: Figure): string {
  const { what, unit, budgets } = figure;
  const verdict = budgets.length === 0 ? "" : isMet(figure) ? "✓" : "✗";
  const cells = [
    unit === "" ? what : `${what}, ${unit}`,
    ...(["holdfast", "floorA", "floorB", "emulator"] as const).map((name) => cell(figure, name)),
    ...(["floorA", "floorB", "emulator"] as const).map((name) => ratio(figure, name)),
    budgets.map(({ text }) => text).join(", "),
    verdict,
  ];
  return `| ${cells.join(" | ")} |`;
}

function cell({ values, p95 }: Figure, name: SystemName): string {
  const value = values[name];
  if (value === undefined) return "–";
  const slow = p95[name] ?? NaN;
  return Number.isNaN(slow) ? digits(value) : `${digits(value)} (${digits(slow)})`;
}

function ratio({ values }: Figure, name: SystemName): string {
  const own = values.holdfast;
  const other = values[name];
  return own === undefined || other === undefined || other === 0 ? "–" : (own / other).toFixed(2);
}

function digits(value: number): string {
  if (Number.isInteger(value) || value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

export function toJson(figures: readonly Figure[], seconds: number, isQuick: boolean): string {
  const results = figures.map((figure) => {
    const { what, unit, values, p95, budgets, samples } = figure;
    const met = budgets.length === 0 ? null : isMet(figure);
    return { what, unit, values, p95, budgets: budgets.map(({ text }) => text), met, samples };
  });
  const at = new Date().toISOString();
  return `${JSON.stringify({ at, machine: machine(), quick: isQuick, seconds, results, notMeasured }, null, 2)}\n`;
}

function machine(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model.trim() ?? "unknown"}, ${type()} ${release()}, Node ${process.version}`;
}
