/** Owns: reading the body of a start. */
import { toInstant, toMs } from "../../core/duration.ts";
import { HoldfastError } from "../../core/error.ts";
import { labelProblem, maxLabels } from "../../core/definition/label.ts";
import { checkName, checkRunId } from "../../core/name.ts";
import { defined, isRecord } from "../../core/record.ts";
import type { StartRequest } from "../../core/service/service.ts";
import type { Stored } from "../../core/value/value.ts";
import { invalidField, readFields, readInside, readValueField } from "../body.ts";
import type { Fields } from "../body.ts";

const maxAddresses = 10;

type Start = Pick<StartRequest, "input" | "id" | "labels" | "notify" | "startAt" | "delayMs" | "signal" | "update">;

/**
 * @param now epoch ms, from which a delay counts
 * @throws RequestError and HoldfastError, all of status 400 or 413
 */
export async function readStart(request: Request, now: number): Promise<Start> {
  const fields = await readFields(request, ["input", "id", "labels", "notify", "delay", "startAt", "signal", "update"]);
  const { id } = fields;
  const labels = readLabels(fields);
  return {
    input: readValueField(fields, "input"),
    ...(id === undefined ? {} : { id: checkRunId(id) }),
    ...defined({ labels }),
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
  if (startAt === undefined) return {};
  if (typeof startAt !== "string") throw invalidField("startAt", "must be RFC 3339 text");
  try {
    return { startAt: toInstant(startAt) };
  } catch {
    throw invalidField("startAt", "must be an instant such as 2026-03-01T09:00:00Z (RFC 3339)");
  }
}

export function readLabels({ labels }: Fields): Readonly<Record<string, string>> | undefined {
  if (labels === undefined) return undefined;
  if (!isRecord(labels)) throw invalidField("labels", "must be an object of text");
  const entries = Object.entries(labels);
  if (entries.length > maxLabels) throw invalidLabel(`there may be at most ${maxLabels} labels`);
  return Object.fromEntries(entries.map(([key, value]) => [key, checkLabel(key, value)]));
}

function checkLabel(key: string, value: unknown): string {
  if (typeof value !== "string") throw invalidField("labels", "must be an object of text");
  const problem = labelProblem(key, value);
  if (problem !== null) throw invalidLabel(problem);
  return value;
}

function invalidLabel(message: string): HoldfastError {
  return new HoldfastError("label_invalid", message, { issues: [{ path: "/labels", message }] });
}
