/** Pages of runs that are awkward to draw: on small screens, with long words, with very short and very long spans. */
import type { Page, Route } from "playwright-core";
import { describe, expect, test } from "vitest";
import { flaws, isTooWide, openStage, screens, stage } from "./stage.ts";

openStage();

async function start(workflow: string, id: string, input: unknown = {}, labels = {}): Promise<void> {
  await stage.client.call({ method: "POST", path: `/v1/workflows/${workflow}/runs`, body: { id, input, labels } });
}

type Box = { readonly left: number; readonly right: number };

async function boxOf(page: Page, selector: string): Promise<Box> {
  return await page.evaluate<Box>(
    `(({ left, right }) => ({ left, right }))(document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect())`,
  );
}

describe("on a small screen", () => {
  test("the menu of actions opens where it can be read and touched", async () => {
    const id = "01KAPZ7M3D6M9XH7E8Q2V4T5RW";
    await start("seen-calm", id);
    const page = await stage.visit(`/runs/${id}`, "phone");
    for (const width of [360, 430, 720, 900]) {
      await page.setViewportSize({ width, height: 740 });
      await page.locator("[data-actions] > summary").click();
      const { left, right } = await boxOf(page, "[data-actions] > div");
      expect(left).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(width);
      await page.locator("[data-actions] > summary").click();
    }
  });

  test("firings of a schedule are told apart in the list", async () => {
    const id = "nightly-report-of-the-shop:20261123T030000Z";
    await start("seen-calm", id);
    const page = await stage.visit(`/?idPrefix=${id}`, "phone");
    const hidden = await page
      .locator(".run-id")
      .evaluate((link) => [link.scrollWidth - link.clientWidth, link.scrollHeight - link.clientHeight]);
    expect(hidden).toEqual([0, 0]);
    expect(await isTooWide(page)).toBe(false);
  });

  test("long labels are told whole, and push nothing off the screen", async () => {
    const labels = {
      customer: "maximiliane.oberhuber-weissenbacher@accounts.example.com",
      page: "https://example.com/orders/2026/11/22/3f9c2ab81d7e4405b1ce",
      note: "x".repeat(210),
    };
    await start("seen-calm", `calm-${"9".repeat(100)}`, {}, labels);
    for (const screen of screens) {
      const page = await stage.visit(`/runs/calm-${"9".repeat(100)}`, screen);
      expect(await flaws(page, { name: "run-labels", colours: ["light"] })).toEqual([]);
      const right = (await boxOf(page, '[data-key="label-note"]')).right;
      expect(right).toBeLessThanOrEqual(page.viewportSize()?.width ?? 0);
      expect(await page.locator('[data-key="label-note"]').evaluate((tag) => tag.scrollWidth - tag.clientWidth)).toBe(
        0,
      );
      expect(await isTooWide(page)).toBe(false);
    }
  });
});

test("of many labels some are folded, so that what the run is doing is on the first screen", async () => {
  const labels = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`key-${index}`, "v".repeat(40)]));
  await start("seen-calm", "labelled", {}, labels);
  const page = await stage.visit("/runs/labelled");
  expect((await page.locator("#now-sentence").boundingBox())?.y).toBeLessThan(400);
  await page.getByText("20 more labels").click();
  expect(await page.locator('[data-key="label-key-29"]').isVisible()).toBe(true);
});

test("a link leads to the newest entries of a long history", async () => {
  await start("seen-long", "entries", { steps: 400 });
  await stage.client.end("entries");
  const page = await stage.visit("/runs/entries");
  await page.getByRole("link", { name: "To the newest" }).click();
  await page.locator(".entry", { hasText: "run.completed" }).waitFor();
  await expect
    .poll(() => page.evaluate<number>("document.querySelector('#newest').getBoundingClientRect().top - innerHeight"))
    .toBeLessThan(1);
});

describe("the timeline", () => {
  test("tells beside the bar of a step what it failed of", async () => {
    await start("seen-map", "some", { items: 30, broken: 3 });
    await stage.client.end("some");
    const page = await stage.visit("/runs/some");
    expect(await page.locator('.bar-row[data-step="run:resize#4"] .bar-name').innerText()).toContain(
      "a broken picture",
    );
  });

  test("of a run that waits shows the wait, and marks what is folded as cut", async () => {
    await start("seen-patient", "retrying");
    await stage.client.call({ method: "GET", path: "/v1/runs/retrying?wait=2s" });
    const page = await stage.visit("/runs/retrying");
    const row = page.locator('.bar-row[data-step="run:call-bank"]');
    const [track = 0, attempt = 0] = await Promise.all(
      [".bar-track", ".try"].map(async (part) => (await row.locator(part).boundingBox())?.width ?? 0),
    );
    expect(attempt).toBeLessThan(track / 2);
    expect(await row.locator(".break").count()).toBe(1);
    const card = page.locator(".wait", { hasText: "call-bank" });
    expect(await card.innerText()).toContain("attempt 2 of 6: 503 from the bank");
    expect(await flaws(page, { name: "run-parked", colours: ["light", "dark"] })).toEqual([]);
  });
});

test("a run without input says so", async () => {
  await stage.client.call({ method: "POST", path: "/v1/workflows/seen-calm/runs", body: { id: "empty" } });
  const page = await stage.visit("/runs/empty");
  expect(await page.locator("section", { has: page.locator("#input-title") }).innerText()).toMatch(/None\.$/);
});

describe("times", () => {
  test("are told in the reader's zone, to the millisecond where many things happen in a second", async () => {
    await start("seen-calm", "napping");
    const run = await stage.client.call<{ waitingFor: readonly { readonly until: string }[] }>({
      method: "GET",
      path: "/v1/runs/napping?wait=1s",
    });
    const until = new Date(run.waitingFor[0]?.until ?? "");
    const zone = { timeZone: "Europe/Berlin" } as const;
    const hour = new Intl.DateTimeFormat("en-GB", { ...zone, timeStyle: "short" }).format(until);
    for (const screen of screens) {
      const page = await stage.visit("/runs/napping", screen);
      expect(await page.locator("#now-sentence").innerText()).toMatch(new RegExp(`until .*, ${hour}$`));
      await page.locator("#history").scrollIntoViewIfNeeded();
      const time = page.locator(".entry time").first();
      await time.waitFor();
      expect(await time.innerText()).toMatch(/^\d+ \w+, \d\d:\d\d:\d\d\.\d{3}$/);
      expect(await time.getAttribute("title")).toMatch(/^\d+ \w+ 20\d\d, \d\d:\d\d:\d\d\.\d{3} CES?T$/);
      expect(await page.locator(".entry-text", { hasText: "sleeps (nap)" }).innerText()).toMatch(/until .* UTC$/);
    }
  });
});

test("the page of a run that is deleted meanwhile says that there is none", async () => {
  await start("seen-calm", "removed");
  const page = await stage.visit("/runs/removed");
  await page.locator("#live[data-state=live]").waitFor();
  await stage.client.call({ method: "POST", path: "/v1/runs/removed/terminate", body: {} });
  await stage.client.text({ method: "DELETE", path: "/v1/runs/removed" });
  await page.getByText("run_not_found").waitFor();
  stage.complaints.splice(0);
});

describe("a bad connection", () => {
  test("a step that is opened while the page is fetched for another reason has its panel, and the focus", async () => {
    await start("seen-calm", "slow");
    const page = await stage.visit("/runs/slow");
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    // The page without the panel comes late, after the row was opened.
    await page.route("**/runs/slow", async (route) => {
      await held;
      await route.continue();
    });
    const asked = page.waitForRequest("**/runs/slow");
    await stage.client.call({ method: "POST", path: "/v1/runs/slow/signals/hello", body: {} });
    await asked;
    await page.locator(".bar-row").first().click();
    await page.locator("main[aria-busy=true]").waitFor();
    release();
    await page.locator("#panel-title:focus").waitFor();
    expect(await page.locator("main[aria-busy]").count()).toBe(0);
  });

  test("an action that takes long is seen to be under way", async () => {
    await start("seen-calm", "tardy");
    const page = await stage.visit("/runs/tardy");
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await page.route("**/v1/runs/tardy/pause", async (route) => {
      await held;
      await route.continue();
    });
    await page.locator("[data-actions] > summary").click();
    await page.locator("[data-actions]").getByRole("button", { name: "Pause" }).click();
    await page.locator("#pause-actor").fill("Ana");
    await page.locator("#pause-reason").fill("to look at it");
    await page.locator("#pause [data-submit]").click();
    await page.locator("#pause form[aria-busy=true]").waitFor();
    release();
    await page.getByText("Paused.", { exact: true }).waitFor();
    expect(await page.locator("form[aria-busy]").count()).toBe(0);
  });

  test("a run that can no longer be read is asked for ever less often, as each time wakes its object", async () => {
    await start("seen-calm", "damaged");
    const page = await stage.visit("/runs/damaged");
    await page.clock.install();
    const asked = { page: [] as number[], stream: [] as number[] };
    let [now, open] = [0, 0];
    const count = (kind: keyof typeof asked, answer: (route: Route) => Promise<void>) => async (route: Route) => {
      asked[kind].push(now);
      open++;
      await answer(route);
      open--;
    };
    const refuse = (kind: keyof typeof asked) => count(kind, (route) => route.fulfill({ status: 503 }));
    const pass = async (seconds: number): Promise<void> => {
      for (const end = now + seconds; now < end; now += 5) {
        await page.clock.runFor(5000);
        await expect.poll(() => open).toBe(0);
        await page.evaluate("new Promise((resolve) => queueMicrotask(resolve))");
      }
    };
    await page.route("**/v1/runs/damaged/events?*", refuse("stream"));
    await page.reload();
    await page.route("**/runs/damaged", refuse("page"));
    await pass(1800);
    const gaps = asked.page.map((at, index) => at - (asked.page[index - 1] ?? 0));
    expect(gaps.length).toBeLessThan(40);
    expect(gaps.slice(0, 3).every((gap) => gap <= 60)).toBe(true);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(60);
    expect(asked.stream.length).toBeLessThan(40);
    // A feed that alone is refused is asked for with the page, and not besides.
    await page.route(
      "**/runs/damaged",
      count("page", (route) => route.continue()),
    );
    await pass(300);
    const before = { page: asked.page.length, stream: asked.stream.length };
    await pass(900);
    expect(asked.page.length - before.page).toBeGreaterThan(30);
    expect(asked.stream.length - before.stream).toBeLessThanOrEqual(asked.page.length - before.page + 1);
    // Once it can be had again, it is all as before.
    await page.unroute("**/runs/damaged");
    await page.unroute("**/v1/runs/damaged/events?*");
    await page.clock.runFor(70_000);
    await page.locator("#live[data-state=live]").waitFor();
    stage.complaints.splice(0);
  });

  test("what cannot be had is said, the panel closes all the same, and the sign at the top says since when", async () => {
    await start("seen-calm", "lost");
    const page = await stage.visit("/runs/lost?step=nap");
    await page.locator("#live[data-state=live]").waitFor();
    await page.context().setOffline(true);
    await page.keyboard.press("Escape");
    expect(await page.locator("#panel").count()).toBe(0);
    await page.getByText("Holdfast could not be reached. The page shows what it last said.").waitFor();
    expect(await page.locator("main[aria-busy]").count()).toBe(0);
    await stage.runtime.kill();
    await page.locator("#live", { hasText: /^reconnecting since \d\d:\d\d$/ }).waitFor();
    await page.context().setOffline(false);
    await stage.runtime.start();
    await page.locator("#live[data-state=live]").waitFor();
    stage.complaints.splice(0);
  });
});
