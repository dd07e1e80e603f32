/**
 * Owns: query parameters, read strictly: an unknown or repeated one is refused, because ignoring a misspelt filter would
 * answer another question than was asked.
 */
import { toMs } from "../core/duration.ts";
import type { GroupField, RunFilter } from "../core/service/directory.ts";
import { defined } from "../core/record.ts";
import { shortened } from "../core/size.ts";
import { RequestError } from "./problem.ts";
import { asInstant, conditionNames, readConditions } from "./reading.ts";
import type { Reading } from "./reading.ts";
import { decoded, urlOf } from "./url.ts";

/** Parameters by name; each at most once. */
export type Query = ReadonlyMap<string, string>;

const maxWaitMs = 60_000;
export const maxLimit = 200;
const maxGroupFields = 4;

/**
 * @param known names; one that ends in a dot allows all that begin with it
 * @throws RequestError parameter_unknown, parameter_repeated, parameter_invalid
 */
export function readQuery(request: Request, known: readonly string[] = []): Query {
  const query = new Map<string, string>();
  for (const pair of urlOf(request).search.slice(1).split("&")) {
    if (pair === "") continue;
    const [name, value] = splitPair(pair);
    if (!known.some((each) => (each.endsWith(".") ? name.startsWith(each) : name === each))) {
      throw new RequestError("parameter_unknown", `The parameter ${show(name)} is not known here. ${listing(known)}`);
    }
    if (query.has(name)) throw new RequestError("parameter_repeated", `The parameter ${show(name)} is given twice.`);
    query.set(name, value);
  }
  return query;
}

function splitPair(pair: string): [name: string, value: string] {
  const at = pair.indexOf("=");
  const parts = at === -1 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
  const [name = "", value = ""] = parts.map((part) => decode(part.replaceAll("+", " ")));
  return [name, value];
}

function decode(text: string): string {
  const plain = decoded(text);
  if (plain !== null) return plain;
  throw new RequestError("parameter_invalid", "The query is not well-formed percent-encoded UTF-8.");
}

function listing(known: readonly string[]): string {
  return known.length === 0
    ? "This call takes none."
    : `Known: ${known.map((name) => name.replace(/\.$/, ".KEY")).join(", ")}.`;
}

/** How long to wait for the run's end; 0 unless asked. @throws HoldfastError duration_invalid */
export function readWait(query: Query): number {
  const waitMs = readSpan(query, "wait") ?? 0;
  if (waitMs <= maxWaitMs) return waitMs;
  throw invalidParameter("wait", "must be at most 60 s");
}

/** A Duration in ms. @throws HoldfastError duration_invalid */
export function readSpan(query: Query, name: string): number | undefined {
  const text = query.get(name);
  // Digits alone are milliseconds: a Duration that is a number.
  return text === undefined ? undefined : toMs(/^\d{1,15}$/.test(text) ? Number(text) : text, name);
}

/** How many items a page has, 1 to 200. */
export function readLimit(query: Query, otherwise: number): number {
  const limit = readCount(query, "limit") ?? otherwise;
  if (limit >= 1 && limit <= maxLimit) return limit;
  throw invalidParameter("limit", `must be from 1 to ${maxLimit}`);
}

/** Whether the call is only to tell what it would do: its one parameter `dryRun`. @throws RequestError parameter_invalid */
export function readDryRun(request: Request): boolean {
  const text = readQuery(request, ["dryRun"]).get("dryRun") ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw invalidParameter("dryRun", "must be true or false");
}

/** A whole number, 0 or more. */
export function readCount(query: Query, name: string): number | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalidParameter(name, "must be a whole number");
}

/** @throws RequestError parameter_invalid */
export function readParameter<Value>(query: Query, name: string, reading: Reading<Value>): Value | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  // In an instant, a plus sign that was not encoded arrives as a blank.
  const value = reading.of((reading as Reading<unknown>) === asInstant ? text.replace(/ (?=\d\d:\d\d$)/, "+") : text);
  if (value !== null) return value;
  throw invalidParameter(name, reading.rule);
}

/** The parameters that `readFilter` reads. */
export const filterNames = [...conditionNames, "label."] as const;

/** The filter of runs. @throws RequestError parameter_invalid */
export function readFilter(query: Query): RunFilter {
  const conditions = readConditions((name, reading) => readParameter(query, name, reading));
  return { ...conditions, ...defined({ labels: readLabels(query) }) };
}

/** Fields to group by, with commas between them; none unless given. */
export function readGroupBy(query: Query): readonly GroupField[] {
  const fields = query.get("groupBy")?.split(",") ?? [];
  if (fields.length > maxGroupFields) throw invalidParameter("groupBy", `must be at most ${maxGroupFields} fields`);
  if (new Set(fields).size < fields.length) throw invalidParameter("groupBy", "must name each field once");
  return fields.map(toGroupField);
}

function toGroupField(text: string): GroupField {
  const field = (["workflow", "status", "errorCode"] as const).find((known) => known === text);
  if (field !== undefined) return field;
  const key = text.startsWith("label.") ? text.slice(6) : "";
  if (key !== "" && key.length <= 256) return `label.${key}`;
  throw invalidParameter(
    "groupBy",
    "must be of workflow, status, errorCode, label.KEY; several with commas between them",
  );
}

/** The labels of `label.KEY=value` parameters. */
function readLabels(query: Query): Readonly<Record<string, string>> | undefined {
  const labels = [...query]
    .filter(([name]) => name.startsWith("label."))
    .map(([name, value]) => [name.slice(6), value]);
  if (labels.length === 0) return undefined;
  for (const [key = ""] of labels) {
    if (key === "" || key.length > 256) throw invalidParameter("label.KEY", "must have a KEY of 1 to 256 characters");
  }
  return Object.fromEntries(labels) as Record<string, string>;
}

export function invalidParameter(name: string, rule: string): RequestError {
  return new RequestError("parameter_invalid", `The parameter ${name} ${rule}.`);
}

function show(name: string): string {
  return JSON.stringify(shortened(name, 80));
}
