/** The page of one run, in a real browser: what it shows, and every action that it offers. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { accessibility, flaws, openStage, picture, screens, stage, until } from "./stage.ts";

type RunJson = {
  readonly id: string;
  readonly status: string;
  readonly output: unknown;
  readonly input: unknown;
  readonly waitingFor: readonly { readonly kind: string; readonly name: string; readonly url?: string }[];
};
type EntryJson = { readonly kind: string; readonly by?: string; readonly reason?: string | null };

let made = 0;
/** One journey for all the tests that only look at it. */
let looked: Promise<RunJson>;

openStage();
beforeAll(async () => {
  looked = journey();
  await looked;
});

async function start(workflow: string, input: unknown = {}): Promise<string> {
  const id = `${workflow}-${++made}`;
  await stage.client.start(workflow, id, input);
  return id;
}

function read(id: string): Promise<RunJson> {
  return stage.client.call<RunJson>({ method: "GET", path: `/v1/runs/${id}` });
}

function runThatIs(id: string, status: string): Promise<RunJson> {
  return until(
    () => read(id),
    (run) => run.status === status,
  );
}

async function entriesOf(id: string): Promise<readonly EntryJson[]> {
  const path = `/v1/runs/${id}/history`;
  return (await stage.client.call<{ entries: EntryJson[] }>({ method: "GET", path })).entries;
}

/** The journey, once it waits for its webhook and its approval. */
async function journey(): Promise<RunJson> {
  const id = await start("seen-journey", { order: "7", total: 12 });
  return await until(
    () => read(id),
    ({ waitingFor }) => waitingFor.some(({ kind }) => kind === "webhook"),
  );
}

async function sentence(page: Page): Promise<string> {
  return (await page.locator("#now-sentence").innerText()).replaceAll(/\s+/g, " ");
}

/** Opens the dialog from the menu, says who and why, and sends it. */
async function act(page: Page, button: string, dialog: string, submit: string): Promise<void> {
  await page.locator("[data-actions] > summary").click();
  await page.locator("[data-actions]").getByRole("button", { name: button, exact: true }).click();
  await sign(page, dialog);
  await page.locator(`#${dialog}`).getByRole("button", { name: submit, exact: true }).click();
}

async function sign(page: Page, dialog: string): Promise<void> {
  await page.locator(`#${dialog}-actor`).fill("Ana Lima");
  await page.locator(`#${dialog}-reason`).fill("checking the invoice");
}

/** Who asked for the newest entry of the kind, and why. */
async function author(id: string, kind: string): Promise<readonly [string | undefined, string | null | undefined]> {
  const entry = (await entriesOf(id)).findLast((each) => each.kind === kind);
  return [entry?.by, entry?.reason];
}

const ana = ["Ana Lima", "checking the invoice"];

describe("a run's page", () => {
  test("says first what the run is doing and why, and is clean for everybody", { timeout: 120_000 }, async () => {
    const { id, waitingFor } = await journey();
    const path = new URL(waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "").pathname;
    const refused = await fetch(`${stage.origin}${path}`, { method: "POST", headers: { "x-forged": "1" } });
    expect(refused.status).toBe(403);
    const brittle = await start("seen-brittle");
    const patient = await start("seen-patient");
    await runThatIs(brittle, "failed");
    await runThatIs(patient, "waiting");
    for (const screen of screens) {
      const page = await stage.visit(`/runs/${id}`, screen);
      expect(await sentence(page)).toMatch(/^Waiting for webhook paid since /);
      const prepare = async (): Promise<void> => {
        await page.locator(".bar-row").first().scrollIntoViewIfNeeded();
        expect(await page.locator(".bar-row").count()).toBe(7);
        await page.locator("#history").scrollIntoViewIfNeeded();
        await page.locator(".entry").nth(15).waitFor();
      };
      expect(await flaws(page, { name: "run-waiting", prepare })).toEqual([]);
      const colours = [screen === "desk" ? ("light" as const) : ("dark" as const)];
      for (const [name, other] of [["failed", brittle] as const, ["retrying", patient] as const]) {
        const next = await stage.visit(`/runs/${other}`, screen);
        expect(await flaws(next, { name: `run-${name}`, colours })).toEqual([]);
      }
    }
  });

  test("a deep link opens one step: its output, its attempts, and what differs between them", async () => {
    const { id } = await looked;
    for (const screen of screens) {
      const page = await stage.visit(`/runs/${id}?step=${encodeURIComponent("run:charge")}`, screen);
      const panel = page.locator("#panel");
      expect(await panel.locator("#panel-title").innerText()).toBe("charge");
      expect(await panel.innerText()).toContain("R-7");
      expect(await panel.locator(".attempts > li").count()).toBe(3);
      const diff = await panel.locator(".diff").first().innerText();
      expect(diff).toContain("− Error: the bank said 501");
      expect(diff).toContain("+ Error: the bank said 502");
      expect(await page.locator(".bar-row[aria-current=true]").innerText()).toContain("charge");
      expect(await flaws(page, { name: "run-step", fullPage: false })).toEqual([]);
    }
  });

  test("the panel is opened and closed by the keyboard, and the address follows", async () => {
    const { id } = await looked;
    const page = await stage.visit(`/runs/${id}`);
    const row = page.locator('.bar-row[data-step="run:reserve"]');
    await row.focus();
    await page.keyboard.press("Enter");
    await page.locator("#panel").waitFor();
    expect(new URL(page.url()).searchParams.get("step")).toBe("run:reserve");
    expect(await page.evaluate("document.activeElement.id")).toBe("panel-title");
    await page.keyboard.press("Escape");
    await page.locator("#panel").waitFor({ state: "detached" });
    expect(new URL(page.url()).search).toBe("");
    expect(await page.evaluate("document.activeElement.dataset.step")).toBe("run:reserve");
    await page.goBack();
    await page.locator("#panel").waitFor();
  });

  test("the focus comes back from a menu and from its dialogs, and a menu closes before the panel behind it", async () => {
    const { id } = await looked;
    const page = await stage.visit(`/runs/${id}?step=charge`);
    const menu = page.locator("[data-actions]");
    const isOpen = () => menu.evaluate((tag) => tag.hasAttribute("open"));
    const hasFocus = () => menu.locator("> summary").evaluate((tag) => tag.matches(":focus"));
    await page.keyboard.press(".");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Escape");
    expect([await isOpen(), await hasFocus(), await page.locator("#panel").count()]).toEqual([false, true, 1]);
    await page.keyboard.press(".");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#signal").waitFor();
    await page.keyboard.press("Escape");
    expect([await isOpen(), await hasFocus(), await page.locator("#panel").count()]).toEqual([false, true, 1]);
    await page.keyboard.press(".");
    await page.locator("#history-title").click();
    expect(await isOpen()).toBe(false);
    await page.keyboard.press("Escape");
    await page.locator("#panel").waitFor({ state: "detached" });
  });

  test("a sensitive result is not shown, a child's input is, and what is not on record is said to be so", async () => {
    const { id } = await looked;
    const page = await stage.visit(`/runs/${id}?step=token`);
    expect(await page.locator("#panel").innerText()).toContain("marked as sensitive");
    await page.locator("#history").scrollIntoViewIfNeeded();
    await page.locator(".entry").nth(10).waitFor();
    expect(await page.content()).not.toContain("do-not-tell");
    await page.goto(`${stage.origin}/runs/${id}?step=child:seen-parcel`);
    expect(await page.locator("#panel-input-value").innerText()).toContain("weight");
    await page.goto(`${stage.origin}/runs/${id}?step=charge`);
    expect(await page.locator("#panel").innerText()).toContain("is not on record");
    await page.goto(`${stage.origin}/runs/${id}?step=nowhere`);
    expect(await page.locator("#panel").innerText()).toContain("Nothing on record of this run is called so");
  });

  test("the timeline is zoomed by buttons and keys, and stays zoomed when the page is drawn anew", async () => {
    const { id } = await journey();
    const page = await stage.visit(`/runs/${id}`);
    const width = async () => (await page.locator(".bar-track > svg").nth(2).boundingBox())?.width ?? 0;
    const before = await width();
    await page.keyboard.press("+");
    await page.getByRole("button", { name: "Zoom in" }).click();
    expect(await page.locator("[data-zoom-level]").innerText()).toBe("4×");
    expect((await width()) / before).toBeCloseTo(4, 1);
    await page.locator("#timeline").scrollIntoViewIfNeeded();
    await picture(page, "run-zoomed-light", false);
    await stage.client.signal(id, "unheard", {}, "k1");
    await expect.poll(() => page.locator(".history .card-head .faint").innerText()).not.toBe("15 entries");
    expect((await width()) / before).toBeCloseTo(4, 1);
    await page.keyboard.press("0");
    expect((await width()) / before).toBeCloseTo(1, 1);
  });

  test("the history is narrowed to a kind, and an entry is opened as JSON", async () => {
    const { id } = await looked;
    const page = await stage.visit(`/runs/${id}`);
    await page.locator("#history").getByRole("link", { name: "children" }).click();
    await expect.poll(() => page.locator(".entry-kind").allInnerTexts()).toEqual(["child.started", "child.completed"]);
    await page.locator(".entry > summary").nth(1).click();
    const json = page.locator(".entry[open] .value");
    await json.waitFor();
    expect(await json.innerText()).toContain("tracking");
  });

  test("an open webhook has its address, a ready curl and its refused deliveries", async () => {
    const { id, waitingFor } = await journey();
    const url = waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
    await fetch(`${stage.origin}${new URL(url).pathname}`, { method: "POST", headers: { "x-forged": "1" } });
    const page = await stage.visit(`/runs/${id}`);
    const card = page.locator(".wait", { hasText: "paid" });
    await card.getByText("1 delivery was refused").waitFor();
    expect(await card.innerText()).toContain(url);
    await card.getByText("As a curl command").click();
    expect(await card.locator("pre").innerText()).toContain(`curl -X POST '${url}'`);
  });

  test.each(screens)("whoever opens an address is told in words what became of their call, %s", async (screen) => {
    const { waitingFor } = await journey();
    const url = waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
    const page = await stage.visit(new URL(url).pathname.slice(0, -2), screen);
    expect(await page.locator("h1").textContent()).toBe("Unknown address");
    expect(await page.evaluate("getComputedStyle(document.querySelector('h1')).marginTop")).toBe("0px");
    expect(await flaws(page, { name: "hook-unknown" })).toEqual([]);
    // The browser itself remarks on the status.
    expect(stage.complaints.splice(0).filter((text) => !text.includes("404"))).toEqual([]);
  });

  test("an address that leaked is revoked with a reason, and the page shows the next", async () => {
    const { id, waitingFor } = await journey();
    const url = waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
    const page = await stage.visit(`/runs/${id}`);
    const card = page.locator(".wait", { hasText: "paid" });
    const button = card.getByRole("button", { name: "Revoke the address" });
    // It is for emergencies, and not what the run waits for.
    expect(await button.getAttribute("class")).toBe("button plain");
    await button.click();
    const dialog = page.locator("dialog[open]");
    await dialog.locator("[data-header=actor]").fill("Ana Lima");
    await dialog.locator("[data-header=reason]").fill("posted in a chat");
    await dialog.locator("[data-submit]").click();
    await page.getByText("Revoked. The new address is on the page.").waitFor();
    await card.locator("code", { hasNotText: url }).first().waitFor();
    const gone = await fetch(`${stage.origin}${new URL(url).pathname}`, { method: "POST" });
    expect(gone.status).toBe(410);
    await card.getByText("1 delivery was refused").waitFor();
    expect(await card.innerText()).not.toContain(url);
  });
});

describe("actions on a run", () => {
  test("a signal is sent by the form of its schema, and the page follows", async () => {
    const { id } = await journey();
    const page = await stage.visit(`/runs/${id}`);
    await page.getByRole("button", { name: "Send approval" }).click();
    const dialog = page.locator("dialog[open]");
    await dialog.locator('[data-name="approved"] input').check();
    await dialog.locator("[data-header=actor]").fill("Ana Lima");
    await dialog.locator("[data-header=reason]").fill("checking the invoice");
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "run-signal-light", false);
    await dialog.getByRole("button", { name: "Send", exact: true }).click();
    await expect.poll(() => sentence(page)).toMatch(/^Completed in/);
    // Nothing comes after its last entry, and the browser does not come back for it.
    await page.locator("#live[data-state=ended]").waitFor();
    expect((await read(id)).output).toMatchObject({ first: "approval" });
    expect(await author(id, "signal.received")).toEqual(ana);
  });

  test("a run is paused and resumed, and the page says by whom and why, since when, and what its clock says", async () => {
    const id = await start("seen-calm");
    await runThatIs(id, "waiting");
    const page = await stage.visit(`/runs/${id}?step=nap`);
    const panel = page.locator("#panel .points");
    await page.locator(".wait", { hasText: /over in 2 days 23 h/ }).waitFor();
    await panel.getByText("in 2 days 23 h").waitFor();
    expect(await panel.textContent()).toMatch(/So far\d/);
    await act(page, "Pause", "pause", "Pause");
    await expect.poll(() => sentence(page)).toContain("by Ana Lima: checking the invoice");
    expect(await sentence(page)).toMatch(/(?:just now|\d+ s ago)$/);
    // A deadline that a pause puts off is not counted down.
    expect(await page.locator(".wait").textContent()).toMatch(/over 2 days 23 h after it is resumed$/);
    expect(await panel.textContent()).toContain("Until2 days 23 h after it is resumed");
    expect(await page.locator(".bar-row.kind-pause .bar-name").innerText()).toMatch(/^paused by\s+Ana Lima/);
    await picture(page, "run-paused-light", false);
    expect(await author(id, "run.paused")).toEqual(ana);
    await page.locator(".run-head > .row-of > button", { hasText: "Resume" }).click();
    await sign(page, "resume");
    await page.locator("#resume").getByRole("button", { name: "Resume", exact: true }).click();
    await runThatIs(id, "waiting");
    await page.locator(".wait", { hasText: /over in 2 days 23 h/ }).waitFor();
    expect(await author(id, "run.resumed")).toEqual(ana);
  });

  test("a run is cancelled; one that has ended says why it cannot be, and can be deleted", async () => {
    const id = await start("seen-calm");
    await runThatIs(id, "waiting");
    const page = await stage.visit(`/runs/${id}`);
    await act(page, "Cancel", "cancel", "Cancel the run");
    await expect.poll(() => sentence(page)).toMatch(/^Cancelled by Ana Lima: checking the invoice/);
    expect((await read(id)).status).toBe("cancelled");
    expect(await author(id, "run.cancelled")).toEqual(ana);
    const again = page.locator('[data-actions] button[data-dialog="cancel"]');
    expect(await again.getAttribute("aria-disabled")).toBe("true");
    expect(await again.getAttribute("title")).toContain("The run has ended");
    await act(page, "Delete", "delete", "Delete for ever");
    await page.waitForURL(`${stage.origin}/`);
    expect((await fetch(`${stage.origin}/v1/runs/${id}`)).status).toBe(404);
  });

  test("a run is terminated", async () => {
    const id = await start("seen-calm");
    await runThatIs(id, "waiting");
    const page = await stage.visit(`/runs/${id}`);
    await act(page, "Terminate", "terminate", "Terminate");
    await runThatIs(id, "cancelled");
    expect(await author(id, "run.cancelled")).toEqual(ana);
  });

  test("a run that is paused before it begins says how long after that it begins", async () => {
    const body = { id: "late-riser", delay: "3 days" };
    await stage.client.call({ method: "POST", path: "/v1/workflows/seen-calm/runs", body });
    await stage.client.call({ method: "POST", path: "/v1/runs/late-riser/pause" });
    const page = await stage.visit("/runs/late-riser?step=delay:start");
    expect(await page.locator(".wait").innerText()).toMatch(/begins (?:3 days|2 days 23 h) after it is resumed$/);
    // A start that is merged into it in the pause begins the delay anew, which the bar does not tell.
    expect(await page.locator("#panel .points").textContent()).toContain("Untilsome time after it is resumed");
  });

  test("a run that waits for its next attempt makes it now, but not while it is paused", async () => {
    const id = await start("seen-patient");
    await runThatIs(id, "waiting");
    await stage.client.call({ method: "POST", path: `/v1/runs/${id}/pause` });
    const page = await stage.visit(`/runs/${id}`);
    expect(await page.locator(".run-head > .row-of > button").allInnerTexts()).toEqual(["Resume"]);
    const refused = page
      .locator(".wait")
      .getByRole("button", { name: "Retry now (The run is paused: resume it first.)" });
    await refused.waitFor();
    await stage.client.call({ method: "POST", path: `/v1/runs/${id}/resume` });
    await refused.waitFor({ state: "detached" });
    expect(await sentence(page)).toContain("503 from the bank");
    await page.locator(".wait").getByRole("button", { name: "Retry now" }).click();
    await sign(page, "retry");
    await page.locator("#retry").getByRole("button", { name: "Retry", exact: true }).click();
    expect((await runThatIs(id, "completed")).output).toBe("answered");
    expect(await author(id, "run.retried")).toEqual(ana);
  });

  test("what a run waits for is counted down without asking anybody, until it is due", async () => {
    const id = await start("seen-patient");
    await runThatIs(id, "waiting");
    const page = await stage.visit(`/runs/${id}`);
    await page.clock.install();
    await page.reload();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    const before = await sentence(page);
    expect(before).toMatch(/^Next attempt of call-bank in \d+ min( \d+ s)? \(attempt 2 of 6: 503 from the bank\)$/);
    await expect
      .poll(async () => {
        asked.length = 0;
        const said = await sentence(page);
        await expect.poll(() => sentence(page)).not.toBe(said);
        return asked.length;
      })
      .toBe(0);
    // Both of one instant: a second later they say something else.
    const [left, begins] = await page.evaluate<[string, string]>(
      `["#now-sentence time", ".wait > .faint"].map((each) => document.querySelector(each).innerText)`,
    );
    expect(begins).toContain(`begins ${left}`);
    await page.clock.fastForward(10 * 60_000);
    await expect.poll(() => asked).toContain(page.url());
    expect(await sentence(page)).toContain("call-bank now (attempt 2 of 6");
  });

  test("a failed run is retried from where it failed", async () => {
    const id = await start("seen-brittle");
    await runThatIs(id, "failed");
    const page = await stage.visit(`/runs/${id}`);
    expect(await sentence(page)).toMatch(/^Failed in deliver: attempt 3 found nobody/i);
    await page.locator(".run-head > .row-of > button", { hasText: "Retry" }).click();
    await sign(page, "retry");
    await page.locator("#retry").getByRole("button", { name: "Retry", exact: true }).click();
    await expect.poll(async () => (await author(id, "run.retried"))[0]).toBe("Ana Lima");
  });

  test("a fork shows what it keeps, takes another input, and leads to the new run", async () => {
    const id = await start("seen-brittle");
    await runThatIs(id, "failed");
    const page = await stage.visit(`/runs/${id}?step=run:deliver`);
    await page.getByRole("button", { name: "Fork from here" }).click();
    const dialog = page.locator("#fork");
    await expect.poll(() => dialog.locator("[data-fork=rerun]").innerText()).toContain("deliver");
    expect(await dialog.locator("#fork-from").inputValue()).toBe("deliver");
    await dialog.getByText("Change the input").click();
    await dialog.locator("#fork-input").fill('{ "works": true }');
    await sign(page, "fork");
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "run-fork-light", false);
    await dialog.getByRole("button", { name: "Fork", exact: true }).click();
    await page.waitForURL((url) => url.pathname !== `/runs/${id}`);
    const fork = decodeURIComponent(new URL(page.url()).pathname.split("/")[2] ?? "");
    expect(await runThatIs(fork, "completed")).toMatchObject({ output: "delivered", input: { works: true } });
    const [created] = await entriesOf(fork);
    expect(created).toMatchObject({ by: "Ana Lima", fork: { id, step: "deliver", reason: "checking the invoice" } });
  });

  test("what a fork keeps is what was asked for last, also where an answer comes late", async () => {
    const id = await start("seen-journey", { order: "7", total: 12 });
    await runThatIs(id, "waiting");
    const page = await stage.visit(`/runs/${id}?step=run:charge`);
    const late = Promise.withResolvers<void>();
    await page.route(
      "**/fork?dryRun=true",
      async (route) => {
        await late.promise;
        await route.continue();
      },
      { times: 1 },
    );
    await page.getByRole("button", { name: "Fork from here" }).click();
    const kept = page.locator("#fork [data-fork=kept]");
    await page.locator("#fork-from").fill("");
    await kept.getByText("nothing").waitFor();
    const answered = page.waitForResponse("**/fork?dryRun=true");
    late.resolve();
    await (await answered).finished();
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))");
    expect(await kept.textContent()).toBe("nothing");
  });

  test("a query and an update are sent from the page, and their answers shown", async () => {
    const id = await start("seen-calm");
    await runThatIs(id, "waiting");
    const page = await stage.visit(`/runs/${id}`);
    const open = async (button: string): Promise<void> => {
      await page.locator("[data-actions] > summary").click();
      await page.locator("[data-actions]").getByRole("button", { name: button, exact: true }).click();
    };
    await open("Send an update");
    const update = page.locator("#update");
    await update.locator("#update-name").fill("say");
    await update.locator("textarea").fill('{ "word": "x" }');
    await update.locator("[data-header=actor]").fill("Ana Lima");
    await update.locator("[data-submit]").click();
    await expect.poll(() => update.innerText()).toContain("word");
    await update.locator("textarea").fill('{ "word": "ahoy" }');
    await update.locator("[data-submit]").click();
    await expect.poll(() => update.locator("[data-answer]").innerText()).toBe("1");
    expect(await author(id, "update.accepted")).toEqual(["Ana Lima", undefined]);
    // Sent once more, it is another.
    await update.locator("[data-submit]").click();
    await expect.poll(() => update.locator("[data-answer]").innerText()).toBe("2");
    expect(await accessibility(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await open("Ask a query");
    const query = page.locator("#query");
    await query.locator("#query-name").fill("wrods");
    await query.locator("[data-submit]").click();
    // Only the handler knows which it has.
    await expect.poll(() => query.locator(".problem").innerText()).toContain("words");
    await query.locator("#query-name").fill("words");
    await query.locator("[data-submit]").click();
    await expect.poll(() => query.locator("[data-answer]").innerText()).toContain("ahoy");
    await picture(page, "run-query-light", false);
    // An answer does not stay above the refusal of another question.
    await query.locator("#query-name").fill("wrods");
    await query.locator("[data-submit]").click();
    await expect.poll(() => query.locator(".problem").innerText()).toContain("words");
    expect(await query.locator("[data-answer]").isVisible()).toBe(false);
  });

  test("a refusal is shown in the dialog, and nothing is lost", async () => {
    const { id } = await journey();
    const page = await stage.visit(`/runs/${id}`);
    await page.locator("[data-actions] > summary").click();
    await page.locator("[data-actions]").getByRole("button", { name: "Send a signal" }).click();
    const dialog = page.locator("#signal");
    await dialog.locator("#signal-name").fill("approval");
    await dialog.locator("textarea").fill('{ "approved": "perhaps" }');
    await sign(page, "signal");
    await dialog.getByRole("button", { name: "Send", exact: true }).click();
    await expect.poll(() => dialog.innerText()).toContain("approved");
    expect(await dialog.isVisible()).toBe(true);
    expect(await dialog.locator("#signal-name").inputValue()).toBe("approval");
  });

  test("no page complained of anything", () => {
    const own = stage.complaints.filter((text) => !/404|422|ERR_INCOMPLETE_CHUNKED_ENCODING/.test(text));
    expect(own).toEqual([]);
  });
});
