/** What any answer of the API must be, whatever was asked: judged by the table of routes and the described schemas. */
import Ajv from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";
import { roles } from "../../../src/http/config.ts";
import { operations } from "../../../src/http/openapi/operation.ts";
import { schemas } from "../../../src/http/openapi/schema.ts";
import type { Schema } from "../../../src/http/openapi/schema.ts";
import { statuses } from "../../../src/http/problem.ts";
import type { Shot } from "./shot.ts";
import { markup } from "./value.ts";

export type Reply = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What was JSON; undefined for anything else. */
  readonly json: unknown;
};

/** Refusals that are no defect although they are of the server: it says that it may be asked again, or what is not set. */
const passing = new Set(["unavailable", "overloaded", "query_timeout", "config_invalid"]);
/** Codes whose status is another one at some routes. */
const elsewhere: Readonly<Record<string, readonly number[]>> = { run_ended: [410], internal: [] };
/** What the dashboard's pages answer: shown, moved, unchanged. */
const pageStatuses = [200, 303, 304];

const ajv = new Ajv({ strict: false, allErrors: false, formats: { "date-time": isInstant } });
const validators = new Map<Schema, ValidateFunction>();

/**
 * What is wrong with the answer; nothing when all is well.
 * @param isStormy objects were ended while it was made
 */
export function judge(shot: Shot, reply: Reply, isStormy: boolean): string[] {
  const { status, headers } = reply;
  // The error with which the test ends all objects has none of the marks that those of the platform have.
  if (isStormy && status === 500) return [];
  const wrong: string[] = [];
  for (const name of ["cache-control", "content-security-policy", "referrer-policy", "x-content-type-options"]) {
    if (!headers.has(name)) wrong.push(`no ${name}`);
  }
  if (headers.get("content-type")?.startsWith("text/html") === true && reply.text.includes(markup)) {
    wrong.push("shows markup that was sent to it");
  }
  if (status >= 400) return [...wrong, ...judgeRefusal(shot, reply)];
  return [...wrong, ...judgeRight(shot, reply), ...judgeSuccess(shot, reply)];
}

function judgeRefusal({ route, method }: Shot, { status, headers, json, text }: Reply): string[] {
  const type = headers.get("content-type");
  if (method === "HEAD") return status >= 500 && status !== 503 ? [`${status}`] : [];
  const isPage =
    type === "text/html; charset=utf-8" && (route === null || route.page === true || route.role === "open");
  if (isPage) return status >= 500 && status !== 503 ? [`a page of ${status}`] : [];
  if (type !== "application/problem+json") return [`an error of the type ${type ?? "none"}: ${text.slice(0, 100)}`];
  const wrong = describeMismatch(schemas.Problem, json);
  const { code = "", status: said, detail = "" } = json as { code?: string; status?: number; detail?: string };
  const known = Object.hasOwn(statuses, code) ? [statuses[code as keyof typeof statuses]] : [];
  if (![...known, ...(elsewhere[code] ?? [])].includes(status)) wrong.push(`${code} with the status ${status}`);
  if (said !== status) wrong.push(`says ${said ?? "no status"}`);
  if (detail.length > 1000) wrong.push("repeats what it was sent at length");
  if (status >= 500 && !passing.has(code)) wrong.push(`${status} ${code}`);
  return wrong;
}

/** Nobody is served without the right to it. */
function judgeRight({ route, held, method }: Shot, { status }: Reply): string[] {
  if (route === null || route.role === "open" || method === "OPTIONS" || status === 303) return [];
  const isAllowed = held !== null && roles.indexOf(held) >= roles.indexOf(route.role);
  return isAllowed ? [] : [`lets ${held ?? "nobody"} in where ${route.role} is needed`];
}

function judgeSuccess({ route, method }: Shot, { status, headers, json, text }: Reply): string[] {
  if (method === "OPTIONS") return status === 204 ? [] : [`OPTIONS is ${status}`];
  if (route === null) return status === 304 || status === 303 ? [] : [];
  const operation = operations[`${route.method} ${route.path}`];
  if (operation === undefined) return pageStatuses.includes(status) ? [] : [`a page of ${status}`];
  if (status === 101) return operation.type === "text/event-stream" ? [] : ["a socket"];
  // A workflow may answer the call of its webhook itself.
  if (route.method === "ALL") return status < 300 ? [] : [`${status}`];
  const schema = operation.answers[status];
  if (schema === undefined) return [`${status} is not described`];
  if (schema === null || method === "HEAD") return text === "" ? [] : ["a body where there is none"];
  const type = operation.type ?? (route.path === "/openapi.json" ? "application/openapi+json" : "application/json");
  if (headers.get("content-type") !== type) return [`the type ${headers.get("content-type") ?? "none"}`];
  return type === "application/json" ? describeMismatch(schema, json) : [];
}

function describeMismatch(schema: Schema, json: unknown): string[] {
  const known = validators.get(schema);
  // References lead from the root of the document.
  const validate = known ?? ajv.compile({ ...schema, components: { schemas } });
  if (known === undefined) validators.set(schema, validate);
  if (validate(json)) return [];
  const [error] = validate.errors ?? [];
  return [`not as described: ${error?.instancePath ?? ""} ${error?.message ?? ""}`];
}

/** RFC 3339, as the API writes it. */
function isInstant(text: string): boolean {
  return /^[-+]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/.test(text) && !Number.isNaN(Date.parse(text));
}
