/**
 * Every route of the table, asked all that its description allows and much that it does not, by several clients
 * at once, while objects are ended under them: each answer is judged, and what was acknowledged is looked for
 * afterwards. FUZZ_SEED for other requests, FUZZ_CALLS for more of them.
 */
import { abortAllDurableObjects } from "cloudflare:test";
import { expect, it } from "vitest";
import { routes } from "../../../src/http/app.ts";
import type { Role } from "../../../src/http/config.ts";
import { createPick } from "../../core/sample.ts";
import { ask, historyOf, tokens } from "../client.ts";
import { settings } from "../settings.ts";
import { Client } from "./client.ts";
import type { Finding } from "./client.ts";
import { Model } from "./model.ts";
import { aim } from "./shot.ts";
import type { Shot, World } from "./shot.ts";
import { isOneIn } from "./value.ts";

const seed = settings["FUZZ_SEED"] || "1";
const calls = Number(settings["FUZZ_CALLS"] || 600);
const clients = 6;
/** So many times all objects are ended in mid-air. */
const storms = 2;

async function cookieOf(role: Role): Promise<string> {
  const raw = new URLSearchParams({ token: tokens[role] }).toString();
  const { headers } = await ask("POST /sign-in", { token: null, raw, headers: { "sec-fetch-site": "same-origin" } });
  return headers.get("set-cookie")?.split(";")[0] ?? "";
}

async function newWorld(): Promise<World> {
  const [read, operate, admin] = await Promise.all([cookieOf("read"), cookieOf("operate"), cookieOf("admin")]);
  return { runs: [], schedules: [], lanes: [], hooks: [], cursors: [], causes: [], cookies: { read, operate, admin } };
}

/** Sends its share, one call after the other; now and then one again that had a key. */
async function play(client: Client, world: World, name: string, count: number, storm: () => Promise<void>) {
  const pick = createPick(`${seed} ${name}`);
  const keyed: Shot[] = [];
  for (let n = 0; n < count; n++) {
    const again = keyed.length > 0 && isOneIn(pick, 15) ? pick.of(keyed.slice(-20)) : null;
    const shot = again ?? aim(routes, world, pick, `t${seed}-${name}-${n}x`);
    const reply = await client.send(shot);
    // Clients in the Worker's own process that never rest would let none of its timers through.
    await scheduler.wait(1);
    if (reply !== null && again === null && reply.status < 300 && "idempotency-key" in shot.headers) keyed.push(shot);
    if (name === "0" && (n + 1) % Math.ceil(count / (storms + 1)) === 0) await storm();
  }
}

/** However the dice fall, one message is acknowledged and must be found again. */
async function leaveOne(client: Client): Promise<void> {
  const tag = `t${seed}-left`;
  await client.send(plainShot("/v1/workflows/:name/runs", { name: "inbox" }, { id: "fuzz-left", input: { count: 2 } }));
  await client.send(plainShot("/v1/runs/:id/signals/:name", { id: "fuzz-left", name: "item" }, { tag }, tag));
}

/** What a client sends that means no harm. */
function plainShot(at: string, params: Readonly<Record<string, string>>, json: object, tag = ""): Shot {
  const route = routes.find(({ method, path }) => method === "POST" && path === at) ?? null;
  const path = at.replace(/:(\w+)/g, (_, name: string) => params[name] ?? "");
  const headers = {
    authorization: `Bearer ${tokens.admin}`,
    "content-type": "application/json",
    "holdfast-reason": tag,
  };
  return { route, method: "POST", path, headers, body: JSON.stringify(json), json, params, held: "admin", tag };
}

/** Guarantee 1 for each thing that some answer acknowledged. */
async function lost(model: Model): Promise<string[]> {
  const wrong: string[] = [];
  for (const { id, workflow, input, presence } of model.runs.values()) {
    const must = presence.certain();
    if (must === undefined || id.startsWith("bulk")) continue;
    const { status, body } = await ask(`GET /v1/runs/${id}`);
    if (status !== (must === "there" ? 200 : 404)) wrong.push(`run ${id} is ${status}, and must be ${must}`);
    if (status === 200 && body["workflow"] !== workflow) wrong.push(`run ${id} is of another workflow`);
    if (status === 200 && JSON.stringify(body["input"]) !== JSON.stringify(input))
      wrong.push(`run ${id} has another input`);
  }
  for (const [id, { presence, cron }] of model.schedules) {
    const must = presence.certain();
    if (must === undefined) continue;
    const { status, body } = await ask(`GET /v1/schedules/${encodeURIComponent(id)}`);
    if (status !== (must === "there" ? 200 : 404)) wrong.push(`schedule ${id} is ${status}, and must be ${must}`);
    const rule = cron.certain();
    if (status === 200 && rule !== undefined && body["cron"] !== rule)
      wrong.push(`schedule ${id} is ${String(body["cron"])}, not ${rule}`);
  }
  for (const [name, limit] of model.lanes) {
    const must = limit.certain();
    if (must === undefined) continue;
    const { body } = await ask(`GET /v1/lanes/${encodeURIComponent(name)}`);
    if (body["override"] !== must) wrong.push(`lane ${name} has the limit ${String(body["override"])}, not ${must}`);
  }
  return [...wrong, ...(await lostMessages(model))];
}

/** Each message is on record once if it was acknowledged, and else at most once. */
async function lostMessages(model: Model): Promise<string[]> {
  const wrong: string[] = [];
  const keptOf = new Map<string, boolean>();
  for (const { run, kind, tag, isKept } of model.sent) {
    const key = `${run} ${kind} ${tag}`;
    keptOf.set(key, isKept || keptOf.get(key) === true);
  }
  for (const [key, isKept] of keptOf) {
    const [run = "", kind, tag = ""] = key.split(" ");
    if (model.runs.get(run)?.presence.certain() !== "there") continue;
    const found = (await entriesOf(run)).filter((entry) => entry.kind === kind && entry["reason"] === tag).length;
    if (found > 1 || (isKept && found === 0)) wrong.push(`${kind} ${tag} is ${found} times in ${run}`);
  }
  return wrong;
}

const histories = new Map<string, ReturnType<typeof historyOf>>();

function entriesOf(run: string): ReturnType<typeof historyOf> {
  const known = histories.get(run) ?? historyOf(run);
  histories.set(run, known);
  return known;
}

it(
  `guarantees 1, 8 and 9: no answer of the API is a defect, and none that acknowledged is forgotten (FUZZ_SEED=${seed})`,
  { timeout: 60_000 + calls * 200 },
  async () => {
    const model = new Model();
    const world = await newWorld();
    const crowd = Array.from({ length: clients }, () => new Client(model, world));
    await leaveOne(new Client(model, world));
    const storm = async () => {
      model.storms++;
      model.isStormy = true;
      await abortAllDurableObjects();
      model.isStormy = false;
    };
    await Promise.all(
      crowd.map((client, name) => play(client, world, String(name), Math.ceil(calls / clients), storm)),
    );
    await storm();
    const findings = crowd.flatMap((client) => client.findings);
    if (settings["FUZZ_SHOW"] === "1") show(crowd);
    expect(told(findings)).toBe("");
    expect(await lost(model)).toEqual([]);
    expect(model.sent.filter(({ isKept }) => isKept).length).toBeGreaterThan(0);
    // The index may be late by a moment.
    const there = [...model.runs.values()].filter(({ presence }) => presence.certain() === "there");
    expect(there.length).toBeGreaterThan(calls / 60);
    await expect.poll(listed, { interval: 200 }).toEqual(expect.arrayContaining(there.map(({ id }) => id)));
  },
);

/** How often each route gave each status, and what took longest. */
function show(crowd: readonly Client[]): void {
  const answers = new Map<string, number>();
  for (const { tally } of crowd) for (const [how, n] of tally) answers.set(how, (answers.get(how) ?? 0) + n);
  const lines = [...answers].toSorted().map(([how, n]) => `${n} ${how}`);
  const slowest = crowd.flatMap((client) => client.slowest).map(({ ms, shot }) => `${ms} ms ${shot}`);
  // oxlint-disable-next-line no-console -- FUZZ_SHOW asks for it
  console.log([...lines, ...slowest].join("\n"));
}

/** A few of each kind, and how many there are. */
function told(findings: readonly Finding[]): string {
  const kinds = Map.groupBy(findings, ({ wrong }) => wrong.join("; "));
  return [...kinds]
    .flatMap(([wrong, all]) => [
      `${all.length} × ${wrong}`,
      ...all.slice(0, 3).map(({ shot, reply }) => `  ${shot}\n  ${reply}`),
    ])
    .join("\n");
}

/** Every run in the index. */
async function listed(): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: unknown = ""; cursor !== null;) {
    const { body } = await ask(`GET /v1/runs?limit=200${cursor === "" ? "" : `&cursor=${String(cursor)}`}`);
    ids.push(...(body["runs"] as { id: string }[]).map(({ id }) => id));
    cursor = body["cursor"];
  }
  return ids;
}
