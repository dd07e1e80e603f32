/** Owns: inserting the tables into docs/scale.md. Pure. */
import { costTables } from "./costs.ts";
import type { Figures } from "./figures.ts";
import { spreadTables } from "./spread.ts";

/** Name → the Markdown between its two marks in docs/scale.md. */
export function tables(figures: Figures): Readonly<Record<string, string>> {
  return { source: sourceOf(figures), ...costTables(figures), ...spreadTables(figures) };
}

/** The document with all tables inserted. @throws if a mark is missing */
export function fill(document: string, figures: Figures): string {
  return Object.entries(tables(figures)).reduce((text, [name, table]) => {
    const [open, close] = [`<!-- scale:${name} -->`, `<!-- /scale:${name} -->`];
    const [from, to] = [text.indexOf(open), text.indexOf(close)];
    if (from < 0 || to < from) throw new Error(`docs/scale.md has no place for the table "${name}"`);
    return `${text.slice(0, from + open.length)}\n${table}\n${text.slice(to)}`;
  }, document);
}

function sourceOf({ at, command, machine }: Figures): string {
  return `Counted on ${at.slice(0, 10)} by \`${command}\` (${machine}); kept in [bench/scale/counted.json](../bench/scale/counted.json).`;
}
