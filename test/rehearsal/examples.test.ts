/** Examples, tested as their users would test theirs. */
import { rehearse } from "holdfast/testing";
import { NonRetryableError } from "holdfast";
import { expect, test, vi } from "vitest";
import { agent } from "../../examples/agent/agent.ts";
import { approval } from "../../examples/approval.ts";
import { drip } from "../../examples/drip.ts";
import { order } from "../../examples/orders.ts";

const people = { what: "a boat", approver: "ann@example.com", manager: "max@example.com" };
const goods = { id: "7", email: "ann@example.com", address: "12 Quay Street", totalCents: 8990, card: "4242" };

test("an approval: asked, reminded, escalated, and who decides late still decides", async () => {
  const mail = vi.fn();
  const steps = { ask: mail, remind: mail, escalate: mail };
  const run = await rehearse(approval, people, { steps });
  expect(await run.query("stage")).toEqual({ stage: "asked", approver: "ann@example.com" });
  await run.skip("1 day");
  await run.skip("3 days");
  expect(await run.query("stage")).toMatchObject({ stage: "escalated" });
  expect(mail.mock.calls.map(([{ step }]) => step)).toEqual(["ask", "remind", "escalate"]);
  await run.signal("decision", { approved: true, by: "max@example.com" });
  expect(run.output).toEqual({ approved: true, by: "max@example.com", note: "" });
  await run.crashEverywhere();
});

test("an approval that somebody else is asked for", async () => {
  const run = await rehearse(approval, people, { steps: { ask: () => {}, "ask-delegate": () => {} } });
  expect(await run.update("delegate", { to: "bob@example.com" })).toEqual({ approver: "bob@example.com" });
  await expect(run.update("delegate", { to: "bob" })).rejects.toMatchObject({ code: "update_invalid" });
  await run.signal("decision", { approved: false, by: "bob@example.com" });
  expect(run.output).toMatchObject({ approved: false });
  await run.crashEverywhere();
});

test("an approval that nobody decides", async () => {
  const steps = { ask: () => {}, remind: () => {}, escalate: () => {} };
  const run = await rehearse(approval, people, { steps });
  await run.end();
  expect([run.status, run.error?.message]).toEqual(["cancelled", "nobody decided about a boat"]);
  expect(run.now).toEqual(new Date("2026-01-16T09:00:00Z"));
});

test("an order whose payment comes through late", async () => {
  const run = await rehearse(order, { ...goods, failPayments: 2 }, { steps: { "mail-shipped": () => {} } });
  expect(run.waitingFor).toMatchObject([{ kind: "retry", name: "charge", attempt: 2 }]);
  expect(await run.result()).toMatchObject({ attempts: 3, tracking: expect.stringMatching(/^HF/) });
  await run.crashEverywhere();
});

test("an order that cannot be shipped is undone, the last step first, whoever dies meanwhile", async () => {
  const refund = vi.fn();
  const run = await rehearse(order, { ...goods, undeliverable: true }, { undos: { charge: refund } });
  await run.end();
  expect([run.status, run.error?.step, run.error?.undone]).toEqual(["failed", "ship", ["charge", "reserve"]]);
  expect(refund).toHaveBeenCalledTimes(1);
  await run.crashEverywhere();
});

test("a customer whose card is declined is told", async () => {
  const told = vi.fn();
  const charge = () => {
    throw new NonRetryableError("the card was declined");
  };
  const run = await rehearse(order, goods, { steps: { charge, "mail-declined": told } });
  await expect(run.result()).rejects.toThrow("the card was declined");
  expect(told).toHaveBeenCalledTimes(1);
});

test("a campaign without end, until somebody has had enough", async () => {
  const letters: string[] = [];
  const input = { email: "ann@example.com", letters: ["one", "two"] };
  const run = await rehearse(drip, input, {
    steps: { send: ({ idempotencyKey }) => void letters.push(idempotencyKey) },
  });
  await run.skip("20 days");
  expect([letters.length, run.status]).toEqual([3, "waiting"]);
  await run.signal("unsubscribe");
  expect(run.output).toEqual({ letters: 3 });
  await run.crashEverywhere();
  // Each letter under one key, however often its life was cut off.
  expect(new Set(letters).size).toBe(3);
});

test("an agent: the model's thoughts are a script, and a person allows the tool", async () => {
  const thoughts = [
    { kind: "tool", tool: "search", argument: "weather in Galway" },
    { kind: "tool", tool: "send-money", argument: "ann@example.com" },
    { kind: "answer", text: "It rains." },
  ];
  const nth = (step: string) => Number(step.split("#")[1] ?? 1) - 1;
  const run = await rehearse(
    agent,
    { task: "Will it rain?" },
    {
      steps: {
        "pin-model": () => "scripted",
        think: ({ step }) => thoughts[nth(step)],
        search: () => "rain",
        "send-money": () => "sent",
      },
    },
  );
  expect(run.progress).toEqual({ asking: "send-money ann@example.com" });
  await run.signal("decision", { approved: true, by: "ann" });
  expect(run.output).toEqual({ model: "scripted", answer: "It rains.", tools: 2 });
  await run.crashEverywhere();
});
