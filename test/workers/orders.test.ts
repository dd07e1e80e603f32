/** Requests that couriers make for runs, over a real network, while run and courier are evicted, ended and told twice. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, inject, it, vi } from "vitest";
import type { Entry, EntryOf } from "../../src/core/history/entry.ts";
import type { Order } from "../../src/core/courier/order.ts";
import { readRequest } from "../../src/core/courier/request.ts";
import { encode } from "../../src/core/value/value.ts";
import { courierObject, runObject } from "../../src/objects/address.ts";
import type { CourierRpc } from "../../src/objects/rpc/courier.ts";
import type { ReceivedRequest } from "./httpserver.ts";
import { ask, newId, runThatIs, start } from "./client.ts";
import { lives } from "./flows/engine.ts";
import { pause } from "./driver.ts";
import { scan } from "./scan.ts";
import { settings } from "./settings.ts";
import { evict, inRun, passTime } from "./storage.ts";

const httpServer = inject("httpServer");

function address(query: Record<string, string | number>): string {
  const pairs = Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]);
  return `${httpServer}/ask?${new URLSearchParams(pairs).toString()}`;
}

async function boxOf(name: string): Promise<ReceivedRequest[]> {
  return await (await fetch(`${httpServer}/box/${name}`)).json();
}

async function open(gate: string): Promise<void> {
  await fetch(`${httpServer}/gate/${gate}`, { method: "PUT" });
}

async function entriesOf(id: string): Promise<readonly Entry[]> {
  const history = await runObject(id).history(0, 200);
  return history.ok ? history.value.entries : [];
}

async function dispatches(id: string): Promise<EntryOf<"step.dispatched">[]> {
  return (await entriesOf(id)).filter((entry) => entry.kind === "step.dispatched");
}

/** Resolves once the request has come to whoever answers it. */
async function arrived(box: string, count = 1): Promise<void> {
  await expect.poll(() => boxOf(box)).toHaveLength(count);
}

/** A request that nobody waits for. */
function orphan(query: Record<string, string | number>): Order {
  const id = { runId: newId("nobody"), createdAt: 1, seq: 2 };
  const request = { method: "GET", url: address(query), headers: [], body: null, accepted: [] };
  return { id, step: "ask", request, key: "once" };
}

/** What the courier keeps. */
async function keptBy(courier: number): Promise<string[]> {
  const stub = env.RUNS.getByName(`.courier-${courier}`);
  return await runInDurableObject(stub, async (_object, { storage }) => [...(await storage.list()).keys()]);
}

/** The process of the object ends. */
async function die(name: string): Promise<void> {
  await inRun(name, (ctx) => ctx.abort()).catch(() => undefined);
}

async function began(query: Record<string, string | number>, more: object = {}): Promise<{ id: string; box: string }> {
  const box = newId("box");
  const { id } = await start("asks", { input: { target: address({ box, ...query }), ...more } });
  return { id, box };
}

it("a request has a method that the platform sends, or is refused as it is asked for", () => {
  const all = [
    ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "CONNECT", "TRACK", "PRI", "BREW"],
    ...["ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE"],
    ...["MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND"],
    ...["PROPPATCH", "REBIND", "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE"],
    ...["UPDATEREDIRECTREF", "VERSION-CONTROL", "BAN", "PURGE", "M-SEARCH", "MSEARCH", "NOTIFY", "SOURCE"],
    ...["SUBSCRIBE", "UNSUBSCRIBE"],
  ];
  const passing = (make: (method: string) => unknown): string[] =>
    all.filter((method) => {
      try {
        make(method);
        return true;
      } catch {
        return false;
      }
    });
  const url = httpServer;
  const taken = passing((method) => readRequest({ url, method }, [], "step ask"));
  expect(taken).toEqual(passing((method) => new Request(url, { method })));
});

describe("an answer", () => {
  it("is read by its content type, as a call of a webhook is", async () => {
    const kinds = [
      ["application/json", '{"a":[1,2]}', { a: [1, 2] }],
      ["application/problem+json; charset=utf-8", "null", null],
      ["application/x-www-form-urlencoded", "a=1&b=two", { a: "1", b: "two" }],
      ["text/plain", "hello", "hello"],
      ["image/png", "abc", { $type: "Uint8Array", value: "YWJj" }],
      ["text/plain", "", null],
    ] as const;
    const runs = kinds.map(async ([type, body]) => {
      const run = await start("asks", { input: { target: address({ type, body }) } }, "?wait=60s");
      return run.output as { status: number; headers: Record<string, string>; body: unknown };
    });
    const outputs = await Promise.all(runs);
    expect(outputs.map(({ body }) => body)).toEqual(kinds.map(([, , value]) => value));
    expect(outputs.map(({ status, headers }) => [status, headers["x-answer"]])).toEqual(kinds.map(() => [200, "Yes"]));
  });

  it("comes of the request as it was made, with the step's key unless it brings one", async () => {
    const box = newId("box");
    const url = address({ box });
    const target = { url, method: "put", body: { n: 1 }, headers: { authorization: "Bearer abc" } };
    const own = { url, headers: { "Idempotency-Key": "mine" } };
    await start("asks", { input: { target } }, "?wait=60s");
    await start("asks", { input: { target: own } }, "?wait=60s");
    const [first, second] = await boxOf(box);
    expect(first).toMatchObject({ method: "PUT", body: '{"n":1}' });
    expect(first?.headers).toMatchObject({ authorization: "Bearer abc", "content-type": "application/json" });
    expect(first?.headers["idempotency-key"]).toMatch(/^asks-.*:ask$/);
    expect(second?.headers["idempotency-key"]).toBe("mine");
    expect(JSON.stringify([first, second])).not.toContain("a-token-123");
  });

  it("of 503 is asked for again, a broken connection too; 404 fails the step with its code", async () => {
    const options = { retry: { delay: 20 } };
    const busy = await began({ fails: 2, body: "1" }, { options });
    const missing = await began({ status: 404, body: "no such page" });
    const cut = await began({ cut: 1 }, { options: { retry: { limit: 1, delay: 20 } } });
    await runThatIs(busy.id, { status: "completed" });
    expect(await boxOf(busy.box)).toHaveLength(3);
    const { body } = await ask(`GET /v1/runs/${missing.id}?wait=60s`);
    expect(body["error"]).toMatchObject({ code: "non_retryable", cause: { code: "http_404" } });
    expect((body["error"] as { message: string }).message).toMatch(/was answered 404: no such page$/);
    await runThatIs(cut.id, { status: "failed", error: { code: "step_failed", attempts: 2 } });
  });

  it("that is a redirect is followed; where that cannot be done, no address is shown, which may hold a secret", async () => {
    const there = await began({ to: address({ body: "7" }) });
    expect(await runThatIs(there.id, { status: "completed" })).toMatchObject({ output: { body: 7 } });
    const secret = newId("secret");
    for (const to of ["self", `ftp://localhost/${secret}`]) {
      const { id } = await began({ to, key: secret }, { options: { retry: { limit: 0 } } });
      const message = expect.stringMatching(/^GET to [0-9.:]+ failed: a redirect cannot be followed$/) as string;
      await runThatIs(id, { status: "failed", error: { message } });
      const later = (await entriesOf(id)).filter(({ kind }) => kind !== "run.created");
      expect(JSON.stringify(later)).not.toContain(secret);
    }
  });

  it("has all its cookies", async () => {
    const target = `${address({ body: "1" })}&cookies=a%3D1&cookies=b%3D2`;
    const { output } = await start("asks", { input: { target } }, "?wait=60s");
    expect(output).toMatchObject({ headers: { "set-cookie": "a=1, b=2" } });
  });

  it("may be large, and too large: then the step fails and says so", async () => {
    const large = await began({ bytes: 3_000_000, type: "text/plain" });
    const huge = await began({ bytes: 17_000_000, type: "text/plain" });
    const upload = await start(
      "asks",
      { input: { target: { url: address({ box: "up" }), method: "POST", body: "y".repeat(2_000_000) } } },
      "?wait=60s",
    );
    const { output } = await runThatIs(large.id, { status: "completed" });
    expect((output as { body: string }).body).toHaveLength(3_000_000);
    await runThatIs(huge.id, { status: "failed", error: { code: "value_too_large", attempts: 1 } });
    expect(upload.status).toBe("completed");
    expect((await boxOf("up"))[0]?.bytes).toBe(2_000_000);
  });
});

describe("while a request is under way", () => {
  it("the run is at work, rests, and may be evicted; its courier keeps its name and nothing else", async () => {
    const gate = newId("gate");
    const { id, box } = await began({ gate, body: "42" });
    await arrived(box);
    const { body } = await ask(`GET /v1/runs/${id}`);
    expect(body).toMatchObject({ status: "running", steps: { running: 1 }, active: [{ step: "ask", attempt: 1 }] });
    const before = lives.get(id) ?? 0;
    await evict(id);
    expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject({ status: "running", steps: { running: 1 } });
    const [sent] = await dispatches(id);
    const created = (await entriesOf(id))[0]?.at;
    expect(await keptBy(sent?.courier ?? -1)).toContain(`order ${JSON.stringify([id, created, sent?.seq])}`);
    await open(gate);
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: { body: 42 } });
    expect(lives.get(id)).toBe(before + 1);
    expect(await boxOf(box)).toHaveLength(1);
    expect(await entriesOf(id)).not.toContainEqual(expect.objectContaining({ kind: "step.interrupted" }));
    await expect.poll(async () => (await keptBy(sent?.courier ?? -1)).join()).not.toContain(id);
  });

  it("the death of its courier has the same request made again at once, and recorded once (2, 4)", async () => {
    const gate = newId("gate");
    const { id, box } = await began({ gate, body: "42" });
    await arrived(box);
    await evict(id);
    const [sent] = await dispatches(id);
    await die(`.courier-${sent?.courier}`);
    await arrived(box, 2);
    await open(gate);
    await runThatIs(id, { status: "completed" });
    const keys = (await boxOf(box)).map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(1);
    expect((await entriesOf(id)).filter(({ kind }) => kind.startsWith("step."))).toHaveLength(2);
  });

  it("the death of the run costs nothing: the answer comes, and nothing is sent again (2)", async () => {
    const gate = newId("gate");
    const { id, box } = await began({ gate, body: "42" });
    await arrived(box);
    await die(id);
    await open(gate);
    await runThatIs(id, { status: "completed" });
    expect(await boxOf(box)).toHaveLength(1);
  });

  it("an answer that is told again, or late, or for another life, changes nothing", async () => {
    const { id } = await began({ body: "1" });
    await runThatIs(id, { status: "completed" });
    const [sent] = await dispatches(id);
    const end = { kind: "answered", value: encode(2, "two") } as const;
    const order = { runId: id, createdAt: (await entriesOf(id))[0]?.at ?? 0, seq: sent?.seq ?? 0 };
    for (const news of [order, { ...order, createdAt: 1 }])
      expect(await runObject(id).orderEnded({ ...news, end })).toEqual({ ok: true, value: null });
    expect(await runObject(id).repeatOrder(order)).toEqual({ ok: true, value: null });
    expect(await runThatIs(id, {})).toMatchObject({ output: { body: 1 } });
  });

  it("an order that comes once more, late, is not carried out again (2)", async () => {
    const { id, box } = await began({ body: "1" });
    await runThatIs(id, { status: "completed" });
    const [sent] = await dispatches(id);
    const order = { runId: id, createdAt: (await entriesOf(id))[0]?.at ?? 0, seq: sent?.seq ?? 0 };
    const request = { method: "GET", url: address({ box, body: "1" }), headers: [], body: null, accepted: [] };
    await courierObject(sent?.courier ?? 0).carryOrder({ id: order, step: "ask", request, key: "once" });
    await expect.poll(async () => (await keptBy(sent?.courier ?? -1)).join()).not.toContain(id);
    expect(await boxOf(box)).toHaveLength(1);
  });

  it("an order that comes after it was called off is not carried out", async () => {
    const courier = courierObject(1995);
    const [box, gate] = [newId("box"), newId("gate")];
    const order = orphan({ box, gate });
    await courier.dropOrder(order.id);
    await courier.carryOrder(order);
    expect(await keptBy(1995)).toEqual([]);
    await open(gate);
    expect(await boxOf(box)).toEqual([]);
  });

  it("an answer that its run could not take at first is told again, and not asked for again (2)", async () => {
    const gate = newId("gate");
    const { id, box } = await began({ gate, body: "1" });
    await arrived(box);
    const own = env.RUNS.getByName.bind(env.RUNS);
    const refuse = vi.fn(() => Promise.reject(new Error("no answer")));
    const names = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
      const object = own(name);
      if (name !== id) return object;
      return new Proxy(object, {
        get: (target, method) =>
          method === "orderEnded" && refuse.mock.calls.length === 0 ? refuse : (Reflect.get(target, method) as unknown),
      });
    });
    await open(gate);
    await runThatIs(id, { status: "completed", output: { body: 1 } });
    names.mockRestore();
    expect(refuse).toHaveBeenCalledTimes(1);
    expect(await boxOf(box)).toHaveLength(1);
  });

  it("its courier sets an alarm, also after one that could not be set was not needed any more (4)", async () => {
    const name = ".courier-1999";
    const carry = async (box: string): Promise<void> => {
      await courierObject(1999).carryOrder(orphan({ box, body: "1" }));
      await arrived(box);
      await expect.poll(() => keptBy(1999)).toEqual([]);
    };
    await inRun(name, ({ storage }) => {
      vi.spyOn(storage, "setAlarm").mockRejectedValue(new Error("a spending limit holds alarms back"));
    });
    await carry(newId("box"));
    await inRun(name, ({ storage }) => {
      vi.mocked(storage.setAlarm).mockReset();
    });
    // The first that is carried when the pause before it is tried again is over.
    const sets = async (): Promise<void> => {
      await carry(newId("box"));
      await inRun(name, ({ storage }) => {
        expect(storage.setAlarm).toHaveBeenCalledTimes(1);
      });
    };
    await vi.waitFor(sets, 60_000);
  });

  it("storage that fails its courier costs neither the alarm of what it carries next, nor time awake (4)", async () => {
    const stub = env.RUNS.getByName(".courier-1998");
    await runInDurableObject(stub, async (instance, { storage }) => {
      const object = instance as unknown as CourierRpc & { alarm(): Promise<void> };
      const list = vi.spyOn(storage.kv, "list").mockImplementationOnce(() => {
        throw new Error("disk I/O error");
      });
      await expect(object.alarm()).rejects.toThrow("disk I/O error");
      const [set, remove] = [vi.spyOn(storage, "setAlarm"), vi.spyOn(storage.kv, "delete")];
      remove.mockImplementation(() => {
        throw new Error("disk I/O error");
      });
      await object.carryOrder(orphan({ body: "1" }));
      expect(set).toHaveBeenCalledTimes(1);
      await object.alarm();
      expect(remove).toHaveBeenCalledTimes(1);
      for (const spy of [list, set, remove]) spy.mockRestore();
    });
  });

  it("its courier keeps room for those that announced themselves, though another is handed over once more", async () => {
    const courier = courierObject(1997);
    const gate = newId("gate");
    const order = orphan({ gate, body: "1" });
    for (let announced = 0; announced < 6; announced++) expect(await courier.reserveBerth(0)).toBe(true);
    for (let handed = 0; handed < 3; handed++) await courier.carryOrder(order);
    expect(await courier.reserveBerth(0)).toBe(false);
    await open(gate);
  });

  /** Has a large answer read, and resolves once the courier takes no more; the request is over when the gate opens. */
  async function occupied(courier: CourierRpc, until: string): Promise<Order> {
    const order = orphan({ type: "text/plain", stall: 2_000_000, until });
    await courier.carryOrder(order);
    const refuses = async (): Promise<void> => {
      const hasRoom = await courier.reserveBerth(0);
      const box = newId("box");
      if (hasRoom) await courier.carryOrder(orphan({ box, body: "1" }));
      if (hasRoom) await arrived(box);
      expect(hasRoom).toBe(false);
    };
    await vi.waitFor(refuses, { timeout: 30_000, interval: 10 });
    return order;
  }

  async function hasRoomAgain(courier: CourierRpc): Promise<void> {
    await expect.poll(() => courier.reserveBerth(0)).toBe(true);
  }

  it("its courier takes no more where a large answer is read: they would stand in line behind it", async () => {
    const courier = courierObject(1996);
    const until = newId("gate");
    await occupied(courier, until);
    await open(until);
    await hasRoomAgain(courier);
  });

  it("its courier has room again after requests that came to nothing, and one that was called off as it was read", async () => {
    const courier = courierObject(1994);
    for (let count = 0; count < 6; count++) {
      const { request, ...order } = orphan({});
      await courier.carryOrder({ ...order, request: { ...request, url: "http://127.0.0.1:1/" } });
    }
    await expect.poll(() => keptBy(1994)).toEqual([]);
    expect(await courier.reserveBerth(0)).toBe(true);
    const { id } = await occupied(courier, newId("gate"));
    await courier.dropOrder(id);
    await hasRoomAgain(courier);
  });

  it("who has it ended, is heard: the courier hangs up and forgets", async () => {
    const { id, box } = await began({ gate: newId("gate") });
    await arrived(box);
    await evict(id);
    const [sent] = await dispatches(id);
    await ask(`POST /v1/runs/${id}/cancel`);
    await runThatIs(id, { status: "cancelled" });
    await expect.poll(() => boxOf(box)).toMatchObject([{ left: true }]);
    expect((await keptBy(sent?.courier ?? -1)).join()).not.toContain(id);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
  });

  it("a deadline of its own ends it", async () => {
    const { id, box } = await began(
      { gate: newId("gate") },
      { options: { timeout: "10 minutes", retry: { limit: 0 } } },
    );
    await arrived(box);
    await passTime(id, 600_000);
    await runThatIs(id, { status: "failed", error: { code: "step_timeout" } });
    await expect.poll(() => boxOf(box)).toMatchObject([{ left: true }]);
  });

  it.each(["run", "step"])("a limit of one %s holds for it, though the run was evicted meanwhile", async (scope) => {
    const box = newId("box");
    const gates = [newId("gate"), newId("gate")];
    const ids: string[] = [];
    for (const gate of gates) {
      ids.push((await start(`asks-alone-${scope}`, { input: address({ box, gate, body: "1" }) })).id);
      await arrived(box);
    }
    const [first = "", second = ""] = ids;
    await evict(first);
    await runThatIs(second, { status: "queued", waitingFor: [{ kind: "lane" }] });
    await pause(300);
    expect(await boxOf(box)).toHaveLength(1);
    await open(gates[0] ?? "");
    await runThatIs(first, { status: "completed" });
    await arrived(box, 2);
    await open(gates[1] ?? "");
    await runThatIs(second, { status: "completed" });
  });

  it("more than six go to more than one courier, and all are answered", async () => {
    const gate = newId("gate");
    const { id, box } = await began({ gate, body: "1" }, { times: 20 });
    await arrived(box, 20);
    const couriers = (await dispatches(id)).map(({ courier }) => courier);
    const most = Math.max(...couriers.map((one) => couriers.filter((other) => other === one).length));
    expect(new Set(couriers).size).toBeGreaterThan(3);
    expect(most).toBeLessThanOrEqual(6);
    await open(gate);
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: Array(20).fill(200) });
  });
});

describe("what is stored", () => {
  it("is legible nowhere with keys set, in the run as in the courier, while it is under way and after", async () => {
    settings["ENCRYPTION_KEYS"] = `k1:${btoa(String.fromCharCode(...new Uint8Array(32).fill(1)))}`;
    const [gate, secret] = [newId("gate"), `secret${Date.now()}`];
    const box = newId("box");
    const target = {
      url: address({ box, gate, body: JSON.stringify(`answer ${secret}`) }),
      method: "POST",
      headers: { authorization: `Bearer ${secret}` },
      body: { secret },
    };
    const { id } = await start("asks", { input: { target } });
    await arrived(box);
    expect((await boxOf(box))[0]?.body).toContain(secret);
    expect([...(await scan(secret)).keys()]).toEqual([]);
    await open(gate);
    await runThatIs(id, { status: "completed" });
    expect([...(await scan(secret)).keys()]).toEqual([]);
  });

  it("of a run that is deleted is nothing, with any courier", async () => {
    const word = newId("word");
    const { id } = await start("asks", { id: word, input: { target: address({ body: "1" }) } }, "?wait=60s");
    const [sent] = await dispatches(id);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    await expect.poll(async () => (await keptBy(sent?.courier ?? -1)).join()).not.toContain(word);
    expect(await courierObject(sent?.courier ?? 0).reserveBerth(0)).toBe(true);
  });
});
