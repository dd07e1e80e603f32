/**
 * Owns: addresses of the webhooks of a rehearsal.
 * Does not own: calls of them.
 */
const base = "https://rehearsal.test/hooks/";

type Address = { readonly run: string; readonly call: string; readonly life: number };

/** As in earnest it is bound to one life of the run, which is told from the others by when it began. */
export function hookUrl({ run, call, life }: Address): string {
  return `${base}${encodeURIComponent(run)}/${encodeURIComponent(call)}/${life.toString(36)}`;
}

/** Whose address it is, with what stands behind it; null for a text that is no such address. */
export function readHookUrl(text: string): (Address & { readonly query: Record<string, string> }) | null {
  if (!text.startsWith(base)) return null;
  const { pathname, searchParams } = new URL(text);
  const [run = "", call = "", life = ""] = pathname.split("/").slice(2).map(decodeURIComponent);
  return { run, call, life: Number.parseInt(life, 36), query: Object.fromEntries(searchParams) };
}
