/** Checks the request of a `step.fetch` at the call, before it is handed to a courier. */
import { HoldfastError, messageOf } from "../error.ts";
import { bodyBytes } from "./order.ts";
import type { OrderRequest } from "./order.ts";
import { group, maxValueBytes } from "../size.ts";

const fields = ["url", "method", "headers", "body"];
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD"]);
/** Those that the platform sends, but for TRACE, which `fetch` refuses elsewhere. */
const methods: ReadonlySet<string> = new Set([
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PURGE", "BAN", "SEARCH", "REPORT", "MERGE"],
  ...["ACL", "CHECKOUT", "COPY", "LOCK", "MKACTIVITY", "MKCOL", "MOVE", "PROPFIND", "PROPPATCH", "UNLOCK"],
  ...["MSEARCH", "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE"],
]);

type Part = { readonly body: string | Uint8Array | null; readonly type: string | null };

/**
 * @param what names the step
 * @throws HoldfastError options_invalid, which says what is wrong; value_too_large
 */
export function readRequest(target: unknown, accepted: readonly number[], what: string): OrderRequest {
  const given = isPlain(target) ? target : { url: target };
  for (const field of Object.keys(given)) {
    if (!fields.includes(field))
      throw refusal(what, `a request has no field "${field}"; it takes ${fields.join(", ")}`);
  }
  const method = readMethod(given["method"], what);
  const { body, type } = readBody(given["body"], what);
  if (body !== null && bodiless.has(method)) throw refusal(what, `a ${method} request has no body`);
  const headers = readHeaders(given["headers"], what);
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return { method, url: readUrl(given["url"], what), headers: [...headers], body, accepted };
}

function readUrl(given: unknown, what: string): string {
  const text = given instanceof URL ? given.href : given;
  if (typeof text !== "string") throw refusal(what, "url must be text, such as https://example.com/");
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refusal(what, "url is no absolute URL, such as https://example.com/");
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refusal(what, "url must begin with https: or http:");
  if (url.username !== "" || url.password !== "")
    throw refusal(what, "url holds a user name or a password, which belong into the Authorization header");
  return url.href;
}

function readMethod(given: unknown, what: string): string {
  const method = given === undefined ? "GET" : typeof given === "string" ? given.toUpperCase() : "";
  if (!/^[A-Z][A-Z-]*$/.test(method)) throw refusal(what, "method must be a word, such as POST");
  if (!methods.has(method)) throw refusal(what, `${method} is a method that cannot be sent`);
  return method;
}

function readHeaders(given: unknown, what: string): Headers {
  if (given === undefined || given instanceof Headers) return new Headers(given);
  if (!isPlain(given)) throw refusal(what, "headers must be an object of texts, or Headers");
  const headers = new Headers();
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== "string") throw refusal(what, `the header ${name} must be text`);
    try {
      headers.set(name, value);
    } catch {
      // The value may be a secret.
      throw refusal(what, `the header ${JSON.stringify(name)} cannot be sent: its name or its value is no header's`);
    }
  }
  return headers;
}

function readBody(given: unknown, what: string): Part {
  const part = partOf(given, what);
  const bytes = bodyBytes(part);
  if (bytes <= maxValueBytes) return part;
  const sizes = `${group(bytes)} bytes, and at most ${group(maxValueBytes)} can be sent`;
  throw new HoldfastError("value_too_large", `${what}: the body has ${sizes}`);
}

function partOf(given: unknown, what: string): Part {
  if (given === undefined || given === null) return { body: null, type: null };
  if (typeof given === "string") return { body: given, type: null };
  if (given instanceof URLSearchParams)
    return { body: String(given), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  // A copy: the handler may change the buffer later.
  if (given instanceof ArrayBuffer) return { body: new Uint8Array(given.slice(0)), type: null };
  if (ArrayBuffer.isView(given))
    return { body: new Uint8Array(given.buffer, given.byteOffset, given.byteLength).slice(), type: null };
  const isJson = isPlain(given) || Array.isArray(given) || typeof given === "number" || typeof given === "boolean";
  if (!isJson)
    throw refusal(
      what,
      "body must be text, bytes, URLSearchParams or what JSON carries; a stream, a form or a blob cannot be kept",
    );
  try {
    return { body: JSON.stringify(given), type: "application/json" };
  } catch (cause) {
    throw refusal(what, `body cannot be written as JSON: ${messageOf(cause)}`);
  }
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const proto: unknown = Object.getPrototypeOf(value);
  return proto === Object.prototype || proto === null;
}

function refusal(what: string, why: string): HoldfastError {
  return new HoldfastError("options_invalid", `${what}: ${why}`);
}
