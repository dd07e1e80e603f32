/** Owns: reaching a deployment of workers/deployed.ts, and what is said when it is not there. */
import { endpointOf } from "./endpoint.ts";
import type { Endpoint, Init } from "./endpoint.ts";

const limitMs = 150_000;

/** Its message is all that whoever started the bench has to know. */
export class KnockError extends Error {}

export type Deployment = { readonly url: URL; readonly token: string | undefined };

/** @param prefix under which the Worker has this system; none for Holdfast itself */
export function reach(deployment: Deployment, prefix: string): Endpoint {
  const base = addressOf(deployment, prefix);
  return endpointOf(base, (path, init) =>
    send(deployment, prefix + path, init, limitMs).catch((cause: unknown) => {
      throw new Error(`${base} did not answer to ${path}`, { cause });
    }),
  );
}

/** Whether the bench's own Worker answers there, to this token. @throws KnockError that says what to do */
export async function knock(deployment: Deployment, path: string): Promise<void> {
  const { url, token } = deployment;
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify({ input: { count: 1 } }) };
  const response = await send(deployment, path, init, 20_000).catch((cause: unknown) => {
    throw new KnockError(`nothing answers at ${addressOf(deployment, path)}`, { cause });
  });
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

function addressOf({ url }: Deployment, path: string): string {
  return url.href.replace(/\/$/, "") + path;
}

function send(deployment: Deployment, path: string, init: Init, withinMs: number): Promise<Response> {
  const { token } = deployment;
  const headers = { ...init.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  return fetch(addressOf(deployment, path), { ...init, headers, signal: AbortSignal.timeout(withinMs) });
}
