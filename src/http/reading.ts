/** Owns: what the text of a parameter, or the field of a body, may be, and the rule that a refusal tells. */
import { isCauseId } from "../core/listing/cause.ts";
import { toInstant } from "../core/duration.ts";
import { isRunId } from "../core/name.ts";
import { defined } from "../core/record.ts";
import { runStatuses } from "../core/run/run.ts";
import type { RunStatus } from "../core/run/run.ts";
import type { RunFilter } from "../core/service/directory.ts";
import { isLonger } from "../core/size.ts";

/** `of` returns null for what is against the rule. */
export type Reading<Value> = { readonly of: (given: unknown) => Value | null; readonly rule: string };

/** Reads what is given by name, if it is. @throws RequestError with the rule */
export type Read = <Value>(name: string, reading: Reading<Value>) => Value | undefined;

export const asName: Reading<string> = {
  of: (given) => (typeof given === "string" && given !== "" && !isLonger(given, 256) ? given : null),
  rule: "must be 1 to 256 characters of text",
};

/** RFC 3339 to epoch ms. */
export const asInstant: Reading<number> = {
  of: (given) => {
    try {
      return typeof given === "string" ? toInstant(given) : null;
    } catch {
      return null;
    }
  },
  rule: "must be an instant such as 2026-03-01T09:00:00Z (RFC 3339)",
};

export function asOneOf<Option extends string>(options: readonly Option[]): Reading<Option> {
  return {
    of: (given) => options.find((option) => option === given) ?? null,
    rule: `must be one of ${options.join(", ")}`,
  };
}

/** One status, or several: in a list, or with commas between them. */
const asStatuses: Reading<readonly RunStatus[]> = {
  of: (given) => {
    const texts: readonly unknown[] = Array.isArray(given) ? given : String(given).split(",");
    const found = texts.flatMap((text) => runStatuses.filter((status) => status === text));
    return found.length === texts.length && found.length > 0 ? found : null;
  },
  rule: `must be of ${runStatuses.join(", ")}; several in a list, or with commas between them`,
};

const asIdPrefix: Reading<string> = {
  of: (given) => (typeof given === "string" && isRunId(given) ? given : null),
  rule: "must be the beginning of a run id: letters, digits, dots, underscores, colons, hyphens",
};

const asCause: Reading<string> = {
  of: (given) => (typeof given === "string" && isCauseId(given) ? given : null),
  rule: "must be the id of a cause, as GET /v1/directory/causes answers it",
};

/** The names of the conditions of a filter besides its labels. */
export const conditionNames = [
  ...["workflow", "status", "createdAfter", "createdBefore", "idPrefix", "errorCode", "cause"],
] as const;

export function readConditions(read: Read): Omit<RunFilter, "labels"> {
  return defined({
    workflow: read("workflow", asName),
    status: read("status", asStatuses),
    createdAfter: read("createdAfter", asInstant),
    createdBefore: read("createdBefore", asInstant),
    idPrefix: read("idPrefix", asIdPrefix),
    errorCode: read("errorCode", asName),
    cause: read("cause", asCause),
  });
}
