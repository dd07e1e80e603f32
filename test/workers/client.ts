/** Calls of the Worker under test, as somebody outside makes them. */
import { exports } from "cloudflare:workers";
import { expect, vi } from "vitest";

export type Answer = {
  readonly status: number;
  /** What was JSON; an empty object for an empty body. */
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly headers: Headers;
};

export type Ask = {
  readonly token?: string | null;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly raw?: BodyInit;
  readonly headers?: Readonly<Record<string, string>>;
};

export type RunJson = {
  readonly id: string;
  readonly status: string;
  readonly output: unknown;
  readonly createdAt: string;
  readonly waitingFor: readonly { kind: string; name: string; since: string; until: string | null; url?: string }[];
};

export const tokens = { read: "r-token-123", operate: "o-token-123", admin: "a-token-123" } as const;

/** The path with the method before it, as in `GET /v1/runs`; with the admin's token unless told. */
export async function ask(call: string, { token = tokens.admin, json, raw, headers = {} }: Ask = {}): Promise<Answer> {
  const space = call.indexOf(" ");
  const body = json === undefined ? raw : JSON.stringify(json);
  const response = await exports.default.fetch(`http://example.com${call.slice(space + 1)}`, {
    method: call.slice(0, space),
    headers: { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
    redirect: "manual",
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "") && text !== "";
  return {
    status: response.status,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
    text,
    headers: response.headers,
  };
}

/** What tells one refusal from another. */
export async function refusal(call: string, options: Ask = {}): Promise<string> {
  const { status, body } = await ask(call, options);
  return `${status} ${String(body["code"])}`;
}

let made = 0;

/** An id that no other run of the tests has. */
export function newId(what: string): string {
  return `${what}-${Date.now().toString(36)}-${++made}`;
}

/** A new run of the workflow. */
export async function start(workflow: string, fields: Record<string, unknown> = {}, wait = ""): Promise<RunJson> {
  const json = { id: newId(workflow), ...fields };
  const { status, body } = await ask(`POST /v1/workflows/${workflow}/runs${wait}`, { json });
  expect([status, body]).toEqual([201, expect.objectContaining({ workflow })]);
  return body as unknown as RunJson;
}

/** The run, once it is what is asked for. */
export async function runThatIs(id: string, like: object): Promise<RunJson> {
  const read = async (): Promise<RunJson> => {
    const { body } = await ask(`GET /v1/runs/${id}`);
    expect(body).toMatchObject(like);
    return body as unknown as RunJson;
  };
  return await vi.waitFor(read, { timeout: 60_000, interval: 10 });
}

export type EntryJson = {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly [field: string]: unknown;
};

export async function historyOf(id: string): Promise<EntryJson[]> {
  return (await ask(`GET /v1/runs/${id}/history`)).body["entries"] as EntryJson[];
}
