/** What a stand-in may answer to a request, and what is no answer. */
import { defineWorkflow } from "holdfast";
import { rehearse } from "holdfast/testing";
import { expect, test } from "vitest";

const asking = defineWorkflow("asking", {
  handler: async (_input: undefined, step) => {
    const one = await step.fetch("ask", "https://api.example.com/1");
    const two = await step.fetch("ask", "https://api.example.com/2");
    return [one.status, one.body, two.status, two.body];
  },
});

test("what is no answer is refused: it was one of status 200 without a body", async () => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [5, "answers 5"],
    ["ok", "answers ok"],
    [{ ok: true }, "answers { ok }"],
    [{ status: 200, json: {} }, "answers { status, json }"],
    [[1], "answers { 0 }"],
    [new Map(), "answers {  }"],
  ];
  for (const [answer, why] of wrong) {
    await expect(rehearse(asking, undefined, { steps: { ask: () => answer } })).rejects.toThrow(
      `the stand-in of step ask ${why}: a request is answered by a Response, or by { status?, headers?, body? }`,
    );
  }
  expect((await rehearse(asking, undefined, { steps: { ask: () => {} } })).output).toEqual([200, null, 200, null]);
});

test("a response that is a constant answers every request, whoever dies meanwhile", async () => {
  const constant = Response.json({ id: 7 });
  const run = await rehearse(asking, undefined, { steps: { ask: () => constant } });
  await run.end();
  expect(run.output).toEqual([200, { id: 7 }, 200, { id: 7 }]);
  await run.crashEverywhere();
});

test("an answer that no result can be made of fails the step at once, as it does in earnest", async () => {
  let answers = 0;
  const headers = { "content-type": "application/json" };
  const ask = (): Response => {
    answers++;
    return new Response('{"__proto__":1}', { headers });
  };
  const run = await rehearse(asking, undefined, { steps: { ask } });
  await run.end();
  expect([run.status, run.error?.code, run.error?.step, answers]).toEqual(["failed", "value_uncloneable", "ask", 1]);
});
