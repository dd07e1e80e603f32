/**
 * Owns: addresses of the webhooks of a rehearsal.
 * Does not own: calls of them.
 */
const base = "https://rehearsal.test/hooks/";

type Address = { readonly run: string; readonly call: string; readonly createdAt: number };

/** As with a real address, it belongs to one incarnation of the run. */
export function hookUrl({ run, call, createdAt }: Address): string {
  return `${base}${encodeURIComponent(run)}/${encodeURIComponent(call)}/${createdAt.toString(36)}`;
}

/** The parts of an address, with its query; null for any other text. */
export function readHookUrl(text: string): (Address & { readonly query: Record<string, string> }) | null {
  if (!text.startsWith(base)) return null;
  const { pathname, searchParams } = new URL(text);
  const [run = "", call = "", createdAt = ""] = pathname.split("/").slice(2).map(decodeURIComponent);
  return { run, call, createdAt: Number.parseInt(createdAt, 36), query: Object.fromEntries(searchParams) };
}
