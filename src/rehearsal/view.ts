/**
 * Owns: converting recorded entries for a test, and bodies that a test sends.
 * Does not own: their contents.
 */
import type { Entry } from "../core/history/entry.ts";
import { isValueField } from "../core/history/field.ts";
import { sentenceOf } from "../core/sentence/sentence.ts";
import { decode } from "../core/value/value.ts";
import type { Stored } from "../core/value/value.ts";
import { RehearsalError } from "./error.ts";
import type { HistoryEntry, Standing } from "./rehearsal.ts";

/** What is compared after deaths, unless the test says otherwise. */
export function standing({ status, output, error, waitingFor, progress }: Standing): unknown {
  return {
    // First, because the first difference is reported: an error says more than a status.
    error: error && { name: error.name, message: error.message, code: error.code },
    status,
    output,
    waitingFor: waitingFor.map(({ kind, name, until }) => ({
      kind,
      name,
      until: until === null ? null : new Date(until),
    })),
    progress,
  };
}

export function legible(entry: Entry): HistoryEntry {
  const fields = Object.entries(entry).map(([field, value]: [string, unknown]) => {
    return [field, isValueField(field) && typeof value === "string" ? decode(value as Stored) : value];
  });
  return { ...(Object.fromEntries(fields) as typeof entry), at: new Date(entry.at), text: sentenceOf(entry) };
}

/** Type and bytes of a body; the type is null where there is none. */
export function toBody(body: unknown): [type: string | null, bytes: Uint8Array] {
  if (body === undefined || body === null) return [null, new Uint8Array()];
  if (body instanceof Uint8Array) return ["application/octet-stream", body];
  const encoder = new TextEncoder();
  if (typeof body === "string") return ["text/plain", encoder.encode(body)];
  return ["application/json", encoder.encode(toJsonText(body))];
}

function toJsonText(body: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(body);
  } catch {
    // A cycle, or a big integer.
  }
  if (json !== undefined) return json;
  throw new RehearsalError("the body of a call must be text, bytes or what JSON carries");
}
