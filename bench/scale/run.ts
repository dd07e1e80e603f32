/**
 * `npm run scale`: counts on real local runtimes what typical runs take (some six minutes), keeps it in counted.json and
 * writes the tables of docs/scale.md. `--print` counts nothing: it writes the tables anew from what is kept. `--quick`
 * counts few and prints the tables without keeping anything.
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
// The runtimes are closed; what their client still holds open is of no use.
process.exit(0);
