/**
 * What one shard of the directory counts: runs in groups, failures by cause. Both read the rows that the
 * filter leaves, and a cause reads their errors: some 0.1 and 0.5 seconds for 100,000 of them.
 */
import { Causes } from "../core/cause.ts";
import type { Cause, GroupField, RunFilter } from "../core/service.ts";
import type { StoredError } from "../core/error.ts";
import { conditionOf } from "./condition.ts";

/** `key` in the order of the fields; null where a run has none. */
export type Group = { readonly key: readonly (string | null)[]; readonly count: number };

/** Groups that one shard answers with; the largest first. */
const maxGroups = 5000;
/** Causes that one shard keeps apart, and those that it answers with. */
const maxCauses = 10_000;
const toldCauses = 1000;

/** What a group's key is cut to: labels are no longer than this, and a code hardly ever. */
const maxKey = 1024;

type FailedRow = {
  readonly id: string;
  readonly workflow: string;
  readonly error: string | null;
  readonly at: number | null;
};

export function countGroups(
  sql: SqlStorage,
  filter: RunFilter,
  groupBy: readonly GroupField[],
): { readonly total: number; readonly groups: readonly Group[] } {
  const { where, values } = conditionOf(filter, null);
  const { total } = sql.exec<{ total: number }>(`SELECT count(*) AS total FROM runs WHERE ${where}`, ...values).one();
  if (groupBy.length === 0) return { total, groups: [] };
  const columns = groupBy.map(columnOf);
  const names = columns.map((_, index) => `key${index}`);
  const rows = sql.exec<Record<string, string | number | null>>(
    `SELECT ${columns.map(({ select }, index) => `${select} AS key${index}`).join(", ")}, count(*) AS count
     FROM runs WHERE ${where} GROUP BY ${names.join(", ")} ORDER BY count DESC, ${names.join(", ")} LIMIT ?`,
    ...columns.flatMap(({ given }) => given),
    ...values,
    maxGroups,
  );
  const groups = Array.from(rows, (row) => ({
    key: columns.map(({ read }, index) => {
      const text = row[`key${index}`];
      return typeof text === "string" ? read(text).slice(0, maxKey) : null;
    }),
    count: Number(row["count"]),
  }));
  return { total, groups };
}

export function listCauses(sql: SqlStorage, filter: RunFilter): Cause[] {
  const { where, values } = conditionOf(filter, null);
  const rows = sql.exec<FailedRow>(
    `SELECT id, workflow, rest -> '$.error' AS error, rest ->> '$.finishedAt' AS at FROM runs
     WHERE ${where} AND status = 'failed'`,
    ...values,
  );
  const causes = new Causes(maxCauses);
  for (const { id, workflow, error, at } of rows) {
    const stored = error === null ? null : (JSON.parse(error) as StoredError | null);
    causes.add({ run: id, workflow, error: stored ?? { message: "" }, at: at ?? 0 });
  }
  return causes.top(toldCauses);
}

type Column = {
  readonly select: string;
  readonly given: readonly string[];
  /** What the column's text stands for. */
  readonly read: (text: string) => string;
};

function columnOf(field: GroupField): Column {
  switch (field) {
    case "workflow":
    case "status":
      return { select: field, given: [], read: (text) => text };
    case "errorCode":
      return { select: "code", given: [], read: (text) => JSON.parse(text) as string };
    default: {
      // A label is kept as the JSON text of its key and value.
      const begins = `[${JSON.stringify(field.slice("label.".length))},`;
      const select =
        "(SELECT value FROM json_each(runs.labels) WHERE substr(value, 1, length(?)) = ? ORDER BY key LIMIT 1)";
      return { select, given: [begins, begins], read: (text) => (JSON.parse(text) as [string, string])[1] };
    }
  }
}
