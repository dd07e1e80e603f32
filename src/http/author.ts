/**
 * Owns: who is behind a request, and why, as the request itself says: the header `Holdfast-Actor` names
 * the person, `Holdfast-Reason` says why where the body has no room for it. Both are percent-encoded
 * UTF-8, because a header carries no other text. A name is taken at its word; the role of the token that
 * let it in stands beside it wherever it is written down. Whom Cloudflare Access knows has their name from
 * there, and the header says nothing.
 */
import type { Author } from "../core/author.ts";
import { isLonger } from "../core/size.ts";
import type { Caller } from "./auth.ts";
import { readText } from "./body.ts";
import type { Fields } from "./body.ts";
import { RequestError } from "./problem.ts";

const maxActor = 256;
const maxReason = 4096;

/** @throws RequestError header_invalid */
export function readAuthor(request: Request, { role, name }: Caller): Author {
  if (name !== null) return { by: name, role };
  const actor = readHeader(request, "Holdfast-Actor", maxActor);
  return actor === null ? { by: role } : { by: actor, role };
}

/** Of the body where it says why, else of the header. @throws RequestError body_invalid, header_invalid */
export function readReason(request: Request, fields: Fields = {}): string | null {
  return readText(fields, "reason", maxReason) ?? readHeader(request, "Holdfast-Reason", maxReason);
}

/** The reason where there is one, for requests whose body has no room for it. @throws RequestError header_invalid */
export function readWhy(request: Request): { readonly reason?: string } {
  const reason = readReason(request);
  return reason === null ? {} : { reason };
}

function readHeader(request: Request, name: string, longest: number): string | null {
  const text = request.headers.get(name)?.trim() ?? "";
  if (text === "") return null;
  const decoded = decode(text)?.trim() ?? "";
  if (decoded !== "" && !isLonger(decoded, longest) && !decoded.includes("\0")) return decoded;
  const detail = `${name} must be percent-encoded UTF-8 of 1 to ${longest} characters, without NUL.`;
  throw new RequestError("header_invalid", detail);
}

/** Null where it is no percent-encoded UTF-8: what is not ASCII comes as other text than was meant. */
function decode(text: string): string | null {
  if (!/^[\x20-\x7e]*$/.test(text)) return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
