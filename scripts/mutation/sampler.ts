/**
 * A Stryker plugin that samples mutants: a seeded share of all, each with the same probability. Stryker has no status for a
 * mutant that was left out, so they are reported as compile errors, which do not affect the score.
 */
import { createHash } from "node:crypto";

type Mutant = {
  readonly id: string;
  readonly fileName: string;
  readonly mutatorName: string;
  readonly replacement: string;
  readonly location: unknown;
};

const share = Number(process.env["MUTATION_SHARE"] ?? 1);
const seed = process.env["MUTATION_SEED"] ?? "1";

class Sampler {
  async init(): Promise<void> {}

  group(mutants: readonly Mutant[]): Promise<string[][]> {
    return Promise.resolve([mutants.map(({ id }) => id)]);
  }

  check(mutants: readonly Mutant[]): Promise<Record<string, object>> {
    const verdict = (mutant: Mutant) =>
      isChosen(mutant) ? { status: "passed" } : { status: "compileError", reason: "Not in the sample." };
    return Promise.resolve(Object.fromEntries(mutants.map((mutant) => [mutant.id, verdict(mutant)])));
  }
}

/** Depends on the mutant and not on the order, so that the same seed gives the same sample. */
function isChosen({ fileName, mutatorName, replacement, location }: Mutant): boolean {
  // Stryker works in a folder with a new name each time.
  const file = fileName.slice(fileName.lastIndexOf("/src/"));
  const what = JSON.stringify([seed, file, mutatorName, replacement, location]);
  return createHash("sha256").update(what).digest().readUInt32BE(0) < share * 2 ** 32;
}

export const strykerPlugins = [{ kind: "Checker", name: "sampler", injectableClass: Sampler }];
