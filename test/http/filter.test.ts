/** Addresses of the page of runs: how forms and links write them. */
import { describe, expect, test } from "vitest";
import { queryOf, readParameters, tidy, toBulkFilter, toggle } from "../../src/http/pages/filter.ts";
import { readFilter } from "../../src/http/query.ts";

function asked(search: string) {
  return readParameters(new Request(`http://holdfast.test/${search}`));
}

describe("an address that a form wrote", () => {
  test.each([
    ["?workflow=&idPrefix=&label=", "/"],
    ["?workflow=a&status=", "/?workflow=a"],
    ["?label=team%3Dfront", "/?label.team=front"],
    ["?label=url%3Da%3Db&label.x=1", "/?label.url=a%3Db&label.x=1"],
    ["?createdAfter=2026-11-21T10:30", "/?createdAfter=2026-11-21T10%3A30%3A00Z"],
    ["?createdBefore=2026-11-21T10:30:05", "/?createdBefore=2026-11-21T10%3A30%3A05Z"],
    ["?idPrefix=+order-", "/?idPrefix=order-"],
  ])("%s is %s", (search, address) => {
    expect(tidy(new URL(`http://holdfast.test/${search}`))).toBe(address);
  });

  test.each(["", "?workflow=a&status=failed%2Cwaiting", "?createdAfter=2026-11-21T10%3A30%3A00Z", "?label.a=b+c"])(
    "%j is left as it is, and a tidy one always is",
    (search) => {
      expect(tidy(new URL(`http://holdfast.test/${search}`))).toBeNull();
    },
  );

  test("what is tidied is tidy", () => {
    const url = new URL("http://holdfast.test/?a=&label=x%3D1&createdAfter=2026-11-21T10:30");
    expect(tidy(new URL(tidy(url) ?? "", url))).toBeNull();
  });

  test("what is not known or given twice is still refused", () => {
    expect(() => asked("?colour=red")).toThrow("not known here");
    expect(() => asked("?status=failed&status=failed")).toThrow("given twice");
  });
});

describe("a link", () => {
  test("keeps the other filters and leaves the page that was turned to", () => {
    expect(queryOf(asked("?workflow=a&cursor=c1"), { status: "failed" })).toBe("?workflow=a&status=failed");
    expect(queryOf(asked("?workflow=a&status=failed"), { status: null })).toBe("?workflow=a");
    expect(queryOf(asked(""), { status: null })).toBe("");
  });

  test("of a status adds it, or takes it away", () => {
    expect(toggle([], "failed")).toBe("failed");
    expect(toggle(["waiting"], "failed")).toBe("waiting,failed");
    expect(toggle(["waiting", "failed"], "failed")).toBe("waiting");
    expect(toggle(["failed"], "failed")).toBeNull();
  });
});

test("what a bulk action is sent means the runs that are listed", () => {
  const search = "?workflow=a&status=failed&label.x=1&idPrefix=o&errorCode=e&createdAfter=2026-11-21T10:30:00Z";
  expect(toBulkFilter(readFilter(asked(search)))).toEqual({
    workflow: "a",
    status: ["failed"],
    labels: { x: "1" },
    idPrefix: "o",
    errorCode: "e",
    createdAfter: "2026-11-21T10:30:00.000Z",
  });
});
