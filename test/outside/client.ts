/** Calls of the API as a patient caller makes them: no answer means to ask again, with the same key. */
import { Agent, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

type Call = {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly key?: string;
};
type Answer = { readonly status: number; readonly text: string };

export type Entry = {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  readonly step?: string;
  readonly name?: string;
  readonly key?: string;
  readonly signal?: number;
  readonly result?: unknown;
};

export type RunView = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: string;
  readonly output: unknown;
  readonly reason: string | null;
  readonly waitingFor: readonly { readonly kind: string; readonly until: string | null }[];
  readonly error: { readonly message: string; readonly code?: string; readonly step?: string } | null;
};

export class Client {
  /** Calls that got no answer, or one of a Worker that was just dying, and were made again. */
  repeated = 0;
  readonly #origin: string;
  readonly #patienceMs: number;
  /** A new connection for each call: those of a dead Worker are of no use to the next. */
  readonly #agent = new Agent({ keepAlive: false });

  /** @param patienceMs how long a call is made again that gets no answer */
  constructor(origin: string, patienceMs = 60_000) {
    this.#origin = origin;
    this.#patienceMs = patienceMs;
  }

  /** @returns the JSON of a 2xx answer @throws at a 4xx, and when there was no other for too long */
  async call<Body>(call: Call): Promise<Body> {
    return JSON.parse(await this.text(call)) as Body;
  }

  /** As `call`, with the body as it came. */
  async text(call: Call): Promise<string> {
    const giveUpAt = Date.now() + this.#patienceMs;
    for (;;) {
      const answer = await this.#once(call);
      if (answer !== null && answer.status < 300) return answer.text;
      const what = `${call.method} ${call.path}: ${answer === null ? "no answer" : `${answer.status} ${answer.text}`}`;
      if ((answer !== null && answer.status < 500) || Date.now() > giveUpAt) throw new Error(what);
      this.repeated++;
      await pause(200);
    }
  }

  start(workflow: string, id: string, input: unknown): Promise<RunView> {
    return this.call({ method: "POST", path: `/v1/workflows/${workflow}/runs`, body: { id, input } });
  }

  signal(id: string, name: string, body: unknown, key: string): Promise<{ accepted: boolean; duplicate: boolean }> {
    return this.call({ method: "POST", path: `/v1/runs/${id}/signals/${name}`, body, key });
  }

  run(id: string): Promise<RunView> {
    return this.call({ method: "GET", path: `/v1/runs/${id}` });
  }

  /** The run once it has ended, or as it is after `withinMs`. */
  async end(id: string, withinMs = 90_000): Promise<RunView> {
    for (const giveUpAt = Date.now() + withinMs; ;) {
      const run = await this.call<RunView>({ method: "GET", path: `/v1/runs/${id}?wait=10s` });
      if (["completed", "failed", "cancelled"].includes(run.status) || Date.now() > giveUpAt) return run;
    }
  }

  async history(id: string): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (let after: number | null = 0; after !== null;) {
      const path: string = `/v1/runs/${id}/history?after=${after}&limit=200`;
      const page: { entries: Entry[]; next: number | null } = await this.call({ method: "GET", path });
      entries.push(...page.entries);
      after = page.next;
    }
    return entries;
  }

  #once({ method, path, body, key }: Call): Promise<Answer | null> {
    const headers = {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(key === undefined ? {} : { "idempotency-key": key }),
    };
    return new Promise((resolve) => {
      const call = request(
        `${this.#origin}${path}`,
        { method, headers, agent: this.#agent, timeout: 15_000 },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8");
          answer.on("data", (part: string) => (text += part));
          answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text }));
          answer.on("error", () => resolve(null));
        },
      );
      call.on("timeout", () => call.destroy());
      call.on("error", () => resolve(null));
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
