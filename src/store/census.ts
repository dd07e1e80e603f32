/**
 * The counts of one shard of the directory: runs in groups, failures by cause. Both read all rows that match the filter;
 * causes also read their errors: some 0.1 and 0.5 seconds for 100,000 rows.
 */
import { Causes } from "../core/listing/cause.ts";
import type { Cause, GroupField, RunFilter } from "../core/service/directory.ts";
import { codeColumn, conditionOf, labelsColumn } from "./condition.ts";
import type { Condition } from "./condition.ts";
import { errorOf } from "./row.ts";
import { isOf, causeColumns } from "./cause.ts";
import type { Source, CauseRow } from "./cause.ts";

/** `key` in the order of the fields; null where a run has none. */
type Group = { readonly key: readonly (string | null)[]; readonly count: number };

/** `total` counts all runs that match. */
export type Groups = { readonly total: number; readonly groups: readonly Group[] };

/** How many groups one shard returns; the largest first. */
const maxGroups = 5000;
/** How many causes one shard counts, and how many of them it returns. */
const maxCauses = 10_000;
const toldCauses = 1000;

/** Characters of a group's key; labels are never longer, and codes hardly ever. */
const maxKey = 1024;

type FailedRow = CauseRow & { readonly at: number | null };

type GroupRow = Record<string, string | number | null>;

/** How many runs match, without those of the workflow `except`. */
export function countRuns(source: Source, filter: RunFilter, except: string): number {
  const { where, values } = conditionOf(filter, null);
  const fitting = { where: `${where} AND workflow <> ?`, values: [...values, except] };
  return count(source, fitting, filter.cause);
}

function count({ sql, vault }: Source, { where, values }: Condition, cause?: string): number {
  if (cause === undefined)
    return sql.exec<{ total: number }>(`SELECT count(*) AS total FROM runs WHERE ${where}`, ...values).one().total;
  let sum = 0;
  const rows = sql.exec<CauseRow>(`SELECT ${causeColumns} FROM runs WHERE ${where}`, ...values);
  for (const row of rows) if (isOf(vault, cause, row)) sum++;
  return sum;
}

export function countGroups(source: Source, filter: RunFilter, groupBy: readonly GroupField[]): Groups {
  const condition = conditionOf(filter, null);
  const { cause } = filter;
  if (groupBy.length === 0) return { total: count(source, condition, cause), groups: [] };
  const columns = groupBy.map(columnOf);
  if (cause !== undefined) return groupsOf(source, condition, cause, columns);
  const { where, values } = condition;
  const total = count(source, condition);
  const names = columns.map((_, index) => `key${index}`);
  const rows = source.sql.exec<GroupRow>(
    `SELECT ${selected(columns)}, count(*) AS count
     FROM runs WHERE ${where} GROUP BY ${names.join(", ")} ORDER BY count DESC, ${names.join(", ")} LIMIT ?`,
    ...columns.flatMap(({ given }) => given),
    ...values,
    maxGroups,
  );
  return { total, groups: Array.from(rows, (row) => ({ key: keyOf(columns, row), count: Number(row["count"]) })) };
}

function groupsOf(
  { sql, vault }: Source,
  { where, values }: Condition,
  cause: string,
  columns: readonly Column[],
): Groups {
  const counts = new Map<string, { readonly key: Group["key"]; count: number }>();
  let total = 0;
  const rows = sql.exec<GroupRow & CauseRow>(
    `SELECT ${selected(columns)}, ${causeColumns} FROM runs WHERE ${where}`,
    ...columns.flatMap(({ given }) => given),
    ...values,
  );
  for (const row of rows) {
    if (!isOf(vault, cause, row)) continue;
    total++;
    const key = keyOf(columns, row);
    const name = JSON.stringify(key);
    const known = counts.get(name) ?? { key, count: 0 };
    known.count++;
    counts.set(name, known);
  }
  const groups = [...counts.values()].toSorted((one, other) => other.count - one.count);
  return { total, groups: groups.slice(0, maxGroups) };
}

function selected(columns: readonly Column[]): string {
  return columns.map(({ select }, index) => `${select} AS key${index}`).join(", ");
}

function keyOf(columns: readonly Column[], row: GroupRow): Group["key"] {
  return columns.map(({ read }, index) => {
    const text = row[`key${index}`];
    return typeof text === "string" ? read(text).slice(0, maxKey) : null;
  });
}

export function listCauses({ sql, vault }: Source, filter: RunFilter): Cause[] {
  const { where, values } = conditionOf(filter, null);
  const rows = sql.exec<FailedRow>(
    `SELECT ${causeColumns}, iif(json_valid(rest), rest ->> '$.finishedAt', NULL) AS at FROM runs
     WHERE ${where} AND status = 'failed'`,
    ...values,
  );
  const causes = new Causes(maxCauses);
  for (const row of rows) {
    if (!isOf(vault, filter.cause, row)) continue;
    const { id, workflow, error, at } = row;
    causes.add({ run: id, workflow, error: errorOf(vault, error, row) ?? { message: "" }, at: at ?? 0 });
  }
  return causes.top(toldCauses);
}

type Column = {
  readonly select: string;
  readonly given: readonly string[];
  /** Reads the column's text. */
  readonly read: (text: string) => string;
};

function columnOf(field: GroupField): Column {
  switch (field) {
    case "workflow":
    case "status":
      return { select: field, given: [], read: (text) => text };
    case "errorCode":
      return { select: codeColumn, given: [], read: (text) => JSON.parse(text) as string };
    default: {
      // A label is stored as the JSON text of its key and value.
      const begins = `[${JSON.stringify(field.slice("label.".length))},`;
      const select = `(SELECT value FROM json_each(${labelsColumn}) WHERE substr(value, 1, length(?)) = ? ORDER BY key LIMIT 1)`;
      return { select, given: [begins, begins], read: (text) => (JSON.parse(text) as [string, string])[1] };
    }
  }
}
