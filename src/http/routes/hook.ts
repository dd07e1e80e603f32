/**
 * Owns: the addresses of webhooks, which anybody may call: webhooks of runs, whose token in the address is the only
 * credential, and webhooks that start runs, which verify their senders. Both accept any body, because the workflow decides
 * about it. Also the routes of operators about webhooks.
 */
import { hasCode } from "../../core/error.ts";
import type { HookAnswer, HookRequest, InboundAnswer } from "../../core/service/hooks.ts";
import { defined } from "../../core/record.ts";
import { acceptTrace } from "../../core/trace/trace.ts";
import { readMetadata } from "../auth/author.ts";
import { readBytes, readFields } from "../body.ts";
import { isVisit, receipt, refusalReceipt } from "../pages/receipt.tsx";
import { problem, RequestError } from "../problem.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { urlOf } from "../url.ts";

const maxHookBytes = 1024 * 1024;
/** Headers with credentials for Cloudflare Access. */
const passHeaders = ["cf-access-jwt-assertion", "cf-access-token", "cf-access-client-id", "cf-access-client-secret"];
/** Cookies with credentials: ours, and those of Access. */
const passCookie = /^(?:(?:__Host-)?holdfast_session|CF_(?:Authorization|AppSession|Binding))\s*=/;
const hookMethods = ["GET", "POST", "PUT", "PATCH", "DELETE"];

export const hookRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/webhooks", role: "read", handle: list },
  { method: "POST", path: "/v1/runs/:id/webhooks/:name/revoke", role: "operate", handle: revoke },
  { method: "ALL", path: "/hooks/:token", role: "open", handle: answer },
  { method: "ALL", path: "/webhooks/:name", role: "open", handle: (call) => receiveInbound(call).catch(conceal) },
];

async function list({ service, request, config }: Call): Promise<Response> {
  readQuery(request);
  const origin = config().publicUrl ?? urlOf(request).origin;
  const webhooks = await service.hooks.list();
  const views = webhooks.map(({ name, workflow, methods, verify }) => {
    const url = `${origin}/webhooks/${encodeURIComponent(name)}`;
    return { name, workflow, url, methods, verify };
  });
  return Response.json({ webhooks: views });
}

async function revoke(call: Call): Promise<Response> {
  const { service, request, param } = call;
  readQuery(request);
  const options = readMetadata(call, await readFields(request, ["reason"]));
  return Response.json(await service.hooks.revoke(param("id"), param("name"), options));
}

/** Addresses are sent to people too, whom JSON would tell little. */
async function answer(call: Call): Promise<Response> {
  try {
    return await receive(call).catch(conceal);
  } catch (error) {
    if (!isVisit(call.request)) throw error;
    return await refusalReceipt(problem(error));
  }
}

async function receive({ service, request, param }: Call): Promise<Response> {
  const look = looked(request, hookMethods);
  try {
    // HEAD only checks that the address is valid, and must not resolve the wait.
    if (request.method === "HEAD") await service.hooks.look(param("token"));
    if (look !== null) return look;
    const { duplicate, response } = await service.hooks.receive(param("token"), await readHook(request, maxHookBytes));
    const kind = duplicate ? "duplicate" : "accepted";
    if (response === undefined && isVisit(request)) return await receipt(kind);
    return respond({ kind, ...defined({ response }) });
  } catch (error) {
    // Not a conflict as elsewhere: the address is as useless as an expired one.
    if (hasCode(error, "run_ended")) {
      throw new RequestError(error.code, error.message, { status: 410 });
    }
    throw error;
  }
}

async function receiveInbound({ service, request, param }: Call): Promise<Response> {
  const name = param("name");
  const { methods, maxBytes } = await service.hooks.find(name);
  const look = looked(request, methods);
  if (look !== null) return look;
  if (!methods.includes(request.method)) {
    const allow = methods.join(", ");
    throw new RequestError("method_not_allowed", `This webhook takes ${allow}.`, { headers: { allow } });
  }
  const hook = await readHook(request, maxBytes);
  const { origin } = urlOf(request);
  return respond(
    await service.hooks.receiveInbound(name, { ...hook, origin, ...acceptTrace(request.headers.get("traceparent")) }),
  );
}

/** Problems of the deployment are logged and not shown: callers of webhooks have no token. */
function conceal(error: unknown): never {
  if (!hasCode(error, "config_invalid", "key_missing", "journal_corrupt", "journal_newer")) throw error;
  // oxlint-disable-next-line no-console -- for whoever runs the Worker
  console.error("holdfast: a call of a webhook cannot be taken as things are", error);
  throw new RequestError(error.code, "This cannot be taken as things are; send it again later.");
}

/** The response to HEAD and OPTIONS, which only look at the address; null for a real call. */
function looked({ method }: Request, methods: readonly string[]): Response | null {
  if (method === "HEAD") return new Response(null, { status: 200 });
  return method === "OPTIONS" ? new Response(null, { status: 204, headers: { allow: methods.join(", ") } }) : null;
}

async function readHook(request: Request, limit: number): Promise<HookRequest> {
  return {
    method: request.method,
    headers: headersOf(request),
    query: Object.fromEntries(urlOf(request).searchParams),
    body: await readBytes(request, limit),
  };
}

/**
 * The headers of a call without credentials for this Worker: the browser of somebody who also uses the dashboard sends these
 * along, and everybody who may read the run would see them.
 */
function headersOf(request: Request): Record<string, string> {
  const headers = new Headers(request.headers);
  for (const name of passHeaders) headers.delete(name);
  const pairs = (headers.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  const others = pairs.filter((pair) => pair !== "" && !passCookie.test(pair));
  if (others.length === 0) headers.delete("cookie");
  else headers.set("cookie", others.join("; "));
  return Object.fromEntries(headers);
}

function respond({ kind, response }: InboundAnswer): Response {
  if (response !== undefined) return own(response, kind);
  switch (kind) {
    case "accepted":
      return Response.json({ accepted: true, duplicate: false }, { status: 202 });
    case "duplicate":
      return Response.json({ duplicate: true }, { status: 200 });
    case "ignored":
      return Response.json({ accepted: true, ignored: true }, { status: 202 });
    default:
      return kind satisfies never;
  }
}

/**
 * The workflow's own response. The call is recorded by now, so one that cannot be sent is replaced: an error would make the
 * caller send it again.
 */
function own({ status, headers, body }: NonNullable<HookAnswer["response"]>, kind: InboundAnswer["kind"]): Response {
  try {
    const isEmpty = body === "" || status === 204 || status === 205 || status === 304;
    const response = new Response(isEmpty ? null : body, { status, headers });
    // A page may be shown, but its scripts must not act for whoever is signed in on this host.
    if (!response.headers.has("content-security-policy")) response.headers.set("content-security-policy", "sandbox");
    return response;
  } catch (error) {
    // oxlint-disable-next-line no-console -- for the author of the workflow
    console.error("holdfast: a webhook's own answer cannot be sent", error);
    return respond({ kind });
  }
}
