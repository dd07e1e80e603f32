/** Owns: what each figure may be, and whether it is. */
import { mapSamples, median, quantile } from "./sample.ts";
import type { Samples, SystemName } from "./sample.ts";

export type Values = Readonly<Partial<Record<SystemName, number>>>;

export type Budget = {
  readonly text: string;
  readonly met: (values: Values) => boolean;
};

export type Figure = {
  readonly what: string;
  readonly unit: string;
  readonly values: Values;
  /** The slow end, beside a median. */
  readonly p95: Values;
  readonly budgets: readonly Budget[];
  readonly samples: Samples;
};

export const labels: Readonly<Record<SystemName, string>> = {
  holdfast: "holdfast",
  floorA: "floor a",
  floorB: "floor b",
  emulator: "emulator",
  hosted: "hosted",
};

export function figure(
  what: string,
  unit: string,
  samples: Samples,
  budgets: readonly Budget[] = [],
  share = 0.5,
): Figure {
  const values = collect(samples, (each) => quantile(each, share));
  const p95 = share === 0.5 ? collect(samples, (each) => (each.length < 20 ? NaN : quantile(each, 0.95))) : {};
  return { what, unit, values, p95, budgets, samples };
}

/** At most so many times another system's. */
export function atMost(factor: number, system: SystemName): Budget {
  return {
    text: `≤ ${nice(factor)} × ${labels[system]}`,
    met: (values) => (values.holdfast ?? NaN) <= factor * (values[system] ?? NaN),
  };
}

/** At least so many times another system's. */
export function atLeast(factor: number, system: SystemName): Budget {
  return {
    text: `≥ ${nice(factor)} × ${labels[system]}`,
    met: (values) => (values.holdfast ?? NaN) >= factor * (values[system] ?? NaN),
  };
}

export function limit(value: number, unit: string): Budget {
  return { text: `≤ ${value} ${unit}`.trim(), met: ({ holdfast = NaN }) => holdfast <= value };
}

export function isMet({ budgets, values }: Figure): boolean {
  return budgets.every(({ met }) => met(values));
}

export type Verdict = { readonly met: number; readonly missed: readonly Missed[] };
type Missed = { readonly what: string; readonly budget: string };

/** Each budget by itself: a figure may have several. */
export function judge(figures: readonly Figure[]): Verdict {
  const all = figures.flatMap(({ what, values, budgets }) =>
    budgets.map(({ text, met }) => ({ what, budget: text, isMet: met(values) })),
  );
  const missed = all.filter((each) => !each.isMet).map(({ what, budget }) => ({ what, budget }));
  return { met: all.length - missed.length, missed };
}

/** Milliseconds a step, from runs of `count` steps and runs of one. */
export function perStep(long: Samples, short: Samples, count: number): Samples {
  return mapSamples(long, (samples, name) => {
    const startMs = median(short[name] ?? []);
    return samples.map((ms) => (ms - startMs) / (count - 1));
  });
}

function collect(samples: Samples, choose: (samples: readonly number[]) => number): Values {
  return Object.fromEntries(Object.entries(samples).map(([name, each]) => [name, choose(each)]));
}

function nice(factor: number): string {
  return factor === 1 / 8 ? "1/8" : String(factor);
}
