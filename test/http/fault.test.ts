/** Errors on a page. */
import { expect, test } from "vitest";
import { Fault } from "../../src/http/pages/fault.tsx";

test("of many failed items the first three are open, so that the timeline is not far below; the others are a click away", async () => {
  const errors = Array.from({ length: 25 }, (_, index) => ({ name: "Error", message: `no. ${index}`, index }));
  const html = String(await Fault({ error: { name: "HoldfastError", message: "25 items failed", errors } }));
  const [open = "", folded = ""] = html.split("<details");
  expect(open.match(/no\. \d+/g)).toEqual(["no. 0", "no. 1", "no. 2"]);
  expect(folded).toContain("<summary>17 more</summary>");
  expect(folded.match(/no\. \d+/g)).toHaveLength(17);
  expect(html).toContain("… 5 more");
});

test("few failed items are all open", async () => {
  const errors = [1, 2, 3].map((index) => ({ name: "Error", message: `no. ${index}`, index }));
  const html = String(await Fault({ error: { name: "HoldfastError", message: "3 items failed", errors } }));
  expect(html).not.toContain("<details");
});
