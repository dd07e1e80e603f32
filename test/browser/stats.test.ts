/** The page of statistics in a real browser: figures, pictures, their table, and the window in the address. */
import { beforeAll, expect, test } from "vitest";
import { flaws, openStage, screens, stage } from "./stage.ts";

openStage();
beforeAll(async () => {
  for (let number = 0; number < 8; number++) {
    await stage.client.start("send-mail", `mail-${number}`, {
      to: "ana",
      fails: number % 4 === 0,
      bounces: number % 2,
      hold: false,
    });
  }
  for (let number = 0; number < 3; number++) await stage.client.start("greet", `greet-${number}`, { name: "Ana" });
  await stage.listed("completed,failed", 11);
});

test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
  const page = await stage.visit("/stats?window=1h", screen);
  await page.locator(".chart-table summary").click();
  expect(await flaws(page, { name: "stats" })).toEqual([]);
});

test.each(["1h", "24h", "7d", "90d"])("on a phone no label leaves its card, in a window of %s", async (window) => {
  const page = await stage.visit(`/stats?window=${window}`, "phone");
  // Which instants have one depends on what time it is.
  const beyond = await page.evaluate<number>(
    `Math.max(...[...document.querySelectorAll(".plot-hours > span")].map((place) => {
      place.innerHTML = "<time>22:00</time>";
      const time = place.firstElementChild;
      if (!time.checkVisibility({ visibilityProperty: true })) return -1;
      return time.getBoundingClientRect().right - place.closest(".card").getBoundingClientRect().right;
    }))`,
  );
  expect(beyond).toBeLessThan(0);
});

test("on a phone the longest figures stay in their tile", async () => {
  const page = await stage.visit("/stats?window=1h", "phone");
  const beyond = await page.evaluate<number>(
    `(() => {
      const text = document.querySelector(".tile .ratio > span");
      text.textContent = "1,234,567 of 1,345,678";
      return text.getBoundingClientRect().right - text.closest(".tile").getBoundingClientRect().right;
    })()`,
  );
  expect(beyond).toBeLessThan(0);
});

test("the figures, the picture and its table say the same", async () => {
  const page = await stage.visit("/stats?window=1h");
  expect(await page.locator(".tile").first().textContent()).toBe("Runs110 not ended yet");
  expect(await page.locator(".tile").nth(1).textContent()).toBe("Success rate81.8 %9 of 11");
  const texts = await page.evaluate<string[]>(
    `[...document.querySelector(".chart").querySelectorAll("[data-text]")].map((each) => each.dataset.text)`,
  );
  const sums = texts.map((text) => text.match(/\d+/g)?.map(Number) ?? []);
  expect([0, 1].map((index) => sums.reduce((sum, counts) => sum + (counts[index] ?? 0), 0))).toEqual([9, 2]);
  await page.locator(".chart-table summary").click();
  const columns = await page.evaluate<string[][]>(
    `[...document.querySelectorAll(".chart-table tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent))`,
  );
  expect([1, 2].map((index) => columns.reduce((sum, row) => sum + Number(row[index]), 0))).toEqual([9, 2]);
});

test("a slice says what it is, and leads to its runs", async () => {
  const page = await stage.visit("/stats?window=1h");
  const filled = page.locator('.chart:first-of-type [data-text]:not([data-text^="0 completed, 0 failed"])').first();
  await filled.locator(".slice-area").hover();
  expect(await page.locator("[data-read]").first().textContent()).toMatch(/: \d+ completed, \d+ failed/);
  await filled.locator(".slice-area").click();
  await page.waitForURL(/createdAfter=.*createdBefore=/);
  expect(await page.locator("tr[data-key^=run-]").count()).toBeGreaterThan(0);
});

test("the steps that fail most come first, with their rate", async () => {
  const page = await stage.visit("/stats");
  const row = page.locator("tr", { has: page.locator("code", { hasText: "deliver" }) });
  expect(await row.textContent()).toMatch(/^deliversend-mail25 %26/);
});

test("the workflow is chosen without a button, and stands in the address with the window", async () => {
  const page = await stage.visit("/stats?window=6h");
  await page.locator("#workflow").selectOption("greet");
  await page.waitForURL(/window=6h&workflow=greet/);
  expect(await page.locator(".tile").first().textContent()).toBe("Runs30 not ended yet");
  expect(await page.locator("#by-workflow").count()).toBe(0);
  await page.getByRole("link", { name: "30 d" }).click();
  await page.waitForURL(/workflow=greet&window=30d/);
});

test("a window that there is not is a page that says which there are", async () => {
  const page = await stage.visit("/stats?window=9y");
  expect(await page.locator("main").textContent()).toMatch(
    /The parameter window must be one of 1h, 6h, 24h, 7d, 30d, 90d/,
  );
  stage.complaints.splice(0);
});

test("no page complained of anything", () => {
  expect(stage.complaints).toEqual([]);
});
