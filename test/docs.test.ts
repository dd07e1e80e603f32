/** What the docs show is there: links, files, commands, routes with their roles, codes, and TypeScript that compiles. */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseConfig, signingSecrets } from "../src/http/config.ts";
import { statuses } from "../src/http/problem.ts";
import { expectedRoles } from "./http/roles.ts";

type Page = { readonly path: string; readonly text: string };

const root = join(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const paths = ["README.md", "CONTRIBUTING.md", "bench/README.md", ...globSync("docs/**/*.md", { cwd: root })];
const pages: readonly Page[] = paths.map((path) => ({ path, text: read(path) }));
const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
const shapes = new Set(Object.keys(expectedRoles).map(shape));
const patterns = [...shapes].map((route) => new RegExp(`^${route.replace(/^\w+ /, "").replaceAll(":", "[^/]+")}$`));

describe.each(pages)("$path", ({ path, text }) => {
  const all = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, found = ""]) => found);

  test("links to pages and headings that are there, names files, commands, routes and addresses that are", () => {
    const links = all(/\]\((?!https?:)([^)\s]+)\)/g).filter((link) => !leadsSomewhere(path, link));
    const files = all(/`((?:src|test|bench|scripts|examples|docs)\/[\w./-]+)`/g).filter((file) => !isThere(file));
    const commands = all(/npm run (?!-)([\w-]+)/g).filter((name) => !(name in scripts));
    const named = all(/`((?:GET|POST|PATCH|DELETE|ANY) \/[^\s`?]*)/g).filter((route) => !route.includes("…"));
    const routes = named.filter((route) => !shapes.has(shape(route)));
    const called = all(/(?:localhost:8787|\.example\.com)(\/(?:v1|hooks|webhooks|metrics)\/?[^\s"'`?]*)/g);
    const addresses = called.filter((address) => !patterns.some((pattern) => pattern.test(address)));
    expect(Object.values({ links, files, commands, routes, addresses }).flat()).toEqual([]);
  });

  // What `npm run scale` writes has its paragraphs on one line each.
  test.skipIf(path === "docs/scale.md")("prose is wrapped at 120 characters", () => {
    const prose = text.replaceAll(/^ *```[^]*?^ *```/gm, "").split("\n");
    const isLong = (line: string): boolean => line.length > 120 && !line.startsWith("|") && line.trim().includes(" ");
    expect(prose.filter(isLong)).toEqual([]);
  });
});

test("comments name files that are there", () => {
  const files = globSync("{src,bench,scripts,examples,test}/**/*.ts", { cwd: root });
  const isOne = (name: string): boolean => files.some((file) => `/${file}`.endsWith(`/${name}`));
  const stray = files.flatMap((path) => {
    const comments = read(path)
      .split("\n")
      .filter((line) => /^\s*(?:\/\/|\/?\*)/.test(line));
    const named = comments.flatMap((line) => [...line.matchAll(/`((?:[\w-]+\/)*[\w.-]+\.ts)`/g)]);
    return named.flatMap(([, name = ""]) => (isOne(name) ? [] : `${path} names ${name}`));
  });
  expect(stray).toEqual([]);
});

test("the README has every variable of wrangler.toml, and no other", () => {
  const listed = [...read("wrangler.toml").matchAll(/^(?:# )?([A-Z][A-Z_]+)(?: = | +[A-Z][a-z])/gm)].map(
    ([, name = ""]) => name,
  );
  const [, section = ""] = read("README.md").split("\n## Configuration\n");
  const told = [...(section.split("\n## ")[0] ?? "").matchAll(/`([A-Z][A-Z_]+)`/g)].map(([, name = ""]) => name);
  expect([...new Set(told)].toSorted()).toEqual(listed.toSorted());
});

test("what the docs give SIGNING_SECRET signs: a comma would make two secrets of it", () => {
  const given = pages.flatMap(({ text }) => [...text.matchAll(/\bSIGNING_SECRET(?:=|: ")(.+?)(?:"|\s+#)/g)]);
  expect(given.length).toBeGreaterThan(1);
  for (const [, secret = ""] of given) {
    expect(signingSecrets(parseConfig({ AUTH: "none", SIGNING_SECRET: secret }))).toEqual([secret]);
  }
});

describe("docs/api.md", () => {
  test("has every route of the API, with the role that it needs", () => {
    const rows = rowsOf("Routes").map(([route = "", role = ""]) => [
      shape(route.replace(/\?.*$/, "")),
      role === "–" ? "open" : role,
    ]);
    const api = Object.entries(expectedRoles).filter(([route]) =>
      / \/(?:v1\/|health|metrics|openapi|hooks|webhooks)/.test(route),
    );
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(api.map(([route, role]) => [shape(route), role])));
  });

  test("has every code, those of requests with their status", () => {
    const rows = rowsOf("Errors");
    const told = Object.fromEntries(rows.map(([code = "", status = ""]) => [code, Number(status) || 500]));
    expect(told).toEqual(statuses);
  });
});

describe("TypeScript of the docs", () => {
  const folder = join(root, "test-results", "snippets");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("compiles", () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const snippets = pages.flatMap(snippetsOf);
    for (const { path, text } of snippets) writeFileSync(join(folder, path), text);
    writeFileSync(join(folder, "workflows.ts"), snippets[0]?.text ?? "");
    writeFileSync(join(folder, "basket.ts"), "export class Basket {}");
    writeFileSync(join(folder, "given.d.ts"), read("test/docs/given.d.ts"));
    const compilerOptions = { noUnusedLocals: false, noUnusedParameters: false, noImplicitReturns: false };
    const config = { extends: "../../test/tsconfig.json", compilerOptions, include: ["."] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { cwd: folder, encoding: "utf8" });
    expect(snippets.length).toBeGreaterThan(25);
    expect(stdout).toBe("");
  });
});

/** Each as a module of its own, called by its page and line, and as far down in it as on its page. */
function snippetsOf({ path, text }: Page): Page[] {
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(({ 1: code = "", index }) => {
    const above = text.slice(0, index).split("\n").length;
    const name = `${path.replace(/\.md$/, "").replaceAll("/", "-")}-${above + 1}.ts`;
    const zod = code.includes("z.") && !code.includes('"zod"') ? 'import * as z from "zod";' : "";
    const body = code.replaceAll("../src/workflows.ts", "./workflows.ts");
    return { path: name, text: `${zod}${"\n".repeat(above)}${body}\nexport {};\n` };
  });
}

function leadsSomewhere(page: string, link: string): boolean {
  const [file = "", heading] = link.split("#");
  const target = file === "" ? page : join(dirname(page), file);
  return isThere(target) && (heading === undefined || headingsOf(read(target)).includes(heading));
}

function isThere(path: string): boolean {
  return existsSync(join(root, path));
}

/** As GitHub makes anchors of them. */
function headingsOf(text: string): string[] {
  const titles = text.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.+)$/gm);
  return [...titles].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

/** Without the names of parameters, and with one word for any method. */
function shape(route: string): string {
  return route.replaceAll(/:\w+/g, ":").replace(/^ALL /, "ANY ");
}

/** The cells of all tables of a section, without their backticks. */
function rowsOf(title: string): string[][] {
  const section =
    read("docs/api.md")
      .split("\n## ")
      .find((each) => each.startsWith(`${title}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((row) => row.slice(2, -2).replaceAll("`", "").split(" | "));
}
