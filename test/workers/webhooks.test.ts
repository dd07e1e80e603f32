/** Webhooks of runs as the world meets them: what is refused is on record, addresses are revoked, secrets rotate. */
import { createHmac } from "node:crypto";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { ask, historyOf, refusal, runThatIs, start, tokens } from "./client.ts";
import type { Ask } from "./client.ts";

const settings = env as unknown as Record<string, string | undefined>;
const secret = settings["SIGNING_SECRET"];
const json = { "content-type": "application/json" };

afterEach(() => {
  settings["SIGNING_SECRET"] = secret;
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

describe("what is refused", () => {
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
    const late = await open({ timeout: "30ms", end: false });
    await runThatIs(late.id, { waitingFor: [{ kind: "signal" }] });
    expect(await refusal(`POST ${late.paths[0] ?? ""}`, { token: null })).toBe("410 webhook_expired");
    expect(await refusals(late.id)).toEqual(["webhook_expired"]);
  });

  it("a run that ended is not kept longer, nor listed anew, by calls of its old address", async () => {
    const { id, paths } = await open({});
    const [path = ""] = paths;
    await ask(`POST ${path}`, { token: null });
    await runThatIs(id, { status: "completed" });
    const listed = async () =>
      ((await ask("GET /v1/runs?workflow=awaits-calls")).body["runs"] as { id: string }[]).find((run) => run.id === id);
    const before = await listed();
    for (let i = 0; i < 120; i++) expect((await ask(`POST ${path}`, { token: null })).status).toBe(410);
    expect(await refusals(id)).toHaveLength(100);
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
    expect(entry?.["text"]).toBe("the address of webhook paid was revoked by Ada, and it has another: it leaked");
    for (const path of [first, next])
      expect((await ask(`POST ${path}`, { token: null, json: path === next })).status).toBe(202);
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

describe("SIGNING_SECRET", () => {
  it("rotates without killing addresses: the first signs, all are taken", async () => {
    const calls: { path: string; id: string }[] = [];
    const [before, middle, after] = ["a secret of before, with a comma", "a new secret of today", "the newest secret"];
    for (const value of [before, `${middle},${before}`, `${after}, ${middle}, ${before}`]) {
      settings["SIGNING_SECRET"] = value;
      const { id, paths } = await open({});
      calls.push({ id, path: paths[0] ?? "" });
    }
    // Signed with the whole of a text that has a comma in it, before there were several.
    settings["SIGNING_SECRET"] = before;
    expect((await ask(`POST ${calls[0]?.path ?? ""}`, { token: null })).status).toBe(202);
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
  });
});
