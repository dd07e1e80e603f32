/** What every Journal must do: one suite for all of them. */
import { describe, expect, test } from "vitest";
import type { Entry, Fact } from "../../src/core/history/entry.ts";
import type { Journal } from "../../src/core/history/journal.ts";
import type { Stored } from "../../src/core/value/value.ts";

/** Runs `act` with an empty journal; `reopen` gives what a new process finds in its place. */
export type WithJournal = (act: (journal: Journal, reopen: () => Journal) => void | Promise<void>) => Promise<void>;

function entry(seq: number, fact: Fact = { kind: "log.written", level: "info", message: `line ${seq}` }): Entry {
  return { seq, at: 1_760_000_000_000 + seq, ...fact };
}

function large(seq: number, text: string): Entry {
  return entry(seq, {
    kind: "step.completed",
    step: "s",
    attempt: 1,
    startedAt: 0,
    result: JSON.stringify([text]) as Stored,
  });
}

const ids = (entries: Iterable<Entry>) => [...entries].map(({ seq }) => seq);

/** @param largest characters of the largest value that is tried: a journal that seals takes its time */
export function testJournal(name: string, withJournal: WithJournal, largest = Infinity): void {
  describe(`journal: ${name}`, () => {
    test("an empty one has nothing to read", async () => {
      await withJournal((journal, reopen) => {
        expect([...journal.read()]).toEqual([]);
        expect(journal.page(0, 10)).toEqual([]);
        journal.append([]);
        expect([...reopen().read()]).toEqual([]);
      });
    });

    test("guarantee 1: what was appended is read back in its order, also by the next process", async () => {
      await withJournal(async (journal, reopen) => {
        const entries = [entry(1), entry(2), entry(3), entry(4), entry(5)];
        journal.append(entries.slice(0, 1));
        journal.append(entries.slice(1, 4));
        journal.append(entries.slice(4));
        await journal.durable();
        expect([...journal.read()]).toEqual(entries);
        const next = reopen();
        expect([...next.read()]).toEqual(entries);
        next.append([entry(6)]);
        expect(ids(reopen().read())).toEqual([1, 2, 3, 4, 5, 6]);
      });
    });

    test("a long one comes back whole, wherever long values and commits of many stand in it", async () => {
      await withJournal((journal, reopen) => {
        // 1,100 commits: of two entries now and then, and one of a value that no block of rows takes.
        const entries: Entry[] = [];
        for (let commit = 1; commit <= 1100; commit++) {
          const seq = entries.length + 1;
          const added = commit === 700 ? [large(seq, "é".repeat(3000))] : [entry(seq)];
          if (commit % 100 === 0) added.push(entry(seq + 1));
          journal.append(added);
          entries.push(...added);
        }
        expect([...reopen().read()]).toEqual(entries);
      });
    });

    test("pages begin and end anywhere, also within a commit", async () => {
      await withJournal((journal) => {
        // Commits of 1, 2, 3 … entries: 1 | 2 3 | 4 5 6 | 7 8 9 10 | 11 12 13 14 15
        for (let seq = 1, size = 1; size <= 5; seq += size++)
          journal.append(Array.from({ length: size }, (_unused, i) => entry(seq + i)));
        for (let after = 0; after <= 16; after++) {
          for (const limit of [1, 2, 3, 15, 200]) {
            const expected = Array.from({ length: 15 }, (_unused, i) => i + 1)
              .filter((seq) => seq > after)
              .slice(0, limit);
            expect(ids(journal.page(after, limit))).toEqual(expected);
          }
        }
      });
    });

    const lengths = [599_990, 600_000, 1_200_001, 4_000_000].filter((length) => length <= largest);

    test.each(lengths)("a value of %i characters comes back whole", async (length) => {
      await withJournal((journal, reopen) => {
        const entries = [entry(1), large(2, "x".repeat(length)), entry(3)];
        for (const one of entries) journal.append([one]);
        expect([...reopen().read()]).toEqual(entries);
        expect(journal.page(1, 1)).toEqual([entries[1]]);
        expect(ids(journal.page(2, 5))).toEqual([3]);
        // A page may end early where entries are large, and never without one.
        const pages = [];
        for (let page = journal.page(0, 5); page.length > 0; page = journal.page(page.at(-1)?.seq ?? 0, 5))
          pages.push(...ids(page));
        expect(pages).toEqual([1, 2, 3]);
      });
    });

    test.skipIf(largest < 780_000)("characters of two units are whole wherever a cut falls", async () => {
      await withJournal((journal, reopen) => {
        const entries = [0, 1, 2, 3].map((shift) =>
          large(shift + 1, "a".repeat(shift) + "😀é\u{10ffff}".repeat(260_000)),
        );
        for (const one of entries) journal.append([one]);
        expect([...reopen().read()].map((read, i) => JSON.stringify(read) === JSON.stringify(entries[i]))).toEqual([
          true,
          true,
          true,
          true,
        ]);
      });
    });

    test.skipIf(largest < 780_000)(
      "a value that says it was sealed is not taken at its word, wherever a cut falls",
      async () => {
        await withJournal((journal, reopen) => {
          const claim = "enc1.k1.";
          const entries = [...claim].map((_character, shift) =>
            large(shift + 1, "a".repeat(shift) + claim.repeat(75_100)),
          );
          for (const one of entries) journal.append([one]);
          expect([...reopen().read()].every((read, i) => JSON.stringify(read) === JSON.stringify(entries[i]))).toBe(
            true,
          );
          expect(ids(reopen().page(0, 1))).toEqual([1]);
        });
      },
    );

    test.skipIf(largest < 8 * 1024 * 1024)("a value of 16 MiB, with others in its commit", async () => {
      await withJournal((journal, reopen) => {
        const entries = [entry(1), large(2, "é".repeat(8 * 1024 * 1024 - 2)), large(3, "y".repeat(700_000)), entry(4)];
        journal.append(entries);
        journal.append([entry(5)]);
        const read = [...reopen().read()];
        expect(ids(read)).toEqual([1, 2, 3, 4, 5]);
        expect(JSON.stringify(read[1]) === JSON.stringify(entries[1])).toBe(true);
        expect(ids(journal.page(1, 2))).toEqual([2, 3]);
        expect(ids(journal.page(4, 2))).toEqual([5]);
      });
    });

    test("texts that are hard to write down", async () => {
      await withJournal((journal, reopen) => {
        const entries = ["\u0000", "\ud800", "\u2028", "'\";--", "", "\\"].map((message, i) =>
          entry(i + 1, { kind: "log.written", level: "info", message }),
        );
        journal.append(entries);
        expect([...reopen().read()]).toEqual(entries);
      });
    });

    test("a restart leaves the new entries and none of the old, also for the next process", async () => {
      await withJournal(async (journal, reopen) => {
        for (let seq = 1; seq <= 30; seq += 3) journal.append([entry(seq), entry(seq + 1), entry(seq + 2)]);
        journal.restart([entry(31), entry(32)]);
        await journal.durable();
        expect([...journal.read()]).toEqual([entry(31), entry(32)]);
        const next = reopen();
        expect([...next.read()]).toEqual([entry(31), entry(32)]);
        next.append([entry(33), entry(34)]);
        for (const after of [0, 1, 30]) expect(ids(next.page(after, 3))).toEqual([31, 32, 33]);
        expect(ids(next.page(31, 3))).toEqual([32, 33, 34]);
        next.restart([entry(35)]);
        expect(ids(reopen().read())).toEqual([35]);
      });
    });

    test.skipIf(largest < 4_000_000)("a restart carries more than one text holds", async () => {
      await withJournal((journal, reopen) => {
        journal.append([large(1, "a".repeat(1_500_000))]);
        const entries = [entry(2), ...[3, 4, 5, 6].map((seq) => large(seq, `${seq}`.repeat(4_000_000))), entry(7)];
        journal.restart(entries);
        expect(JSON.stringify([...reopen().read()]) === JSON.stringify(entries)).toBe(true);
      });
    });

    test("a restart that cannot be written leaves what was there", async () => {
      await withJournal((journal, reopen) => {
        const entries = [entry(1), entry(2)];
        journal.append(entries);
        const broken = {
          ...entry(4),
          toJSON: () => {
            throw new Error("not to be written");
          },
        };
        expect(() => journal.restart([entry(3), broken])).toThrow("not to be written");
        expect([...journal.read()]).toEqual(entries);
        journal.append([entry(3)]);
        expect(ids(reopen().read())).toEqual([1, 2, 3]);
      });
    });

    test("reading may stop half-way, and appending goes on", async () => {
      await withJournal((journal) => {
        for (let seq = 1; seq <= 50; seq++) journal.append([entry(seq)]);
        for (const { seq } of journal.read()) if (seq === 7) break;
        journal.append([entry(51)]);
        expect(ids(journal.read())).toHaveLength(51);
      });
    });
  });
}
