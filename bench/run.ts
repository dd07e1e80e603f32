/**
 * `npm run bench`: measures Holdfast beside the floor and the hosted product's local emulator, and
 * prints the budgets with what was found. `--quick` takes few samples, `--json FILE` says where the
 * figures go. README.md describes what is measured, and how.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { measure } from "./plan.ts";
import { toJson, toMarkdown } from "./report.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
});
const file =
  values.json ?? join(import.meta.dirname, "results", `${new Date().toISOString().replaceAll(":", "-")}.json`);
const before = performance.now();
// The table alone goes to the standard output, so that it can be piped into a file.
const say = (what: string) => console.error(`${elapsed().toFixed(0).padStart(4)} s  ${what}`);
const figures = await measure({ isQuick: values.quick, say });
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, toJson(figures, elapsed(), values.quick));
console.log(toMarkdown(figures, elapsed(), values.quick));
console.error(`\nAll samples: ${file}`);
// The runtimes are closed; what their client still holds open is of no use.
process.exit(0);

function elapsed(): number {
  return (performance.now() - before) / 1000;
}
