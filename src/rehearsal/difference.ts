/**
 * Owns: describing where two values differ.
 * Does not own: whether they do (dequal).
 */
import { dequal } from "dequal";
import { isPlain } from "../core/option.ts";

const longestShown = 300;
/** Characters of a long text that are shown before the place where it differs. */
const lead = 20;
const deepestShown = 5;
/** Stands for a member that one of the two does not have. */
const nothing = Symbol("nothing");

/** Where `seen` first differs from what was expected, with both values there. */
export function difference(seen: unknown, expected: unknown): string {
  const path: string[] = [];
  let [one, other] = [seen, expected];
  for (;;) {
    const inner = firstInner(one, other);
    if (inner === null) break;
    path.push(inner.at);
    [one, other] = [inner.one, inner.other];
  }
  if (one instanceof Set && other instanceof Set) {
    const [more, less] = [lacking(one, other), lacking(other, one)];
    return `${place([...path, " (what only one has)"])}${show(more)} instead of ${show(less)}`;
  }
  const from = typeof one === "string" && typeof other === "string" ? firstUnlike(one, other) - lead : 0;
  return `${place(path)}${show(one, from)} instead of ${show(other, from)}`;
}

function place(path: readonly string[]): string {
  const text = path.join("").replace(/^[. ]/, "");
  return text === "" ? "" : `${text}: `;
}

type Inner = { readonly at: string; readonly one: unknown; readonly other: unknown };

/** The first member of the same name that differs in both; null where the values are to be shown as a whole. */
function firstInner(one: unknown, other: unknown): Inner | null {
  const [ones, others] = [members(one), members(other)];
  if (ones === null || others === null || ones.kind !== others.kind) return null;
  for (const key of new Set([...ones.of.keys(), ...others.of.keys()])) {
    const mine = ones.of.has(key) ? ones.of.get(key) : nothing;
    const theirs = others.of.has(key) ? others.of.get(key) : nothing;
    if (!dequal(mine, theirs)) return { at: name(ones.kind, key), one: mine, other: theirs };
  }
  return null;
}

type Kind = "list" | "map" | "object";

function members(value: unknown): { readonly kind: Kind; readonly of: ReadonlyMap<unknown, unknown> } | null {
  if (Array.isArray(value) || value instanceof Uint8Array) {
    return { kind: "list", of: new Map((value as readonly unknown[]).entries()) };
  }
  // Keys that are objects cannot be matched.
  if (value instanceof Map && ![...value.keys()].some((key) => typeof key === "object" && key !== null)) {
    return { kind: "map", of: value };
  }
  return isPlain(value) ? { kind: "object", of: new Map(Object.entries(value)) } : null;
}

function name(kind: Kind, key: unknown): string {
  if (kind === "map") return `.get(${show(key)})`;
  return kind === "object" && /^[A-Za-z_$][\w$]*$/.test(String(key)) ? `.${String(key)}` : `[${show(key)}]`;
}

function lacking(one: ReadonlySet<unknown>, other: ReadonlySet<unknown>): Set<unknown> {
  const others = [...other];
  return new Set([...one].filter((item) => !others.some((theirs) => dequal(item, theirs))));
}

function firstUnlike(one: string, other: string): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return at;
}

/** @param from where to begin in a text that is too long to be shown whole */
function show(value: unknown, from = 0): string {
  if (typeof value === "string" && value.length > longestShown && from > 0)
    return `…${cut(write(value.slice(from), 0))}`;
  return cut(write(value, 0));
}

function cut(text: string): string {
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

function write(value: unknown, depth: number): string {
  if (value === nothing) return "nothing";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (value instanceof Date) return `Date(${Number.isNaN(value.getTime()) ? "invalid" : value.toISOString()})`;
  if (value instanceof Error) return `${value.name}(${JSON.stringify(value.message)})`;
  if (depth >= deepestShown) return "…";
  const within = (inner: unknown): string => write(inner, depth + 1);
  if (value instanceof Set) return `Set {${[...value].map(within).join(", ")}}`;
  if (value instanceof Map) {
    return `Map {${[...value].map(([key, inner]) => `${within(key)} => ${within(inner)}`).join(", ")}}`;
  }
  if (Array.isArray(value)) return `[${value.map(within).join(", ")}]`;
  if (value instanceof Uint8Array) return `Uint8Array [${value.join(", ")}]`;
  const fields = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${within(inner)}`);
  return isPlain(value) ? `{${fields.join(", ")}}` : `${String(value)} {${fields.join(", ")}}`;
}
