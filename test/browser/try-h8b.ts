import { Stage, accessibility, isTooWide, picture, until, variants } from "./stage.ts";
const stage = await Stage.open(["AUTH:none"]);
const c = stage.client;
for (let i = 0; i < 6; i++) await c.start("send-mail", `mail-${i}`, { to: "a", fails: i % 5 === 0, bounces: i % 3, hold: i > 2 });
async function shot(page: any, name: string) { await page.waitForTimeout(300); await picture(page, name, true); console.log(name, await isTooWide(page), await accessibility(page), stage.complaints.splice(0)); }
for (const v of ["light", "phone-dark"] as const) {
  let page = await stage.visit("/workflows/place-order", v);
  await page.getByRole("button", { name: "Start a run" }).click();
  await page.waitForTimeout(200);
  await picture(page, `try-start0-${v}`, false);
  await page.evaluate(`for (const d of document.querySelectorAll("#start details")) d.open = true; const s = document.getElementById("start"); s.style.maxHeight = "none"; s.style.position="absolute"; s.style.top="0"; for (const b of document.querySelectorAll("#start [data-add]")) b.click(); for (const x of document.querySelectorAll("#start select[data-given]")) {x.value="given"; x.dispatchEvent(new Event("change", {bubbles:true}))}`);
  await page.setViewportSize({ width: v === "light" ? 1000 : 360, height: 2600 });
  await shot(page, `try-start-${v}`);
  await stage.leave(page);
  page = await stage.visit("/schedules", v);
  await shot(page, `try-schedules-${v}`);
  await page.getByRole("button", { name: "New schedule" }).click();
  await page.setViewportSize({ width: v === "light" ? 1000 : 360, height: 1200 });
  await shot(page, `try-create-${v}`);
  await stage.leave(page);
  for (const path of ["/stats", "/workflows", "/lanes"]) { page = await stage.visit(path, v); await shot(page, `try${path.replaceAll("/", "-")}-${v}`); await stage.leave(page); }
}
await stage.close();
