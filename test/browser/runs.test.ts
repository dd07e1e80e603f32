/** The page of runs in a real browser: finding runs, seeing them change, acting on many of them. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { accessibility, flaws, openStage, picture, screens, stage } from "./stage.ts";

openStage();
beforeAll(async () => {
  const { client } = stage;
  for (let number = 1; number <= 5; number++) await client.start("greet", `greet-${number}`, { name: "Ana" });
  for (let number = 1; number <= 3; number++) await client.start("approve-order", `order-${number}`, { order: number });
  for (let number = 1; number <= 4; number++) await charge(`charge-${number}`, "plain");
  for (let number = 5; number <= 7; number++) await charge(`charge-${number}`, "expired");
  await stage.listed("failed", 7);
  await stage.listed("waiting", 3);
  await stage.listed("completed", 5);
});

function charge(id: string, card: string) {
  return stage.client.start("charge-card", id, { card, order: Number(id.replace(/\D/g, "")) });
}

function row(page: Page, id: string) {
  return page.locator(`tr[data-key="run-${id}"]`);
}

/** Marks the document: a page that is loaded again has lost the mark. */
async function mark(page: Page): Promise<void> {
  await page.evaluate("document.marked = true");
}

async function isMarked(page: Page): Promise<boolean> {
  return (await page.evaluate("document.marked === true")) as boolean;
}

/** Resolves once the feed has told of the run, where the page keeps what it told of last. */
async function told(page: Page, id: string): Promise<void> {
  await expect.poll(() => page.evaluate("document.told")).toBe(id);
}

async function live(path: string): Promise<Page> {
  const page = await stage.visit(path);
  await page.locator("#live[data-state=live]").waitFor();
  return page;
}

describe("the list", () => {
  test.each(screens)("is accessible and fits in light and dark, %s", async (screen) => {
    const page = await stage.visit("/?status=failed%2Cwaiting", screen);
    await page.locator(".causes summary").click();
    await page.mouse.move(0, 0);
    expect(await flaws(page, { name: "runs" })).toEqual([]);
  });

  test("shows each run's status, why it does not go on, and what it failed of", async () => {
    const page = await stage.visit("/");
    expect(await row(page, "order-1").textContent()).toMatch(/waiting.*approve-order.*waiting for signal approval/);
    expect(await row(page, "charge-5").textContent()).toMatch(/failed.*charge-card.*step_failed.*the card has expired/);
    expect(await row(page, "greet-1").textContent()).toMatch(/completed.*greet/);
    const chips = await page.locator(".chip").allTextContents();
    expect(chips).toEqual(expect.arrayContaining(["all15", "waiting3", "completed5", "failed7", "paused0"]));
  });

  test("writes instants in the reader's own time", async () => {
    const page = await stage.visit("/");
    const time = row(page, "greet-1").locator("time").first();
    await expect.poll(() => time.getAttribute("title")).toMatch(/^\d+ \w+ 20\d\d, \d\d:\d\d:\d\d\.\d{3} (?:CET|CEST)$/);
    const at = new Date((await time.getAttribute("datetime")) ?? "");
    const local = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "Europe/Berlin" }).format(at);
    expect(await time.getAttribute("title")).toContain(local);
  });

  test("goes on page by page", async () => {
    const ids = Array.from({ length: 52 }, (_, number) => `many-${number}`);
    await Promise.all(ids.map((id) => stage.client.start("greet", id, { name: id })));
    await stage.listed("completed&idPrefix=many-", ids.length);
    const page = await stage.visit("/?idPrefix=many-");
    expect(await page.locator("tbody tr").count()).toBe(50);
    await page.getByRole("link", { name: "Older" }).click();
    await page.getByRole("link", { name: "Newest" }).waitFor();
    expect(await page.locator("tbody tr").count()).toBe(2);
    expect(await accessibility(page)).toEqual([]);
    await page.getByRole("link", { name: "Newest" }).click();
    await page.getByRole("link", { name: "Older" }).waitFor();
    expect(page.url()).toBe(`${stage.origin}/?idPrefix=many-`);
  });

  test("what a name or a message contains is text and nothing else", async () => {
    const evil = `<img src=x onerror="document.broken=1"><script>document.broken=1</script>`;
    const body = { id: "evil-1", input: { card: "expired", order: 1 }, labels: { evil } };
    await stage.client.call({ method: "POST", path: "/v1/workflows/charge-card/runs", body });
    await stage.listed("failed&idPrefix=evil-", 1);
    const page = await stage.visit("/?idPrefix=evil-");
    expect(await row(page, "evil-1").textContent()).toContain(evil);
    expect(await page.evaluate("document.broken")).toBeUndefined();
  });

  test("an address that means nothing is refused in words", async () => {
    const page = await stage.visit("/?status=green");
    expect(await page.locator("main").textContent()).toContain("queued, running, waiting");
    expect(await accessibility(page)).toEqual([]);
    stage.complaints.splice(0);
  });
});

describe("filters", () => {
  test("stand in the address, and each is a link", async () => {
    const page = await stage.visit("/");
    await page.locator(".chip", { hasText: "failed" }).click();
    await page.waitForURL("**/?status=failed");
    await page.locator(".chip", { hasText: "waiting" }).click();
    await page.waitForURL("**/?status=waiting%2Cfailed");
    expect(await page.locator("tbody tr").count()).toBe((await stage.count("failed")) + (await stage.count("waiting")));
    await page.locator(".chip", { hasText: "failed" }).click();
    await page.waitForURL("**/?status=waiting");
    expect(await page.locator("tbody tr").count()).toBe(await stage.count("waiting"));
  });

  test("by id, workflow, label, error code and time", async () => {
    const page = await stage.visit("/");
    await page.getByLabel("Id begins with").fill("charge-");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/?idPrefix=charge-");
    await page.getByText("More filters").click();
    await page.getByLabel("Error code").fill("non_retryable");
    await page.getByLabel("Created from").fill("2020-01-01T12:00:00");
    await page.getByRole("button", { name: "Filter" }).click();
    await page.waitForURL("**/?idPrefix=charge-&errorCode=non_retryable&createdAfter=2020-01-01T11%3A00%3A00.000Z");
    expect(await page.locator("tbody tr").count()).toBe(4);
    expect(await page.getByLabel("Created from").inputValue()).toBe("2020-01-01T12:00");
    await picture(page, "runs-filtered", false);
    expect(await accessibility(page)).toEqual([]);
    await page.getByRole("link", { name: "Clear" }).click();
    await page.getByLabel("Workflow").selectOption("greet");
    await page.waitForURL("**/?workflow=greet");
    await page.getByLabel("Id begins with").fill("greet-");
    await page.getByText("More filters").click();
    await page.getByLabel("Label").fill("team=front");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/?idPrefix=greet-&workflow=greet&label.team=front");
    expect(await page.locator("tbody tr").count()).toBe(5);
    await page.getByRole("link", { name: "Without the label team" }).click();
    await page.waitForURL("**/?idPrefix=greet-&workflow=greet");
  });

  test("of the last hours are two clicks away, and keep what else was chosen", async () => {
    const page = await stage.visit("/?workflow=greet&createdBefore=2020-01-01T12:00:00Z");
    const [from, before] = await Promise.all(
      ["Created from", "Created before"].map((label) => page.getByLabel(label).boundingBox()),
    );
    expect((from?.x ?? 0) + (from?.width ?? 0)).toBeLessThanOrEqual(before?.x ?? 0);
    await page.getByRole("navigation", { name: "Created in the last" }).getByRole("link", { name: "6 h" }).click();
    await page.waitForURL("**/?workflow=greet&createdAfter=*");
    const { searchParams } = new URL(page.url());
    expect([...searchParams.keys()]).toEqual(["workflow", "createdAfter"]);
    const agoMs = Date.now() - Date.parse(searchParams.get("createdAfter") ?? "");
    expect(Math.round(agoMs / 3_600_000)).toBe(6);
    expect(await page.locator("tbody tr").count()).toBeGreaterThan(0);
    expect(await flaws(page, { name: "runs-recent", fullPage: false })).toEqual([]);
  });

  test("work without any script", async () => {
    const context = await stage.browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(stage.origin);
    await page.getByLabel("Id begins with").fill("order-");
    await page.getByRole("button", { name: "Filter" }).click();
    expect(page.url()).toBe(`${stage.origin}/?idPrefix=order-`);
    expect(await page.locator("tbody tr").count()).toBe(3);
    await context.close();
  });

  test("that nothing fits say so and lead back", async () => {
    const page = await stage.visit("/?idPrefix=nothing-like-it");
    await picture(page, "runs-empty", false);
    expect(await accessibility(page)).toEqual([]);
    await page.getByRole("link", { name: "Show all runs" }).click();
    await page.waitForURL(`${stage.origin}/`);
  });
});

describe("failures", () => {
  test("are grouped by cause with how many, since when, and a link to the runs", async () => {
    const page = await stage.visit("/?idPrefix=charge-");
    const causes = page.locator(".causes");
    expect(await causes.locator("summary").textContent()).toMatch(
      /^7 failures, 2 causeslast (?:\d+ (?:s|min) ago|just now)$/,
    );
    await causes.locator("summary").click();
    const [first, second] = await causes.locator("li").allTextContents();
    expect(first).toMatch(
      /^4503 from the bank for order \d.*charge-card › charge.*non_retryable.*first.*(?:ago|just now).*last.*(?:ago|just now)/,
    );
    expect(second).toMatch(/^3the card has expired.*step_failed/);
    await page.getByRole("link", { name: "Show the 4 failed runs of charge-card like this" }).click();
    await page.waitForURL("**/?idPrefix=charge-&cause=*");
    expect(await page.locator("tbody tr").count()).toBe(4);
  });

  test.each(screens)("of one cause are a list with its name on it, which can be taken off, %s", async (screen) => {
    const page = await stage.visit("/?idPrefix=charge-", screen);
    await page.locator(".causes summary").click();
    await page.getByRole("link", { name: "Show the 3 failed runs of charge-card like this" }).click();
    await page.waitForURL("**/?idPrefix=charge-&cause=*");
    const chosen = page.locator(".cause-chosen");
    expect(await chosen.textContent()).toMatch(/the card has expired.*charge-card › charge/);
    expect(await page.locator("tbody tr").count()).toBe(3);
    expect(await page.locator(".chip", { hasText: "failed" }).textContent()).toBe("failed3");
    expect(await page.getByLabel("Error code").isVisible()).toBe(false);
    await page.mouse.move(0, 0);
    expect(await flaws(page, { name: "runs-cause", fullPage: false })).toEqual([]);
    await page.getByLabel("Id begins with").fill("charge-5");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/?cause=*&idPrefix=charge-5");
    expect(await page.locator("tbody tr").count()).toBe(1);
    await page.getByRole("link", { name: "Without this cause" }).click();
    await page.waitForURL("**/?idPrefix=charge-5");
  });

  test("of one cause are retried by themselves, and the list tells when none is left", async () => {
    const ids = ["cause-1", "cause-2", "cause-3"];
    for (const id of ids) await charge(id, id === "cause-3" ? "expired" : "plain");
    await stage.listed("failed&idPrefix=cause-", 3);
    const page = await live("/?idPrefix=cause-");
    await page.keyboard.press("j");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("cause-3");
    await page.locator(".causes summary").click();
    await page.getByRole("link", { name: "Show the 2 failed runs of charge-card like this" }).click();
    await page.waitForURL("**/?idPrefix=cause-&cause=*");
    const list = page.url();
    await page.keyboard.press(".");
    await page.getByRole("button", { name: /^Retry all/ }).click();
    const dialog = page.locator("dialog[open]");
    expect(await dialog.locator(".meant").textContent()).toMatch(/cause503 from the bank for order \d/);
    await dialog.getByLabel("Your name").fill("Zoë");
    await dialog.getByLabel("Why").fill("the bank is back");
    await page.getByRole("button", { name: "Retry 2 runs" }).click();
    await page.waitForURL("**/runs/*");
    const bulk = decodeURIComponent(new URL(page.url()).pathname.slice("/runs/".length));
    expect(await stage.client.end(bulk)).toMatchObject({ status: "completed" });
    const histories = await Promise.all(ids.map((id) => stage.client.history(id)));
    expect(histories.map((entries) => entries.some(({ kind }) => kind === "run.retried"))).toEqual([true, true, false]);
    await page.goto(list);
    await page.locator("#live[data-state=live]").waitFor();
    for (const id of ["cause-1", "cause-2"]) {
      await stage.client.end(id);
      await stage.client.text({ method: "DELETE", path: `/v1/runs/${id}` });
    }
    await page.getByText("a cause that no run here has any more").waitFor();
    expect(await page.locator("tbody tr").count()).toBe(0);
    stage.complaints.splice(0);
  });
});

describe("live", () => {
  test("a run appears, changes and ends without the page being loaded again", async () => {
    const page = await live("/?idPrefix=soon-");
    await mark(page);
    await stage.client.start("approve-order", "soon-1", { order: 9 });
    await row(page, "soon-1").locator(".is-waiting").waitFor();
    expect(await page.locator(".chip.is-waiting .chip-count").textContent()).toBe("1");
    await page.evaluate(`document.querySelector('tr[data-key="run-soon-1"]').marked = true`);
    await stage.client.signal("soon-1", "approval", { ok: true }, "key-1");
    await row(page, "soon-1").locator(".is-completed").waitFor();
    expect(await page.evaluate(`document.querySelector('tr[data-key="run-soon-1"]').marked`)).toBe(true);
    expect(await isMarked(page)).toBe(true);
  });

  test("rows do not jump from under the pointer: what is new waits until it is wanted", async () => {
    const page = await live("/?idPrefix=calm-");
    await stage.client.start("greet", "calm-1", { name: "a" });
    await row(page, "calm-1").waitFor();
    await row(page, "calm-1").hover();
    const before = await row(page, "calm-1").boundingBox();
    await stage.client.start("greet", "calm-2", { name: "b" });
    const more = page.getByRole("button", { name: "1 new run" });
    await more.waitFor();
    expect(await row(page, "calm-2").count()).toBe(0);
    expect(await row(page, "calm-1").boundingBox()).toEqual(before);
    await picture(page, "runs-fresh", false);
    await more.click();
    await row(page, "calm-2").waitFor();
    expect(await more.count()).toBe(0);
  });

  test("what somebody is typing stays", async () => {
    const page = await live("/");
    await page.getByLabel("Id begins with").fill("half a wo");
    await stage.client.start("greet", "typed-1", { name: "a" });
    await row(page, "typed-1").waitFor();
    expect(await page.getByLabel("Id begins with").inputValue()).toBe("half a wo");
    expect(await page.evaluate("document.activeElement.name")).toBe("idPrefix");
  });

  test("a Worker that went away and came back is noticed, and nothing is missed", async () => {
    const page = await live("/?idPrefix=back-");
    await mark(page);
    await stage.runtime.kill();
    await page.locator("#live[data-state=offline]").waitFor();
    await stage.runtime.start();
    await stage.client.start("greet", "back-1", { name: "a" });
    await row(page, "back-1").locator(".is-completed").waitFor();
    await page.locator("#live[data-state=live]").waitFor();
    expect(await isMarked(page)).toBe(true);
    stage.complaints.splice(0);
  });

  test("a page that cannot be had says so although its feed is open, and is had again", async () => {
    const page = await live("/?idPrefix=unseen-");
    await page.clock.install();
    await page.reload();
    await page.locator("#live[data-state=live]").waitFor();
    let asked = 0;
    await page.route("**/?idPrefix=unseen-", async (route) => {
      asked++;
      await route.fulfill({ status: 503 });
    });
    await stage.client.start("approve-order", "unseen-1", { order: 1 });
    const sign = page.locator("#live[data-state=offline]");
    await expect
      .poll(async () => {
        await page.clock.runFor(1_000);
        return await sign.count();
      })
      .toBe(1);
    expect(await sign.textContent()).toMatch(/reconnecting since/);
    // More often than its feed tells of anything.
    await expect
      .poll(async () => {
        await page.clock.runFor(11_000);
        return asked;
      })
      .toBeGreaterThan(5);
    await page.unroute("**/?idPrefix=unseen-");
    await page.clock.runFor(11_000);
    await row(page, "unseen-1").waitFor();
    await page.locator("#live[data-state=live]").waitFor();
    stage.complaints.splice(0);
  });

  test("a page that could not be had is live again with the next that could, also where that was asked for before", async () => {
    const page = await live("/?idPrefix=slow-");
    await page.clock.install();
    // Keeps what the feed told of last, which nothing of a page shows.
    await page.addInitScript(`EventSource = class extends EventSource {
      constructor(url) {
        super(url);
        this.addEventListener("run", ({ data }) => { document.told = JSON.parse(data).id; });
      }
    }`);
    await page.reload();
    await page.locator("#live[data-state=live]").waitFor();
    const late = Promise.withResolvers<void>();
    let asked = 0;
    await page.route("**/?idPrefix=slow-", async (route) => {
      asked++;
      if (asked > 1) return await route.continue();
      await late.promise;
      await route.fulfill({ status: 503 });
    });
    await stage.client.start("approve-order", "slow-1", { order: 1 });
    await told(page, "slow-1");
    await page.clock.runFor(1_000);
    await expect.poll(() => asked).toBe(1);
    await stage.client.start("approve-order", "slow-2", { order: 2 });
    await told(page, "slow-2");
    await page.clock.runFor(1_000);
    late.resolve();
    await row(page, "slow-2").waitFor();
    await page.locator("#live[data-state=live]").waitFor();
    stage.complaints.splice(0);
  });

  test("a feed that is open again does not make a page live that still cannot be had", async () => {
    const page = await live("/?idPrefix=gone-");
    await page.route("**/?idPrefix=gone-", (route) => route.fulfill({ status: 503 }));
    await stage.client.start("greet", "gone-1", { name: "a" });
    await page.locator("#live[data-state=offline]").waitFor();
    await page.evaluate(`new MutationObserver(([{ target }]) => {
      document.shown = (document.shown ?? "") + target.dataset.state;
    }).observe(document.querySelector("#live"), { attributeFilter: ["data-state"] })`);
    await stage.runtime.kill();
    const reopened = page.waitForResponse("**/events?*");
    await stage.runtime.start();
    await reopened;
    // The feed's first event has it asked for once more.
    await page.waitForResponse("**/?idPrefix=gone-");
    expect(await page.evaluate("document.shown ?? ''")).toBe("");
    await page.unroute("**/?idPrefix=gone-");
    await stage.client.start("greet", "gone-2", { name: "b" });
    await row(page, "gone-2").waitFor();
    await page.locator("#live[data-state=live]").waitFor();
    stage.complaints.splice(0);
  });
});

describe("actions on many runs", () => {
  test("need a filter", async () => {
    const page = await stage.visit("/");
    await page.locator("[data-actions] summary").click();
    await page.getByRole("button", { name: /^Cancel all/ }).click({ force: true });
    await page.locator(".toast", { hasText: "Filter the runs first" }).waitFor();
  });

  test("say first how many runs they are about, ask who and why, and lead to their progress", async () => {
    const page = await stage.visit("/?idPrefix=charge-&status=failed&workflow=charge-card");
    await page.keyboard.press(".");
    await picture(page, "runs-menu", false);
    expect(await accessibility(page)).toEqual([]);
    await page.getByRole("button", { name: /^Retry all/ }).click();
    const send = page.getByRole("button", { name: "Retry 7 runs" });
    await send.waitFor();
    await picture(page, "runs-bulk", false);
    expect(await accessibility(page)).toEqual([]);
    await send.click();
    // Neither name nor reason: the browser asks for them and nothing was sent.
    expect(await page.locator("dialog[open]").count()).toBe(1);
    await page.locator("dialog[open]").getByLabel("Your name").fill("Zoë");
    await page.locator("dialog[open]").getByLabel("Why").fill("the bank is back – really");
    await send.click();
    await page.waitForURL("**/runs/*");
    const id = decodeURIComponent(new URL(page.url()).pathname.slice("/runs/".length));
    expect(await stage.client.end(id)).toMatchObject({ workflow: "holdfast.bulk", status: "completed" });
    const [created] = await stage.client.history(id);
    expect(created).toMatchObject({ kind: "run.created", by: "Zoë" });
    expect(JSON.stringify(created)).toContain("the bank is back – really");
    const [, retried] = await Promise.all(["charge-1", "charge-5"].map((each) => stage.client.history(each)));
    expect(retried?.map(({ kind }) => kind)).toContain("run.retried");
    stage.complaints.splice(0);
  });

  test("remember who asks", async () => {
    const page = await stage.visit("/?idPrefix=order-3");
    for (const name of ["", "Zoë"]) {
      await page.keyboard.press(".");
      await page.getByRole("button", { name: /^Pause all/ }).click();
      const dialog = page.locator("dialog[open]");
      expect(await dialog.getByLabel("Your name").inputValue()).toBe(name);
      await dialog.getByLabel("Your name").fill("Zoë");
      await dialog.getByLabel("Why").fill("checking");
      await page.getByRole("button", { name: "Pause 1 run" }).click();
      await page.waitForURL("**/runs/*");
      await page.goto(`${stage.origin}/?idPrefix=order-3`);
    }
    await row(page, "order-3").locator(".is-paused").waitFor();
    stage.complaints.splice(0);
  });

  test("that would act on none cannot be sent", async () => {
    const page = await stage.visit("/?idPrefix=nothing-like-it");
    await page.keyboard.press(".");
    await page.getByRole("button", { name: /^Delete all/ }).click();
    const send = page.getByRole("button", { name: "Delete 0 runs" });
    await send.waitFor();
    expect(await send.isDisabled()).toBe(true);
    await page.keyboard.press("Escape");
    expect(await page.locator("dialog[open]").count()).toBe(0);
  });

  test("cannot be sent before it is known how many runs they are about", async () => {
    const page = await stage.visit("/?idPrefix=order-");
    const open = async (): Promise<void> => {
      await page.keyboard.press(".");
      await page.getByRole("button", { name: /^Pause all/ }).click();
    };
    await page.route("**/v1/runs/bulk?dryRun=true", (route) => route.abort());
    await open();
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toBe(
      "Holdfast could not be reached. Close this, and try again.",
    );
    expect(await page.getByRole("button", { name: "Pause", exact: true }).isDisabled()).toBe(true);
    await page.keyboard.press("Escape");
    await page.unroute("**/v1/runs/bulk?dryRun=true");
    await open();
    expect(await page.getByRole("button", { name: "Pause 3 runs" }).isEnabled()).toBe(true);
    await page.keyboard.press("Escape");
    await page.route("**/v1/runs/bulk?dryRun=true", () => {});
    await open();
    expect(await page.getByRole("button", { name: "Pause", exact: true }).isDisabled()).toBe(true);
    stage.complaints.splice(0);
  });

  test("that are refused say so in the dialog, and can be tried again", async () => {
    const page = await stage.visit("/?idPrefix=order-");
    const keys: (string | undefined)[] = [];
    const statuses = [409, 503, 409];
    await page.route("**/v1/runs/bulk", (route) => {
      keys.push(route.request().headers()["idempotency-key"]);
      const status = statuses.shift() ?? 409;
      return route.fulfill({ status, contentType: "application/problem+json", body: `{"detail":"Not just now."}` });
    });
    await page.keyboard.press(".");
    await page.getByRole("button", { name: /^Pause all/ }).click();
    await page.locator("dialog[open]").getByLabel("Your name").fill("Ana");
    await page.locator("dialog[open]").getByLabel("Why").fill("a try");
    await page.getByRole("button", { name: "Pause 3 runs" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toBe("Not just now.");
    await picture(page, "runs-refused", false);
    expect(await accessibility(page)).toEqual([]);
    const pause = page.getByRole("button", { name: "Pause 3 runs" });
    expect(await pause.isEnabled()).toBe(true);
    for (const count of [2, 3]) {
      await pause.click();
      await expect.poll(async () => keys.length === count && (await page.getByRole("alert").isVisible())).toBe(true);
    }
    // Of a failure it is not known what became: the click after it is the same request.
    expect(new Set(keys).size).toBe(2);
    expect(keys[2]).toBe(keys[1]);
    stage.complaints.splice(0);
  });

  test("the list can be rebuilt", async () => {
    const page = await stage.visit("/");
    await page.keyboard.press(".");
    await page.getByRole("button", { name: "Rebuild the list" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.getByLabel("Your name").fill("Ana");
    await dialog.getByLabel("Why").fill("a shard was lost");
    await dialog.getByRole("button", { name: "Rebuild" }).click();
    await page.waitForURL("**/runs/*");
    const id = decodeURIComponent(new URL(page.url()).pathname.slice("/runs/".length));
    expect(await stage.client.end(id)).toMatchObject({ workflow: "holdfast.rebuild", status: "completed" });
    stage.complaints.splice(0);
  });
});

describe("the keyboard", () => {
  test("does all that the pointer does", async () => {
    const page = await stage.visit("/?idPrefix=greet-");
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard" }).waitFor();
    await picture(page, "help", false);
    expect(await accessibility(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    expect(await page.evaluate("document.activeElement.name")).toBe("idPrefix");
    await page.keyboard.type("gj/");
    expect(await page.getByLabel("Id begins with").inputValue()).toContain("gj/");
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    await page.keyboard.press("k");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("greet-5");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/runs/greet-4");
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await page.waitForURL(`${stage.origin}/`);
    stage.complaints.splice(0);
  });

  test("reaches everything by Tab, with a focus that is seen", async () => {
    const page = await stage.visit("/?idPrefix=greet-");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    const seen: string[] = [];
    for (let number = 0; number < 40; number++) {
      await page.keyboard.press("Tab");
      seen.push(
        await page.evaluate<string>("document.activeElement.textContent.trim() || document.activeElement.name || ''"),
      );
      expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).not.toBe("none");
      if (seen.at(-1) === "greet-1") break;
    }
    expect(seen).toEqual(
      expect.arrayContaining(["Runs", "Stats", "Actions", "idPrefix", "Filter", "greet-5", "greet-1"]),
    );
  });
});

test("the colours that were chosen are kept, from the first picture on", async () => {
  const page = await stage.visit("/");
  const colour = () => page.evaluate<string>("getComputedStyle(document.documentElement).backgroundColor");
  const light = await colour();
  await page.getByRole("button", { name: /^Colours/ }).click();
  await page.getByRole("button", { name: "Colours: light" }).click();
  const dark = await colour();
  expect(dark).not.toBe(light);
  await page.reload();
  expect(await page.locator("html").getAttribute("data-theme")).toBe("dark");
  expect(await colour()).toBe(dark);
  await page.getByRole("button", { name: "Colours: dark" }).click();
  expect(await colour()).toBe(light);
});

test("nothing was complained of", () => {
  expect(stage.complaints).toEqual([]);
});
