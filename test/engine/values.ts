/** Values of every kind in random workflows, each made from a text; and how they, and errors, are noted. */
import { expect } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { encode } from "../../src/core/value/value.ts";
import { viewEntry } from "../../src/http/view.ts";
import { createPick, randomValue } from "../core/sample.ts";

/** Stands in what is never to be shown. */
export const secret = "not to be shown";

const values = made(64);

/** Always the same for this text. */
export function valueOf(text: string): unknown {
  let sum = 0;
  for (let i = 0; i < text.length; i++) sum += text.charCodeAt(i);
  return values[sum % values.length];
}

function made(count: number): unknown[] {
  const { stackTraceLimit } = Error;
  // Where an error was made is no part of it here.
  Error.stackTraceLimit = 0;
  const all = Array.from({ length: count }, (_unused, i) => randomValue(createPick(`value ${i}`), i % 4 === 0 ? 2 : 0));
  Error.stackTraceLimit = stackTraceLimit;
  return all;
}

/** The payload of a signal, of which `text` is what it says. */
export type Payload = { readonly text: string; readonly beside: unknown };

export function payloadOf(text: string): Payload {
  return { text, beside: valueOf(text) };
}

export function shown(value: unknown): string {
  return encode(value, "a value");
}

/** What the API shows of a history. */
export function checkSecrets(entries: readonly Entry[]): void {
  for (const entry of entries) {
    if (JSON.stringify(entry).includes(secret)) expect(JSON.stringify(viewEntry(entry))).not.toContain(secret);
  }
}

/** An error with what it was caused by, without where that was. */
export function chainOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return shown(thrown);
  const { name, message, cause } = thrown;
  const errors = thrown instanceof AggregateError ? (thrown.errors as readonly unknown[]).map(chainOf) : [];
  return `${name} ${message} [${errors.join()}]${"cause" in thrown ? ` by ${chainOf(cause)}` : ""}`;
}
