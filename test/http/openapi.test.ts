/** The description of the API against the API itself: what it takes is what a refusal says it takes. */
import { describe, expect, test } from "vitest";
import { createApp, routes as all } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { documentOf } from "../../src/http/openapi/document.ts";
import { operations } from "../../src/http/openapi/operation.ts";
import { failingService, reached } from "./service.ts";

const service = failingService(reached);
/** Without the pages of the dashboard, and what they are made of. */
const routes = all.filter(({ page, path }) => page !== true && !path.startsWith("/assets/"));
const app = createApp(service, () => parseConfig({ AUTH: "none" }));
const document = documentOf(routes);

test("every route of the API is described, and nothing else", () => {
  expect(Object.keys(operations).toSorted()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).toSorted());
});

test("it is served, and holds all of it", async () => {
  const response = await app.request("http://localhost/openapi.json");
  expect(response.headers.get("content-type")).toBe("application/openapi+json");
  expect(document.paths["/openapi.json"]?.["get"]).toMatchObject({
    responses: { 200: { content: { "application/openapi+json": {} } } },
  });
  expect(await response.json()).toEqual(JSON.parse(JSON.stringify(document)));
  expect(document.openapi).toMatch(/^3\.1\.\d$/);
});

test("names of operations are its own, and every reference leads somewhere", () => {
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map((operation) => (operation as { operationId: string }).operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  const names = Object.keys(document.components.schemas);
  const used = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
  expect(used.filter((name) => !names.includes(name ?? ""))).toEqual([]);
  expect(names.filter((name) => !used.includes(name))).toEqual([]);
});

test("an address that takes any method is described for each of them", () => {
  for (const path of ["/hooks/{token}", "/webhooks/{name}"]) {
    expect(Object.keys(document.paths[path] ?? {})).toEqual(["get", "post", "put", "patch", "delete"]);
  }
});

test("a call of a webhook may be answered as the workflow says, with any status and body", () => {
  const anything = { content: { "*/*": {} } };
  for (const path of ["/hooks/{token}", "/webhooks/{name}"]) {
    expect(document.paths[path]?.["get"]).toMatchObject({
      responses: { 200: anything, 202: anything, default: anything },
    });
  }
  expect(JSON.stringify(document.paths["/v1/runs/{id}"])).not.toContain("*/*");
});

/** The parameter of an operation by its name. */
function parameterOf(path: string, name: string): object | undefined {
  const operation = document.paths[path]?.["get"] as { parameters: { name: string }[] } | undefined;
  return operation?.parameters.find((each) => each.name === name);
}

test("labels are an object whose members are parameters of their own", () => {
  expect(parameterOf("/v1/runs", "label.KEY")).toBeUndefined();
  const schema = {
    type: "object",
    patternProperties: { "^label\\..": { type: "string" } },
    additionalProperties: false,
  };
  const parameter = { in: "query", style: "form", explode: true, schema };
  for (const path of ["/v1/runs", "/v1/directory/counts"]) {
    expect(parameterOf(path, "label")).toMatchObject(parameter);
  }
});

test("events may be asked for behind the last that is known", () => {
  expect(parameterOf("/v1/runs/{id}/events", "Last-Event-ID")).toMatchObject({ in: "header" });
});

test("what was undone before a run ended is a field of its error", () => {
  const [error] = document.components.schemas.Error["anyOf"] as [{ properties: object; required: string[] }];
  expect(Object.keys(error.properties)).toEqual(expect.arrayContaining(["errors", "index", "child", "undone"]));
  expect(error.required).toEqual(["name", "message"]);
});

test("a start that brings an update is answered with both, and one that takes long says which it is", () => {
  const answers = (path: string) => JSON.stringify(document.paths[path]?.["post"]);
  expect(answers("/v1/workflows/{name}/runs")).toMatch(
    /"201":.*#\/components\/schemas\/Run","type":"object","properties":{"update":/,
  );
  expect(answers("/v1/runs/{id}/updates/{name}")).toMatch(/"202":.*"required":\["accepted","update"\]/);
});

const described = routes.flatMap(({ method, path }) => {
  const operation = operations[`${method} ${path}`];
  return operation === undefined || method === "ALL" ? [] : [{ method, path, operation }];
});

describe.each(described)("$method $path", ({ method, path, operation }) => {
  const target = `http://localhost${path.replace(/:\w+/g, "some")}`;
  const headers = { "content-type": "application/json" };

  test("takes the parameters it says", async () => {
    const response = await app.request(`${target}?surely-unknown=1`, { method, headers });
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    expect(code).toBe("parameter_unknown");
    expect(known(detail)).toEqual(Object.keys(operation.query ?? {}).toSorted());
  });

  test.runIf(operation.fields !== undefined)("takes the fields it says", async () => {
    const response = await app.request(target, { method, headers, body: `{"surely-unknown":1}` });
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    expect(code).toBe("field_unknown");
    expect(known(detail)).toEqual(Object.keys(operation.fields ?? {}).toSorted());
  });
});

/** What a refusal lists behind `Known:`. */
function known(detail: string): string[] {
  const list = /Known: (.*)\.$/.exec(detail)?.[1];
  return list === undefined ? [] : list.split(", ").toSorted();
}
