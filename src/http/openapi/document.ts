/** Owns: the description of the API as an OpenAPI 3.1 document, made from the table of routes. */
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { operations } from "./operation.ts";
import type { Operation } from "./operation.ts";
import { closed, ref, schemas, text } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The route of the document. @param others which it describes besides itself */
export function describingRoute(others: readonly Route[]): Route {
  const handle = ({ request }: Call): Response => {
    readQuery(request);
    return Response.json(documentOf([route, ...others]), { headers: { "content-type": "application/openapi+json" } });
  };
  const route: Route = { method: "GET", path: "/openapi.json", role: "read", handle };
  return route;
}

/** The methods that are described for `ANY`. HEAD and OPTIONS are also answered, but have no effect. */
const anyMethod = ["get", "post", "put", "patch", "delete"];

/** OpenAPI 3.1.1 (https://spec.openapis.org/oas/v3.1.1). Pages of the dashboard are left out. */
export function documentOf(routes: readonly Route[]) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const operation = operations[`${route.method} ${route.path}`];
    if (operation === undefined) continue;
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    const methods = route.method === "ALL" ? anyMethod : [route.method.toLowerCase()];
    for (const method of methods) paths[path] = { ...paths[path], [method]: describe(route, method, operation) };
  }
  return {
    openapi: "3.1.1",
    info: {
      title: "Holdfast",
      version: "1",
      description: "Durable workflows inside a Cloudflare Worker. Every error is application/problem+json (RFC 9457).",
    },
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description:
            "Roles: read, operate, admin; with .shapes behind it one that is shown shapes of values and no data.",
        },
      },
    },
    security: [{ token: [] }],
  };
}

function describe(route: Route, method: string, operation: Operation) {
  const {
    summary,
    query = {},
    fields,
    needed,
    keyed,
    headers = {},
    answers,
    type = "application/json",
    takes = "application/json",
  } = operation;
  const names = [...route.path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
  const body = fields === undefined ? operation.body : closed(fields, needed);
  const anything = operation.free === true ? { "*/*": {} } : {};
  return {
    operationId: `${method} ${route.path}`.replaceAll(/\W+(\w)/g, (_, next: string) => next.toUpperCase()),
    summary,
    ...(route.role === "open" ? { security: [] } : { description: `Needs the role ${route.role}.` }),
    parameters: [
      ...names.map((name) => ({ name, in: "path", required: true, schema: text })),
      ...Object.entries(query).map(([name, schema]) => inQuery(name, schema)),
      ...Object.entries(headers).map(([name, description]) => header(name, description)),
      ...(keyed === true ? [header("Idempotency-Key", "The same key is the same call.")] : []),
      ...(method === "get" ? [] : actorHeaders),
    ],
    ...(body === undefined || method === "get" ? {} : { requestBody: { content: { [takes]: { schema: body } } } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, schema]) => [
          status,
          { description: summary, ...(schema === null ? {} : { content: { [type]: { schema }, ...anything } }) },
        ]),
      ),
      default: {
        description: operation.free === true ? "A refusal, or what the workflow says" : "A refusal, with its code",
        content: { "application/problem+json": { schema: ref("Problem") }, ...anything },
      },
    },
  };
}

/** `label.KEY` stands for many parameters, and is described as an object whose members are sent as parameters (RFC 6570). */
function inQuery(name: string, schema: Schema) {
  if (!name.endsWith(".KEY")) return { name, in: "query", schema };
  const prefix = name.slice(0, -".KEY".length);
  const { description, ...of } = schema;
  const labelled = { type: "object", patternProperties: { [`^${prefix}\\..`]: of }, additionalProperties: false };
  return { name: prefix, in: "query", style: "form", explode: true, schema: labelled, description };
}

const actorHeaders = [
  header("Holdfast-Actor", "Who asks, percent-encoded UTF-8; stands in the history beside the token's role."),
  header("Holdfast-Reason", "Why, percent-encoded UTF-8."),
];

function header(name: string, description: string) {
  return { name, in: "header", schema: text, description };
}
