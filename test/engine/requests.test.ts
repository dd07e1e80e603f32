import { expect, test } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import { checkDeaths, checkRequestProgram, makeRequestProgram } from "./requests.ts";
import type { RequestProgram } from "./requests.ts";

/** How many handlers are tried; CRASH_SEED says where to begin. */
const programs = Number(process.env["CRASH_PROGRAMS"] ?? 60);
const firstSeed = Number(process.env["CRASH_SEED"] ?? 1);

async function each(check: (program: RequestProgram) => Promise<unknown>): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + programs; seed++) {
    try {
      await check(makeRequestProgram(seed));
    } catch (error) {
      throw new Error(`seed ${seed} fails: CRASH_SEED=${seed} CRASH_PROGRAMS=1 tries it alone`, { cause: error });
    }
  }
}

test("guarantees 2, 3, 4, 5: updates and listeners survive a crash after every prefix of the journal", async () => {
  let crashes = 0;
  await each(async (program) => {
    crashes += await checkRequestProgram(program);
  });
  expect(crashes).toBeGreaterThan(programs);
});

test("guarantees 2, 4, 5: updates and listeners survive several deaths in a row", async () => {
  await each(async (program) => {
    const random = createRandom(`deaths ${program.seed}`);
    await checkDeaths(program, (limit) => Math.floor(random.next() * limit));
  });
});
