/** The pages of workflows in a real browser: how each does, what it takes, and starting it by a form of its schema. */
import type { Locator, Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { accessibility, flaws, openStage, picture, screens, stage } from "./stage.ts";
import type { Screen } from "./stage.ts";

openStage();
beforeAll(async () => {
  for (let number = 0; number < 6; number++) {
    const input = { to: "ana", fails: number % 3 === 0, bounces: 1, hold: number === 5 };
    await stage.client.start("send-mail", `mail-${number}`, input);
  }
  await stage.listed("completed,failed,waiting", 6);
});

describe("the list", () => {
  test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
    const page = await stage.visit("/workflows", screen);
    expect(await flaws(page, { name: "workflows" })).toEqual([]);
  });

  test("says of each how many runs there are, how many succeed, and leads to it", async () => {
    const page = await stage.visit("/workflows");
    const row = page.locator('tr[data-key="send-mail"]');
    expect(await row.locator(".count").allTextContents()).toEqual(["1 waiting", "3 completed", "2 failed"]);
    expect(await row.textContent()).toContain("60 %");
    expect(await row.locator(".spark").getAttribute("aria-label")).toBe(
      "6 runs in the last 24 hours, 2 of them failed",
    );
    await row.getByRole("link", { name: "send-mail" }).click();
    await page.waitForURL(/\/workflows\/send-mail/);
  });

  test("has its window in the address", async () => {
    const page = await stage.visit("/workflows");
    await page.getByRole("link", { name: "7 d" }).click();
    await page.waitForURL(/window=7d/);
    expect(await page.getByRole("link", { name: "7 d" }).getAttribute("aria-current")).toBe("true");
  });
});

describe("a workflow", () => {
  test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
    const page = await stage.visit("/workflows/place-order", screen);
    await page.locator(".schema-json summary").first().click();
    expect(await flaws(page, { name: "workflow" })).toEqual([]);
  });

  test("shows its figures, the steps that fail, its recent runs and what it takes", async () => {
    const page = await stage.visit("/workflows/send-mail");
    expect(await page.locator(".tile").allTextContents()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^Runs6/), expect.stringMatching(/^Success rate60 %3 of 5/)]),
    );
    expect(await page.locator("tr", { hasText: "deliver" }).textContent()).toMatch(/^deliver33.3 %248/);
    expect(await page.locator(".lines", { hasText: "mail-5" }).getByRole("link").count()).toBe(6);
    expect(await page.locator("#schema-input").textContent()).toContain("true or false");
  });

  test("one that there is not is a page that says so", async () => {
    const page = await stage.visit("/workflows/nothing");
    expect(await page.locator("h1").textContent()).toBe("Not Found");
    stage.complaints.splice(0);
  });
});

async function open(screen: Screen = "desk"): Promise<Page> {
  const page = await stage.visit("/workflows/place-order", screen);
  await page.getByRole("button", { name: "Start a run" }).click();
  await page.locator("dialog#start[open]").waitFor();
  return page;
}

function part(around: Page | Locator, name: string): Locator {
  return around.locator(`#start-input [data-name="${name}"]`);
}

/** Only what is needed. */
async function fillIn(page: Page): Promise<void> {
  await part(page, "customer").locator("input").fill("ana@example.com");
  await part(page, "total").locator("input").fill("12.5");
  await page.getByText("phone", { exact: true }).click();
  await part(page, "sku").locator("input").fill("AB-12");
  await part(page, "items").locator('[data-name="count"] input').fill("2");
  await part(page, "last4").locator("input").fill("4242");
  await page.getByLabel("Your name").fill("Ana");
}

const needed = {
  customer: "ana@example.com",
  total: 12.5,
  count: 1,
  express: false,
  channel: "phone",
  items: [{ sku: "AB-12", count: 2 }],
  payment: { kind: "card", last4: "4242" },
};

/** Starts the run and waits for its page. @returns its id */
async function start(page: Page): Promise<string> {
  await page.locator("#start").getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL(/\/runs\//);
  return decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? "");
}

async function inputOf(id: string): Promise<unknown> {
  return (await stage.client.call<{ input: unknown }>({ method: "GET", path: `/v1/runs/${id}` })).input;
}

describe("the form that starts a run", () => {
  test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
    const page = await open(screen);
    expect(await flaws(page, { name: "workflow-start", fullPage: false })).toEqual([]);
  });

  test("sends what was entered, each kind of value as itself, and goes to the run", async () => {
    const page = await open();
    await fillIn(page);
    const id = await start(page);
    expect(await inputOf(id)).toEqual(needed);
    const [created] = await stage.client.history(id);
    expect(created).toMatchObject({ kind: "run.created", by: "Ana" });
  });

  test("what is optional is left out unless it is given; lists and names grow and shrink", async () => {
    const page = await open();
    await fillIn(page);
    const items = part(page, "items");
    await items.getByRole("button", { name: "Add to items" }).click();
    await items.getByRole("button", { name: "Add to items" }).click();
    expect(await items.locator("[data-line] > fieldset > legend").allTextContents()).toEqual([
      "Item 1",
      "Item 2",
      "Item 3",
    ]);
    await items.getByRole("button", { name: "Remove item 2" }).click();
    await part(page, "sku").nth(1).locator("input").fill("CD-3");
    await items.locator('[data-name="count"] input').nth(1).fill("3");
    await part(page, "tags").locator("select").selectOption("given");
    await part(page, "tags").getByRole("button", { name: "Add an entry" }).click();
    await part(page, "tags").getByLabel("Name").fill("gift");
    await part(page, "tags").getByLabel("Value").fill("yes");
    await part(page, "shipTo").locator("select[data-given]").selectOption("given");
    await part(page, "street").locator("input").fill("Damrak 1");
    await part(page, "country").locator("select").selectOption({ label: "NL" });
    await part(page, "coupon").locator("select").selectOption("null");
    await part(page, "payment").locator("select[data-variant]").selectOption({ label: "invoice" });
    await part(page, "days").locator("input").fill("30");
    await part(page, "due").locator("input").fill("2026-12-24T18:30");
    await part(page, "extra").locator("textarea").fill('{ "a": [1] }');
    await part(page, "express").locator("input").check();
    const id = await start(page);
    expect(await inputOf(id)).toEqual({
      ...needed,
      express: true,
      items: [
        { sku: "AB-12", count: 2 },
        { sku: "CD-3", count: 3 },
      ],
      tags: { gift: "yes" },
      shipTo: { street: "Damrak 1", country: "NL" },
      coupon: null,
      payment: { kind: "invoice", days: 30 },
      due: "2026-12-24T17:30:00.000Z",
      extra: { a: [1] },
    });
  });

  test("an id, labels and a delay go with it", async () => {
    const page = await open();
    await fillIn(page);
    await page.getByText("Id, delay, labels").click();
    await page.getByLabel("Id (made").fill("by-hand");
    await page.getByLabel("Delay").fill("1 hour");
    await page.locator("#start-labels").getByRole("button", { name: "Add an entry" }).click();
    await page.locator("#start-labels").getByLabel("Name").fill("team");
    await page.locator("#start-labels").getByLabel("Value").fill("back");
    expect(await start(page)).toBe("by-hand");
    const run = await stage.client.call({ method: "GET", path: "/v1/runs/by-hand" });
    expect(run).toMatchObject({ status: "queued", labels: { team: "back" }, waitingFor: [{ kind: "start" }] });
  });

  test("JSON and form are two views of one value, both ways", async () => {
    const page = await open();
    await fillIn(page);
    const form = page.locator("#start-input");
    await form.getByRole("button", { name: "JSON" }).click();
    expect(JSON.parse(await form.locator("[data-raw]").inputValue())).toEqual(needed);
    const other = {
      ...needed,
      coupon: "TEN",
      payment: { kind: "invoice", days: 7 },
      tags: { a: "b" },
      due: "2026-12-24T17:30:00Z",
    };
    await form.locator("[data-raw]").fill(JSON.stringify(other));
    await form.getByRole("button", { name: "Form" }).click();
    expect(await part(page, "coupon").locator("input").inputValue()).toBe("TEN");
    expect(await part(page, "due").locator("input").inputValue()).toBe("2026-12-24T18:30");
    expect(await part(page, "days").locator("input").inputValue()).toBe("7");
    // What nobody touched is sent as it came.
    expect(await inputOf(await start(page))).toEqual(other);
  });

  test("JSON that the form has no place for stays JSON, and says where", async () => {
    const page = await open();
    const form = page.locator("#start-input");
    await form.getByRole("button", { name: "JSON" }).click();
    await form
      .locator("[data-raw]")
      .fill(JSON.stringify({ ...needed, items: [{ sku: "AB-1", count: 1, colour: "red" }] }));
    await form.getByRole("button", { name: "Form" }).click();
    expect(await page.locator("#start-input-error").textContent()).toBe(
      "The form has no place for what is at /items/0/colour, so it stays JSON.",
    );
    expect(await form.locator("[data-raw]").isVisible()).toBe(true);
    await form.locator("[data-raw]").fill("{ nothing");
    await form.getByRole("button", { name: "Form" }).click();
    expect(await page.locator("#start-input-error").textContent()).toMatch(/^This is not JSON: /);
  });

  test("what the workflow's schema refuses is said at the field, and the rest stays", async () => {
    const page = await open();
    await fillIn(page);
    // The browser knows of limits too: here they are taken away, as another client would have none.
    await page.evaluate(`document.querySelector("#start form").noValidate = true`);
    await part(page, "items").locator('[data-name="count"] input').fill("200");
    await part(page, "last4").locator("input").fill("42");
    await page.locator("#start").getByRole("button", { name: "Start", exact: true }).click();
    const error = part(page, "items").locator('[data-name="count"] > .form-error');
    await error.waitFor();
    expect(await error.textContent()).toMatch(/99/);
    expect(await part(page, "last4").locator("> .form-error").textContent()).toMatch(/4/);
    expect(await part(page, "items").locator('[data-name="count"] input').getAttribute("aria-invalid")).toBe("true");
    expect(await page.locator("#start .problem").textContent()).toMatch(/is not valid/);
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "workflow-start-refused", false);
    stage.complaints.splice(0);
    await part(page, "items").locator('[data-name="count"] input').fill("2");
    expect(await error.isVisible()).toBe(false);
    await part(page, "last4").locator("input").fill("4242");
    expect(await inputOf(await start(page))).toEqual(needed);
  });

  test("what is needed is asked for before anything is sent", async () => {
    const page = await open();
    await page.locator("#start").getByRole("button", { name: "Start", exact: true }).click();
    const missing = await page.evaluate<string>(`document.querySelector("#start-input :invalid:not(fieldset)").type`);
    expect(missing).toBe("email");
    expect(await page.locator("dialog#start").isVisible()).toBe(true);
  });

  test("is filled in and sent by the keyboard alone", async () => {
    const page = await stage.visit("/workflows/send-mail");
    await page.getByRole("button", { name: "Start a run" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.type("bob");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.type("Ana");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/runs\//);
    const id = new URL(page.url()).pathname.split("/").at(-1) ?? "";
    expect(await inputOf(id)).toEqual({ to: "bob", fails: false, bounces: 0, hold: false });
  });
});

test("no page complained of anything", () => {
  expect(stage.complaints).toEqual([]);
});
