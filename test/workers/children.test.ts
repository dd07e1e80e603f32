/** Runs that start each other, each in an object of its own: evicted, aborted, and told of each other's ends. */
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { childId } from "../../src/core/lifecycle/child.ts";
import type { EntryOf } from "../../src/core/history/entry.ts";
import type { HistoryPage, RunSnapshot } from "../../src/core/run/run.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { getRun } from "../../src/index.ts";
import { runObject } from "../../src/objects/address.ts";
import { RunChildren } from "../../src/objects/run/children.ts";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import { createService } from "../../src/objects/service.ts";
import { ask, historyOf } from "./client.ts";
import { evict } from "./storage.ts";
import { lives } from "./flows/engine.ts";
import { cheered, childWorkflows, pondered } from "./flows/children.ts";
import { pause, drive } from "./driver.ts";
import type { Ending, Program } from "./driver.ts";
import { watched } from "./crashpoint.ts";
import type { CrashPoint } from "./crashpoint.ts";

const service = createService(new Catalog(childWorkflows.map(({ definition }) => definition)));
let made = 0;

async function start(workflow: string, input: unknown, waitMs = 0): Promise<RunSnapshot> {
  const id = `${workflow}-c${++made}`;
  const { run } = await service.runs.start({ workflow, input: encode(input, "input"), id, by: "test", waitMs });
  return run;
}

function childOf(parent: RunSnapshot, step: string): string {
  return childId({ parent: parent.id, createdAt: parent.createdAt, step, episode: 0 });
}

async function until(id: string, like: object): Promise<RunSnapshot> {
  const read = async (): Promise<RunSnapshot> => {
    const run = await service.runs.read(id);
    expect(run).toMatchObject(like);
    return run;
  };
  return await vi.waitFor(read, { timeout: 60_000, interval: 20 });
}

function output({ output: stored }: RunSnapshot): unknown {
  return stored === null ? null : decode(stored);
}

describe("a child run", () => {
  it("answers its parent, also one that is not kept and one whose answer is large (guarantee 4)", async () => {
    const calls = [
      { workflow: "brief", input: { n: 4 } },
      { workflow: "heavy", input: { size: 12_000_000 } },
    ];
    const parent = await start("caller", { calls }, 60_000);
    const [brief, heavy] = output(parent) as [number, string];
    expect([brief, heavy.length]).toEqual([8, 12_000_000]);
    const id = childOf(parent, "brief");
    // Removed once its parent had heard of it, and not before.
    await expect.poll(async () => (await runObject(id).read(0)).ok).toBe(false);
    const { entries } = await service.runs.history(parent.id, 0, 4);
    expect(entries.map(({ kind }) => kind)).toEqual(["run.created", "run.started", "child.started", "child.started"]);
  });

  it("is shown with its parent, and what its parent waits for, over HTTP", async () => {
    const parent = await start("caller", { calls: [{ workflow: "patient", input: {} }] });
    const id = childOf(parent, "patient");
    await until(parent.id, { status: "waiting", waitingFor: [{ kind: "run", name: id, until: null }] });
    const { body } = await ask(`GET /v1/runs/${id}`);
    expect(body).toMatchObject({ workflow: "patient", parent: { id: parent.id, workflow: "caller" } });
    const [, , started] = await historyOf(parent.id);
    expect(started).toMatchObject({ kind: "child.started", step: "patient", child: { id, workflow: "patient" } });
    await ask(`POST /v1/runs/${parent.id}/cancel`);
  });

  it("that fails, is cancelled, is refused or takes too long rejects the call (guarantee 8)", async () => {
    const calls = [
      { workflow: "doomed", input: null },
      { workflow: "patient", input: {}, timeout: "200 ms" },
      { workflow: "patient", input: {} },
      { workflow: "brief", input: { n: "four" } },
      { workflow: "nowhere", input: {} },
    ];
    const parent = await start("caller", { calls });
    const [late, waits] = [childOf(parent, "patient"), childOf(parent, "patient#2")];
    await until(waits, { status: "waiting" });
    await getRun(waits).cancel("enough");
    const { error: _none, ...run } = await until(parent.id, { status: "completed" });
    expect(output(run as RunSnapshot)).toMatchObject([
      { code: "child_failed", child: childOf(parent, "doomed"), cause: "non_retryable" },
      { code: "child_failed", child: late },
      { code: "child_failed", child: waits, cause: "cancelled" },
      { code: "child_failed", cause: "input_invalid" },
      { code: "child_failed", cause: "workflow_not_found" },
    ]);
    await until(late, { status: "cancelled" });
    const { entries } = await service.runs.history(late, 0, 50);
    expect(entries.find(({ kind }) => kind === "run.cancelled")).toMatchObject({ by: `parent ${parent.id}` });
  });

  it("is not waited for by who only started it, and stopped at the end of who said so", async () => {
    const left = await start("starter", { id: "left-alone" }, 60_000);
    const stopped = await start("starter", { id: "stopped-too", onParentEnd: "cancel" }, 60_000);
    expect([output(left), output(stopped)]).toEqual(["left-alone", "stopped-too"]);
    await until("stopped-too", { status: "cancelled" });
    expect(await service.runs.read("left-alone")).toMatchObject({ status: "waiting", labels: { of: left.id } });
  });

  it("goes with its parent: cancelled, whole generations of it", async () => {
    const inner = { workflow: "caller", input: { calls: [{ workflow: "patient", input: {} }] } };
    const parent = await start("caller", { calls: [inner] });
    const middle = childOf(parent, "caller");
    const { createdAt } = await until(parent.id, { waitingFor: [{ kind: "run", name: middle }] });
    expect(createdAt).toBe(parent.createdAt);
    const { waitingFor } = await until(middle, { waitingFor: [{ kind: "run" }] });
    await ask(`POST /v1/runs/${parent.id}/cancel`);
    for (const id of [parent.id, middle, waitingFor[0]?.name ?? ""]) await until(id, { status: "cancelled" });
  });
});

it("a child that cannot be reached is asked again a moment later, and not only after minutes (guarantee 4)", async () => {
  const { id } = await start("caller", { calls: [] }, 60_000);
  const own = env.RUNS.getByName.bind(env.RUNS);
  let lost = 0;
  const unreachable = { read: () => Promise.reject(new Error("the network is down")) };
  const named = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
    return name === id && lost++ < 3 ? (unreachable as never) : own(name);
  });
  const self = { id: "asker", workflow: "caller", at: 0, origin: null };
  const children = new RunChildren(
    () => self,
    () => Promise.reject(new Error("nothing is started")),
  );
  expect(await children.end(id)).toMatchObject({ kind: "completed" });
  named.mockRestore();
  expect(lost).toBeGreaterThan(3);
});

it("a run that is deleted has had the children stopped that it was to stop; until that is done it stays (guarantee 8)", async () => {
  const child = "stopped-before-the-deletion";
  const own = env.RUNS.getByName.bind(env.RUNS);
  const named = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
    const stub = own(name);
    const act = () => Promise.reject(new Error("the network is down"));
    return name === child
      ? new Proxy(stub, { get: (target, key) => (key === "act" ? act : Reflect.get(target, key)) })
      : stub;
  });
  const parent = await start("starter", { id: child, onParentEnd: "cancel" }, 60_000);
  expect(parent.status).toBe("completed");
  const refused = await ask(`DELETE /v1/runs/${parent.id}`);
  expect([refused.status, (await service.runs.read(child)).status]).toEqual([503, "waiting"]);
  named.mockRestore();
  expect((await ask(`DELETE /v1/runs/${parent.id}`)).status).toBe(204);
  expect((await service.runs.read(child)).status).toBe("cancelled");
});

describe("parent and child out of memory", () => {
  it("the end of the child brings the parent back, which nobody asks (guarantee 4)", async () => {
    const parent = await start("caller", { calls: [{ workflow: "patient", input: {} }] });
    const child = childOf(parent, "patient");
    await until(parent.id, { status: "waiting" });
    await until(child, { status: "waiting" });
    await pause(700);
    const before = lives.get(parent.id) ?? 0;
    await evict(parent.id);
    await evict(child);
    await getRun(child).signal("go", { say: "wake up" });
    // Only its lives are looked at until it has come back by itself.
    await expect.poll(() => lives.get(parent.id)).toBe(before + 1);
    expect(output(await until(parent.id, { status: "completed" }))).toEqual(["wake up"]);
    const { entries } = await service.runs.history(parent.id, 0, 50);
    expect(entries.map(({ kind }) => kind)).not.toContain("run.interrupted");
  });

  it("hundreds of children end while their parent is gone (guarantees 2 and 4)", { timeout: 900_000 }, async () => {
    const size = 400;
    const calls = Array.from({ length: size }, () => ({ workflow: "patient", input: {} }));
    const parent = await start("caller", { calls });
    const begun = async () => expect((await service.runs.read(parent.id)).waitingFor).toHaveLength(size);
    await vi.waitFor(begun, { timeout: 300_000, interval: 100 });
    await until(parent.id, { status: "waiting" });
    await vi.waitFor(() => evict(parent.id), { timeout: 60_000, interval: 200 });
    const before = lives.get(parent.id) ?? 0;
    const says = Array.from({ length: size }, (_, i) => `${i}`);
    const tell = (say: string, i: number) =>
      getRun(childOf(parent, i === 0 ? "patient" : `patient#${i + 1}`)).signal("go", { say });
    await Promise.all(says.map(tell));
    const over = async () => expect((await service.runs.read(parent.id)).status).toBe("completed");
    await vi.waitFor(over, { timeout: 300_000, interval: 500 });
    expect(output(await service.runs.read(parent.id))).toEqual(says);
    expect(lives.get(parent.id)).toBeGreaterThan(before);
    const kinds = new Map<string, number>();
    for (let after: number | null = 0; after !== null;) {
      const page: HistoryPage = await service.runs.history(parent.id, after, 200);
      for (const { kind } of page.entries) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      after = page.next;
    }
    expect([kinds.get("child.started"), kinds.get("child.completed")]).toEqual([size, size]);
  });
});

describe("a parent that is tried again", () => {
  it("has its child go on from what failed, under its old id (guarantee 2)", async () => {
    const parent = await start("insistent", { name: "sad" }, 60_000);
    const child = childOf(parent, "moody");
    expect(parent).toMatchObject({ status: "failed", error: { code: "child_failed", step: "moody", child } });
    cheered.add("sad");
    expect((await ask(`POST /v1/runs/${parent.id}/retry`)).status).toBe(200);
    const [own, mood] = output(await until(parent.id, { status: "completed" })) as string[];
    expect([own, mood]).toEqual([expect.stringContaining(parent.id), "in a good mood"]);
    const { entries } = await service.runs.history(child, 0, 50);
    const told = entries.map((entry) => ("step" in entry ? `${entry.kind} ${entry.step}` : entry.kind));
    expect(told).toEqual([
      ...["run.created", "run.started", "step.completed first", "step.failed second", "run.failed"],
      ...["run.retried", "step.completed second", "run.completed"],
    ]);
    const steps = (await service.runs.history(parent.id, 0, 50)).entries.filter(
      ({ kind }) => kind === "step.completed",
    );
    expect(steps).toHaveLength(1);
  });

  it.each([false, true])("waits for a child that goes on already; evicted: %s (guarantee 2)", async (isEvicted) => {
    const name = `pensive ${isEvicted}`;
    const parent = await start("insistent", { name }, 60_000);
    const child = childOf(parent, "moody");
    const { promise: known, resolve: know } = Promise.withResolvers<void>();
    pondered.set(name, known);
    cheered.add(name);
    // As a bulk action on all failed runs does.
    expect((await ask(`POST /v1/runs/${child}/retry`)).status).toBe(200);
    await until(child, { status: "running", active: [{ step: "second" }] });
    expect((await ask(`POST /v1/runs/${parent.id}/retry`)).status).toBe(200);
    await until(parent.id, { status: "waiting", waitingFor: [{ kind: "run" }] });
    if (isEvicted) await evict(parent.id);
    know();
    expect(output(await until(parent.id, { status: "completed" }))).toContain("in a good mood");
    const { entries } = await service.runs.history(parent.id, 0, 50);
    const started = entries.filter((entry): entry is EntryOf<"child.started"> => entry.kind === "child.started");
    const moods = started.filter((entry) => entry.step === "moody");
    expect(moods.map((entry) => entry.child.id)).toEqual([child, child]);
  });

  it("starts a child anew that is being cancelled", async () => {
    const parent = await start("insistent", { name: "fickle" }, 60_000);
    const child = childOf(parent, "moody");
    const { promise: known, resolve: know } = Promise.withResolvers<void>();
    pondered.set("fickle", known);
    cheered.add("fickle");
    await ask(`POST /v1/runs/${child}/retry`);
    await until(child, { active: [{ step: "second" }] });
    await ask(`POST /v1/runs/${child}/cancel`);
    await until(child, { status: "running", active: [{ step: "sulk" }] });
    await ask(`POST /v1/runs/${parent.id}/retry`);
    await until(parent.id, { waitingFor: [{ name: expect.stringMatching(/\.moody\.\d+$/) }] });
    know();
    expect(output(await until(parent.id, { status: "completed" }))).toContain("in a good mood");
  });

  it("starts a child anew that is gone", async () => {
    const parent = await start("insistent", { name: "sadder" }, 60_000);
    const child = childOf(parent, "moody");
    expect((await ask(`DELETE /v1/runs/${child}`)).status).toBeLessThan(300);
    cheered.add("sadder");
    await ask(`POST /v1/runs/${parent.id}/retry`);
    expect(output(await until(parent.id, { status: "completed" }))).toContain("in a good mood");
    const { entries } = await service.runs.history(parent.id, 0, 50);
    const started = entries.filter((entry): entry is EntryOf<"child.started"> => entry.kind === "child.started");
    expect(started.map((entry) => entry.child.id)).toContainEqual(expect.stringMatching(/\.moody\.\d+$/));
  });
});

describe("a signal from run to run", () => {
  it("arrives, also at the sender itself; a refusal is final and keeps its code (guarantee 5)", async () => {
    const { run } = await service.runs.start({
      workflow: "patient",
      input: encode({}, ""),
      id: "listener",
      by: "test",
    });
    const sent = await start("sender", { to: run.id }, 60_000);
    expect(output(sent)).toEqual(["signal_invalid", 7, "run_not_found"]);
    expect(output(await until("listener", { status: "completed" }))).toBe("one");
    const { entries } = await service.runs.history("listener", 0, 50);
    const received = entries.find((entry): entry is EntryOf<"signal.received"> => entry.kind === "signal.received");
    expect(received).toMatchObject({ name: "go", by: `run ${sent.id}` });
    expect(
      (await service.runs.history(sent.id, 0, 50)).entries.filter(({ kind }) => kind === "step.failed"),
    ).toHaveLength(2);
  });
});

/** How a family is played, by name. */
type Cut = readonly [string, Readonly<Record<string, readonly CrashPoint[]>>];

describe("a family whose processes end", () => {
  const program: Program = { title: "a family", workflow: "family", input: () => null, calls: [] };
  const kin = ["told", "started", "doomed", "late"];

  /** What the family comes to; ids and instants are those of the run. */
  async function comesTo(ending: Ending): Promise<unknown> {
    const { id } = ending.run;
    await until(`${id}-started`, { status: "completed" });
    await until(`${id}-late`, { status: "cancelled" });
    const others = await Promise.all(kin.map(async (name) => await service.runs.read(`${id}-${name}`)));
    const counted = (kind: string) => ending.entries.filter((entry) => entry.kind === kind).length;
    return {
      output: output(ending.run),
      others: others.map((run) => [run.status, output(run), run.error?.code]),
      counts: ["child.started", "child.completed", "child.failed"].map(counted),
    };
  }

  async function playFamily(id: string, blows: Readonly<Record<string, readonly CrashPoint[]>>): Promise<unknown> {
    for (const name of kin) watched(`${id}-${name}`).blows = blows[name] ?? [];
    return await comesTo(await drive(program, id, blows["parent"] ?? []));
  }

  it(
    "comes to the same, whichever of them ends at whichever write (guarantees 2, 4, 5, 8)",
    { timeout: 600_000 },
    async () => {
      const reference = await playFamily("family-whole", {});
      expect(reference).toMatchObject({
        output: [
          "told: by name",
          "ID-started",
          "child run ID-doomed of workflow doomed failed: doomed",
          "child_failed",
        ],
        others: [
          ["completed", "told: by name", undefined],
          ["completed", "started: from the family", undefined],
          ["failed", null, "non_retryable"],
          ["cancelled", null, "cancelled"],
        ],
      });
      const length = (name: string) => watched(name).entries.length;
      const members: (readonly [string, number])[] = [
        ["parent", length("family-whole")],
        ...kin.map((name) => [name, length(`family-whole-${name}`)] as const),
      ];
      const cuts = members.flatMap(([name, entries]): Cut[] =>
        Array.from({ length: entries }, (_, i) => i + 1).flatMap((at) =>
          // What is lost at one write was kept at the one before: every second is enough to see the other way.
          (at % 2 === 0 ? (["lost"] as const) : (["lost", "kept"] as const)).map(
            (how) => [`${name}-${at}-${how}`, { [name]: [{ at, how }] }] as const,
          ),
        ),
      );
      const storms = Array.from({ length: 20 }, (_, i): Cut => {
        const any = (n: number): CrashPoint[] => [
          { at: 1 + Math.floor(Math.random() * n), how: Math.random() < 0.5 ? "lost" : "kept" },
        ];
        return [`storm-${i}`, Object.fromEntries(members.map(([name, n]) => [name, any(n)]))];
      });
      const played = await Promise.all(
        [...cuts, ...storms].map(async ([name, blows]) => [name, await playFamily(`family-${name}`, blows)] as const),
      );
      expect(Object.fromEntries(played)).toEqual(Object.fromEntries(played.map(([name]) => [name, reference])));
    },
  );
});
