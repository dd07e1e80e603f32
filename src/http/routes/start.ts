/** Owns: starting runs, one by one and many with one call: the routes, and reading the body of a start. */
import { toMs } from "../../core/duration.ts";
import { HoldfastError, hasCode } from "../../core/error.ts";
import { labelProblem, maxLabels } from "../../core/definition/label.ts";
import { checkName, checkRunId } from "../../core/name.ts";
import { defined, isRecord, sortedEntries } from "../../core/record.ts";
import { keyInBatch } from "../../core/run/key.ts";
import type { Made } from "../../core/run/run.ts";
import type { StartRequest } from "../../core/service/service.ts";
import type { Stored } from "../../core/value/value.ts";
import { viewUpdate } from "./ask.ts";
import { readSender } from "../auth/author.ts";
import { checkFields, invalidField, readField, readFields, readInside, readKey, readValueField } from "../body.ts";
import type { Fields } from "../body.ts";
import { describeProblem } from "../problem.ts";
import { readQuery, readWait } from "../query.ts";
import { asInstant } from "../reading.ts";
import type { Call, Route } from "../route.ts";
import { urlOf } from "../url.ts";
import { respondRun } from "../view.ts";

const maxAddresses = 10;
/** A start makes up to ten calls of objects, and a request on the free plan may make a thousand. */
const maxBatch = 100;
/** More would stand in each other's way where their workflow has a singleton. */
const atOnce = 5;
const batchFields = ["input", "id", "labels", "notify", "delay", "startAt", "notAfter", "signal"];
const startFields = [...batchFields, "update"];

type Start = Pick<
  StartRequest,
  "input" | "id" | "labels" | "notify" | "startAt" | "delayMs" | "notAfter" | "signal" | "update"
>;

export const startRoutes: readonly Route[] = [
  { method: "POST", path: "/v1/workflows/:name/runs", role: "operate", handle: start },
  { method: "POST", path: "/v1/workflows/:name/batch", role: "operate", handle: startMany },
];

async function start(call: Call): Promise<Response> {
  const waitMs = readWait(readQuery(call.request, ["wait"]));
  const start = readStart(await readFields(call.request, startFields), Date.now());
  const request = { ...readKey(call.request), ...start, ...readTerms(call), waitMs };
  const { run, created, update } = await call.service.runs.start(request);
  const made = update === undefined ? {} : { update: viewUpdate(start.update?.name ?? "", update) };
  return respondRun(run, created ? 201 : 200, made);
}

/** What a start has besides its body and its key. */
function readTerms(call: Call) {
  return { workflow: call.param("name"), origin: urlOf(call.request).origin, ...readSender(call) };
}

/** Starts each as if it came alone. */
async function startMany(call: Call): Promise<Response> {
  readQuery(call.request);
  const { key } = readKey(call.request);
  const { runs } = await readFields(call.request, ["runs"]);
  if (!Array.isArray(runs) || runs.length < 1 || runs.length > maxBatch) {
    throw invalidField("runs", `must be a list of 1 to ${maxBatch} starts`);
  }
  const terms = readTerms(call);
  if (key !== undefined) await call.service.runs.bindBatch(key, canonical([terms.workflow, runs]));
  const startOne = async (json: unknown, index: number): Promise<Made> => {
    const start = readStart(checkFields(json, batchFields, "The start"), Date.now());
    const own = key === undefined ? {} : { key: keyInBatch(key, index) };
    return await call.service.runs.start({ ...own, ...start, ...terms });
  };
  const results: PromiseSettledResult<Made>[] = [];
  while (results.length < runs.length) {
    const next = runs.slice(results.length, results.length + atOnce);
    results.push(...(await Promise.allSettled(next.map((json, n) => startOne(json, results.length + n)))));
  }
  // It is in the address, and so the same for all of them.
  const astray = results.find((each) => each.status === "rejected" && hasCode(each.reason, "workflow_not_found"));
  if (astray?.status === "rejected") throw astray.reason;
  return Response.json({ runs: results.map(viewResult) });
}

function viewResult(result: PromiseSettledResult<Made>) {
  if (result.status === "rejected") {
    const { body, headers } = describeProblem(result.reason);
    const after = headers["retry-after"];
    return { problem: body, ...(after === undefined ? {} : { retryAfter: Number(after) }) };
  }
  const { run, created } = result.value;
  return { id: run.id, status: run.status, created };
}

/** The same text for the same JSON, in whatever order its fields came. @throws RequestError body_invalid */
function canonical(json: unknown): string {
  try {
    return JSON.stringify(json, (_, value: unknown) =>
      isRecord(value) ? Object.fromEntries(sortedEntries(value)) : value,
    );
  } catch {
    // There is nothing else that parsed JSON is refused for.
    throw invalidField("runs", "is nested too deep");
  }
}

/**
 * @param now epoch ms, from which a delay counts
 * @throws RequestError and HoldfastError, all of status 400 or 413
 */
function readStart(fields: Fields, now: number): Start {
  const { id } = fields;
  return {
    input: readValueField(fields, "input"),
    ...(id === undefined ? {} : { id: checkRunId(id) }),
    ...defined({ labels: readLabels(fields), notAfter: readField(fields, "notAfter", asInstant) }),
    ...readBegin(fields, now),
    ...readNotify(fields),
    ...readMessage(fields),
  };
}

/** One address, or a list of them; the service checks which may be called. */
function readNotify({ notify }: Fields): Pick<Start, "notify"> {
  if (notify === undefined) return {};
  const urls: readonly unknown[] = Array.isArray(notify) ? notify : [notify];
  if (urls.length > maxAddresses) throw invalidField("notify", `must be at most ${maxAddresses} addresses`);
  const texts = urls.filter((url) => typeof url === "string");
  if (texts.length < urls.length) throw invalidField("notify", "must be an address, or a list of them");
  return { notify: texts };
}

/** The signal or update that comes with the start. */
function readMessage({ signal, update }: Fields): Pick<Start, "signal" | "update"> {
  if (signal !== undefined && update !== undefined) throw invalidField("update", "excludes signal: give one of them");
  if (signal !== undefined) {
    const { name, value } = readNamed("signal", signal, "payload");
    return { signal: { name, payload: value } };
  }
  if (update === undefined) return {};
  const { name, value } = readNamed("update", update, "argument");
  return { update: { name, argument: value } };
}

function readNamed(field: string, json: unknown, valueField: string): { name: string; value: Stored } {
  if (!isRecord(json)) throw invalidField(field, `must be an object of name and ${valueField}`);
  const unknown = Object.keys(json).find((key) => key !== "name" && key !== valueField);
  if (unknown !== undefined) throw invalidField(field, `has a field that it does not take, ${JSON.stringify(unknown)}`);
  return { name: checkName(json["name"], field), value: readInside(field, () => readValueField(json, valueField)) };
}

function readBegin(fields: Fields, now: number): Pick<Start, "startAt" | "delayMs"> {
  const { delay, startAt } = fields;
  if (delay !== undefined && startAt !== undefined) throw invalidField("startAt", "excludes delay: give one of them");
  if (delay !== undefined) {
    const delayMs = toMs(delay, "delay");
    return { startAt: now + delayMs, delayMs };
  }
  return defined({ startAt: readField(fields, "startAt", asInstant) });
}

export function readLabels({ labels }: Fields): Readonly<Record<string, string>> | undefined {
  if (labels === undefined) return undefined;
  if (!isRecord(labels)) throw invalidField("labels", "must be an object of text");
  const entries = Object.entries(labels);
  if (entries.length > maxLabels) throw invalidLabel(`there may be at most ${maxLabels} labels`);
  return Object.fromEntries(entries.map(([key, value]) => [key, checkLabel(key, value)]));
}

function checkLabel(key: string, value: unknown): string {
  if (typeof value !== "string") {
    throw invalidField("labels", `must be an object of text; ${JSON.stringify(key.slice(0, 80))} has another value`);
  }
  const problem = labelProblem(key, value);
  if (problem !== null) throw invalidLabel(problem);
  return value;
}

function invalidLabel(message: string): HoldfastError {
  return new HoldfastError("label_invalid", message, { issues: [{ path: "/labels", message }] });
}
