/** Owns: how figures are shown: a table in Markdown, and all of it as JSON. */
import { cpus, release, type } from "node:os";
import { isMet, judge, labels } from "./budget.ts";
import type { Figure, Verdict } from "./budget.ts";
import { systemNames } from "./sample.ts";
import type { SystemName } from "./sample.ts";

/** What was measured, and what one has to know to read it. */
export type Report = {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly seconds: number;
  readonly isQuick: boolean;
  readonly notMeasured: readonly string[];
};

export function toMarkdown({ title, figures, seconds, isQuick, notMeasured }: Report): string {
  const names = systemNames.filter((name) => figures.some(({ values }) => values[name] !== undefined));
  const others = names.filter((name) => name !== "holdfast");
  const head = [
    "what",
    ...names.map((name) => labels[name]),
    ...others.map((name) => `× ${labels[name]}`),
    "budget",
    "",
  ];
  const lines = [
    `# ${title}`,
    "",
    `${machine()}; ${seconds.toFixed(0)} s${isQuick ? "; --quick: few samples, read as a smoke test" : ""}.`,
    "Medians, in brackets the 95th percentile; × is holdfast by the other.",
    "",
    line(head),
    line(head.map(() => "---")),
    ...figures.map((figure) => row(figure, names, others)),
    "",
    ...verdictLines(judge(figures)),
    "",
    "Not measured:",
    "",
    ...notMeasured.map((each) => `- ${each}`),
  ];
  return lines.join("\n");
}

function row(figure: Figure, names: readonly SystemName[], others: readonly SystemName[]): string {
  const { what, unit, budgets } = figure;
  const verdict = budgets.length === 0 ? "" : isMet(figure) ? "✓" : "✗";
  return line([
    unit === "" ? what : `${what}, ${unit}`,
    ...names.map((name) => cell(figure, name)),
    ...others.map((name) => ratio(figure, name)),
    budgets.map(({ text }) => text).join(", "),
    verdict,
  ]);
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function verdictLines({ met, missed }: Verdict): string[] {
  const count = met + missed.length;
  if (missed.length === 0) return [`All ${count} budgets are met.`];
  const list = missed.map(({ what, budget }) => `- ${what}: ${budget}`);
  return [`Of ${count} budgets ${met} are met and ${missed.length} missed:`, "", ...list];
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

export function toJson({ title, figures, seconds, isQuick, notMeasured }: Report): string {
  const results = figures.map((figure) => {
    const { what, unit, values, p95, budgets, samples } = figure;
    const met = budgets.length === 0 ? null : isMet(figure);
    return { what, unit, values, p95, budgets: budgets.map(({ text }) => text), met, samples };
  });
  const at = new Date().toISOString();
  const budgets = judge(figures);
  const report = { title, at, machine: machine(), quick: isQuick, seconds, budgets, results, notMeasured };
  return `${JSON.stringify(report, null, 2)}\n`;
}

function machine(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model.trim() ?? "unknown"}, ${type()} ${release()}, Node ${process.version}`;
}
