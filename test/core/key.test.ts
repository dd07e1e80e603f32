/** What is called after an Idempotency-Key. */
import { describe, expect, it } from "vitest";
import { isKeyName, isMeant, keyName, keyedRunId, objectName } from "../../src/core/run/key.ts";
import { checkRunId, newRunId } from "../../src/core/name.ts";

const digest = "9f86d081884c7d659a2feaa0c55ad015";
const name = keyName(digest);

describe("the id of a run that is made for a key", () => {
  it("is a run id that sorts by its time, also among those of runs without a key", () => {
    const at = Date.UTC(2026, 0, 1);
    const ids = Array.from({ length: 20 }, (_, n) =>
      n % 2 === 0 ? keyedRunId(name, at + n) : newRunId(at + n, crypto.getRandomValues(new Uint8Array(10))),
    );
    expect(ids.toSorted()).toEqual(ids);
    for (const id of ids) expect(checkRunId(id)).toBe(id);
    expect(keyedRunId(name, at)).toBe(`01KDVDNA00-${digest}`);
  });

  it("leads to the key's object, whenever it was made", () => {
    for (const at of [0, 1, Date.now(), 2 ** 48 - 1]) expect(objectName(keyedRunId(name, at))).toBe(name);
    expect([isKeyName(name), isKeyName(keyedRunId(name, 1)), isKeyName(undefined)]).toEqual([true, false, false]);
  });

  it("is meant by itself alone, but for the name of the object, which has one run at a time", () => {
    const [one, other] = [keyedRunId(name, 1), keyedRunId(name, 2)];
    expect([isMeant(one, one), isMeant(name, one), isMeant(one, other), isMeant(one, name)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});

it("any other id is called as its object is", () => {
  const made = newRunId(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
  const time = made.slice(0, 10);
  const others = [
    ...[made, "order-7", name, `${made}-${digest}`, `${time}-${digest}0`, `${time}-${digest.slice(1)}`],
    ...[`${time}-${digest.toUpperCase()}`, `${time.toLowerCase()}-${digest}`, `8${time.slice(1)}-${digest}`],
    ...[`${time}.${digest}`, `${time}${digest}`, ` ${time}-${digest}`, `${time}-${digest}\n`],
  ];
  for (const id of others) expect(objectName(id)).toBe(id);
});
