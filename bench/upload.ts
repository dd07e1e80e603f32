/** Owns: the script as it is uploaded: its size, and how soon it is ready. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { figure } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { bundle } from "./bundle.ts";
import type { Bundle } from "./bundle.ts";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { startMs } from "./startup.ts";
import type { Effort } from "./system.ts";

export async function measureUpload(effort: Effort): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "bench-upload-"));
  try {
    const made = await Promise.all(["holdfast", "floor", "hono", "empty"].map((config) => bundle(config, folder)));
    const [holdfast, floor, hono, empty] = made as [Bundle, Bundle, Bundle, Bundle];
    const started = await readyMs({ holdfast, floorA: floor }, empty, effort);
    const size = (what: string, unit: "kib" | "gzipKib"): Figure =>
      figure(`bundle, ${what} (Hono alone: ${hono[unit].toFixed(1)})`, "KiB", {
        holdfast: [holdfast[unit]],
        floorA: [floor[unit]],
      });
    return [
      figure("start-up of the Worker, less an empty one's", "ms", started),
      size("minified", "kib"),
      size("minified and gzipped", "gzipKib"),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Bundles = { readonly holdfast: Bundle; readonly floorA: Bundle };

/** In turn, as everything that is timed; the median of the empty Worker is subtracted. */
async function readyMs({ holdfast, floorA }: Bundles, empty: Bundle, { rounds, withinMs }: Effort): Promise<Samples> {
  const took: Record<"holdfast" | "floorA" | "empty", number[]> = { holdfast: [], floorA: [], empty: [] };
  const before = performance.now();
  for (let round = 0; round < rounds && performance.now() - before < withinMs; round++) {
    took.holdfast.push(await startMs(holdfast.file));
    took.floorA.push(await startMs(floorA.file));
    took.empty.push(await startMs(empty.file));
  }
  const least = median(took.empty);
  const less = (samples: readonly number[]): number[] => samples.map((ms) => ms - least);
  return { holdfast: less(took.holdfast), floorA: less(took.floorA) };
}
