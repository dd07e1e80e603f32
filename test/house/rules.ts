/** The rules of the house, each as a function from one file to what is wrong with it. */
import { lineOf } from "./source.ts";
import type { Placed, Source } from "./source.ts";

export type Rule = {
  readonly name: string;
  /** Files the rule speaks about. */
  readonly about: RegExp;
  /** What is wrong, with the position where it is; nothing when all is well. */
  readonly find: (source: Source) => readonly Finding[];
  /** A file that breaks the rule: proof that the rule can see. */
  readonly broken: { readonly path: string; readonly text: string };
};

type Finding = { readonly at: number; readonly what: string };

const maxFileLines = 300;
const maxFunctionLines = 60;

/** Which folders of src each folder may import from. Doors, the files right in src, import anything. */
const below: Readonly<Record<string, readonly string[]>> = {
  core: ["core"],
  engine: ["core", "engine"],
  store: ["core", "engine", "store"],
  objects: ["core", "engine", "store", "objects"],
  http: ["core", "http"],
  rehearsal: ["core", "engine", "objects", "rehearsal"],
  client: ["core", "client"],
  cloudflare: ["core", "objects", "cloudflare"],
};

const world = ["performance", "setTimeout", "setInterval", "setImmediate", "scheduler", "crypto", "fetch", "process"];
const code = /^(?:src|examples|bench|scripts)\/.*\.(?:tsx?|mjs)$/;

export const rules: readonly Rule[] = [
  {
    name: "calls go down: no floor imports from one above it",
    about: /^src\//,
    find: (source) => {
      const allowed = below[folderOf(source.path)];
      const floors = source.imports.filter(({ path }) => path !== null && allowed?.includes(folderOf(path)) === false);
      return floors.map(({ node, from }) => ({ at: node.start, what: `imports ${from}` }));
    },
    broken: { path: "src/core/low.ts", text: `export type High = import("../engine/high.ts").High;` },
  },
  {
    name: "core and engine have no clock, randomness, timers or world of their own",
    about: /^src\/(?:core|engine)\//,
    find: (source) => source.nodes.flatMap((placed) => worldly(placed)),
    broken: { path: "src/engine/clock.ts", text: "export const now = () => new Date().getTime();" },
  },
  {
    name: "what seals is loaded where there are keys, and nowhere else",
    about: /^src\/(?!core\/cipher\/aes\.ts$)/,
    find: ({ imports }) =>
      imports
        .filter(({ from, node }) => /\baes\.[jt]s$/.test(from) && node.type === "ImportDeclaration")
        .filter(({ node }) => node["importKind"] !== "type")
        .map(({ node, from }) => ({ at: node.start, what: `imports ${from}` })),
    broken: { path: "src/core/cipher/cipher.ts", text: `import { gcm } from "./aes.ts";` },
  },
  {
    name: "core does not wait",
    about: /^src\/core\//,
    find: (source) =>
      source.nodes
        .filter(({ node }) => node.type === "AwaitExpression" || node["async"] === true || node["await"] === true)
        .map(({ node }) => ({ at: node.start, what: "async or await" })),
    broken: { path: "src/core/slow.ts", text: "export async function slow() {}" },
  },
  {
    name: "core, engine and store know nothing of Cloudflare, Hono or Node",
    about: /^src\/(?:core|engine|store)\//,
    find: (source) => importsOf(source, /^(?:cloudflare:|node:|hono$|hono\/)/),
    broken: { path: "src/store/table.ts", text: `import { env } from "cloudflare:workers"; env;` },
  },
  {
    name: "a rehearsal needs no Cloudflare: of objects it knows words only",
    about: /^src\/rehearsal\//,
    find: (source) => [
      ...importsOf(source, /^(?:cloudflare:|node:|hono$|hono\/)/),
      ...source.imports
        .filter(({ path, node }) => path?.startsWith("src/objects/") === true && node["importKind"] !== "type")
        .map(({ node, from }) => ({ at: node.start, what: `imports ${from}` })),
    ],
    broken: { path: "src/rehearsal/stage.ts", text: `import { turn } from "../objects/turn.ts"; turn;` },
  },
  {
    name: "a client runs anywhere: it knows nothing of Cloudflare, Hono or Node",
    about: /^src\/client\//,
    find: (source) => importsOf(source, /^(?:cloudflare:|node:|hono$|hono\/)/),
    broken: { path: "src/client/run.ts", text: `import { env } from "cloudflare:workers"; env;` },
  },
  {
    name: "who does not come from Cloudflare Workflows does not pay for those who do",
    about: /^src\/(?!cloudflare(?:\/|\.ts$))/,
    find: (source) =>
      source.imports
        .filter(({ path }) => path !== null && /^src\/cloudflare(?:\/|\.ts$)/.test(path))
        .map(({ node, from }) => ({ at: node.start, what: `imports ${from}` })),
    broken: { path: "src/worker.ts", text: `import { toWorkflow } from "./cloudflare/workflow.ts"; toWorkflow;` },
  },
  {
    name: "objects know nothing of Hono",
    about: /^src\/objects\//,
    find: (source) => importsOf(source, /^hono(?:\/|$)/),
    broken: { path: "src/objects/run/run.ts", text: `import { Hono } from "hono"; Hono;` },
  },
  {
    name: "what runs in the browser takes nothing from the server but words",
    about: /^src\/http\/pages\/client\//,
    find: (source) =>
      source.imports
        .filter(({ path }) => path === null || !/^src\/(?:core\/|http\/pages\/(?:client\/|span\.ts$))/.test(path))
        .map(({ node, from }) => ({ at: node.start, what: `imports ${from}` })),
    broken: { path: "src/http/pages/client/live.ts", text: `import { problem } from "../../problem.ts"; problem;` },
  },
  {
    name: "a page says itself how it is compiled, so that any bundler needs no setting",
    about: /^src\/.*\.tsx$/,
    find: (source) =>
      source.text.startsWith("/** @jsxRuntime automatic */\n/** @jsxImportSource hono/jsx */\n")
        ? []
        : [{ at: 0, what: "no @jsxRuntime and @jsxImportSource" }],
    broken: { path: "src/http/pages/plain.tsx", text: "export const plain = <p></p>;" },
  },
  {
    name: "engine, objects, rehearsal, client and cloudflare say what they own and what they do not",
    about: /^src\/(?:engine|objects|rehearsal|client|cloudflare)\//,
    find: (source) => {
      const [header] = source.comments.filter(({ end }) => end <= source.beginsAt);
      const complete = header?.value.includes("Owns:") === true && header.value.includes("Does not own:");
      return complete ? [] : [{ at: 0, what: "no header with Owns: and Does not own:" }];
    },
    broken: { path: "src/objects/run/run.ts", text: "/** Owns: everything. */\nexport const run = 1;" },
  },
  {
    name: "no any",
    about: code,
    find: (source) => nodesOf(source, "TSAnyKeyword"),
    broken: { path: "src/core/loose.ts", text: "export const loose = (value: any) => value;" },
  },
  {
    name: "no non-null assertion",
    about: code,
    find: (source) => [
      ...nodesOf(source, "TSNonNullExpression"),
      ...source.nodes
        .filter(({ node }) => node["definite"] === true)
        .map(({ node }) => ({ at: node.start, what: "!" })),
    ],
    broken: { path: "src/core/sure.ts", text: "export class Sure { value!: string }" },
  },
  {
    name: "nothing is left for later",
    about: code,
    find: (source) =>
      source.comments
        .filter(({ value }) => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(value))
        .map(({ start, value }) => ({ at: start, what: value.trim() })),
    broken: { path: "src/core/later.ts", text: "// TODO: the rest\nexport const later = 1;" },
  },
  {
    name: "a file is one lower-case noun that says something",
    about: /^(?:src|examples|bench)\//,
    find: ({ path }) => {
      const vague = /(?:^|\/)(?:utils?|helpers?|common|managers?|impls?|misc|shared|types)(?:\/|\.)/.test(path);
      const noun = !path.startsWith("src/") || /\/[a-z][a-z0-9]*(?:\.d)?\.tsx?$/.test(path);
      return vague || !noun ? [{ at: 0, what: "its name" }] : [];
    },
    broken: { path: "src/core/utils.ts", text: "export const useful = 1;" },
  },
  {
    name: "no barrels inside",
    about: /^src\/[^/]+\//,
    find: (source) => [
      ...nodesOf(source, "ExportAllDeclaration"),
      ...(source.path.endsWith("/index.ts") ? [{ at: 0, what: "an index.ts" }] : []),
    ],
    broken: { path: "src/core/all.ts", text: `export * from "./one.ts";` },
  },
  {
    name: `a file has at most ${maxFileLines} lines, or says why it is long`,
    about: code,
    find: (source) => {
      const lines = source.text.trimEnd().split("\n").length;
      const reason = source.comments.some(({ value, end }) => end <= source.beginsAt && value.includes("Long because"));
      return lines <= maxFileLines || reason ? [] : [{ at: 0, what: `${lines} lines` }];
    },
    broken: { path: "src/core/long.ts", text: "export const line = 1;" + "\n// and on".repeat(maxFileLines) },
  },
  {
    name: `a function has at most ${maxFunctionLines} lines, or says why it is long`,
    about: code,
    find: (source) => source.nodes.filter(isFunction).flatMap((placed) => longFunction(source, placed)),
    broken: { path: "src/core/long.ts", text: `export function long() {${"\n".repeat(maxFunctionLines)}}` },
  },
  {
    name: "zod is imported whole, which is what leaves its languages out of the bundle",
    about: /^src\//,
    find: (source) =>
      source.imports
        .filter(({ from, node }) => /^zod(?:\/|$)/.test(from) && node["importKind"] !== "type")
        .filter(({ node }) => !isNamespaceImport(node["specifiers"]))
        .map(({ node }) => ({ at: node.start, what: `write import * as z from "zod"` })),
    broken: { path: "src/http/body.ts", text: `import { z } from "zod"; z;` },
  },
];

export function check(rule: Rule, source: Source): string[] {
  if (!rule.about.test(source.path)) return [];
  return rule.find(source).map(({ at, what }) => `${source.path}:${lineOf(source, at)} ${what}`);
}

function folderOf(path: string): string {
  const [, folder = "", ...rest] = path.split("/");
  return rest.length === 0 ? "doors" : folder;
}

function importsOf(source: Source, names: RegExp): Finding[] {
  return source.imports
    .filter(({ from }) => names.test(from))
    .map(({ node, from }) => ({ at: node.start, what: `imports ${from}` }));
}

function nodesOf(source: Source, type: string): Finding[] {
  return source.nodes.filter(({ node }) => node.type === type).map(({ node }) => ({ at: node.start, what: type }));
}

/** Uses of the world; a parameter or a field that bears such a name is none. */
function worldly({ node, parent, field }: Placed): Finding[] {
  const name = String(node["name"]);
  if (node.type === "MemberExpression") {
    const [object, property] = [node["object"], node["property"]] as [Placed["node"], Placed["node"]];
    const text = `${String(object["name"])}.${String(property["name"])}`;
    return ["Date.now", "Math.random", "AbortSignal.timeout"].includes(text) ? [{ at: node.start, what: text }] : [];
  }
  if (node.type === "NewExpression" || node.type === "CallExpression") {
    const callee = node["callee"] as Placed["node"];
    const bare = node.type === "CallExpression" || (node["arguments"] as unknown[]).length === 0;
    return callee["name"] === "Date" && bare ? [{ at: node.start, what: "the current Date" }] : [];
  }
  if (node.type !== "Identifier" || !world.includes(name)) return [];
  const isGlobal = (parent?.["object"] as Placed["node"] | undefined)?.["name"] === "globalThis";
  const isName = (field === "property" || field === "key") && parent?.["computed"] !== true && !isGlobal;
  return isName ? [] : [{ at: node.start, what: name }];
}

function isFunction({ node }: Placed): boolean {
  return ["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"].includes(node.type);
}

/** The comment that excuses a function stands right above it. */
function longFunction(source: Source, { node }: Placed): Finding[] {
  const first = lineOf(source, node.start);
  const lines = lineOf(source, node.end) - first + 1;
  if (lines <= maxFunctionLines) return [];
  const excuse = source.comments.some(
    ({ value, end }) => value.includes("Long because") && [first - 1, first].includes(lineOf(source, end)),
  );
  return excuse ? [] : [{ at: node.start, what: `a function of ${lines} lines` }];
}

function isNamespaceImport(specifiers: unknown): boolean {
  if (!Array.isArray(specifiers)) return false;
  return specifiers.every((each: { readonly type?: unknown }) => each.type === "ImportNamespaceSpecifier");
}
