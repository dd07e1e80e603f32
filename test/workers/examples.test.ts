/**
 * Every example, run in the real objects. The outside world (the mail service, the language model)
 * is stood in for at `fetch`; nothing of ours is.
 */
import { createHmac } from "node:crypto";
import { exports } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { documentIntake } from "../../examples/documents/intake.ts";
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import note from "../../examples/documents/samples/clean-delivery-note.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import { mail } from "../../examples/mail.ts";
import type { Message } from "../../examples/mail.ts";
import { order } from "../../examples/orders.ts";
import { dailyReport } from "../../examples/report.ts";
import { settings } from "./settings.ts";
import { evict } from "./storage.ts";

type Posted = Message & { readonly key: string };
type Answer = () => Response;

const mailUrl = "https://mail.example.com/send";
const modelUrl = "https://llm.example.com/v1";

/** Every mail the mail service took, once per key; and every post it was sent. */
let taken: Posted[] = [];
let posts: Posted[] = [];
/** What the two services answer next; 200 when nothing is left. */
let mailAnswers: Answer[] = [];
let modelAnswers: Answer[] = [];
let questions: string[] = [];
let made = 0;

beforeEach(() => {
  [taken, posts, mailAnswers, modelAnswers, questions] = [[], [], [], [], []];
  settings["MAIL_URL"] = mailUrl;
  const outside = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (target, init) => {
    const request = new Request(target, init);
    if (request.url === mailUrl) return takeMail(request);
    if (request.url === `${modelUrl}/chat/completions`) {
      questions.push(await request.text());
      return modelAnswers.shift()?.() ?? new Response(null, { status: 400 });
    }
    return outside(request);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function takeMail(request: Request): Promise<Response> {
  const post = { ...(await request.json<Message>()), key: request.headers.get("Idempotency-Key") ?? "" };
  posts.push(post);
  const answer = mailAnswers.shift()?.() ?? new Response(null, { status: 202 });
  if (answer.ok && !taken.some((mail) => mail.key === post.key)) taken.push(post);
  return answer;
}

function subjects(to: string): string[] {
  return taken.filter((mail) => mail.to === to).map((mail) => mail.subject);
}

const reviewer = "review@example.com";

async function intake(sample: { title: string; sender: string; text: string }, extra: object = {}) {
  return await documentIntake.start({ ...sample, ...extra }, { id: `intake-${++made}` });
}

/** The address of the review, once the run is parked on it. */
async function parked(run: Awaited<ReturnType<typeof intake>>): Promise<string> {
  return await vi.waitFor(
    async () => {
      const { status, waitingFor } = await run.status();
      expect(status).toBe("waiting");
      expect(waitingFor.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
        "timer remind-after",
        "webhook review",
      ]);
      return waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
    },
    { timeout: 60_000, interval: 20 },
  );
}

async function click(url: string, init?: RequestInit): Promise<Response> {
  return await exports.default.fetch(new Request(url, init));
}

describe("the document process", () => {
  it.each([
    ["an invoice", invoice],
    ["a delivery note", note],
  ])("accepts %s that is in order, and confirms it exactly once", async (_name, sample) => {
    const run = await intake(sample);
    expect(await run.result()).toMatchObject({
      outcome: "accepted",
      decidedBy: "validation",
      problems: [],
      assessment: null,
    });
    expect(subjects(sample.sender)).toEqual([`Received: ${sample.title}`, `Accepted: ${sample.title}`]);
    expect(new Set(posts.map((mail) => mail.key)).size).toBe(2);
    expect(subjects(reviewer)).toEqual([]);
  });

  it("sends a document that cannot be read back, saying what is missing", async () => {
    const run = await intake(broken);
    expect(await run.result()).toMatchObject({ outcome: "rejected", decidedBy: "validation", document: null });
    expect(taken.at(-1)?.text).toContain("- No invoice number was found.");
  });

  it("waits for a reviewer, also through an eviction (guarantees 2 and 4)", async () => {
    const run = await intake(anomalous);
    const url = await parked(run);
    await evict(run.id);
    expect((await click(`${url}?decision=approve`)).status).toBe(200);
    expect(await run.result()).toMatchObject({
      outcome: "approved",
      decidedBy: "reviewer",
      assessment: {
        by: "rules",
        summary: expect.stringContaining("Assessed by rules: no language model is configured."),
      },
    });
    expect(subjects(anomalous.sender)).toEqual([`Received: ${anomalous.title}`, `Approved: ${anomalous.title}`]);
    expect(subjects(reviewer)).toEqual([`Review: ${anomalous.title}`]);
    expect(posts).toHaveLength(3);
    expect(taken.find((mail) => mail.to === reviewer)?.text).toContain(`Approve: ${url}?decision=approve`);
  });

  it("takes a decision as JSON, and none that is not one", async () => {
    const run = await intake(anomalous);
    const url = await parked(run);
    for (const careless of [url, `${url}?decision=perhaps`]) {
      const answer = await click(careless);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
    }
    expect((await run.status()).status).toBe("waiting");
    const headers = { "Content-Type": "application/json" };
    await click(url, { method: "POST", headers, body: JSON.stringify({ decision: "reject" }) });
    expect(await run.result()).toMatchObject({ outcome: "rejected", decidedBy: "reviewer" });
    expect(taken.at(-1)?.text).toContain("- The IBAN NL91ABNA0417164305 fails its check digits.");
  });

  it("reminds a silent reviewer once, and gives up at the deadline", async () => {
    const run = await intake(anomalous, { remindAfter: "100ms", reviewTimeout: "400ms" });
    expect(await run.result()).toMatchObject({ outcome: "expired", decidedBy: "deadline" });
    expect(subjects(reviewer)).toEqual([`Review: ${anomalous.title}`, `Reminder: review: ${anomalous.title}`]);
    expect(subjects(anomalous.sender).at(-1)).toBe(`Not decided: ${anomalous.title}`);
  });

  it("asks the language model where there is one, and shows its words to the reviewer", async () => {
    Object.assign(settings, { LLM_URL: modelUrl, LLM_MODEL: "small" });
    const verdict = { risk: "high", recommendation: "reject", summary: "The bank account is not theirs." };
    const content = `Here you are:\n\`\`\`json\n${JSON.stringify(verdict)}\n\`\`\``;
    modelAnswers = [() => new Response(null, { status: 429, headers: { "Retry-After": "0" } }), () => says(content)];
    const run = await intake(anomalous);
    await click(`${await parked(run)}?decision=reject`);
    expect(await run.result()).toMatchObject({ assessment: { by: "model", ...verdict } });
    expect(questions).toHaveLength(2);
    expect(JSON.parse(questions[1] ?? "")).toMatchObject({ model: "small", temperature: 0 });
    expect(taken.find((mail) => mail.to === reviewer)?.text).toContain("The bank account is not theirs.");
  });

  it("goes on by rules when the language model fails for good, and says so", async () => {
    settings["LLM_URL"] = modelUrl;
    const run = await intake(anomalous);
    await click(`${await parked(run)}?decision=approve`);
    expect(await run.result()).toMatchObject({
      assessment: { by: "rules", summary: expect.stringContaining("Assessed by rules: the language model failed.") },
    });
    expect(questions).toHaveLength(1);
  });

  it("refuses what is no submission at the start", async () => {
    await expect(intake({ ...invoice, sender: "nobody" })).rejects.toMatchObject({ code: "input_invalid" });
    await expect(intake(invoice, { remindAfter: "soon" })).rejects.toMatchObject({ code: "input_invalid" });
  });
});

function says(content: string): Response {
  return Response.json({ choices: [{ message: { role: "assistant", content } }] });
}

describe("the order", () => {
  const placed = {
    id: "A-1",
    email: "ann@example.com",
    address: "12 Quay Street, Galway",
    totalCents: 8990,
    card: "4242",
  };

  async function place(extra: object = {}) {
    return await order.start({ ...placed, ...extra }, { id: `order-${++made}` });
  }

  it("charges again until the provider is back, ships, and tells the customer once", async () => {
    const run = await place({ failPayments: 2 });
    expect(await run.result()).toMatchObject({ attempts: 3, tracking: expect.stringMatching(/^HF/) });
    expect(taken.map((mail) => mail.text)).toEqual([expect.stringContaining("is on its way")]);
  });

  it("never charges a declined card again", async () => {
    const run = await place({ card: "declined" });
    await expect(run.result()).rejects.toMatchObject({ code: "non_retryable", step: "charge", attempts: 1 });
    expect(taken.map((mail) => mail.text)).toEqual([expect.stringContaining("was not paid")]);
  });

  it("gives the money back when nobody delivers there", async () => {
    const run = await place({ undeliverable: true });
    await expect(run.result()).rejects.toMatchObject({ step: "ship" });
    expect(taken.map((mail) => mail.text)).toEqual([expect.stringContaining("was refunded")]);
  });
});

describe("mail", () => {
  async function send() {
    const placed = { id: "A-2", email: "bob@example.com", address: "1 High Street", totalCents: 100, card: "4242" };
    return await order.start(placed, { id: `mail-${++made}` });
  }

  it("is tried again when the service is busy, with the same key", async () => {
    mailAnswers = [() => new Response(null, { status: 429, headers: { "Retry-After": "0" } })];
    await (await send()).result();
    expect(posts).toHaveLength(2);
    expect(new Set(posts.map((mail) => mail.key)).size).toBe(1);
    expect(taken).toHaveLength(1);
  });

  it("is not tried again when the service refuses it", async () => {
    mailAnswers = [() => new Response(null, { status: 422 })];
    await expect((await send()).result()).rejects.toMatchObject({
      code: "non_retryable",
      step: "mail-shipped",
      attempts: 1,
    });
  });

  it("is an error where no service is configured and AUTH is not none", async () => {
    delete settings["MAIL_URL"];
    await expect((await send()).result()).rejects.toThrow("No mail service: set MAIL_URL and MAIL_TOKEN");
  });
});

describe("the report", () => {
  it("says what the day brought, the same to the mail and in the output", async () => {
    const run = await dailyReport.start({ to: "team@example.com" }, { id: `report-${++made}` });
    const { day, orders } = await run.result();
    expect(day).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(taken).toMatchObject([
      { to: "team@example.com", subject: `Report for ${day}`, text: expect.stringContaining(` ${orders} orders `) },
    ]);
  });
});

describe("the development outbox", () => {
  const placed = { id: "A-3", address: "1 High Street", totalCents: 100, card: "4242" };
  const hello = { subject: "Hello", text: "hello" };

  beforeEach(() => {
    settings["AUTH"] = "none";
    delete settings["MAIL_URL"];
  });

  async function send(message: Message, idempotencyKey: string): Promise<void> {
    await mail().send(message, { idempotencyKey, signal: new AbortController().signal });
  }

  async function get<Body>(path: string): Promise<Body> {
    const response = await click(`http://localhost/v1/runs${path}`);
    expect(response.status).toBe(200);
    return await response.json<Body>();
  }

  /** As many mails as that to one recipient, once they are listed, oldest first; over the API alone. */
  async function read(to: string, count: number): Promise<Message[]> {
    const query = `?workflow=outbox&status=completed&label.to=${encodeURIComponent(to)}`;
    const ids = await vi.waitFor(
      async () => {
        const { runs } = await get<{ runs: { id: string }[] }>(query);
        expect(runs).toHaveLength(count);
        return runs.map(({ id }) => id).toReversed();
      },
      { timeout: 60_000, interval: 20 },
    );
    return await Promise.all(ids.map(async (id) => (await get<{ input: Message }>(`/${id}`)).input));
  }

  it("keeps a mail once per key, whoever else is sent to", async () => {
    await send({ ...hello, to: "a@example.com" }, "run-1:mr1x2y3z:mail");
    await send({ ...hello, to: "a@example.com" }, "run-1:mr1x2y3z:mail");
    await send({ ...hello, to: "b@example.com" }, "run-1:mr1x2y3z:mail#2");
    await send({ ...hello, to: "a@example.com" }, "run-1:mr1x2y3z:mail#3");
    const mine = { ...hello, to: "a@example.com" };
    expect(await read("a@example.com", 2)).toEqual([mine, mine]);
    expect(await read("b@example.com", 1)).toEqual([{ ...hello, to: "b@example.com" }]);
  });

  it("finds one mail when two attempts send it at once", async () => {
    const twice = [1, 2].map(async () => await send({ ...hello, to: "c@example.com" }, "run-2:mr1x2y3z:mail"));
    await Promise.all(twice);
    expect(await read("c@example.com", 1)).toEqual([{ ...hello, to: "c@example.com" }]);
  });

  it("refuses another mail under the same key, and what is no mail, for good", async () => {
    await send({ ...hello, to: "d@example.com" }, "run-3:mr1x2y3z:mail");
    await expect(
      send({ to: "d@example.com", subject: "Other", text: "" }, "run-3:mr1x2y3z:mail"),
    ).rejects.toMatchObject({
      name: "NonRetryableError",
      message: "The outbox refuses the mail: its idempotency key was used for another mail",
      cause: { code: "run_exists" },
    });
    await expect(send({ ...hello, to: "nobody" }, "run-4:mr1x2y3z:mail")).rejects.toMatchObject({
      name: "NonRetryableError",
      cause: { code: "input_invalid" },
    });
    expect(await read("d@example.com", 1)).toEqual([{ ...hello, to: "d@example.com" }]);
  });

  it("takes the mails of a run, each once and in order, also through an eviction (guarantee 2)", async () => {
    const [sender, to] = ["outbox-sender@example.com", "outbox-reviewer@example.com"];
    const run = await intake({ ...anomalous, sender }, { reviewer: to });
    const url = await parked(run);
    await evict(run.id);
    expect((await click(url.replace("example.com", "localhost") + "?decision=approve")).status).toBe(200);
    await run.result();
    const { title } = anomalous;
    const letters = await read(sender, 2);
    expect(letters.map(({ subject }) => subject)).toEqual([`Received: ${title}`, `Approved: ${title}`]);
    expect(letters[0]?.text).toContain(`Reference: ${run.id}`);
    const [request] = await read(to, 1);
    expect(request?.text).toContain(`Approve: ${url}?decision=approve`);
    expect(posts).toEqual([]);
  });

  it("gives each run of one id its own mail, should the id be used again", async () => {
    const id = `order-${++made}`;
    const email = "twice@example.com";
    for (const text of ["first", "second"]) {
      // oxlint-disable-next-line no-await-in-loop
      await (await order.start({ ...placed, email, address: text }, { id })).result();
      // oxlint-disable-next-line no-await-in-loop
      const gone = await click(`http://localhost/v1/runs/${id}`, { method: "DELETE" });
      expect(gone.ok).toBe(true);
    }
    expect(await read(email, 2)).toHaveLength(2);
  });

  it("is for AUTH=none only: elsewhere a mail is an error that no retry repairs", async () => {
    settings["AUTH"] = "token";
    const run = await order.start({ ...placed, email: "e@example.com" }, { id: `order-${++made}` });
    await expect(run.result()).rejects.toMatchObject({ code: "non_retryable", step: "mail-shipped", attempts: 1 });
    settings["AUTH"] = "none";
    expect(await read("e@example.com", 0)).toEqual([]);
  });
});

describe("a push told by GitHub", () => {
  const push = (branch: string, commits: number) => ({
    ref: `refs/heads/${branch}`,
    repository: { full_name: "acme/shop", default_branch: "main" },
    pusher: { name: "ada" },
    commits: Array.from({ length: commits }, (_, i) => ({
      id: `${i}0c0ffee00`,
      message: `Change ${i}\n\nAt length.`,
      author: { name: "Ada" },
    })),
  });

  async function deliver(event: string, payload: object, secret = "the secret of the repository"): Promise<unknown> {
    const body = JSON.stringify(payload);
    const signature = `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
    const headers = { "content-type": "application/json", "x-github-event": event, "x-hub-signature-256": signature };
    const response = await click("http://example.com/webhooks/pushes", { method: "POST", headers, body });
    return [response.status, await response.json()] as const;
  }

  it("is announced once, however often it is delivered; the rest is ignored", async () => {
    const payload = push("main", 2);
    expect(await deliver("ping", { zen: "Keep it logically awesome." })).toEqual([
      202,
      { accepted: true, ignored: true },
    ]);
    expect(await deliver("push", push("topic", 1))).toEqual([202, { accepted: true, ignored: true }]);
    expect(await deliver("push", payload, "guessed")).toMatchObject([403, { code: "webhook_rejected" }]);
    expect(await deliver("push", { ref: "refs/heads/main" })).toMatchObject([422, { code: "input_invalid" }]);
    expect(await deliver("push", payload)).toEqual([202, { accepted: true, duplicate: false }]);
    expect(await deliver("push", payload)).toEqual([200, { duplicate: true }]);
    const told = await vi.waitFor(
      () => {
        const [mail, ...more] = posts.filter(({ to }) => to === "team@example.com");
        expect([mail?.subject, more]).toEqual(["ada pushed 2 to acme/shop", []]);
        return mail;
      },
      { timeout: 60_000 },
    );
    expect(told?.text).toBe("00c0ffe Change 0 (Ada)\n10c0ffe Change 1 (Ada)");
  });
});
