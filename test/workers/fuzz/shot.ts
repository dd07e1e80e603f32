/** One request of the fuzzer, made from a line of the table of routes and what the description of the API says of it. */
import type { Role } from "../../../src/http/config.ts";
import { operations } from "../../../src/http/openapi/operation.ts";
import type { Operation } from "../../../src/http/openapi/operation.ts";
import type { Route } from "../../../src/http/route.ts";
import type { Pick } from "../../core/sample.ts";
import { tokens } from "../client.ts";
import { anyJson, hostile, instant, isOneIn, markup, nasty, spoiled, valid } from "./value.ts";

export type Shot = {
  /** Null: an address that nothing is at. */
  readonly route: Route | null;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | null;
  /** What the body says, where it is JSON. */
  readonly json: unknown;
  /** Decoded parts of the path, by name; null where they are not well-formed. */
  readonly params: Readonly<Record<string, string>>;
  /** The role of the credential; null where it has none that is known. */
  readonly held: Role | null;
  /** A text that is in this request's body and in no other's. */
  readonly tag: string;
};

/** What is there to be spoken of. */
export type World = {
  readonly runs: string[];
  readonly schedules: string[];
  readonly lanes: string[];
  readonly hooks: string[];
  readonly cursors: string[];
  readonly causes: string[];
  readonly cookies: Readonly<Record<Role, string>>;
};

/** Inputs of the workflows that are started; those of other workflows would end objects or fill disks. */
const inputs: Readonly<Record<string, (pick: Pick, tag: string) => unknown>> = {
  "web-echo": (pick, tag) => ({ tag, value: anyJson(pick) }),
  "web-order": (pick, tag) => ({ id: tag, total: pick.below(100) }),
  "web-listen": (pick) => ({ name: pick.of(signals) }),
  "web-sleeper": (_pick, tag) => ({ tag }),
  "web-hook": (pick) => ({ html: pick.below(2) === 0 }),
  "web-open-hook": () => ({}),
  "web-fragile": (_pick, tag) => ({ tag }),
  "web-labelled": (_pick, tag) => ({ who: { name: tag } }),
  "asks-cart": () => ({}),
  "asks-hearer": () => ({}),
  "asks-greeted": (pick) => ({ n: pick.below(9) }),
  "asks-brief": (pick) => pick.of(["fail", "bail", "wait", "end"]),
  chain: (pick) => ({ steps: pick.below(5) }),
  inbox: () => ({ count: 2 }),
  approval: () => ({}),
  "fork-chain": (pick) => ({ n: String(pick.below(9)) }),
  "flow-rated": (pick) => ({ key: pick.of(["a", "b", "c"]), n: 1 }),
  "flow-single": (pick) => ({ key: pick.of(["a", "b", "c"]), n: 1 }),
};
const workflows = Object.keys(inputs);
const signals = ["go", "end", "item", "approval", "decision", "word", "note", "hello", "go on", "é/ü"];
const crons = ["0 3 1 1 *", "*/5 * * * *", "0 0 * * 1", "15 10 * * *", "0 12 29 2 *"];

/** Words that the calls know, by the name of the path part, parameter or field. */
function wordsOf(world: World, pick: Pick, tag: string, path: string): (name: string) => unknown {
  const isOf = (what: string): boolean => path.includes(what);
  const some = <Item>(items: readonly Item[], otherwise: () => Item): Item =>
    items.length === 0 || isOneIn(pick, 12) ? otherwise() : pick.of(items.slice(-40));
  const words: Readonly<Record<string, () => unknown>> = {
    id: () => {
      if (isOf("/schedules"))
        return isOneIn(pick, 3) ? `fuzz-${pick.below(12)}` : some(world.schedules, () => "web-yearly");
      return some(world.runs, () => `fuzz-${tag}`);
    },
    name: () => {
      if (isOf("/workflows/")) return pick.of(workflows);
      if (isOf("/queries/")) return pick.of(["items", "words", "at", "broken", "impure", "spoil", "no"]);
      if (isOf("/updates/")) return pick.of(["add", "refuse", "say", "late", "close", "no"]);
      return isOf("/lanes/") ? some(world.lanes, () => "lane mail") : pick.of(signals);
    },
    token: () => some(world.hooks, () => "abc.def"),
    key: () => pick.of(["charge", "first", "second", "add", "add#2", "echo", "no"]),
    file: () => pick.of(["page.js", "style.css", "icon.svg", "no.js"]),
    workflow: () => pick.of(workflows),
    cron: () => pick.of(crons),
    timezone: () => pick.of(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    overlap: () => pick.of(["skip", "allow-all", "buffer-all", "buffer-one"]),
    status: () => pick.of(["running", "completed", "failed", "waiting,queued", "cancelled"]),
    groupBy: () => pick.of(["workflow", "status", "workflow,status", "label.key0", "errorCode"]),
    wait: () => pick.of(["0", "20ms", "100 ms", "1s"]),
    cursor: () => some(world.cursors, () => "abc"),
    cause: () => some(world.causes, () => "abc"),
    idPrefix: () => pick.of(["fuzz", "a", "01"]),
    delay: () => pick.of(["10ms", "1 hour", 0, 50]),
    window: () => pick.of(["1 hour", "5 minutes"]),
    limit: () => (isOf("/lanes/") ? pick.of([0, 1, 5, null]) : pick.of([1, 2, 200])),
    from: () => (isOf("/fork") ? pick.of(["first", "second", "charge", "add#2"]) : instant(pick)),
    shard: () => pick.below(4),
    jitter: () => pick.of([0, "1 minute"]),
    action: () => pick.of(["cancel", "terminate", "pause", "resume", "retry", "delete"]),
  };
  return (name) => (Object.hasOwn(words, name) ? words[name]?.() : undefined);
}

/** Starts, and what is told to runs, come more often than the rest: without them there is little to speak of. */
function among(routes: readonly Route[], pick: Pick): readonly Route[] {
  const few = isOneIn(pick, 6) ? starts : isOneIn(pick, 5) ? messages : null;
  return few === null ? routes : routes.filter(({ path }) => few.test(path));
}

const starts = /\/:name\/runs$/;
const messages = /\/:id\/(?:signals|updates)\/|^\/hooks\/|^\/v1\/runs\/:id$/;

/** @param tag a text that no other shot has */
export function aim(routes: readonly Route[], world: World, pick: Pick, tag: string): Shot {
  const route = pick.of(among(routes, pick));
  const operation = operations[`${route.method} ${route.path}`];
  const known = wordsOf(world, pick, tag, route.path);
  const params: Record<string, string> = {};
  const part = (name: string): string => {
    const text = isOneIn(pick, 12) ? pick.of(nasty) : String(known(name) ?? "x");
    params[name] = text;
    return isOneIn(pick, 40) ? pick.of(["%zz", "%ff", "%00", "%2e%2e", "..", "%F0%9F"]) : escaped(text);
  };
  const path = route.path.replace(/:(\w+)/g, (_, name: string) => part(name));
  const usual = route.method === "ALL" ? pick.of(["POST", "GET", "PUT", "PATCH", "DELETE"]) : route.method;
  const method = isOneIn(pick, 25) ? pick.of(methods) : usual;
  // What URLs make of dots leads elsewhere.
  const isLost = isOneIn(pick, 60) || new URL(path, "http://example.com").pathname !== path;
  const { headers, held } = headersOf(route, world, pick, tag);
  const json = method === "GET" || method === "HEAD" ? undefined : jsonOf(route, operation, known, pick, tag, params);
  const body = json === undefined ? null : bodyOf(json, pick);
  return {
    route: isLost ? null : routeOf(routes, route, method),
    method,
    path: `${path}${isLost ? pick.of(["/", "/more", "//", "/..", ";x=1"]) : ""}${queryOf(operation, known, pick)}`,
    headers: method === "GET" || method === "HEAD" ? headers : { ...typeOf(pick), ...headers },
    body,
    json: typeof body === "string" ? parsed(body) : undefined,
    params,
    held,
    tag,
  };
}

/** Another method may lead to another route of the same path. */
function routeOf(routes: readonly Route[], aimed: Route, method: string): Route | null {
  if (aimed.method === "ALL") return aimed;
  const sought = method === "HEAD" ? "GET" : method;
  return routes.find((route) => route.path === aimed.path && route.method === sought) ?? null;
}

const methods = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "SEARCH"];

function escaped(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function queryOf(operation: Operation | undefined, known: (name: string) => unknown, pick: Pick): string {
  const pairs = Object.entries(operation?.query ?? {})
    .filter(() => isOneIn(pick, 3))
    .map(([name, schema]): [string, unknown] => [
      name.replace("KEY", pick.of(["key0", "order", "é"])),
      isOneIn(pick, 5) ? pick.of(nasty) : valid(schema, pick, known, name),
    ]);
  if (isOneIn(pick, 30)) pairs.push([pick.of(nasty), "1"]);
  if (isOneIn(pick, 40)) pairs.push(...pairs.slice(0, 1));
  if (pairs.length === 0) return isOneIn(pick, 60) ? pick.of(["?", "?&&", "?=", "?%zz", "?a=%ff", "?a=1&a=2"]) : "";
  return `?${pairs.map(([name, value]) => `${escaped(name)}=${escaped(String(value))}`).join("&")}`;
}

/** Whoever sends a message says why with the tag: a schema may drop that from the message itself. */
function headersOf(route: Route, world: World, pick: Pick, tag: string): Credential {
  const role = isOneIn(pick, 6) ? pick.of(["read", "operate", "admin"] as const) : "admin";
  const credential = credentialOf(route, world, pick, role);
  const headers: Record<string, string> = { ...credential.headers };
  if (isMessage(route)) headers["holdfast-reason"] = tag;
  const maybe = (many: number, name: string, values: readonly string[]): void => {
    if (isOneIn(pick, many)) headers[name] = isOneIn(pick, 8) ? pick.of(nasty) : pick.of(values);
  };
  maybe(3, "idempotency-key", [`key-${pick.below(400)}`, `key-${pick.below(1e9)}`]);
  maybe(12, "holdfast-actor", ["Ada", "J%C3%BCrgen", "%zz", "x".repeat(300)]);
  maybe(12, "holdfast-reason", ["because", "%F0%9F%98%80", "%", markup]);
  maybe(15, "last-event-id", ["0", "3", "999999"]);
  maybe(15, "traceparent", ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0"]);
  maybe(10, "accept", ["text/html", "text/event-stream", "application/json", "*/*;q=0"]);
  maybe(20, "if-none-match", ["*", '"x"', 'W/"x"']);
  maybe(20, "if-modified-since", ["Sat, 21 Nov 2026 00:00:00 GMT"]);
  maybe(20, "range", ["bytes=0-0", "bytes=9-1", "lines=1-"]);
  maybe(20, "origin", ["https://evil.example", "null", "http://example.com"]);
  maybe(20, "sec-fetch-site", ["same-origin", "cross-site", "none"]);
  maybe(20, "x-forwarded-for", ["127.0.0.1", "::1"]);
  maybe(20, "host", ["localhost", "evil.example"]);
  return { headers, held: credential.held };
}

function isMessage({ path }: Route): boolean {
  return path === "/v1/runs/:id/signals/:name" || path === "/v1/runs/:id/updates/:name";
}

type Credential = { readonly headers: Readonly<Record<string, string>>; readonly held: Role | null };

function credentialOf(route: Route, world: World, pick: Pick, role: Role): Credential {
  if (isOneIn(pick, 25)) {
    const authorization = pick.of([
      "",
      "Bearer",
      "Bearer x",
      "Basic YTpi",
      `Bearer ${tokens.admin}x`,
      `bearer  ${markup}`,
    ]);
    return {
      // Wrong ones come from everywhere: an address that sends many is not listened to for a while.
      headers: isOneIn(pick, 2)
        ? {}
        : { authorization, "cf-connecting-ip": `10.0.${pick.below(256)}.${pick.below(256)}` },
      held: null,
    };
  }
  if (route.page === true ? isOneIn(pick, 2) : isOneIn(pick, 15)) {
    return { headers: { cookie: world.cookies[role], "sec-fetch-site": "same-origin" }, held: role };
  }
  return { headers: { authorization: `Bearer ${tokens[role]}` }, held: role };
}

function typeOf(pick: Pick): Readonly<Record<string, string>> {
  if (!isOneIn(pick, 10)) return { "content-type": "application/json" };
  const types = [
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "a/b; charset=utf-16",
  ];
  return {
    "content-type": pick.of(types),
    ...(isOneIn(pick, 4) ? { "content-encoding": pick.of(["gzip", "br", "x"]) } : {}),
  };
}

function jsonOf(
  route: Route,
  operation: Operation | undefined,
  known: (name: string) => unknown,
  pick: Pick,
  tag: string,
  params: Readonly<Record<string, string>>,
): unknown {
  if (isOneIn(pick, 15)) return undefined;
  const json = bodyFor(route, operation, known, pick, tag, params);
  const aimed = isOneIn(pick, 6) ? spoiled(json, pick) : json;
  return route.path.endsWith("/bulk") ? fenced(aimed) : aimed;
}

function bodyFor(
  { path }: Route,
  operation: Operation | undefined,
  known: (name: string) => unknown,
  pick: Pick,
  tag: string,
  params: Readonly<Record<string, string>>,
): unknown {
  if (operation?.fields === undefined) return messageOf(params["name"] ?? "", pick, tag);
  const fields = Object.entries(operation.fields).filter(
    ([name]) => operation.needed?.includes(name) === true || isOneIn(pick, 4),
  );
  const body = Object.fromEntries(fields.map(([name, schema]) => [name, valid(schema, pick, known, name)]));
  if (!path.startsWith("/v1/workflows/")) return { ...body, ...span(body) };
  const name = params["name"] ?? "";
  const input = Object.hasOwn(inputs, name) ? inputs[name]?.(pick, tag) : undefined;
  const id = isOneIn(pick, 6) ? `fuzz-${pick.below(30)}` : isOneIn(pick, 2) ? `fuzz-${tag}` : undefined;
  const { signal: _signal, update: _update, startAt: _startAt, id: _id, ...rest } = body;
  return {
    ...(isOneIn(pick, 10) ? body : rest),
    ...(input === undefined ? {} : { input }),
    ...(id === undefined ? {} : { id }),
  };
}

/** A day at most: a span of years would start as many runs as it has firings. */
function span({ from, to }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (typeof from !== "string" || typeof to !== "string") return {};
  return { from, to: new Date(Date.parse(from) + 3_600_000).toISOString() };
}

function messageOf(name: string, pick: Pick, tag: string): unknown {
  if (isOneIn(pick, 20)) return hostile(pick);
  switch (name) {
    case "approval":
    case "decision":
      return { approved: true, tag };
    case "word":
      return { text: tag };
    case "say":
      return tag;
    default:
      return { item: tag, n: 1, tag };
  }
}

/** Bulk actions keep to runs that nobody else speaks of. */
function fenced(json: unknown): unknown {
  if (typeof json !== "object" || json === null || !("filter" in json)) return json;
  const { filter } = json;
  return typeof filter === "object" && filter !== null && !Array.isArray(filter)
    ? { ...json, filter: { ...filter, idPrefix: "bulk" } }
    : json;
}

function bodyOf(json: unknown, pick: Pick): string | Uint8Array {
  const text = JSON.stringify(json);
  switch (pick.below(60)) {
    case 0:
      return text.slice(0, pick.below(text.length + 1));
    case 1:
      return new Uint8Array([0x22, 0xff, 0xfe, 0x22]);
    case 2:
      return `${text}${text}`;
    case 3:
      return "[".repeat(pick.of([60, 300, 100_000]));
    case 4:
      return `{"__proto__":{"admin":true},"constructor":1}`;
    case 5:
      return text.replace(/\d+/, "1e999");
    case 6:
      return new URLSearchParams({
        token: tokens.read,
        next: pick.of(["/", "//evil", "https://evil", markup]),
      }).toString();
    default:
      return text;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
