/** The way to a Worker, wherever it runs. */
export interface Endpoint {
  /** A POST where there is a body. @throws where it does not answer 2xx */
  fetch(path: string, body?: unknown): Promise<unknown>;
}

/** How the Worker is reached; what it answers is a response of Node's or of wrangler's. */
type Send = (
  path: string,
  init: { method?: string; headers: Record<string, string>; body?: string },
) => Promise<{
  readonly ok: boolean;
  readonly status: number;
  text(): Promise<string>;
}>;

/** @param who the Worker, in messages */
export function endpointOf(who: string, send: Send, headers: Readonly<Record<string, string>> = {}): Endpoint {
  return {
    fetch: async (path, body) => {
      const json = { ...headers, "content-type": "application/json" };
      const post = { method: "POST", headers: json, body: JSON.stringify(body) };
      const response = await send(path, body === undefined ? { headers: { ...headers } } : post);
      const text = await response.text();
      if (!response.ok) throw new Error(`${who} answered ${response.status} to ${path}: ${text}`);
      return JSON.parse(text) as unknown;
    },
  };
}
