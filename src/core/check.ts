/** Checks whether a value that was read has the expected form: simple checks, and functions that combine them. */
import { isRecord } from "./record.ts";

export type Check = (value: unknown) => boolean;

export const text: Check = (value) => typeof value === "string";
export const object: Check = isRecord;

export const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string);

export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);

export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);

/** The value may be missing. */
export const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
