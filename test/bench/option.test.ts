import { describe, expect, it } from "vitest";
import { UsageError, readOptions } from "../../bench/option.ts";

describe("the bench's command line", () => {
  it("needs nothing", () => {
    expect(readOptions([])).toEqual({ isQuick: false, json: null, deployed: null });
  });

  it("takes what it documents", () => {
    const options = readOptions(["--quick", "--json", "out.json", "--deployed", "https://bench.example.workers.dev"]);
    expect(options).toEqual({
      isQuick: true,
      json: "out.json",
      deployed: new URL("https://bench.example.workers.dev"),
    });
    expect(readOptions(["--deployed", "http://127.0.0.1:8787/"]).deployed?.port).toBe("8787");
  });

  it.each([
    [["--deployed"]],
    [["--deployed", ""]],
    [["--deployed", "--quick"]],
    [["--deployed", "bench.example.com"]],
    [["--deployed", "ftp://bench.example.com"]],
    [["--deployed", "https://bench.example.com/?a=1"]],
    [["--json", " "]],
    [["--fast"]],
    [["https://bench.example.com"]],
  ])("refuses %j", (args) => {
    expect(() => readOptions(args)).toThrow(UsageError);
  });

  it("says which flag is at fault", () => {
    expect(() => readOptions(["--fast"])).toThrow("--fast");
    expect(() => readOptions(["--deployed", "nowhere"])).toThrow(/--deployed needs an address .*"nowhere"/);
  });
});
