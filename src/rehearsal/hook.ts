/**
 * Owns: addresses of the webhooks of a rehearsal.
 * Does not own: calls of them.
 */
const base = "https://rehearsal.test/hooks/";

type Address = { readonly run: string; readonly call: string; readonly life: number };

/** As with a real address, it belongs to one life of the run, identified by when that began. */
export function hookUrl({ run, call, life }: Address): string {
  return `${base}${encodeURIComponent(run)}/${encodeURIComponent(call)}/${life.toString(36)}`;
}

/** The parts of an address, with its query; null for any other text. */
export function readHookUrl(text: string): (Address & { readonly query: Record<string, string> }) | null {
  if (!text.startsWith(base)) return null;
  const { pathname, searchParams } = new URL(text);
  const [run = "", call = "", life = ""] = pathname.split("/").slice(2).map(decodeURIComponent);
  return { run, call, life: Number.parseInt(life, 36), query: Object.fromEntries(searchParams) };
}
