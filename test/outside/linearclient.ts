/** Clients that call a few runs at once, at random from a seed, and write down what they were answered, and when. */
import { createRandom } from "../../src/core/random.ts";
import type { Call, Reply } from "../model/drive.ts";
import type { Operation } from "./linearity.ts";
import type { Answer, Request } from "./linearmodel.ts";

export type Recorded = Operation<Request, Answer>;

/** One try; null without an answer. */
export type Ask = (call: Call) => Promise<Omit<Reply, "again"> | null>;

export type Crowd = {
  readonly seed: string;
  readonly runs: readonly string[];
  readonly clients: number;
  /** Each client's. */
  readonly calls: number;
  readonly ask: Ask;
};

/** @returns what was recorded, by run */
export async function callAtRandom({ seed, runs, clients, calls, ask }: Crowd): Promise<Map<string, Recorded[]>> {
  const recorded = new Map<string, Recorded[]>(runs.map((run) => [run, []]));
  const client = async (number: number): Promise<void> => {
    const random = createRandom(`${seed} client ${number}`);
    const below = (limit: number): number => Math.floor(random.next() * limit);
    for (let i = 0; i < calls; i++) {
      const run = runs[below(runs.length)] ?? "";
      const request = i === 0 ? startOf(below) : requestOf(below, i / calls);
      const from = performance.now();
      const reply = await ask(callOf(run, request));
      // Whoever got no answer may have been heard at any time since.
      const until = reply === null ? Infinity : performance.now();
      recorded.get(run)?.push({ request, answer: reply === null ? null : answerOf(request, reply), from, until });
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  return recorded;
}

function startOf(below: (limit: number) => number): Request {
  return { call: "start", input: below(4) === 0 ? 2 : 1 };
}

/** The same keys come again, with the same bodies and with others; ends are rare at first. */
function requestOf(below: (limit: number) => number, share: number): Request {
  const kind = below(100);
  const key = `k${below(8)}`;
  const body = below(5) === 0 ? 2 : 1;
  if (kind < 8) return startOf(below);
  if (kind < 36) return { call: "signal", key, body };
  if (kind < 60) return { call: "update", key, body };
  if (kind < 78) return { call: "history" };
  if (kind < 86) return { call: "read", wait: below(2) === 0 };
  const reason = `reason ${body}`;
  if (kind < 91) return { call: "pause", key, reason };
  if (kind < 97 || share < 0.5) return { call: "resume", key, reason };
  return { call: below(3) === 0 ? "terminate" : "cancel", key, reason };
}

function callOf(run: string, request: Request): Call {
  const path = `/v1/runs/${run}`;
  switch (request.call) {
    case "start":
      return { method: "POST", path: "/v1/workflows/tally/runs", json: { id: run, input: request.input } };
    case "signal":
      return { method: "POST", path: `${path}/signals/note`, json: request.body, key: request.key };
    case "update":
      return { method: "POST", path: `${path}/updates/add`, json: request.body, key: request.key };
    case "read":
      return { method: "GET", path: request.wait ? `${path}?wait=50ms` : path };
    case "history":
      return { method: "GET", path: `${path}/history?limit=200` };
    default:
      return { method: "POST", path: `${path}/${request.call}`, json: { reason: request.reason }, key: request.key };
  }
}

function answerOf({ call }: Request, { status, body }: Omit<Reply, "again">): Answer {
  const code = status < 300 ? "" : String(body["code"]);
  if (code !== "") return { status, code, said: null };
  switch (call) {
    case "signal":
      return { status, code, said: body["duplicate"] };
    case "update":
      return { status, code, said: body["result"] };
    case "read":
      return { status, code, said: statusOf(String(body["status"])) };
    case "history":
      return { status, code, said: (body["entries"] as Readonly<Record<string, unknown>>[]).flatMap(logOf) };
    default:
      return { status, code, said: null };
  }
}

function statusOf(status: string): string {
  return status === "running" || status === "waiting" ? "open" : status;
}

/** What an entry says of what was asked of the run. */
function logOf({ kind, key, payload, argument }: Readonly<Record<string, unknown>>): string[] {
  if (kind === "signal.received") return [`signal ${String(key)} ${String(payload)}`];
  if (kind === "update.accepted") return [`update ${String(key)} ${String(argument)}`];
  const moved = /^run\.(paused|resumed|cancel_requested|cancelled)$/.exec(String(kind));
  return moved?.[1] === undefined ? [] : [moved[1]];
}
