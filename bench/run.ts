/**
 * `npm run bench`: measures Holdfast beside the floor and the hosted product's local emulator, and
 * prints the budgets with what was found; `--deployed URL` measures a deployment instead. README.md
 * describes what is measured, and how.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { measureDeployed } from "./deployed.ts";
import { paceOf } from "./comparison.ts";
import { caveatsHere, caveatsThere } from "./caveat.ts";
import { UsageError, readOptions, usage } from "./option.ts";
import type { Options } from "./option.ts";
import { measure } from "./plan.ts";
import { KnockError } from "./remote.ts";
import { toJson, toMarkdown } from "./report.ts";
import type { Report } from "./report.ts";

const before = performance.now();

function elapsed(): number {
  return (performance.now() - before) / 1000;
}

async function bench({ isQuick, deployed }: Options): Promise<Report> {
  // The table alone goes to the standard output, so that it can be piped into a file.
  const say = (what: string): void => console.error(`${elapsed().toFixed(0).padStart(4)} s  ${what}`);
  const plan = { isQuick, isDeployed: deployed !== null, pace: paceOf(isQuick), say };
  if (deployed === null) {
    const figures = await measure(plan);
    return { title: "Holdfast bench", figures, seconds: elapsed(), isQuick, notMeasured: caveatsHere };
  }
  const token = process.env["BENCH_TOKEN"] || undefined;
  const figures = await measureDeployed({ url: deployed, token }, plan);
  return {
    title: `Holdfast bench of ${deployed.origin}`,
    figures,
    seconds: elapsed(),
    isQuick,
    notMeasured: caveatsThere,
  };
}

try {
  const options = readOptions(process.argv.slice(2));
  const name = `${new Date().toISOString().replaceAll(":", "-")}.json`;
  const file = options.json ?? join(import.meta.dirname, "results", name);
  const report = await bench(options);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, toJson(report));
  console.log(toMarkdown(report));
  console.error(`\nAll samples: ${file}`);
  // The runtimes are closed; what their client still holds open is of no use.
  process.exit(0);
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${usage}`);
  else if (error instanceof KnockError) console.error(error.message);
  else throw error;
  process.exit(2);
}
