/** What is kept of a measurement, and what is said of it. */

/** `hosted` is the hosted product itself, beside a real deployment; here its emulator stands in for it. */
export const systemNames = ["holdfast", "floorA", "floorB", "emulator", "hosted"] as const;
export type SystemName = (typeof systemNames)[number];

/** Samples of each system that was asked; a missing one could not do it, or was not asked. */
export type Samples = Readonly<Partial<Record<SystemName, readonly number[]>>>;

/** The sample that this share of all samples does not exceed: 0.5 is the median. NaN of none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))] ?? NaN;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** The mean of all samples but this share of them at either end. NaN of none. */
export function trimmedMean(samples: readonly number[], share: number): number {
  const cut = Math.floor(samples.length * share);
  const kept = samples.toSorted((one, other) => one - other).slice(cut, samples.length - cut);
  return kept.reduce((sum, each) => sum + each, 0) / kept.length;
}

/** One of several figures that each round answered together: every `of`-th sample, from `index` on. */
export function part(samples: Samples, index: number, of: number): Samples {
  return mapSamples(samples, (each) => each.filter((_, at) => at % of === index));
}

export function mapSamples(samples: Samples, change: (each: readonly number[], name: SystemName) => number[]): Samples {
  return Object.fromEntries(Object.entries(samples).map(([name, each]) => [name, change(each, name as SystemName)]));
}
