/** Runs with very much in them: their pages stay light however long they are, and every part can be reached. */
import type { Page } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { flaws, isTooWide, openStage, picture, screens, stage, until } from "./stage.ts";

const steps = 10_000;
const children = 1000;
/** With its head, its foot and its dialogs a page of a short run has some 600 elements. */
const light = 15_000;

openStage();
beforeAll(async () => {
  // They begin once their starts are answered: ten thousand steps leave little time for anything else.
  const start = (workflow: string, id: string, input: unknown) =>
    stage.client.call({ method: "POST", path: `/v1/workflows/${workflow}/runs`, body: { id, input, delay: 500 } });
  const ended = (id: string) =>
    until(
      () => stage.client.call<{ status: string }>({ method: "GET", path: `/v1/runs/${id}` }).catch(() => null),
      (run) => run?.status === "completed",
      600_000,
    );
  await start("seen-long", "long", { steps });
  await ended("long");
  await start("seen-map", "map", { items: 1000, broken: 776 });
  await start("seen-family", "family", { children });
  await ended("family");
}, 1_500_000);

async function elements(page: Page): Promise<number> {
  return await page.evaluate<number>("document.querySelectorAll('*').length");
}

/** Scrolls as a reader does who is in a hurry, and answers the most elements there ever were. */
async function scrollThrough(page: Page, stops: number): Promise<number> {
  let most = 0;
  for (let stop = 0; stop <= stops; stop++) {
    await page.evaluate(`scrollTo(0, document.documentElement.scrollHeight * ${stop / stops})`);
    await page.waitForTimeout(60);
    most = Math.max(most, await elements(page));
  }
  return most;
}

test("10,000 steps: the page is light at every place of it, and its last rows come", async () => {
  const page = await stage.visit("/runs/long");
  // One of them is the delayed start.
  expect(await page.locator("#timeline .card-head .faint").innerText()).toContain(`${steps + 1} bars`);
  await page.locator("details.calls > summary").click();
  const height = await page.evaluate<number>("document.documentElement.scrollHeight");
  expect(await scrollThrough(page, 40)).toBeLessThan(light);
  const last = page.locator(".entry", { hasText: "run.completed" });
  await last.waitFor();
  expect(await last.innerText()).toContain(String(steps + 3));
  // Places that are empty are as high as what fills them: nothing has moved.
  const after = await page.evaluate<number>("document.documentElement.scrollHeight");
  expect(Math.abs(after - height)).toBeLessThan(50);
  expect(await isTooWide(page)).toBe(false);
  await picture(page, "run-long-end-light", false);
  await page.locator("details.calls > .block").nth(99).scrollIntoViewIfNeeded();
  await page.locator(`.bar-row[data-step="run:tick#${steps}"]`).waitFor();
  expect(await elements(page)).toBeLessThan(light);
});

test("a deep link leads to step 7,777, which is drawn where it belongs", async () => {
  const page = await stage.visit(`/runs/long?step=${encodeURIComponent("tick#7777")}`);
  expect(await page.locator("#panel-title").innerText()).toBe("tick#7777");
  const row = page.locator('.bar-row[data-step="run:tick#7777"]');
  await row.waitFor();
  await until(
    () =>
      page.evaluate<number>("document.querySelector('.bar-row[aria-current=true]')?.getBoundingClientRect().top ?? -1"),
    (top) => top > 0 && top < 800,
  );
  expect(await elements(page)).toBeLessThan(light);
  await picture(page, "run-long-step-light", false);
});

test("a map of 1,000 is one row that tells how its items do, and shows the one that failed", async () => {
  for (const screen of screens) {
    const page = await stage.visit("/runs/map", screen);
    const group = page.locator("details.calls");
    expect(await group.locator("summary").innerText()).toContain("resize");
    expect(await group.locator("summary text").innerHTML()).toBe("1 failed · 999 done");
    expect(await page.locator(".bar-row[data-step]:visible").count()).toBe(2);
    expect(await page.locator('.bar-row[data-step="run:resize#777"]').isVisible()).toBe(true);
    await group.scrollIntoViewIfNeeded();
    expect(await flaws(page, { name: "run-map", colours: ["light"], fullPage: false })).toEqual([]);
    await group.locator("summary").focus();
    await page.keyboard.press("Enter");
    await group.locator('.bar-row[data-step="run:resize#2"]').waitFor();
    await page.keyboard.press("j");
    expect(await page.evaluate("document.activeElement.dataset.step")).toBe("run:resize");
  }
});

test("1,000 children: each is listed with what it is now", async () => {
  const page = await stage.visit("/runs/family");
  expect(await page.locator("#family .card-head .faint").innerText()).toBe(`${children} children`);
  await page.locator("#family").scrollIntoViewIfNeeded();
  await page.locator(".child").nth(20).waitFor();
  await page.locator("#children-39").scrollIntoViewIfNeeded();
  await expect.poll(() => page.locator("#children-39 .child").count()).toBe(25);
  expect(await page.locator("#children-39").innerText()).toContain("family.c999");
  expect(await page.locator("#children-39 .status").first().innerText()).toMatch(/completed|running|waiting/);
  expect(await elements(page)).toBeLessThan(light);
  await picture(page, "run-family-light", false);
  await page.getByRole("link", { name: "In the list" }).click();
  await page.waitForURL("**/?idPrefix=family.");
  expect(await page.locator(".chip").first().innerText()).toMatch(/^all\s+1,000$/);
});
