/**
 * Owns: values and names on their way through the API.
 * Does not own: how values look there (core/json).
 */
import { fromJson, toJson } from "../core/json.ts";
import { checkSegment } from "../core/name.ts";
import { decode, encode } from "../core/value.ts";

/** What to send. @param what it is, for the error @throws HoldfastError value_uncloneable, value_too_large */
export function sent(value: unknown, what: string): unknown {
  return toJson(decode(encode(value, what)));
}

/** What came; the JSON itself where that stands for no value: one that contains itself, or is not for this token to see. */
export function received(json: unknown): unknown {
  try {
    return fromJson(json);
  } catch {
    return json;
  }
}

/** A name as a part of a path. @throws HoldfastError name_invalid */
export function segment(name: string, what: string): string {
  return encodeURIComponent(checkSegment(name, what));
}
