/** The page of lanes in a real browser: who holds them, who waits at which place, and the limit. */
import { beforeAll, expect, test } from "vitest";
import { flaws, openStage, picture, screens, stage, until } from "./stage.ts";

const lane = "concurrency:send-mail";
type Lane = {
  readonly limit: number | null;
  readonly override: number | null;
  readonly used: number;
  readonly waiting: number;
};

openStage();
beforeAll(async () => {
  for (let number = 1; number <= 5; number++)
    await stage.client.start("send-mail", `mail-${number}`, { to: "ana", hold: true });
  await until(find, ({ used, waiting }) => used === 2 && waiting === 3);
});

function find(): Promise<Lane> {
  return stage.client.call({ method: "GET", path: `/v1/lanes/${encodeURIComponent(lane)}` });
}

test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
  const page = await stage.visit("/lanes", screen);
  expect(await flaws(page, { name: "lanes" })).toEqual([]);
});

test("says how full it is, who holds it and who waits, at which place", async () => {
  const page = await stage.visit("/lanes");
  const card = page.locator(`article[data-key="${lane}"]`);
  expect(await card.locator(".lane-figures").textContent()).toBe("In use2 of 2Waiting3");
  const [holders, queue] = await card.locator("ol").all();
  expect(await holders?.getByRole("link").allTextContents()).toEqual(["mail-1", "mail-2"]);
  expect(await queue?.locator("li").allTextContents()).toEqual([
    expect.stringMatching(/^1mail-3for/),
    expect.stringMatching(/^2mail-4for/),
    expect.stringMatching(/^3mail-5for/),
  ]);
  expect(await queue?.getByRole("link").first().getAttribute("href")).toBe("/runs/mail-3");
});

test("has an address of its own, and one that there is not is a page that says so", async () => {
  const page = await stage.visit("/lanes");
  await page.getByRole("link", { name: lane }).click();
  await page.waitForURL(/lane=/);
  expect(await page.locator("h1").textContent()).toBe(lane);
  await page.goto(`${stage.origin}/lanes?lane=nothing`);
  expect(await page.locator("h1").textContent()).toBe("Not Found");
  stage.complaints.splice(0);
});

test("a run that waits for its turn leads to the lane, and not to all of them", async () => {
  const page = await stage.visit("/runs/mail-5");
  await page.getByRole("link", { name: "Who holds it, who waits" }).click();
  await page.waitForURL(/lane=/);
  expect(await page.locator("h1").textContent()).toBe(lane);
});

test("a page that cannot be had anew says so, as what it shows is old, until it can", async () => {
  const page = await stage.visit("/lanes");
  await page.clock.install();
  await page.reload();
  const sign = page.locator("#live");
  expect(await sign.isVisible()).toBe(false);
  await page.route("**/lanes", (route) => route.abort());
  await page.clock.runFor(6_000);
  await sign.getByText("reconnecting").waitFor();
  await page.unroute("**/lanes");
  await page.clock.runFor(6_000);
  await sign.waitFor({ state: "hidden" });
  stage.complaints.splice(0);
});

test("a server that never answers one request does not keep the page from asking again", async () => {
  const page = await stage.visit("/lanes");
  await page.clock.install();
  await page.reload();
  // Neither let through nor refused.
  await page.route("**/lanes", () => {}, { times: 1 });
  const asked = page.waitForRequest("**/lanes");
  await page.clock.runFor(6_000);
  await asked;
  const answered = page.waitForResponse("**/lanes");
  await page.clock.runFor(31_000);
  await answered;
  stage.complaints.splice(0);
});

test("a limit is set by hand, counts at once, and is given back to the code", async () => {
  const page = await stage.visit("/lanes");
  const card = page.locator(`article[data-key="${lane}"]`);
  const open = async (): Promise<void> => {
    await card.getByRole("button", { name: "Set the limit" }).click();
    await page.getByLabel("Your name").fill("Ana");
    await page.getByLabel("Why").fill("a quiet day");
  };
  await open();
  await page.locator("#lane-limit").fill("4");
  await picture(page, "lanes-limit", false);
  await page.locator("dialog[open] [data-submit]").click();
  await card.getByText("limit set by hand").waitFor();
  expect(await find()).toMatchObject({ limit: 4, override: 4, setting: { by: "Ana", reason: "a quiet day" } });
  expect(await card.locator(".notice").textContent()).toMatch(/^The limit was set by Ana .*: a quiet day$/);
  await expect.poll(find).toMatchObject({ used: 4, waiting: 1 });
  await card.getByText("4 of 4").waitFor();
  await open();
  expect(await page.locator("#lane-limit").inputValue()).toBe("4");
  await page.locator("#lane-limit").fill("");
  await page.locator("dialog[open] [data-submit]").click();
  await card.getByText("limit set by hand").waitFor({ state: "detached" });
  expect(await find()).toMatchObject({ limit: 2, override: null });
  expect(await find()).not.toHaveProperty("setting");
});

test("no page complained of anything", () => {
  expect(stage.complaints).toEqual([]);
});
