/**
 * Runs that a retry has go another way than they went: what of the history the code does not come to again is no change
 * of the code (guarantee 7). RETRIED_SEED and RETRIED_PROGRAMS play other programs, or one again.
 */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { NonRetryableError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { Host, act, signal, startAt } from "./host.ts";
import type { Handler } from "./memory.ts";

/** The bank is closed until the run is retried. */
class Bank {
  open = false;
  readonly charge = (): number => {
    if (!this.open) throw new NonRetryableError("the bank is closed");
    return 1;
  };
}

/** Runs it until it fails, and retries it. */
async function retried(bank: Bank, flow: Handler, until = Infinity): Promise<Host> {
  const host = await new Host(flow).drive();
  expect(host.status).toBe("failed");
  bank.open = true;
  void act(host.run, "retry");
  return await host.drive(until);
}

const marks = (host: Host): string[] =>
  host.journal.entries.flatMap((entry) =>
    entry.kind === "step.added" || entry.kind === "step.removed" ? [`${entry.kind} ${entry.step}`] : [],
  );

describe("guarantee 7: after a retry", () => {
  test("a wait of a branch that loses the race once more before it comes to it is withdrawn once more", async () => {
    const bank = new Bank();
    const host = await retried(bank, async (_input, step) => {
      const slow = async () => {
        await step.run("charge", bank.charge).catch(() => {});
        await step.waitFor("go");
      };
      await step.race({ slow, quick: () => step.sleep("nap", "1 s") });
      if (!bank.open) throw new Error("for a reason of its own");
      await step.waitFor("end", { timeout: "1 h" });
    });
    expect([host.status, marks(host)]).toEqual(["completed", []]);
    expect(host.entries("wait.withdrawn").map(({ calls }) => calls)).toEqual([
      [{ call: "wait", id: "go" }],
      [{ call: "wait", id: "go" }],
    ]);
  });

  test("one that the run parks without, by the same code, says that this is since the retry", async () => {
    const bank = new Bank();
    const handler: Handler = async (_input, step) => {
      const charged = await step.run("charge", bank.charge).then(
        () => true,
        () => false,
      );
      if (charged) return await step.waitFor("paid");
      await Promise.race([step.waitFor("help"), step.sleep("nap", "1 s")]);
      throw new Error("nobody helped");
    };
    const host = await retried(bank, handler, startAt + 60_000);
    const [mark, ...others] = host.entries("step.removed");
    expect([host.status, others]).toEqual(["waiting", []]);
    expect(mark).toMatchObject({ step: "help", call: "wait", retried: true });
    expect(mark && sentenceOf(mark)).toBe("since the retry the run has not come to signal help again");
    expect(host.snapshot.waitingFor).toMatchObject([{ kind: "signal", name: "paid" }]);
    // New code is told of as it always was.
    const changed = host.reopen({ definition: () => "over" });
    await changed.drive();
    expect(changed.entries("step.removed").map(({ step, retried: since = false }) => [step, since])).toEqual([
      ["help", true],
      ["paid", false],
      ["charge", false],
    ]);
  });

  test("one that the run ends without is no call that the code has lost", async () => {
    const bank = new Bank();
    const host = await retried(bank, async (_input, step) => {
      const slow = async () => {
        await step.race({ charge: () => step.run("charge", bank.charge).catch(() => {}) });
        if (bank.open) await new Promise(() => {});
        await step.waitFor("go");
      };
      await step.race({ slow, quick: () => step.sleep("nap", "1 s") });
      if (!bank.open) throw new Error("for a reason of its own");
    });
    expect([host.status, marks(host)]).toEqual(["completed", []]);
  });

  test("a step that was at work as the run failed is none that the code has won", async () => {
    const bank = new Bank();
    const flow: Handler = async (_input, step) => {
      const long = step.run("long", () => host.clock.after(60_000));
      await step.run("charge", bank.charge).catch(() => step.sleep("nap", "1 s"));
      const open = step.waitFor("go", { timeout: "2 m" });
      await step.run("beside", () => 1);
      if (!bank.open) throw new Error("for a reason of its own");
      await Promise.all([long, open]);
    };
    const host: Host = new Host(flow);
    await host.drive();
    bank.open = true;
    void act(host.run, "retry");
    await host.drive();
    expect([host.status, marks(host)]).toEqual(["completed", []]);
  });

  test("a name that is a sleep where the charge fails may be a step where it does not", async () => {
    const bank = new Bank();
    const host = await retried(bank, async (_input, step) => {
      const told = step.run("charge", bank.charge).then(
        () => step.run("tell", () => "told"),
        () => step.sleep("tell", "1 d").then(() => "late"),
      );
      await step.sleep("nap", "1 s");
      if (!bank.open) throw new Error("for a reason of its own");
      return await told;
    });
    expect([host.status, host.output]).toEqual(["completed", "told"]);
  });
});

describe("guarantees 3, 4 and 7: of programs that a retry has go another way", () => {
  type Op =
    | { readonly kind: "sleep"; readonly ms: number }
    | { readonly kind: "wait"; readonly ms: number }
    | { readonly kind: "step"; readonly ms: number; readonly bad: boolean; readonly rescue: readonly Op[] | null }
    | {
        readonly kind: "fan";
        readonly mode: Mode;
        readonly branches: readonly (readonly Op[])[];
        readonly guarded: boolean;
      };
  type Mode = "contest" | "all" | "allSettled" | "race";
  type Dice = (sides: number) => number;

  function makeOps(dice: Dice, depth: number): Op[] {
    return Array.from({ length: 1 + dice(3) }, (): Op => {
      const kind = dice(depth > 0 ? 7 : 4);
      if (kind === 0) return { kind: "sleep", ms: 1 + dice(800) };
      if (kind === 1) return { kind: "wait", ms: dice(4) === 0 ? 1_000_000 : 1 + dice(1500) };
      if (kind < 4) {
        const rescue = dice(2) === 0 ? null : depth > 0 && dice(3) === 0 ? makeOps(dice, depth - 1) : [];
        return { kind: "step", ms: [0, 0, 100, 700][dice(4)] ?? 0, bad: dice(3) === 0, rescue };
      }
      const mode = (["contest", "contest", "all", "allSettled", "race"] as const)[dice(5)] ?? "all";
      const branches = Array.from({ length: 2 + dice(2) }, () => makeOps(dice, depth - 1));
      return { kind: "fan", mode, branches, guarded: dice(2) === 0 };
    });
  }

  async function playAll(step: Step, ops: readonly Op[], path: string, bank: Bank, host: Host): Promise<void> {
    for (const [i, op] of ops.entries()) {
      const name = `${path}.${i}`;
      if (op.kind === "sleep") await step.sleep(name, op.ms);
      else if (op.kind === "wait") await step.waitFor(name, { timeout: op.ms });
      else if (op.kind === "step") {
        const { ms, bad, rescue } = op;
        const work = async (): Promise<unknown> => {
          await (host.dead ? new Promise(() => {}) : host.clock.after(ms));
          return bad ? bank.charge() : i;
        };
        const made = step.run(name, work);
        await (rescue === null ? made : made.catch(() => playAll(step, rescue, `${name}?`, bank, host)));
      } else {
        const begin = op.branches.map((branch, j) => () => playAll(step, branch, `${name}/${j}`, bank, host));
        const joined = join(step, op.mode, begin);
        await (op.guarded ? joined.catch(() => {}) : joined);
      }
    }
  }

  function join(step: Step, mode: Mode, begin: readonly (() => Promise<void>)[]): Promise<unknown> {
    if (mode === "contest") return step.race(Object.fromEntries(begin.entries()));
    const begun = begin.map((branch) => branch());
    if (mode === "race") return Promise.race(begun);
    return mode === "all" ? Promise.all(begun) : Promise.allSettled(begun);
  }

  /** Where its waits are, as their signals are called. */
  function waitsOf(ops: readonly Op[], path: string): string[] {
    return ops.flatMap((op, i) => {
      const name = `${path}.${i}`;
      if (op.kind === "wait") return [name];
      if (op.kind === "fan") return op.branches.flatMap((branch, j) => waitsOf(branch, `${name}/${j}`));
      return op.kind === "step" && op.rescue !== null ? waitsOf(op.rescue, `${name}?`) : [];
    });
  }

  type Signals = readonly { readonly at: number; readonly name: string }[];

  function hostOf(ops: readonly Op[], signals: Signals, bank: Bank, commits: readonly string[], at: number): Host {
    const flow: Handler = async (_input, step) => {
      await playAll(step, ops, "r", bank, host);
      if (!bank.open) throw new Error("for a reason of its own");
      await step.sleep("last", 10);
    };
    const host: Host = new Host(flow, { commits, at });
    for (const [i, { at: offset, name }] of signals.entries())
      host.plan(Math.max(at, startAt + offset), (run) => signal(run, name, i, `key ${i}`));
    return host;
  }

  /** Nothing is added; what seems removed was open before the retry, and shown to be waited for since. */
  function check(host: Host): void {
    const { entries } = host.journal;
    const retry = entries.findIndex(({ kind }) => kind === "run.retried");
    const before = new Set(entries.slice(0, retry).flatMap((entry) => ("call" in entry ? [entry.call] : [])));
    const removed = entries.flatMap((entry) => (entry.kind === "step.removed" ? [entry.step] : []));
    expect([host.status, host.entries("step.added"), removed.filter((call) => !before.has(call))]).toEqual([
      "completed",
      [],
      [],
    ]);
    expect(entries.at(-2)?.kind).not.toBe("step.removed");
  }

  async function playSeed(seed: number): Promise<void> {
    const random = createRandom(`retried ${seed}`);
    const dice: Dice = (sides) => Math.floor(random.next() * sides);
    const ops = makeOps(dice, 2);
    const names = waitsOf(ops, "r");
    const signals = names.slice(0, 4).map(() => ({ at: dice(3000), name: names[dice(names.length)] ?? "" }));
    const bank = new Bank();
    const whole = hostOf(ops, signals, bank, [], startAt);
    await whole.drive();
    expect([whole.status, marks(whole)]).toEqual(["failed", []]);
    bank.open = true;
    void act(whole.run, "retry");
    const from = whole.journal.commits.length;
    await whole.drive();
    check(whole);
    const { commits } = whole.journal;
    for (let keep = from; keep < commits.length; keep++) {
      const known = commits.slice(0, keep).flatMap((text) => JSON.parse(text) as Entry[]);
      const again = hostOf(ops, signals, bank, commits.slice(0, keep), known.at(-1)?.at ?? startAt);
      await again.drive();
      check(again);
    }
  }

  test(
    "nothing in the history says that the code has changed, however often the process dies",
    { timeout: 600_000 },
    async () => {
      const programs = Number(process.env["RETRIED_PROGRAMS"] ?? 300);
      const first = Number(process.env["RETRIED_SEED"] ?? 1);
      for (let seed = first; seed < first + programs; seed++) {
        await playSeed(seed).catch((cause: unknown) => {
          throw new Error(`seed ${seed} fails: RETRIED_SEED=${seed} RETRIED_PROGRAMS=1 tries it alone`, { cause });
        });
      }
    },
  );
});
