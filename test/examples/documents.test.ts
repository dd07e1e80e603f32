/** How the document example reads documents, and what it finds odd about them. */
import { describe, expect, it } from "vitest";
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import note from "../../examples/documents/samples/clean-delivery-note.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import { toCents, toDay, toNumber } from "../../examples/documents/amount.ts";
import { findAnomalies, isIban } from "../../examples/documents/anomaly.ts";
import { readDocument } from "../../examples/documents/document.ts";
import type { Document } from "../../examples/documents/document.ts";
import { cpuMs } from "../core/usage.ts";

const today = "2026-11-21";

function read(text: string): Document {
  const reading = readDocument(text);
  if (!reading.readable) throw new Error(reading.problems.join(" "));
  return reading.document;
}

function codes(text: string): string[] {
  return findAnomalies(read(text), today).map((anomaly) => anomaly.code);
}

describe("numbers on paper", () => {
  it.each([
    ["1,234.50", 123_450],
    ["1.234,50", 123_450],
    ["1'234.5", 123_450],
    ["1 234 567,89", 123_456_789],
    ["1,000", 100_000],
    ["12", 1200],
    ["0.05", 5],
  ])("reads %s as %i cents", (text, cents) => expect(toCents(text)).toBe(cents));

  it.each(["", "abc", "1,23,4", "-5", "1.2.3", "18.5O"])("takes %j for no amount", (text) =>
    expect(toCents(text)).toBeNull(),
  );

  it.each([
    ["2026-03-09", "2026-03-09"],
    ["09.03.2026", "2026-03-09"],
    ["9/3/2026", "2026-03-09"],
    ["9 March 2026", "2026-03-09"],
    ["31.02.2026", null],
    ["1l. O3. 2O26", null],
    ["9 Brumaire 2026", null],
  ])("reads the day %s as %s", (text, day) => expect(toDay(text)).toBe(day));

  it("reads quantities with either decimal sign", () => {
    expect([toNumber("1,5"), toNumber("2.25"), toNumber("3"), toNumber("3 pcs")]).toEqual([1.5, 2.25, 3, null]);
  });

  it.each(["NL91ABNA0417164300", "DE89370400440532013000", "GB29NWBK60161331926819"])("takes the IBAN %s", (iban) =>
    expect(isIban(iban)).toBe(true),
  );

  it.each(["NL91ABNA0417164305", "NL19ABNA0417164300", "DE", "nl91abna0417164300"])("refuses the IBAN %s", (iban) =>
    expect(isIban(iban)).toBe(false),
  );
});

describe("documents", () => {
  it("reads an invoice written as sentences, with decimal commas", () => {
    expect(read(invoice.text)).toMatchObject({
      kind: "invoice",
      number: "RE-2026-1093",
      date: "2026-03-09",
      currency: "EUR",
      netCents: 31_685,
      vatPercent: 19,
      vatCents: 6020,
      totalCents: 37_705,
      iban: "DE89370400440532013000",
    });
    expect(codes(invoice.text)).toEqual([]);
  });

  it("reads a delivery note in columns, and counts its pieces", () => {
    expect(read(note.text)).toMatchObject({
      kind: "delivery-note",
      number: "DN 26-00518",
      date: "2026-02-17",
      pieces: 130,
    });
    expect(codes(note.text)).toEqual([]);
    expect(codes(note.text.replace("36 pcs", "35 pcs"))).toEqual(["count_mismatch"]);
  });

  it("finds every fault of the anomalous invoice", () => {
    expect(codes(anomalous.text)).toEqual([
      "line_mismatch",
      "sum_mismatch",
      "vat_rate_unusual",
      "iban_invalid",
      "duplicate_line",
      "amount_very_high",
    ]);
  });

  it("finds one fault at a time", () => {
    expect(codes(invoice.text.replace("60,20", "65,20"))).toEqual(["sum_mismatch", "vat_mismatch"]);
    expect(codes(invoice.text.replace("09.03.2026", "09.03.2031"))).toEqual(["date_in_future"]);
    expect(codes(invoice.text.replace(/IBAN.*/, ""))).toEqual(["iban_missing"]);
    expect(codes(invoice.text.replace("316,85", "316,58"))).toContain("sum_mismatch");
  });

  it("says everything that is missing from a broken document", () => {
    const reading = readDocument(broken.text);
    expect(reading).toMatchObject({ readable: false });
    expect(reading).toHaveProperty("problems.length", 7);
  });

  it("cannot tell what a letter is", () => {
    expect(readDocument("Dear all, see you on Monday.")).toEqual({
      readable: false,
      problems: ["It is neither recognisable as an invoice nor as a delivery note."],
    });
  });

  it("reads a hundred thousand hostile characters in no time", () => {
    const before = cpuMs();
    for (const piece of ["1  ", "  a", "1 x ", "IBAN AA00 ", "total ", "VAT 1"]) {
      readDocument(`invoice\n${piece.repeat(100_000 / piece.length)}`);
      readDocument(`invoice\n${`${piece.repeat(80)}\n`.repeat(300)}`);
    }
    expect(cpuMs() - before).toBeLessThan(2000);
  });
});
