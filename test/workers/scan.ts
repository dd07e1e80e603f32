/** Looks through everything that every object keeps. */
import { listDurableObjectIds, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

const classes = ["RUNS", "DIRECTORY", "SCHEDULER", "LANES"] as const;

/**
 * Where the word stands, as `class table.column` or `class kv`, and how often; as it is, and in base64. To be called
 * at the end of a test file: an object that is found by its id does not know its name.
 */
export async function scan(
  word: string,
  among: readonly (typeof classes)[number][] = classes,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const forms = [word, ...[0, 1, 2].map((shift) => btoa(" ".repeat(shift) + word).slice(4, -4))];
  const look = (place: string, value: unknown): void => {
    const text: string | undefined =
      typeof value === "string" ? value : value instanceof ArrayBuffer ? textOf(value) : JSON.stringify(value);
    if (forms.some((form) => text?.includes(form) ?? false)) found.set(place, (found.get(place) ?? 0) + 1);
  };
  for (const name of among) {
    for (const id of await listDurableObjectIds(env[name])) {
      // There is but one, and it goes on to work.
      const stub = name === "SCHEDULER" ? env[name].getByName("scheduler") : env[name].get(id);
      await runInDurableObject(stub, async (_object, { storage }) => {
        for (const [key, value] of await storage.list()) look(`${name} kv`, [key, value]);
        for (const table of tablesOf(storage.sql)) {
          for (const row of storage.sql.exec(`SELECT * FROM "${table}"`)) {
            for (const [column, value] of Object.entries(row)) look(`${name} ${table}.${column}`, value);
          }
        }
      });
    }
  }
  return found;
}

function tablesOf(sql: SqlStorage): string[] {
  const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
  return tables.map(({ name }) => name).filter((name) => !name.startsWith("_cf_"));
}

function textOf(bytes: ArrayBuffer): string {
  return new TextDecoder("latin1").decode(bytes);
}
