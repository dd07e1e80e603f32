import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

/**
 * The pool reads no source maps: lines of stacks are those of what the runtime was given. Yet it sends those of
 * every module to the runtime of each file, letter by letter, which took a sixth of all the time of these tests.
 */
const noMaps = {
  name: "no-maps",
  enforce: "post",
  transform: (code: string) => ({ code, map: { mappings: "" } as const }),
} as const;

/** How long a test waits for what comes in its own time, with `expect.poll`; on a busy machine that is long. */
const patience = { poll: { timeout: 60_000, interval: 20 } } as const;

/**
 * Four projects, by what a test needs: `node` for the floors that are pure, `workers` for the
 * built Worker inside workerd, `outside` for processes as a user starts them and as they are killed,
 * `browser` for the dashboard as a person sees it.
 */
export default defineConfig({
  test: {
    // Most of what runs in workerd waits for alarms: twice as many files as there are cores keep them busy.
    maxWorkers: 4,
    projects: [
      {
        // Modules that define workflows can be loaded where there is no Cloudflare.
        resolve: { alias: { "cloudflare:workers": join(import.meta.dirname, "src/rehearsal/workers.ts") } },
        test: {
          name: "node",
          environment: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["test/workers/**", "test/outside/**", "test/browser/**"],
          // Some only reckon, and have to share the cores with the runtimes of the others.
          testTimeout: 300_000,
          // What is pure keeps nothing from test to test; loading it anew takes longer than most files do.
          isolate: false,
        },
      },
      {
        plugins: [
          noMaps,
          cloudflareTest({
            main: "./test/workers/worker.ts",
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: {
                AUTH: "token",
                API_TOKENS: "read:r-token-123,operate:o-token-123,admin:a-token-123",
                SIGNING_SECRET: "a signing secret for tests only, 32 characters or more",
                PUBLIC_URL: "http://example.com",
                // The test of the log turns it on.
                LOG: "off",
                DAMAGE_SEED: process.env["DAMAGE_SEED"] ?? "",
                DAMAGE_FLIPS: process.env["DAMAGE_FLIPS"] ?? "",
                JOURNAL_LARGEST: process.env["JOURNAL_LARGEST"] ?? "",
                FUZZ_SEED: process.env["FUZZ_SEED"] ?? "",
                FUZZ_CALLS: process.env["FUZZ_CALLS"] ?? "",
                FUZZ_SHOW: process.env["FUZZ_SHOW"] ?? "",
                HOOK_SEED: process.env["HOOK_SEED"] ?? "",
                HOOK_COUNT: process.env["HOOK_COUNT"] ?? "",
                MODEL_SEED: process.env["MODEL_SEED"] ?? "",
                MODEL_COUNT: process.env["MODEL_COUNT"] ?? "",
                POISON_LINES: process.env["POISON_LINES"] ?? "",
                FAULT_SEED: process.env["FAULT_SEED"] ?? "",
                TRANSFER_STEPS: process.env["TRANSFER_STEPS"] ?? "",
                TRANSFER_LARGE: process.env["TRANSFER_LARGE"] ?? "",
                FAULT_COUNT: process.env["FAULT_COUNT"] ?? "",
                FAULT_ONLY: process.env["FAULT_ONLY"] ?? "",
              },
            },
          }),
        ],
        test: {
          name: "workers",
          include: ["test/workers/**/*.test.ts"],
          globalSetup: ["test/workers/httpserver.ts", "test/workers/collector.ts", "test/workers/team.ts"],
          // Loaded before the first test: a busy machine takes so long for it that the limit of a first call passes.
          setupFiles: ["test/workers/worker.ts"],
          testTimeout: 300_000,
          expect: patience,
          // What objects say after the last test has ended would never reach the reporter, which waits for it.
          disableConsoleIntercept: true,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "outside",
          environment: "node",
          include: ["test/outside/**/*.test.ts"],
          // With the browser's, after all that runs in Node and workerd: each file starts processes of its
          // own. They wait for each other most of the time, so two cores carry three.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          expect: patience,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "browser",
          environment: "node",
          include: ["test/browser/**/*.test.ts"],
          globalSetup: ["test/browser/chromium.ts"],
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
          testTimeout: 300_000,
          expect: patience,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
