/** The output of the demo: one line for each event, in colour on a terminal. */
import type { Entry, Mail } from "./client.ts";

const colourful = process.stdout.isTTY && !process.env["NO_COLOR"];
const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

function paint(colour: keyof typeof codes, text: string): string {
  return colourful ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

export function heading(text: string): void {
  console.log(`\n${paint("bold", text)}`);
}

export function note(text: string): void {
  console.log(`  ${text}`);
}

export function good(text: string): void {
  console.log(`  ${paint("green", "✓")} ${text}`);
}

export function bad(text: string): void {
  console.error(`\n${paint("red", "✗")} ${text}`);
}

export function showEntry(entry: Entry): void {
  const time = entry.at.slice(11, 23);
  const subject = String(entry["step"] ?? entry["name"] ?? "");
  const parts = [entry.kind.padEnd(19), subject.padEnd(16), detail(entry)].join(" ").trimEnd();
  console.log(`  ${paint("dim", time)}  ${paint(colourOf(entry.kind), parts)}`);
}

function colourOf(kind: string): keyof typeof codes {
  if (/failed|crashed|rejected|cancelled/.test(kind)) return "red";
  if (/completed/.test(kind)) return "green";
  return /^(timer|wait|webhook|signal)\./.test(kind) ? "yellow" : "dim";
}

function detail(entry: Entry): string {
  const { error, output, wakeAt, attempt, retryAt } = entry as {
    error?: { message: string };
    output?: { outcome?: string };
    wakeAt?: string;
    attempt?: number;
    retryAt?: string;
  };
  if (error !== undefined && retryAt !== undefined)
    return `attempt ${attempt}: ${error.message}; again at ${clock(retryAt)}`;
  if (error !== undefined) return error.message;
  if (wakeAt !== undefined) return `until ${clock(wakeAt)}`;
  return output?.outcome === undefined ? "" : `outcome: ${output.outcome}`;
}

/** The time of day, with the date if it is not today. */
function clock(at: string): string {
  const today = new Date().toISOString().slice(0, 10);
  return at.startsWith(today) ? at.slice(11, 23) : `${at.slice(0, 10)} ${at.slice(11, 16)}`;
}

/** The first mail of each kind is shown in full, later ones by their subject. */
const known = new Set<string>();

export function showMail(mail: Mail): void {
  console.log(`  ${paint("cyan", "✉")} to ${mail.to}: ${paint("bold", mail.subject)}`);
  const kind = mail.subject.split(":")[0] ?? "";
  if (known.has(kind)) return;
  known.add(kind);
  for (const line of mail.text.split("\n")) console.log(`      ${line}`.trimEnd());
}
