/** Numbers as people write them on paper. Money is whole cents, so that sums are exact. */

/**
 * Cents of "1,234.50", "1.234,50", "1 234,5" or "1234"; null for anything else. A separator followed
 * by one or two digits at the end is the decimal one.
 */
export function toCents(text: string): number | null {
  const plain = text.trim().replace(/[\s'’]/g, "");
  const match = /^(\d{1,3}(?:[.,]\d{3})+|\d+)(?:[.,](\d{1,2}))?$/.exec(plain);
  if (match === null) return null;
  const [, whole = "", decimals = ""] = match;
  const cents = Number(whole.replace(/[.,]/g, "")) * 100 + Number(decimals.padEnd(2, "0"));
  return Number.isSafeInteger(cents) ? cents : null;
}

/** A quantity or a percentage: "12", "2.5" or "2,5"; null for anything else. */
export function toNumber(text: string): number | null {
  return /^\d+(?:[.,]\d+)?$/.test(text.trim()) ? Number(text.trim().replace(",", ".")) : null;
}

/** "2026-03-09" of "2026-03-09", "09.03.2026", "9/3/2026" (day first) or "9 March 2026"; null for no real date. */
export function toDay(text: string): string | null {
  const iso = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text);
  if (iso) return day(Number(iso[1]), Number(iso[2]), Number(iso[3]));
  const dayFirst = /^(\d{1,2})[./-](\d{1,2})[./-](\d{4})$/.exec(text);
  if (dayFirst) return day(Number(dayFirst[3]), Number(dayFirst[2]), Number(dayFirst[1]));
  const named = /^(\d{1,2})\.? ([a-z]+) (\d{4})$/i.exec(text);
  if (named)
    return day(Number(named[3]), months.indexOf((named[2] ?? "").slice(0, 3).toLowerCase()) + 1, Number(named[1]));
  return null;
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

function day(year: number, month: number, date: number): string | null {
  const at = new Date(Date.UTC(year, month - 1, date));
  // Date turns 31 February into 3 March; such a date on a document is no date.
  return at.getUTCMonth() === month - 1 && at.getUTCDate() === date ? at.toISOString().slice(0, 10) : null;
}

/** "1234.50" */
export function formatCents(cents: number): string {
  return (cents / 100).toFixed(2);
}
