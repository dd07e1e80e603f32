/** Owns: the filter in the address of a page of runs: parameters as of `GET /v1/runs`, and how links change them. */
import { runStatuses } from "../../core/run/run.ts";
import type { RunStatus } from "../../core/run/run.ts";
import type { RunFilter } from "../../core/service/directory.ts";
import { filterNames, readQuery } from "../query.ts";

/** The given parameters of the address, in the order in which links write them. */
export type FilterParameters = ReadonlyMap<string, string>;

/** @throws RequestError parameter_unknown, parameter_repeated, parameter_invalid */
export function readParameters(request: Request): FilterParameters {
  return readQuery(request, [...filterNames, "cursor"]);
}

/** The filter as `POST /v1/runs/bulk` takes it. */
export function toBulkFilter({ createdAfter, createdBefore, ...rest }: RunFilter): object {
  return {
    ...rest,
    ...(createdAfter === undefined ? {} : { createdAfter: new Date(createdAfter).toISOString() }),
    ...(createdBefore === undefined ? {} : { createdBefore: new Date(createdBefore).toISOString() }),
  };
}

/** The query with these parameters changed; null removes one. Any change leads back to the first page. */
export function queryOf(parameters: FilterParameters, changes: Readonly<Record<string, string | null>> = {}): string {
  const query = new URLSearchParams();
  const merged = { ...Object.fromEntries(parameters), cursor: null, ...changes };
  for (const [name, value] of Object.entries(merged)) if (value !== null) query.set(name, value);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** The statuses with this one added, or removed if it is there; null for none, which means all. */
export function toggle(statuses: readonly RunStatus[], status: RunStatus): string | null {
  const next = runStatuses.filter((each) => statuses.includes(each) !== (each === status));
  return next.length === 0 ? null : next.join(",");
}

/**
 * The address in the form that links use. A form without the script writes it otherwise: with empty fields, a label as
 * `label=KEY=value`, instants without a zone (taken as UTC). Null where it has the right form already.
 */
export function tidy(url: URL): string | null {
  const query = new URLSearchParams();
  for (const [name, value] of url.searchParams) {
    const at = value.indexOf("=");
    if (value.trim() === "") continue;
    if (name === "label" && at > 0) query.set(`label.${value.slice(0, at).trim()}`, value.slice(at + 1).trim());
    else if (/^created(?:After|Before)$/.test(name)) query.append(name, withZone(value));
    else query.append(name, name.startsWith("label") ? value : value.trim());
  }
  return query.toString() === url.searchParams.toString() ? null : `${url.pathname}${toSearch(query)}`;
}

function withZone(value: string): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?$/.test(value)) return value;
  return `${value}${/T\d\d:\d\d$/.test(value) ? ":00" : ""}Z`;
}

function toSearch(query: URLSearchParams): string {
  return query.size === 0 ? "" : `?${query.toString()}`;
}
