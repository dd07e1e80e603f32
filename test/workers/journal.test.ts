import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { gcm } from "../../src/core/cipher/aes.ts";
import { parseKeys, Vault } from "../../src/core/cipher/cipher.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { encode } from "../../src/core/value/value.ts";
import { creationOf } from "../../src/objects/run/creation.ts";
import { Memory } from "../../src/objects/run/memory.ts";
import { SqlJournal } from "../../src/store/journal.ts";
import { testJournal } from "../engine/journal-suite.ts";
import { settings } from "./settings.ts";
import { inRun } from "./storage.ts";

let journals = 0;

testJournal("Durable Object SQL", async (act) => {
  const stub = env.RUNS.getByName(`journal-${journals++}`);
  await runInDurableObject(stub, async (_instance, { storage }) => {
    await act(new SqlJournal(storage), () => new SqlJournal(storage));
  });
});

const ring = parseKeys(`k1:${btoa(String.fromCharCode(...new Uint8Array(32).fill(5)))}`);

testJournal(
  "Durable Object SQL, sealed",
  async (act) => {
    const stub = env.RUNS.getByName(`journal-${journals++}`);
    await runInDurableObject(stub, async (_instance, { id, storage }) => {
      const vault = new Vault(
        id.toString(),
        () => ring,
        (length) => crypto.getRandomValues(new Uint8Array(length)),
        () => gcm,
      );
      const open = () => new SqlJournal(storage, undefined, vault);
      await act(open(), open);
    });
  },
  Number(settings["JOURNAL_LARGEST"] || 600_000),
);

describe("a journal whose first commit could not be written", () => {
  it("takes the next", async () => {
    await inRun(`journal-${journals++}`, async ({ storage }) => {
      const journal = new SqlJournal(storage);
      const entry = { seq: 1, at: 1, kind: "run.started", deployment: "one" } as const;
      // The table is made, and the row refused: its number is none.
      expect(() => journal.append([{ ...entry, seq: 1.00001 }])).toThrow(/datatype mismatch/);
      journal.append([entry]);
      expect([...new SqlJournal(storage).read()]).toEqual([entry]);
    });
  });
});

describe("a memory of a run that was given up", () => {
  it.each([
    ["writes nothing beside the next one", (memory: Memory) => Promise.resolve(memory.forget()), "was given up"],
    [
      "writes nothing into the next run",
      (memory: Memory) => memory.clear(async () => {}),
      "the run was removed meanwhile",
    ],
  ])("%s", async (_what, giveUp, refused) => {
    await inRun(`journal-${journals++}`, async (ctx) => {
      const memory = new Memory(
        ctx,
        () => undefined,
        () => Promise.reject(new Error("starts no other")),
      );
      const given = {
        id: "given-up",
        workflow: "some",
        version: "1",
        input: encode(1, "input"),
        labels: {},
        by: "test",
      };
      const request = { ...given, parent: null, schedule: null };
      const begin = (at: number) =>
        memory.begin((run) =>
          run.create({ ...creationOf(request, at), continuation: { count: 1, createdAt: at, keys: [] } }),
        );
      expect(begin(1)).toBe(true);
      const former = memory.run;
      await giveUp(memory);
      begin(2);
      const entries = memory.journal.page(0, 9);
      expect(() => former.act({ kind: "pause", by: "test", reason: null })).toThrow(refused);
      expect(memory.openJournal().page(0, 9)).toEqual(entries);
    });
  });
});

describe("a page", () => {
  it("ends before a commit that would make it too long, and that is a page of its own", async () => {
    await inRun(`journal-${journals++}`, async ({ storage }) => {
      const journal = new SqlJournal(storage);
      for (const [at, length] of [1, 1_900_000, 1_900_000, 5_000_000, 1].entries()) {
        const entry = { seq: at + 1, at: 1, kind: "log.written", level: "info", message: "x".repeat(length) } as const;
        journal.append([entry]);
      }
      const pages = [0, 3, 4].map((after) => journal.page(after, Infinity).map(({ seq }) => seq));
      expect(pages).toEqual([[1, 2, 3], [4], [5]]);
    });
  });
});

const line = (seq: number, message: string): Entry => ({ seq, at: 1, kind: "log.written", level: "info", message });

it("a commit of which a part is refused has no effect (guarantee 1)", async () => {
  await inRun(`journal-${journals++}`, async ({ storage }) => {
    const journal = new SqlJournal(storage);
    journal.append([line(1, "one")]);
    storage.sql.exec(
      "CREATE TRIGGER full BEFORE INSERT ON journal WHEN new.row = 2 * 4096 + 1 BEGIN SELECT raise(ABORT, 'full'); END",
    );
    expect(() => journal.append([line(2, "x".repeat(1_500_000))])).toThrow("full");
    expect([...new SqlJournal(storage).read()]).toEqual([line(1, "one")]);
  });
});

it("sealing large entries anew ends early, to be continued", async () => {
  await inRun(`journal-${journals++}`, async ({ storage }) => {
    const journal = new SqlJournal(storage);
    for (const seq of [1, 2, 3]) journal.append([line(seq, "x".repeat(2_500_000))]);
    expect(journal.reseal(0, 200)).toMatchObject({ next: 3 * 4096 });
  });
});

describe("a journal that nobody looked for", () => {
  const entry = { seq: 1, at: 1, kind: "run.started", deployment: "one" } as const;
  const unlooked = (storage: DurableObjectStorage) => new SqlJournal(storage, undefined, undefined, false);

  it("is made with its first commit", async () => {
    await inRun(`journal-${journals++}`, async ({ storage }) => {
      const journal = unlooked(storage);
      expect([...journal.read()]).toEqual([]);
      journal.append([entry]);
      journal.append([{ ...entry, seq: 2 }]);
      expect([...new SqlJournal(storage).read()].map(({ seq }) => seq)).toEqual([1, 2]);
    });
  });

  it("is refused where there is one already, and nothing is written", async () => {
    await inRun(`journal-${journals++}`, async ({ storage }) => {
      new SqlJournal(storage).append([entry]);
      expect(() => unlooked(storage).append([{ ...entry, seq: 2 }])).toThrow("already exists");
      expect([...new SqlJournal(storage).read()]).toEqual([entry]);
    });
  });
});

describe("a long journal", () => {
  const entries = Array.from({ length: 1100 }, (_unused, at): Entry => {
    return { seq: at + 1, at: 1_760_000_000_000, kind: "log.written", level: "info", message: `line ${at + 1}` };
  });
  const textOf = (seq: number) => JSON.stringify([entries[seq - 1]]);
  const bytes = new TextEncoder().encode(textOf(600));
  const cases: readonly (readonly [what: string, data: string | Uint8Array, says: RegExp])[] = [
    ["cut off", textOf(600).slice(0, -1), /begins with entry 600 is cut off or is no JSON/],
    ["empty", "", /begins with entry 600 is cut off or is no JSON/],
    ["of bytes, also the right ones", bytes, /row 2457600 is no text/],
    ["with a line end behind it", `${textOf(600)}\n`, /^read$/],
    ["of two commits", `${textOf(600)}\n${textOf(601)}`, /begins with entry 600 is cut off or is no JSON/],
    ["of another place", textOf(601), /where entry 600 belongs, there is another/],
    ["that is no list", "7", /begins with entry 600 is no list of entries/],
    ["of the future", textOf(600).replace("log.written", "log.sung"), /entry 600 is of the kind log\.sung/],
  ];

  it.each(cases)("with a row in its middle, %s, is read up to there, and says the same", async (_what, data, says) => {
    const stub = env.RUNS.getByName(`journal-${journals++}`);
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const journal = new SqlJournal(storage);
      for (const entry of entries) journal.append([entry]);
      storage.sql.exec("UPDATE journal SET data = ? WHERE row = ?", data, 600 * 4096);
      const read: number[] = [];
      let said = "read";
      try {
        for (const { seq } of new SqlJournal(storage).read()) read.push(seq);
      } catch (error) {
        said = error instanceof HoldfastError ? error.message : "something else";
      }
      expect(said).toMatch(says);
      expect(read.length).toBe(said === "read" ? entries.length : 599);
    });
  });

  it.each([
    ["a part", 600 * 4096 + 1],
    ["half of a place", 600 * 4096 - 2048],
    ["another place", 4_000 * 4096],
  ])("is refused from where a row has the number of %s on", async (_what, row) => {
    const stub = env.RUNS.getByName(`journal-${journals++}`);
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const journal = new SqlJournal(storage);
      for (const entry of entries) journal.append([entry]);
      storage.sql.exec("UPDATE journal SET row = ? WHERE row = ?", row, 600 * 4096);
      const read: number[] = [];
      const drain = () => {
        for (const { seq } of new SqlJournal(storage).read()) read.push(seq);
      };
      expect(drain).toThrow(expect.objectContaining({ code: "journal_corrupt" }));
      expect(read).toHaveLength(599);
    });
  });

  it("takes few statements to be read behind a long value as well", async () => {
    const stub = env.RUNS.getByName(`journal-${journals++}`);
    const first = { ...entries[0], message: "x".repeat(3000) } as Entry;
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const journal = new SqlJournal(storage);
      for (const entry of [first, ...entries.slice(1)]) journal.append([entry]);
      const exec = vi.spyOn(storage.sql, "exec");
      expect([...new SqlJournal(storage).read()]).toEqual([first, ...entries.slice(1)]);
      const joined = exec.mock.calls.filter(([statement]) => statement.includes("group_concat")).length;
      expect([joined, exec.mock.calls.length <= 7]).toEqual([3, true]);
      exec.mockRestore();
    });
  });

  it("takes few statements and as many rows as it has to be read", async () => {
    const stub = env.RUNS.getByName(`journal-${journals++}`);
    await runInDurableObject(stub, async (_instance, { storage }) => {
      const journal = new SqlJournal(storage);
      for (const entry of entries) journal.append([entry]);
      const exec = vi.spyOn(storage.sql, "exec");
      expect([...new SqlJournal(storage).read()]).toEqual(entries);
      const read = exec.mock.results.reduce((sum, { value }) => sum + (value as SqlStorageCursor<never>).rowsRead, 0);
      expect([exec.mock.calls.length <= 6, read <= entries.length + 10]).toEqual([true, true]);
      exec.mockRestore();
    });
  });
});
