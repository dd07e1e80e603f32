/**
 * Redacts entries. A field of a value is shown as its shape; every other field of any kind of entry is listed here once,
 * with how it is shown: the same in all kinds that have it.
 */
import type { Entry } from "../history/entry.ts";
import { isValueField } from "../history/field.ts";
import type { Field, ValueField } from "../history/field.ts";
import type { StoredError } from "../error.ts";
import type { Continuation, ForkOrigin } from "../run/origin.ts";
import { defined } from "../record.ts";
import type { Stored } from "../value/value.ts";
import { hidden, redactError, shapeOf, wordsOf } from "./mask.ts";

/** How a field of an entry is shown. */
type Manner = "kept" | "value" | "error" | "words" | "address" | "fork" | "continuation" | "dropped";

/** Those that hold no value; one that is not here does not compile. */
const manners: Readonly<Record<Exclude<Field, ValueField>, Manner>> = {
  seq: "kept",
  at: "kept",
  kind: "kept",
  id: "kept",
  workflow: "kept",
  version: "kept",
  labels: "kept",
  parent: "kept",
  schedule: "kept",
  startAt: "kept",
  notAfter: "kept",
  origin: "dropped",
  key: "kept",
  by: "kept",
  role: "kept",
  trace: "kept",
  shards: "dropped",
  limit: "kept",
  used: "kept",
  deployment: "kept",
  held: "kept",
  step: "kept",
  attempt: "kept",
  startedAt: "kept",
  error: "error",
  retryAt: "kept",
  call: "kept",
  name: "kept",
  wakeAt: "kept",
  wait: "kept",
  until: "kept",
  signal: "kept",
  url: "address",
  reason: "words",
  level: "kept",
  message: "words",
  shiftMs: "kept",
  cleared: "kept",
  reply: "dropped",
  lanes: "kept",
  claims: "kept",
  seed: "dropped",
  fork: "fork",
  continuation: "continuation",
  retention: "kept",
  undo: "kept",
  sensitive: "kept",
  ends: "kept",
  steps: "kept",
  apart: "dropped",
  child: "kept",
  policy: "kept",
  detached: "kept",
  left: "kept",
  calls: "kept",
  listener: "kept",
  label: "kept",
  update: "kept",
  patch: "kept",
  lane: "kept",
  awaited: "kept",
  told: "dropped",
  retried: "kept",
  givenUp: "kept",
  action: "kept",
  // The address of a notice is often a credential as well.
  notify: "dropped",
  run: "kept",
  from: "kept",
  omitted: "kept",
  code: "kept",
  generation: "kept",
  courier: "kept",
  print: "dropped",
  of: "kept",
};

/** @param only redacts just the fields of this manner; null: all fields */
export function redactEntry(entry: Entry, only: Manner | null): Entry {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(entry)) {
    const manner = mannerOf(name);
    const redacted = only === null || only === manner ? redactField(manner, value) : value;
    if (redacted !== undefined) shown[name] = redacted;
  }
  return shown as Entry;
}

function mannerOf(name: string): Manner {
  if (Object.hasOwn(manners, name)) return manners[name as keyof typeof manners];
  // An entry of a newer deployment may have fields that this one does not know.
  return isValueField(name) ? "value" : "dropped";
}

/** Undefined for a field that is not shown. */
function redactField(manner: Manner, value: unknown): unknown {
  switch (manner) {
    case "kept":
      return value;
    case "value":
      return shapeOf(value as Stored);
    case "error":
      return redactError(value as StoredError);
    case "address":
      return hidden;
    case "words":
      return wordsOf(value as string | null);
    case "fork": {
      const { id, step, upTo, reason } = value as ForkOrigin;
      return { id, step, upTo, reason: wordsOf(reason) } satisfies ForkOrigin;
    }
    case "continuation": {
      // The signals and updates that it brings along are left out.
      const { count, createdAt, restarted } = value as Continuation;
      return { count, createdAt, keys: [], ...defined({ restarted }) } satisfies Continuation;
    }
    case "dropped":
      return undefined;
    default:
      return manner satisfies never;
  }
}
