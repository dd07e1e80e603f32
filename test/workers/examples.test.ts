/**
 * Every example, run in the real objects. The outside world (the mail service, the language model)
 * is stood in for at `fetch`; nothing of ours is.
 */
import { evictDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { documentIntake } from "../../examples/documents/intake.ts";
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import note from "../../examples/documents/samples/clean-delivery-note.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import type { Message } from "../../examples/mail.ts";
import { order } from "../../examples/orders.ts";
import { outboxRoute } from "../../examples/outbox.ts";
import type { KeptMail, OutboxObject } from "../../examples/outbox.ts";
import { dailyReport } from "../../examples/report.ts";

type Posted = Message & { readonly key: string };
type Answer = () => Response;

const mailUrl = "https://mail.example.com/send";
const modelUrl = "https://llm.example.com/v1";
const settings = env as unknown as Record<string, string | undefined>;
const outbox = (env as unknown as { OUTBOX: DurableObjectNamespace<OutboxObject> }).OUTBOX;

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
  for (const name of ["MAIL_URL", "LLM_URL", "LLM_MODEL"]) delete settings[name];
  settings["AUTH"] = "token";
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
    { timeout: 5000, interval: 20 },
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
    await evictDurableObject(env.RUNS.getByName(run.id));
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

describe("the outbox and the report", () => {
  const keep = (to: string, key: string) => outbox.getByName("outbox").put({ to, subject: key, text: "hello" }, key);
  const ask = (query: string, host = "localhost") => outboxRoute(new Request(`http://${host}/outbox${query}`));

  it("keeps a mail once per key, and is read by recipient and page by page", async () => {
    settings["AUTH"] = "none";
    expect(await keep("a@example.com", "key-1")).toEqual({ duplicate: false });
    expect(await keep("a@example.com", "key-1")).toEqual({ duplicate: true });
    await keep("b@example.com", "key-2");
    await keep("a@example.com", "key-3");
    const page = await read(await ask("?to=a@example.com&limit=1"));
    expect(page.mails.map((mail) => mail.subject)).toEqual(["key-1"]);
    const rest = await read(await ask(`?to=a@example.com&after=${page.next}`));
    expect(rest.mails.map((mail) => mail.subject)).toEqual(["key-3"]);
    expect(rest.next).toBeNull();
  });

  it("is not there unless AUTH is none, nor for other hosts", async () => {
    expect((await ask(""))?.status).toBe(404);
    settings["AUTH"] = "none";
    expect((await ask("", "holdfast.example.com"))?.status).toBe(404);
    expect((await ask("?after=x"))?.status).toBe(400);
    expect((await ask("?limit=201"))?.status).toBe(400);
    expect(await outboxRoute(new Request("http://localhost/v1/runs"))).toBeNull();
  });

  it("takes the mails of the example on a laptop, and the report counts those before it", async () => {
    settings["AUTH"] = "none";
    delete settings["MAIL_URL"];
    await keep("c@example.com", "key-4");
    const keptAt = Date.now();
    await vi.waitUntil(() => Date.now() > keptAt, { interval: 1 });
    const counted = await outbox.getByName("outbox").count(0, keptAt + 1);
    expect(counted.mails).toBeGreaterThan(0);
    const run = await dailyReport.start({ to: "team@example.com" }, { id: `report-${++made}` });
    expect(await run.result()).toMatchObject(counted);
    const { mails: kept } = await read(await ask("?to=team@example.com"));
    expect(kept.map((mail) => mail.text)).toEqual([
      `In the last 24 hours ${counted.mails} mails went to ${counted.recipients} recipients.`,
    ]);
  });

  async function read(response: Response | null): Promise<{ mails: KeptMail[]; next: number | null }> {
    expect(response?.status).toBe(200);
    return (await response?.json()) as { mails: KeptMail[]; next: number | null };
  }
});
