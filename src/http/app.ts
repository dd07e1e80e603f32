/**
 * Owns: the Hono app: the table of routes, who may call which, and the headers of every answer.
 * Does not own: what a route does; it asks the service and nothing below it.
 */
import { Hono } from "hono";
import type { Context } from "hono";
import { methodNotAllowed } from "hono/method-not-allowed";
import { TrieRouter } from "hono/router/trie-router";
import type { Service } from "../core/service/service.ts";
import type { Visibility } from "../core/redaction/redaction.ts";
import { askRoutes } from "./routes/ask.ts";
import { authorise } from "./auth/auth.ts";
import type { Caller } from "./auth/auth.ts";
import { readAuthor } from "./auth/author.ts";
import { bulkRoutes } from "./routes/bulk.ts";
import type { Config } from "./config.ts";
import { allowOrigins } from "./auth/cors.ts";
import { directoryRoutes } from "./routes/directory.ts";
import { eventRoutes } from "./routes/events.ts";
import { forkRoutes } from "./routes/fork.ts";
import { Lockout } from "./auth/lockout.ts";
import { hookRoutes } from "./routes/hook.ts";
import { laneRoutes } from "./routes/lane.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { describingRoute } from "./openapi/document.ts";
import { refusalPage } from "./pages/refusal.tsx";
import { siteRoutes } from "./pages/site.ts";
import { problem, RequestError } from "./problem.ts";
import { readQuery } from "./query.ts";
import type { Call, Route } from "./route.ts";
import { runRoutes } from "./routes/run.ts";
import { scheduleRoutes } from "./routes/schedule.ts";
import { startRoutes } from "./routes/start.ts";
import { statsRoutes } from "./routes/stats.ts";
import { timelineRoutes } from "./routes/timeline.ts";
import { transferRoutes } from "./routes/transfer.ts";
import { decoded, urlOf } from "./url.ts";
import { redact } from "./redaction.ts";
import { workflowRoutes } from "./routes/workflow.ts";

const api: readonly Route[] = [
  { method: "GET", path: "/health", role: "open", handle: health },
  ...workflowRoutes,
  ...startRoutes,
  ...runRoutes,
  ...eventRoutes(),
  ...timelineRoutes,
  ...forkRoutes,
  ...transferRoutes,
  ...bulkRoutes,
  ...directoryRoutes,
  ...askRoutes,
  ...scheduleRoutes,
  ...laneRoutes,
  ...statsRoutes,
  ...metricsRoutes,
  ...hookRoutes,
];

export const routes: readonly Route[] = [describingRoute(api), ...api, ...siteRoutes];

/**
 * @param readConfig is called at every request that needs a token; what it throws becomes the response
 */
export function createApp(service: Service, readConfig: () => Config): Hono {
  // Hono's default would try another router first, which cannot have `/v1/runs/bulk` beside `/v1/runs/:id`.
  const app = new Hono({ router: new TrieRouter() });
  const services = {
    whole: service,
    unaddressed: redact(service, "unaddressed"),
    shapes: redact(service, "shapes"),
  };
  const door: Door = { services, readConfig, lockout: new Lockout() };
  for (const route of routes) {
    app.on(route.method, route.path, (context) => frame(context, door, () => serve(route, context, door)));
  }
  const otherMethods = methodNotAllowed({ app, onMethodNotAllowed: refuseMethod });
  const astray = async (context: Context): Promise<Response> => {
    await otherMethods(context, async () => void (context.res = await refuseRoute(context, door)));
    return context.res;
  };
  app.notFound((context) => frame(context, door, () => astray(context)));
  app.onError((error) => problem(error));
  return app;
}

/** Adds what every response has. One function, because a chain of middleware costs more. */
async function frame(context: Context, { readConfig }: Door, respond: () => Promise<Response>): Promise<Response> {
  const { path } = context.req;
  const isApi = path === "/v1" || path.startsWith("/v1/");
  const response = await (isApi ? allowOrigins(context, readConfig, respond) : respond()).catch(problem);
  seal(context.req.raw, response.headers);
  return response;
}

/** What every request is authorised with, and the service as callers may see it. */
type Door = {
  readonly services: Readonly<Record<Visibility, Service>>;
  readonly readConfig: () => Config;
  readonly lockout: Lockout;
};

function health({ request }: Call): Response {
  readQuery(request);
  return Response.json({ status: "ok" });
}

async function serve(
  { role, handle, page }: Route,
  context: Context,
  { services, readConfig, lockout }: Door,
): Promise<Response> {
  const request = context.req.raw;
  const param = (name: string): string => context.req.param(name) ?? "";
  let caller: Caller | null = null;
  try {
    if (role !== "open") {
      caller = await authorise(request, readConfig(), role, lockout);
      checkPath(request);
    }
    const service = services[caller?.visibility ?? "whole"];
    const author = caller === null ? { by: "local" } : readAuthor(request, caller);
    return await handle({ request, param, config: readConfig, lockout, service, author, caller });
  } catch (error) {
    return page === true ? refusalPage(request, error, caller) : problem(error);
  }
}

/** Refuses a path that cannot be decoded: Hono would use it undecoded, as another name than was meant. */
function checkPath(request: Request): void {
  const path = decoded(urlOf(request).pathname);
  if (path !== null && !path.includes("\0")) return;
  throw new RequestError("path_invalid", "The path is not well-formed percent-encoded UTF-8 without NUL.");
}

const openPath = /^\/(?:health$|(?:hooks|webhooks|assets)(?:\/|$))/;

/** Answers for an unknown route. Without a token, callers do not learn which routes exist. */
async function refuseRoute(context: Context, { readConfig, lockout }: Door): Promise<Response> {
  const request = context.req.raw;
  let caller: Caller | null = null;
  try {
    if (!openPath.test(urlOf(request).pathname)) caller = await authorise(request, readConfig(), "read", lockout);
    throw new RequestError("route_not_found", "There is nothing at this address.");
  } catch (error) {
    return wantsPage(context) ? refusalPage(request, error, caller) : problem(error);
  }
}

/** Whether the request is a browser's for a page. */
function wantsPage({ req }: Context): boolean {
  const isVisit = req.method === "GET" && req.header("accept")?.includes("text/html") === true;
  return isVisit && !req.path.startsWith("/v1/");
}

function refuseMethod(context: Context, methods: readonly string[]): Response {
  const allow = [...methods, "OPTIONS"].join(", ");
  if (context.req.method === "OPTIONS") return new Response(null, { status: 204, headers: { allow } });
  const detail = `This address takes ${allow}.`;
  return problem(new RequestError("method_not_allowed", detail, { headers: { allow } }));
}

/**
 * Headers of every response that does not set them itself: no caching, no guessing of types, no framing, no use by pages or
 * windows of other sites.
 */
const seals = Object.entries({
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
});

/** For a year browsers use https only. Without `includeSubDomains`: other hosts decide for themselves. */
const secureSeals = [...seals, ["strict-transport-security", "max-age=31536000"] as const];

function seal(request: Request, headers: Headers): void {
  const wanted = request.url.startsWith("https:") ? secureSeals : seals;
  for (const [name, value] of wanted) if (!headers.has(name)) headers.set(name, value);
}
