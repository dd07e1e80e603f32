/** Runs that begin with the history of another. */
import { describe, expect, test } from "vitest";
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import type { ForkPlan } from "../../src/core/lifecycle/fork.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { forkedFacts } from "../../src/core/history/transcript.ts";
import { viewEntry } from "../../src/http/view.ts";
import { encode } from "../../src/core/value/value.ts";
import type { Stored } from "../../src/core/value/value.ts";
import { Run } from "../../src/engine/run.ts";
import { finish, hostProgram, logsOf, seen } from "./crash.ts";
import { checkEffects } from "./effects.ts";
import { checkJournal } from "./lives.ts";
import { Host, act, created, play, startAt } from "./host.ts";
import { ManualClock, MemoryJournal, define, memoryWorld } from "./memory.ts";
import type { Handler } from "./memory.ts";
import { makeProgram } from "./program.ts";
import type { Program } from "./program.ts";

type Given = Readonly<Record<string, unknown>>;
type Forked = { readonly plan: ForkPlan; readonly commits: readonly string[]; readonly at: number };

/** The journal of a fork, an hour after the newest entry of its original. */
function branch(entries: readonly Entry[], from: string | null, given: Given = {}): Forked {
  const at = (entries.at(-1)?.at ?? startAt) + 3_600_000;
  const results = new Map(Object.entries(given).map(([step, value]): [string, Stored] => [step, encode(value, step)]));
  const plan = planFork(entries, { from, given: [...results.keys()] });
  const facts = forkedFacts(entries, plan, results, at);
  const journal = new MemoryJournal();
  const [first] = entries;
  if (first?.kind !== "run.created") throw new Error("a history begins with run.created");
  const fork = { id: first.id, step: from, upTo: facts.length + 1, reason: null };
  const seed = first.seed ?? `${first.id}:${first.at}`;
  const run = new Run(journal, memoryWorld(new ManualClock(at)), () => undefined);
  run.fork({ ...created(undefined), input: first.input, id: "fork-1", fork, seed }, facts);
  return { plan, commits: journal.commits, at };
}

function fork(
  original: Host,
  from: string | null,
  given: Given = {},
  code: Definition | Handler | undefined = original.definition,
): Host {
  const { commits, at } = branch(original.journal.entries, from, given);
  return new Host(code, { commits, at, cold: false });
}

/** What ran, in which life. */
const ran: string[] = [];

function ranSince(act: () => Promise<unknown>): Promise<string[]> {
  ran.length = 0;
  return act().then(() => [...ran]);
}

const work = (step: Step, name: string, value: unknown = name) =>
  step.run(name, () => {
    ran.push(name);
    return value;
  });

describe("a fork", () => {
  const chain = async (_input: unknown, step: Step): Promise<unknown> => {
    const a = await work(step, "a", 1);
    const early = [step.random(), step.uuid()];
    await step.sleep("nap", "1 day");
    const go = await step.waitFor("go");
    const b = await work(step, "b", 2);
    const c = await work(step, "c", 3);
    return { a, early, go, b, c, late: [step.random(), step.uuid()] };
  };

  const original = async (): Promise<Host> => await new Host(chain).signalAt(startAt + 5, "go", "payload").drive();

  test("guarantee 2: runs nothing that it has on record, and comes to the same end", async () => {
    const host = await original();
    for (const [from, again] of [
      ["c", ["c"]],
      ["b", ["b", "c"]],
    ] as const) {
      const forked = fork(host, from);
      expect(await ranSince(() => forked.drive())).toEqual(again);
      expect(forked.output).toEqual(host.output);
      expect(forked.snapshot).toMatchObject({ id: "fork-1", status: "completed", fork: { id: "run-1", step: from } });
    }
  });

  test("never shows what it is given for a sensitive step, also where that had only failed", async () => {
    const once = { sensitive: true, retry: { limit: 0 } } as const;
    const twice = { sensitive: true, retry: { limit: 1, delay: "1 h" } } as const;
    const throws = (): never => {
      throw new Error("no");
    };
    const host = await play(async (_input: unknown, step: Step) => {
      await step.run("caught", throws, once).catch(() => null);
      await step.run("open", throws, twice).catch(() => null);
      return await step.waitFor("go");
    });
    const secret = "not to be shown";
    for (const from of [null, "open"]) {
      const forked = fork(host, from, { caught: secret, open: secret });
      const given = forked.entries("step.completed");
      expect(given.map(({ step }) => step)).toEqual(["caught", "open"]);
      expect(JSON.stringify(given.map((entry) => viewEntry(entry)))).not.toContain(secret);
    }
  });

  test("guarantee 2: survives its own death anywhere, and runs nothing again that it had on record", async () => {
    const forked = await fork(await original(), "b").drive();
    const copied = forked.run.state.created?.fork?.upTo ?? 0;
    for (let keep = copied; keep < forked.journal.commits.length; keep++) {
      const reopened = forked.reopen({ keep });
      const again = await ranSince(() => reopened.drive());
      expect(again).toEqual(["b", "c"].slice(Math.max(0, keep - copied - 1)));
      expect(reopened.output).toEqual(forked.output);
    }
  });

  test("marks nothing as added or removed, wherever it goes", async () => {
    const host = await play(async (_input, step) => {
      const way = await work(step, "choose", "left");
      await work(step, way === "left" ? "left" : "right");
      await work(step, "last");
    });
    const forked = await fork(host, "last", { choose: "right" }).drive();
    expect(forked.journal.kinds).toEqual([
      "run.created",
      "step.completed",
      "step.completed",
      "run.started",
      "step.completed",
      "step.completed",
      "run.completed",
    ]);
    expect(forked.entries("step.completed").map(({ step }) => step)).toEqual(["choose", "left", "right", "last"]);
  });

  test("guarantee 7: holds to its kind what it begins in the instant in which it was made", async () => {
    const original = await play((_input, step) => step.run("work", () => 1));
    const begun = fork(original, null, {}, (_input, step) =>
      step.run("work", () => 2).then(() => step.waitFor("told")),
    );
    await begun.drive();
    const changed = begun.reopen({
      definition: (_input, step) => step.run("work", () => 3).then(() => step.sleep("told", "1 h")),
    });
    await changed.drive();
    expect(changed.snapshot).toMatchObject({ status: "paused", error: { code: "step_kind_changed" } });
  });

  test("takes a given result for a step that never ran", async () => {
    const host = await original();
    const forked = fork(host, "b", { c: "given" });
    expect(await ranSince(() => forked.drive())).toEqual(["b"]);
    expect(forked.output).toMatchObject({ c: "given" });
  });

  test("of an unfinished run goes on by itself; the original stays where it is", async () => {
    const host = await new Host(chain).drive();
    expect(host.status).toBe("waiting");
    const before = [...host.journal.commits];
    const forked = await fork(host, "go")
      .signalAt(host.clock.at + 3_600_000, "go", "other")
      .drive();
    expect(forked.output).toMatchObject({ go: "other", c: 3 });
    expect(host.journal.commits).toEqual(before);
    await act(host.run, "pause");
    const ofPaused = await fork(host, "go", { a: 5 }).drive();
    expect(ofPaused.status).toBe("waiting");
  });

  test("heals a run that failed for good, with newer code", async () => {
    const broken = await play(
      define(async (_input, step) => {
        await work(step, "a");
        await step.run("b", () => Promise.reject(new Error("broken")), { retry: { limit: 0 } });
      }),
    );
    expect(broken.status).toBe("failed");
    const healed = fork(broken, "b", {}, async (_input, step) => [await work(step, "a"), await work(step, "b")]);
    expect(await ranSince(() => healed.drive())).toEqual(["b"]);
    expect(healed.output).toEqual(["a", "b"]);
  });

  test("undoes what it has of the original when it fails; what the original has undone, it does again", async () => {
    const undone: string[] = [];
    const flow = define(async (input: unknown, step: Step) => {
      for (const name of ["a", "b"]) {
        const undo = () => void undone.push(name);
        await step.run(name, () => void ran.push(name), { undo });
      }
      await work(step, "c");
      if (input === undefined) throw new Error("and yet it fails");
    });
    const host = await play(flow);
    expect(undone).toEqual(["b", "a"]);
    const forked = fork(host, "c");
    expect(await ranSince(() => forked.drive())).toEqual(["a", "b", "c"]);
    const unharmed = await play(flow, { input: 1 });
    const [failing, again] = [
      fork(
        unharmed,
        "c",
        {},
        define(async (_input, step) => {
          for (const name of ["a", "b"])
            await step.run(name, () => void ran.push(name), { undo: () => void undone.push(`${name} of the fork`) });
          throw new Error("fails now");
        }),
      ),
      undone.length,
    ];
    expect(await ranSince(() => failing.drive())).toEqual([]);
    expect(undone.slice(again)).toEqual(["b of the fork", "a of the fork"]);
  });

  test("guarantee 2: keeps a step that shares its id with a child that failed and was tried again", async () => {
    let isWell = false;
    const host = await play(async (_input, step) => {
      await work(step, "shared");
      try {
        await step.invoke("shared");
      } catch (error) {
        if (!isWell) throw error;
      }
      await work(step, "last");
    });
    expect(host.snapshot.error).toMatchObject({ code: "child_failed", step: "shared" });
    isWell = true;
    await act(host.run, "retry");
    await host.drive();
    const forked = fork(host, "last");
    expect(await ranSince(() => forked.drive())).toEqual(["last"]);
  });

  test("holds what lost a race to its loss", async () => {
    const host = await new Host(async (_input, step) => {
      const first = await step.race({ go: () => step.waitFor("go"), late: () => step.sleep("late", 1000) });
      await work(step, "next");
      return [first.key, await step.waitFor("go")];
    })
      .signalAt(startAt + 5000, "go", "second")
      .drive();
    expect(host.output).toEqual(["late", "second"]);
    const forked = await fork(host, "next").drive();
    expect(forked.snapshot).toMatchObject({ status: "waiting", waitingFor: [{ kind: "signal", name: "go" }] });
    const answered = await forked.signalAt(forked.clock.at, "go", "third").drive();
    expect(answered.output).toEqual(["late", "third"]);
  });
});

/** Forks the program at every call of its history; answers how often. */
async function checkForks(program: Program): Promise<number> {
  const reference = hostProgram(program, [], startAt);
  await finish(reference);
  const { entries } = reference.host.journal;
  const isUndone = entries.some(({ kind }) => kind === "undo.completed");
  const { rerun } = planFork(entries, { from: null, given: [] });
  for (const from of new Set(rerun)) {
    const { plan, commits, at } = branch(entries, from);
    const forked = hostProgram(program, commits, at, false);
    await finish(forked);
    checkJournal(forked.host.journal.entries);
    checkEffects(forked.host.journal.entries, forked.life.effects);
    if (!program.tame) continue;
    expect(forked.host.status).toBe(reference.host.status);
    expect(forked.host.snapshot.error?.code).toBe(reference.host.snapshot.error?.code);
    expect(forked.host.journal.kinds).not.toContain("step.added");
    // What was undone is done again, and says again what it says.
    if (!isUndone) expect(logsOf(forked)).toEqual(logsOf(reference));
    const was = isUndone ? [] : seen(reference, "last", plan.copied.at(-1) ?? 0);
    expect(seen(forked, "first").slice(0, was.length)).toEqual(was);
  }
  return rerun.length;
}

describe("guarantee 3: a fork at any call sees what its original saw, in that order, and comes to the same end", () => {
  test.each([0, 1, 2, 3])("programs of part %i", async (part) => {
    let forks = 0;
    for (let seed = 2 * part; seed < 320; seed += 8) forks += await checkForks(makeProgram(seed));
    expect(forks).toBeGreaterThan(100);
  });

  test("where time decides, it still runs nothing again that it had on record", async () => {
    for (let seed = 1; seed < 200; seed += 2) await checkForks(makeProgram(seed));
  });
});
