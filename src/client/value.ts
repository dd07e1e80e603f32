/**
 * Owns: values and names in requests and responses.
 * Does not own: the form of values (core/value/json).
 */
import { toJson } from "../core/value/json.ts";
import { fromJson } from "../core/value/revival.ts";
import { checkSegment } from "../core/name.ts";
import { decode } from "../core/value/value.ts";
import type { Stored } from "../core/value/value.ts";
import { Writer } from "../core/value/writer.ts";

/** The JSON of a value to send. @param what names it in the error @throws HoldfastError value_uncloneable, value_too_large */
export function sent(value: unknown, what: string): unknown {
  // Not `encode`, which fits texts into calls between objects: no client has those, nor should it be larger for them.
  return toJson(decode(new Writer(what).write(value) as Stored));
}

/** The value of received JSON; the JSON itself where it cannot be one: a value that contains itself, or a shape. */
export function received(json: unknown): unknown {
  try {
    return fromJson(json);
  } catch {
    return json;
  }
}

/** A name as a segment of a path. @throws HoldfastError name_invalid */
export function segment(name: string, what: string): string {
  return encodeURIComponent(checkSegment(name, what));
}
