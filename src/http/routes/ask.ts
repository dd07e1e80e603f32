/** Routes of queries and updates of a run. */
import type { StoredError } from "../../core/error.ts";
import type { UpdateAnswer } from "../../core/service/service.ts";
import { readWhy } from "../auth/author.ts";
import { readKey, readValue } from "../body.ts";
import { RequestError } from "../problem.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { viewValue } from "../view.ts";

export const askRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/runs/:id/queries/:name", role: "read", handle: query },
  { method: "POST", path: "/v1/runs/:id/updates/:name", role: "operate", handle: update },
];

async function query({ service, request, param }: Call): Promise<Response> {
  readQuery(request);
  const name = param("name");
  const answer = await service.asks.query(param("id"), name);
  if (answer.kind === "failed") throw failure("query_failed", `query ${name}`, answer.error);
  return Response.json({ result: viewValue(answer.result) });
}

async function update({ service, request, param, author }: Call): Promise<Response> {
  readQuery(request);
  const name = param("name");
  const key = readKey(request);
  const argument = await readValue(request, "the argument");
  const answer = await service.asks.update(param("id"), { ...key, name, argument, ...author, ...readWhy(request) });
  return Response.json(viewUpdate(name, answer), { status: answer.kind === "open" ? 202 : 200 });
}

/** @throws RequestError update_failed, with the error of the update's function */
export function viewUpdate(name: string, answer: UpdateAnswer): Readonly<Record<string, unknown>> {
  switch (answer.kind) {
    case "completed":
      return { result: viewValue(answer.result) };
    case "failed":
      throw failure("update_failed", `update ${name}`, answer.error);
    case "open":
      return { accepted: true, update: answer.update };
    default:
      return answer satisfies never;
  }
}

function failure(code: "query_failed" | "update_failed", what: string, error: StoredError): RequestError {
  return new RequestError(code, `${what} failed: ${error.name}: ${error.message}`, { error });
}
