/** The configuration of Vitest for mutation testing: the tests of the pure floors, with a few cases for each seeded test. */
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** Folders of `test/`. */
const folders = process.env["MUTATION_TESTS"]?.split(",") ?? ["core", "engine", "golden"];

/** Files that try many programs or many years: most mutants are found before they have to run. */
const slow =
  /\/(?:crash|childrencrash|familycrash|contention|requests|race|slots|fork|continue|model|cron|schedule)\.test\.ts$/;

class QuickFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): string => `${slow.test(moduleId) ? 1 : 0} ${moduleId}`;
    return Promise.resolve(files.toSorted((left, right) => (rank(left) < rank(right) ? -1 : 1)));
  }
}

export default defineConfig({
  test: {
    environment: "node",
    // Long, because Stryker limits the time of a mutant.
    testTimeout: 120_000,
    // Tests with the largest values take minutes for each mutant.
    testNamePattern: /^(?!size |.*(?:16 MiB|ten thousand|10,000 items|of 5000 values))/,
    // Mutants are switched on at run time, without reloading modules.
    isolate: false,
    sequence: { sequencer: QuickFirst },
    include: folders.map((folder) => `test/${folder}/**/*.test.ts`),
    env: { CRASH_PROGRAMS: "6", LANE_HISTORIES: "20", RACE_PROGRAMS: "6", RETRIED_PROGRAMS: "20", CRON_ZONES: "3" },
  },
});
