/** Holds the house together: floors, names, sizes and pins, as CONTRIBUTING.md describes them. */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, readdirSync } from "node:fs";
import { join, sep } from "node:path";
import { describe, expect, test } from "vitest";
import { check, rules } from "./house/rules.ts";
import { parse } from "./house/source.ts";
import type { Source } from "./house/source.ts";

const root = join(import.meta.dirname, "..");
const sources = globSync("{src,examples,bench,scripts}/**/*.{ts,tsx,mjs}", { cwd: root })
  .map((path) => path.split(sep).join("/"))
  .toSorted()
  .map((path) => parse(path, readFileSync(join(root, path), "utf8")));

describe.each(rules)("$name", (rule) => {
  test("a file that breaks the rule is found", () => {
    expect(check(rule, parse(rule.broken.path, rule.broken.text))).not.toEqual([]);
  });

  test("the tree keeps it", () => {
    expect(sources.flatMap((source) => check(rule, source))).toEqual([]);
  });
});

describe("docs/design.md tells where each file is to be looked for", () => {
  const design = readFileSync(join(root, "docs/design.md"), "utf8");

  test.each([
    ["Where the words are", "core"],
    ["Where one run is", "engine"],
    ["Where the objects are", "objects"],
  ])("%s", (title, floor) => {
    const section = design.split("\n## ").find((each) => each.startsWith(title)) ?? "";
    const rows = section.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| folder"));
    const named = rows.flatMap((row) => {
      const [, first = "", ...rest] = row.split("|");
      const folder = /`([a-z]+\/)`/.exec(first)?.[1] ?? "";
      return [...rest.join("|").matchAll(/`([a-z]+)`/g)].map(([, name]) => folder + name);
    });
    const files = readdirSync(join(root, "src", floor), { recursive: true, encoding: "utf8" })
      .filter((path) => /\.[jt]s$/.test(path))
      .map((path) => path.replaceAll("\\", "/").replace(/(?:\.d)?\.[jt]s$/, ""));
    expect(named.toSorted()).toEqual([...new Set(files)].toSorted());
  });
});

test("what the browser is served is what its source says", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/pages.ts", "--check"], { cwd: root });
  expect([status, String(stderr)]).toEqual([0, ""]);
});

describe("no import cycles, of types either", () => {
  test("a cycle is found", () => {
    const one = parse("src/core/one.ts", `import type { Two } from "./two.ts"; export type One = Two;`);
    const two = parse("src/core/two.ts", `import type { One } from "./one.ts"; export type Two = One;`);
    expect(cycles([one, two])).toEqual(["src/core/one.ts → src/core/two.ts → src/core/one.ts"]);
  });

  test("the tree has none", () => {
    expect(cycles(sources)).toEqual([]);
  });
});

describe("the lock file installs everywhere", () => {
  const packages = readPackages();
  const paths = Object.keys(packages);

  test("there is one runtime", () => {
    expect(paths.filter((path) => /(?:^|\/)node_modules\/workerd$/.test(path))).toEqual(["node_modules/workerd"]);
  });

  test("the builds for Macs and Windows are in it", () => {
    const builds = ["darwin-64", "darwin-arm64", "windows-64"].map(
      (build) => `node_modules/@cloudflare/workerd-${build}`,
    );
    expect(builds.map((build) => packages[build]?.version)).toEqual(
      builds.map(() => packages["node_modules/workerd"]?.version),
    );
  });

  // Without these entries `npm ci` refuses the lock file altogether.
  test("every optional dependency has an entry", () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter((name) => !isPresent(packages, path, name)),
    );
    expect(missing).toEqual([]);
  });

  test("it names no download hosts", () => {
    expect(paths.filter((path) => packages[path]?.resolved?.startsWith("http"))).toEqual([]);
  });
});

/** Each cycle once, from the file that was read first. */
function cycles(files: readonly Source[]): string[] {
  const targets = new Map(files.map(({ path, imports }) => [path, imports.flatMap((each) => each.path ?? [])]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return found;
}

type Package = { version?: string; resolved?: string; optionalDependencies?: Record<string, string> };

function readPackages(): Record<string, Package> {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Package>;
  };
  return lock.packages;
}

/** Looked for as Node does: in the package's own folder, then in each one further up. */
function isPresent(packages: Record<string, Package>, path: string, name: string): boolean {
  const parts = path.split("/node_modules/");
  const folders = [...parts.map((_, index) => parts.slice(0, parts.length - index).join("/node_modules/")), ""];
  return folders.some((folder) => `${folder === "" ? "" : `${folder}/`}node_modules/${name}` in packages);
}
