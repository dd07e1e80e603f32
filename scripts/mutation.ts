/**
 * Mutation testing of the pure floors with Stryker: `npm run mutation -- [--share 0.1] [--seed 1] [file …]`.
 * Each mutant is a small change to `src/core` or `src/engine` that some test must notice. The mutants of
 * `src/core` meet its own tests first, which are quick, and only those that are left the tests of the engine.
 */
import { Stryker } from "@stryker-mutator/core";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    share: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    workers: { type: "string", default: "2" },
  },
});
process.env["MUTATION_SHARE"] = values.share;
process.env["MUTATION_SEED"] = values.seed;

const reports = "test-results/mutation";

/** @param tests folders of `test/` */
async function mutate(name: string, files: readonly string[], tests: readonly string[]) {
  process.env["MUTATION_TESTS"] = tests.join(",");
  const stryker = new Stryker({
    mutate: [...files],
    testRunner: "vitest",
    plugins: ["@stryker-mutator/vitest-runner", "./scripts/mutation/sampler.ts"],
    checkers: ["sampler"],
    coverageAnalysis: "perTest",
    // Constants of a module are evaluated once, before any test.
    ignoreStatic: true,
    concurrency: Number(values.workers),
    // Generous, because on a busy machine a mutant that times out counts as noticed.
    timeoutMS: 40_000,
    dryRunTimeoutMinutes: 30,
    incremental: true,
    incrementalFile: `${reports}/${name}-${values.share}-${values.seed}.json`,
    reporters: ["progress-append-only", "json"],
    jsonReporter: { fileName: `${reports}/${name}.json` },
    tempDirName: `${reports}/sandbox`,
    // Stryker would rewrite it with an API that TypeScript 7 does not have. No test reads it.
    tsconfigFile: "none",
    // Options of the runner, which are not in the types of Stryker's core.
    ...{ vitest: { configFile: "scripts/mutation/vitest.config.ts", related: false } },
  });
  return await stryker.runMutationTest();
}

type Result = Awaited<ReturnType<typeof mutate>>[number];

const statuses = ["Killed", "Timeout", "Survived", "NoCoverage", "RuntimeError", "Ignored"] as const;

/** Prints how many of the tried mutants were noticed. */
function report(name: string, results: readonly Result[]): void {
  const count = (status: string): number => results.filter((each) => each.status === status).length;
  const noticed = count("Killed") + count("Timeout");
  const tried = noticed + count("Survived") + count("NoCoverage");
  const counts = statuses.map((status) => `${status} ${count(status)}`).join(", ");
  console.log(`${name}: ${((100 * noticed) / tried).toFixed(1)} % of ${tried} (${counts})`);
  for (const { status, fileName, location, mutatorName, replacement } of results) {
    if (status !== "Survived" && status !== "NoCoverage") continue;
    const { line, column } = location.start;
    console.log(
      `  ${status} ${fileName.slice(fileName.indexOf("src/"))}:${line + 1}:${column + 1} ${mutatorName} → ${(replacement ?? "").replaceAll(/\s+/g, " ").slice(0, 100)}`,
    );
  }
}

const everything = ["src/core/**/*.ts", "src/engine/**/*.ts"];
const chosen = positionals.length === 0 ? everything : positionals;
const core = chosen.filter((file) => file.startsWith("src/core/"));
const engine = chosen.filter((file) => file.startsWith("src/engine/"));

if (core.length > 0) {
  await mutate("core", core, ["core"]);
  report("src/core", await mutate("core", core, ["core", "engine", "golden"]));
}
if (engine.length > 0) report("src/engine", await mutate("engine", engine, ["engine", "golden"]));
