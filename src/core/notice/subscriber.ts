/**
 * Checks addresses that are notified of a run's end. This Worker calls an address that somebody else named (SSRF), so only
 * public hosts over https are allowed. Host names are not resolved here.
 */
import ipaddr from "ipaddr.js";
import { HoldfastError } from "../error.ts";

/** A host that is allowed although it is private, or without TLS; with `port`, on that port only. */
export type AllowedHost = { readonly host: string; readonly port: string | null };

const maxSubscribers = 10;
const maxLength = 2048;
/**
 * Names of the local machine or its network (RFC 6761, 6762 with its appendix G, 8375, 9476; ICANN's `.internal`, and what it
 * never delegates because networks use it), and `.svc`, under which Kubernetes has its services.
 */
const ownNames =
  /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|private|lan|home|corp|mail|home\.arpa|svc|test|invalid|example|onion|alt)$/;

/** Labels of letters, digits and hyphens (RFC 1123), and underscores, which private networks use. */
const hostName = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.|$))+$/;

/**
 * `host` or `host:port`, separated by commas.
 * @throws HoldfastError config_invalid, naming the variable
 */
export function parseHosts(text: string): readonly AllowedHost[] {
  const items = text.split(",").map((item) => item.trim());
  return items.flatMap((item, index) => {
    if (item === "") return [];
    const url = URL.canParse(`http://${item}`) ? new URL(`http://${item}`) : null;
    const [, port = null] = /:(\d{1,5})$/.exec(item) ?? [];
    const isBare = url?.href === `http://${url?.host}/` && !item.endsWith(":") && Number(port ?? 1) > 0;
    if (url !== null && isBare && isHost(url.hostname)) return { host: url.hostname, port };
    throw new HoldfastError("config_invalid", `NOTIFY_HOSTS, item ${index + 1}: write host or host:port`);
  });
}

/** Stricter than the URL standard, which accepts even `*` as a host. */
function isHost(host: string): boolean {
  return ipaddr.isValid(host.replace(/^\[(.*)\]$/, "$1")) || hostName.test(host);
}

/**
 * The addresses in canonical form, each once.
 * @throws HoldfastError notify_invalid, naming which and why
 */
export function checkSubscribers(given: readonly unknown[], allowed: readonly AllowedHost[]): string[] {
  const urls = [...new Set(given.map((url, index) => checkSubscriber(url, allowed, `/notify/${index}`)))];
  if (urls.length <= maxSubscribers) return urls;
  throw refusal(`${urls.length} addresses are named, and there may be ${maxSubscribers}`, "/notify");
}

/** @throws HoldfastError notify_invalid */
export function checkSubscriber(given: unknown, allowed: readonly AllowedHost[], path = "/notify"): string {
  const url = typeof given === "string" && given.length <= maxLength && URL.canParse(given) ? new URL(given) : null;
  const why = url === null ? `is no address of at most ${maxLength} characters` : problemOf(url, allowed);
  if (url !== null && why === null) return url.href;
  // The rest of an address may be a secret.
  const shown = url === null ? "an address" : `${url.protocol}//${url.host}`;
  throw refusal(`${shown} ${why ?? ""}`, path);
}

function refusal(message: string, path: string): HoldfastError {
  return new HoldfastError("notify_invalid", `notify: ${message}`, { issues: [{ path, message }] });
}

/** Why the address may not be called; null where it may. */
function problemOf(url: URL, allowed: readonly AllowedHost[]): string | null {
  if (url.username !== "" || url.password !== "") return "has credentials in it: the call is signed instead";
  if (url.protocol !== "https:" && url.protocol !== "http:") return "is not https";
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  if (allowed.some((each) => each.host === url.hostname && (each.port === null || each.port === port))) return null;
  if (url.protocol !== "https:") return "is not https; NOTIFY_HOSTS names hosts that need not be";
  if (port !== "443" && Number(port) < 1024) return "has a port that is another service's: 443, or 1024 and above";
  return problemOfHost(url.hostname);
}

/** @param host as the URL standard writes it: an IPv4 address in dotted decimal however it was written before */
function problemOfHost(host: string): string | null {
  const literal = host.replace(/^\[(.*)\]$/, "$1");
  if (ipaddr.isValid(literal)) return isPublic(literal) ? null : "is not an address of the public internet";
  if (host.endsWith(".")) return "has a host that ends with a dot";
  if (!host.includes(".")) return "has a host of a single label, which means something in a network of its own only";
  return ownNames.test(host) ? "has a host name that is never public" : null;
}

/** Of IPv6 only global unicast (RFC 4291, 2000::/3), without addresses that embed others. */
function isPublic(literal: string): boolean {
  const address = ipaddr.parse(literal);
  if (address.range() !== "unicast") return false;
  return address.kind() === "ipv4" || ((address.toByteArray()[0] ?? 0) & 0xe0) === 0x20;
}
