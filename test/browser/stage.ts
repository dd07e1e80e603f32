/**
 * A Worker in workerd and a real Chromium in front of it: pages of several kinds, what they complained of,
 * what axe finds on them, and pictures of them in test-results/screenshots. wrangler would answer the same ten
 * times as slowly; that a page comes through it too is what `npm start` is tested for.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { Client } from "../outside/client.ts";
import { root } from "../outside/program.ts";
import { Runtime } from "../outside/runtime.ts";
import { launch } from "./chromium.ts";

/** What somebody looks at the page on: a big screen with a pointer, or a phone. */
export type Screen = "desk" | "phone";

export const screens: readonly Screen[] = ["desk", "phone"];

/** How the machine of the reader wants pages to look. */
type Colours = "light" | "dark";

/** The ending of a picture's name. */
const variants = {
  desk: { light: "light", dark: "dark" },
  phone: { light: "phone", dark: "phone-dark" },
} as const;

const phoneWidth = 360;
const pictures = join(root, "test-results", "screenshots");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class Stage {
  readonly runtime: Runtime;
  readonly browser: Browser;
  /** Calls of the API, made without the browser. */
  readonly client: Client;
  /** What any page of this stage complained of: errors, refused resources, breaches of the policy. */
  readonly complaints: string[] = [];
  readonly #contexts: BrowserContext[] = [];

  private constructor(runtime: Runtime, browser: Browser) {
    this.runtime = runtime;
    this.browser = browser;
    this.client = new Client(runtime.origin);
  }

  /**
   * @param variables of the Worker; those of the runtime (AUTH: "none") count less
   * @param worker the file of it, beside this one
   */
  static async open(variables: Readonly<Record<string, string>> = {}, worker = "worker.ts"): Promise<Stage> {
    const file = join(import.meta.dirname, worker);
    const [browser, runtime] = await Promise.all([launch(), Runtime.build(file, variables)]);
    await runtime.start();
    return new Stage(runtime, browser);
  }

  get origin(): string {
    return this.runtime.origin;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.runtime.discard();
  }

  /** A page of its own browser profile, in light colours. */
  async visit(path: string, screen: Screen = "desk"): Promise<Page> {
    const context = await this.browser.newContext(settings(screen));
    this.#contexts.push(context);
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    await page.goto(`${this.origin}${path}`);
    return page;
  }

  /** How many runs the listing has, which may be late by a moment. @param status and what else follows it in the query */
  async count(status: string): Promise<number> {
    const path = `/v1/directory/counts?status=${status}`;
    return (await this.client.call<{ total: number }>({ method: "GET", path })).total;
  }

  /** Resolves once the listing has so many. */
  async listed(status: string, total: number): Promise<void> {
    await until(
      () => this.count(status),
      (count) => count === total,
    );
  }

  /** Ends all pages and their profiles, so that their feeds and timers end too. */
  async leave(): Promise<void> {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }
}

/** That of the file or block that calls {@link openStage}, from its first hook on. */
export let stage: Stage;

/** Opens a stage before the tests, leaves its pages after each of them, and closes it in the end. */
export function openStage(...options: Parameters<typeof Stage.open>): void {
  beforeAll(async () => {
    stage = await Stage.open(...options);
  });
  afterEach(() => stage.leave());
  afterAll(() => stage.close());
}

function settings(screen: Screen) {
  const isPhone = screen === "phone";
  return {
    colorScheme: "light" as const,
    viewport: isPhone ? { width: phoneWidth, height: 740 } : { width: 1280, height: 800 },
    deviceScaleFactor: isPhone ? 2 : 1,
    ...(isPhone ? { isMobile: true, hasTouch: true } : {}),
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
  };
}

/** What is wrong with the page for people who do not see it as others do; nothing when all is well. */
export async function accessibility(page: Page): Promise<string[]> {
  if ((await page.evaluate("typeof axe")) === "undefined") await page.evaluate(axe);
  // As text: the function runs in the page, whose types are not those of Node.
  return await page.evaluate<string[]>(`axe
    .run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })
    .then(({ violations }) => violations.flatMap(({ id, help, nodes }) =>
      nodes.slice(0, 5).map((node) => id + ": " + help + " – " + node.html.slice(0, 160) + " " + (node.failureSummary ?? ""))))`);
}

/** Whether anything reaches beyond the right edge of the screen. */
export async function isTooWide(page: Page): Promise<boolean> {
  const wanted = page.viewportSize()?.width ?? 0;
  const [content, room, window] = await page.evaluate<[number, number, number]>(
    "[document.documentElement.scrollWidth, document.documentElement.clientWidth, innerWidth]",
  );
  // Around what is too wide for it, a phone makes its window wider.
  return content > room || window > wanted;
}

type Look = {
  /** What every picture's name begins with: the variant follows. */
  readonly name: string;
  /** Both, unless it says which. */
  readonly colours?: readonly Colours[];
  /** The picture shows the whole page unless this is false. */
  readonly fullPage?: boolean;
  /** Brings the page into the state that is looked at; done again for each of the colours. */
  readonly prepare?: () => Promise<void>;
};

/**
 * Looks at the page in light and in dark colours, and takes a picture of each.
 * @returns what is wrong with it, each begun by the variant: what axe finds, and that it is too wide; nothing when all is well
 */
export async function flaws(page: Page, look: Look): Promise<string[]> {
  const { name, colours = ["light", "dark"], fullPage = true, prepare } = look;
  const found: string[] = [];
  for (const colour of colours) {
    await page.emulateMedia({ colorScheme: colour });
    await prepare?.();
    const variant = variants[page.viewportSize()?.width === phoneWidth ? "phone" : "desk"][colour];
    found.push(...(await accessibility(page)).map((text) => `${variant}: ${text}`));
    if (await isTooWide(page)) found.push(`${variant}: something reaches beyond the right edge`);
    if (fullPage) await page.evaluate("scrollTo(0, 0)");
    await picture(page, `${name}-${variant}`, fullPage);
  }
  return found;
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
  withinMs = 60_000,
): Promise<Value> {
  const giveUpAt = Date.now() + withinMs;
  for (;;) {
    const value = await ask();
    if (isRight(value)) return value;
    if (Date.now() > giveUpAt) throw new Error(`still ${JSON.stringify(value)}`);
    await pause(50);
  }
}
