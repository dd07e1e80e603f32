/** Errors on a page. */
import { expect, test } from "vitest";
import type { StoredError } from "../../src/core/error.ts";
import { storeError } from "../../src/core/error.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import { Fault } from "../../src/http/pages/fault.tsx";
import { Summary } from "../../src/http/pages/summary.tsx";

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

test("of a chain of causes the root is open, with the child run that it happened in, and those between are a click away", async () => {
  const failed = (child: string, cause: StoredError): StoredError => {
    return { name: "ChildFailed", message: `${child} failed`, code: "child_failed", child, cause };
  };
  const root: StoredError = { name: "Error", message: "the account is locked" };
  const html = String(await Fault({ error: failed("a", failed("b", failed("c", root))) }));
  expect(html).toMatch(/<summary>2 causes between<\/summary>.*b failed.*c failed.*<\/details>.*the account is locked/);
  expect(html.split("</details>")[1]).toContain('Caused by run <a href="/runs/c">c</a>');
  expect(String(await Fault({ error: failed("b", failed("c", root)) }))).not.toContain("<details");
});

test("a chain of children that is too long to be kept is not said to have begun in the last that is kept", async () => {
  const said = async (generations: number, root = new Error("the account is locked")): Promise<string> => {
    let cause = root;
    for (let child = generations; child > 0; child--) {
      const error = new Error(`run ${child} failed`, { cause });
      cause = Object.assign(error, { code: "child_failed", child: `run-${child}` });
    }
    const run = {
      id: "run-0",
      status: "failed",
      error: storeError(cause),
      createdAt: 0,
      finishedAt: 1,
      active: [],
      progress: null,
    };
    const html = String(await Summary({ run: run as unknown as RunSnapshot, pausedAt: null, workflow: null }));
    return html.replaceAll(/<[^>]*>/g, "");
  };
  expect(await said(8)).toMatch(/Failed: the account is locked .*It happened in run run-8, 8 generations down\.$/);
  expect(await said(9)).toMatch(/It happened in a child of run run-8, or further down: .* 8 generations are kept\.$/);
  expect(await said(12)).toMatch(/It happened in a child of run run-8, or further down: .* 8 generations are kept\.$/);
  const refused = Object.assign(new Error("no child could be started"), { code: "child_failed" });
  expect(await said(8, refused)).toMatch(/It happened in run run-8, 8 generations down\.$/);
});

test("a long message is cut, and a click away as a whole", async () => {
  const html = String(await Fault({ error: { name: "Error", message: `${"x".repeat(5000)} the end` } }));
  const [open = "", folded = ""] = html.split("<details");
  expect(open.length).toBeLessThan(1000);
  expect(folded).toContain("<summary>All 5008 characters</summary>");
  expect(folded).toContain("the end");
});
