/**
 * Owns: calls of the API from pages of other origins: only those in CORS_ORIGINS, and only with a token of their own.
 * Credentials that a browser sends by itself, a cookie or an assertion of Cloudflare Access, do not help them: no response
 * allows credentials, and pages cannot read one that was given because of them.
 */
import type { Context } from "hono";
import { cors } from "hono/cors";
import type { Config } from "../config.ts";

const allowMethods = ["GET", "HEAD", "POST", "PATCH", "DELETE"];
const allowHeaders = [
  ...["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "traceparent"],
  ...["Holdfast-Actor", "Holdfast-Reason"],
];
const exposeHeaders = ["Location", "Retry-After", "WWW-Authenticate"];
const maxAge = 600;

/** For routes under `/v1`. @throws RequestError as `readConfig`, like the routes themselves */
export async function allowOrigins(
  context: Context,
  readConfig: () => Config,
  respond: () => Promise<Response>,
): Promise<Response> {
  const request = context.req.raw;
  const origin = request.headers.get("origin");
  const isAllowed = origin !== null && readConfig().origins.includes(origin) && !isAmbient(request);
  if (!isAllowed || isMereQuestion(request)) return await respond();
  const share = cors({ origin, allowMethods, allowHeaders, exposeHeaders, maxAge });
  const preflight = await share(context, async () => void (context.res = await respond()));
  return preflight instanceof Response ? preflight : context.res;
}

/** Whether the request has only credentials that the browser sent by itself. */
function isAmbient({ headers }: Request): boolean {
  return !headers.has("authorization") && (headers.has("cookie") || headers.has("cf-access-jwt-assertion"));
}

/** Whether it is an OPTIONS request that is not a CORS preflight. */
function isMereQuestion({ method, headers }: Request): boolean {
  return method === "OPTIONS" && !headers.has("access-control-request-method");
}
