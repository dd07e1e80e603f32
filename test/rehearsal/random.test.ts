/** Random workflows, asked at random: whichever commit the process dies after, a rehearsal comes to the same. */
import { NonRetryableError, defineWorkflow } from "holdfast";
import type { Step, Workflow } from "holdfast";
import { rehearse } from "holdfast/testing";
import type { Rehearsal } from "holdfast/testing";
import { expect, test } from "vitest";
import { createRandom } from "../../src/core/random.ts";

const count = Number(process.env["REHEARSALS"] ?? 25);
const firstSeed = Number(process.env["REHEARSAL_SEED"] ?? 1);
const spans = ["1 s", "1 h", "1 day", "26 h"] as const;

type Next = (limit: number) => number;

const child = defineWorkflow("child", {
  handler: async (n: number, step) => {
    await step.run("part", ({ attempt }) => (attempt < n ? Promise.reject(new Error("not yet")) : n), {
      undo: () => {},
    });
    if (n === 2) await step.sleep("1 h");
    if (n === 3) throw new NonRetryableError("never");
    return n;
  },
});

/** What one node of the program does; `next` draws the same in every replay, as the program is drawn anew. */
async function play(step: Step, next: Next, depth: number): Promise<unknown> {
  switch (next(depth > 2 ? 7 : 11)) {
    case 0: {
      const [fails, undo] = [next(3), next(2) === 0 ? { undo: () => {} } : {}];
      const fn = ({ attempt }: { attempt: number }) => (attempt <= fails ? Promise.reject(new Error("503")) : "ok");
      return await step.run("flaky", fn, { retry: { limit: 2, delay: "10 m" }, ...undo });
    }
    case 1:
      return await step.run("quick", () => "quick");
    case 2:
      return await step.sleep(spans[next(spans.length)] ?? 0);
    case 3:
      return (await step.waitFor("go", { timeout: spans[next(spans.length)] ?? 0 })) ?? "late";
    case 4:
      return await step.run("broken", () => Promise.reject(new NonRetryableError("no"))).catch(() => "caught");
    case 5:
      return (await step.fetch("ask", "https://api.example.com/")).body;
    case 6:
      return [step.uuid(), step.now(), step.patched(`change ${next(3)}`)];
    case 7:
      return await step.invoke(child, 1 + next(3)).catch((error: { code: string }) => error.code);
    case 8:
      return await Promise.all(Array.from({ length: 2 + next(2) }, () => play(step, next, depth + 1)));
    case 9: {
      // Of two that are at work at the same time a death may let the other one win.
      const [early, late] = [spans[next(spans.length)] ?? 0, spans[next(spans.length)] ?? 0];
      const won = await step.race({ a: () => step.sleep(early), b: () => step.waitFor("go", { timeout: late }) });
      return [won.key, won.value];
    }
    default:
      return await step.map("each", [1, 2, 3], (item) => item * 2, { concurrency: 2 });
  }
}

function program(seed: number): Workflow<undefined, unknown> {
  return defineWorkflow("program", {
    handler: async (_input: undefined, step) => {
      const results: unknown[] = [];
      step.query("results", () => results);
      step.update("note", null, async (text: string) => results.push(await step.run("noted", () => text)));
      // Drawn in the order of the program, not in that of what happens.
      for (let at = 0; at < 4; at++) {
        const random = createRandom(`${seed} ${at}`);
        results.push(await play(step, (limit) => Math.floor(random.next() * limit), 0));
      }
      return results;
    },
  });
}

async function ask(run: Rehearsal, next: Next): Promise<void> {
  switch (next(7)) {
    case 0:
      return await run.signal("go", { n: next(100) });
    case 1:
      return void (await run.update("note", `${next(100)}`));
    case 2:
    case 3:
      await run.pause();
      await run.skip(spans[next(spans.length)] ?? 0);
      return await run.resume();
    case 4:
      return await (next(6) === 0 ? run.cancel() : run.crash());
    default:
      return await run.skip(spans[next(spans.length)] ?? 0);
  }
}

test.each(Array.from({ length: count }, (_unused, at) => firstSeed + at))("program %i", async (seed) => {
  const random = createRandom(`asked ${seed}`);
  const next = (limit: number) => Math.floor(random.next() * limit);
  const run = await rehearse(program(seed), undefined, { steps: { ask: () => ({ body: "told" }) }, lenient: true });
  for (let asked = 0; asked < 5; asked++) {
    await ask(run, next).catch((error: { code?: string }) => {
      if (error.code !== "run_ended" && error.code !== "run_paused") throw error;
    });
  }
  await run.end();
  const { deaths } = await run.crashEverywhere();
  expect(deaths).toBeGreaterThan(1);
});
