import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, it } from "vitest";
import { commitsOf } from "../../bench/commit.ts";

let folder = "";
let database: DatabaseSync;
let path = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bench-"));
  path = join(folder, "run.sqlite");
  database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; CREATE TABLE rows (n INTEGER PRIMARY KEY, data TEXT)");
});

afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

it("each transaction is one commit, however many rows and pages it writes", () => {
  const before = commitsOf(path);
  const insert = database.prepare("INSERT INTO rows (data) VALUES (?)");
  insert.run("one");
  insert.run("two");
  database.exec("BEGIN");
  for (let row = 0; row < 50; row++) insert.run("long ".repeat(200));
  database.exec("COMMIT");
  expect([before, commitsOf(path)]).toEqual([1, 4]);
});

it("what is left of a log that began anew does not count", () => {
  const insert = database.prepare("INSERT INTO rows (data) VALUES (?)");
  for (let row = 0; row < 20; row++) insert.run("row");
  database.exec("PRAGMA wal_checkpoint(RESTART)");
  insert.run("first of the new log");
  expect(commitsOf(path)).toBe(1);
});
