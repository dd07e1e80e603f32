/** Anomalies of a readable document. Pure: the same document and day give the same findings. */
import { formatCents } from "./amount.ts";
import type { DeliveryNote, Document, Invoice } from "./document.ts";

export type Anomaly = {
  readonly code:
    | "line_mismatch"
    | "sum_mismatch"
    | "vat_mismatch"
    | "vat_rate_unusual"
    | "iban_invalid"
    | "iban_missing"
    | "duplicate_line"
    | "date_in_future"
    | "amount_very_high"
    | "count_mismatch";
  readonly severity: "low" | "high";
  /** A sentence for the reviewer. */
  readonly message: string;
};

const veryHighCents = 2_500_000;
/** VAT rates in force, by the country of the bank account. */
const vatRates: Readonly<Record<string, readonly number[]>> = {
  AT: [0, 10, 13, 20],
  BE: [0, 6, 12, 21],
  DE: [0, 7, 19],
  FR: [0, 2.1, 5.5, 10, 20],
  GB: [0, 5, 20],
  NL: [0, 9, 21],
};

/** `today` as 2026-03-09. */
export function findAnomalies(document: Document, today: string): Anomaly[] {
  const future =
    document.date > today ? [anomaly("date_in_future", "high", `It is dated ${document.date}, in the future.`)] : [];
  switch (document.kind) {
    case "invoice":
      return [
        ...sums(document),
        ...vat(document),
        ...account(document),
        ...duplicates(document),
        ...future,
        ...height(document),
      ];
    case "delivery-note":
      return [...pieces(document), ...duplicates(document), ...future];
  }
}

function sums(invoice: Invoice): Anomaly[] {
  const wrong = invoice.lines.filter((line) => Math.abs(Math.round(line.quantity * line.unitCents) - line.cents) > 1);
  const lines = wrong.map((line) =>
    anomaly(
      "line_mismatch",
      "high",
      `"${line.description}": ${line.quantity} × ${formatCents(line.unitCents)} is ${formatCents(Math.round(line.quantity * line.unitCents))}, not ${formatCents(line.cents)}.`,
    ),
  );
  const net = invoice.lines.reduce((sum, line) => sum + line.cents, 0);
  const total = invoice.netCents + invoice.vatCents;
  return [
    ...lines,
    ...(net === invoice.netCents ? [] : [mismatch("The lines add up to", net, "the net total says", invoice.netCents)]),
    ...(total === invoice.totalCents
      ? []
      : [mismatch("Net and VAT add up to", total, "the total says", invoice.totalCents)]),
  ];
}

function mismatch(sum: string, cents: number, says: string, saidCents: number): Anomaly {
  return anomaly("sum_mismatch", "high", `${sum} ${formatCents(cents)}, ${says} ${formatCents(saidCents)}.`);
}

function vat(invoice: Invoice): Anomaly[] {
  const { vatPercent: percent, netCents, vatCents } = invoice;
  const due = Math.round((netCents * percent) / 100);
  // Rounding line by line may differ from rounding the sum by a cent a line.
  const wrong = Math.abs(due - vatCents) > invoice.lines.length;
  const country = invoice.iban?.slice(0, 2) ?? "";
  const rates = vatRates[country] ?? [...new Set(Object.values(vatRates).flat())];
  return [
    ...(wrong
      ? [
          anomaly(
            "vat_mismatch",
            "high",
            `${percent} % of ${formatCents(netCents)} is ${formatCents(due)}, not ${formatCents(vatCents)}.`,
          ),
        ]
      : []),
    ...(rates.includes(percent)
      ? []
      : [
          anomaly(
            "vat_rate_unusual",
            "low",
            `${percent} % is not a VAT rate in force${country in vatRates ? ` in ${country}` : ""}.`,
          ),
        ]),
  ];
}

function account({ iban }: Invoice): Anomaly[] {
  if (iban === null) return [anomaly("iban_missing", "low", "It names no bank account (IBAN).")];
  return isIban(iban) ? [] : [anomaly("iban_invalid", "high", `The IBAN ${iban} fails its check digits.`)];
}

/** ISO 13616: the first four characters moved to the end, letters as 10 to 35, modulo 97 is 1. */
export function isIban(iban: string): boolean {
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban)) return false;
  const digits = [...(iban.slice(4) + iban.slice(0, 4))].map((letter) => Number.parseInt(letter, 36)).join("");
  let rest = 0;
  for (const digit of digits) rest = (rest * 10 + Number(digit)) % 97;
  return rest === 1;
}

function duplicates(document: Document): Anomaly[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const line of document.lines) {
    const key = JSON.stringify(line);
    if (seen.has(key)) twice.add(line.description);
    seen.add(key);
  }
  return [...twice].map((description) =>
    anomaly("duplicate_line", "low", `"${description}" is listed more than once, with the same figures.`),
  );
}

function height({ totalCents, currency }: Invoice): Anomaly[] {
  if (totalCents <= veryHighCents) return [];
  return [
    anomaly(
      "amount_very_high",
      "high",
      `${currency} ${formatCents(totalCents)} is above ${formatCents(veryHighCents)}.`,
    ),
  ];
}

function pieces(note: DeliveryNote): Anomaly[] {
  const counted = note.lines.reduce((sum, line) => sum + line.quantity, 0);
  if (note.pieces === null || note.pieces === counted) return [];
  return [anomaly("count_mismatch", "high", `The lines add up to ${counted} pieces, the note says ${note.pieces}.`)];
}

function anomaly(code: Anomaly["code"], severity: Anomaly["severity"], message: string): Anomaly {
  return { code, severity, message };
}
