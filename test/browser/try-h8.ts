import { Stage, accessibility, isTooWide, picture, until, variants } from "./stage.ts";
const stage = await Stage.open(["AUTH:none"]);
console.log(stage.origin);
const c = stage.client;
for (let i = 0; i < 14; i++) await c.start("send-mail", `mail-${i}`, { to: "a", fails: i % 5 === 0, bounces: i % 3, hold: i === 11 || i > 11 });
for (let i = 0; i < 4; i++) await c.start("place-order", `order-${i}`, { customer: "a@example.com", total: 2, channel: "web", items: [{ sku: "AB-1", count: 1 }], payment: { kind: "card", last4: "1234" } });
await until(async () => (await c.call<any>({ method: "GET", path: "/v1/runs?limit=50&status=completed" })).runs.length, (n) => n >= 10).catch(console.log);
const which = process.argv[2]?.split(",") ?? ["/workflows", "/workflows/send-mail", "/workflows/place-order", "/schedules", "/lanes", "/stats"];
const vs = (process.argv[3]?.split(",") ?? variants) as any;
for (const path of which) for (const v of vs) {
  const page = await stage.visit(path, v);
  await page.waitForTimeout(300);
  await picture(page, `try${path.replaceAll("/", "-")}-${v}`);
  console.log(path, v, await isTooWide(page), await accessibility(page), stage.complaints.splice(0));
  await stage.leave(page);
}
await stage.close();
