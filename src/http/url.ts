/** Owns: parsing the address of a request, once for each request, and what is percent-encoded in it. */
import { RequestError } from "./problem.ts";

const known = new WeakMap<Request, URL>();

/** Names, IPv4 addresses, and IPv6 addresses in brackets. A URL may have more in its host, even quotes. */
const hosts = /^(?:[a-z0-9._-]+|\[[0-9a-f:]+\])$/;

/** Shared, so callers must not change it. @throws RequestError header_invalid: the runtime makes it of any Host */
export function urlOf(request: Request): Readonly<URL> {
  const url = known.get(request) ?? parse(request.url);
  known.set(request, url);
  return url;
}

function parse(text: string): URL {
  const url = URL.parse(text);
  // Addresses of webhooks begin with it, and are put into pages, mails and commands.
  if (url !== null && hosts.test(url.hostname)) return url;
  throw new RequestError("header_invalid", "The header Host is not a host, or a host and a port.");
}

/** Null for what is not well-formed percent-encoded UTF-8. */
export function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
