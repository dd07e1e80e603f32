/** The variables of the Worker that is tested. What a test changes is as before again after it. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach } from "vitest";

export const settings = env as unknown as Record<string, string | undefined>;

let found: typeof settings = {};

beforeEach(() => {
  found = { ...settings };
});

afterEach(() => {
  for (const name of Object.keys(settings)) if (!Object.hasOwn(found, name)) delete settings[name];
  Object.assign(settings, found);
});
