/** Whether something that was read is what it should be: the smallest checks, and what makes larger ones of them. */
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

/** It need not be there. */
export const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
