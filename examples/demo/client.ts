/** The demo's calls of a running Holdfast, over plain HTTP. */
import { setTimeout as pause } from "node:timers/promises";

/** A check of the demo failed; the message is for the user. */
export class DemoError extends Error {
  override readonly name = "DemoError";
}

export type Run = {
  readonly id: string;
  readonly workflow: string;
  readonly status: string;
  /** Not in a list. */
  readonly input?: unknown;
  readonly output?: unknown;
  readonly error: { readonly code?: string; readonly message: string } | null;
  readonly reason: string | null;
  readonly waitingFor: readonly { readonly kind: string; readonly name: string }[];
};
export type Entry = {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly [field: string]: unknown;
};
export type Mail = { readonly to: string; readonly subject: string; readonly text: string };
export type Schedule = {
  readonly id: string;
  readonly cron: string;
  readonly timezone: string;
  readonly next: readonly string[];
};
type Result = { readonly result: Readonly<Record<string, unknown>> };
type Answer = { readonly status: number; readonly body: unknown };

const patienceMs = 30_000;

export class Client {
  readonly url: string;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.url = url.replace(/\/+$/, "");
    this.#token = token;
  }

  async health(): Promise<void> {
    const answer = await this.#call("GET", "/health").catch(() => null);
    if (answer?.status === 200) return;
    const got = answer === null ? "Nobody answers" : `Something that answers ${answer.status} to /health is`;
    throw new DemoError(`${got} on ${this.url}. Start Holdfast in another terminal with: npm start
(or say where it is: HOLDFAST_URL=http://localhost:8899 npm run demo)`);
  }

  /** Starts the run, or finds it; `created` is which of the two. */
  async start(workflow: string, id: string, input: object, labels: object): Promise<{ run: Run; created: boolean }> {
    const answer = await this.#call("POST", `/v1/workflows/${workflow}/runs`, { id, input, labels });
    expectStatus(answer, [200, 201], `starting ${workflow}`);
    return { run: answer.body as Run, created: answer.status === 201 };
  }

  async run(id: string): Promise<Run> {
    return (await this.#get(`/v1/runs/${id}`)) as Run;
  }

  async history(id: string, after: number): Promise<readonly Entry[]> {
    return ((await this.#get(`/v1/runs/${id}/history?after=${after}&limit=200`)) as { entries: Entry[] }).entries;
  }

  async signal(id: string, name: string, payload: object): Promise<void> {
    expectStatus(await this.#call("POST", `/v1/runs/${id}/signals/${name}`, payload), [202], `signal ${name}`);
  }

  /** Queries the run. */
  async query(id: string, name: string): Promise<Readonly<Record<string, unknown>>> {
    return ((await this.#get(`/v1/runs/${id}/queries/${name}`)) as Result).result;
  }

  async update(id: string, name: string, argument: object): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#call("POST", `/v1/runs/${id}/updates/${name}`, argument);
    expectStatus(answer, [200], `update ${name}`);
    return (answer.body as Result).result;
  }

  /** The runs of this label, newest first. */
  async labelled(key: string, text: string): Promise<readonly Run[]> {
    return await this.#list(`label.${key}=${encodeURIComponent(text)}`);
  }

  async schedules(): Promise<readonly Schedule[]> {
    return ((await this.#get("/v1/schedules")) as { schedules: Schedule[] }).schedules;
  }

  /** False where mails go to a mail service. */
  async hasOutbox(): Promise<boolean> {
    const answer = await this.#call("GET", "/v1/workflows/outbox");
    expectStatus(answer, [200, 404], "looking for the outbox");
    return answer.status === 200;
  }

  /** The mails in the outbox for one recipient, oldest first: each is the input of a run. */
  async mails(to: string): Promise<readonly Mail[]> {
    const runs = await this.#list(`workflow=outbox&label.to=${encodeURIComponent(to)}`);
    return await Promise.all(runs.toReversed().map(async ({ id }) => (await this.run(id)).input as Mail));
  }

  /** Follows a link as a browser would: without a token. */
  async follow(url: string): Promise<Answer> {
    return await readAnswer(await reach(url, { signal: AbortSignal.timeout(patienceMs) }));
  }

  async #list(query: string): Promise<readonly Run[]> {
    return ((await this.#get(`/v1/runs?${query}&limit=200`)) as { runs: Run[] }).runs;
  }

  async #get(path: string): Promise<unknown> {
    const answer = await this.#call("GET", path);
    expectStatus(answer, [200], `GET ${path}`);
    return answer.body;
  }

  async #call(method: string, path: string, body?: object): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (this.#token) headers["authorization"] = `Bearer ${this.#token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    const init: RequestInit = { method, headers, signal: AbortSignal.timeout(patienceMs) };
    if (body !== undefined) init.body = JSON.stringify(body);
    return await readAnswer(await reach(`${this.url}${path}`, init));
  }
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    throw new DemoError(`No answer from ${url}: has the server stopped?`, { cause });
  }
}

async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  return { status: response.status, body: isJson ? (JSON.parse(text) as unknown) : text };
}

function expectStatus(answer: Answer, wanted: readonly number[], what: string): void {
  if (wanted.includes(answer.status)) return;
  const hint = answer.status === 401 ? " (set HOLDFAST_TOKEN)" : "";
  throw new DemoError(`${what}: answered ${answer.status}${hint} ${JSON.stringify(answer.body)}`);
}

/** Repeats the call until its result is not null. */
export async function eventually<Value>(what: string, ask: () => Promise<Value | null>): Promise<Value> {
  const giveUpAt = Date.now() + patienceMs;
  while (Date.now() < giveUpAt) {
    const answer = await ask();
    if (answer !== null) return answer;
    await pause(100);
  }
  throw new DemoError(`${what}: it did not happen within ${patienceMs / 1000} seconds`);
}

export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new DemoError(`This should hold and does not: ${what}`);
}
