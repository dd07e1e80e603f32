import { expect, test } from "vitest";
import type { HookRequest } from "../../src/core/service.ts";
import type { Step, WebhookOptions } from "../../src/core/step.ts";
import { receiveHook } from "../../src/engine/hook.ts";
import { Host, act, startAt } from "./host.ts";

function post(body: string, type = "application/json"): HookRequest {
  return { method: "POST", headers: { "content-type": type }, query: { q: "1" }, body: new TextEncoder().encode(body) };
}

const waiting =
  (options: WebhookOptions = {}) =>
  async (_input: never, step: Step) => {
    const hook = await step.webhook("pay", options);
    await step.run("send", () => hook.url);
    return await hook.received();
  };

async function code(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => null,
    (error: { code: unknown }) => error.code,
  );
}

test("guarantee 1: the first accepted call is on record before it is answered, and counts alone", async () => {
  const host = await new Host(waiting()).drive();
  expect(host.snapshot.waitingFor).toMatchObject([
    { kind: "webhook", name: "pay", url: "http://example.com/hooks/pay" },
  ]);
  const [first, second] = await Promise.all([
    receiveHook(host.run, "pay", post('{"a":1}')),
    receiveHook(host.run, "pay", post('{"a":2}')),
  ]);
  expect([first, second]).toEqual([{ duplicate: false }, { duplicate: true }]);
  expect(host.entries("webhook.received")).toHaveLength(1);
  await host.drive();
  expect(host.output).toEqual({
    method: "POST",
    headers: { "content-type": "application/json" },
    query: { q: "1" },
    body: { a: 1 },
  });
});

test("guarantee 2: a call after the process died finds the wait, and replay sees the same call", async () => {
  const host = await new Host(waiting()).drive();
  const later = host.reopen({ cold: false });
  expect(await receiveHook(later.run, "pay", post("text", "text/plain"))).toEqual({ duplicate: false });
  await later.drive();
  const again = await later.reopen({ keep: later.journal.commits.length - 1 }).drive();
  expect([(later.output as { body: unknown }).body, again.output]).toEqual(["text", later.output]);
  expect(later.entries("webhook.created")).toHaveLength(1);
  expect(later.entries("step.completed")).toHaveLength(1);
});

test("broken bodies and refused calls leave the wait open and are noted", async () => {
  const verify = ({ body }: { body: unknown }) => {
    if (body === 1) throw new Error("no");
    return body !== 0;
  };
  const host = await new Host(waiting({ verify })).drive();
  expect(await code(receiveHook(host.run, "pay", post("{")))).toBe("body_invalid");
  expect(await code(receiveHook(host.run, "pay", post('{"__proto__":1}')))).toBe("body_invalid");
  expect(await code(receiveHook(host.run, "pay", post("0")))).toBe("webhook_rejected");
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("webhook_rejected");
  expect(await code(receiveHook(host.run, "other", post("2")))).toBe("webhook_not_found");
  expect(host.entries("webhook.rejected")).toHaveLength(4);
  expect(await receiveHook(host.run, "pay", post("2"))).toEqual({ duplicate: false });
});

test("guarantee 4: its timeout counts from the call of webhook; what comes later is refused", async () => {
  const flow = async (_input: never, step: Step) => {
    const hook = await step.webhook("pay", { timeout: "1 h" });
    await step.sleep("50 m");
    return await hook.received();
  };
  const host = await new Host(flow).drive(startAt);
  host.clock.at = startAt + 3_600_001;
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("webhook_expired");
  await host.drive();
  expect([host.status, host.output]).toEqual(["completed", null]);
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("run_ended");
});

test("the end of the run, or of the wait, while a call is being verified", async () => {
  let go: (value: boolean) => void = () => {};
  const verify = () =>
    new Promise<boolean>((resolve) => {
      go = resolve;
    });
  const host = await new Host(waiting({ verify, timeout: "1 m" })).drive(startAt);
  const slow = code(receiveHook(host.run, "pay", post("1")));
  await host.clock.idle();
  await host.drive();
  go(true);
  expect([await slow, host.status]).toEqual(["run_ended", "completed"]);
});

test("a wait that timed out while its call was verified says so", async () => {
  let go: (value: boolean) => void = () => {};
  const verify = () =>
    new Promise<boolean>((resolve) => {
      go = resolve;
    });
  const flow = async (_input: never, step: Step) => {
    const hook = await step.webhook("pay", { verify, timeout: "1 m" });
    return [await hook.received(), await step.waitFor("end")];
  };
  const host = await new Host(flow).drive(startAt);
  const slow = code(receiveHook(host.run, "pay", post("1")));
  await host.clock.idle();
  await host.drive();
  go(true);
  expect(await slow).toBe("webhook_expired");
  await host.drive();
  expect(host.status).toBe("waiting");
});

test("a paused run takes its call, and goes on with it when resumed", async () => {
  const host = await new Host(waiting()).drive();
  void act(host.run, "pause");
  const later = host.reopen({ cold: false });
  expect(await receiveHook(later.run, "pay", post("7"))).toEqual({ duplicate: false });
  void act(later.run, "resume");
  await later.drive();
  expect((later.output as { body: unknown }).body).toBe(7);
});

test("what respond answers goes to the caller; when it throws the call is accepted all the same", async () => {
  const host = await new Host(waiting({ respond: ({ body }) => ({ status: 201, body: { got: body } }) })).drive();
  const { response } = await receiveHook(host.run, "pay", post("7"));
  expect(response).toEqual({ status: 201, headers: { "content-type": "application/json" }, body: '{"got":7}' });
});
