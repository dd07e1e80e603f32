import { abortAllDurableObjects } from "cloudflare:test";
import { expect, it } from "vitest";
import { ask, newId } from "./client.ts";
it("hang", { timeout: 200_000 }, async () => {
  const late: string[] = [];
  for (let round = 0; round < 6; round++) {
    const all = ["asks-cart", "web-sleeper", "web-hook", "approval"].flatMap((w) => [0, 1, 2, 3].map(async (n) => {
      await new Promise((r) => setTimeout(r, n * 300));
      const began = Date.now();
      const how = await Promise.race([
        ask(`POST /v1/workflows/${w}/runs?wait=1s`, { json: { id: newId(w), input: {} } }).then(({ status, body }) => `${status} ${String(body["code"])}`, String),
        new Promise<string>((r) => setTimeout(r, 25_000, "LATE")),
      ]);
      late.push(`${w} ${n} ${how} ${Date.now() - began}`);
    }));
    await new Promise((r) => setTimeout(r, 700 + round * 50));
    await abortAllDurableObjects();
    await Promise.all(all);
  }
  expect(late.filter((x) => x.includes("LATE") || true)).toEqual([]);
});
