import { expect, it } from "vitest";
import { ask, newId } from "./client.ts";
it("hang", { timeout: 200_000 }, async () => {
  const took: string[] = [];
  const time = async (what: string, made: Promise<{status: number}>) => { const t = Date.now(); const { status } = await made; took.push(`${what} ${status} ${Date.now() - t}`); };
  await time("health", ask("GET /health"));
  await time("read", ask("GET /v1/runs/nothing"));
  await time("order", ask(`POST /v1/workflows/web-order/runs`, { json: { id: newId("o"), input: { id: "1", total: 1 } } }));
  await time("order2", ask(`POST /v1/workflows/web-order/runs`, { json: { id: newId("o"), input: { id: "1", total: 1 } } }));
  await time("echo", ask(`POST /v1/workflows/web-echo/runs?wait=10s`, { json: { id: newId("o") } }));
  expect(took).toEqual([]);
});
