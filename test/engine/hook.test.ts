import { expect, test } from "vitest";
import type { HookRequest } from "../../src/core/service/hooks.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { WebhookOptions } from "../../src/core/webhook/webhook.ts";
import { maxRejections, receiveHook, revokeHook } from "../../src/engine/wait/hook.ts";
import { verify } from "../../src/objects/webhook/verify.ts";
import { timelineOf } from "../../src/core/timeline/chart.ts";
import { Host, act, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";

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

test("a call that comes when the race of its wait is lost is not told that the time was up", async () => {
  const flow = define(async (_input: never, step: Step) => {
    await step.race({
      paid: async () => (await step.webhook("pay", { timeout: "7 days" })).received(),
      told: () => step.waitFor("word"),
    });
    await step.sleep("2 days");
  });
  const host = new Host(flow);
  host.events = [{ at: startAt + 1000, act: (run) => signal(run, "word", {}) }];
  await host.drive(startAt + 2000);
  await expect(receiveHook(host.run, "pay", post("1"))).rejects.toMatchObject({
    code: "webhook_expired",
    message: "webhook pay is not waited for any more",
  });
});

test("a call that comes while the run has no code to go on with is to be made again", async () => {
  const host = await new Host(waiting()).drive();
  const gone = host.reopen({ cold: false });
  gone.definition = undefined;
  expect(await code(receiveHook(gone.run, "pay", post("1")))).toBe("webhook_unavailable");
  expect(gone.entries("webhook.rejected")).toEqual([]);
  const back = await gone.reopen({ cold: false, definition: waiting() }).drive();
  expect(await receiveHook(back.run, "pay", post("1"))).toEqual({ duplicate: false });
  await back.drive();
  expect(back.status).toBe("completed");
});

test("guarantee 7: one whose address is on record, and that the handler asked for as it ended, is still in the code", async () => {
  const flow = define(async (_input: never, step: Step) => {
    void step.webhook("pay");
    // The end waits for what can be undone.
    void step.run("charge", async () => await Promise.resolve(), { undo: () => {} });
    step.bail("enough");
  });
  const host = await new Host(flow).drive();
  const kept = host.journal.commits.findIndex((commit) => commit.includes("webhook.created")) + 1;
  expect(kept).toBeGreaterThan(0);
  const again = await host.reopen({ keep: kept }).drive();
  expect([again.status, again.entries("step.added"), again.entries("step.removed")]).toEqual(["cancelled", [], []]);
});

test("a credential goes no further than who judges it: the run, which others read, does not have it", async () => {
  const known = verify.token({ token: "open sesame", header: "X-Token" });
  const host = await new Host(waiting({ verify: known, respond: (call) => ({ body: call.headers }) })).drive();
  const call = post("1");
  const sent = { ...call, headers: { ...call.headers, "x-token": "open sesame" } };
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("webhook_rejected");
  expect(await receiveHook(host.run, "pay", sent)).toMatchObject({ response: { body: JSON.stringify(call.headers) } });
  await host.drive();
  expect(host.output).toMatchObject({ headers: call.headers, body: 1 });
  expect(JSON.stringify(host.journal.commits)).not.toContain("sesame");
});

test("a form names its fields as it likes, and reaches into nothing by it", async () => {
  const host = await new Host(waiting()).drive();
  const form = new FormData();
  form.append("__proto__", new File(["x"], "f"));
  const sent = new Response(form);
  const type = sent.headers.get("content-type") ?? "";
  const call = { ...post("", type), body: new Uint8Array(await sent.arrayBuffer()) };
  expect(await code(receiveHook(host.run, "pay", call))).toBe("body_invalid");
});

test("guarantee 8: a line before a webhook and the same behind it are two, though the process dies between them", async () => {
  const flow = async (_input: never, step: Step) => {
    step.log.info("asking");
    const hook = await step.webhook("pay");
    step.log.info("asking");
    return await hook.received();
  };
  const host = await new Host(flow).drive();
  const created = host.journal.commits.findIndex((text) => text.includes("webhook.created"));
  const again = await host.reopen({ keep: created + 1 }).drive();
  expect(again.entries("log.written").map(({ message }) => message)).toEqual(["asking", "asking"]);
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

/** As time goes on while nobody says anything. */
const outOfPatience = async (): Promise<null> => null;

test("guarantee 4: a verify that never says anything keeps no caller waiting, and the wait is open as before", async () => {
  const { promise, reject } = Promise.withResolvers<boolean>();
  let judged = 0;
  const verify = () => (judged++ === 0 ? promise : true);
  const host = await new Host(waiting({ verify })).drive();
  expect(await code(receiveHook(host.run, "pay", post("1"), 0, outOfPatience))).toBe("webhook_unavailable");
  // What it says too late is heard by nobody.
  reject(new Error("too late"));
  await host.drive();
  expect([host.status, host.entries("webhook.rejected"), host.entries("webhook.received")]).toEqual([
    "waiting",
    [],
    [],
  ]);
  expect(await receiveHook(host.run, "pay", post("2"))).toEqual({ duplicate: false });
  await host.drive();
  expect(host.output).toMatchObject({ body: 2 });
});

test("guarantee 1: a respond that never says anything is no reason to send the call again", async () => {
  const host = await new Host(waiting({ respond: () => new Promise(() => {}) })).drive();
  const { response } = await receiveHook(host.run, "pay", post("1"), 0, outOfPatience);
  await host.drive();
  expect([response, host.status]).toEqual([{ status: 202, headers: {}, body: "" }, "completed"]);
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

test("respond may answer a Response, also the same one to each call", async () => {
  const thanks = new Response("thanks", { status: 203, headers: { "x-for": "you" } });
  const waiter = () => new Host(waiting({ respond: () => thanks })).drive();
  for (const host of [await waiter(), await waiter()]) {
    const { response } = await receiveHook(host.run, "pay", post("7"));
    const headers = { "content-type": "text/plain;charset=UTF-8", "x-for": "you" };
    expect(response).toEqual({ status: 203, headers, body: "thanks" });
  }
});

/** The codes of what was refused, in order. */
function refused(host: Host): unknown[] {
  return host.entries("webhook.rejected").map((entry) => entry.code);
}

const asked = { by: "ada", role: "operate", reason: "it was posted in public" };
const sign = (generation: number) => Promise.resolve(`http://example.com/hooks/pay/${generation}`);

test("guarantee 8: what comes once more, late, forged or broken is on record, each with its code", async () => {
  const flow = async (_input: never, step: Step) => {
    const hook = await step.webhook("pay", { timeout: "1 h", verify: ({ body }) => body !== 0 });
    await step.waitFor("go");
    return [await hook.received(), await step.waitFor("end")];
  };
  const host = await new Host(flow).drive(startAt);
  await code(receiveHook(host.run, "pay", post("0")));
  await code(receiveHook(host.run, "pay", post("{")));
  await receiveHook(host.run, "pay", post("1"));
  expect(await receiveHook(host.run, "pay", post("2"))).toEqual({ duplicate: true });
  const late = await new Host(flow).drive(startAt);
  late.clock.at = startAt + 3_600_001;
  await code(receiveHook(late.run, "pay", post("1")));
  expect([refused(host), refused(late)]).toEqual([
    ["webhook_rejected", "body_invalid", "webhook_duplicate"],
    ["webhook_expired"],
  ]);
  expect(host.entries("webhook.received")).toHaveLength(1);
});

test("guarantee 8: a call after the end is on record, and changes nothing about the run", async () => {
  const host = await new Host(waiting({ timeout: "1 h" })).drive();
  const before = host.snapshot;
  const bars = () => timelineOf(host.journal.entries, { underway: [], now: host.clock.at }, { from: 0, limit: 9 });
  const drawn = bars();
  const kept = host.run.advance();
  host.clock.at += 86_400_000;
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("run_ended");
  expect(refused(host)).toEqual(["run_ended"]);
  expect(host.snapshot).toEqual({ ...before, seq: before.seq + 1 });
  expect(host.run.advance()).toEqual(kept);
  const again = host.reopen({ cold: false });
  expect(again.snapshot).toEqual(host.snapshot);
  const after = bars();
  expect(after).toMatchObject({ ended: true, endedAt: drawn.endedAt, idle: drawn.idle, total: drawn.total });
  const [hook] = after.bars.filter(({ kind }) => kind === "webhook");
  expect(hook).toMatchObject({ status: "timed_out", rejected: [{ code: "run_ended" }] });
});

test("a run that failed and is retried goes on, whatever was refused behind its end", async () => {
  let broken = true;
  const flow = async (_input: never, step: Step) => {
    const hook = await step.webhook("pay");
    await step.run(
      "send",
      () => {
        if (broken) throw new Error("no");
      },
      { retry: { limit: 0 } },
    );
    return await hook.received();
  };
  const host = await new Host(flow).drive();
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("run_ended");
  broken = false;
  void act(host.run, "retry");
  await host.drive();
  expect(await receiveHook(host.run, "pay", post("2"))).toEqual({ duplicate: false });
  await host.drive();
  expect((host.output as { body: unknown }).body).toBe(2);
});

test("nobody fills a journal by calling an address: of each webhook a hundred refusals are on record", async () => {
  const host = await new Host(waiting({ verify: () => false })).drive();
  for (let i = 0; i < maxRejections + 20; i++) await code(receiveHook(host.run, "pay", post("1")));
  const { length } = host.journal.entries;
  const again = host.reopen({ cold: false });
  await again.drive();
  await code(receiveHook(again.run, "pay", post("1")));
  expect(again.journal.entries).toHaveLength(length);
  const reasons = again.entries("webhook.rejected").map(({ reason }) => reason);
  expect(reasons).toHaveLength(maxRejections);
  expect(reasons.filter((reason) => reason.includes("more are not recorded"))).toEqual([reasons.at(-1)]);
});

test("an address that was revoked is dead at once, and the wait is open under another", async () => {
  const host = await new Host(waiting()).drive();
  const { url } = await revokeHook(host.run, "pay", asked, sign);
  expect(url).toBe("http://example.com/hooks/pay/1");
  expect(host.snapshot.waitingFor).toMatchObject([{ kind: "webhook", name: "pay", url }]);
  expect(host.entries("webhook.revoked")).toMatchObject([{ name: "pay", call: "pay", url, generation: 1, ...asked }]);
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("webhook_revoked");
  expect(refused(host)).toEqual(["webhook_revoked"]);
  // No such address was ever given to anybody.
  expect(await code(receiveHook(host.run, "pay", post("1"), 2))).toBe("webhook_not_found");
  expect(await receiveHook(host.run, "pay", post("2"), 1)).toEqual({ duplicate: false });
  expect(await code(receiveHook(host.run, "pay", post("1"), 2))).toBe("webhook_not_found");
  // Dead for ever, also where the other address would be told that it comes twice.
  expect(await code(receiveHook(host.run, "pay", post("2")))).toBe("webhook_revoked");
  await host.drive();
  expect((host.output as { body: unknown }).body).toBe(2);
});

test("guarantee 3: the handler keeps the address it was given, in every life", async () => {
  const seen: string[] = [];
  const flow = async (_input: never, step: Step) => {
    const hook = await step.webhook("pay");
    seen.push(hook.url);
    return await hook.received();
  };
  const host = await new Host(flow).drive();
  await revokeHook(host.run, "pay", asked, sign);
  const again = host.reopen({ cold: false });
  await again.drive();
  expect(await code(receiveHook(again.run, "pay", post("1")))).toBe("webhook_revoked");
  expect(await receiveHook(again.run, "pay", post("1"), 1)).toEqual({ duplicate: false });
  await again.drive();
  expect([again.status, new Set(seen)]).toEqual(["completed", new Set(["http://example.com/hooks/pay"])]);
});

test("a call that is being verified as its address is revoked is refused", async () => {
  let go: (value: boolean) => void = () => {};
  const verify = () => new Promise<boolean>((resolve) => void (go = resolve));
  const host = await new Host(waiting({ verify })).drive();
  const slow = code(receiveHook(host.run, "pay", post("1")));
  await host.clock.idle();
  await revokeHook(host.run, "pay", asked, sign);
  go(true);
  await host.drive();
  expect([await slow, host.status, refused(host)]).toEqual(["webhook_revoked", "waiting", ["webhook_revoked"]]);
});

test("revoking: the same key is one revocation; two at once are two; what is not open has no address", async () => {
  const host = await new Host(waiting({ timeout: "1 h" })).drive(startAt);
  const keyed = { ...asked, key: "k1" };
  const same = await Promise.all([1, 2, 3].map(() => revokeHook(host.run, "pay", keyed, sign)));
  expect([new Set(same.map(({ url }) => url)).size, host.entries("webhook.revoked").length]).toEqual([1, 1]);
  const two = await Promise.all([1, 2].map(() => revokeHook(host.run, "pay", asked, sign)));
  expect(two.map(({ url }) => url)).toEqual(["http://example.com/hooks/pay/2", "http://example.com/hooks/pay/3"]);
  expect(await revokeHook(host.run, "pay", keyed, sign)).toEqual(same[0]);
  expect(await code(revokeHook(host.run, "pay", { ...keyed, reason: "other" }, sign))).toBe("idempotency_conflict");
  expect(() => act(host.run, "pause", "k1")).toThrow(/was used to revoke/);
  expect(await code(revokeHook(host.run, "other", asked, sign))).toBe("webhook_not_found");
  host.clock.at = startAt + 3_600_001;
  expect(await code(revokeHook(host.run, "pay", asked, sign))).toBe("webhook_not_found");
  await host.drive();
  expect(await code(revokeHook(host.run, "pay", asked, sign))).toBe("run_ended");
  // What was done stays done, and is answered alike.
  expect(await revokeHook(host.run, "pay", keyed, sign)).toEqual(same[0]);
});

test("a webhook that is called while its new address is made has none", async () => {
  const host = await new Host(waiting()).drive();
  const slow = code(
    revokeHook(host.run, "pay", asked, async (generation) => {
      await receiveHook(host.run, "pay", post("1"));
      return await sign(generation);
    }),
  );
  expect([await slow, host.entries("webhook.revoked")]).toEqual(["webhook_not_found", []]);
});

test("guarantee 4: the very instant of its deadline is too late", async () => {
  const host = await new Host(waiting({ timeout: "1 h" })).drive(startAt);
  host.clock.at = startAt + 3_600_000;
  expect(await code(receiveHook(host.run, "pay", post("1")))).toBe("webhook_expired");
  expect(await code(revokeHook(host.run, "pay", asked, sign))).toBe("webhook_not_found");
});

/** A run that goes on as new at a signal, and whose webhook is verified until the test says so. */
async function renewing(): Promise<{ host: Host; go: (accepted: boolean) => void }> {
  let resolve: (accepted: boolean) => void = () => {};
  const verify = () => new Promise<boolean>((settle) => void (resolve = settle));
  const flow = async (life: number | undefined, step: Step) => {
    const hook = await step.webhook("pay", { verify });
    if (life === undefined) {
      await step.waitFor("renew");
      await step.continueAsNew(2);
    }
    return await hook.received();
  };
  return { host: await new Host(flow).drive(), go: (accepted) => resolve(accepted) };
}

test("a run that goes on as new while a call is verified has no part in that call", async () => {
  const { host, go } = await renewing();
  const slow = code(receiveHook(host.run, "pay", post("{")));
  const judged = code(receiveHook(host.run, "pay", post("1")));
  let signed = 0;
  const revoked = revokeHook(host.run, "pay", asked, async (generation) => {
    signed++;
    signal(host.run, "renew", 1);
    await host.drive();
    return await sign(generation);
  });
  // The second life has a webhook of the same name: what was asked of the first is asked anew of it.
  expect([await slow, (await revoked).url, signed]).toEqual(["body_invalid", "http://example.com/hooks/pay/1", 2]);
  go(false);
  await host.drive();
  expect(await judged).not.toBe(null);
  expect(host.run.state.created?.continuation?.count).toBe(1);
  expect(host.entries("webhook.received")).toEqual([]);
  const { created, seq } = host.run.state;
  const ofThisLife = host.journal.entries.filter((entry) => entry.seq >= (created?.seq ?? seq));
  expect(ofThisLife.filter(({ kind }) => kind === "webhook.rejected")).toEqual([]);
});

test("a call that is verified as its run goes on as new is told that its address is over: the run has not ended", async () => {
  const { host, go } = await renewing();
  const judged = code(receiveHook(host.run, "pay", post("1")));
  await host.clock.idle();
  signal(host.run, "renew", 1);
  await host.drive();
  go(true);
  expect([await judged, host.status]).toEqual(["webhook_expired", "waiting"]);
});

test("a call that is verified as its run fails and is retried is to be made again: the wait is open as before", async () => {
  let go: (value: boolean) => void = () => {};
  const verify = () => new Promise<boolean>((resolve) => void (go = resolve));
  const flow = async (_input: never, step: Step) => {
    const hook = await step.webhook("pay", { verify });
    await step.run("fails", ({ attempt }) => Promise.reject(new Error(String(attempt))), { retry: { limit: 1 } });
    return await hook.received();
  };
  const host = await new Host(flow).drive(startAt);
  const judged = code(receiveHook(host.run, "pay", post("1")));
  await host.drive();
  expect(host.status).toBe("failed");
  void act(host.run, "retry");
  await host.drive(host.clock.at);
  go(true);
  expect([await judged, host.entries("webhook.rejected")]).toEqual(["webhook_unavailable", []]);
});

test("what is being undone, or is no longer in the code, has no address to revoke", async () => {
  let stuck = true;
  const flow = async (_input: never, step: Step) => {
    await step.run("book", () => 1, {
      undo: () => {
        if (stuck) throw new Error("not yet");
      },
    });
    const hook = await step.webhook("pay");
    await step.waitFor("go");
    if (stuck) throw new Error("no more of this");
    return await hook.received();
  };
  const host = await new Host(flow).drive();
  signal(host.run, "go", 1);
  await host.drive(host.clock.at);
  expect([host.run.state.ending?.kind, host.status]).toEqual(["undo.started", "waiting"]);
  expect(await code(revokeHook(host.run, "pay", asked, sign))).toBe("webhook_not_found");
  stuck = false;
  const old = await new Host(flow).drive();
  const renewed = old.reopen({
    cold: false,
    definition: async (_input: never, step: Step) => {
      await step.run("book", () => 1);
      await step.waitFor("go");
    },
  });
  await renewed.drive();
  expect(renewed.entries("step.removed")).toMatchObject([{ step: "pay", call: "webhook" }]);
  expect(await code(revokeHook(renewed.run, "pay", asked, sign))).toBe("webhook_not_found");
});

test("a retried run that does once more what was undone comes back to what is open, and turns nobody away for good", async () => {
  let charges = 0;
  const flow = define(
    async (_input: never, step: Step) => {
      const charge = (): void => {
        if (++charges === 2) throw new Error("the bank is closed");
      };
      await step.run("charge", charge, { undo: () => null, retry: { delay: "1 h", jitter: 0 } });
      const hook = await step.webhook("pay");
      const [call, told] = await Promise.all([hook.received(), step.waitFor("told")]);
      return [call?.body, told];
    },
    { timeoutMs: 2 * 3_600_000 },
  );
  const host = await new Host(flow).drive();
  expect(host.snapshot.error).toMatchObject({ code: "run_timeout", undone: ["charge"] });
  const again = host.reopen({ cold: false });
  void act(again.run, "retry");
  await again.drive(again.clock.at + 1000);
  const waiting = again.snapshot.waitingFor.map(({ kind, name }) => `${kind} ${name}`);
  expect(waiting).toEqual(["webhook pay", "signal told", "retry charge"]);
  expect(await code(receiveHook(again.run, "pay", post("1")))).toBe("webhook_unavailable");
  await again.drive(again.clock.at + 3_700_000);
  expect(await receiveHook(again.run, "pay", post("1"))).toEqual({ duplicate: false });
  signal(again.run, "told", 2);
  await again.drive();
  expect(again.output).toEqual([1, 2]);
  expect(again.journal.kinds.filter((kind) => kind === "step.removed" || kind === "step.added")).toEqual([]);
});

test("guarantee 4: a pause moves the deadline, so a call that comes within it is in time", async () => {
  const host = await new Host(waiting({ timeout: "1 h" })).drive(startAt);
  void act(host.run, "pause");
  host.clock.at = startAt + 2 * 3_600_000;
  expect(await receiveHook(host.run, "pay", post("1"))).toEqual({ duplicate: false });
});

test.each([{ verify: 5 }, { verify: {} }, { respond: "fine" }])("a webhook with %j is refused", async (options) => {
  const host = await new Host(waiting(options as never)).drive();
  expect(host.snapshot.error).toMatchObject({ code: "options_invalid" });
});
