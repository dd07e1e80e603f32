/** The page of schedules in a real browser: what fires when, and every action on a schedule. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { accessibility, flaws, openStage, picture, screens, stage, until } from "./stage.ts";

type Schedule = {
  readonly id: string;
  readonly cron: string;
  readonly input: unknown;
  readonly paused: boolean;
  readonly pausedBy: string | null;
  readonly pausedReason: string | null;
};

openStage();
beforeAll(async () => {
  await make("hourly-greeting", { paused: true, reason: "until the text is agreed", cron: "0 * * * *" });
});

function make(id: string, fields: object): Promise<Schedule> {
  const body = { id, workflow: "greet", cron: "0 0 1 1 *", input: { name: "Ana" }, ...fields };
  return stage.client.call({ method: "POST", path: "/v1/schedules", body });
}

function find(id: string): Promise<Schedule> {
  return stage.client.call({ method: "GET", path: `/v1/schedules/${id}` });
}

function card(page: Page, id: string) {
  return page.locator(`article[data-key="${id}"]`);
}

/** Opens the dialog of a button, and says who and why. */
async function ask(page: Page, id: string, button: string): Promise<void> {
  if (["Backfill", "Change", "Delete"].includes(button)) await card(page, id).locator("summary").click();
  await card(page, id).getByRole("button", { name: button, exact: true }).click();
  await say(page);
}

async function say(page: Page): Promise<void> {
  await page.locator("dialog[open]").getByLabel("Your name").fill("Ana");
  await page.locator("dialog[open]").getByLabel("Why").fill("it is time");
}

async function submit(page: Page): Promise<void> {
  await page.locator("dialog[open] [data-submit]").click();
}

describe("the page", () => {
  test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
    const page = await stage.visit("/schedules", screen);
    expect(await flaws(page, { name: "schedules" })).toEqual([]);
  });

  test("says when each fires, in words where they are simple, and its next five firings", async () => {
    const page = await stage.visit("/schedules");
    expect(await card(page, "report-weekdays").textContent()).toMatch(
      /at 07:30, Monday to Friday\s*30 7 \* \* MON-FRI\s*Europe\/Berlin/,
    );
    expect(await card(page, "report-weekdays").locator(".next li").count()).toBe(5);
    // The reader is in Berlin too.
    expect(await card(page, "report-quarterly").locator(".next h3").innerText()).toBe("Next firings Europe/Berlin");
    expect(await card(page, "report-weekdays").locator(".next time").first().textContent()).toMatch(/07:30:00/);
    expect(await card(page, "report-quarterly").locator(".cron-words").count()).toBe(0);
  });

  test("says who paused one, and why", async () => {
    const page = await stage.visit("/schedules");
    expect(await card(page, "hourly-greeting").locator(".notice").textContent()).toMatch(
      /Paused by .*: until the text is agreed/,
    );
  });

  test("counts those that are paused, and shows only these when it is asked to", async () => {
    const page = await stage.visit("/schedules");
    expect(await page.locator("article").count()).toBe(3);
    await page.getByRole("link", { name: "1 paused" }).click();
    await page.getByRole("link", { name: "1 paused ×" }).waitFor();
    expect(await page.locator("article h2").allTextContents()).toEqual(["hourly-greeting"]);
    await page.getByRole("link", { name: "1 paused ×" }).click();
    await card(page, "report-weekdays").waitFor();
    await page.goto(`${stage.origin}/schedules?only=failing`);
    expect(await page.locator(".empty").innerText()).toBe("No schedule is failing");
  });

  test("shows those of one workflow when it is asked to", async () => {
    const page = await stage.visit("/schedules?workflow=nightly-report");
    expect(await page.locator("article h2").allTextContents()).toEqual(["report-weekdays", "report-quarterly"]);
    await page.getByRole("link", { name: "of nightly-report" }).click();
    await card(page, "hourly-greeting").waitFor();
  });
});

describe("an action asks who and why, and does it", () => {
  test("trigger starts a run and goes to it", async () => {
    const page = await stage.visit("/schedules");
    await ask(page, "report-weekdays", "Trigger");
    expect(await page.locator("dialog[open] .lead").textContent()).toMatch(/^report-weekdays: /);
    await picture(page, "schedules-trigger", false);
    await submit(page);
    await page.waitForURL(/\/runs\//);
    const id = decodeURIComponent(new URL(page.url()).pathname.split("/").at(-1) ?? "");
    expect(id).toMatch(/^report-weekdays:trigger\./);
    expect((await stage.client.end(id)).output).toBe("long");
  });

  test("its runs are a click away, also those started by hand, and no others", async () => {
    const path = "/v1/schedules/report-weekdays/trigger?wait=10s";
    const { id } = await stage.client.call<{ id: string }>({ method: "POST", path });
    await stage.client.start("nightly-report", "report-by-hand", { kind: "long" });
    const page = await stage.visit("/schedules");
    await card(page, "report-weekdays").getByRole("link", { name: "Its runs" }).click();
    await page.waitForURL(/idPrefix=/);
    await page.locator(`[data-key="run-${id}"]`).waitFor();
    expect(await page.locator('[data-key="run-report-by-hand"]').count()).toBe(0);
  });

  test("pause and resume, also of one in the code", async () => {
    const page = await stage.visit("/schedules");
    await ask(page, "report-quarterly", "Pause");
    await submit(page);
    await card(page, "report-quarterly").getByRole("button", { name: "Resume" }).waitFor();
    expect(await card(page, "report-quarterly").locator(".notice").textContent()).toMatch(
      /Paused by Ana .*: it is time/,
    );
    expect(await find("report-quarterly")).toMatchObject({ paused: true, pausedBy: "Ana", pausedReason: "it is time" });
    await ask(page, "report-quarterly", "Resume");
    await submit(page);
    await card(page, "report-quarterly").getByRole("button", { name: "Pause" }).waitFor();
    expect(await find("report-quarterly")).toMatchObject({ paused: false });
  });

  test("create, with the input that its workflow takes", async () => {
    const page = await stage.visit("/schedules");
    await page.getByRole("button", { name: "New schedule" }).click();
    await say(page);
    await page.locator("#create-id").fill("by-hand");
    await page.locator("#create-cron").fill("0 7 * * MON");
    await page.locator("#create-start select[data-variant]").selectOption({ label: "nightly-report" });
    await page.locator("#create-start").getByText("short", { exact: true }).click();
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "schedules-create", false);
    await submit(page);
    await card(page, "by-hand").waitFor();
    expect(await find("by-hand")).toMatchObject({
      workflow: "nightly-report",
      cron: "0 7 * * MON",
      input: { kind: "short" },
    });
  });

  test("a cron that cannot be read is refused in the dialog, which stays", async () => {
    const page = await stage.visit("/schedules");
    await page.getByRole("button", { name: "New schedule" }).click();
    await say(page);
    await page.locator("#create-id").fill("never");
    await page.locator("#create-cron").fill("0 99 * * *");
    await page.locator("#create-start select[data-variant]").selectOption({ label: "nightly-report" });
    await page.locator("#create-start").getByText("short", { exact: true }).click();
    await submit(page);
    await page.locator("dialog[open] .problem:not([hidden])").waitFor();
    expect(await page.locator("dialog[open] .problem").textContent()).toMatch(/cron/);
    stage.complaints.splice(0);
  });

  test("change: what is there is filled in, and what is changed counts", async () => {
    await make("to-change", { input: { name: "Bob" }, catchUp: "5 minutes" });
    const page = await stage.visit("/schedules");
    await ask(page, "to-change", "Change");
    expect(await page.locator("#change-cron").inputValue()).toBe("0 0 1 1 *");
    expect(JSON.parse(await page.locator("#change-input").inputValue())).toEqual({ name: "Bob" });
    await page.locator("#change-cron").fill("0 12 * * *");
    await page.locator("#change-input").fill('{ "name": "Cleo" }');
    await submit(page);
    await card(page, "to-change").getByText("at 12:00").waitFor();
    expect(await find("to-change")).toMatchObject({ cron: "0 12 * * *", input: { name: "Cleo" }, catchUp: 300_000 });
  });

  test("backfill starts one run for each firing of a time that is over", async () => {
    // On no other day of the year: one that fires meanwhile is no run of the backfill.
    await make("to-backfill", { cron: "0 6 1-3 1 *" });
    const page = await stage.visit("/schedules");
    await ask(page, "to-backfill", "Backfill");
    await page.locator("#backfill-from").fill("2026-01-01T00:00");
    await page.locator("#backfill-to").fill("2026-01-04T00:00");
    await submit(page);
    await page.getByText("3 firings will be started.").waitFor();
    const listed = (): Promise<{ runs: { id: string }[] }> =>
      stage.client.call({ method: "GET", path: "/v1/runs?idPrefix=to-backfill" });
    const { runs } = await until(listed, ({ runs }) => runs.length === 3);
    expect(runs.map(({ id }) => id).toSorted()).toEqual(
      ["01", "02", "03"].map((day) => `to-backfill:202601${day}T060000Z`),
    );
  });

  test("delete", async () => {
    await make("to-delete", {});
    const page = await stage.visit("/schedules");
    await ask(page, "to-delete", "Delete");
    await submit(page);
    await card(page, "to-delete").waitFor({ state: "detached" });
  });

  test("what stands in the code says so instead of being changed", async () => {
    const page = await stage.visit("/schedules");
    await card(page, "report-weekdays").locator("summary").click();
    const button = card(page, "report-weekdays").getByRole("button", { name: /^Delete/ });
    expect([await button.getAttribute("aria-disabled"), await button.getAttribute("title")]).toEqual([
      "true",
      "It stands in the code: change it there.",
    ]);
    // It is disabled for those who ask, and answers those who press it all the same.
    await button.click({ force: true });
    await page.getByRole("status").getByText("It stands in the code: change it there.").waitFor();
    expect(await page.locator("dialog[open]").count()).toBe(0);
  });
});

test("no page complained of anything", () => {
  expect(stage.complaints).toEqual([]);
});
