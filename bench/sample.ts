/** What is kept of a measurement, and what is said of it. */

export type SystemName = "holdfast" | "floorA" | "floorB" | "emulator";

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
