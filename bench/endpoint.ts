/** The way to a Worker, wherever it runs. */
export interface Endpoint {
  /** A POST where there is a body. @throws where it does not answer 2xx */
  fetch(path: string, body?: unknown): Promise<unknown>;
}

export type Init = { method?: string; headers?: Record<string, string>; body?: string };

/** How the Worker is reached; what it answers is a response of Node's or of wrangler's. */
type Send = (
  path: string,
  init: Init,
) => Promise<{
  readonly ok: boolean;
  readonly status: number;
  text(): Promise<string>;
}>;

/** @param who the Worker, in messages */
export function endpointOf(who: string, send: Send): Endpoint {
  return {
    fetch: async (path, body) => {
      const headers = { "content-type": "application/json" };
      const response = await send(
        path,
        body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) },
      );
      const text = await response.text();
      if (!response.ok) throw new Error(`${who} answered ${response.status} to ${path}: ${text}`);
      return JSON.parse(text) as unknown;
    },
  };
}
