import { expect, test } from "vitest";
import { Inbox } from "../../src/core/state/inbox.ts";
import { encode } from "../../src/core/value/value.ts";

test("what is put in comes out in order, once, however much was taken before", () => {
  const inbox = new Inbox();
  const put = (seq: number): void =>
    inbox.put({ kind: "signal.received", name: "go", payload: encode(seq, ""), by: "test", seq, at: seq });
  for (let seq = 1; seq <= 3000; seq++) put(seq);
  for (let seq = 1; seq <= 2500; seq++) expect([inbox.count, inbox.take().seq]).toEqual([3001 - seq, seq]);
  put(3001);
  expect([inbox.first?.seq, inbox.count, inbox.list().length]).toEqual([2501, 501, 501]);
  expect(inbox.list(2).map(({ seq }) => seq)).toEqual([2501, 2502]);
  for (let left = inbox.count; left > 0; left--) inbox.take();
  expect([inbox.first, inbox.count, inbox.list()]).toEqual([undefined, 0, []]);
  expect(() => inbox.take()).toThrow("never received");
});
