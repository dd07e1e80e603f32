/** The seeded suites of the repository, with as many cases as the time allows. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createRandom } from "../../src/core/random.ts";
import { root } from "../outside/program.ts";

export type SuiteFigures = {
  readonly suite: string;
  readonly cases: number;
  readonly seed: number;
  readonly seconds: number;
  readonly passed: boolean;
};

type Suite = {
  readonly name: string;
  readonly project: "node" | "workers" | "outside";
  readonly file: string;
  /** The variables that say how many cases there are, and with which seed they begin. */
  readonly count: string;
  readonly seed: string | null;
  /** How many a slow machine does in a second. */
  readonly perSecond: number;
  /** No more than this, whatever the time. */
  readonly most?: number;
};

const suites: readonly Suite[] = [
  {
    name: "crashes at every entry",
    project: "node",
    file: "test/engine/crash.test.ts",
    count: "CRASH_PROGRAMS",
    seed: "CRASH_SEED",
    perSecond: 120,
  },
  {
    name: "deaths of parents and children",
    project: "node",
    file: "test/engine/kinship.test.ts",
    count: "CRASH_PROGRAMS",
    seed: "CRASH_SEED",
    perSecond: 30,
  },
  {
    name: "lanes against their model",
    project: "node",
    file: "test/core/lane/model.test.ts",
    count: "LANE_HISTORIES",
    seed: "LANE_SEED",
    perSecond: 60,
  },
  {
    name: "deliveries of webhooks against their model",
    project: "node",
    file: "test/engine/deliveries.test.ts",
    count: "HOOK_COUNT",
    seed: "HOOK_SEED",
    perSecond: 80,
  },
  {
    name: "commits with bytes changed",
    project: "node",
    file: "test/core/commit.test.ts",
    count: "COMMIT_FLIPS",
    seed: "COMMIT_SEED",
    perSecond: 4000,
  },
  {
    name: "rows with bytes changed, sealed and plain",
    project: "workers",
    file: "test/workers/damage.test.ts",
    count: "DAMAGE_FLIPS",
    seed: "DAMAGE_SEED",
    perSecond: 200,
  },
];

/** @param budgetMs shared out evenly among the suites @returns what became of each */
export async function runSuites(seed: string, budgetMs: number, say: (line: string) => void): Promise<SuiteFigures[]> {
  const random = createRandom(`${seed}/suites`);
  const figures: SuiteFigures[] = [];
  const seconds = budgetMs / 1000 / suites.length;
  for (const suite of suites) {
    const cases = Math.min(suite.most ?? Infinity, Math.max(1, Math.round(seconds * suite.perSecond)));
    figures.push(await run(suite, cases, 1 + Math.floor(random.next() * 1_000_000), say));
  }
  return figures;
}

async function run(suite: Suite, cases: number, seed: number, say: (line: string) => void): Promise<SuiteFigures> {
  say(`${suite.name}: ${cases} cases from seed ${seed}`);
  const beganAt = Date.now();
  const env = { [suite.count]: String(cases), ...(suite.seed === null ? {} : { [suite.seed]: String(seed) }) };
  const passed = await vitest(suite, env);
  const seconds = Math.round((Date.now() - beganAt) / 1000);
  return { suite: suite.name, cases, seed, seconds, passed };
}

/** Shows what it prints only where it failed. */
async function vitest({ project, file }: Suite, env: Readonly<Record<string, string>>): Promise<boolean> {
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const options = ["run", "--project", project, file, "--maxWorkers", "1", "--testTimeout", "3600000"];
  const child = spawn(process.execPath, [vitest, ...options], { cwd: root, env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += part.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) console.error(output.slice(-6000));
  return code === 0;
}
