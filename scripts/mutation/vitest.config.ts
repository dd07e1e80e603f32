/** The configuration of Vitest with which mutants are tried: the tests of the pure floors, each seeded one with a few cases. */
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** Folders of `test/`. */
const folders = process.env["MUTATION_TESTS"]?.split(",") ?? ["core", "engine", "golden"];

/** Files that try many programs or many years: most mutants are found before they have to run. */
const slow = /\/(?:crash|childrencrash|requests|race|slots|fork|continue|model|cron|schedule)\.test\.ts$/;

class QuickFirst extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): string => `${slow.test(moduleId) ? 1 : 0} ${moduleId}`;
    return Promise.resolve(files.toSorted((left, right) => (rank(left) < rank(right) ? -1 : 1)));
  }
}

export default defineConfig({
  test: {
    environment: "node",
    // How long a mutant may take is Stryker's to judge.
    testTimeout: 120_000,
    // Counted byte by byte and mutant by mutant, values of the largest size take minutes.
    testNamePattern: /^(?!size |.*(?:16 MiB|ten thousand|10,000 items|of 5000 values))/,
    // A mutant is switched on while the modules stay as they are.
    isolate: false,
    sequence: { sequencer: QuickFirst },
    include: folders.map((folder) => `test/${folder}/**/*.test.ts`),
    env: { CRASH_PROGRAMS: "6", LANE_HISTORIES: "20", RACE_PROGRAMS: "6", RETRIED_PROGRAMS: "20", CRON_ZONES: "3" },
  },
});
