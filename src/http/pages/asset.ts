/**
 * Owns: the script, the style and the sign of the dashboard, as files. Their names change with their content, so they are
 * kept for ever.
 */
import { RequestError } from "../problem.ts";
import { readQuery } from "../query.ts";
import type { Call, Route } from "../route.ts";
import { script, style, version } from "./assets.ts";
import { mark } from "./icon.tsx";

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#0d8f78" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"><path d="${mark}"/></svg>`;

const files: ReadonlyMap<string, readonly [type: string, content: string]> = new Map([
  [`app.${version}.js`, ["text/javascript; charset=utf-8", script]],
  [`app.${version}.css`, ["text/css; charset=utf-8", style]],
  [`icon.${version}.svg`, ["image/svg+xml", icon]],
]);

export const assetRoutes: readonly Route[] = [{ method: "GET", path: "/assets/:file", role: "open", handle: serve }];

function serve({ request, param }: Call): Response {
  readQuery(request);
  const file = files.get(param("file"));
  if (file === undefined) throw new RequestError("route_not_found", "There is nothing at this address.");
  const [type, content] = file;
  return new Response(content, {
    headers: { "content-type": type, "cache-control": "public, max-age=31536000, immutable" },
  });
}
