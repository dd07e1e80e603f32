/**
 * Owns: addresses of the webhooks of a rehearsal.
 * Does not own: calls of them.
 */
const base = "https://rehearsal.test/hooks/";

export function hookUrl(run: string, call: string): string {
  return `${base}${encodeURIComponent(run)}/${encodeURIComponent(call)}`;
}

/** Whose address it is, with what stands behind it; null for a text that is no such address. */
export function readHookUrl(text: string): { run: string; call: string; query: Record<string, string> } | null {
  if (!text.startsWith(base)) return null;
  const { pathname, searchParams } = new URL(text);
  const [run = "", call = ""] = pathname.split("/").slice(2).map(decodeURIComponent);
  return { run, call, query: Object.fromEntries(searchParams) };
}
