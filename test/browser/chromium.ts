/** The browser that the pages are shown in: where it is, and what it is started with. */
import { existsSync } from "node:fs";
import chromium from "@sparticuz/chromium";
import { chromium as driver } from "playwright-core";
import type { Browser } from "playwright-core";

/** Once, before any file of tests: the one among the dependencies is unpacked, and nobody may start half of it. */
export default async function setup(): Promise<void> {
  if (installed() === undefined) await chromium.executablePath();
}

/** A Chrome of the machine is preferred; otherwise the one among the dependencies. */
export async function launch(): Promise<Browser> {
  const executablePath = installed();
  if (executablePath !== undefined) {
    return await driver.launch({ executablePath, args: ["--no-sandbox", ...drawing] });
  }
  const args = chromium.args.filter((flag) => !unwanted.some((each) => flag.startsWith(`--${each}`)));
  return await driver.launch({ executablePath: await chromium.executablePath(), args: [...args, ...drawing] });
}

function installed(): string | undefined {
  return [process.env["CHROME_PATH"] ?? "", "/usr/bin/google-chrome"].find((path) => existsSync(path));
}

/** The second: a frame is complete before it is shown, or else pictures lack what was not drawn in time. */
const drawing = ["--disable-gpu", "--run-all-compositor-stages-before-draw"];

/** Flags that the Chromium among the dependencies comes with. */
const unwanted = [
  // They switch off what the tests are about: the borders between sites.
  ...["disable-web-security", "single-process", "headless", "disable-site-isolation", "allow-running-insecure"],
  // They draw everything with a graphics card made of software, which takes three times as long as none.
  ...["ignore-gpu-blocklist", "in-process-gpu", "use-gl", "use-angle", "enable-unsafe-swiftshader"],
];
