/** One of the clients of the fuzzer: sends what it is given, judges the answer and keeps the model. */
import { exports } from "cloudflare:workers";
import { judge } from "./oracle.ts";
import type { Reply } from "./oracle.ts";
import type { Model } from "./model.ts";
import type { Shot, World } from "./shot.ts";

/** No answer may take longer, however busy the machine is; the longest wait that is asked for is one second. */
const deadlineMs = 60_000;

export type Finding = { readonly shot: string; readonly wrong: readonly string[]; readonly reply: string };

export class Client {
  readonly #model: Model;
  readonly #world: World;
  /** Answers by route and status. */
  readonly tally = new Map<string, number>();
  readonly findings: Finding[] = [];
  slowest: { readonly ms: number; readonly shot: string }[] = [];

  constructor(model: Model, world: World) {
    this.#model = model;
    this.#world = world;
  }

  /** @returns null where the runtime lets no such request be made */
  async send(shot: Shot): Promise<Reply | null> {
    const request = requestOf(shot);
    if (request === null) return null;
    const begin = this.#model.clock.tick();
    const startedAt = Date.now();
    const { storms } = this.#model;
    const reply = await withDeadline(replyOf(request)).catch((error: unknown) => error);
    const route = shot.route === null ? "nowhere" : `${shot.route.method} ${shot.route.path}`;
    const how = isReply(reply) ? String(reply.status) : "none";
    this.tally.set(`${route} ${how}`, (this.tally.get(`${route} ${how}`) ?? 0) + 1);
    if (!isReply(reply)) {
      this.#found(shot, [`no answer: ${String(reply)}`], `after ${this.#model.storms - storms} storms`);
      return null;
    }
    this.slowest = [...this.slowest, { ms: Date.now() - startedAt, shot: `${how} ${show(shot)}` }]
      .toSorted((left, right) => right.ms - left.ms)
      .slice(0, 5);
    const wrong = judge(shot, reply, this.#model.isStormy || this.#model.storms > storms);
    if (wrong.length > 0) this.#found(shot, wrong, `${reply.status} ${reply.text.slice(0, 400)}`);
    this.#learn(shot, reply, begin);
    return reply;
  }

  #found(shot: Shot, wrong: readonly string[], reply: string): void {
    this.findings.push({ shot: show(shot), wrong, reply });
  }

  /** What the answer acknowledges, and what it names that can be spoken of. */
  #learn(shot: Shot, reply: Reply, begin: number): void {
    const { route } = shot;
    if (route === null || shot.method === "HEAD" || shot.method === "OPTIONS") return;
    const isSure = reply.status < 300;
    if (!isSure && reply.status < 500) return;
    const path = `${shot.method} ${route.path}`;
    if (isSure) this.#learnRuns(reply, begin, shot.method);
    if (path === "DELETE /v1/runs/:id") {
      // What was deleted before under its key was perhaps another run of that id.
      const isFirst = shot.headers["idempotency-key"] === undefined;
      this.#model.runs.get(shot.params["id"] ?? "")?.presence.note("gone", begin, isSure && isFirst);
    }
    this.#learnSchedule(path, shot, begin, isSure);
    if (path === "PATCH /v1/lanes/:name") {
      const { limit } = (shot.json ?? {}) as { limit?: number | null };
      // A request that came before, under its key, sets nothing: it is answered what others have set since.
      const { override = limit } = (isSure ? reply.json : {}) as { override?: number | null };
      this.#model.lane(shot.params["name"] ?? "").note(override ?? null, begin, isSure);
      if (isSure) this.#world.lanes.push(shot.params["name"] ?? "");
    }
    this.#learnMessage(path, shot, reply, isSure);
  }

  #learnRuns({ json }: Reply, begin: number, method: string): void {
    const { runs = [], cursor, causes = [], ...run } = (json ?? {}) as Answered;
    if (typeof cursor === "string") this.#world.cursors.push(cursor);
    this.#world.causes.push(...causes.map(({ id }) => id));
    for (const { id } of runs) this.#world.runs.push(id);
    if (typeof run.id !== "string" || typeof run.workflow !== "string" || run.createdAt === undefined) return;
    this.#world.runs.push(run.id);
    for (const { url } of run.waitingFor ?? []) {
      if (url !== undefined) this.#world.hooks.push(url.slice(url.lastIndexOf("/") + 1));
    }
    if (method === "GET" && !this.#model.runs.has(run.id)) return;
    const { id, workflow, input, createdAt } = run;
    const known = this.#model.see({ id, workflow, input, createdAt });
    known.presence.note("there", begin);
  }

  #learnSchedule(path: string, { json, params }: Shot, begin: number, isSure: boolean): void {
    const { id, cron } = (json ?? {}) as { id?: unknown; cron?: unknown };
    const isMade = path === "POST /v1/schedules";
    const name = isMade ? id : params["id"];
    if (typeof name !== "string" || !/^(?:POST|PATCH|DELETE) \/v1\/schedules(?:\/:id)?$/.test(path)) return;
    const known = this.#model.schedule(name);
    known.presence.note(path.startsWith("DELETE") ? "gone" : "there", begin, isSure);
    if (typeof cron === "string") known.cron.note(cron, begin, isSure);
    if (isMade && isSure) this.#world.schedules.push(name);
  }

  #learnMessage(path: string, { params, tag, headers }: Shot, { json }: Reply, isSure: boolean): void {
    const kinds: Readonly<Record<string, string>> = {
      "POST /v1/runs/:id/signals/:name": "signal.received",
      "POST /v1/runs/:id/updates/:name": "update.accepted",
    };
    const kind = kinds[path];
    if (kind === undefined || headers["holdfast-reason"] !== tag) return;
    const isNew = (json as { duplicate?: boolean } | undefined)?.duplicate !== true;
    this.#model.sent.push({ run: params["id"] ?? "", kind, tag, isKept: isSure && isNew });
  }
}

type Answered = {
  readonly id?: unknown;
  readonly workflow?: unknown;
  readonly input?: unknown;
  readonly createdAt?: string;
  readonly waitingFor?: readonly { readonly url?: string }[];
  readonly runs?: readonly { readonly id: string }[];
  readonly causes?: readonly { readonly id: string }[];
  readonly cursor?: unknown;
};

function isReply(reply: unknown): reply is Reply {
  return typeof reply === "object" && reply !== null && "status" in reply && "headers" in reply;
}

function requestOf({ method, path, headers, body }: Shot): Request | null {
  try {
    return new Request(`http://example.com${path}`, {
      method,
      headers,
      redirect: "manual",
      ...(body === null ? {} : { body }),
    });
  } catch {
    return null;
  }
}

async function replyOf(request: Request): Promise<Reply> {
  const response = await exports.default.fetch(request);
  const { status, headers } = response;
  if (response.webSocket !== null) {
    response.webSocket.accept();
    response.webSocket.close();
    return { status, headers, text: "", json: undefined };
  }
  const type = headers.get("content-type") ?? "";
  const text = type.startsWith("text/event-stream") ? await beginningOf(response) : await textOf(response);
  return {
    status,
    headers,
    text,
    json: /\bjson\b/.test(type) && text !== "" ? (JSON.parse(text) as unknown) : undefined,
  };
}

/** `text()` complains of types that do not look like text. */
async function textOf(response: Response): Promise<string> {
  return new TextDecoder().decode(await response.arrayBuffer());
}

/** Of a stream that may go on for days. */
async function beginningOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel();
  return first?.value === undefined ? "" : new TextDecoder().decode(first.value as Uint8Array);
}

async function withDeadline<Value>(made: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms`)), deadlineMs);
  });
  return await Promise.race([made, late]).finally(() => clearTimeout(timer));
}

function show({ method, path, headers, body }: Shot): string {
  const sent = body === null ? "" : typeof body === "string" ? body.slice(0, 400) : `bytes ${String(body)}`;
  return `${method} ${path.slice(0, 400)} ${JSON.stringify(headers).slice(0, 600)} ${sent}`;
}
