/** A call of a webhook, as the workflow sees it. */
import { HoldfastError } from "./error.ts";
import type { HookRequest } from "./service.ts";
import type { WebhookCall } from "./step.ts";

/**
 * Parses the body by its content type: JSON, a form's fields as an object, `text/*` as a string,
 * anything else as bytes, an empty one as null.
 * @throws HoldfastError body_invalid where the body is not what its content type says.
 */
export function readHookCall({ method, headers, query, body }: HookRequest): WebhookCall {
  return { method, headers: { ...headers }, query: { ...query }, body: readBody(headers["content-type"] ?? "", body) };
}

/** A body by its content type. @throws HoldfastError body_invalid */
export function readBody(contentType: string, bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return null;
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "application/json" || type.endsWith("+json")) return readJson(bytes);
  if (type === "application/x-www-form-urlencoded") return Object.fromEntries(new URLSearchParams(readText(bytes)));
  if (type.startsWith("text/")) return readText(bytes);
  return bytes;
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(readText(bytes)) as unknown;
  } catch (cause) {
    throw new HoldfastError("body_invalid", "the body is not JSON, which its content type says it is", { cause });
  }
}

function readText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch (cause) {
    throw new HoldfastError("body_invalid", "the body is not UTF-8 text", { cause });
  }
}
