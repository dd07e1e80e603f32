/** Webhooks of runs as the world meets them: what is refused is on record, addresses are revoked, secrets rotate. */
import { createHmac } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import { ask, historyOf, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import type { Answer, Ask } from "./client.ts";
import { watched } from "./crashpoint.ts";
import { settings } from "./settings.ts";

const json = { "content-type": "application/json" };

afterEach(() => {
  vi.restoreAllMocks();
});

/** A run that waits for calls, and where. */
async function open(input: object): Promise<{ id: string; paths: string[] }> {
  const { id } = await start("awaits-calls", { input });
  const run = await runThatIs(id, {
    status: "waiting",
    waitingFor: expect.arrayContaining([expect.objectContaining({ kind: "webhook" })]),
  });
  return { id, paths: run.waitingFor.map(({ url }) => pathOf(url)) };
}

function pathOf(url: unknown): string {
  return new URL(String(url)).pathname;
}

function signed(key: string, body: string): Ask {
  const signature = createHmac("sha256", key).update(body).digest("hex");
  return { token: null, raw: body, headers: { ...json, "x-hub-signature-256": `sha256=${signature}` } };
}

async function refusals(id: string): Promise<unknown[]> {
  return (await historyOf(id)).flatMap(({ kind, code }) => (kind === "webhook.rejected" ? [code] : []));
}

/** Whoever waits for so long, as of a moment ago, waits no time at all, until the mocks are restored. */
function impatient(ms: number): void {
  const wait = globalThis.setTimeout;
  vi.spyOn(globalThis, "setTimeout").mockImplementation((act: () => void, after = 0) => {
    return wait(act, after > ms / 2 && after <= ms ? 0 : after);
  });
}

describe("functions of authors that never say anything", () => {
  it("guarantee 4: the caller is told so in time; the wait of a verify stays open, and what respond owes is no loss", async () => {
    const { id, paths } = await open({ silent: true });
    const [path = ""] = paths;
    impatient(30_000);
    expect(await refusal(`POST ${path}`, { token: null })).toBe("503 webhook_unavailable");
    const { status, text } = await ask(`POST ${path}`, { token: null, raw: "1", headers: json });
    expect([status, text]).toEqual([202, ""]);
    await runThatIs(id, { status: "completed", output: [1] });
    expect(await refusals(id)).toEqual([]);
  });

  it("guarantee 4: nothing is started by a call that no function of the author's says anything of", async () => {
    impatient(30_000);
    for (const silent of ["verify", "input", "id"]) {
      const refused = await refusal(`POST /webhooks/silent?silent=${silent}`, { token: null });
      expect([silent, refused]).toEqual([silent, "503 webhook_unavailable"]);
    }
    expect((await ask("POST /webhooks/silent?silent=respond", { token: null })).status).toBe(202);
  });
});

describe("what is refused", () => {
  it("guarantee 8: because a verify threw has what it threw in the log, which neither answer nor history says", async () => {
    const { id, paths } = await open({ broken: true });
    settings["LOG"] = "json";
    const lines: string[] = [];
    vi.spyOn(console, "warn").mockImplementation((line: string) => void lines.push(line));
    const { status, text } = await ask(`POST ${paths[0]}`, { token: null });
    expect(status).toBe(403);
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      {
        ...{ event: "webhook.rejected", run: id, webhook: "paid", workflow: "awaits-calls", at: expect.any(String) },
        error: {
          ...{ code: "webhook_rejected", message: "webhook paid refused the call" },
          cause: "a secret of the author's",
        },
      },
    ]);
    expect(await refusals(id)).toEqual(["webhook_rejected"]);
    expect(text + JSON.stringify(await historyOf(id))).not.toContain("a secret");
  });

  it("guarantee 8: forged, broken, repeated, late and behind the end: answered as the contract says, and on record", async () => {
    const { id, paths } = await open({ secret: "s", end: false });
    const [path = ""] = paths;
    expect(await refusal(`POST ${path}`, signed("other", "{}"))).toBe("403 webhook_rejected");
    expect(await refusal(`POST ${path}`, { token: null, raw: "{", headers: json })).toBe("400 body_invalid");
    expect((await ask(`POST ${path}`, signed("s", '{"a":1}'))).status).toBe(202);
    const again = await ask(`POST ${path}`, signed("s", '{"a":1}'));
    expect([again.status, again.body]).toEqual([200, { duplicate: true }]);
    await ask(`POST /v1/runs/${id}/signals/end`);
    const ended = await runThatIs(id, { status: "completed", output: [{ a: 1 }] });
    const timeline = await ask(`GET /v1/runs/${id}/timeline`);
    expect(await refusal(`POST ${path}`, signed("s", '{"a":1}'))).toBe("410 run_ended");
    const codes = ["webhook_rejected", "body_invalid", "webhook_duplicate", "run_ended"];
    expect(await refusals(id)).toEqual(codes);
    // All of it is where it was, but for the refusal.
    const { cost: _before, ...run } = ended as unknown as Record<string, unknown>;
    const { cost: _after, ...now } = (await ask(`GET /v1/runs/${id}`)).body;
    expect(now).toEqual(run);
    const { bars, ...measures } = (await ask(`GET /v1/runs/${id}/timeline`)).body as {
      bars: { rejected: { code: string }[] }[];
    };
    const { bars: _bars, ...measured } = timeline.body;
    expect(measures).toEqual(measured);
    expect(bars.flatMap(({ rejected }) => rejected.map(({ code }) => code))).toEqual(codes);
    // Its events still end, and hold it.
    const events = await ask(`GET /v1/runs/${id}/events`);
    expect(events.text).toContain('"code":"run_ended"');
    const late = await start("awaits-calls", { input: { timeout: "30ms", end: false } });
    await runThatIs(late.id, { waitingFor: [{ kind: "signal" }] });
    const created = (await historyOf(late.id)).find(({ kind }) => kind === "webhook.created");
    expect(await refusal(`POST ${pathOf(created?.["url"])}`, { token: null })).toBe("410 webhook_expired");
    expect(await refusals(late.id)).toEqual(["webhook_expired"]);
  });

  it("guarantee 8: an address is its own text and no other that reads as the same bytes", async () => {
    const { id, paths } = await open({});
    const [path = ""] = paths;
    // The last of the 43 characters says four bits of the signature, and has room for two that say nothing.
    const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = digits.indexOf(path.slice(-1));
    const others = [1, 2, 3].map((bits) => `${path.slice(0, -1)}${digits[last + bits]}`);
    for (const other of [...others, `${path}=`, `${path}.AA`, path.replace(".", "=."), path.replace(".", "%20.")]) {
      expect(await refusal(`POST ${other}`, { token: null })).toBe("404 webhook_not_found");
    }
    expect(await refusals(id)).toEqual([]);
    expect((await ask(`POST ${path}`, { token: null })).status).toBe(202);
  });

  it("a run that ended is not kept longer, nor listed anew, by calls of its old address", async () => {
    const { id, paths } = await open({});
    const [path = ""] = paths;
    await ask(`POST ${path}`, { token: null });
    await runThatIs(id, { status: "completed" });
    const listed = async () =>
      ((await ask("GET /v1/runs?workflow=awaits-calls")).body["runs"] as { id: string }[]).find((run) => run.id === id);
    await expect.poll(listed).toMatchObject({ status: "completed" });
    const before = await listed();
    for (let i = 0; i < 5; i++) expect((await ask(`POST ${path}`, { token: null })).status).toBe(410);
    expect(await refusals(id)).toHaveLength(5);
    expect(await listed()).toEqual(before);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect(await refusal(`POST ${path}`, { token: null })).toBe("404 webhook_not_found");
    expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
  });
});

describe("POST /v1/runs/:id/webhooks/:name/revoke", () => {
  it("the address is dead at once, and the run waits under another", async () => {
    const { id, paths } = await open({ names: ["paid", "paid"] });
    const [first = "", second = ""] = paths;
    const revoke = `POST /v1/runs/${id}/webhooks/${encodeURIComponent("paid#2")}/revoke`;
    const headers = { "idempotency-key": "k1", "holdfast-actor": "Ada" };
    const answer = await ask(revoke, { json: { reason: "it leaked" }, headers, token: tokens.operate });
    expect(answer).toMatchObject({ status: 200, body: { url: expect.stringContaining("http://example.com/hooks/") } });
    const next = pathOf(answer.body["url"]);
    expect(next).not.toBe(second);
    expect((await ask(revoke, { json: { reason: "it leaked" }, headers, token: tokens.operate })).body).toEqual(
      answer.body,
    );
    expect(await refusal(revoke, { json: { reason: "other" }, headers })).toBe("409 idempotency_conflict");
    expect(await refusal(`POST ${second}`, { token: null })).toBe("410 webhook_revoked");
    const run = await runThatIs(id, { status: "waiting" });
    expect(run.waitingFor.map(({ url }) => pathOf(url))).toEqual([first, next]);
    const [entry, ...more] = (await historyOf(id)).filter(({ kind }) => kind === "webhook.revoked");
    expect([entry, more]).toMatchObject([
      {
        name: "paid",
        call: "paid#2",
        url: answer.body["url"],
        generation: 1,
        by: "Ada",
        role: "operate",
        reason: "it leaked",
      },
      [],
    ]);
    expect(entry?.["text"]).toBe(
      "the address of webhook paid was revoked by Ada (operate), and it has another: it leaked",
    );
    for (const path of [first, next])
      expect((await ask(`POST ${path}`, { token: null, json: path === next, headers: json })).status).toBe(202);
    expect(await refusal(`POST ${second}`, { token: null })).toBe("410 run_ended");
    await runThatIs(id, { status: "completed", output: [false, true] });
    expect(await refusal(revoke, { json: {} })).toBe("409 run_ended");
    expect(await refusals(id)).toEqual(["webhook_revoked", "run_ended"]);
  });

  it("what there is no address of is 404; nobody reads their way to one", async () => {
    const { id } = await open({});
    expect(await refusal(`POST /v1/runs/${id}/webhooks/other/revoke`)).toBe("404 webhook_not_found");
    expect(await refusal(`POST /v1/runs/${id}/webhooks/paid%232/revoke`)).toBe("404 webhook_not_found");
    expect(await refusal("POST /v1/runs/none/webhooks/paid/revoke")).toBe("404 run_not_found");
    expect(await refusal(`POST /v1/runs/${id}/webhooks/paid/revoke`, { token: tokens.read })).toBe(
      "403 role_insufficient",
    );
    expect(await refusal(`POST /v1/runs/${id}/webhooks/paid/revoke`, { json: { url: "x" } })).toBe("400 field_unknown");
    expect(await refusal(`POST /v1/runs/${id}/webhooks/paid/revoke`, { json: { reason: 1 } })).toBe("400 body_invalid");
  });
});

it("PUBLIC_URL may end in a slash", async () => {
  settings["PUBLIC_URL"] = "http://example.com/";
  const { paths } = await open({});
  expect((await ask(`POST ${paths[0] ?? ""}`, { token: null })).status).toBe(202);
});

describe("SIGNING_SECRET", () => {
  it("rotates without killing addresses: the first signs, all are taken", async () => {
    const calls: { path: string; id: string }[] = [];
    const [before, middle, after] = [
      "a secret of before, and it has a comma",
      "a new secret of today",
      "the newest secret",
    ];
    for (const value of [before, `${middle},${before}`, `${after}, ${middle}`]) {
      settings["SIGNING_SECRET"] = value;
      const { id, paths } = await open({});
      calls.push({ id, path: paths[0] ?? "" });
    }
    // Signed with the whole of a text that has a comma in it, before there were several.
    settings["SIGNING_SECRET"] = before;
    const [payload = ""] = (calls[0]?.path ?? "").slice("/hooks/".length).split(".");
    const mac = createHmac("sha256", before).update(Buffer.from(payload, "base64url")).digest("base64url");
    expect((await ask(`POST /hooks/${payload}.${mac}`, { token: null })).status).toBe(202);
    settings["SIGNING_SECRET"] = `${after}, ${middle}`;
    for (const { path } of calls.slice(1)) expect((await ask(`POST ${path}`, { token: null })).status).toBe(202);
    settings["SIGNING_SECRET"] = middle;
    expect(await refusal(`POST ${calls[2]?.path ?? ""}`, { token: null })).toBe("404 webhook_not_found");
  });

  it("one that is too short is named, and never shown", async () => {
    const { paths } = await open({});
    for (const value of ["", "short", `${"long enough ".repeat(3)},short`, `${"long enough ".repeat(3)},`]) {
      settings["SIGNING_SECRET"] = value;
      const { status, body } = await ask(`POST ${paths[0] ?? ""}`, { token: null });
      expect([status, body["code"]]).toEqual([503, "webhook_unavailable"]);
      expect(body["detail"]).toMatch(/^SIGNING_SECRET/);
      expect(String(body["detail"])).not.toContain("long enough");
    }
    settings["SIGNING_SECRET"] = "sixteen letters.";
    expect(await refusal(`POST ${paths[0] ?? ""}`, { token: null })).toBe("404 webhook_not_found");
  });
});

/** Answers that were lost with their process. */
let lost = 0;

/** HOOK_COUNT runs at once, each of whose objects dies at some of its writes; HOOK_SEED makes the same of them again. */
describe("guarantees 1, 2 and 8: calls while objects die", () => {
  const count = Number(settings["HOOK_COUNT"] || 8);
  const seed = Number(settings["HOOK_SEED"] || Math.floor(Math.random() * 1e9));

  it(`what was accepted is on record once, and is what the run goes on with (seed ${seed})`, async () => {
    const runs = await Promise.all(Array.from({ length: count }, (_, i) => playRun(seed + i)));
    // Deaths were in the way of calls, not merely between them.
    expect(lost).toBeGreaterThan(0);
    for (const { id, taken, dead } of runs) {
      const run = await runThatIs(id, { status: "completed" });
      const received = (await historyOf(id)).filter(({ kind }) => kind === "webhook.received");
      expect(received).toHaveLength(1);
      const [body] = run.output as [{ n: number }];
      expect(taken).toContain(body.n);
      expect(dead).not.toContain(body.n);
    }
  });
});

type Played = {
  readonly id: string;
  /** Calls that may have been accepted, and those that must not have been. */
  readonly taken: readonly number[];
  readonly dead: readonly number[];
};

/** Calls of one run's webhook until it was answered that one was taken, each until it is answered at all. */
async function playRun(seed: number): Promise<Played> {
  const random = createRandom(String(seed));
  const next = (below: number): number => Math.floor(random.next() * below);
  const id = newId("dying");
  watched(id).blows = Array.from({ length: 6 }, (_, i) => ({
    at: 1 + i + next(3),
    how: next(2) === 0 ? "lost" : "kept",
  }));
  await answered("POST /v1/workflows/awaits-calls/runs", { json: { id, input: { secret: "s" } } });
  const read = async (): Promise<string> => pathOf((await runThatIs(id, { status: "waiting" })).waitingFor[0]?.url);
  let path = await patiently(read);
  const old: string[] = [];
  const taken: number[] = [];
  const dead: number[] = [];
  for (let n = 0; ; n++) {
    const what = next(8);
    if (what < 2) {
      const key = `${id}-${n}`;
      const answer = await answered(`POST /v1/runs/${id}/webhooks/paid/revoke`, {
        headers: { "idempotency-key": key },
      });
      expect([200, 404]).toContain(answer.status);
      if (answer.status !== 200) continue;
      old.push(path);
      path = pathOf(answer.body["url"]);
      continue;
    }
    const isOld = what === 2 && old.length > 0;
    const isForged = what === 3 || what === 4;
    (isOld || isForged ? dead : taken).push(n);
    const call = signed(isForged ? "other" : "s", JSON.stringify({ n }));
    const { status } = await answered(`POST ${isOld ? (old[next(old.length)] ?? path) : path}`, call);
    if (isOld) expect(status).toBe(410);
    else if (isForged) expect(status).toBe(403);
    else {
      // Its first answer may have been lost with a process, and the run have ended since.
      expect([200, 202, 410]).toContain(status);
      return { id, taken, dead };
    }
  }
}

/** Asks again while the object is gone. */
async function answered(call: string, options: Ask): Promise<Answer> {
  for (;;) {
    const answer = await ask(call, options);
    if (answer.status < 500) return answer;
    lost++;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function patiently<Value>(get: () => Promise<Value>): Promise<Value> {
  for (let left = 50; ; left--) {
    try {
      return await get();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}
