/**
 * Owns: the author of a request and the reason, as its headers give them: `Holdfast-Actor` names the person,
 * `Holdfast-Reason` gives the reason where the body has no field for it. Both are percent-encoded UTF-8, because headers
 * carry ASCII only. The name is not verified, so it is always recorded together with the role of the token. For callers
 * known to Cloudflare Access the name from there is used, and the header is ignored.
 */
import type { Author, RequestMetadata } from "../../core/author.ts";
import type { SignalRequest } from "../../core/service/service.ts";
import { acceptTrace } from "../../core/trace/trace.ts";
import { isLonger } from "../../core/size.ts";
import type { Caller } from "./auth.ts";
import { readKey, readText } from "../body.ts";
import type { Fields } from "../body.ts";
import { RequestError } from "../problem.ts";
import type { Call } from "../route.ts";
import { decoded } from "../url.ts";

const maxActor = 256;
const maxReason = 4096;

/** @throws RequestError header_invalid */
export function readAuthor(request: Request, { role, name }: Caller): Author {
  if (name !== null) return { by: name, role };
  const actor = readHeader(request, "Holdfast-Actor", maxActor);
  return actor === null ? { by: role } : { by: actor, role };
}

/** @param fields of the body, where it may have a reason */
export function readMetadata({ request, author }: Call, fields: Fields): RequestMetadata {
  return { ...readKey(request), ...author, reason: readReason(request, fields) };
}

/** Who starts or signals a run, why, and in which W3C trace; an invalid one is ignored, as the specification demands. */
export function readSender({ request, author }: Call): Pick<SignalRequest, "by" | "role" | "reason" | "trace"> {
  return { ...author, ...readWhy(request), ...acceptTrace(request.headers.get("traceparent")) };
}

/** The reason: from the body, else from the header. @throws RequestError body_invalid, header_invalid */
export function readReason(request: Request, fields: Fields = {}): string | null {
  return readText(fields, "reason", maxReason) ?? readHeader(request, "Holdfast-Reason", maxReason);
}

/** The reason from the header, for requests whose body has no field for it. @throws RequestError header_invalid */
export function readWhy(request: Request): { readonly reason?: string } {
  const reason = readReason(request);
  return reason === null ? {} : { reason };
}

function readHeader(request: Request, name: string, longest: number): string | null {
  const text = request.headers.get(name)?.trim() ?? "";
  if (text === "") return null;
  const plain = /^[\x20-\x7e]*$/.test(text) ? (decoded(text)?.trim() ?? "") : "";
  if (plain !== "" && !isLonger(plain, longest) && !plain.includes("\0")) return plain;
  const detail = `${name} must be percent-encoded UTF-8 of 1 to ${longest} characters, without NUL.`;
  throw new RequestError("header_invalid", detail);
}
