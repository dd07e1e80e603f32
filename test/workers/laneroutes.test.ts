/** `GET /v1/lanes`, `GET` and `PATCH /v1/lanes/:name`, as somebody outside uses them. */
import { describe, expect, test, vi } from "vitest";
import { laneObject } from "../../src/objects/address.ts";
import { ask, newId, refusal, tokens } from "./client.ts";
import type { Ask } from "./client.ts";
import { speakFor } from "./holders.ts";

type LaneJson = { readonly name: string; readonly [field: string]: unknown };

function enter(lane: string, runId: string, limit: number | null = 1, priority = 0, step: string | null = null) {
  const ticket = { runId, createdAt: 1, step };
  return laneObject(lane).enter({ ticket, limit, periodMs: null, priority, hold: false });
}

async function find(name: string, query = ""): Promise<LaneJson> {
  const { status, body } = await ask(`GET /v1/lanes/${encodeURIComponent(name)}${query}`);
  expect([status, body]).toEqual([200, expect.objectContaining({ name })]);
  return body as unknown as LaneJson;
}

/** All pages. */
async function list(limit: number): Promise<LaneJson[]> {
  const lanes: LaneJson[] = [];
  for (let query = `?limit=${limit}`; ;) {
    const { status, body } = await ask(`GET /v1/lanes${query}`);
    const page = body["lanes"] as LaneJson[];
    expect([status, page.length <= limit]).toEqual([200, true]);
    lanes.push(...page);
    if (body["cursor"] === null) return lanes;
    query = `?limit=${limit}&cursor=${String(body["cursor"])}`;
  }
}

function override(name: string, limit: unknown, token: string = tokens.admin) {
  return ask(`PATCH /v1/lanes/${encodeURIComponent(name)}`, { json: { limit }, token });
}

describe("a lane", () => {
  test("shows its limit, who holds it and who waits, next first", async () => {
    const lane = newId("shown");
    await enter(lane, "holder", 1, 0, "charge");
    await enter(lane, "second");
    await enter(lane, "first", 1, 5);
    const since = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(await find(lane)).toEqual({
      name: lane,
      limit: 1,
      override: null,
      periodMs: null,
      used: 1,
      waiting: 2,
      holders: [{ run: "holder", step: "charge", since }],
      queue: [
        { run: "first", step: null, priority: 5, since, position: 1 },
        { run: "second", step: null, priority: 0, since, position: 2 },
      ],
    });
  });

  test("shows twenty of a kind unless told, and as many as are asked for", async () => {
    const lane = newId("long");
    for (let run = 0; run < 50; run++) await enter(lane, `run-${run}`, 25);
    const sizes = ({ used, waiting, holders, queue }: LaneJson) => [
      used,
      waiting,
      (holders as unknown[]).length,
      (queue as unknown[]).length,
    ];
    expect(sizes(await find(lane))).toEqual([25, 25, 20, 20]);
    expect(sizes(await find(lane, "?limit=200"))).toEqual([25, 25, 25, 25]);
    expect(sizes(await find(lane, "?limit=1"))).toEqual([25, 25, 1, 1]);
  });

  test("of the code is there before anybody uses it, with its limit, and so are its keys", async () => {
    expect(await find("lane mail")).toMatchObject({ limit: 2, override: null, used: 0, waiting: 0 });
    expect(await find("concurrency:lane-mailer")).toMatchObject({ limit: 3, periodMs: null });
    expect(await find("concurrency:lane-mailer:acme: Ünïcödé/7")).toMatchObject({ limit: 3, used: 0 });
    expect(await find("throttle:lane-mailer")).toMatchObject({ limit: 5, periodMs: 60_000 });
  });

  test("that is neither in the code nor in use is not found", async () => {
    for (const name of ["nobodys", "concurrency:nobodys", "concurrency:nobodys:key", "concurrency:lane-mailers"]) {
      expect(await refusal(`GET /v1/lanes/${name}`)).toBe("404 lane_not_found");
      expect(await refusal(`PATCH /v1/lanes/${name}`, { json: { limit: 1 } })).toBe("404 lane_not_found");
    }
  });
});

describe("the list", () => {
  test("has every lane of the code and every lane in use once, by name, over any pages", async () => {
    const used = ["b", "a", "ä", "😀"].map((name) => newId(`listed-${name}`));
    for (const lane of used) await enter(lane, "run");
    const expected = [...used, "lane mail", "concurrency:lane-mailer", "throttle:lane-mailer"];
    await vi.waitFor(
      async () => {
        const names = (await list(200)).map(({ name }) => name);
        expect(expected.filter((name) => !names.includes(name))).toEqual([]);
      },
      { timeout: 60_000 },
    );
    const all = (await list(200)).map(({ name }) => name);
    expect(new Set(all).size).toBe(all.length);
    expect((await list(3)).map(({ name }) => name)).toEqual(all);
    expect(all.filter((name) => used.includes(name))).toEqual([used[1], used[0], used[2], used[3]]);
  });
});

describe("setting a limit", () => {
  test("counts at once, without a deployment, until it is set to null", async () => {
    const lane = newId("set");
    await enter(lane, "a", 1);
    const b = speakFor(newId("b"));
    const runId = newId("waiter");
    const waiter = speakFor(runId);
    await enter(lane, runId, 1);
    const { status, body } = await override(lane, 2);
    expect([status, body]).toEqual([200, expect.objectContaining({ limit: 2, override: 2, used: 2, waiting: 0 })]);
    await expect.poll(() => waiter.heard).toHaveLength(1);
    expect(b.heard).toEqual([]);
    expect((await override(lane, 0)).body).toMatchObject({ limit: 0, override: 0 });
    expect(await enter(lane, "c", 1)).toMatchObject({ granted: false, limit: 0 });
    expect((await override(lane, null)).body).toMatchObject({ limit: 1, override: null });
  });

  test("is shown with who set it, when and why, until it is given back", async () => {
    const lane = newId("signed");
    await enter(lane, "a", 1);
    const headers = { "holdfast-actor": "Ana%20%C3%84", "holdfast-reason": "the%20bank%20is%20slow" };
    const call = `PATCH /v1/lanes/${encodeURIComponent(lane)}`;
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const setting = { by: "Ana Ä", role: "admin", at, reason: "the bank is slow" };
    expect((await ask(call, { json: { limit: 5 }, headers })).body).toMatchObject({ override: 5, setting });
    expect(await find(lane)).toMatchObject({ override: 5, setting });
    expect((await ask(call, { json: { limit: 6 } })).body).toMatchObject({
      setting: { by: "admin", at, reason: null },
    });
    expect((await ask(call, { json: { limit: null }, headers })).body).not.toHaveProperty("setting");
    expect(await find(lane)).not.toHaveProperty("setting");
  });

  test("of a lane that only the code knows, and back again", async () => {
    expect((await override("throttle:lane-mailer", 9)).body).toMatchObject({ limit: 9, override: 9, periodMs: 60_000 });
    expect(await find("throttle:lane-mailer")).toMatchObject({ limit: 9, override: 9 });
    await override("throttle:lane-mailer", null);
    expect(await find("throttle:lane-mailer")).toMatchObject({ limit: 5, override: null });
  });

  test("of a workflow counts for its keys, but for one with a limit of its own", async () => {
    const base = "concurrency:lane-mailer";
    const [followed, own] = [`${base}:${newId("key")}`, `${base}:${newId("own")}`];
    await enter(followed, "a", 3);
    expect((await override(own, 7)).status).toBe(200);
    await expect.poll(async () => (await list(200)).map(({ name }) => name)).toContain(followed);
    await override(base, 1);
    expect(await find(followed)).toMatchObject({ limit: 1, override: 1 });
    expect(await find(own)).toMatchObject({ limit: 7, override: 7 });
    await override(base, null);
    await override(own, null);
    expect([(await find(followed))["limit"], (await find(own))["limit"]]).toEqual([3, 3]);
  });

  test("of a lane by name counts for it alone, whatever is called like a key of it", async () => {
    const own = newId("own");
    for (const lane of [own, `${own}:part`]) await enter(lane, "a", 3);
    await expect.poll(async () => (await list(200)).map(({ name }) => name)).toContain(`${own}:part`);
    expect((await override(own, 1)).status).toBe(200);
    expect(await find(`${own}:part`)).toMatchObject({ limit: 3, override: null });
  });

  test("with an Idempotency-Key is done once, whatever was set since; with another limit it is 409", async () => {
    const base = "concurrency:lane-mailer";
    for (const lane of [newId("keyed"), base]) {
      await enter(lane === base ? `${base}:${newId("key")}` : lane, "a", 1);
      const call = `PATCH /v1/lanes/${encodeURIComponent(lane)}`;
      const headers = { "idempotency-key": newId("k") };
      const set = (limit: number | null) => ask(call, { json: { limit }, headers });
      const first = await set(5);
      expect([first.status, first.body]).toEqual([200, expect.objectContaining({ override: 5 })]);
      await override(lane, 9);
      const again = await set(5);
      expect([again.status, again.body]).toEqual([200, expect.objectContaining({ override: 9 })]);
      for (const limit of [6, null]) {
        expect(await refusal(call, { json: { limit }, headers })).toBe("409 idempotency_conflict");
      }
      expect(await find(lane)).toMatchObject({ override: 9, setting: { by: "admin" } });
      expect((await find(lane))["setting"]).not.toHaveProperty("key");
      await override(lane, null);
    }
  });

  test("takes an admin", async () => {
    for (const token of [tokens.read, tokens.operate]) {
      expect((await override("lane mail", 1, token)).body).toMatchObject({ code: "role_insufficient", status: 403 });
    }
    expect(await refusal("PATCH /v1/lanes/lane%20mail", { token: null, json: { limit: 1 } })).toBe("401 token_missing");
    expect(await find("lane mail")).toMatchObject({ limit: 2 });
  });
});

describe("requests that are wrong", () => {
  const patch = "PATCH /v1/lanes/lane%20mail";
  const long = encodeURIComponent("€".repeat(334));
  const cases: [what: string, call: string, options: Ask, answer: string][] = [
    ["no limit", patch, {}, "400 body_invalid"],
    ["an empty body", patch, { json: {} }, "400 body_invalid"],
    ["a negative limit", patch, { json: { limit: -1 } }, "400 body_invalid"],
    ["half a slot", patch, { json: { limit: 1.5 } }, "400 body_invalid"],
    ["a limit beyond a million", patch, { json: { limit: 1_000_001 } }, "400 body_invalid"],
    ["a limit beyond numbers", patch, { raw: '{"limit":1e999}' }, "400 body_invalid"],
    ["text for a limit", patch, { json: { limit: "2" } }, "400 body_invalid"],
    ["true for a limit", patch, { json: { limit: true } }, "400 body_invalid"],
    ["a list for a limit", patch, { json: { limit: [2] } }, "400 body_invalid"],
    ["an unknown field", patch, { json: { limit: 2, period: 5 } }, "400 field_unknown"],
    ["an array", patch, { json: [2] }, "400 body_invalid"],
    ["no JSON", patch, { raw: "limit=2" }, "400 json_invalid"],
    ["a parameter", `${patch}?limit=2`, { json: { limit: 2 } }, "400 parameter_unknown"],
    [
      "a bad key",
      patch,
      { json: { limit: 2 }, headers: { "idempotency-key": "x".repeat(257) } },
      "400 idempotency_key_invalid",
    ],
    ["a name that is too long", `GET /v1/lanes/${long}`, {}, "400 name_invalid"],
    ["a name that is too long to set", `PATCH /v1/lanes/${long}`, { json: { limit: 1 } }, "400 name_invalid"],
    ["a name that is no UTF-8", "GET /v1/lanes/%ff", {}, "400 path_invalid"],
    ["a page of none", "GET /v1/lanes?limit=0", {}, "400 parameter_invalid"],
    ["a page of 201", "GET /v1/lanes?limit=201", {}, "400 parameter_invalid"],
    ["201 holders", "GET /v1/lanes/lane%20mail?limit=201", {}, "400 parameter_invalid"],
    ["a word for a limit", "GET /v1/lanes/lane%20mail?limit=all", {}, "400 parameter_invalid"],
    ["a limit twice", "GET /v1/lanes?limit=1&limit=2", {}, "400 parameter_repeated"],
    ["an unknown parameter", "GET /v1/lanes?name=mail", {}, "400 parameter_unknown"],
    ["a cursor of a lane", "GET /v1/lanes/lane%20mail?cursor=x", {}, "400 parameter_unknown"],
    ["no cursor", "GET /v1/lanes?cursor=nonsense", {}, "400 cursor_invalid"],
    ["an empty cursor", "GET /v1/lanes?cursor=", {}, "400 cursor_invalid"],
    ["another method", "POST /v1/lanes", {}, "405 method_not_allowed"],
    ["a lane to delete", "DELETE /v1/lanes/lane%20mail", {}, "405 method_not_allowed"],
    ["an address below a lane", "GET /v1/lanes/lane/mail", {}, "404 route_not_found"],
  ];

  test.each(cases)("%s", async (_what, call, options, answer) => {
    expect(await refusal(call, options)).toBe(answer);
    expect(await find("lane mail")).toMatchObject({ limit: 2, override: null, used: 0 });
  });
});
