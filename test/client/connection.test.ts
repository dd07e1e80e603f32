/** How a client calls: what it asks again and what it does not. The world is a function in the place of `fetch`. */
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createClient } from "../../src/client.ts";
import type { Client } from "../../src/client.ts";
import { filterNames } from "../../src/http/query.ts";

type Answer = (request: Request) => Response | Promise<Response>;

const run = { id: "r1", status: "completed", output: 5, input: null, error: null, progress: null, active: [] };
const times = {
  createdAt: "2027-01-01T00:00:00Z",
  startedAt: null,
  updatedAt: "2027-01-01T00:00:00Z",
  finishedAt: null,
};
const fine: Answer = () => Response.json({ ...run, ...times, waitingFor: [] });
const lost: Answer = () => {
  throw new TypeError("fetch failed");
};

/** Never, and heeds the call's signal as `fetch` does. */
const none = ({ signal }: Request): Promise<Response> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });

function events(body: BodyInit): Response {
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function refuse(status: number, code: string, headers: Record<string, string> = {}): Answer {
  const body = JSON.stringify({ code, detail: `it is ${code}`, status });
  return () => new Response(body, { status, headers: { ...headers, "content-type": "application/problem+json" } });
}

/** An answer whose body breaks off before it has begun. */
const cut =
  (status: number): Answer =>
  () =>
    new Response(new ReadableStream({ pull: (controller) => controller.error(new TypeError("cut")) }), { status });

/** A client to which the world answers so, the last answer for ever. */
function against(answers: readonly Answer[], patience = "30 s"): { client: Client; asked: Request[] } {
  const asked: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    asked.push(request);
    return await (answers[asked.length - 1] ?? answers.at(-1) ?? fine)(request);
  };
  return { client: createClient({ url: "https://orders.example.com/flows/", token: "t", patience, fetch }), asked };
}

/** Lets virtual time go on until the work is over; how long it took and what came of it. */
async function finish(work: Promise<unknown>): Promise<{ ms: number; value?: unknown; error?: unknown }> {
  const before = Date.now();
  const settled = work.then(
    (value) => ({ value, ms: Date.now() - before }),
    (error: unknown) => ({ error, ms: Date.now() - before }),
  );
  await vi.runAllTimersAsync();
  return await settled;
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a call is made again", () => {
  test.each([
    ["nobody answers", lost],
    ["a proxy answers", () => new Response("<h1>Bad Gateway</h1>", { status: 502 })],
    ["a network wants somebody to sign in", () => new Response("<h1>Welcome</h1>", { status: 511 })],
    ["the answer breaks off", cut(200)],
    ["a refusal breaks off", cut(409)],
    ["the object was unavailable", refuse(503, "unavailable")],
    ["the object has too much to do", refuse(503, "overloaded")],
  ] as const)("where %s, with the same key, until there is an answer", async (_what, failing) => {
    const { client, asked } = against([failing, failing, failing, fine]);
    expect((await finish(client.getRun("r1").signal("go", { fast: true }))).error).toBeUndefined();
    expect(new Set(asked.map(({ headers }) => headers.get("idempotency-key"))).size).toBe(1);
    expect(asked[0]?.headers.get("idempotency-key")).toMatch(/^[0-9a-f-]{36}$/);
    expect(await Promise.all(asked.map((request) => request.text()))).toEqual(Array(4).fill('{"fast":true}'));
    expect(asked[3]?.url).toBe("https://orders.example.com/flows/v1/runs/r1/signals/go");
    expect(asked[3]?.headers.get("authorization")).toBe("Bearer t");
  });

  test("as the same start, which its key tells, or its id alone; what it brings has a key, for the id would let it come twice", async () => {
    const begun: Answer = () => Response.json({ id: "r1" }, { status: 201 });
    const { client, asked } = against([lost, begun, lost, begun, lost, begun, lost, begun]);
    const orders = client.workflow("w");
    await finish(
      (async () => [
        await orders.start(1),
        await orders.start(1, { id: "i" }),
        await orders.start(1, { id: "i", signal: { name: "go" } }),
        await orders.start(1, { idempotencyKey: "k" }),
      ])(),
    );
    const bodies = await Promise.all(asked.map((request): Promise<{ id?: string }> => request.json()));
    const keys = asked.map(({ headers }) => headers.get("idempotency-key"));
    expect(bodies.map(({ id }) => id)).toEqual([undefined, undefined, "i", "i", "i", "i", undefined, undefined]);
    expect(keys).toEqual([keys[0], keys[0], null, null, keys[4], keys[4], "k", "k"]);
    for (const made of [keys[0], keys[4]]) expect(made).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    ["Holdfast", refuse(503, "overloaded", { "retry-after": "5" })],
    ["a proxy", () => new Response("", { status: 503, headers: { "retry-after": "5" } })],
  ] as const)("when %s said that it was worth it", async (_who, busy) => {
    const { client, asked } = against([busy, fine]);
    expect((await finish(client.getRun("r1").status())).ms).toBe(5000);
    expect(asked.map(({ headers }) => headers.get("idempotency-key"))).toEqual([null, null]);
  });

  test("and again, by its own pauses at the least, whatever a proxy takes for worth it", async () => {
    const { client, asked } = against([() => new Response("", { status: 503, headers: { "retry-after": "0" } })]);
    expect((await finish(client.getRun("r1").status())).error).toMatchObject({ code: "unreachable", status: 503 });
    expect(asked.length).toBeLessThan(20);
  });

  test("also after a long wait: patience is with what fails", async () => {
    const cut: Answer = () => new Promise((_, reject) => setTimeout(() => reject(new TypeError("cut")), 45_000));
    const { client, asked } = against([cut, lost, fine]);
    expect((await finish(client.getRun("r1").result())).value).toBe(5);
    // Proxies hang up after a minute.
    expect(asked[0]?.url).toBe("https://orders.example.com/flows/v1/runs/r1?wait=50s");
  });

  test("where the answer never comes, and leaves no timer", async () => {
    const { client, asked } = against([none, fine]);
    const { error, ms } = await finish(client.getRun("r1").status());
    expect([error, asked.length]).toEqual([undefined, 2]);
    expect(ms).toBeGreaterThan(90_000);
    await client.getRun("r1").status();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("for as long as there is patience, at growing pauses", async () => {
    const { client, asked } = against([lost]);
    const { error, ms } = await finish(client.getRun("r1").pause());
    expect(error).toMatchObject({
      name: "ApiError",
      code: "unreachable",
      status: null,
      cause: { message: "fetch failed" },
    });
    expect(ms).toBeLessThanOrEqual(30_000);
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.length).toBeLessThan(20);
    const hasty = against([lost], "0 s");
    expect((await finish(hasty.client.getRun("r1").pause())).ms).toBe(0);
    expect(hasty.asked.length).toBe(1);
  });
});

describe("a refusal is final", () => {
  test.each([
    [404, "run_not_found"],
    [409, "idempotency_conflict"],
    [422, "input_invalid"],
    [429, "rate_limited"],
    [503, "auth_unconfigured"],
    [507, "storage_full"],
    [500, "internal"],
  ])("%d %s", async (status, code) => {
    const { client, asked } = against([refuse(status, code, { "retry-after": "7" })]);
    const { error } = await finish(client.workflow("w").start({}));
    expect(error).toMatchObject({ code, status, message: `it is ${code}`, retryAfterMs: 7000 });
    expect(asked.length).toBe(1);
  });

  test("whatever a proxy adds to its type", async () => {
    const type = { "content-type": "application/problem+json; charset=utf-8" };
    const answer = (): Response => new Response('{"code":"unavailable","detail":"no"}', { status: 503, headers: type });
    const { error } = await finish(against([answer], "0 s").client.getRun("r1").status());
    expect(error).toMatchObject({ code: "unavailable", message: "no", status: 503, retryAfterMs: undefined });
  });

  test("so is a redirection, and a problem of somebody else's", async () => {
    const moved = against([() => new Response(null, { status: 301, headers: { location: "https://x.example" } })]);
    const { error } = await finish(moved.client.getRun("r1").pause());
    expect(error).toMatchObject({ code: "unreachable", status: 301 });
    // Who follows one makes a GET of a POST.
    expect(moved.asked.map(({ method, redirect }) => [method, redirect])).toEqual([["POST", "manual"]]);
    const type = { "content-type": "application/problem+json" };
    const foreign = against([() => new Response('{"title":"Forbidden"}', { status: 403, headers: type })]);
    const refused = (await finish(foreign.client.getRun("r1").pause())).error;
    expect(refused).toMatchObject({ code: "unreachable", message: expect.stringContaining("Forbidden"), status: 403 });
    const torn = against([() => new Response('{"code":', { status: 403, headers: type })]);
    expect((await finish(torn.client.getRun("r1").pause())).error).toMatchObject({ code: "unreachable", status: 403 });
  });

  test("so is the answer of a page that is none of Holdfast's", async () => {
    const { client, asked } = against([() => new Response("<h1>Nothing here</h1>", { status: 404 })]);
    const { error } = await finish(client.getRun("r1").status());
    expect(error).toMatchObject({ code: "unreachable", status: 404, message: expect.stringContaining("Nothing here") });
    const page = against([() => new Response("<h1>Welcome</h1>")]);
    expect((await finish(page.client.getRun("r1").status())).error).toMatchObject({ code: "unreachable", status: 200 });
    expect([asked.length, page.asked.length]).toEqual([1, 1]);
    const followed = page.client.getRun("r1").events()[Symbol.asyncIterator]().next();
    expect((await finish(followed)).error).toMatchObject({ code: "unreachable", status: 200 });
    expect(page.asked.length).toBe(2);
  });
});

test("what cannot be asked is not", async () => {
  for (const url of [
    "localhost:8787",
    "orders",
    "https://o.example/?v=1",
    "https://o.example/#v1",
    "https://u:p@o.example",
  ]) {
    expect(() => createClient({ url })).toThrow(expect.objectContaining({ code: "options_invalid" }));
  }
  const { client, asked } = against([fine]);
  const refused = { name: "HoldfastError", code: "options_invalid" };
  // At the root of a host it would go to another one, token and all.
  await expect(client.request("GET", ".evil.example/v1/runs")).rejects.toMatchObject(refused);
  await expect(client.request("POST", "/v1/schedules", { body: { input: 1n } })).rejects.toMatchObject(refused);
  await expect(client.workflow("w").start(1, { idempotencyKey: "☃" })).rejects.toMatchObject(refused);
  const over = { signal: AbortSignal.abort(new Error("before")) };
  await expect(client.request("POST", "/v1/runs/r1/cancel", over)).rejects.toThrow("before");
  for (const name of ["", ".", "..", "n".repeat(257)]) {
    expect(() => client.workflow(name)).toThrow(expect.objectContaining({ code: "name_invalid" }));
    await expect(client.signal(name)).rejects.toMatchObject({ code: "name_invalid" });
  }
  expect(asked).toEqual([]);
});

test("who gives up waiting is told at once, by the reason given", async () => {
  const { client } = against([lost]);
  const control = new AbortController();
  // The second is not tried again, whatever fails.
  const waits = [client, against([none], "0 s").client].map((each) => {
    return finish(each.getRun("r1").result({ signal: control.signal }));
  });
  setTimeout(() => control.abort(new Error("had enough")), 1234);
  for (const { error, ms } of await Promise.all(waits)) {
    expect([String(error), ms]).toEqual(["Error: had enough", 1234]);
  }
  const before = client.getRun("r1").result({ signal: AbortSignal.abort(new Error("before")) });
  await expect(before).rejects.toThrow("before");
});

test("so is who gives up an update that is under way, which is asked for no more", async () => {
  const control = new AbortController();
  const open: Answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 60_000));
    return Response.json({ accepted: true, update: "u1" }, { status: 202 });
  };
  const { client, asked } = against([open, none]);
  const updated = client.getRun("r1").update("put", 7, { signal: control.signal });
  setTimeout(() => control.abort(new Error("had enough")), 90_000);
  const { error, ms } = await finish(updated);
  expect([String(error), ms, asked.length]).toEqual(["Error: had enough", 90_000, 2]);
});

test("who is not answered is told why, as far as the runtime says", async () => {
  const refusedWith =
    (cause: Error): Answer =>
    () => {
      throw new TypeError("fetch failed", { cause });
    };
  const refused = (host: string) => new Error(`connect ECONNREFUSED ${host}:8787`);
  const [six, four] = [refused("::1"), refused("127.0.0.1")];
  const told = async (answer: Answer) =>
    String((await finish(against([answer], "0s").client.request("GET", "/metrics"))).error);
  expect(await told(refusedWith(four))).toBe(
    "ApiError: nobody answered: fetch failed: connect ECONNREFUSED 127.0.0.1:8787",
  );
  // As Node has it where localhost has an address of each kind.
  expect(await told(refusedWith(new AggregateError([six, four])))).toBe(
    "ApiError: nobody answered: fetch failed: connect ECONNREFUSED ::1:8787, connect ECONNREFUSED 127.0.0.1:8787",
  );
  expect(await told(lost)).toBe("ApiError: nobody answered: fetch failed");
  expect(await told(() => new Response("up 1"))).toBe(
    "ApiError: the answer is 200 and no JSON, as Holdfast's would be: up 1",
  );
});

test("a connection on which nothing is said any more is given up, and the follower comes back behind what it had", async () => {
  const mute = (): Response =>
    events(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode('id: 3\ndata: {"seq":3}\n\n')),
      }),
    );
  const news = "event: of a later version\ndata: {}\n\n";
  const rest = (): Response => events(`${news}id: 4\ndata: {"seq":4}\n\n: end {}\n\n`);
  const { client, asked } = against([mute, rest]);
  const seen: number[] = [];
  const followed = (async () => {
    for await (const { seq } of client.getRun("r1").events({ after: 2 })) seen.push(seq);
  })();
  const { ms } = await finish(followed);
  expect(seen).toEqual([3, 4]);
  expect(asked.map(({ headers }) => headers.get("last-event-id"))).toEqual(["2", "3"]);
  expect(ms).toBe(46_000);
});

test("so is one that is not even answered", async () => {
  const { client, asked } = against([none, () => events(": end {}\n\n")]);
  const next = client.getRun("r1").events()[Symbol.asyncIterator]().next();
  expect((await finish(next)).value).toEqual({ done: true, value: undefined });
  expect(asked.length).toBe(2);
});

test("who follows no more is told, and the connection closed, also by a fetch that heeds no signal", async () => {
  const control = new AbortController();
  let closed = 0;
  const endless: Answer = () => {
    control.abort(new Error("had enough"));
    return events(new ReadableStream({ cancel: () => void closed++ }));
  };
  const { client } = against([endless]);
  const next = client.getRun("r1").events({ signal: control.signal })[Symbol.asyncIterator]().next();
  expect(String((await finish(next)).error)).toBe("Error: had enough");
  expect(closed).toBe(1);
});

test("is heard as long as anything is said, and left by who reads no more, with no timer behind", async () => {
  const told = new TextEncoder();
  let closed = 0;
  const slow = (): Response =>
    events(
      new ReadableStream({
        start: (controller) => {
          for (const [index, text] of [": heartbeat", ": heartbeat", 'data: {"seq":1}', 'data: {"seq":2}'].entries()) {
            setTimeout(() => controller.enqueue(told.encode(`${text}\n\n`)), index * 30_000);
          }
        },
        cancel: () => void closed++,
      }),
    );
  const { client, asked } = against([slow]);
  const seen: number[] = [];
  const { signal } = new AbortController();
  const followed = (async () => {
    for await (const { seq } of client.getRun("r1").events({ signal })) if (seen.push(seq) === 2) break;
    return [vi.getTimerCount(), getEventListeners(signal, "abort").length];
  })();
  const { ms, value: left } = await finish(followed);
  expect([seen, asked.length, left, closed]).toEqual([[1, 2], 1, [0, 0], 1]);
  // Not until it would have been taken for dead.
  expect(ms).toBe(90_000);
  const mute = against([() => events(new ReadableStream()), () => events(": end {}\n\n")]);
  await finish(mute.client.getRun("r1").events()[Symbol.asyncIterator]().next());
  expect(mute.asked.length).toBe(2);
  const before = client.getRun("r1").events({ signal: AbortSignal.abort(new Error("before")) });
  expect(String((await finish(before[Symbol.asyncIterator]().next())).error)).toBe("Error: before");
  expect(asked.length).toBe(1);
});

test("an update that takes long is asked for again, by its key, until it is done", async () => {
  const open: Answer = () => Response.json({ accepted: true, update: "u1" }, { status: 202 });
  const { client, asked } = against([open, lost, open, () => Response.json({ result: { $type: "undefined" } })]);
  const { value, error } = await finish(client.getRun("r1").update("put", { item: 7n }));
  expect([value, error]).toEqual([undefined, undefined]);
  expect(new Set(asked.map(({ headers }) => headers.get("idempotency-key"))).size).toBe(1);
  const sent = new Set(await Promise.all(asked.map((request) => request.text())));
  expect([...sent]).toEqual(['{"item":{"$type":"BigInt","value":"7"}}']);
});

test("values come as they are; what stands for none comes as the JSON it is", async () => {
  const shown =
    (output: unknown): Answer =>
    () =>
      Response.json({ ...run, ...times, waitingFor: [], output });
  const date = against([shown({ $type: "Date", value: "2027-01-01T00:00:00.000Z" })]);
  expect((await finish(date.client.getRun("r1").result())).value).toEqual(new Date("2027-01-01"));
  const redacted = { $type: "Shape", value: { type: "object" } };
  const { value } = await finish(
    against([shown(redacted)])
      .client.getRun("r1")
      .result(),
  );
  expect(value).toEqual(redacted);
});

test("so do instants, as dates and as milliseconds", async () => {
  const text = "2027-01-01T00:00:00.000Z";
  const at = new Date(text);
  const shown = {
    ...{ ...run, ...times, startedAt: text, finishedAt: text },
    waitingFor: [{ kind: "timer", name: "nap", since: text, until: text }],
    active: [{ step: "pay", attempt: 2, since: text }],
  };
  const { value } = await finish(
    against([() => Response.json(shown)])
      .client.getRun("r1")
      .status(),
  );
  expect(value).toMatchObject({
    ...{ createdAt: at, startedAt: at, updatedAt: at, finishedAt: at, fork: null },
    waitingFor: [{ kind: "timer", name: "nap", since: at.getTime(), until: at.getTime() }],
    active: [{ step: "pay", attempt: 2, since: at.getTime() }],
  });
});

test("a run that has an error and goes on is waited for", async () => {
  const paused = { ...run, ...times, waitingFor: [], status: "paused", output: null };
  const error = { name: "Error", message: "no", code: "step_failed" };
  const { client } = against([() => Response.json({ ...paused, error }), fine]);
  expect((await finish(client.getRun("r1").result())).value).toBe(5);
});

test("what starts, signals and forks are given goes with them", async () => {
  const at = new Date("2027-01-01T00:00:00.000Z");
  const [traceparent, begun] = ["00-1-2-01", () => Response.json({ id: "r1" })];
  const refused = { problem: { code: "rate_limited", detail: "later", status: 429 }, retryAfter: 7 };
  const batch: Answer = () => Response.json({ runs: [{ id: "r1" }, refused] });
  const { client, asked } = against([begun, batch, begun, begun, batch]);
  const [orders, given] = [client.workflow("w"), { startAt: at, notAfter: at }];
  const batched = (async () => {
    await orders.start(1, { ...given, traceparent, idempotencyKey: "k" });
    const results = await orders.startMany([{ input: 1, ...given }], { traceparent, idempotencyKey: "k" });
    await client.getRun("r1").signal("go", 1, { traceparent, idempotencyKey: "k" });
    await client.getRun("r1").fork({ from: "pay", input: undefined, idempotencyKey: "k" });
    // Known by its id, but not all of them are.
    await orders.startMany([{ id: "i" }, { input: 1 }]);
    return results;
  })();
  expect((await finish(batched)).value).toMatchObject([{ value: { id: "r1" } }, { reason: { retryAfterMs: 7000 } }]);
  const sent = (name: string) => asked.map(({ headers }) => headers.get(name));
  expect(sent("traceparent")).toEqual([traceparent, traceparent, traceparent, null, null]);
  expect(sent("idempotency-key")).toEqual(["k", "k", "k", "k", expect.stringMatching(/^[0-9a-f-]{36}$/)]);
  expect(new Set(sent("content-type"))).toEqual(new Set(["application/json"]));
  const start = { input: 1, startAt: at.toISOString(), notAfter: at.toISOString() };
  expect((await Promise.all(asked.map((request) => request.json()))).slice(0, 4)).toEqual([
    ...[start, { runs: [start] }, 1],
    { from: "pay", input: { $type: "undefined" } },
  ]);
});

test("lists and histories are read to their last page", async () => {
  const pages: Answer[] = [
    () => Response.json({ runs: [], cursor: "c1" }),
    () => Response.json({ runs: [], cursor: null }),
    () => Response.json({ entries: [{ seq: 4 }], next: 4 }),
    () => Response.json({ entries: [{ seq: 5 }], next: null }),
  ];
  const { client, asked } = against(pages);
  const filter = { workflow: undefined, status: ["failed", "cancelled"] } as never;
  await finish(collect(client.runs(filter)));
  const { value } = await finish(collect(client.getRun("r1").history(3)));
  expect(value).toEqual([{ seq: 4 }, { seq: 5 }]);
  const queries = asked.map(({ url }) => Object.fromEntries(new URL(url).searchParams));
  const [limit, status] = ["200", "failed,cancelled"];
  expect(queries).toEqual([
    { limit, status },
    { limit, status, cursor: "c1" },
    { limit, after: "3" },
    { limit, after: "4" },
  ]);
});

test("runs are listed by each filter that the API has", async () => {
  const { client, asked } = against([() => Response.json({ runs: [], cursor: null })]);
  const at = new Date("2027-01-01T00:00:00.000Z");
  const plain = { workflow: "w", idPrefix: "o-", errorCode: "step_failed", cause: "0k3v9qz1m2x7ab" };
  const given = { ...plain, status: "failed", labels: { team: "north" }, createdAfter: at, createdBefore: at } as const;
  expect(await finish(client.runs(given)[Symbol.asyncIterator]().next())).toMatchObject({ value: { done: true } });
  const { limit: _limit, ...query } = Object.fromEntries(new URL(asked[0]?.url ?? "").searchParams);
  const instant = at.toISOString();
  expect(query).toEqual({
    ...plain,
    ...{ status: "failed", "label.team": "north", createdAfter: instant, createdBefore: instant },
  });
  const names = Object.keys(query).map((name) => (name.startsWith("label.") ? "label." : name));
  expect(new Set(names)).toEqual(new Set(filterNames));
});
