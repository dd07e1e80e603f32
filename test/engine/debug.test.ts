import { test } from "vitest";
import { makeProgram } from "./program.ts";
import { checkProgram } from "./crash.ts";
test("show", async () => {
  const p = makeProgram(Number(process.env["CRASH_SEED"]));
  console.warn(JSON.stringify(p, null, 1).replace(/\n\s+(?=["\d}\]])/g, " "));
  await checkProgram(p, 1);
});
