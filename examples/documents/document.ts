/** Reads a document's text: what it is, its number and date, its lines, its sums. No judgement; see anomaly.ts. */
import { toCents, toDay, toNumber } from "./amount.ts";

export type Kind = "invoice" | "delivery-note";
export type InvoiceLine = {
  readonly description: string;
  readonly quantity: number;
  readonly unitCents: number;
  readonly cents: number;
};
export type Invoice = {
  readonly kind: "invoice";
  readonly number: string;
  /** As 2026-03-09. */
  readonly date: string;
  readonly currency: string;
  readonly lines: readonly InvoiceLine[];
  readonly netCents: number;
  readonly vatPercent: number;
  readonly vatCents: number;
  readonly totalCents: number;
  /** Without blanks; null where the document names none. */
  readonly iban: string | null;
};
export type DeliveryLine = { readonly description: string; readonly quantity: number };
export type DeliveryNote = {
  readonly kind: "delivery-note";
  readonly number: string;
  readonly date: string;
  readonly lines: readonly DeliveryLine[];
  /** What the note says its pieces add up to; null where it does not. */
  readonly pieces: number | null;
};
export type Document = Invoice | DeliveryNote;

/** What became of reading a document; `problems` are sentences for the sender. */
export type Reading =
  | { readonly readable: true; readonly document: Document }
  | { readonly readable: false; readonly problems: readonly string[] };

const numberLabels = [
  "invoice number",
  "invoice no",
  "rechnungs-nr",
  "delivery note no",
  "delivery note number",
  "number",
];
const dateLabels = ["invoice date", "rechnungsdatum", "delivery date", "date", "datum"];
const netLabels = ["net total", "subtotal", "total excl. vat", "zwischensumme (netto)", "zwischensumme"];
const totalLabels = ["total due", "total incl. vat", "amount due", "rechnungsbetrag", "grand total", "total"];
const piecesLabels = ["total pieces", "pieces in total", "total quantity"];

export function readDocument(text: string, kind?: Kind): Reading {
  // A line longer than any paper is wide holds nothing that could be read, and would slow the patterns down.
  const rows = text.split(/\r?\n/).map((row) => row.slice(0, 300));
  switch (kind ?? kindOf(text)) {
    case "invoice":
      return readInvoice(rows);
    case "delivery-note":
      return readDeliveryNote(rows);
    case null:
      return { readable: false, problems: ["It is neither recognisable as an invoice nor as a delivery note."] };
  }
}

function kindOf(text: string): Kind | null {
  if (/\b(delivery note|lieferschein|packing slip)\b/i.test(text)) return "delivery-note";
  return /\b(invoice|rechnung|factuur)\b/i.test(text) ? "invoice" : null;
}

function readInvoice(rows: readonly string[]): Reading {
  const vat = findVat(rows);
  return complete({
    kind: "invoice",
    number: found(numberOf(rows), "No invoice number was found."),
    date: found(dateOf(rows), "No valid invoice date was found."),
    currency: found(currencyOf(rows), "No currency was found."),
    lines: found(some(rows.map(readInvoiceLine)), "No lines with quantity, price and amount could be read."),
    netCents: found(amountOf(rows, netLabels), "No net total was found."),
    vatPercent: found(vat?.percent ?? null, "No VAT line with a rate was found."),
    vatCents: found(vat?.cents ?? null, "No VAT amount was found."),
    totalCents: found(amountOf(rows, totalLabels), "No total to be paid was found."),
    iban: ibanOf(rows),
  });
}

function readDeliveryNote(rows: readonly string[]): Reading {
  const pieces = value(rows, piecesLabels);
  return complete({
    kind: "delivery-note",
    number: found(numberOf(rows), "No delivery note number was found."),
    date: found(dateOf(rows), "No valid delivery date was found."),
    lines: found(some(rows.map(readDeliveryLine)), "No lines with a quantity could be read."),
    pieces: pieces === null ? null : toNumber(pieces.split(/\s/)[0] ?? ""),
  });
}

class Missing {
  readonly problem: string;
  constructor(problem: string) {
    this.problem = problem;
  }
}

function found<Value>(value: Value | null, problem: string): Value | Missing {
  return value ?? new Missing(problem);
}

type Draft<Whole> = Whole extends Document ? { [Field in keyof Whole]: Whole[Field] | Missing } : never;

/** A document with everything in its place, or all that is missing at once. */
function complete(draft: Draft<Document>): Reading {
  const problems = Object.values(draft).flatMap((field) => (field instanceof Missing ? [field.problem] : []));
  return problems.length > 0 ? { readable: false, problems } : { readable: true, document: draft as Document };
}

function some<Value>(values: readonly (Value | null)[]): Value[] | null {
  const present = values.filter((value) => value !== null);
  return present.length > 0 ? present : null;
}

/** "1  Copy paper  12  21.50  258.00", or "12 x Copy paper @ 21,50 = 258,00". */
function readInvoiceLine(row: string): InvoiceLine | null {
  const table = /^\s*\d{1,4}\s{2,}(\S.*?)\s{2,}(\d+(?:[.,]\d+)?)\s{2,}(\d[\d.,']*)\s{2,}(\d[\d.,']*)\s*$/.exec(row);
  if (table) return invoiceLine(table[1], table[2], table[3], table[4]);
  const prose = /^\s*(\d+(?:[.,]\d+)?)\s*[x×]\s+(\S.*?)\s+(?:@|à|at)\s+(\d[\d.,']*)\s*=\s*(\d[\d.,']*)\s*$/.exec(row);
  return prose ? invoiceLine(prose[2], prose[1], prose[3], prose[4]) : null;
}

function invoiceLine(description = "", quantityText = "", unitText = "", amountText = ""): InvoiceLine | null {
  const quantity = toNumber(quantityText);
  const unitCents = toCents(unitText);
  const cents = toCents(amountText);
  return quantity === null || unitCents === null || cents === null ? null : { description, quantity, unitCents, cents };
}

/** "1  Pallet of bricks  12 pcs" */
function readDeliveryLine(row: string): DeliveryLine | null {
  const match = /^\s*\d{1,4}\s{2,}(\S.*?)\s{2,}(\d+(?:[.,]\d+)?)(?:\s+[a-z]{1,10}\.?)?\s*$/i.exec(row);
  const quantity = toNumber(match?.[2] ?? "");
  return quantity === null ? null : { description: match?.[1] ?? "", quantity };
}

/** What follows the first of these labels at the beginning of a row. */
function value(rows: readonly string[], labels: readonly string[]): string | null {
  for (const label of labels) {
    for (const row of rows) {
      const text = row.trim();
      if (!text.toLowerCase().startsWith(label)) continue;
      const rest = /^\.?\s*(?::|\s)\s*(\S.*)$/.exec(text.slice(label.length));
      if (rest?.[1] !== undefined) return rest[1].trim();
    }
  }
  return null;
}

function numberOf(rows: readonly string[]): string | null {
  const text = value(rows, numberLabels)?.split(/\s{2,}/)[0] ?? "";
  return /^[A-Z0-9][A-Z0-9./ -]{1,40}$/i.test(text) && /\d/.test(text) ? text : null;
}

function dateOf(rows: readonly string[]): string | null {
  return toDay(value(rows, dateLabels)?.split(/\s{2,}/)[0] ?? "");
}

function amountOf(rows: readonly string[], labels: readonly string[]): number | null {
  return toCents((value(rows, labels) ?? "").replace(/EUR|GBP|USD|CHF|[€£$:]/g, ""));
}

function findVat(rows: readonly string[]): { percent: number; cents: number } | null {
  for (const row of rows) {
    const match = /^\s*(?:VAT|MwSt\.?|BTW|TVA)\s+(\d+(?:[.,]\d+)?)\s*%:?\s+(.+)$/i.exec(row);
    const percent = toNumber(match?.[1] ?? "");
    const cents = toCents((match?.[2] ?? "").replace(/EUR|GBP|USD|CHF|[€£$]/g, ""));
    if (percent !== null && cents !== null) return { percent, cents };
  }
  return null;
}

function currencyOf(rows: readonly string[]): string | null {
  const mark = /\b(EUR|GBP|USD|CHF)\b|[€£$]/.exec(rows.join("\n"))?.[0] ?? "";
  const symbols: Record<string, string> = { "€": "EUR", "£": "GBP", $: "USD" };
  return symbols[mark] ?? (mark || null);
}

function ibanOf(rows: readonly string[]): string | null {
  const match = /\bIBAN:?\s+([A-Z]{2}\d{2}[A-Z0-9 ]{10,40})/.exec(rows.join("\n"));
  // The BIC often stands on the same row, after a wider gap.
  return match?.[1]?.split(/\s{2,}/)[0]?.replaceAll(" ", "") ?? null;
}
