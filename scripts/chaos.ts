/**
 * `npm run chaos -- --minutes N --seed S`: kills, deployments and jumps of the clock for so long, reproducible by
 * the seed; see docs/reliability.md. Ends with 1 when a guarantee was broken.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Storm } from "../test/chaos/storm.ts";
import { runSuites } from "../test/chaos/suite.ts";
import type { SuiteFigures } from "../test/chaos/suite.ts";

const usage = `npm run chaos -- [--minutes N] [--seed S] [--kills K --runs R] [--only storm|suites] [--json FILE]
  --minutes  how long it takes in all; 5 unless given
  --seed     repeats the plan of a run of this; drawn and printed unless given
  --kills, --runs  goes on with kills until there were so many, however long it takes
  --only     the storm of kills alone, or the seeded suites alone
  --json     where to write the figures, and of each violation what is known of it`;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: randomBytes(4).toString("hex") },
    kills: { type: "string" },
    runs: { type: "string" },
    only: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const minutes = count("minutes", values.minutes);
const bounded = values.kills !== undefined || values.runs !== undefined;
if (values.help) {
  console.log(usage);
  process.exit(0);
}

function count(name: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  console.error(`--${name} is a number above 0, not "${text}"\n${usage}`);
  process.exit(2);
}

function say(line: string): void {
  console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
}

/** Runs for the first half of the time, or until there were enough kills. */
async function storm(): Promise<Awaited<ReturnType<Storm["rage"]>>> {
  const share = values.only === "storm" ? 0.85 : 0.45;
  const goal = bounded
    ? { kills: count("kills", values.kills ?? "1"), runs: count("runs", values.runs ?? "1"), until: Infinity }
    : { kills: Infinity, runs: Infinity, until: Date.now() + minutes * share * 60_000 };
  const opened = await Storm.open(values.seed, say);
  try {
    return await opened.rage(goal);
  } finally {
    await opened.close();
  }
}

// On a signal, exit normally, so that the processes that it started end too.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
say(`seed ${values.seed}: npm run chaos -- --minutes ${minutes} --seed ${values.seed} repeats the plan`);
const endsAt = Date.now() + minutes * 60_000;
const stormed = values.only === "suites" ? null : await storm();
if (stormed !== null) console.table(stormed.figures);
const suites: readonly SuiteFigures[] =
  values.only === "storm" ? [] : await runSuites(values.seed, Math.max(60_000, endsAt - Date.now()), say);
if (suites.length > 0) console.table(suites);
const violations = stormed?.violations ?? [];
const broken = violations.length + suites.filter(({ passed }) => !passed).length;
if (values.json !== undefined) {
  const figures = { seed: values.seed, minutes, storm: stormed?.figures ?? null, suites, violations };
  writeFileSync(values.json, JSON.stringify(figures, null, 2));
}
say(`violations: ${broken}`);
if (broken > 0) {
  for (const { run, what } of violations) console.error(`${run}: ${what}`);
  const wanted = bounded ? `--kills ${values.kills ?? 1} --runs ${values.runs ?? 1}` : `--minutes ${minutes}`;
  console.error(`again: npm run chaos -- ${wanted} --seed ${values.seed} --json ${join("chaos.json")}`);
}
process.exit(broken > 0 ? 1 : 0);
