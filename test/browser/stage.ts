/**
 * A Worker under `wrangler dev` and a real Chromium in front of it: pages of several kinds, what they
 * complained of, what axe finds on them, and pictures of them in test-results/screenshots.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import chromium from "@sparticuz/chromium";
import { chromium as driver } from "playwright-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { Client } from "../outside/client.ts";
import { Laptop } from "../outside/laptop.ts";
import { root } from "../outside/program.ts";

/** How somebody looks at the page. */
export type Variant = "light" | "dark" | "phone" | "phone-dark";

export const variants: readonly Variant[] = ["light", "dark", "phone", "phone-dark"];

const pictures = join(root, "test-results", "screenshots");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Stage {
  readonly laptop: Laptop;
  readonly browser: Browser;
  /** Calls of the API, made without the browser. */
  readonly client: Client;
  /** What any page of this stage complained of: errors, refused resources, breaches of the policy. */
  readonly complaints: string[] = [];
  readonly #contexts: BrowserContext[] = [];

  private constructor(laptop: Laptop, browser: Browser) {
    this.laptop = laptop;
    this.browser = browser;
    this.client = new Client(laptop.origin);
  }

  /** @param variables of the Worker, as NAME:value; those of the laptop (AUTH:none) count less */
  static async open(variables: readonly string[] = []): Promise<Stage> {
    const laptop = await Laptop.unpack([], join(import.meta.dirname, "worker.ts"));
    const [browser] = await Promise.all([launch(), laptop.start(variables)]);
    return new Stage(laptop, browser);
  }

  get origin(): string {
    return this.laptop.origin;
  }

  async close(): Promise<void> {
    await Promise.all(this.#contexts.map((context) => context.close()));
    await this.browser.close();
    await this.laptop.discard();
  }

  /** A page of its own browser profile. */
  async visit(path: string, variant: Variant = "light"): Promise<Page> {
    const context = await this.browser.newContext(settings(variant));
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    await page.goto(`${this.origin}${path}`);
    return page;
  }

  /** Ends the page and its profile, so that its feeds and timers end too. */
  async leave(page: Page): Promise<void> {
    await page.context().close();
  }
}

/** A Chrome of the machine is preferred; otherwise the one among the dependencies. */
async function launch(): Promise<Browser> {
  const installed = [process.env["CHROME_PATH"] ?? "", "/usr/bin/google-chrome"].find((path) => existsSync(path));
  if (installed !== undefined) return await driver.launch({ executablePath: installed, args: ["--no-sandbox"] });
  // Its own flags switch off what the tests are about: the borders between sites.
  const args = chromium.args.filter(
    (flag) =>
      !/^--(?:disable-web-security|single-process|headless|disable-site-isolation|allow-running-insecure)/.test(flag),
  );
  return await driver.launch({ executablePath: await chromium.executablePath(), args });
}

function settings(variant: Variant) {
  const isPhone = variant.startsWith("phone");
  return {
    colorScheme: variant.endsWith("dark") ? ("dark" as const) : ("light" as const),
    viewport: isPhone ? { width: 360, height: 740 } : { width: 1280, height: 800 },
    deviceScaleFactor: isPhone ? 2 : 1,
    ...(isPhone ? { isMobile: true, hasTouch: true } : {}),
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
  };
}

/** What is wrong with the page for people who do not see it as others do; nothing when all is well. */
export async function accessibility(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  // As text: the function runs in the page, whose types are not those of Node.
  return await page.evaluate<string[]>(`axe
    .run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })
    .then(({ violations }) => violations.flatMap(({ id, help, nodes }) =>
      nodes.slice(0, 5).map((node) => id + ": " + help + " – " + node.html.slice(0, 160) + " " + (node.failureSummary ?? ""))))`);
}

/** Whether anything reaches beyond the right edge of the screen. */
export async function isTooWide(page: Page): Promise<boolean> {
  return await page.evaluate<boolean>("document.documentElement.scrollWidth > document.documentElement.clientWidth");
}

/** A picture, test-results/screenshots/<name>.png. */
export async function picture(page: Page, name: string, fullPage = true): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage, animations: "disabled" });
}

/** Asks until the answer is the one that is wanted. @returns it @throws with the last answer after `withinMs` */
export async function until<Value>(
  ask: () => Promise<Value>,
  isRight: (value: Value) => boolean,
  withinMs = 10_000,
): Promise<Value> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    const value = await ask();
    if (isRight(value)) return value;
    if (Date.now() > giveUpAt) throw new Error(`still ${JSON.stringify(value)}`);
    await pause(50);
  }
}
