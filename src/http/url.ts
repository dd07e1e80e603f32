/** Owns: parsing the address of a request, once for each request. */
import { RequestError } from "./problem.ts";

const known = new WeakMap<Request, URL>();

/** Shared, so callers must not change it. @throws RequestError header_invalid: the runtime makes it of any Host */
export function urlOf(request: Request): Readonly<URL> {
  const url = known.get(request) ?? parse(request.url);
  known.set(request, url);
  return url;
}

function parse(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new RequestError("header_invalid", "The header Host is not a host, or a host and a port.");
}
