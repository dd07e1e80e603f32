import { describe, expect, test } from "vitest";
import * as unit from "../../src/core/duration.ts";
import { checkOptions, isPlain } from "../../src/core/option.ts";

class Settings {
  readonly limit = 4;
}

describe("what options may be", () => {
  test("any object with fields: a literal, one of a class, one without a prototype, what a module exports", () => {
    for (const options of [{ limit: 4 }, new Settings(), Object.assign(Object.create(null) as object, { limit: 4 })])
      expect(() => checkOptions(options, ["limit"], "it")).not.toThrow();
    expect(() => checkOptions(unit, Object.keys(unit), "it")).not.toThrow();
  });

  test("no list, map, date or promise, whose fields nobody would read", () => {
    for (const value of [null, ["a"], new Map(), new Date(0), Promise.resolve({}), () => 1])
      expect(isPlain(value)).toBe(false);
  });
});
