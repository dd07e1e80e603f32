/** Broadcast signals: kept, offered, claimed by one run, and settled (guarantees 1, 4 and 5). */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import type { Waiting } from "../../src/core/run/run.ts";
import type { SignalRequest } from "../../src/core/service/service.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { directoryOf, directoryShard, runObject } from "../../src/objects/address.ts";
import { broadcast, claimOffers, deliverToEach, settle, waitersOf } from "../../src/objects/directory/broadcast.ts";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import type { Answer } from "../../src/objects/answer.ts";
import type { DirectoryRpc } from "../../src/objects/rpc/directory.ts";
import { createService } from "../../src/objects/service.ts";
import { SignalBuffer, claimMs } from "../../src/store/buffer.ts";
import { openDirectory } from "../../src/store/directory.ts";
import { engineWorkflows, openGate } from "./flows/engine.ts";
import { Rows } from "./rows.ts";
import { summaryOf, waitFor } from "./summary.ts";

const service = createService(new Catalog(engineWorkflows.map(({ definition }) => definition)));
const dayMs = 86_400_000;
let made = 0;

async function inBuffer(test: (signals: SignalBuffer, sql: SqlStorage) => void): Promise<void> {
  const stub = env.DIRECTORY.getByName(`alone-${++made}`);
  await runInDurableObject(stub, (_object, ctx) => test(openDirectory(ctx.storage.sql).signals, ctx.storage.sql));
}

function signalOf(name: string, value: unknown = {}, key?: string): SignalRequest {
  const signal = { name, payload: encode(value, "payload"), by: "test" };
  return key === undefined ? signal : { ...signal, key };
}

/** What a run that only exists in the directory received, and how it answers. */
class Receiver {
  readonly got: unknown[] = [];
  readonly keys: (string | undefined)[] = [];
  readonly #refuse: (value: unknown) => "signal_invalid" | "not_waiting" | null;

  constructor(refuse: (value: unknown) => "signal_invalid" | "not_waiting" | null = () => null) {
    this.#refuse = refuse;
  }

  readonly receive = async ({ payload, key }: SignalRequest): Promise<Answer<{ duplicate: boolean }>> => {
    const value = decode(payload);
    const code = this.#refuse(value);
    if (code !== null) return { ok: false, refusal: { code, message: "no" } };
    const duplicate = this.keys.includes(key);
    if (!duplicate) this.got.push(value);
    this.keys.push(key);
    return { ok: true, value: { duplicate } };
  };
}

/** Reports that the run waits, and lets it take what it is offered. */
async function beginWait(id: string, names: string[], receiver: Receiver, seq = 1): Promise<readonly string[]> {
  const waitingFor: Waiting[] = names.map(waitFor);
  const { offers } = await directoryOf(id).report(summaryOf(id, { status: "waiting", waitingFor, seq }));
  await claimOffers(id, offers, receiver.receive);
  return offers;
}

describe("the buffer", () => {
  it("hands the oldest signal of a name to one run and to no other, and to that one again (guarantee 5)", async () => {
    await inBuffer((signals) => {
      for (const id of ["b", "a", "c"]) signals.hold(id, signalOf("go", id), null, dayMs, 0);
      expect(signals.claim("go", "run1", [], 1)).toEqual({ id: "b", signal: signalOf("go", "b") });
      expect(signals.claim("go", "run2", [], 1)?.id).toBe("a");
      expect(signals.claim("go", "run1", [], 1)?.id).toBe("b");
      expect(signals.claim("go", "run3", [], 1)?.id).toBe("c");
      expect(signals.claim("go", "run4", [], 1)).toBeNull();
      expect(signals.claim("other", "run4", [], 1)).toBeNull();
      signals.settle("b", 1, true);
      expect(signals.claim("go", "run1", [], 1)).toBeNull();
    });
  });

  it("keeps a claim for its claimer until it is given back", async () => {
    await inBuffer((signals) => {
      signals.hold("a", signalOf("go"), null, dayMs, 0);
      signals.claim("go", "run1", [], 0);
      expect(signals.claim("go", "run2", [], claimMs * 10)).toBeNull();
      signals.release("a", "run2", null);
      expect(signals.take("a", "run2", 5)).toBe(false);
      expect(signals.finish("a")).toEqual({ delivered: 1, buffered: false });
      signals.release("a", "run1", null);
      expect(signals.finish("a")).toEqual({ delivered: 0, buffered: true });
      expect(signals.claim("go", "run1", ["a"], 5)).toBeNull();
      expect(signals.claim("go", "run2", [], 5)?.id).toBe("a");
    });
  });

  it("says when a claim that nobody settled must be looked after", async () => {
    await inBuffer((signals) => {
      signals.hold("a", signalOf("go"), null, dayMs, 0);
      expect([signals.dueAt(), signals.unattended(dayMs - 1)]).toEqual([dayMs, []]);
      signals.claim("go", "run1", [], 100);
      expect([signals.dueAt(), signals.unattended(100 + claimMs - 1)]).toEqual([100 + claimMs, []]);
      expect(signals.unattended(100 + claimMs)).toEqual([{ id: "a", claimedBy: "run1" }]);
      signals.settle("a", 1, true);
      expect([signals.dueAt(), signals.unattended(dayMs)]).toEqual([null, []]);
    });
  });

  it("keeps signals and offers for their time and not a moment longer", async () => {
    await inBuffer((signals, sql) => {
      signals.hold("a", signalOf("go"), "digest", 1000, 0);
      signals.offer("a", "go", 1000);
      expect(signals.offered(["go"], 999)).toEqual(["go"]);
      expect(signals.offered(["go"], 1000)).toEqual([]);
      expect(signals.claim("go", "run1", [], 1000)).toBeNull();
      expect(signals.claim("go", "run1", [], 999)?.id).toBe("a");
      signals.purge(1000);
      for (const table of ["offers", "broadcasts", "payloads"]) {
        expect(sql.exec(`SELECT count(*) AS n FROM ${table}`).one()).toEqual({ n: 0 });
      }
      expect(signals.hold("a", signalOf("other"), "digest2", 3000, 2000)).toEqual({ kind: "open" });
    });
  });

  it("that was claimed or delivered while others were asked is left to whom it has (guarantees 4 and 5)", async () => {
    await inBuffer((signals) => {
      signals.hold("claimed", signalOf("a"), null, dayMs, 1000);
      signals.claim("a", "run1", [], 1000);
      signals.rest("claimed");
      expect(signals.unattended(1000 + claimMs)).toEqual([{ id: "claimed", claimedBy: "run1" }]);
      signals.hold("delivered", signalOf("b", {}, "key"), "digest", dayMs, 1000);
      signals.settle("delivered", 1, true);
      expect(signals.take("delivered", "run1", 1000)).toBe(false);
    });
  });

  it("remembers a key with its signal, the payload only until it is delivered", async () => {
    await inBuffer((signals, sql) => {
      signals.hold("key", signalOf("go"), "digest", dayMs, 0);
      expect(signals.hold("key", signalOf("go"), "digest", dayMs, 1)).toEqual({ kind: "open" });
      expect(signals.hold("key", signalOf("stop"), "digest", dayMs, 1)).toEqual({ kind: "conflict" });
      expect(signals.hold("key", signalOf("go"), "digest2", dayMs, 1)).toEqual({ kind: "conflict" });
      signals.settle("key", 3, true);
      signals.settle("key", 1, false);
      expect(signals.hold("key", signalOf("go"), "digest", dayMs, 2)).toEqual({ kind: "settled", delivered: 3 });
      expect(signals.claim("go", "run1", [], 2)).toBeNull();
      expect(sql.exec("SELECT count(*) AS n FROM payloads").one()).toEqual({ n: 0 });
      // Its day is over, whether or not an alarm has come since.
      expect(signals.hold("key", signalOf("stop"), "digest2", 2 * dayMs, dayMs)).toEqual({ kind: "open" });
    });
  });

  it("finds the offered names among any number of long ones, in statements that production takes", async () => {
    await inBuffer((signals, sql) => {
      const names = Array.from({ length: 20_000 }, (_, index) => `${index}`.padEnd(256, "→"));
      const offered = [names[3], names[19_999], names[3]].map(String);
      for (const name of offered) signals.offer("a", name, 1000);
      let longest = 0;
      const exec = sql.exec.bind(sql);
      vi.spyOn(sql, "exec").mockImplementation((query, ...bindings) => {
        for (const text of bindings) longest = Math.max(longest, new TextEncoder().encode(String(text)).length);
        return exec(query, ...bindings);
      });
      expect(signals.offered([...names, "none", String(names[3])], 999)).toEqual(offered);
      expect(longest).toBeLessThan(2_000_000);
    });
  });

  it("keeps payloads of any size, in rows that production takes", async () => {
    // A character of two halves across each place where a row could end.
    const text = `x${"😀".repeat(1_500_000)}`;
    await inBuffer((signals, sql) => {
      signals.hold("large", signalOf("go", text), null, dayMs, 0);
      expect(decode(signals.claim("go", "run1", [], 1)?.signal.payload ?? encode("", ""))).toBe(text);
      const { size } = sql.exec<{ size: number }>("SELECT max(octet_length(text)) AS size FROM payloads").one();
      expect(size).toBeLessThan(2_000_000);
    });
  });

  it("reads as many rows however much is buffered, claimed and offered (budget)", async () => {
    const read = async (count: number, claimed: number): Promise<Record<string, number>> => {
      const rows: Record<string, number> = {};
      await inBuffer((_signals, sql) => {
        const counted = new Rows(sql);
        const signals = new SignalBuffer(counted.sql);
        for (let index = 0; index < count; index++) {
          signals.hold(`s${index}`, signalOf("go"), null, dayMs + index, 0);
          signals.offer(`s${index}`, "go", dayMs + index);
        }
        for (let index = 0; index < claimed; index++) signals.claim("go", `run${index}`, [], 1);
        const asked: Record<string, () => unknown> = {
          offered: () => signals.offered(["go"], 2),
          claim: () => signals.claim("go", "new", [], 2),
          again: () => signals.claim("go", "new", [], 3),
          release: () => signals.release(`s${claimed}`, "new", 4),
          unattended: () => signals.unattended(4),
          rest: () => signals.rest(`s${claimed}`),
          dueAt: () => signals.dueAt(),
          settle: () => signals.settle(`s${claimed}`, 1, true),
          withdraw: () => signals.withdraw(`s${claimed}`, "go"),
          hold: () => signals.hold("one more", signalOf("go"), "digest", dayMs, 5),
        };
        for (const [what, ask] of Object.entries(asked)) {
          counted.forget();
          ask();
          rows[what] = counted.read;
        }
      });
      return rows;
    };
    expect(await read(2000, 1000)).toEqual(await read(4, 2));
  });

  it("offers a name as often as it is waited for, whatever is in it", async () => {
    await inBuffer((signals) => {
      for (const name of ["a", "b%", '"', "ü\u0000😀"]) signals.offer("1", name, dayMs);
      signals.offer("2", "a", dayMs);
      expect(signals.offered(["ü\u0000😀", "a", "A", "a", "b", '"'], 1)).toEqual(["ü\u0000😀", "a", "a", '"']);
      signals.withdraw("1", "a");
      signals.withdraw("1", '"');
      expect(signals.offered(["a", '"'], 1)).toEqual(["a"]);
    });
  });
});

describe("a broadcast", () => {
  it("reaches every run that waits for the name, and no other", async () => {
    const ids = await Promise.all(["d1", "d2", "d3"].map((id) => startInbox(id)));
    await listed("item", ids);
    expect(await broadcast(signalOf("item", { n: 7 }))).toEqual({ delivered: 3, buffered: false });
    for (const id of ids) expect(await outputOf(id)).toEqual([7]);
  });

  it("counts only runs that took it", async () => {
    await directoryOf("ghost").report(summaryOf("ghost", { status: "waiting", waitingFor: [waitFor("haunt")] }));
    expect(await waitersOf("haunt")).toEqual(["ghost"]);
    expect(await broadcast(signalOf("haunt"))).toEqual({ delivered: 0, buffered: true });
  });

  it("reaches more runs than one request may call: the shards call them, in portions (guarantee 1)", async () => {
    const ghosts = Array.from({ length: 450 }, (_, index) => `crowd-${index}`);
    const crowd = summaryOf("crowd", { status: "waiting", waitingFor: [waitFor("item")] });
    for (const id of ghosts) await directoryOf(id).report({ ...crowd, id });
    const ids = await Promise.all(["crowd-a", "crowd-b", "crowd-c"].map((id) => startInbox(id)));
    await listed("item", ids);
    const waiters = (await waitersOf("item")).toSorted();
    const portions: (readonly string[])[] = [];
    const callers = new Set<DirectoryRpc>();
    const shards = await prototypeOfShards();
    const own = shards.deliver;
    const spy = vi.spyOn(shards, "deliver").mockImplementation(function (this: DirectoryRpc, ...given) {
      portions.push(given[0]);
      callers.add(this);
      // One that dies with the call is called again.
      return portions.length === 1 ? Promise.reject(new Error("told to throw")) : own.apply(this, given);
    });
    const sent = () => broadcast(signalOf("item", { n: 5 }, "key-crowd"));
    expect(await sent()).toEqual({ delivered: 3, buffered: false });
    expect(await sent()).toEqual({ delivered: 3, buffered: false });
    spy.mockRestore();
    expect(portions.every((part) => part.length <= 200)).toBe(true);
    expect(portions.slice(1).flat().toSorted()).toEqual(waiters);
    expect(callers.size, "each portion is another shard's").toBe(3);
    for (const id of ids) expect(await outputOf(id)).toEqual([5]);
    for (const id of ghosts) await directoryOf(id).remove(id, crowd.createdAt);
  });

  it("calls no more than a hundred runs at once, each of which holds the payload", async () => {
    let [open, most] = [0, 0];
    const run = {
      signal: async () => {
        most = Math.max(most, ++open);
        await scheduler.wait(0);
        open--;
        return { ok: true, value: { duplicate: false } };
      },
    };
    const named = vi.spyOn(env.RUNS, "getByName").mockReturnValue(run as never);
    const ids = Array.from({ length: 150 }, (_, index) => `held-${index}`);
    expect(await deliverToEach(ids, "held", signalOf("held"))).toBe(150);
    named.mockRestore();
    expect(most).toBe(100);
  });

  it("reaches them also while the shards run code that knows no portions (guarantee 1)", async () => {
    const ghosts = Array.from({ length: 110 }, (_, index) => `former-${index}`);
    const crowd = summaryOf("former", { status: "waiting", waitingFor: [waitFor("item")] });
    for (const id of ghosts) await directoryOf(id).report({ ...crowd, id });
    const id = await startInbox("former-a");
    await listed("item", [id]);
    const shards = await prototypeOfShards();
    const spy = vi.spyOn(shards, "deliver").mockImplementation(() => {
      return Promise.reject(new TypeError('The RPC receiver does not implement the method "deliver".'));
    });
    expect(await broadcast(signalOf("item", { n: 6 }))).toEqual({ delivered: 1, buffered: false });
    expect(spy).toHaveBeenCalled();
    spy.mockRestore();
    expect(await outputOf(id)).toEqual([6]);
    for (const id of ghosts) await directoryOf(id).remove(id, crowd.createdAt);
  });

  it("fails where one of more than a hundred runs was not reached, which a repetition reaches (guarantee 1)", async () => {
    const ghosts = Array.from({ length: 110 }, (_, index) => `many-${index}`);
    const crowd = summaryOf("many", { status: "waiting", waitingFor: [waitFor("item")] });
    for (const id of ghosts) await directoryOf(id).report({ ...crowd, id });
    const [near = "", away = ""] = await Promise.all(["near", "away"].map((name) => startInbox(name)));
    await listed("item", [near, away]);
    const own = env.RUNS.getByName.bind(env.RUNS);
    const unreachable = { signal: () => Promise.reject(new Error("told to throw")), died: async () => {} };
    const named = vi
      .spyOn(env.RUNS, "getByName")
      .mockImplementation((name) => (name === away ? (unreachable as never) : own(name)));
    const sent = () => broadcast(signalOf("item", { n: 4 }, "key-many"));
    await expect(sent()).rejects.toThrow("told to throw");
    named.mockRestore();
    expect(await outputOf(near)).toEqual([4]);
    await notListed("item", near);
    expect(await sent()).toEqual({ delivered: 1, buffered: false });
    expect(await outputOf(away)).toEqual([4]);
    for (const id of ghosts) await directoryOf(id).remove(id, crowd.createdAt);
  });

  it("reaches a run whose object dies with the call, and is delivered though its offer stays (guarantee 1)", async () => {
    const id = await startInbox("struck");
    await listed("item", [id]);
    const own = env.RUNS.getByName.bind(env.RUNS);
    const dying = { signal: () => Promise.reject(new Error("told to throw")), died: async () => {} };
    const named = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
      if (name !== id) return own(name);
      named.mockRestore();
      return dying as never;
    });
    vi.spyOn(await prototypeOfShards(), "withdraw").mockRejectedValueOnce(new Error("told to throw"));
    expect(await broadcast(signalOf("item", { n: 6 }))).toEqual({ delivered: 1, buffered: false });
    expect(await outputOf(id)).toEqual([6]);
  });

  it("is not held up by a run that never answers, and reaches that when it is sent again (guarantee 1)", async () => {
    const [id, stuck] = await Promise.all(["moving", "stuck"].map((name) => startInbox(name)));
    await listed("item", [id, stuck].map(String));
    const sent = () => broadcast(signalOf("item", { n: 8 }, "key-stuck"));
    await hangs(String(stuck), sent);
    expect(await outputOf(String(id))).toEqual([8]);
    await notListed("item", String(id));
    expect(await sent()).toEqual({ delivered: 1, buffered: false });
    expect(await outputOf(String(stuck))).toEqual([8]);
  });

  it("that failed is not over for the others where a run claims it meanwhile (guarantee 1)", async () => {
    const [id, stuck] = await Promise.all([startInbox("again", 2), startInbox("behind")]);
    await listed("item", [id, stuck]);
    const sent = () => broadcast(signalOf("item", { n: 8 }, "key-behind"));
    await hangs(stuck, sent);
    // It waits a second time, finds the offer, and has received it already.
    await expect.poll(() => openIds("item")).toEqual([]);
    expect(await sent()).toEqual({ delivered: 2, buffered: false });
    expect(await outputOf(stuck)).toEqual([8]);
    await service.signals.send(id, signalOf("item", { n: 9 }));
    expect(await outputOf(id)).toEqual([8, 9]);
  });

  it("that a later run took is over, also where its sender asks again (guarantee 5)", async () => {
    const sent = () => broadcast(signalOf("taken", 1, "key-taken"));
    expect(await sent()).toEqual({ delivered: 0, buffered: true });
    expect(await sent()).toEqual({ delivered: 0, buffered: true });
    const [first, second] = [new Receiver(), new Receiver()];
    await beginWait("taken-1", ["taken"], first);
    await beginWait("taken-2", ["taken"], second);
    expect(await sent()).toEqual({ delivered: 1, buffered: false });
    expect([first.got, second.got]).toEqual([[1], []]);
  });

  it("is one with a key, however often it is sent, also all at once (guarantee 5)", async () => {
    const id = await startInbox("once", 2);
    await listed("item", [id]);
    const sent = () => broadcast(signalOf("item", { n: 1 }, "key-once"));
    const answers = await Promise.all([sent(), sent(), sent()]);
    expect(answers).toEqual(answers.map(() => ({ delivered: 1, buffered: false })));
    expect(await sent()).toEqual({ delivered: 1, buffered: false });
    await expect(broadcast(signalOf("item", { n: 2 }, "key-once"))).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    await expect(broadcast(signalOf("items", { n: 1 }, "key-once"))).rejects.toMatchObject({
      code: "idempotency_conflict",
    });
    await service.signals.send(id, signalOf("item", { n: 2 }));
    expect(await outputOf(id)).toEqual([1, 2]);
  });

  it("that nobody waited for goes to the next waiter, once (guarantees 1 and 5)", async () => {
    expect(await broadcast(signalOf("later", 1))).toEqual({ delivered: 0, buffered: true });
    const [first, second] = [new Receiver(), new Receiver()];
    expect(await beginWait("w1", ["other"], second)).toEqual([]);
    const timer: Waiting = { kind: "timer", name: "later", since: 1, until: 2 };
    expect((await directoryOf("w0").report(summaryOf("w0", { waitingFor: [timer] }))).offers).toEqual([]);
    expect(await beginWait("w2", ["later"], first)).toEqual(["later"]);
    expect(await beginWait("w3", ["later"], second)).toEqual([]);
    expect([first.got, second.got]).toEqual([[1], []]);
  });

  it("is offered by a new shard too, however much is buffered: more than one answer of the first would hold", async () => {
    const count = 65_000;
    await runInDurableObject(directoryShard(0) as unknown as DurableObjectStub, (_shard, ctx) => {
      ctx.storage.sql.exec(
        `INSERT INTO broadcasts (id, name, sender, expires_at)
         SELECT value || ?, value || ?, '{"by":"test"}', ? FROM json_each(?)`,
        ...["-id".padEnd(250, "d"), "-many".padEnd(250, "y"), Date.now() + dayMs],
        JSON.stringify(Array.from({ length: count }, (_, index) => index)),
      );
    });
    const name = `${count - 1}${"-many".padEnd(250, "y")}`;
    const waiting = summaryOf("new-1", { status: "waiting", waitingFor: [waitFor(name)] });
    expect((await directoryShard(99).report(waiting)).offers).toEqual([name]);
    await runInDurableObject(directoryShard(99) as unknown as DurableObjectStub, async (_shard, { storage }) => {
      expect(await storage.getAlarm(), "for when the offers expire").not.toBeNull();
    });
    await runInDurableObject(directoryShard(0) as unknown as DurableObjectStub, (_shard, ctx) => {
      ctx.storage.sql.exec("DELETE FROM broadcasts WHERE length(id) > 200");
    });
  });

  it("goes to one of many runs that begin to wait at once, each to one, first in first out", async () => {
    for (let index = 0; index < 5; index++) await broadcast(signalOf("rush", index));
    const receivers = Array.from({ length: 8 }, () => new Receiver());
    await Promise.all(receivers.map((receiver, index) => beginWait(`rush-${index}`, ["rush"], receiver)));
    const got = receivers.flatMap((receiver) => receiver.got);
    expect(got.toSorted()).toEqual([0, 1, 2, 3, 4]);
    expect(receivers.every((receiver) => receiver.got.length <= 1)).toBe(true);
  });

  it("fills as many waits of a run as are open, in the order of arrival", async () => {
    for (const value of ["a", "b", "c"]) await broadcast(signalOf("queue", value));
    const receiver = new Receiver();
    await beginWait("q1", ["queue"], receiver);
    expect(receiver.got).toEqual(["a"]);
    await beginWait("q1", ["queue", "queue", "queue"], receiver, 2);
    expect(receiver.got).toEqual(["a", "b", "c"]);
    expect(await beginWait("q1", ["queue"], receiver, 3)).toEqual([]);
  });

  it("fills also a wait that the run begins with what it has received", async () => {
    for (const value of ["a", "b", "c"]) await broadcast(signalOf("loop", value));
    const receiver = new Receiver();
    const { offers } = await directoryOf("l1").report(
      summaryOf("l1", { status: "waiting", waitingFor: [waitFor("loop")] }),
    );
    await claimOffers("l1", offers, async (signal) => {
      const answer = await receiver.receive(signal);
      return answer.ok ? { ok: true, value: { ...answer.value, more: receiver.got.length < 2 } } : answer;
    });
    expect([offers, receiver.got]).toEqual([["loop"], ["a", "b"]]);
  });

  it("does not fill a second wait with what the run has already received", async () => {
    await broadcast(signalOf("again", 1));
    await broadcast(signalOf("again", 2));
    const receiver = new Receiver();
    // The process dies after receiving and before settling.
    const held = await directoryShard(0).claim("again", "r1", []);
    await receiver.receive({ ...signalOf("again", 1), key: `broadcast:${held?.id}` });
    await beginWait("r1", ["again"], receiver);
    expect(receiver.got).toEqual([1, 2]);
  });

  it("that a run's schema refuses is left for others, and the run gets the next", async () => {
    await broadcast(signalOf("typed", "bad"));
    await broadcast(signalOf("typed", "good"));
    const [strict, lax] = [new Receiver((value) => (value === "bad" ? "signal_invalid" : null)), new Receiver()];
    await beginWait("t1", ["typed"], strict);
    await beginWait("t2", ["typed"], lax);
    expect([strict.got, lax.got]).toEqual([["good"], ["bad"]]);
  });

  it("is given back by a run that no longer waits", async () => {
    await broadcast(signalOf("gone", 1));
    await beginWait("g1", ["gone"], new Receiver(() => "not_waiting"));
    const receiver = new Receiver();
    await expect.poll(async () => (await directoryShard(0).claim("gone", "g2", []))?.id).toBeDefined();
    await beginWait("g2", ["gone"], receiver);
    expect(receiver.got).toEqual([1]);
  });

  it("given back passes to a run that waits already (guarantee 4)", async () => {
    expect((await broadcast(signalOf("item", { n: 3 }))).buffered).toBe(true);
    expect(await directoryShard(0).claim("item", "dying", [])).not.toBeNull();
    const id = await startInbox("heir");
    await listed("item", [id]);
    const open = await openIds("item");
    expect(open).toHaveLength(1);
    await directoryShard(0).release(open[0] ?? "", "dying");
    expect(await outputOf(id)).toEqual([3]);
    await expect.poll(() => openIds("item")).toEqual([]);
  });

  it.each([
    ["kept", "INSERT INTO payloads"],
    ["settled", "DELETE FROM broadcasts WHERE id"],
  ])("is whole or not there where it is %s while the storage fails (guarantee 1)", async (what, statement) => {
    const object = `alone-${++made}`;
    const shard = env.DIRECTORY.getByName(object) as unknown as DirectoryRpc;
    const fail = (fails: boolean) =>
      runInDurableObject(env.DIRECTORY.getByName(object), (_object, { storage }) => {
        if (!fails) return vi.mocked(storage.sql.exec).mockRestore();
        const exec = storage.sql.exec.bind(storage.sql);
        vi.spyOn(storage.sql, "exec").mockImplementation((query, ...bindings) => {
          if (query.startsWith(statement)) throw new Error("database or disk is full: SQLITE_FULL");
          return exec(query, ...bindings);
        });
      });
    const signal = signalOf("whole", { n: 7 });
    const hold = () => shard.hold("whole", signal, Date.now() + dayMs);
    if (what === "settled") await hold();
    await fail(true);
    // Asked within the object: what a call of it rejects with is told twice.
    await runInDurableObject(env.DIRECTORY.getByName(object), async (instance) => {
      const own = instance as unknown as DirectoryRpc;
      const failing = what === "settled" ? own.settle("whole", 1) : own.hold("whole", signal, Date.now() + dayMs);
      await expect(failing).rejects.toThrow("SQLITE_FULL");
    });
    await fail(false);
    if (what === "kept") expect(await shard.claim("whole", "run", [])).toBeNull();
    expect(await hold()).toEqual({ kind: "open" });
    expect(await shard.claim("whole", "run", [])).toEqual({ id: "whole", signal });
  });

  it("that was claimed and not settled is looked after by the alarm (guarantee 4)", async () => {
    const stub = env.DIRECTORY.getByName(`alone-${++made}`);
    const shard = stub as unknown as DirectoryRpc;
    await shard.hold("claimed", signalOf("claimed"), Date.now() + dayMs);
    expect(await shard.claim("claimed", "run1", [])).toMatchObject({ id: "claimed" });
    await runInDurableObject(stub, async (_object, { storage }) => {
      expect(await storage.getAlarm()).toBeLessThanOrEqual(Date.now() + claimMs);
      await storage.deleteAlarm();
    });
  });

  it("that was given back is looked after at once, and not when its claim would be (guarantee 4)", async () => {
    const stub = env.DIRECTORY.getByName(`alone-${++made}`);
    const shard = stub as unknown as DirectoryRpc;
    await shard.hold("returned", signalOf("returned"), Date.now() + dayMs);
    await shard.claim("returned", "run1", []);
    await shard.release("returned", "run1");
    const dueAt = () => runInDurableObject(stub, (_object, { storage }) => openDirectory(storage.sql).signals.dueAt());
    await vi.waitFor(async () => expect(await dueAt()).toBeGreaterThan(Date.now() + claimMs), { timeout: 30_000 });
  });

  it("is looked after again, but not at once, where the runs that wait could not be found (guarantee 4)", async () => {
    const shards = await prototypeOfShards();
    await runInDurableObject(env.DIRECTORY.getByName(`alone-${++made}`), async (object, { storage }) => {
      const { signals } = openDirectory(storage.sql);
      const now = Date.now();
      signals.hold("due", signalOf("due"), null, now + dayMs, now);
      signals.checkAt("due", now);
      const asked = vi.spyOn(shards, "waiters").mockRejectedValue(new Error("told to throw"));
      await object.alarm?.();
      asked.mockRestore();
      const at = await storage.getAlarm();
      expect(at).toBeGreaterThanOrEqual(now + claimMs);
      expect(at).toBeLessThanOrEqual(Date.now() + claimMs);
      await storage.deleteAlarm();
    });
  });

  it("is looked after again where the shard's storage failed as its alarm came (guarantee 4)", async () => {
    await runInDurableObject(env.DIRECTORY.getByName(`alone-${++made}`), async (object, { storage }) => {
      const { signals } = openDirectory(storage.sql);
      signals.hold("kept", signalOf("kept"), null, Date.now() + dayMs, Date.now());
      const exec = storage.sql.exec.bind(storage.sql);
      vi.spyOn(storage.sql, "exec").mockImplementation((query, ...bindings) => {
        if (query.startsWith("DELETE")) throw new Error("disk I/O error: SQLITE_IOERR");
        return exec(query, ...bindings);
      });
      await object.alarm?.();
      vi.mocked(storage.sql.exec).mockImplementation(exec);
      const at = await storage.getAlarm();
      expect(at).toBeGreaterThan(0);
      expect(at).toBeLessThanOrEqual(Date.now() + claimMs);
      await storage.deleteAlarm();
    });
  });

  it("claimed by a process that died reaches its claimer all the same, whoever waits beside it (guarantees 1, 4 and 5)", async () => {
    const [id, other] = [await startInbox("dead"), await startInbox("beside-the-dead")];
    await listed("item", [id, other]);
    // Held and claimed, and then nothing: as if the run had died right there.
    await directoryShard(0).hold("lost", signalOf("item", { n: 9 }), Date.now() + dayMs);
    expect((await directoryShard(0).claim("item", id, []))?.id).toBe("lost");
    await check("lost");
    expect(await outputOf(id)).toEqual([9]);
    expect(await openIds("item")).toEqual([]);
    await service.signals.send(other, signalOf("item", { n: 1 }));
    expect(await outputOf(other)).toEqual([1]);
    expect(await directoryShard(0).outcome("lost")).toEqual({ delivered: 1, buffered: false });
  });

  it("claimed by a run that is gone passes to one that waits (guarantee 4)", async () => {
    const id = await startInbox("heir-of-the-gone");
    await listed("item", [id]);
    await directoryShard(0).hold("left", signalOf("item", { n: 4 }), Date.now() + dayMs);
    expect((await directoryShard(0).claim("item", "gone", []))?.id).toBe("left");
    await check("left");
    expect(await outputOf(id)).toEqual([4]);
  });

  it.each(["haunt", "unheard of"])("that nobody takes is not asked about again and again: %s", async (name) => {
    await directoryShard(0).hold("unwanted", signalOf(name), Date.now() + dayMs);
    await directoryShard(0).claim(name, "ghost", []);
    await directoryShard(0).release("unwanted", "ghost");
    const stub = env.DIRECTORY.getByName("shard-0");
    await vi.waitFor(
      async () => {
        const row = await runInDurableObject(stub, (_object, ctx) =>
          ctx.storage.sql.exec("SELECT claimed_by, check_at FROM broadcasts WHERE id = 'unwanted'").one(),
        );
        expect(row).toEqual({ claimed_by: null, check_at: null });
      },
      { timeout: 30_000 },
    );
    await settle("unwanted", name, 0, true);
  });

  it("reaches a run that began to wait while a step of it is at work", async () => {
    const id = "engaged-1";
    const input = encode({ gate: "go", signal: "tap" }, "input");
    await service.runs.start({ workflow: "engaged", input, id, by: "test" });
    await listed("tap", [id]);
    expect(await broadcast(signalOf("tap", 5))).toEqual({ delivered: 1, buffered: false });
    openGate(`${id}/go`);
    expect(await outputOf(id)).toBe(5);
  });

  it("buffered is consumed by a real run that comes later, one at a time", async () => {
    expect((await broadcast(signalOf("item", { n: 1 }))).buffered).toBe(true);
    expect((await broadcast(signalOf("item", { n: 2 }))).buffered).toBe(true);
    const first = await startInbox("real-1");
    expect(await outputOf(first)).toEqual([1]);
    const second = await startInbox("real-2", 2);
    await service.signals.send(second, signalOf("item", { n: 3 }));
    expect((await outputOf(second)).toSorted()).toEqual([2, 3]);
    await expect.poll(() => openIds("item")).toEqual([]);
  });
});

async function startInbox(name: string, count = 1): Promise<string> {
  const id = `inbox-${name}`;
  await service.runs.start({ workflow: "inbox", input: encode({ count }, "input"), id, by: "test" });
  return id;
}

/** Has the first shard look after that signal now. */
async function check(signal: string): Promise<void> {
  const stub = env.DIRECTORY.getByName("shard-0");
  await runInDurableObject(
    stub,
    (_object, ctx) => void ctx.storage.sql.exec("UPDATE broadcasts SET check_at = 1 WHERE id = ?", signal),
  );
  await runDurableObjectAlarm(stub);
}

async function listed(name: string, ids: string[]): Promise<void> {
  await expect.poll(() => waitersOf(name)).toEqual(expect.arrayContaining(ids));
}

async function notListed(name: string, id: string): Promise<void> {
  await expect.poll(() => waitersOf(name)).not.toContain(id);
}

/** Sends while the run does not answer, and ends the sender's patience at once. */
async function hangs(stuck: string, send: () => Promise<unknown>): Promise<void> {
  const own = env.RUNS.getByName.bind(env.RUNS);
  const hanging = { signal: () => new Promise<never>(() => {}) };
  const named = vi
    .spyOn(env.RUNS, "getByName")
    .mockImplementation((name) => (name === stuck ? (hanging as never) : own(name)));
  const wait = globalThis.setTimeout;
  const timers = vi.spyOn(globalThis, "setTimeout").mockImplementation((act: () => void, after?: number) => {
    return wait(act, (after ?? 0) > 59_000 ? 0 : after);
  });
  await expect(send()).rejects.toMatchObject({ retryable: true });
  timers.mockRestore();
  named.mockRestore();
}

async function outputOf(id: string): Promise<number[]> {
  const answer = await runObject(id).read(60_000);
  if (!answer.ok) throw new Error(answer.refusal.message);
  const { status, output } = answer.value;
  expect(status).toBe("completed");
  return output === null ? [] : (decode(output) as number[]);
}

/** Where the shards have their way to deliver. */
async function prototypeOfShards(): Promise<DirectoryRpc> {
  return await runInDurableObject(env.DIRECTORY.getByName("shard-0"), (object) => {
    let prototype = object as unknown as DirectoryRpc;
    while (!Object.hasOwn(prototype, "deliver")) prototype = Object.getPrototypeOf(prototype) as DirectoryRpc;
    return prototype;
  });
}

/** Ids of the signals of that name that are not delivered. */
async function openIds(name: string): Promise<string[]> {
  return await runInDurableObject(env.DIRECTORY.getByName("shard-0"), (_object, ctx) =>
    ctx.storage.sql
      .exec<{ id: string }>("SELECT id FROM broadcasts WHERE name = ? AND delivered IS NULL", name)
      .toArray()
      .map(({ id }) => id),
  );
}
