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
  readonly most: number;
  /** Fewer than these would not show anything. */
  readonly least?: number;
};

const node = of("node", "test");
const inWorkerd = of("workers", "test/workers");
const outside = of("outside", "test/outside");

const suites: readonly Suite[] = [
  node("crashes at every entry", "engine/crash", "CRASH_PROGRAMS", "CRASH_SEED", 45),
  node("deaths of parents and children", "engine/childrencrash", "CRASH_PROGRAMS", "CRASH_SEED", 15),
  node("deaths of whole families", "engine/familycrash", "CRASH_PROGRAMS", "CRASH_SEED", 30),
  node("deaths of runs that share lanes", "engine/contention", "CRASH_PROGRAMS", "CRASH_SEED", 30),
  node("queries and updates over deaths", "engine/requests", "CRASH_PROGRAMS", "CRASH_SEED", 15),
  node("runs that a retry has go another way", "engine/retried", "RETRIED_PROGRAMS", "RETRIED_SEED", 40),
  node("lanes against their model", "core/lane/model", "LANE_HISTORIES", "LANE_SEED", 25),
  node("cron in every kind of zone", "core/cron", "CRON_ZONES", null, 1, 13),
  node("the engine against its model", "model/model", "MODEL_COUNT", "MODEL_SEED", 30),
  node("deliveries of webhooks against their model", "engine/deliveries", "HOOK_COUNT", "HOOK_SEED", 60),
  node("bytes of commits changed", "core/commit", "COMMIT_FLIPS", "COMMIT_SEED", 1000),
  node("imported texts changed", "core/tampered", "TAMPERED_COUNT", "TAMPERED_SEED", 100),
  inWorkerd("bytes of journals changed", "damage", "DAMAGE_FLIPS", "DAMAGE_SEED", 50),
  inWorkerd("deaths at every operation", "faults/awaits", "FAULT_COUNT", "FAULT_SEED", 1),
  inWorkerd("calls that fail at every operation", "faults/calls", "FAULT_COUNT", "FAULT_SEED", 1),
  inWorkerd("storage that fails at every operation", "faults/storage", "FAULT_COUNT", "FAULT_SEED", 1),
  { ...inWorkerd("the API fuzzed", "fuzz/fuzz", "FUZZ_CALLS", "FUZZ_SEED", 20), least: 400 },
  inWorkerd("log lines and progress", "poison", "POISON_LINES", null, 200, 100_000),
  outside("a deployment under runs", "deploy", "DEPLOY_RUNS", null, 4, 500),
  outside("signals to one run", "poison", "POISON_SIGNALS", null, 60, 100_000),
  outside("steps in one run", "poison", "POISON_STEPS", null, 100, 10_000),
];

/** Makes suites of the files below the folder. */
function of(project: Suite["project"], folder: string) {
  return (
    name: string,
    file: string,
    count: string,
    seed: string | null,
    perSecond: number,
    most = Infinity,
  ): Suite => {
    return { name, project, file: `${folder}/${file}.test.ts`, count, seed, perSecond, most };
  };
}

/** What a suite takes to begin, and to show something. */
const shortestMs = 20_000;

/**
 * @param budgetMs shared out evenly among the suites; where that is too little for all of them, among as many as it
 * suffices for, drawn by the seed
 * @returns what became of each
 */
export async function runSuites(seed: string, budgetMs: number, say: (line: string) => void): Promise<SuiteFigures[]> {
  const random = createRandom(`${seed}/suites`);
  const drawn = suites.map((suite) => ({ suite, lot: random.next() })).toSorted((one, other) => one.lot - other.lot);
  const chosen = drawn.slice(0, Math.max(1, Math.floor(budgetMs / shortestMs))).map(({ suite }) => suite);
  const figures: SuiteFigures[] = [];
  const seconds = budgetMs / 1000 / chosen.length;
  for (const suite of chosen) {
    // Where whoever calls says how many cases there are to be, it is that.
    const asked = process.env[suite.count];
    const share = Math.max(suite.least ?? 10, Math.round((seconds * suite.perSecond) / 10) * 10);
    const cases = asked === undefined ? Math.min(suite.most, share) : Number(asked);
    figures.push(await run(suite, cases, 1 + Math.floor(random.next() * 1_000_000), say));
  }
  return figures;
}

async function run(suite: Suite, cases: number, seed: number, say: (line: string) => void): Promise<SuiteFigures> {
  say(`${suite.name}: ${cases} cases${suite.seed === null ? "" : ` from seed ${seed}`}`);
  const beganAt = Date.now();
  const env = { [suite.count]: String(cases), ...(suite.seed === null ? {} : { [suite.seed]: String(seed) }) };
  const passed = await vitest(suite, env);
  const seconds = Math.round((Date.now() - beganAt) / 1000);
  if (!passed)
    say(
      `FAILED: ${Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .join(" ")} npx vitest run ${suite.file}`,
    );
  return { suite: suite.name, cases, seed, seconds, passed };
}

/** Shows what it prints only where it failed. */
async function vitest({ project, file }: Suite, env: Readonly<Record<string, string>>): Promise<boolean> {
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const options = ["run", "--project", project, file, "--maxWorkers", "1", "--testTimeout", "3600000"];
  const child = spawn(process.execPath, [vitest, ...options], { cwd: root, env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += part.toString()));
  const end = (): void => void child.kill();
  process.once("exit", end);
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  process.off("exit", end);
  if (code !== 0) console.error(output.slice(-6000));
  return code === 0;
}
