/** Owns: reaching a deployment of workers/deployed.ts, and what is said when it is not there. */
import { endpointOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";

const limitMs = 150_000;

/** Said to whoever started the bench; what it says is enough. */
export class KnockError extends Error {}

export type Deployment = { readonly url: URL; readonly token: string | undefined };

/** @param prefix under which the Worker has this system; none for Holdfast itself */
export function reach({ url, token }: Deployment, prefix: string): Endpoint {
  const base = url.href.replace(/\/$/, "") + prefix;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    try {
      return await fetch(base + path, { ...init, signal: AbortSignal.timeout(limitMs) });
    } catch (error) {
      throw new Error(`${base} did not answer to ${path}`, { cause: error });
    }
  };
  return endpointOf(base, send, headers);
}

/** Whether the bench's own Worker answers there, to this token. @throws KnockError that says what to do */
export async function knock(deployment: Deployment, path: string): Promise<void> {
  const { url, token } = deployment;
  const response = await ask(deployment, path);
  const text = await response.text();
  const said = `${url.origin} answered ${response.status}: ${text.slice(0, 300)}`;
  if (response.ok) return;
  if (response.status === 401 && token === undefined) {
    throw new KnockError(`${url.origin} asks for a token: set BENCH_TOKEN to one whose role is operate or admin`);
  }
  if (response.status === 401 || response.status === 403) throw new KnockError(`BENCH_TOKEN is not taken; ${said}`);
  if (response.status === 503) throw new KnockError(`the deployment is not ready; ${said}`);
  throw new KnockError(`that is not the bench's Worker (bench/workers/deployed.toml); ${said}`);
}

async function ask({ url, token }: Deployment, path: string): Promise<Response> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const target = url.href.replace(/\/$/, "") + path;
  const post = { method: "POST", headers: { ...headers, "content-type": "application/json" } };
  try {
    return await fetch(target, {
      ...post,
      body: JSON.stringify({ input: { count: 1 } }),
      signal: AbortSignal.timeout(20_000),
    });
  } catch (error) {
    throw new KnockError(`nothing answers at ${target}`, { cause: error });
  }
}
