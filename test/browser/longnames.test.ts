/** Every page with names as long as they may be: nothing is pushed off the screen, on a big one or a small one. */
import { beforeAll, expect, test } from "vitest";
import { isTooWide, openStage, screens, stage } from "./stage.ts";

const longName = "Maximiliane".repeat(24).slice(0, 256);
const failing = `${longName.slice(1)}f`;
const run = "w".repeat(128);

openStage({}, "longnames.ts");
beforeAll(async () => {
  await stage.client.start(longName, run, { [longName]: longName });
  await stage.client.start(longName, "in-line", { [longName]: longName });
  await stage.client.start(failing, "failed", {});
  await stage.listed("waiting,failed", 3);
});

const pages = [
  "/",
  `/runs/${run}`,
  `/runs/${run}?step=run:${longName}`,
  `/runs/${longName.slice(0, 128)}`,
  "/runs/in-line",
  "/runs/failed",
  "/workflows",
  `/workflows/${longName}`,
  `/workflows/${failing}`,
  "/schedules",
  "/lanes",
  "/stats",
  `/stats?workflow=${failing}`,
];

test.each(screens)("fits, %s", { timeout: 120_000 }, async (screen) => {
  const page = await stage.visit("/", screen);
  const wide: string[] = [];
  for (const path of pages) {
    const answer = await page.goto(`${stage.origin}${path}`);
    expect(answer?.status()).toBe(200);
    if (await isTooWide(page)) wide.push(path.slice(0, 30));
  }
  expect(wide).toEqual([]);
});

test("no page complained of anything", () => {
  expect(stage.complaints).toEqual([]);
});
