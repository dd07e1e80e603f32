import { expect, test } from "vitest";
import type { QueryAnswer } from "../../src/core/service/service.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { decode } from "../../src/core/value/value.ts";
import { Host, act, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";

/** What the query answers, or its error's name, message and code; the code where it was refused. */
async function ask(host: Host, name: string): Promise<unknown> {
  try {
    return read(await host.run.replica().answer(name));
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function read(answer: QueryAnswer): unknown {
  if (answer.kind === "answered") return decode(answer.result);
  const { name, message, code } = answer.error;
  return { name, message, ...(code === undefined ? {} : { code }) };
}

/** Counts what it was given, and answers from its own variables. */
async function shopping(_input: never, step: Step) {
  const cart: string[] = [];
  step.query("cart", () => cart);
  step.query("spoil", () => cart.push("spoilt"));
  step.query("later", async () => {
    await Promise.resolve();
    return cart.length;
  });
  for (;;) {
    const item = await step.waitFor<string>("add");
    if (item === "end") return cart;
    step.log.info(`adding ${item}`);
    cart.push(await step.run("price", () => `${item}!`));
    step.progress(cart.length);
  }
}

async function shopped(items: readonly string[]): Promise<Host> {
  const host = new Host(shopping);
  for (const [i, item] of items.entries()) host.signalAt(startAt + i * 1000, "add", item);
  return await host.drive();
}

test("guarantee 2: a thousand queries leave the journal as it was, byte for byte, and see the same", async () => {
  const host = await shopped(["tea", "jam"]);
  const commits = [...host.journal.commits];
  const { execution } = host.run;
  for (let times = 0; times < 1000; times++) {
    const name = ["cart", "later", "spoil"][times % 3] ?? "";
    expect(await ask(host, name)).toEqual([["tea!", "jam!"], 2, 3][times % 3]);
  }
  expect(host.journal.commits).toEqual(commits);
  expect(host.run.execution).toBe(execution);
  expect(host.run.advance()).toMatchObject({ busy: false, wakeAt: null });
});

test("the answer is the same before and after eviction, and a query wakes nobody", async () => {
  const host = await shopped(["tea"]);
  const evicted = host.reopen({ cold: false });
  expect(await ask(evicted, "cart")).toEqual(["tea!"]);
  expect(evicted.run.execution).toBeNull();
  expect(evicted.journal.commits).toEqual(host.journal.commits);
});

test("a run at work, waiting for its next attempt, or paused answers where it stands", async () => {
  let fails = true;
  const flow = async (_input: never, step: Step) => {
    let at = "begun";
    step.query("at", () => at);
    await step.run("first", () => "x");
    at = "after first";
    await step.run("second", () => {
      if (fails) throw new Error("not yet");
    });
    at = "after second";
    await new Promise(() => {});
  };
  const host = await new Host(flow).drive(startAt);
  expect(host.snapshot.waitingFor).toMatchObject([{ kind: "retry" }]);
  expect(await ask(host, "at")).toBe("after first");
  await act(host.run, "pause");
  expect(await ask(host, "at")).toBe("after first");
  await act(host.run, "resume");
  fails = false;
  await host.drive(startAt + 60_000);
  expect(host.status).toBe("running");
  expect(await ask(host, "at")).toBe("after second");
  expect(host.entries("step.completed")).toHaveLength(2);
});

test("the step in flight is not called again by a query", async () => {
  let calls = 0;
  let finish = (): void => {};
  const flow = async (_input: never, step: Step) => {
    let at = "before";
    step.query("at", () => at);
    await step.run("slow", () => {
      calls++;
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    });
    at = "behind";
  };
  const host = new Host(flow);
  await host.drive(startAt);
  expect(await ask(host, "at")).toBe("before");
  finish();
  await host.drive();
  expect([calls, host.status, await ask(host, "at")]).toEqual([1, "completed", "behind"]);
});

const endings: Record<string, { handler: (step: Step) => Promise<unknown>; move?: (host: Host) => unknown }> = {
  completed: { handler: async () => "output" },
  failed: {
    handler: async () => {
      throw new Error("no");
    },
  },
  bailed: { handler: async (step) => step.bail("enough") },
  "failed by fail": { handler: async (step) => step.fail(new Error("enough")) },
  cancelled: { handler: (step) => step.sleep("1 day"), move: ({ run }) => act(run, "cancel") },
  terminated: { handler: (step) => step.sleep("1 day"), move: ({ run }) => act(run, "terminate") },
};

test.each(Object.keys(endings))("a run that has %s can be asked like any other", async (how) => {
  const { handler, move } = endings[how] ?? {};
  const flow = async (_input: never, step: Step) => {
    const seen: string[] = [];
    step.query("seen", () => seen);
    seen.push(await step.run("one", () => "one"));
    try {
      return await handler?.(step);
    } catch (error) {
      seen.push((error as Error).message);
      throw error;
    } finally {
      seen.push("clean");
    }
  };
  const host = await new Host(flow).drive(startAt);
  await move?.(host);
  await host.drive();
  expect(host.run.state.end).not.toBeNull();
  const seen = await ask(host, "seen");
  expect(seen).toEqual(expect.arrayContaining(["one"]));
  const { commits } = host.journal;
  const later = host.reopen();
  expect(await ask(later, "seen")).toEqual(seen);
  expect(later.journal.commits).toEqual(commits);
});

test("a run that was undone can be asked", async () => {
  const flow = async (_input: never, step: Step) => {
    let booked = 0;
    step.query("booked", () => booked);
    await step.run("book", () => "b", { undo: () => "undone" });
    booked++;
    throw new Error("no");
  };
  const host = await new Host(flow).drive();
  expect(host.entries("undo.completed")).toHaveLength(1);
  expect([host.status, await ask(host, "booked"), await ask(host.reopen(), "booked")]).toEqual(["failed", 1, 1]);
});

test("a query that calls step is told so, and changes nothing", async () => {
  const flow = async (_input: never, step: Step) => {
    const impure: Record<string, () => unknown> = {
      run: () => step.run("more", () => 1),
      log: () => step.log.info("hello"),
      bail: () => step.bail("no"),
      sleep: async () => {
        await Promise.resolve();
        await step.sleep("1 s");
      },
      listen: () => step.onSignal("x", () => {}),
      query: () => step.query("x", () => {}),
      now: () => step.now(),
    };
    for (const [name, fn] of Object.entries(impure)) step.query(name, fn);
    await step.waitFor("end");
  };
  const host = await new Host(flow).drive();
  const commits = [...host.journal.commits];
  for (const name of ["run", "log", "bail", "sleep", "listen", "query"]) {
    expect(await ask(host, name)).toMatchObject({ name: "HoldfastError", code: "query_impure" });
  }
  expect(await ask(host, "now")).toBe(startAt);
  expect(host.journal.commits).toEqual(commits);
  signal(host.run, "end", {});
  await host.drive();
  expect(host.status).toBe("completed");
});

test("what is wrong with a query is said in its answer; the run is unharmed", async () => {
  const flow = async (_input: never, step: Step) => {
    step.query("throws", () => {
      throw new RangeError("too far");
    });
    step.query("rejects", () => Promise.reject(new Error("not now")));
    step.query("function", () => () => 1);
    step.query("twice", () => 1);
    step.query("twice", () => 2);
    await step.waitFor("end");
  };
  const host = await new Host(flow).drive();
  expect(await ask(host, "throws")).toEqual({ name: "RangeError", message: "too far" });
  expect(await ask(host, "rejects")).toEqual({ name: "Error", message: "not now" });
  expect(await ask(host, "function")).toMatchObject({ code: "value_uncloneable" });
  expect(await ask(host, "twice")).toBe(2);
  expect(await ask(host, "missing")).toBe("query_not_found");
  await expect(host.run.replica().answer("missing")).rejects.toThrow("it has throws, rejects, function, twice");
  expect(host.status).toBe("waiting");
});

test("a run that has not begun has no queries, one whose version is gone says so", async () => {
  const host = new Host(shopping);
  host.definition = define(shopping, { version: "2" });
  await expect(ask(host, "cart")).resolves.toBe("version_missing");
});

test("a handler that awaits something of its own is asked where it is", async () => {
  const flow = async (_input: never, step: Step) => {
    let at = 0;
    step.query("at", () => at);
    await step.run("one", () => 1);
    at = 1;
    await new Promise(() => {});
  };
  const host = new Host(flow);
  await host.drive();
  expect([host.status, await ask(host, "at")]).toEqual(["running", 1]);
});

test.each([
  ["a query without a name", (step: Step) => step.query("", () => 1), "name_invalid"],
  ["a query without a function", (step: Step) => step.query("x", null as never), "options_invalid"],
  ["an update without a function", (step: Step) => step.update("x", null, undefined as never), "options_invalid"],
  ["an update with a schema that is none", (step: Step) => step.update("x", {} as never, () => 1), "options_invalid"],
  ["a listener without a function", (step: Step) => step.onSignal("x", 7 as never), "options_invalid"],
])("%s fails the run", async (_what, register, code) => {
  const host = await new Host(async (_input: never, step: Step) => register(step)).drive();
  expect([host.status, host.snapshot.error?.code]).toEqual(["failed", code]);
});
