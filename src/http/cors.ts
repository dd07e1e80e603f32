/**
 * Owns: pages of other origins that call the API: those of CORS_ORIGINS, with a token of their own, and nobody
 * unless it is set. What a browser sends by itself, a cookie or its pass through Cloudflare Access, is no way in
 * for them: no answer allows credentials, and none that came of them is readable.
 */
import type { Context } from "hono";
import { cors } from "hono/cors";
import type { Config } from "./config.ts";

const allowMethods = ["GET", "HEAD", "POST", "PATCH", "DELETE"];
const allowHeaders = [
  ...["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "traceparent"],
  ...["Holdfast-Actor", "Holdfast-Reason"],
];
const exposeHeaders = ["Location", "Retry-After", "WWW-Authenticate"];
const maxAge = 600;

/** For the routes under `/v1`. A configuration that cannot be read allows nobody; the route says what is wrong. */
export async function allowOrigins(
  context: Context,
  readConfig: () => Config,
  respond: () => Promise<Response>,
): Promise<Response> {
  const request = context.req.raw;
  const origin = request.headers.get("origin");
  const isAllowed = origin !== null && originsOf(readConfig).includes(origin) && !isAmbient(request);
  if (!isAllowed || isMereQuestion(request)) return await respond();
  const share = cors({ origin, allowMethods, allowHeaders, exposeHeaders, maxAge });
  const preflight = await share(context, async () => void (context.res = await respond()));
  return preflight instanceof Response ? preflight : context.res;
}

function originsOf(readConfig: () => Config): readonly string[] {
  try {
    return readConfig().origins;
  } catch {
    return [];
  }
}

/** It would be let in, if at all, by what the browser sent by itself. */
function isAmbient({ headers }: Request): boolean {
  return !headers.has("authorization") && (headers.has("cookie") || headers.has("cf-access-jwt-assertion"));
}

/** OPTIONS that asks what an address takes, and not whether a page may call it. */
function isMereQuestion({ method, headers }: Request): boolean {
  return method === "OPTIONS" && !headers.has("access-control-request-method");
}
