import { expect, onTestFinished, test, vi } from "vitest";
import { gcm } from "../../src/core/cipher/aes.ts";
import { parseKeys, Vault } from "../../src/core/cipher/cipher.ts";
import { createRandom } from "../../src/core/random.ts";
import { checkChanges, checkPatches } from "./changed.ts";
import { checkDeaths, checkProgram } from "./crash.ts";
import { MemoryJournal } from "./memory.ts";
import { makeRenewedProgram } from "./renewed.ts";
import { makeReceivingProgram } from "./receivers.ts";
import { makeJudgedProgram, makeProgram, makeWideProgram } from "./program.ts";

/** How many programs are tried; CRASH_SEED says where to begin. */
const programs = Number(process.env["CRASH_PROGRAMS"] ?? 430);
const firstSeed = Number(process.env["CRASH_SEED"] ?? 1);

async function eachProgram(check: (seed: number) => Promise<unknown>): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + programs; seed++) {
    try {
      await check(seed);
    } catch (error) {
      throw new Error(`seed ${seed} fails: CRASH_SEED=${seed} CRASH_PROGRAMS=1 tries it alone`, { cause: error });
    }
  }
}

test(
  "guarantees 2, 3, 4, 8: a run survives a crash after every prefix of its journal",
  { timeout: 3_600_000 },
  async () => {
    let crashes = 0;
    await eachProgram(async (seed) => {
      crashes += await checkProgram(makeProgram(seed));
    });
    expect(crashes).toBeGreaterThan(programs);
  },
);

test("guarantees 2, 4, 5, 8: a run survives several deaths in a row", { timeout: 3_600_000 }, async () => {
  await eachProgram(async (seed) => {
    const random = createRandom(`deaths ${seed}`);
    await checkDeaths(makeProgram(seed), (limit) => Math.floor(random.next() * limit));
  });
});

test(
  "guarantees 2, 3, 4, 5, 8: so does one of requests, maps, webhooks and races",
  { timeout: 3_600_000 },
  async () => {
    await eachProgram(async (seed) => {
      const random = createRandom(`wide deaths ${seed}`);
      // At every fourth commit, for the time that it takes.
      await checkProgram(makeWideProgram(seed), 4);
      await checkDeaths(makeWideProgram(seed), (limit) => Math.floor(random.next() * limit));
    });
  },
);

test.each([
  ["a request outlasts its time while the run is paused over another step", 3000694],
  ["of two steps that fail beside each other, another is the first", 3012198],
  ["a courier gives a request up before its run does, which is paused", 3102854],
])("a program that once came to something else where its process died: %s", async (_what, seed) => {
  expect(await checkProgram(makeWideProgram(seed))).toBeGreaterThan(0);
});

test(
  "guarantees 3, 4, 5, 8: so does one whose signals are judged in their own time",
  { timeout: 3_600_000 },
  async () => {
    await eachProgram(async (seed) => {
      const random = createRandom(`judged deaths ${seed}`);
      await checkProgram(makeJudgedProgram(seed), 3);
      await checkDeaths(makeJudgedProgram(seed), (limit) => Math.floor(random.next() * limit));
    });
  },
);

test("guarantees 1, 2, 3, 4, 5, 8: so does one that goes on as new", { timeout: 3_600_000 }, async () => {
  await eachProgram(renewedDeaths);
});

test("a program that once bailed or went on as new, as long as its input was looked at", async () => {
  await renewedDeaths(5001165);
});

async function renewedDeaths(seed: number): Promise<void> {
  const random = createRandom(`renewed deaths ${seed}`);
  await checkProgram(makeRenewedProgram(seed), 4);
  await checkDeaths(makeRenewedProgram(seed), (limit) => Math.floor(random.next() * limit));
}

test("guarantees 1 to 5 and 8: so does one that takes calls and hears signals", { timeout: 3_600_000 }, async () => {
  // What a webhook's author throws is told there.
  const told = vi.spyOn(console, "error").mockReturnValue();
  onTestFinished(() => told.mockRestore());
  await eachProgram(async (seed) => {
    const random = createRandom(`receiving deaths ${seed}`);
    await checkProgram(makeReceivingProgram(seed), 4);
    await checkDeaths(makeReceivingProgram(seed), (limit) => Math.floor(random.next() * limit));
  });
});

test("guarantees 2, 5, 7, 8: so does one whose code is changed, and changed back", { timeout: 3_600_000 }, async () => {
  await eachProgram(async (seed) => {
    const random = createRandom(`changes ${seed}`);
    await checkChanges(makeProgram(seed), (limit) => Math.floor(random.next() * limit));
    await checkChanges(makeWideProgram(seed), (limit) => Math.floor(random.next() * limit));
  });
});

test("guarantees 2, 3, 7: so does one whose every change is behind `patched`", { timeout: 3_600_000 }, async () => {
  await eachProgram(patches);
});

test.each([
  ["that once took the other side of a patch as it was retried", 7001136],
  ["of which another branch went on as it was asked ahead of a patch", 3200913],
])("a program %s", async (_what, seed) => {
  await patches(seed);
});

async function patches(seed: number): Promise<void> {
  const random = createRandom(`patches ${seed}`);
  await checkPatches(makeProgram(seed), (limit) => Math.floor(random.next() * limit));
  await checkPatches(makeWideProgram(seed), (limit) => Math.floor(random.next() * limit));
}

test("guarantees 2, 3, 4, 8: so does one whose journal is sealed", { timeout: 3_600_000 }, async () => {
  const ring = parseKeys(`k1:${btoa(String.fromCharCode(...new Uint8Array(32).fill(3)))}`);
  const { vault } = MemoryJournal;
  MemoryJournal.vault = new Vault(
    "it",
    () => ring,
    (length) => crypto.getRandomValues(new Uint8Array(length)),
    () => gcm,
  );
  try {
    // Sealing costs more than all the rest: a few programs show that it makes no difference.
    const share = Math.ceil(programs / 100);
    for (let seed = firstSeed; seed < firstSeed + share; seed++) await checkProgram(makeProgram(seed));
  } finally {
    MemoryJournal.vault = vault;
  }
});
