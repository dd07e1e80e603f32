/** Owns: routes of exports and imports of runs, as lines of JSON. */
import { defined } from "../../core/record.ts";
import { checkTextLength } from "../../core/transfer/manifest.ts";
import { readWhy } from "../auth/author.ts";
import { readFields, readKey } from "../body.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { urlOf } from "../url.ts";
import { respondRun } from "../view.ts";

const type = "application/x-ndjson";

export const transferRoutes: readonly Route[] = [
  // An export shows everything, so it needs another role than a GET.
  { method: "POST", path: "/v1/runs/:id/export", role: "admin", handle: exportRun },
  { method: "POST", path: "/v1/runs/import", role: "admin", handle: importRun },
];

async function exportRun({ service, request, param }: Call): Promise<Response> {
  readQuery(request);
  await readFields(request, []);
  const id = param("id");
  const text = await service.runs.export(id);
  const headers = { "content-type": type, "content-disposition": `attachment; filename="${id}.ndjson"` };
  return new Response(text, { headers });
}

async function importRun({ service, request, author }: Call): Promise<Response> {
  const id = readQuery(request, ["id"]).get("id");
  const key = readKey(request);
  const { origin } = urlOf(request);
  // Refused by its declared length, before anything is read.
  checkTextLength(Number(request.headers.get("content-length") ?? 0));
  const options = { ...defined({ id }), ...key, origin, ...author, ...readWhy(request) };
  const { run, created } = await service.runs.import(request.body, options);
  return respondRun(run, created ? 201 : 200);
}
