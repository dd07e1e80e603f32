/** Owns: the address of a request, taken apart once however many look at it. */

const known = new WeakMap<Request, URL>();

/** Not to be changed by who looks at it. */
export function urlOf(request: Request): Readonly<URL> {
  const url = known.get(request) ?? new URL(request.url);
  known.set(request, url);
  return url;
}
