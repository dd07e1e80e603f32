/** Webhooks that start runs: who is let in, what is started, and that a delivery never does so twice. */
import { createHash, createHmac } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createWorker, defineWebhook, defineWorkflow, verify } from "../../src/index.ts";
import { ask, historyOf, newId, refusal, tokens } from "./client.ts";
import type { Answer, Ask } from "./client.ts";
import { watched } from "./crashpoint.ts";
import { effects, githubSecret, standardSecret } from "./flows/webhooks.ts";
import { settings } from "./settings.ts";

const json = { "content-type": "application/json" };

afterEach(() => {
  vi.restoreAllMocks();
});

function hub(body: string, secret = githubSecret[0] ?? "", more: Record<string, string> = {}): Ask {
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  return { token: null, raw: body, headers: { ...json, "x-hub-signature-256": `sha256=${signature}`, ...more } };
}

function standard(id: string, body: string, more: Record<string, string> = {}): Ask {
  const time = Math.floor(Date.now() / 1000);
  const key = Buffer.from(standardSecret.slice("whsec_".length), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${time}.${body}`).digest("base64");
  const own = { "webhook-id": id, "webhook-timestamp": String(time), "webhook-signature": `v1,${signature}` };
  return { token: null, raw: body, headers: { ...json, ...own, ...more } };
}

type Listed = { id: string; status: string };

async function runsOf(workflow: string): Promise<Listed[]> {
  return (await ask(`GET /v1/runs?workflow=${workflow}&limit=200`)).body["runs"] as Listed[];
}

/** The run that this body started, once it is listed as completed. */
async function started(body: string): Promise<Listed> {
  const digest = runIdOf(body).slice("key-".length);
  return await vi.waitFor(async () => {
    const run = (await runsOf("takes-delivery")).find(({ id }) => id.endsWith(digest));
    expect(run).toMatchObject({ status: "completed" });
    return run as Listed;
  }, 60_000);
}

const shown = ({ status, body }: Answer): unknown => [status, body];

describe("ANY /webhooks/:name", () => {
  it("guarantee 1: what the sender signed starts a run, once, with what it was made of", async () => {
    const body = JSON.stringify({ n: 1, by: newId("push") });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const first = await ask("POST /webhooks/github", hub(body, undefined, { traceparent, "x-github-delivery": "1" }));
    expect(shown(first)).toEqual([202, { accepted: true, duplicate: false }]);
    // Delivered again, under an id that nobody has signed.
    const again = await ask("POST /webhooks/github", hub(body, undefined, { "x-github-delivery": "2" }));
    expect(shown(again)).toEqual([200, { duplicate: true }]);
    // Signed with the secret of before.
    expect(shown(await ask("POST /webhooks/github", hub(body, githubSecret[1])))).toEqual([200, { duplicate: true }]);
    const { id } = await started(body);
    const run = (await ask(`GET /v1/runs/${id}`)).body;
    expect(run).toMatchObject({
      output: JSON.parse(body) as object,
      trace: expect.stringContaining("0af7651916cd43dd8448eb211c80319c"),
    });
    const [created] = await historyOf(id);
    expect(created).toMatchObject({ kind: "run.created", by: "webhook:github" });
    expect(created?.["key"]).toMatch(/^webhook:github:[0-9a-f]{64}$/);
  });

  it("a delivery is the same though the sender counts its attempts", async () => {
    const id = newId("msg");
    const calls = [1, 2, 3].map((n) =>
      ask("POST /webhooks/standard", standard(id, '{"n":2}', { "x-attempt": String(n) })),
    );
    const answers = (await Promise.all(calls)).map(({ status }) => status).toSorted();
    expect(answers).toEqual([200, 200, 202]);
    const other = await ask("POST /webhooks/standard", standard(`${id}-other`, '{"n":2}'));
    expect(other.status).toBe(202);
  });

  it("guarantee 9: what is forged, broken or does not fit starts nothing and says no more than it must", async () => {
    const body = JSON.stringify({ n: 3, by: newId("forged") });
    expect(await refusal("POST /webhooks/github", { token: null, raw: body, headers: json })).toBe(
      "403 webhook_rejected",
    );
    expect(await refusal("POST /webhooks/github", hub(body, "other"))).toBe("403 webhook_rejected");
    expect(await refusal("POST /webhooks/github", { ...hub(body), raw: body.replace("3", "4") })).toBe(
      "403 webhook_rejected",
    );
    // A token of the API opens no webhook.
    expect(await refusal("POST /webhooks/github", { ...hub(body, "other"), token: tokens.admin })).toBe(
      "403 webhook_rejected",
    );
    expect(await refusal("POST /webhooks/github", hub("{"))).toBe("400 body_invalid");
    expect(await refusal("POST /webhooks/github", hub('{"n":"three"}'))).toBe("422 input_invalid");
    expect(await refusal("POST /webhooks/github", hub('{"__proto__":1}'))).toBe("400 body_invalid");
    expect(await refusal("POST /webhooks/nobody", hub(body))).toBe("404 webhook_not_found");
    expect(await refusal("POST /webhooks/a/b", hub(body))).toBe("404 route_not_found");
    const broken = await ask("POST /webhooks/numbered?broken=1", { token: null });
    expect([broken.status, broken.body["code"]]).toEqual([422, "input_invalid"]);
    expect(broken.text).not.toContain("secret");
    // Nothing was started under it before.
    expect((await ask("POST /webhooks/github", hub(body))).status).toBe(202);
  });

  it("methods, sizes, and those who only look", async () => {
    const get = await ask("GET /webhooks/open", { token: null });
    expect([get.status, get.body["code"], get.headers.get("allow")]).toEqual([405, "method_not_allowed", "POST, PUT"]);
    const options = await ask("OPTIONS /webhooks/open", { token: null });
    expect([options.status, options.headers.get("allow")]).toEqual([204, "POST, PUT"]);
    expect((await ask("HEAD /webhooks/open", { token: null })).status).toBe(200);
    expect((await ask("HEAD /webhooks/nobody", { token: null })).status).toBe(404);
    expect(await refusal("PUT /webhooks/open", { token: null, raw: "x".repeat(101) })).toBe("413 body_too_large");
    expect(
      (
        await ask("PUT /webhooks/open", {
          token: null,
          raw: "x".repeat(100),
          headers: { "content-type": "text/plain" },
        })
      ).status,
    ).toBe(202);
    // Anybody may call, and each call is one of its own.
    expect((await ask("POST /webhooks/open", { token: null })).status).toBe(202);
    expect((await ask("POST /webhooks/open", { token: null })).status).toBe(202);
  });

  it("nothing to do is an answer; the author answers handshakes", async () => {
    const slack = (body: string): Ask => {
      const time = String(Math.floor(Date.now() / 1000));
      const signature = createHmac("sha256", "the secret of Slack").update(`v0:${time}:${body}`).digest("hex");
      return {
        token: null,
        raw: body,
        headers: { ...json, "x-slack-request-timestamp": time, "x-slack-signature": `v0=${signature}` },
      };
    };
    const hello = await ask("POST /webhooks/slack", slack('{"type":"url_verification","challenge":"c1"}'));
    expect(shown(hello)).toEqual([200, { challenge: "c1" }]);
    const event = JSON.stringify({ type: "event_callback", event_id: newId("Ev") });
    const first = await ask("POST /webhooks/slack", slack(event));
    expect(first.body).toMatchObject({ duplicate: false });
    // Slack signs an event anew each time.
    const again = await ask("POST /webhooks/slack", slack(`${event} `));
    expect(again.body).toEqual({ run: first.body["run"], duplicate: true });
  });

  it("the author may say what tells deliveries apart", async () => {
    const id = newId("n");
    const call = (query: string) => ask(`POST /webhooks/numbered?${query}`, { token: null, raw: "abc" });
    expect((await call(`id=${id}`)).status).toBe(202);
    expect((await call(`id=${id}&more=1`)).status).toBe(200);
    expect((await call(`id=${id}x`)).status).toBe(202);
    expect((await call("")).status).toBe(202);
    expect((await call("")).status).toBe(202);
    expect(await refusal("POST /webhooks/numbered?id=", { token: null })).toBe("422 input_invalid");
  });

  it("a delivery that another run answered for leads to that run, whatever it says when it comes again", async () => {
    const [own, other] = [newId("own"), newId("other")];
    // The author's id counts, whatever the sender calls its deliveries.
    const call = async (id: string, json: object) => {
      const headers = { "idempotency-key": newId("key") };
      return (await ask(`POST /webhooks/one?id=${id}`, { token: "the token", json, headers })).body;
    };
    const first = await call(own, { n: 1 });
    expect(first).toMatchObject({ duplicate: false });
    expect(await call(own, { n: 2 })).toEqual({ ...first, duplicate: true });
    expect(await call(other, { n: 1 })).toEqual(first);
    expect(await call(other, { n: 2 })).toEqual({ ...first, duplicate: true });
  });

  it("a limit of the workflow's refuses it as it refuses any start", async () => {
    const call = (): Promise<Answer> => ask("POST /webhooks/few", { token: "the token", json: { n: 1 } });
    expect((await call()).status).toBe(202);
    const refused = await call();
    expect([refused.status, refused.body["code"]]).toEqual([429, "rate_limited"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("what is refused leaves a line in the log, and nothing of what was sent", async () => {
    settings["LOG"] = "json";
    const lines: string[] = [];
    vi.spyOn(console, "warn").mockImplementation((line: string) => void lines.push(line));
    await ask("POST /webhooks/github", hub('{"n":1,"canary":"payload"}', "other"));
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      {
        event: "webhook.rejected",
        webhook: "github",
        workflow: "takes-delivery",
        error: { code: "webhook_rejected", message: "webhook github refused the call: its signature is not right" },
      },
    ]);
    await ask("POST /webhooks/github", hub('{"canary"'));
    expect(lines.join("")).not.toContain("canary");
  });

  it("what a function of the author's threw over a call is in the log, which the answer does not say", async () => {
    settings["LOG"] = "json";
    const lines: string[] = [];
    vi.spyOn(console, "warn").mockImplementation((line: string) => void lines.push(line));
    await ask("POST /webhooks/numbered?broken=1", { token: null });
    const message = "input of webhook numbered failed on this call";
    expect(lines.map((line) => (JSON.parse(line) as { error: object }).error)).toEqual([
      { code: "input_invalid", message, cause: "a secret of the author's" },
    ]);
  });
});

it("GET /v1/webhooks lists them, with how they know their senders", async () => {
  const { status, body } = await ask("GET /v1/webhooks", { token: tokens.read });
  const at = (name: string): string => `http://example.com/webhooks/${name}`;
  expect([status, body["webhooks"]]).toEqual([
    200,
    expect.arrayContaining([
      { name: "github", workflow: "takes-delivery", url: at("github"), methods: ["POST"], verify: "github" },
      { name: "open", workflow: "takes-anything", url: at("open"), methods: ["POST", "PUT"], verify: "none" },
    ]),
  ]);
  expect(await refusal("GET /v1/webhooks", { token: null })).toBe("401 token_missing");
});

describe("defineWebhook", () => {
  const workflow = defineWorkflow("some", { handler: async () => null });
  const thrown = (make: () => unknown): string => {
    try {
      make();
      return "";
    } catch (error) {
      return `${(error as { code: string }).code} ${(error as Error).message}`;
    }
  };

  it("refuses at once what is no webhook, naming the option", () => {
    const define = (options: object, name = "one"): string =>
      thrown(() => defineWebhook(name, { verify: "none", workflow, ...options } as never));
    expect(define({})).toBe("");
    expect(define({ verify: undefined })).toMatch(/^options_invalid webhook one: verify must say who may call/);
    expect(define({ verify: "open" })).toMatch(/^options_invalid webhook one: verify/);
    expect(define({ workflow: undefined })).toMatch(/^options_invalid webhook one: workflow/);
    expect(define({ verfy: 1 })).toMatch(/^options_invalid webhook one has no option "verfy"; it takes verify/);
    for (const option of ["input", "id", "respond"])
      expect(define({ [option]: "x" })).toMatch(new RegExp(`^options_invalid webhook one: ${option}`));
    for (const methods of [[], "POST", ["HEAD"], ["post"]])
      expect(define({ methods })).toMatch(/^options_invalid webhook one: methods/);
    for (const maxBytes of [0, -1, 1.5, Infinity, 17 * 1024 * 1024])
      expect(define({ maxBytes })).toMatch(/^options_invalid webhook one: maxBytes/);
    for (const name of ["", "a/b", "ü", "-a", "a b", "x".repeat(129)])
      expect(define({}, name)).toMatch(/^name_invalid the name of a webhook/);
    expect(thrown(() => defineWebhook("one", null as never))).toMatch(/^options_invalid/);
  });

  it("createWorker refuses two of one name, and one whose workflow is not listed", () => {
    const hook = defineWebhook("one", { verify: verify.github("s"), workflow });
    expect(thrown(() => createWorker({ workflows: [workflow], webhooks: [hook, hook] }))).toBe(
      "options_invalid webhook one is listed twice",
    );
    expect(thrown(() => createWorker({ workflows: [], webhooks: [hook] }))).toBe(
      "options_invalid webhook one starts some, which is not among the workflows",
    );
  });
});

/** Of the run that this body starts: what tells the delivery is its key, and the key makes the id. */
function runIdOf(body: string): string {
  const hash = (text: string): string => createHash("sha256").update(text).digest("hex");
  return `key-${hash(`webhook:github:${hash(body)}`).slice(0, 32)}`;
}

/** HOOK_COUNT deliveries, each of whose runs dies at one of its writes or two. */
describe("guarantees 1 and 2: deliveries while objects die", () => {
  it("none that was accepted is lost, none starts two runs", async () => {
    const count = Number(settings["HOOK_COUNT"] || 16);
    const name = newId("storm");
    const bodies = Array.from({ length: count }, (_, n) => JSON.stringify({ n, by: name }));
    for (const [n, body] of bodies.entries()) {
      // At each of its first writes in turn; of two in a row, the second as the next life takes up the run.
      const blow = (at: number) => ({ at, how: n % 2 === 0 ? "lost" : "kept" }) as const;
      watched(runIdOf(body)).blows = n % 5 === 4 ? [blow(1), blow(2)] : [blow(1 + (n % 4))];
    }
    let lost = 0;
    const answered: number[] = [];
    /** As senders do: again and again until it is answered, and once more although it was. */
    const send = async (body: string): Promise<void> => {
      for (let left = 2; left > 0;) {
        const { status } = await ask("POST /webhooks/github", hub(body)).catch(() => ({ status: 503 }));
        if (status < 300) {
          left--;
          answered.push(status);
          continue;
        }
        lost++;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    };
    await Promise.all(bodies.map(send));
    expect(answered).toHaveLength(2 * count);
    // Deaths were in the way of deliveries, not merely between them.
    expect(lost).toBeGreaterThan(0);
    const done = async (): Promise<void> => {
      const found = (await runsOf("takes-delivery")).filter(({ status }) => status === "completed");
      const outputs = await Promise.all(
        found.map(async ({ id }) => JSON.stringify((await ask(`GET /v1/runs/${id}`)).body["output"])),
      );
      expect(outputs.filter((output) => output.includes(name)).toSorted()).toEqual(bodies.toSorted());
    };
    await vi.waitFor(done, { timeout: 60_000, interval: 200 });
    expect(new Set(effects).size).toBeGreaterThanOrEqual(count);
  });
});
