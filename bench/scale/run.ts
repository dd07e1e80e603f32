/**
 * `npm run scale`: counts the usage of typical runs on real local runtimes (about six minutes), stores it in counted.json and
 * writes the tables of docs/scale.md. `--print` only writes the tables again from the stored counts. `--quick` counts few runs
 * and prints the tables without storing anything.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { count } from "./count.ts";
import type { Figures } from "./figures.ts";
import { fill, tables } from "./table.ts";

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, print: { type: "boolean", default: false } },
});
const kept = join(import.meta.dirname, "counted.json");
const document = join(import.meta.dirname, "..", "..", "docs", "scale.md");
const before = performance.now();
const say = (what: string): void => {
  const seconds = (performance.now() - before) / 1000;
  console.error(`${seconds.toFixed(0).padStart(4)} s  ${what}`);
};

const figures = values.print
  ? (JSON.parse(readFileSync(kept, "utf8")) as Figures)
  : await count({ isQuick: values.quick, say });
if (!values.quick) {
  if (!values.print) writeFileSync(kept, `${JSON.stringify(figures, null, 2)}\n`);
  writeFileSync(document, fill(readFileSync(document, "utf8"), figures));
}
for (const [name, table] of Object.entries(tables(figures))) console.log(`## ${name}\n\n${table}\n`);
// The runtimes are closed, but their client may have open handles.
process.exit(0);
