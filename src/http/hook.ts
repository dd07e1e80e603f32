/**
 * Owns: the one address that anybody may call. Its token is the only credential, so it is read
 * leniently: whatever the world sends is the workflow's to judge.
 */
import { HoldfastError } from "../core/error.ts";
import type { HookAnswer, Service } from "../core/service.ts";
import { readBytes } from "./body.ts";
import { RequestError } from "./problem.ts";
import type { Call, Route } from "./route.ts";

const maxHookBytes = 1024 * 1024;

export function hookRoutes(service: Service): Route[] {
  return [{ method: "ALL", path: "/hooks/:token", role: "open", handle: (call) => receive(service, call) }];
}

async function receive(service: Service, { request, param }: Call): Promise<Response> {
  // Those who only look whether the address is there must not resolve the wait.
  if (request.method === "HEAD") return new Response(null, { status: 200 });
  if (request.method === "OPTIONS")
    return new Response(null, { status: 204, headers: { allow: "GET, POST, PUT, PATCH, DELETE" } });
  const body = await readBytes(request, maxHookBytes);
  try {
    const answer = await service.hooks.receive(param("token"), {
      method: request.method,
      headers: Object.fromEntries(request.headers),
      query: Object.fromEntries(new URL(request.url).searchParams),
      body,
    });
    return reply(answer);
  } catch (error) {
    // Elsewhere a conflict; here the address is of no more use, like one that has expired.
    if (error instanceof HoldfastError && error.code === "run_ended") {
      throw new RequestError(error.code, error.message, { status: 410 });
    }
    throw error;
  }
}

function reply({ duplicate, response }: HookAnswer): Response {
  if (response !== undefined) return own(response);
  return duplicate
    ? Response.json({ duplicate: true }, { status: 200 })
    : Response.json({ accepted: true, duplicate: false }, { status: 202 });
}

/**
 * The workflow's own answer. The call is on record by now, so an answer that cannot be sent is
 * replaced and not an error, which would make the caller send it again.
 */
function own({ status, headers, body }: NonNullable<HookAnswer["response"]>): Response {
  try {
    const isEmpty = body === "" || status === 204 || status === 205 || status === 304;
    const response = new Response(isEmpty ? null : body, { status, headers });
    // A page may be shown, but not act in the name of whoever is signed in on this host.
    if (!response.headers.has("content-security-policy")) response.headers.set("content-security-policy", "sandbox");
    return response;
  } catch (error) {
    // oxlint-disable-next-line no-console -- the author of the workflow should know
    console.error("holdfast: a webhook's own answer cannot be sent", error);
    return reply({ duplicate: false });
  }
}
