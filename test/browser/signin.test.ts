/** Signing in to the dashboard with a token, what a role may then do, and signing out. */
import { describe, expect, test } from "vitest";
import { accessibility, flaws, openStage, picture, screens, stage } from "./stage.ts";

const tokens = "read:reader-token-1,operate:operator-token-1,admin:admin-token-1";

describe("with tokens", () => {
  openStage({ AUTH: "token", API_TOKENS: tokens });

  test.each(screens)("the sign-in page is accessible and fits in light and dark, %s", async (screen) => {
    const page = await stage.visit("/sign-in", screen);
    expect(await flaws(page, { name: "sign-in" })).toEqual([]);
  });

  test("guarantee 9: whoever is not signed in is asked to, and led back to where they wanted to go", async () => {
    const page = await stage.visit("/?status=failed&workflow=greet");
    expect(new URL(page.url()).pathname).toBe("/sign-in");
    await page.getByLabel("Token").fill("admin-token-1");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Runs" }).waitFor();
    expect(page.url()).toBe(`${stage.origin}/?status=failed&workflow=greet`);
    expect(await page.evaluate("document.cookie")).not.toContain("session");
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", path: "/" });
  });

  test("a wrong token is told apart from a right one in words", async () => {
    const page = await stage.visit("/sign-in");
    await page.getByLabel("Token").fill("something else");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("not known here");
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "sign-in-wrong");
    // The browser itself remarks on the status.
    expect(stage.complaints.splice(0).filter((text) => !text.includes("401"))).toEqual([]);
  });

  test("a reader sees the runs, and why nothing can be changed", async () => {
    const page = await signIn("reader-token-1", "/?status=failed");
    await page.keyboard.press(".");
    const button = page.getByRole("button", { name: /Retry all/ });
    expect(await button.getAttribute("aria-disabled")).toBe("true");
    expect(await button.getAttribute("title")).toBe("Needs the role admin; you have read.");
    // Playwright takes aria-disabled for disabled; a person may press it all the same.
    await button.click({ force: true });
    await page.getByText("Needs the role admin; you have read.", { exact: true }).waitFor();
    expect(await page.locator("dialog[open]").count()).toBe(0);
    expect(await accessibility(page)).toEqual([]);
  });

  test("a reader sees everything of a run, may ask it, and is told of every action why it is not theirs", async () => {
    const headers = { authorization: "Bearer admin-token-1", "content-type": "application/json" };
    const body = JSON.stringify({ id: "calm" });
    await fetch(`${stage.origin}/v1/workflows/seen-calm/runs`, { method: "POST", headers, body });
    const page = await stage.visit("/runs/calm");
    await page.getByLabel("Token").fill("reader-token-1");
    await page.keyboard.press("Enter");
    await page.locator("#now-sentence").waitFor();
    expect(new URL(page.url()).pathname).toBe("/runs/calm");
    await page.keyboard.press(".");
    const buttons = page.locator("[data-actions] button");
    expect(await buttons.count()).toBe(9);
    expect(await buttons.filter({ hasText: "Ask a query" }).getAttribute("title")).toBeNull();
    for (const button of await buttons.filter({ hasNotText: "Ask a query" }).all()) {
      expect(await button.getAttribute("title")).toMatch(/^Needs the role (?:operate|admin); you have read\.$/);
    }
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "run-reader-light", false);
  });

  test("the feed of the page is read with the cookie alone", async () => {
    const page = await signIn("reader-token-1", "/");
    await page.locator("#live[data-state=live]").waitFor();
  });

  test("signed out, the pages are closed again", async () => {
    const page = await signIn("operator-token-1", "/");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL("**/sign-in");
    expect(await page.context().cookies()).toEqual([]);
    await page.goto(`${stage.origin}/`);
    expect(new URL(page.url()).pathname).toBe("/sign-in");
  });

  test("a session that ends while somebody fills in a dialog loses nothing of it, and does it once", async () => {
    const headers = { authorization: "Bearer admin-token-1", "content-type": "application/json" };
    const body = JSON.stringify({ id: "long-typed" });
    await fetch(`${stage.origin}/v1/workflows/seen-calm/runs`, { method: "POST", headers, body });
    const page = await signIn("operator-token-1", "/");
    await page.goto(`${stage.origin}/runs/long-typed`);
    await page.locator("#live[data-state=live]").waitFor();
    await page.keyboard.press(".");
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.locator("#cancel-actor").fill("Ana");
    await page.locator("#cancel-reason").fill("what is long in the typing");
    await page.context().clearCookies();
    const refreshed = page.waitForResponse("**/sign-in?*");
    await fetch(`${stage.origin}/v1/runs/long-typed/signals/hint`, { method: "POST", headers, body: "{}" });
    await refreshed;
    const keys: (string | undefined)[] = [];
    page.on("request", (request) => {
      if (request.url().endsWith("/cancel")) keys.push(request.headers()["idempotency-key"]);
    });
    await page.getByRole("button", { name: "Cancel the run" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toMatch(/^You are signed out\. Sign in in another tab/);
    const other = await page.context().newPage();
    await other.goto(`${stage.origin}/sign-in`);
    await other.getByLabel("Token").fill("operator-token-1");
    await other.keyboard.press("Enter");
    await other.getByRole("heading", { name: "Runs" }).waitFor();
    await page.getByRole("button", { name: "Cancel the run" }).click();
    await page.locator("#now-sentence", { hasText: "what is long in the typing" }).waitFor();
    // The one that was refused for it may have been the repetition of one whose answer was lost.
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    // The browser itself remarks on the status.
    expect(stage.complaints.splice(0).filter((text) => !text.includes("401"))).toEqual([]);
  });

  test("a page of another site does nothing with the cookie", async () => {
    const page = await signIn("admin-token-1", "/");
    // The same machine by another name is another site.
    const other = stage.origin.replace("127.0.0.1", "localhost");
    await page.goto(`${other}/sign-in`);
    const text = await page.evaluate<string>(
      `fetch("${stage.origin}/v1/runs/bulk", { method: "POST", mode: "no-cors", credentials: "include", body: "{}" })
        .then(() => "sent", (error) => String(error))`,
    );
    // Our own policy of that page stops it already; SameSite and Sec-Fetch-Site would.
    expect(text).toContain("TypeError");
    stage.complaints.length = 0;
  });

  test("nothing was complained of", () => {
    expect(stage.complaints).toEqual([]);
  });
});

describe("without a token configured", () => {
  openStage({ AUTH: "token" });

  test("guarantee 9: the page says what to set", async () => {
    const page = await stage.visit("/");
    expect(await page.locator("main").textContent()).toContain("API_TOKENS");
    await page.goto(`${stage.origin}/sign-in`);
    expect(await page.locator("main").textContent()).toContain("npx wrangler secret put API_TOKENS");
    expect(await accessibility(page)).toEqual([]);
    await picture(page, "sign-in-unconfigured");
  });
});

async function signIn(token: string, path: string) {
  const page = await stage.visit(path);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Runs" }).waitFor();
  return page;
}
